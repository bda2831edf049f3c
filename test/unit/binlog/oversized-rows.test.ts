import { describe, expect, test } from 'vitest';
import { EVENT_HEADER_LENGTH, EventType } from '../../../src/binlog/event-header.ts';
import { countOversizedRows } from '../../../src/binlog/oversized-rows.ts';
import { countRows } from '../../../src/binlog/row-images.ts';
import { rowsHeader } from '../../../src/binlog/rows-event.ts';
import { decodeTableMap, type TableMap } from '../../../src/binlog/table-map.ts';
import { recordedRows } from './rows-fixture.ts';

/** Table 7: INT, LONGBLOB, VARCHAR(20), all nullable. */
const MAP = decodeTableMap(
  Buffer.from([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3, 252, 15, 3, 4, 20, 0, 7]),
  0,
  21,
);
const HEAD = Buffer.from([7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 3, 0b111]);

function row(blob: number | null, text: string): Buffer {
  const nulls = Buffer.from([blob === null ? 0b010 : 0]);
  const int = Buffer.from([1, 2, 3, 4]);
  const varchar = Buffer.from([text.length, ...Buffer.from(text)]);
  if (blob === null) return Buffer.concat([nulls, int, varchar]);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(blob);
  return Buffer.concat([nulls, int, length, Buffer.alloc(blob, 0xee), varchar]);
}

/** Counts without looking at more of `event` than asked for; gives also how many bytes were read. */
function walk(map: TableMap, event: Buffer, type: number, lengths?: Uint8Array) {
  const head = event.subarray(0, 64 * 1024);
  const header = rowsHeader(head, EVENT_HEADER_LENGTH, head.length, type, lengths);
  let bytesRead = 0;
  const rows = countOversizedRows(map, head, 0, header, {
    length: event.length,
    read: (offset, length) => {
      expect(offset + length).toBeLessThanOrEqual(event.length);
      bytesRead += length;
      return event.subarray(offset, offset + length);
    },
  });
  return { rows, bytesRead };
}

const deleteOf = (...rows: Buffer[]) => Buffer.concat([Buffer.alloc(EVENT_HEADER_LENGTH), HEAD, ...rows]);

describe('counting the rows of an event on disk', () => {
  test('gives what counting in memory gives, for every event of every recorded log', () => {
    const files = ['rows-types', 'rows-images', 'rows-partial-json', 'rows-metadata', 'rows-json'];
    const events = files.flatMap((name) => recordedRows(`mysql-9.7/${name}.binlog`));
    expect(events.length).toBeGreaterThan(20);
    for (const { table, buf, start, end, type, fde } of events) {
      const event = buf.subarray(start - EVENT_HEADER_LENGTH, end);
      expect(walk(table.map, event, type, fde.postHeaderLengths).rows).toBe(
        countRows(table.map, buf, start, end, type, fde.postHeaderLengths),
      );
    }
  });

  test('many small rows over many windows are counted exactly', () => {
    const rows = Array.from({ length: 30_000 }, (_, n) =>
      row(n % 3 === 0 ? null : n % 17, 'x'.repeat(n % 20)),
    );
    expect(walk(MAP, deleteOf(...rows), EventType.DELETE_ROWS_EVENT).rows).toBe(30_000);
  });

  test('a large value is stepped over without being read', () => {
    const event = deleteOf(row(8 * 1024 * 1024, 'a'), row(null, 'b'), row(8 * 1024 * 1024, 'c'));
    const { rows, bytesRead } = walk(MAP, event, EventType.DELETE_ROWS_EVENT);
    expect(rows).toBe(3);
    expect(bytesRead).toBeLessThan(512 * 1024);
  });

  test.each([
    ['a value that reaches past the end', deleteOf(row(100, 'a')).subarray(0, -3)],
    ['a length that is cut off', deleteOf(row(100, 'a'), Buffer.from([0, 1, 2, 3, 4, 9, 9]))],
    ['a null bitmap and nothing else', deleteOf(row(null, 'a'), Buffer.from([0]))],
  ])('%s is malformed', (_, event) => {
    expect(() => walk(MAP, event, EventType.DELETE_ROWS_EVENT)).toThrow(
      expect.objectContaining({ code: 'MALFORMED_EVENT' }),
    );
  });

  test('bytes behind rows without columns are malformed: the walk ends', () => {
    const event = Buffer.concat([deleteOf(), Buffer.from([1, 2, 3])]);
    event[EVENT_HEADER_LENGTH + HEAD.length - 1] = 0;
    expect(() => walk(MAP, event, EventType.DELETE_ROWS_EVENT)).toThrow(/hold no column/);
  });
});
