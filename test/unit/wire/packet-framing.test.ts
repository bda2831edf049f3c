import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  framePacket,
  PACKET_PAYLOAD_MAX,
  PacketReader,
  PayloadFramer,
  packetCount,
} from '../../../src/wire/packet-framing.ts';

/** Joins pieces back into payloads and checks what the reader promises about them. */
class Collector {
  readonly payloads: Buffer[] = [];
  readonly sequences: number[] = [];
  #parts: Buffer[] = [];
  #open = false;
  reader = new PacketReader(this);

  piece(buf: Buffer, start: number, end: number, first: boolean, last: boolean): void {
    expect(first).toBe(!this.#open);
    expect(start).toBeLessThanOrEqual(end);
    expect(end).toBeLessThanOrEqual(buf.length);
    this.#parts.push(Buffer.from(buf.subarray(start, end)));
    this.#open = !last;
    if (!last) return;
    this.payloads.push(Buffer.concat(this.#parts));
    this.sequences.push(this.reader.sequence);
    this.#parts = [];
  }
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let pos = 0;
  for (let i = 0; pos < bytes.length; i++) {
    const size = sizes.length === 0 ? bytes.length : Math.max(1, sizes[i % sizes.length] as number);
    chunks.push(bytes.subarray(pos, pos + size));
    pos += size;
  }
  return chunks;
}

test('packets come out as they went in, however the socket cuts them', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
      fc.array(fc.integer({ min: 1, max: 70 }), { maxLength: 10 }),
      (payloads, sizes) => {
        const wire = Buffer.concat(payloads.map((payload, i) => framePacket(Buffer.from(payload), i)));
        const collector = new Collector();
        for (const chunk of cut(wire, sizes)) collector.reader.push(chunk);
        expect(collector.payloads).toEqual(payloads.map((payload) => Buffer.from(payload)));
        expect(collector.sequences).toEqual(payloads.map((_, i) => i & 0xff));
        expect(collector.reader.atBoundary).toBe(true);
      },
    ),
  );
});

test.each([-10, -2, -1, 0, 1, 2, 10])('a payload of 16 MiB - 1 %i bytes survives framing', (delta) => {
  const payload = Buffer.alloc(PACKET_PAYLOAD_MAX + delta, 0x5a);
  payload[payload.length - 1] = 1;
  const wire = framePacket(payload, 254);
  const packets = delta >= 0 ? 2 : 1;
  expect(packetCount(payload.length)).toBe(packets);
  expect(wire.length).toBe(payload.length + 4 * packets);
  const collector = new Collector();
  for (const chunk of cut(wire, [65_536])) collector.reader.push(chunk);
  expect(collector.payloads).toHaveLength(1);
  expect(collector.payloads[0]?.equals(payload)).toBe(true);
  expect(collector.sequences).toEqual([(254 + packets - 1) & 0xff]);
});

test('twice 16 MiB - 1 bytes end with an empty packet', () => {
  const payload = Buffer.alloc(2 * PACKET_PAYLOAD_MAX);
  const wire = framePacket(payload);
  expect(wire.subarray(-4)).toEqual(Buffer.from([0, 0, 0, 2]));
  const collector = new Collector();
  collector.reader.push(wire);
  expect(collector.payloads[0]?.length).toBe(payload.length);
});

test('pieces are framed without being copied', () => {
  const piece = Buffer.alloc(1000);
  const out: Buffer[] = [];
  const framer = new PayloadFramer(2000);
  framer.push(piece, out);
  framer.push(piece, out);
  framer.finish(out);
  expect(out.filter((buffer) => buffer === piece)).toHaveLength(2);
  expect(out).toHaveLength(3);
});

test('a payload that does not have its announced length is a fault of ours', () => {
  const framer = new PayloadFramer(3);
  const out: Buffer[] = [];
  framer.push(Buffer.alloc(2), out);
  expect(() => framer.finish(out)).toThrow('shorter');
  expect(() => framer.push(Buffer.alloc(2), out)).toThrow('longer');
});
