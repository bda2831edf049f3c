import { describe, expect, test } from 'vitest';
import { EventSlab, joinedEvents, SlabMemory } from '../../../src/applier/event-slab.ts';
import { EVENT_HEADER_LENGTH } from '../../../src/binlog/event-header.ts';
import { SeededRandom } from '../../support/seeded-random.ts';

const CRC_LENGTH = 4;

/** An event of `length` bytes behind its header, all of them `fill`, with a CRC. */
function event(fill: number, length: number): Buffer {
  const bytes = Buffer.alloc(EVENT_HEADER_LENGTH + length + CRC_LENGTH, fill);
  bytes.writeUInt32LE(bytes.length, 9);
  return bytes;
}

function gather(slab: EventSlab, fill: number, lengths: readonly number[]): Buffer {
  slab.clear();
  for (const length of lengths) slab.add(event(fill, length), 0, EVENT_HEADER_LENGTH + length);
  return slab.take();
}

function bodies(slab: Buffer): { readonly length: number; readonly fills: ReadonlySet<number> }[] {
  return [...joinedEvents([slab])].map(({ buf, start, end }) => {
    const body = buf.subarray(start + EVENT_HEADER_LENGTH, end);
    return { length: body.length, fills: new Set(body) };
  });
}

describe('the slab of a transaction', () => {
  test('holds its events back to back, without their checksums', () => {
    const slab = gather(new EventSlab(new SlabMemory()), 7, [10, 0, 100_000]);
    expect(slab).toHaveLength(3 * EVENT_HEADER_LENGTH + 100_010);
    expect(bodies(slab).map(({ length }) => length)).toEqual([10, 0, 100_000]);
  });

  test('is made in memory that was given back', () => {
    const memory = new SlabMemory();
    const slab = new EventSlab(memory);
    const first = gather(slab, 1, [300_000]);
    memory.giveBack(first);
    const buffers = new Set([first.buffer]);
    for (let n = 0; n < 10; n++) {
      const next = gather(slab, 2, [300_000]);
      buffers.add(next.buffer);
      memory.giveBack(next);
    }
    expect(buffers.size).toBeLessThanOrEqual(3);
  });

  test('what lies idle is bounded, and a short slab takes no large buffer with it', () => {
    const memory = new SlabMemory();
    const slab = new EventSlab(memory);
    const many = Array.from({ length: 40 }, () => gather(slab, 1, [300_000]));
    for (const each of many) memory.giveBack(each);
    const again = Array.from({ length: 40 }, () => gather(slab, 1, [300_000]));
    const old = new Set(many.map(({ buffer }) => buffer));
    expect(again.filter(({ buffer }) => old.has(buffer)).length).toBeLessThanOrEqual(14);
    gather(slab, 1, [3_000_000]);
    expect(gather(slab, 1, [100]).buffer.byteLength).toBeLessThan(200_000);
    expect(gather(slab, 1, [70_000]).buffer.byteLength).toBeLessThan(200_000);
  });

  test('short ones lie in one piece of memory, which is used again when all of them were given back, and no sooner', () => {
    const memory = new SlabMemory();
    const slab = new EventSlab(memory);
    const some = Array.from({ length: 100 }, () => gather(slab, 1, [1000]));
    expect(new Set(some.map(({ buffer }) => buffer)).size).toBe(1);
    const [chunk] = some.map(({ buffer }) => buffer);
    const kept = some.pop()!;
    for (const each of some) memory.giveBack(each);
    // It is full: what comes next is gathered elsewhere.
    const others = Array.from({ length: 300 }, () => gather(slab, 2, [1000]));
    expect(others.slice(50).every(({ buffer }) => buffer !== chunk)).toBe(true);
    for (const each of others.slice(0, 50)) memory.giveBack(each);
    expect(gather(slab, 3, [1000]).buffer === chunk).toBe(false);
    memory.giveBack(kept);
    const next = Array.from({ length: 300 }, () => gather(slab, 3, [1000]));
    expect(next.some(({ buffer }) => buffer === chunk)).toBe(true);
  });

  test('short ones between long ones hold no more than they are: a chunk is left only when it is full', () => {
    const slab = new EventSlab(new SlabMemory());
    const short = Array.from({ length: 500 }, () => {
      // One that outgrows memory is forgotten.
      slab.clear();
      slab.add(event(1, 3_000_000), 0, EVENT_HEADER_LENGTH + 3_000_000);
      return gather(slab, 2, [200]);
    });
    const held = new Set(short.map(({ buffer }) => buffer));
    let bytes = 0;
    for (const { byteLength } of held) bytes += byteLength;
    expect(bytes).toBeLessThan(300_000);
  });

  test('stays as it is until it is given back, whatever is gathered and given back meanwhile', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = new SeededRandom(seed);
      const memory = new SlabMemory();
      const slab = new EventSlab(memory);
      const held = new Map<Buffer, { readonly fill: number; readonly lengths: readonly number[] }>();
      for (let step = 0; step < 200; step++) {
        const fill = 1 + (step % 250);
        const lengths = Array.from({ length: random.between(1, 4) }, () =>
          random.between(0, 10 ** random.between(1, 5)),
        );
        held.set(gather(slab, fill, lengths), { fill, lengths });
        for (const each of held.keys()) {
          if (random.next() > 0.1) continue;
          memory.giveBack(each);
          held.delete(each);
        }
      }
      for (const [each, { fill, lengths }] of held) {
        expect(bodies(each), `seed ${seed}`).toEqual(
          lengths.map((length) => ({ length, fills: new Set(length === 0 ? [] : [fill]) })),
        );
      }
    }
  });
});
