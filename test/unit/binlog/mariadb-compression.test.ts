import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../../../src/binlog/event-header.ts';
import { decompressMariadbEvent, isMariadbCompressed } from '../../../src/binlog/mariadb-compression.ts';
import { decodeQuery } from '../../../src/binlog/query-event.ts';
import { buildEvent, buildQuery } from '../../support/binlog-builder.ts';
import { readFixture } from '../../support/binlog-fixture.ts';

const T = EventType;
const malformed = expect.objectContaining({ code: 'MALFORMED_EVENT' });
const file = readFixture('mariadb-10.11/compressed.binlog');
const compressed = file.events
  .filter((event) => isMariadbCompressed(event.type))
  .map(({ start, end }) => Buffer.from(file.bytes.subarray(start, end)));

/** Head with a length of 1 to 4 bytes, then the zlib stream. */
function pack(plain: Buffer, { lengthBytes = 2, declared = plain.length, head = 0x80 } = {}): Buffer {
  const length = Buffer.alloc(lengthBytes);
  length.writeUIntBE(declared, 0, lengthBytes);
  return Buffer.concat([Buffer.of(head | lengthBytes), length, deflateSync(plain)]);
}

function compressedQuery(packed: Buffer): Buffer {
  const event = buildQuery('', Buffer.from([7, 1, 0]), T.MARIADB_QUERY_COMPRESSED_EVENT);
  const whole = Buffer.concat([event, packed]);
  whole.writeUInt32LE(whole.length, 9);
  return whole;
}

describe('events of MariaDB 10.11', () => {
  test('statements come out as they were sent', () => {
    const queries = compressed.filter((event) => event[4] === T.MARIADB_QUERY_COMPRESSED_EVENT);
    const texts = queries.map((event) => {
      const plain = decompressMariadbEvent(event, 10_000);
      expect(plain[4]).toBe(T.QUERY_EVENT);
      expect(plain.readUInt32LE(9)).toBe(plain.length);
      expect(plain.subarray(13, 19)).toEqual(event.subarray(13, 19));
      const query = decodeQuery(plain, EVENT_HEADER_LENGTH, plain.length, file.fde);
      expect(query.database).toBe('shop');
      return plain.toString('utf8', query.sqlStart, query.sqlEnd);
    });
    expect(texts).toEqual([
      'CREATE TABLE page (id INT PRIMARY KEY, body LONGTEXT, comment_that_makes_the_statement_longer VARCHAR(100)) ENGINE=InnoDB',
      "INSERT INTO page VALUES (2, 'a statement that is compressed, compressed, compressed, compressed', 'y')",
    ]);
  });

  test('rows come out as plain rows events', () => {
    const rows = compressed
      .filter((event) => event[4] !== T.MARIADB_QUERY_COMPRESSED_EVENT)
      .map((event) => decompressMariadbEvent(event, 100_000));
    expect(rows.map((event) => event[4])).toEqual([
      T.WRITE_ROWS_EVENT_V1,
      T.UPDATE_ROWS_EVENT_V1,
      T.DELETE_ROWS_EVENT_V1,
    ]);
    // Row 1: no NULLs, id 1, body of 3000 bytes with a length of four, 'x' with a length of one.
    const image = (body: Buffer, last: Buffer) =>
      Buffer.concat([Buffer.from([0xf8, 1, 0, 0, 0]), lengthOf(body), body, last]);
    const abc = image(Buffer.from('abc'.repeat(1000)), Buffer.from([1, 0x78]));
    const z = image(Buffer.from('z'.repeat(5000)), Buffer.from([1, 0x78]));
    const rowsAt = (event: Buffer, bitmaps: number) => event.subarray(EVENT_HEADER_LENGTH + 8 + 1 + bitmaps);
    expect(rowsAt(rows[0]!, 1).equals(abc)).toBe(true);
    expect(rowsAt(rows[1]!, 2).subarray(0, abc.length).equals(abc)).toBe(true);
    expect(rowsAt(rows[1]!, 2).subarray(-z.length).equals(z)).toBe(true);
    expect(rowsAt(rows[2]!, 1).equals(z)).toBe(true);
    for (const event of rows) expect(event.readUInt32LE(9)).toBe(event.length);
  });
});

