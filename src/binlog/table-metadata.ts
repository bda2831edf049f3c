/**
 * The optional metadata at the end of a TABLE_MAP_EVENT: what turns bytes into values with names.
 *
 * A sequence of fields: type (1), lenenc length, that many bytes.
 *    1 SIGNEDNESS                    bit per numeric column, most significant first; 1 = unsigned
 *    2 DEFAULT_CHARSET               lenenc collation, then pairs (n-th character column, collation) that differ
 *    3 COLUMN_CHARSET                lenenc collation per character column; instead of 2
 *    4 COLUMN_NAME                   lenenc length and bytes per column
 *    5 SET_STR_VALUE, 6 ENUM_STR_VALUE   per SET / ENUM column: lenenc count, then lenenc length and bytes each
 *    7 GEOMETRY_TYPE                 lenenc per GEOMETRY column
 *    8 SIMPLE_PRIMARY_KEY            lenenc column numbers
 *    9 PRIMARY_KEY_WITH_PREFIX       pairs (column number, length of the prefix in bytes; 0 = the whole column)
 *   10 / 11                          as 2 / 3 for ENUM and SET columns
 *   12 COLUMN_VISIBILITY             bit per column, most significant first; 1 = visible
 *   13 VECTOR_DIMENSIONALITY         lenenc per VECTOR column
 *
 * binlog_row_metadata=MINIMAL writes 1, 2 or 3, 7 and 13 only; MySQL 5.7 and MariaDB's NO_LOG write nothing.
 * Which columns count as numeric or as character is not in the event. On MySQL 9.7.4 and MariaDB 10.11 alike YEAR is
 * numeric (BIT is not); GEOMETRY is a character column for MariaDB only, VECTOR for MySQL.
 * Facts: MySQL's "Table_map_event" page; the column classes were read off events of both servers.
 */
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { ColumnType, realType } from './column-type.ts';
import type { Flavour } from './format-description.ts';
import type { TableMap } from './table-map.ts';

const WHAT = 'TABLE_MAP_EVENT metadata';

const Field = {
  SIGNEDNESS: 1,
  DEFAULT_CHARSET: 2,
  COLUMN_CHARSET: 3,
  COLUMN_NAME: 4,
  SET_STR_VALUE: 5,
  ENUM_STR_VALUE: 6,
  GEOMETRY_TYPE: 7,
  SIMPLE_PRIMARY_KEY: 8,
  PRIMARY_KEY_WITH_PREFIX: 9,
  ENUM_AND_SET_DEFAULT_CHARSET: 10,
  ENUM_AND_SET_COLUMN_CHARSET: 11,
  COLUMN_VISIBILITY: 12,
  VECTOR_DIMENSIONALITY: 13,
} as const;

/** One column of a primary key; `prefix` in bytes, 0: the whole column. */
export interface PrimaryKeyPart {
  readonly column: number;
  readonly prefix: number;
}

/** Arrays are in column order; null: the event does not tell, or the question does not apply to the column. */
export interface TableMetadata {
  readonly unsigned: readonly (boolean | null)[];
  /** Collation ids, of character, ENUM and SET columns. 63 is `binary`. */
  readonly collations: readonly (number | null)[];
  readonly names: readonly string[] | null;
  /** The values of ENUM and SET columns, as bytes in the column's own character set. */
  readonly members: readonly (readonly Buffer[] | null)[];
  readonly geometryTypes: readonly (number | null)[];
  readonly primaryKey: readonly PrimaryKeyPart[] | null;
  readonly visible: readonly boolean[] | null;
  readonly vectorDimensions: readonly (number | null)[];
}

/** Throws MALFORMED_EVENT. Fields of unknown type are passed over, as the format intends. */
export function tableMetadata(map: TableMap, flavour: Flavour): TableMetadata {
  const classes = classifyColumns(map, flavour);
  const unsigned = emptyColumns<boolean>(map);
  const collations = emptyColumns<number>(map);
  const members = emptyColumns<readonly Buffer[]>(map);
  const geometryTypes = emptyColumns<number>(map);
  const vectorDimensions = emptyColumns<number>(map);
  let names: string[] | null = null;
  let primaryKey: PrimaryKeyPart[] | null = null;
  let visible: boolean[] | null = null;

  const bytes = map.optionalMetadata;
  const fields = new ByteDecoder(bytes, 0, bytes.length, WHAT);
  while (fields.remaining > 0) {
    const type = fields.u8();
    const field = nextField(fields);
    switch (type) {
      case Field.SIGNEDNESS:
        readBits(field, classes.numeric, unsigned);
        break;
      case Field.DEFAULT_CHARSET:
        readDefaultCharset(field, classes.character, collations);
        break;
      case Field.COLUMN_CHARSET:
        readNumbers(field, classes.character, collations);
        break;
      case Field.ENUM_AND_SET_DEFAULT_CHARSET:
        readDefaultCharset(field, classes.enumAndSet, collations);
        break;
      case Field.ENUM_AND_SET_COLUMN_CHARSET:
        readNumbers(field, classes.enumAndSet, collations);
        break;
      case Field.COLUMN_NAME:
        names = readNames(field, map.columnCount);
        break;
      case Field.SET_STR_VALUE:
        readMembers(field, classes.set, members);
        break;
      case Field.ENUM_STR_VALUE:
        readMembers(field, classes.enum, members);
        break;
      case Field.GEOMETRY_TYPE:
        readNumbers(field, classes.geometry, geometryTypes);
        break;
      case Field.VECTOR_DIMENSIONALITY:
        readNumbers(field, classes.vector, vectorDimensions);
        break;
      case Field.SIMPLE_PRIMARY_KEY:
        primaryKey = readPrimaryKey(field, map.columnCount, false);
        break;
      case Field.PRIMARY_KEY_WITH_PREFIX:
        primaryKey = readPrimaryKey(field, map.columnCount, true);
        break;
      case Field.COLUMN_VISIBILITY:
        visible = readVisibility(field, map);
        break;
      default:
        field.skip(field.remaining);
    }
    if (field.remaining > 0) throw malformed(WHAT, `${field.remaining} bytes are left over in field ${type}`);
  }
  return { unsigned, collations, names, members, geometryTypes, primaryKey, visible, vectorDimensions };
}

