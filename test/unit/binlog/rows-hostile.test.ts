import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { tableDecoder } from '../../../src/binlog/column-values.ts';
import { countRows } from '../../../src/binlog/row-images.ts';
import { decodeRows } from '../../../src/binlog/row-values.ts';
import { decodeTableMap } from '../../../src/binlog/table-map.ts';
import { type RecordedRows, recordedRows } from './rows-fixture.ts';

const EVENTS = [
  'mysql-9.7/rows-types.binlog',
  'mysql-9.7/rows-images.binlog',
  'mysql-9.7/rows-partial-json.binlog',
  'mysql-9.7/rows-metadata.binlog',
  'mysql-9.7/rows-json.binlog',
  'mariadb-10.11/rows-types.binlog',
].flatMap(recordedRows);

/** Reads everything there is in a table map and a rows event; a number of rows, or the error. */
function readAll(event: RecordedRows, mapBody: Buffer, rowsBody: Buffer): number | MillraceError {
  const outcome = (read: () => number): number | MillraceError => {
    try {
      return read();
    } catch (error) {
      if (error instanceof MillraceError) return error;
      throw error;
    }
  };
  const { type, fde } = event;
  const map = (): ReturnType<typeof decodeTableMap> => decodeTableMap(mapBody, 0, mapBody.length);
  const counted = outcome(() => countRows(map(), rowsBody, 0, rowsBody.length, type, fde.postHeaderLengths));
  const decoded = outcome(() => {
    let rows = 0;
    for (const _ of decodeRows(
      tableDecoder(map(), fde.flavour, { fractionDigits: () => 0 }),
      rowsBody,
      0,
      rowsBody.length,
      type,
    ))
      rows++;
    return rows;
  });
  // Counting sees lengths only, decoding sees values too: whatever decodes must count the same.
  if (typeof decoded === 'number') expect(counted).toBe(decoded);
  return decoded;
}

const mapOf = (event: RecordedRows): Buffer => Buffer.from(event.buf.subarray(event.mapStart, event.mapEnd));
const rowsOf = (event: RecordedRows): Buffer => Buffer.from(event.buf.subarray(event.start, event.end));

describe('bytes that are not to be trusted', () => {
  test('a rows event cut off anywhere is an error, except between two rows', () => {
    for (const event of EVENTS.filter((recorded) => recorded.end - recorded.start < 400)) {
      const rows = rowsOf(event);
      const whole = readAll(event, mapOf(event), rows) as number;
      let shorter = 0;
      for (let end = 0; end < rows.length; end++) {
        const result = readAll(event, mapOf(event), rows.subarray(0, end));
        if (typeof result === 'number') shorter++;
      }
      expect(shorter).toBeLessThanOrEqual(Math.max(whole, 1));
    }
  });

  test('a table map cut off anywhere, or with bytes behind it, gives an error or a table', () => {
    for (const event of EVENTS) {
      const map = mapOf(event);
      for (let end = 0; end < map.length; end += 1 + (map.length >> 8)) {
        readAll(event, map.subarray(0, end), rowsOf(event));
      }
      readAll(event, Buffer.concat([map, Buffer.alloc(7, 0xff)]), rowsOf(event));
    }
  });

  test('flipped bits and overwritten bytes give a MillraceError or rows, never anything else', () => {
    const damage = fc.array(
      fc.tuple(
        fc.boolean(),
        fc.nat(),
        fc.oneof(fc.constantFrom(0, 0xff, 0x7f, 0x80), fc.integer({ min: 0, max: 255 })),
      ),
      { minLength: 1, maxLength: 5 },
    );
    fc.assert(
      fc.property(fc.nat({ max: EVENTS.length - 1 }), damage, (n, hits) => {
        const event = EVENTS[n]!;
        const map = mapOf(event);
        const rows = rowsOf(event);
        for (const [inMap, at, value] of hits) {
          const bytes = inMap ? map : rows;
          if (bytes.length > 0) bytes[at % bytes.length] = value;
        }
        readAll(event, map, rows);
      }),
      { numRuns: 3000 },
    );
  });

  test('random bytes after a real head do not hang', () => {
    fc.assert(
      fc.property(fc.nat({ max: EVENTS.length - 1 }), fc.uint8Array({ maxLength: 400 }), (n, noise) => {
        const event = EVENTS[n]!;
        readAll(event, mapOf(event), Buffer.concat([rowsOf(event).subarray(0, 14), noise]));
      }),
      { numRuns: 2000 },
    );
  });
});
