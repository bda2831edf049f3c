import { describe, expect, test } from 'vitest';
import { ColumnType, realType, stringLength, valueLength } from '../../../src/binlog/column-type.ts';
import { EVENT_HEADER_LENGTH } from '../../../src/binlog/event-header.ts';
import {
  decodeTableMap,
  isNullable,
  TABLE_MAP_FLAG,
  tableMapNames,
  withDatabase,
} from '../../../src/binlog/table-map.ts';
import { TableMapCache } from '../../../src/binlog/table-map-cache.ts';
import { recordedRows, tableOf } from './rows-fixture.ts';

const TYPES = 'mysql-9.7/rows-types.binlog';
const METADATA = 'mysql-9.7/rows-metadata.binlog';

function tableMap(columns: readonly number[], metadata: readonly number[], name = 'names'): Buffer {
  const text = Buffer.from(name);
  return Buffer.concat([
    Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0]),
    Buffer.from([text.length, ...text, 0, 1, 0x74, 0]),
    Buffer.from([columns.length, ...columns, metadata.length, ...metadata]),
    Buffer.alloc((columns.length + 7) >> 3, 0xff),
  ]);
}

const decode = (body: Buffer) => decodeTableMap(body, 0, body.length);

describe('a table map', () => {
  test.each(['b', 'types', 'a name that is longer than the one before', 'ü'])(
    'can name another database, %s, and is the same otherwise',
    (database) => {
      const body = tableMap([3, 252], [2]);
      const event = Buffer.concat([Buffer.alloc(7), Buffer.alloc(EVENT_HEADER_LENGTH), body]);
      const renamed = withDatabase(event, 7, event.length, database);
      expect(renamed.readUInt32LE(9)).toBe(renamed.length);
      const map = decodeTableMap(renamed, EVENT_HEADER_LENGTH, renamed.length);
      expect(map).toEqual({ ...decode(body), database });
    },
  );

  test('takes no database name that has no room in it', () => {
    const event = Buffer.concat([Buffer.alloc(EVENT_HEADER_LENGTH), tableMap([3], [])]);
    expect(() => withDatabase(event, 0, event.length, 'x'.repeat(256))).toThrow(/256 bytes/);
  });

  test('of a real server names the table and its columns', () => {
    const { map } = tableOf(TYPES, 'others');
    expect({ ...map, tableId: 0, optionalMetadata: null }).toEqual({
      tableId: 0,
      flags: TABLE_MAP_FLAG.BIT_LEN_EXACT,
      database: 'types',
      table: 'others',
      columnCount: 5,
      columnTypes: Buffer.from([3, 255, 255, 245, 242]),
      columnMetadata: Uint16Array.of(0, 4, 4, 4, 4),
      arrayElementTypes: new Uint8Array(5),
      nullableBits: Buffer.from([0b11110]),
      optionalMetadata: null,
    });
    expect([0, 1, 4].map((column) => isNullable(map, column))).toEqual([false, true, true]);
  });

  test('says that the first column is a generated invisible primary key', () => {
    expect(tableOf(METADATA, 'generated_key').map.flags & TABLE_MAP_FLAG.GENERATED_INVISIBLE_PK).not.toBe(0);
    expect(tableOf(METADATA, 'simple').map.flags & TABLE_MAP_FLAG.GENERATED_INVISIBLE_PK).toBe(0);
  });

  test('has no columns for indexes on expressions and arrays, but the generated ones', () => {
    expect(tableOf(METADATA, 'indexed').columns.map((column) => column.name)).toEqual([
      'id',
      'j',
      'x',
      'v',
      'st',
    ]);
  });

  test('outlives the buffer it was read from', () => {
    const body = tableMap([ColumnType.LONG], []);
    const map = decode(body);
    body.fill(0);
    expect([map.database, map.columnTypes[0]]).toEqual(['names', ColumnType.LONG]);
  });

  test('has an id of 48 bits', () => {
    expect(decode(tableMap([1], [])).tableId).toBe(0x7fff_ffff_ffff);
  });

  test('gives its names without the rest', () => {
    const { buf, mapStart, mapEnd, table } = recordedRows(TYPES)[0]!;
    expect(tableMapNames(buf, mapStart, mapEnd)).toEqual({
      tableId: table.map.tableId,
      database: 'types',
      table: 'integers',
    });
  });

  test.each([
    ['ends inside', tableMap([3, 3], []).subarray(0, -2)],
    ['claims more columns than there are bytes', Buffer.from(tableMap([3], []).fill(200, 20, 21))],
    ['has a metadata block that is too short for its columns', tableMap([ColumnType.VARCHAR], [1])],
    ['has a metadata block that is too long for its columns', tableMap([ColumnType.LONG], [1])],
    ['nests arrays', tableMap([ColumnType.TYPED_ARRAY], [ColumnType.TYPED_ARRAY, 0])],
  ])('that %s is malformed', (_, body) => {
    expect(() => decode(body)).toThrow(expect.objectContaining({ code: 'MALFORMED_EVENT' }));
  });

  test('with more than 4096 columns is malformed', () => {
    const body = Buffer.concat([
      tableMap([], []).subarray(0, 18),
      Buffer.from([0xfc, 0x01, 0x10]),
      Buffer.alloc(5000, 1),
    ]);
    expect(() => decode(body)).toThrow(/4097 columns/);
  });
});

