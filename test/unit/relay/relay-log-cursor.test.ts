import { appendFileSync, truncateSync, unlinkSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { crc32, sealEvent } from '../../../src/binlog/checksum.ts';
import { EventType } from '../../../src/binlog/event-header.ts';
import { emptyPositionSet } from '../../../src/binlog/position-set.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';

vi.setConfig({ testTimeout: 90_000 });

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
const sent = source.transactions();

async function written(maxFileSize = 2 ** 30) {
  const writer = await relay.openWriter({ maxFileSize });
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
  return writer;
}

describe('following', () => {
  test('a cursor sees every event once, whatever the blocks, the files and the pace', async () => {
    const blockLength = fc.integer({ min: 20, max: 3000 });
    const maxFileSize = fc.integer({ min: 1, max: 4000 });
    const chunk = fc.integer({ min: 1, max: 20 });
    await fc.assert(
      fc.asyncProperty(blockLength, maxFileSize, chunk, async (blockLength, maxFileSize, chunk) => {
        const writer = await relay.openWriter({ maxFileSize, bufferLength: 512 });
        writer.reset();
        source.start(writer, emptyPositionSet('gtid'));
        const cursor = relay.cursor({ blockLength });
        const read = [];
        for (let at = 0; at < source.events.length; at += chunk) {
          source.play(writer, at, Math.min(at + chunk, source.events.length));
          read.push(...readAll(cursor));
          expect(cursor.position).toEqual(writer.position);
        }
        expect(read.map((t) => t.bytes)).toEqual(sent.map((t) => t.bytes));
        expect(read.map((t) => t.sourceEnd)).toEqual(sent.map((t) => t.sourceEnd));
        cursor.close();
        await writer.close();
      }),
      { numRuns: 60 },
    );
  });

  test('places, heads and names come with the events', async () => {
    await written(1000);
    const cursor = relay.cursor();
    const expected = source.events.filter((event) => event.place !== 'between');
    for (const { type, place, head } of expected) {
      expect(cursor.next()).toMatchObject({
        type,
        place,
        head,
        id: head!.id,
        oversized: false,
        sourceFile: source.name,
      });
    }
    expect(cursor.next()).toBeNull();
  });

  test('a transaction is read from its own offset on', async () => {
    await written();
    const cursor = relay.cursor();
    const begins: number[] = [];
    for (let event = cursor.next(); event !== null; event = cursor.next()) {
      if (event.place === 'begin') begins.push(event.offset);
    }
    for (const [at, offset] of begins.entries()) {
      const from = relay.cursor({ from: { fileNumber: 1, offset } });
      const read = readAll(from);
      expect(read.map((t) => t.bytes)).toEqual(sent.slice(at).map((t) => t.bytes));
      expect(read.map((t) => t.sourceEnd)).toEqual(sent.slice(at).map((t) => t.sourceEnd));
      from.close();
    }
    cursor.close();
  });

  test('nothing behind the published end is looked at', async () => {
    const writer = await written();
    const cursor = relay.cursor();
    appendFileSync(relay.path(1), Buffer.alloc(100_000, 0xff));
    expect(readAll(cursor)).toHaveLength(sent.length);
    expect(cursor.next()).toBeNull();
    expect(cursor.position).toEqual(writer.position);
  });

  test('a cursor that waits at the end of an empty file goes on when that file is replaced', async () => {
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    const cursor = relay.cursor();
    expect(cursor.next()).toBeNull();
    for (let round = 0; round < 3; round++) source.start(writer, emptyPositionSet('gtid'));
    const waiting = relay.published.wait(cursor.position);
    source.play(writer);
    await waiting;
    expect(readAll(cursor)).toHaveLength(sent.length);
    expect(cursor.position.fileNumber).toBe(4);
  });

  test('a cursor that waits at the end of a file goes on in the next one', async () => {
    const writer = await written();
    const cursor = relay.cursor();
    expect(readAll(cursor)).toHaveLength(sent.length);
    const next = SourceFile.fixture('mysql-9.7', 'tagged-gtids');
    next.start(writer, emptyPositionSet('gtid'));
    expect(cursor.next()).toBeNull();
    expect(cursor.position.fileNumber).toBe(2);
    next.play(writer);
    expect(readAll(cursor).map((t) => t.bytes)).toEqual(next.transactions().map((t) => t.bytes));
    expect(cursor.header.previous.toString()).not.toBe('');
  });
});

describe('without a published end', () => {
  test('the log is read to its last whole transaction', async () => {
    const writer = await written(1500);
    const { fileNumber, offset } = writer.position;
    source.start(writer, writer.retrieved!);
    writer.append(source.bytes, source.events[1]!.start, source.events[1]!.end);
    appendFileSync(relay.path(writer.position.fileNumber), 'a torn event');
    expect(fileNumber).toBeGreaterThan(1);
    expect(offset).toBeGreaterThan(0);
    const cursor = relay.cursor({ published: null });
    expect(readAll(cursor).map((t) => t.bytes)).toEqual(sent.map((t) => t.bytes));
    expect(cursor.next()).toBeNull();
  });

  test('an empty last file is the end', async () => {
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    expect(readAll(relay.cursor({ published: null }))).toEqual([]);
  });
});

describe('large events', () => {
  /** GTID, BEGIN, TABLE_MAP, one rows event of `length` bytes, XID. */
  function largeTransaction(length: number): { readonly events: Buffer[]; readonly large: Buffer } {
    const rows = source.events.findIndex((event) => event.type === EventType.WRITE_ROWS_EVENT);
    const begin = source.events.findLastIndex((event, at) => event.place === 'begin' && at < rows);
    const end = source.events.findIndex((event, at) => event.place === 'end' && at > rows);
    const events = source.events
      .slice(begin, end + 1)
      .map((event) => Buffer.from(source.bytes.subarray(event.start, event.end)));
    const large = Buffer.alloc(length);
    for (let at = 0; at < length; at += 4)
      large.writeUInt32LE((at * 2654435761) >>> 0, Math.min(at, length - 4));
    events[rows - begin]!.copy(large, 0, 0, 40);
    large.writeUInt32LE(length, 9);
    sealEvent(large, 0, length);
    events[rows - begin] = large;
    return { events, large };
  }

  async function writeLarge(length: number) {
    const { events, large } = largeTransaction(length);
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    for (const event of events) writer.append(event, 0, event.length);
    const begin = source.events.findLastIndex((event) => event.place === 'begin');
    writer.endTransaction(source.events[begin]!.head, 1000);
    writer.publish();
    return { writer, large, count: events.length };
  }

  test('an event longer than a block is handed out whole', async () => {
    const { large, count } = await writeLarge(3_000_001);
    const cursor = relay.cursor({ blockLength: 1000 });
    let seen = 0;
    for (let event = cursor.next(); event !== null; event = cursor.next(), seen++) {
      if (event.type !== EventType.WRITE_ROWS_EVENT) continue;
      expect(event.buf.subarray(event.start, event.start + event.rawLength).equals(large)).toBe(true);
      expect(event.end - event.start).toBe(large.length - 4);
    }
    expect(seen).toBe(count);
  });

  test('an oversized event is handed out as its head, and read in pieces', async () => {
    const { large, count } = await writeLarge(1_000_003);
    const cursor = relay.cursor({ blockLength: 4096, oversizedFrom: 100_000 });
    let seen = 0;
    for (let event = cursor.next(); event !== null; event = cursor.next(), seen++) {
      expect(event.oversized).toBe(event.type === EventType.WRITE_ROWS_EVENT);
      if (!event.oversized) continue;
      expect(event.rawLength).toBe(large.length);
      expect(event.buf.subarray(event.start, event.end).equals(large.subarray(0, 65536))).toBe(true);
      let crc = 0;
      for (let at = 0; at < large.length - 4; at += 70_000) {
        const length = Math.min(70_000, large.length - 4 - at);
        const piece = cursor.readOversized(event, at, length);
        crc = crc32(piece, 0, length, crc);
      }
      expect(crc).toBe(large.readUInt32LE(large.length - 4));
      expect(() => cursor.readOversized(event!, 0, large.length)).toThrow();
    }
    expect(seen).toBe(count);
  });

  test('damage in an oversized event is found', async () => {
    const { large } = await writeLarge(1_000_003);
    const bytes = relay.bytes(1);
    bytes[bytes.indexOf(large.subarray(500_000, 500_020))]! ^= 4;
    relay.overwrite(1, bytes);
    const cursor = relay.cursor({ oversizedFrom: 100_000 });
    expect(() => readAll(cursor)).toThrow(expect.objectContaining({ code: 'RELAY_CORRUPT' }));
  });

  test('recovery takes an oversized event as any other', async () => {
    const { writer } = await writeLarge(17 * 1024 * 1024);
    await writer.close();
    const again = await relay.openWriter();
    expect(again.position).toEqual(writer.position);
    truncateSync(relay.path(1), again.position.offset - 100);
    const third = await relay.openWriter();
    expect(third.retrieved!.isEmpty()).toBe(true);
  });
});

describe('damage', () => {
  test('any flipped bit is found, and named by file and offset', async () => {
    await written();
    const headerEnd = relay.cursor().position.offset;
    const bytes = relay.bytes(1);
    fc.assert(
      fc.property(fc.integer({ min: 4, max: bytes.length - 1 }), fc.nat(7), (at, bit) => {
        const damaged = Buffer.from(bytes);
        damaged[at]! ^= 1 << bit;
        relay.overwrite(1, damaged);
        const inUse = at === 21 && bit === 0;
        try {
          const cursor = relay.cursor();
          readAll(cursor);
          cursor.close();
          expect(inUse).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: 'RELAY_CORRUPT', facts: { file: relay.path(1) } });
          const { offset } = (error as { facts: { offset: number } }).facts;
          expect(offset).toBeLessThanOrEqual(at);
          if (at >= headerEnd) expect(offset).toBeGreaterThanOrEqual(headerEnd);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('a missing file is named', async () => {
    await written(1);
    unlinkSync(relay.path(3));
    const cursor = relay.cursor();
    const missing = expect.objectContaining({
      code: 'RELAY_CORRUPT',
      facts: expect.objectContaining({ file: relay.path(3) }),
    });
    expect(() => readAll(cursor)).toThrow(missing);
    expect(() => relay.cursor({ from: { fileNumber: 3, offset: 0 } })).toThrow(missing);
  });

  test('a file that was replaced after its place was looked up is looked up anew, not fetched again', async () => {
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    const from = { fileNumber: writer.position.fileNumber, offset: 0 };
    source.start(writer, emptyPositionSet('gtid'));
    expect(() => relay.cursor({ from })).toThrow(
      expect.objectContaining({ code: 'RELAY_CORRUPT', action: 'retry' }),
    );
  });

  test('a cursor behind which the log was cut back has to look its place up anew', async () => {
    await written();
    const cursor = relay.cursor();
    readAll(cursor);
    truncateSync(relay.path(1), relay.bytes(1).length - 10);
    const writer = await relay.openWriter();
    expect(() => cursor.next()).toThrow(expect.objectContaining({ code: 'RELAY_CORRUPT', action: 'retry' }));
    source.start(writer, writer.retrieved!);
    expect(() => cursor.next()).toThrow(expect.objectContaining({ code: 'RELAY_CORRUPT', action: 'retry' }));
  });
});
