import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { crc32 } from '../../../src/binlog/checksum.ts';
import { EVENT_HEADER_LENGTH, EventType, eventTypeName } from '../../../src/binlog/event-header.ts';
import { TransactionBoundary } from '../../../src/binlog/transaction-boundary.ts';
import {
  decodePayloadHeader,
  type PayloadHeader,
  PayloadReader,
} from '../../../src/binlog/transaction-payload.ts';
import { buildEvent, buildQuery, buildXid } from '../../support/binlog-builder.ts';
import { readFixture } from '../../support/binlog-fixture.ts';
import { frame, rawFrameOf, rleBlock } from '../../support/zstd-builder.ts';

const malformed = expect.objectContaining({ code: 'MALFORMED_EVENT' });
const unsupported = expect.objectContaining({ code: 'UNSUPPORTED' });
const NO_LIMITS = { uncompressedSizeMax: Number.MAX_SAFE_INTEGER, eventLengthMax: 2 ** 30 };

const file = readFixture('mysql-9.7/compressed.binlog');
const bodies = file.events
  .filter((event) => event.type === EventType.TRANSACTION_PAYLOAD_EVENT)
  .map(({ start, end }) => file.bytes.subarray(start + EVENT_HEADER_LENGTH, end));

function open(payload: Buffer, header: PayloadHeader, piece = payload.length, limits = NO_LIMITS): Buffer[] {
  const reader = new PayloadReader(header, limits);
  const events: Buffer[] = [];
  for (let at = 0; at < payload.length; at += piece) {
    for (const event of reader.push(payload.subarray(at, at + piece))) events.push(Buffer.from(event));
  }
  reader.finish();
  return events;
}

function openBody(body: Buffer, piece?: number): Buffer[] {
  const header = decodePayloadHeader(body, 0, body.length);
  return open(body.subarray(header.payloadOffset), header, piece);
}

/** As mysqlbinlog prints it: the checksum that the event would have with room for one in its length. */
function printedCrc(event: Buffer): string {
  const whole = Buffer.from(event);
  whole.writeUInt32LE(event.length + 4, 9);
  return crc32(whole, 0, whole.length).toString(16).padStart(8, '0');
}

describe('payloads of MySQL 9.7', () => {
  test('the header says what mysqlbinlog prints', () => {
    expect(bodies.map((body) => decodePayloadHeader(body, 0, body.length))).toEqual([
      { compression: 'zstd', compressedSize: 187, uncompressedSize: 11326, payloadOffset: 12 },
      { compression: 'zstd', compressedSize: 243, uncompressedSize: 640207, payloadOffset: 13 },
      { compression: 'zstd', compressedSize: 25495, uncompressedSize: 195642, payloadOffset: 15 },
    ]);
  });

  test('the events are byte by byte those that mysqlbinlog unpacks', () => {
    const printed = bodies.map((body) => openBody(body).map((event) => `${event[4]} ${printedCrc(event)}`));
    expect(printed[0]).toEqual([
      '2 50bc985e',
      '19 c3ae1d21',
      '30 34cfdf79',
      '19 c3ae1d21',
      '31 0426899c',
      '16 44592921',
    ]);
    expect(printed[1]).toEqual(['2 50bc985e', '19 c3ae1d21', '30 c45d4880', '16 c01327db']);
    expect(printed[2]).toHaveLength(28);
    expect(printed[2]!.slice(0, 4)).toEqual(['2 50bc985e', '19 c3ae1d21', '30 dccba858', '30 d89818b2']);
    expect(printed[2]!.slice(-2)).toEqual(['30 a8fb0a6c', '16 823620a6']);
  });

  test('the same events come however the payload is cut into pieces', () => {
    fc.assert(
      fc.property(fc.constantFrom(...bodies), fc.integer({ min: 1, max: 3000 }), (body, piece) => {
        expect(openBody(body, piece).map(printedCrc)).toEqual(openBody(body).map(printedCrc));
      }),
      { numRuns: 25 },
    );
  });

  test('the events are a transaction by the grammar', () => {
    for (const body of bodies) {
      const boundary = new TransactionBoundary(file.fde);
      const places = openBody(body).map((event) => boundary.feed(event, 0, event.length));
      expect(places[0]).toBe('begin');
      expect(places.slice(1, -1).every((place) => place === 'inside')).toBe(true);
      expect(places.at(-1)).toBe('end');
    }
  });
});