describe('the metadata of a column', () => {
  test('of a STRING hides ENUM, SET and two more bits of length', () => {
    expect(realType(ColumnType.STRING, 0xf702)).toBe(ColumnType.ENUM);
    expect(realType(ColumnType.STRING, 0xf808)).toBe(ColumnType.SET);
    expect(realType(ColumnType.STRING, 0xfe0a)).toBe(ColumnType.STRING);
    // CHAR(255) of utf8mb4: 1020 bytes, bits 8 and 9 inverted in the type byte.
    expect([realType(ColumnType.STRING, 0xcefc), stringLength(0xcefc)]).toEqual([ColumnType.STRING, 1020]);
    expect(valueLength(ColumnType.STRING, 0xcefc)).toBe(-2);
    expect(() => realType(ColumnType.STRING, 0x0308)).toThrow(/cannot hide/);
  });

  test.each([
    ['a decimal of 66 digits', ColumnType.NEWDECIMAL, (66 << 8) | 30],
    ['a decimal with more digits after the point than in all', ColumnType.NEWDECIMAL, (5 << 8) | 6],
    ['65 bits', ColumnType.BIT, (8 << 8) | 1],
    ['seven digits after the second', ColumnType.TIME2, 7],
    ['a blob with a length of five bytes', ColumnType.BLOB, 5],
    ['a float of eight bytes', ColumnType.FLOAT, 8],
    ['an enum of three bytes', ColumnType.STRING, 0xf703],
    ['a type that is not there', 200, 0],
    ['an array', ColumnType.TYPED_ARRAY, 0],
  ])('refuses %s', (_, type, metadata) => {
    expect(() => valueLength(type, metadata)).toThrow(expect.objectContaining({ code: 'MALFORMED_EVENT' }));
  });
});

describe('the table map cache', () => {
  test('gives the same map for the same bytes, and a new one when anything changed', () => {
    const cache = new TableMapCache();
    const body = tableMap([3], [], 'same');
    const map = cache.get(body, 0, body.length);
    expect(cache.get(Buffer.from(body), 0, body.length)).toBe(map);
    const altered = tableMap([3, 3], [], 'same');
    expect(cache.get(altered, 0, altered.length).columnCount).toBe(2);
    expect(cache.get(body, 0, body.length)).not.toBe(map);
  });

  test('stays bounded however many tables pass', () => {
    const cache = new TableMapCache();
    const body = tableMap([3], []);
    const first = cache.get(body, 0, body.length);
    for (let id = 1; id <= 1024; id++) {
      const other = Buffer.from(body);
      other.writeUIntLE(id, 0, 6);
      cache.get(other, 0, other.length);
    }
    expect(cache.get(body, 0, body.length)).not.toBe(first);
  });

  test('refuses what the decoder refuses', () => {
    expect(() => new TableMapCache().get(Buffer.alloc(3), 0, 3)).toThrow(/TABLE_MAP_EVENT/);
  });
});
