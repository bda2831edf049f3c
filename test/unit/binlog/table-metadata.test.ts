import { describe, expect, test } from 'vitest';
import type { TableDecoder } from '../../../src/binlog/column-values.ts';
import { decodeTableMap } from '../../../src/binlog/table-map.ts';
import { tableMetadata } from '../../../src/binlog/table-metadata.ts';
import { tableOf } from './rows-fixture.ts';

const MYSQL = 'mysql-9.7/rows-metadata.binlog';
const MARIADB = 'mariadb-10.11/rows-types.binlog';
const BINARY = 63;
const LATIN1 = 8;
const KOI8R = 7;
const UTF8MB4 = 255;

const by = <T>(table: TableDecoder, values: readonly T[]): Record<string, T> =>
  Object.fromEntries(table.columns.map((column) => [column.name!, values[column.column]!]));

const noNulls = (record: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null));

describe('optional metadata of MySQL 9.7', () => {
  const mixed = tableOf(MYSQL, 'mixed');

  test('signedness skips BIT and counts YEAR', () => {
    expect(noNulls(by(mixed, mixed.metadata.unsigned))).toEqual({
      a: true,
      y: true,
      f: false,
      d: true,
      größe: false,
    });
  });

  test('collations of character, ENUM and SET columns, VECTOR counted, GEOMETRY and JSON not', () => {
    expect(noNulls(by(mixed, mixed.metadata.collations))).toEqual({
      bl: BINARY,
      tx: LATIN1,
      vb: BINARY,
      v: BINARY,
      v8: BINARY,
      e: LATIN1,
      s: UTF8MB4,
      e2: LATIN1,
      c: KOI8R,
    });
  });

  test('members are bytes in the character set of their column', () => {
    expect(noNulls(by(mixed, mixed.metadata.members))).toEqual({
      e: [Buffer.from('x'), Buffer.from('é', 'latin1')],
      s: [Buffer.from('q')],
      e2: [Buffer.from('z')],
    });
  });

  test('geometry types, vector dimensions, the primary key with its prefix, the hidden column', () => {
    expect(noNulls(by(mixed, mixed.metadata.geometryTypes))).toEqual({ g: 0, p: 1 });
    expect(noNulls(by(mixed, mixed.metadata.vectorDimensions))).toEqual({ v: 3, v8: 8 });
    expect(mixed.metadata.primaryKey).toEqual([
      { column: 0, prefix: 0 },
      { column: 8, prefix: 5 },
    ]);
    expect(Object.entries(by(mixed, mixed.metadata.visible!)).filter(([, visible]) => !visible)).toEqual([
      ['größe', false],
    ]);
  });

  test('a primary key of whole columns keeps the order of the key', () => {
    expect(tableOf(MYSQL, 'simple').metadata.primaryKey).toEqual([
      { column: 1, prefix: 0 },
      { column: 0, prefix: 0 },
    ]);
    expect(tableOf(MYSQL, 'bare').metadata.primaryKey).toBeNull();
  });

  test('MINIMAL keeps signedness, character sets, geometry types and dimensions only', () => {
    const minimal = tableOf(MYSQL, 'mixed', 1).metadata;
    expect(minimal).toEqual({
      ...mixed.metadata,
      names: null,
      primaryKey: null,
      visible: null,
      members: new Array(18).fill(null),
      collations: mixed.metadata.collations.map((id, column) => (column >= 12 && column <= 14 ? null : id)),
    });
  });
});

describe('optional metadata of MariaDB 10.11', () => {
  test('counts GEOMETRY among the character columns', () => {
    const mixed = tableOf(MARIADB, 'mixed');
    const collations = by(mixed, mixed.metadata.collations);
    expect([collations.g, collations.bl, collations.tx, collations.c, collations.u, collations.j]).toEqual([
      BINARY,
      BINARY,
      LATIN1,
      45,
      BINARY,
      46,
    ]);
    expect(noNulls(by(mixed, mixed.metadata.unsigned))).toMatchObject({
      id: false,
      u8: true,
      y: true,
      d: true,
    });
    expect(mixed.metadata.visible).toBeNull();
  });
});

describe('metadata that is not to be trusted', () => {
  const map = decodeTableMap(Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 3, 0, 0]), 0, 17);
  const read = (...bytes: number[]) =>
    tableMetadata({ ...map, optionalMetadata: Buffer.from(bytes) }, 'mysql');

  test('a field of an unknown type is passed over', () => {
    expect(read(99, 3, 1, 2, 3, 1, 1, 0b0100_0000).unsigned).toEqual([false, true]);
  });

  test.each([
    ['a field that reaches past the end', [4, 200, 1]],
    ['too many bits', [1, 2, 0, 0]],
    ['fewer names than columns', [4, 2, 1, 0x61]],
    ['more names than columns', [4, 6, 1, 0x61, 1, 0x62, 1, 0x63]],
    ['a key over a column that is not there', [8, 1, 2]],
    ['a half pair in a key', [9, 1, 0]],
    ['a character set for a column that is not there', [2, 3, 8, 0, 8]],
  ])('%s is malformed', (_, bytes) => {
    expect(() => read(...bytes)).toThrow(expect.objectContaining({ code: 'MALFORMED_EVENT' }));
  });
});
