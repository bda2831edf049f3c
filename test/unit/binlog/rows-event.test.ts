import { describe, expect, test } from 'vitest';
import { tableDecoder } from '../../../src/binlog/column-values.ts';
import { EventType } from '../../../src/binlog/event-header.ts';
import { countRows } from '../../../src/binlog/row-images.ts';
import { decodeRows } from '../../../src/binlog/row-values.ts';
import { isRowsEvent, ROWS_FLAG, rowsHeader } from '../../../src/binlog/rows-event.ts';
import { decodeTableMap } from '../../../src/binlog/table-map.ts';
import { changesOf, recordedRows } from './rows-fixture.ts';

const FILES = [
  'mysql-9.7/rows-types.binlog',
  'mysql-9.7/rows-images.binlog',
  'mysql-9.7/rows-partial-json.binlog',
  'mysql-9.7/rows-metadata.binlog',
  'mysql-9.7/rows-json.binlog',
  'mariadb-10.11/rows-types.binlog',
];

/** Two columns, INT and VARCHAR(20), of table 7. */
const MAP = decodeTableMap(Buffer.from([7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 15, 2, 20, 0, 3]), 0, 19);
const HEAD_V2 = [7, 0, 0, 0, 0, 0, 1, 0, 2, 0, 2];
const HEAD_V1 = [7, 0, 0, 0, 0, 0, 1, 0, 2];

function count(type: number, ...bytes: number[]): number {
  const body = Buffer.from(bytes);
  return countRows(MAP, body, 0, body.length, type);
}

describe('the head of a rows event', () => {
  test('is the same for every event of a recorded log: id of its table map, as many columns', () => {
    for (const event of FILES.flatMap(recordedRows)) {
      const head = rowsHeader(event.buf, event.start, event.end, event.type, event.fde.postHeaderLengths);
      expect([head.tableId, head.columnCount]).toEqual([event.table.map.tableId, event.table.columns.length]);
      expect(event.buf.readUInt16LE(head.flagsOffset)).toBe(head.flags);
    }
  });

  test('only the last event of a statement ends it', () => {
    const ends = recordedRows('mysql-9.7/rows-json.binlog').map(
      ({ buf, start, end, type }) => rowsHeader(buf, start, end, type).flags & ROWS_FLAG.STMT_END,
    );
    expect(ends).toEqual([1, 0, 1, 1]);
  });

  test('tells that MySQL 9.7 cascades foreign keys in the SQL layer', () => {
    const [event] = recordedRows(FILES[0]!);
    const head = rowsHeader(event!.buf, event!.start, event!.end, event!.type);
    expect(head.flags & ROWS_FLAG.USE_SQL_FOREIGN_KEY).not.toBe(0);
  });

  test('v2 carries extra data, which is passed over by its length', () => {
    const body = Buffer.from([7, 0, 0, 0, 0, 0, 1, 0, 5, 0, 9, 9, 9, 2, 0b11, 0, 1, 0, 0, 0, 1, 0x61]);
    const head = rowsHeader(body, 0, body.length, EventType.WRITE_ROWS_EVENT);
    expect([head.extraStart, head.extraLength, head.rowsStart]).toEqual([10, 3, 15]);
    expect(countRows(MAP, body, 0, body.length, EventType.WRITE_ROWS_EVENT)).toBe(1);
  });

  test('an update has two bitmaps, an insert and a delete have one', () => {
    const body = Buffer.from([...HEAD_V2, 0b01, 0b10]);
    const update = rowsHeader(body, 0, body.length, EventType.UPDATE_ROWS_EVENT);
    expect([update.presentStart, update.presentAfterStart, update.rowsStart]).toEqual([11, 12, 13]);
    const insert = rowsHeader(body, 0, body.length, EventType.DELETE_ROWS_EVENT);
    expect([insert.presentStart, insert.presentAfterStart, insert.rowsStart]).toEqual([11, 11, 12]);
  });

  test('a declared post-header of 6 bytes means an id of 4 bytes, 0 means that the source never writes the type', () => {
    const lengths = new Uint8Array(40);
    const body = Buffer.from([7, 0, 0, 0, 1, 0, 2, 0b11]);
    lengths[EventType.WRITE_ROWS_EVENT_V1 - 1] = 6;
    expect(rowsHeader(body, 0, body.length, EventType.WRITE_ROWS_EVENT_V1, lengths).rowsStart).toBe(8);
    lengths[EventType.WRITE_ROWS_EVENT_V1 - 1] = 0;
    const six = Buffer.from([...HEAD_V1, 0b11]);
    expect(rowsHeader(six, 0, six.length, EventType.WRITE_ROWS_EVENT_V1, lengths).tableId).toBe(7);
    lengths[EventType.WRITE_ROWS_EVENT_V1 - 1] = 12;
    expect(() => rowsHeader(six, 0, six.length, EventType.WRITE_ROWS_EVENT_V1, lengths)).toThrow(/12 bytes/);
  });

  test('other types are no rows events, also not before they are decompressed', () => {
    expect([30, 31, 32, 39, 23, 24, 25, 20].every(isRowsEvent)).toBe(true);
    expect([19, 29, 166, 169].some(isRowsEvent)).toBe(false);
    expect(() => rowsHeader(Buffer.alloc(40), 0, 40, 166)).toThrow(/no rows event/);
  });

  test.each([
    ['no columns', [...HEAD_V1.slice(0, 8), 0]],
    ['4097 columns', [...HEAD_V1.slice(0, 8), 0xfc, 1, 16]],
    ['a bitmap that is cut off', HEAD_V1],
  ])('with %s is malformed', (_, bytes) => {
    expect(() => rowsHeader(Buffer.from(bytes), 0, bytes.length, 23)).toThrow(
      expect.objectContaining({ code: 'MALFORMED_EVENT' }),
    );
  });

  test('an extra header shorter than its own length is malformed', () => {
    const body = Buffer.from([7, 0, 0, 0, 0, 0, 1, 0, 1, 0, 2, 0b11]);
    expect(() => rowsHeader(body, 0, body.length, 30)).toThrow(/shorter than its own length/);
  });
});

