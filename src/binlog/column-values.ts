/**
 * Values of columns: a decoder per column, built once for a table map, and the rows of an event in decoded form.
 *
 * A value is faithful, never merely convenient (what is in the table can be rebuilt from it):
 *   integer (≤ 32 bits), year, enum (its index), float, double   number
 *   bigint, bit, set (its bitmap)                                bigint
 *   decimal, date, time, datetime, timestamp (UTC), json         string, as the server writes it
 *   bytes (CHAR … BLOB, in the column's character set), geometry (SRID and WKB), vector (float32)   Buffer
 *   json of a PARTIAL_UPDATE_ROWS_EVENT                          JsonDiff[]
 *   NULL                                                         null
 *   not in the image                                             undefined
 * Buffers are views of the event: they live as long as its buffer does.
 *
 * Not here: character set conversion, padding of BINARY(N) (the binary log strips trailing 0x00; `length` tells N),
 * numbers of ENUM members into text (`members` has them).
 */
import { MillraceError } from '../base/errors.ts';
import { malformed } from './byte-decoder.ts';
import {
  ColumnType,
  columnTypeName,
  isOldTemporal,
  realType,
  stringLength,
  valueLength,
} from './column-type.ts';
import { decompressColumn } from './compressed-column.ts';
import { decimalText } from './decimal-value.ts';
import type { Flavour } from './format-description.ts';
import type { JsonDiff } from './json-diff.ts';
import { jsonText } from './json-value.ts';
import { isNullable, type TableMap } from './table-map.ts';
import { type TableMetadata, tableMetadata } from './table-metadata.ts';
import * as temporal from './temporal-value.ts';

export type ColumnKind =
  | 'integer'
  | 'bigint'
  | 'float'
  | 'double'
  | 'decimal'
  | 'bit'
  | 'year'
  | 'date'
  | 'time'
  | 'datetime'
  | 'timestamp'
  | 'bytes'
  | 'enum'
  | 'set'
  | 'json'
  | 'geometry'
  | 'vector'
  | 'null';

export type ColumnValue = null | number | bigint | string | Buffer | readonly JsonDiff[];

/** Values in column order; undefined: the column is not in this image. */
export type Row = readonly (ColumnValue | undefined)[];

export interface ColumnDecoder {
  readonly column: number;
  readonly kind: ColumnKind;
  /** ColumnType with ENUM and SET made out. */
  readonly type: number;
  /** null: the event does not tell; integers are then read as signed, and a consumer must know better or stop. */
  readonly unsigned: boolean | null;
  readonly nullable: boolean;
  readonly name: string | null;
  readonly collation: number | null;
  readonly members: readonly Buffer[] | null;
  /** Longest value in bytes (CHAR, VARCHAR, BINARY), bits (BIT), digits after the second, precision (DECIMAL); else 0. */
  readonly length: number;
  /** Digits after the point (DECIMAL); else 0. */
  readonly scale: number;
  /** Bytes of the value, or minus the bytes of the length in front of it. */
  readonly width: number;
  /** Decodes the value whose bytes, without a length in front, are [start, end): the caller has checked them. */
  readonly decode: (buf: Buffer, start: number, end: number) => ColumnValue;
}

export interface TableDecoder {
  readonly map: TableMap;
  readonly metadata: TableMetadata;
  readonly columns: readonly ColumnDecoder[];
}

/** What the table's definition tells and the event may not. Columns count from 0; null: not known here either. */
export interface DefinitionHints {
  /** For columns without signedness in the event (MySQL 5.7, MariaDB's NO_LOG). */
  readonly unsigned?: (column: number) => boolean | null;
  /** Digits after the second of MariaDB's TIME, DATETIME and TIMESTAMP columns of the old format. */
  readonly fractionDigits?: (column: number) => number | null;
}

/**
 * Throws MALFORMED_EVENT, or UNSUPPORTED for a column whose values have no form that is known for certain: also for
 * MariaDB's old temporal types, unless `hints` say that they have no fraction (row-images.ts `hasKnownLengths`).
 */
export function tableDecoder(map: TableMap, flavour: Flavour, hints: DefinitionHints = {}): TableDecoder {
  const metadata = tableMetadata(map, flavour);
  const columns: ColumnDecoder[] = [];
  for (let column = 0; column < map.columnCount; column++) {
    if (flavour === 'mariadb') refuseHiddenFraction(map, column, hints.fractionDigits?.(column) ?? null);
    const unsigned = metadata.unsigned[column] ?? hints.unsigned?.(column) ?? null;
    columns.push(columnDecoder(map, metadata, column, unsigned));
  }
  return { map, metadata, columns };
}

type Form = Pick<ColumnDecoder, 'kind' | 'decode'> & { length?: number; scale?: number };

function columnDecoder(
  map: TableMap,
  metadata: TableMetadata,
  column: number,
  unsigned: boolean | null,
): ColumnDecoder {
  const wireType = map.columnTypes[column]!;
  const bits = map.columnMetadata[column]!;
  const type = realType(wireType, bits);
  const form = formOf(map, column, type, bits, unsigned === true);
  return {
    column,
    kind: form.kind,
    type,
    unsigned,
    nullable: isNullable(map, column),
    name: metadata.names?.[column] ?? null,
    collation: metadata.collations[column] ?? null,
    members: metadata.members[column] ?? null,
    length: form.length ?? 0,
    scale: form.scale ?? 0,
    width: valueLength(wireType, bits),
    decode: form.decode,
  };
}