function lengthOf(body: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  return length;
}

describe('events by hand', () => {
  const plain = Buffer.from('INSERT INTO t VALUES (1)');

  test.each([1, 2, 3, 4])('a length of %i bytes', (lengthBytes) => {
    const event = decompressMariadbEvent(compressedQuery(pack(plain, { lengthBytes })), 1000);
    expect(event.subarray(-plain.length)).toEqual(plain);
  });

  test('rows of version 2 have extra data and are found behind it', () => {
    for (const [type, twin, bitmaps] of [
      [T.MARIADB_WRITE_ROWS_COMPRESSED_EVENT, T.WRITE_ROWS_EVENT, 1],
      [T.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT, T.UPDATE_ROWS_EVENT, 2],
      [T.MARIADB_DELETE_ROWS_COMPRESSED_EVENT, T.DELETE_ROWS_EVENT, 1],
    ] as const) {
      const head = Buffer.concat([
        Buffer.alloc(8),
        Buffer.from([5, 0, 1, 2, 3]),
        Buffer.from([3]),
        Buffer.alloc(bitmaps, 7),
      ]);
      const event = decompressMariadbEvent(buildEvent(type, Buffer.concat([head, pack(plain)])), 1000);
      expect(event[4]).toBe(twin);
      expect(event.subarray(EVENT_HEADER_LENGTH)).toEqual(Buffer.concat([head, plain]));
    }
  });

  test('an event without content is one', () => {
    const event = decompressMariadbEvent(compressedQuery(pack(Buffer.alloc(0))), 1000);
    expect(event.readUInt32LE(9)).toBe(event.length);
  });

  test.each([
    ['more content than declared', pack(plain, { declared: plain.length - 1 })],
    ['less content than declared', pack(plain, { declared: plain.length + 1 })],
    ['another algorithm', pack(plain, { head: 0x90 })],
    ['no mark of compression', pack(plain, { head: 0 })],
    ['a length of five bytes', pack(plain, { head: 0x85, lengthBytes: 5 })],
    ['a stream cut off', pack(plain).subarray(0, -5)],
    ['no stream', Buffer.from([0x81, 5])],
    ['nothing', Buffer.alloc(0)],
  ])('%s is damage', (_what, packed) => {
    expect(() => decompressMariadbEvent(compressedQuery(packed), 1000)).toThrow(malformed);
  });

  test('a bomb is refused before it is opened when it is honest, and cut off when it lies', () => {
    const zeros = Buffer.alloc(20_000_000);
    expect(() => decompressMariadbEvent(compressedQuery(pack(zeros, { lengthBytes: 4 })), 1_000_000)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    );
    const lie = compressedQuery(pack(zeros, { lengthBytes: 4, declared: 1000 }));
    expect(() => decompressMariadbEvent(lie, 1_000_000)).toThrow(malformed);
  });

  test('a plain event is not taken for a compressed one', () => {
    expect(() => decompressMariadbEvent(buildQuery('BEGIN'), 1000)).toThrow(malformed);
    expect(() => decompressMariadbEvent(Buffer.alloc(0), 1000)).toThrow(malformed);
    expect(isMariadbCompressed(T.QUERY_EVENT)).toBe(false);
  });

  test('random damage gives typed errors only', () => {
    const changes = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 });
    fc.assert(
      fc.property(fc.constantFrom(...compressed), changes, fc.nat(300), (event, flips, cut) => {
        const damaged = Buffer.from(event.subarray(0, Math.max(5, event.length - cut)));
        for (const [at, value] of flips) if (at % damaged.length !== 4) damaged[at % damaged.length] = value;
        try {
          decompressMariadbEvent(damaged, 100_000);
        } catch (error) {
          if (!(error instanceof MillraceError) || error.code === 'INTERNAL') throw error;
        }
      }),
      { numRuns: 500 },
    );
  });
});