describe('the header', () => {
  const header = (bytes: number[], bodyLength = bytes.length) =>
    decodePayloadHeader(Buffer.from(bytes), 0, bytes.length, bodyLength);

  test('of a large event is read from its beginning', () => {
    expect(header([2, 1, 0, 3, 3, 0xfc, 0, 4, 1, 4, 0xfd, 0, 0, 1, 0, 9, 9], 65536 + 15)).toEqual({
      compression: 'zstd',
      uncompressedSize: 1024,
      compressedSize: 65536,
      payloadOffset: 15,
    });
  });

  test('passes over fields of a later version; without compression one size is enough', () => {
    expect(header([9, 2, 1, 1, 2, 3, 0xfc, 0xff, 0, 1, 1, 3, 0, 7, 7, 7])).toEqual({
      compression: 'none',
      uncompressedSize: 3,
      compressedSize: 3,
      payloadOffset: 13,
    });
  });

  test.each([
    ['no size', [2, 1, 0, 3, 1, 9, 0]],
    ['no compression', [1, 1, 0, 3, 1, 9, 0]],
    ['no uncompressed size', [2, 1, 0, 1, 1, 0, 0]],
    ['a size that is not that of the event', [2, 1, 0, 3, 1, 9, 1, 1, 5, 0, 1]],
    ['no end', [2, 1, 0, 3, 1, 9]],
    ['a field longer than the event', [2, 200, 0]],
    ['a value longer than its field', [2, 1, 0xfd, 0]],
  ])('with %s is damage', (_what, bytes) => {
    expect(() => header(bytes)).toThrow(malformed);
  });

  test('with another compression is refused by name', () => {
    expect(() => header([2, 1, 1, 3, 1, 9, 1, 1, 0, 0])).toThrow(unsupported);
  });
});

describe('hostile payloads', () => {
  const group = [buildQuery('BEGIN'), buildQuery(`INSERT ${'x'.repeat(500)}`), buildXid()];
  const plain = Buffer.concat(group);
  const headerOf = (payload: Buffer, uncompressedSize: number): PayloadHeader => ({
    compression: 'zstd',
    uncompressedSize,
    compressedSize: payload.length,
    payloadOffset: 0,
  });
  const opened = (content: Buffer, declared = content.length, limits = NO_LIMITS) => {
    const payload = rawFrameOf(content, 64);
    return open(payload, headerOf(payload, declared), 50, limits);
  };

  test('what is as declared is opened, compressed or not', () => {
    expect(opened(plain)).toEqual(group);
    expect(open(plain, { ...headerOf(plain, plain.length), compression: 'none' }, 7)).toEqual(group);
  });

  test.each([
    ['more than declared', plain, plain.length - 1],
    ['less than declared', plain, plain.length + 1],
    [
      'an event that reaches past the end',
      Buffer.concat([plain, buildXid().subarray(0, -1)]),
      plain.length + 26,
    ],
    ['a last event without a whole header', Buffer.concat([plain, Buffer.alloc(18)]), plain.length + 18],
    ['an event shorter than its header', Buffer.concat([plain, Buffer.alloc(19)]), plain.length + 19],
    ['a payload inside of a payload', buildEvent(EventType.TRANSACTION_PAYLOAD_EVENT), 19],
  ])('%s is damage', (_what, content, declared) => {
    expect(() => opened(content, declared)).toThrow(malformed);
  });

  test('a payload cut off, or with bytes behind it, is damage', () => {
    const payload = rawFrameOf(plain, 64);
    const header = headerOf(payload, plain.length);
    for (let end = 0; end < payload.length; end += 13) {
      expect(() => open(payload.subarray(0, end), header)).toThrow(malformed);
    }
    expect(() => open(Buffer.concat([payload, Buffer.alloc(1)]), header)).toThrow(malformed);
  });

  test('limits of the caller are kept, by name', () => {
    expect(() =>
      opened(plain, plain.length, { ...NO_LIMITS, uncompressedSizeMax: plain.length - 1 }),
    ).toThrow(unsupported);
    expect(() => opened(plain, plain.length, { ...NO_LIMITS, eventLengthMax: 500 })).toThrow(unsupported);
  });

  test('an event that claims a gigabyte gets memory only as it comes', () => {
    const claim = Buffer.alloc(EVENT_HEADER_LENGTH);
    claim[4] = EventType.WRITE_ROWS_EVENT;
    claim.writeUInt32LE(2 ** 30, 9);
    const payload = Buffer.concat([rawFrameOf(claim, 64), frame([rleBlock(0, 1024, true)])]);
    const reader = new PayloadReader(headerOf(payload, 2 ** 31), NO_LIMITS);
    const before = process.memoryUsage().arrayBuffers;
    expect([...reader.push(payload)]).toEqual([]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 * 1024 * 1024);
    expect(() => reader.finish()).toThrow(malformed);
  });

  test('an event larger than many blocks comes whole', () => {
    const large = buildEvent(EventType.WRITE_ROWS_EVENT, Buffer.alloc(3_000_000, 'r'));
    const events = open(
      rawFrameOf(large, 100_000),
      headerOf(rawFrameOf(large, 100_000), large.length),
      70_001,
    );
    expect(events).toHaveLength(1);
    expect(events[0]!.equals(large)).toBe(true);
  });

  test('random damage gives typed errors only', () => {
    const body = bodies[0]!;
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(body.length - 1), fc.nat(255)), { maxLength: 4 }), (changes) => {
        const damaged = Buffer.from(body);
        for (const [at, value] of changes) damaged[at] = value;
        try {
          for (const event of openBody(damaged, 40)) expect(eventTypeName(event[4]!)).toBeTypeOf('string');
        } catch (error) {
          if (!(error instanceof MillraceError) || error.code === 'INTERNAL') throw error;
        }
      }),
      { numRuns: 300 },
    );
  });
});