describe('counting rows', () => {
  test('gives as many rows as decoding them, for every event of every recorded log', () => {
    for (const event of FILES.flatMap(recordedRows)) {
      const { buf, start, end, type, fde, table } = event;
      expect(countRows(table.map, buf, start, end, type, fde.postHeaderLengths)).toBe(
        changesOf(event).length,
      );
    }
  });

  test('an insert without any column and without any byte is one row, an update or delete none', () => {
    expect(count(EventType.WRITE_ROWS_EVENT, ...HEAD_V2, 0)).toBe(1);
    expect(count(EventType.DELETE_ROWS_EVENT, ...HEAD_V2, 0b11)).toBe(0);
    expect(count(EventType.UPDATE_ROWS_EVENT, ...HEAD_V2, 0b11, 0b11)).toBe(0);
  });

  test('looks at the present columns only', () => {
    // Three deletes identified by the INT alone: a null byte and four bytes each.
    const rows = [0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0xfe, 3, 0, 0, 0];
    expect(count(EventType.DELETE_ROWS_EVENT, ...HEAD_V2, 0b01, ...rows)).toBe(3);
  });

  test('does not take the unused bits of the null bitmap for a NULL', () => {
    expect(count(EventType.WRITE_ROWS_EVENT_V1, ...HEAD_V1, 0b11, 0xfc, 1, 0, 0, 0, 0)).toBe(1);
    expect(count(EventType.WRITE_ROWS_EVENT_V1, ...HEAD_V1, 0b11, 0xfd, 1, 0x61)).toBe(1);
  });

  test.each([
    ['a value that reaches past the end', [...HEAD_V1, 0b11, 0, 1, 0, 0, 0, 5, 0x61]],
    ['a null bitmap that is cut off after a whole row', [...HEAD_V1, 0b01, 0, 1, 0, 0, 0, 0]],
    ['bytes behind rows without columns', [...HEAD_V1, 0, 1, 2]],
    ['a length that is cut off', [...HEAD_V1, 0b10, 0]],
  ])('%s is malformed', (_, bytes) => {
    expect(() => count(EventType.WRITE_ROWS_EVENT_V1, ...bytes)).toThrow(
      expect.objectContaining({ code: 'MALFORMED_EVENT' }),
    );
    const body = Buffer.from(bytes);
    expect(() => [...decodeRows(tableDecoder(MAP, 'mysql'), body, 0, body.length, 23)]).toThrow(
      expect.objectContaining({ code: 'MALFORMED_EVENT' }),
    );
  });

  test('another table id or another number of columns than the map has is malformed', () => {
    expect(() => count(23, 8, ...HEAD_V1.slice(1), 0b11)).toThrow(/table id 8/);
    expect(() => count(23, ...HEAD_V1.slice(0, 8), 3, 0b111)).toThrow(/3 columns/);
  });

  test('rows of a development version before 5.1.18 are refused', () => {
    expect(() => count(EventType.WRITE_ROWS_EVENT_V0, ...HEAD_V1, 0b11, 0)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    );
  });

  test('value options that nobody knows are refused', () => {
    const before = [0, 1, 0, 0, 0];
    expect(() => count(39, ...HEAD_V2, 0b01, 0b01, ...before, 2, 0, 0, 1, 0, 0, 0)).toThrow(
      /value options 0x2/,
    );
    expect(count(39, ...HEAD_V2, 0b01, 0b01, ...before, 0, 0, 1, 0, 0, 0)).toBe(1);
  });
});