function formOf(map: TableMap, column: number, type: number, bits: number, unsigned: boolean): Form {
  switch (type) {
    case ColumnType.TINY:
    case ColumnType.BOOL:
      return integer(1, unsigned);
    case ColumnType.SHORT:
      return integer(2, unsigned);
    case ColumnType.INT24:
      return integer(3, unsigned);
    case ColumnType.LONG:
      return integer(4, unsigned);
    case ColumnType.LONGLONG:
      return unsigned
        ? { kind: 'bigint', decode: (buf, at) => buf.readBigUInt64LE(at) }
        : { kind: 'bigint', decode: (buf, at) => buf.readBigInt64LE(at) };
    case ColumnType.FLOAT:
      return { kind: 'float', decode: (buf, at) => buf.readFloatLE(at) };
    case ColumnType.DOUBLE:
      return { kind: 'double', decode: (buf, at) => buf.readDoubleLE(at) };
    case ColumnType.NEWDECIMAL: {
      const length = bits >> 8;
      const scale = bits & 0xff;
      return { kind: 'decimal', length, scale, decode: (buf, at) => decimalText(buf, at, length, scale) };
    }
    case ColumnType.BIT:
      return { kind: 'bit', length: (bits & 0xff) + (bits >> 8) * 8, decode: bigEndian };
    case ColumnType.YEAR:
      return { kind: 'year', decode: (buf, at) => (buf[at] === 0 ? 0 : 1900 + buf[at]!) };
    case ColumnType.DATE:
    case ColumnType.NEWDATE:
      return { kind: 'date', decode: (buf, at) => temporal.dateText(buf, at) };
    case ColumnType.TIME:
      return { kind: 'time', decode: (buf, at) => temporal.oldTimeText(buf, at) };
    case ColumnType.DATETIME:
      return { kind: 'datetime', decode: (buf, at) => temporal.oldDatetimeText(buf, at) };
    case ColumnType.TIMESTAMP:
      return { kind: 'timestamp', decode: (buf, at) => temporal.oldTimestampText(buf, at) };
    case ColumnType.TIME2:
      return { kind: 'time', length: bits, decode: (buf, at) => temporal.time2Text(buf, at, bits) };
    case ColumnType.DATETIME2:
      return { kind: 'datetime', length: bits, decode: (buf, at) => temporal.datetime2Text(buf, at, bits) };
    case ColumnType.TIMESTAMP2:
      return { kind: 'timestamp', length: bits, decode: (buf, at) => temporal.timestamp2Text(buf, at, bits) };
    case ColumnType.ENUM:
      return { kind: 'enum', decode: (buf, at, end) => buf.readUIntLE(at, end - at) };
    case ColumnType.SET:
      return { kind: 'set', decode: littleEndian };
    case ColumnType.STRING:
      return { kind: 'bytes', length: stringLength(bits), decode: view };
    case ColumnType.VARCHAR:
    case ColumnType.VAR_STRING:
      return { kind: 'bytes', length: bits, decode: view };
    case ColumnType.TINY_BLOB:
    case ColumnType.MEDIUM_BLOB:
    case ColumnType.LONG_BLOB:
    case ColumnType.BLOB:
      return { kind: 'bytes', decode: view };
    case ColumnType.VARCHAR_COMPRESSED:
      return { kind: 'bytes', length: bits, decode: decompressColumn };
    case ColumnType.BLOB_COMPRESSED:
      return { kind: 'bytes', decode: decompressColumn };
    case ColumnType.GEOMETRY:
      return { kind: 'geometry', decode: view };
    case ColumnType.VECTOR:
      return { kind: 'vector', decode: vector };
    case ColumnType.JSON:
      return { kind: 'json', decode: jsonText };
    case ColumnType.NULL:
      return { kind: 'null', decode: () => null };
    default:
      throw new MillraceError('UNSUPPORTED', `values of a ${columnTypeName(type)} cannot be read`, {
        facts: { table: `${map.database}.${map.table}`, column: column + 1 },
      });
  }
}

function refuseHiddenFraction(map: TableMap, column: number, digits: number | null): void {
  const type = map.columnTypes[column]!;
  if (!isOldTemporal(type) || digits === 0) return;
  throw new MillraceError(
    'UNSUPPORTED',
    `a MariaDB ${columnTypeName(type)} column in the format before 10.1`,
    {
      hint: 'The event does not tell its length. Rebuild the table with mysql56_temporal_format=ON: ALTER TABLE … FORCE.',
      facts: { table: `${map.database}.${map.table}`, column: column + 1 },
    },
  );
}

function integer(width: 1 | 2 | 3 | 4, unsigned: boolean): Form {
  return unsigned
    ? { kind: 'integer', decode: (buf, at) => buf.readUIntLE(at, width) }
    : { kind: 'integer', decode: (buf, at) => buf.readIntLE(at, width) };
}

function view(buf: Buffer, start: number, end: number): Buffer {
  return buf.subarray(start, end);
}

function vector(buf: Buffer, start: number, end: number): Buffer {
  if ((end - start) % 4 !== 0) throw malformed('VECTOR value', `${end - start} bytes are no whole floats`);
  return buf.subarray(start, end);
}

function bigEndian(buf: Buffer, start: number, end: number): bigint {
  let value = 0n;
  for (let i = start; i < end; i++) value = (value << 8n) | BigInt(buf[i]!);
  return value;
}

function littleEndian(buf: Buffer, start: number, end: number): bigint {
  let value = 0n;
  for (let i = end - 1; i >= start; i--) value = (value << 8n) | BigInt(buf[i]!);
  return value;
}