interface ColumnClasses {
  readonly numeric: number[];
  readonly character: number[];
  readonly enumAndSet: number[];
  readonly enum: number[];
  readonly set: number[];
  readonly geometry: number[];
  readonly vector: number[];
}

function classifyColumns(map: TableMap, flavour: Flavour): ColumnClasses {
  const classes: ColumnClasses = {
    numeric: [],
    character: [],
    enumAndSet: [],
    enum: [],
    set: [],
    geometry: [],
    vector: [],
  };
  for (let column = 0; column < map.columnCount; column++) {
    switch (realType(map.columnTypes[column]!, map.columnMetadata[column]!)) {
      case ColumnType.TINY:
      case ColumnType.SHORT:
      case ColumnType.INT24:
      case ColumnType.LONG:
      case ColumnType.LONGLONG:
      case ColumnType.NEWDECIMAL:
      case ColumnType.FLOAT:
      case ColumnType.DOUBLE:
      case ColumnType.YEAR:
        classes.numeric.push(column);
        break;
      case ColumnType.STRING:
      case ColumnType.VAR_STRING:
      case ColumnType.VARCHAR:
      case ColumnType.VARCHAR_COMPRESSED:
      case ColumnType.TINY_BLOB:
      case ColumnType.MEDIUM_BLOB:
      case ColumnType.LONG_BLOB:
      case ColumnType.BLOB:
      case ColumnType.BLOB_COMPRESSED:
        classes.character.push(column);
        break;
      case ColumnType.GEOMETRY:
        if (flavour === 'mariadb') classes.character.push(column);
        classes.geometry.push(column);
        break;
      case ColumnType.VECTOR:
        classes.character.push(column);
        classes.vector.push(column);
        break;
      case ColumnType.ENUM:
        classes.enumAndSet.push(column);
        classes.enum.push(column);
        break;
      case ColumnType.SET:
        classes.enumAndSet.push(column);
        classes.set.push(column);
        break;
    }
  }
  return classes;
}

function emptyColumns<T>(map: TableMap): (T | null)[] {
  return new Array<T | null>(map.columnCount).fill(null);
}

function nextField(fields: ByteDecoder): ByteDecoder {
  const length = fields.lenencInt();
  const start = fields.pos;
  fields.skip(length);
  return new ByteDecoder(fields.buf, start, start + length, WHAT);
}

function readBits(field: ByteDecoder, columns: readonly number[], into: (boolean | null)[]): void {
  const bytes = (columns.length + 7) >> 3;
  if (field.remaining !== bytes) {
    throw malformed(WHAT, `${field.remaining} bytes of bits for ${columns.length} columns`);
  }
  const bits = field.bytes(bytes);
  for (let n = 0; n < columns.length; n++) into[columns[n]!] = ((bits[n >> 3]! >> (7 - (n & 7))) & 1) === 1;
}

function readVisibility(field: ByteDecoder, map: TableMap): boolean[] {
  const visible = new Array<boolean>(map.columnCount).fill(false);
  readBits(field, [...visible.keys()], visible);
  return visible;
}

function readDefaultCharset(field: ByteDecoder, columns: readonly number[], into: (number | null)[]): void {
  const common = field.lenencInt();
  for (const column of columns) into[column] = common;
  while (field.remaining > 0) {
    const column = columns[field.lenencInt()];
    if (column === undefined) throw malformed(WHAT, 'a character set for a column that is not there');
    into[column] = field.lenencInt();
  }
}

function readNumbers(field: ByteDecoder, columns: readonly number[], into: (number | null)[]): void {
  for (const column of columns) into[column] = field.lenencInt();
}

function readNames(field: ByteDecoder, columnCount: number): string[] {
  const names: string[] = [];
  for (let i = 0; i < columnCount; i++) names.push(field.utf8(field.lenencInt()));
  return names;
}

function readMembers(
  field: ByteDecoder,
  columns: readonly number[],
  into: (readonly Buffer[] | null)[],
): void {
  for (const column of columns) {
    const count = field.lenencInt();
    if (count > field.remaining) throw malformed(WHAT, `${count} members in ${field.remaining} bytes`);
    const members: Buffer[] = [];
    for (let i = 0; i < count; i++) members.push(field.bytes(field.lenencInt()));
    into[column] = members;
  }
}

function readPrimaryKey(field: ByteDecoder, columnCount: number, withPrefix: boolean): PrimaryKeyPart[] {
  const key: PrimaryKeyPart[] = [];
  while (field.remaining > 0) {
    const column = field.lenencInt();
    if (column >= columnCount) throw malformed(WHAT, `column ${column} of ${columnCount} in the primary key`);
    key.push({ column, prefix: withPrefix ? field.lenencInt() : 0 });
  }
  return key;
}
