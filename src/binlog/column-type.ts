/**
 * The types of columns as a TABLE_MAP_EVENT names them, and what their metadata bytes mean.
 *
 * The metadata block holds 0, 1 or 2 bytes a column, without lengths: one column misread shifts all that follow.
 *
 *   FLOAT DOUBLE                              1  width of the value
 *   BLOB family, JSON, GEOMETRY, VECTOR       1  bytes of the length in front of the value
 *   TIME2 DATETIME2 TIMESTAMP2                1  digits after the second
 *   NEWDECIMAL                                2  precision, scale
 *   BIT                                       2  bits modulo 8, whole bytes
 *   VARCHAR VAR_STRING                        2  longest value in bytes, little-endian
 *   STRING ENUM SET                           2  real type, low byte of the length: see `realType`
 *   TYPED_ARRAY                               1  element's type, then the element's own metadata
 *
 * Facts: MySQL's "Table_map_event" page and `calc_field_size`, which gives no length for a TYPED_ARRAY either: the
 * hidden columns of multi-valued indexes are not written to the binary log.
 */
import { malformed } from './byte-decoder.ts';

/** MySQL's names without MYSQL_TYPE_; 140 and 141 are MariaDB's own. */
export const ColumnType = {
  DECIMAL: 0,
  TINY: 1,
  SHORT: 2,
  LONG: 3,
  FLOAT: 4,
  DOUBLE: 5,
  NULL: 6,
  TIMESTAMP: 7,
  LONGLONG: 8,
  INT24: 9,
  DATE: 10,
  TIME: 11,
  DATETIME: 12,
  YEAR: 13,
  NEWDATE: 14,
  VARCHAR: 15,
  BIT: 16,
  TIMESTAMP2: 17,
  DATETIME2: 18,
  TIME2: 19,
  TYPED_ARRAY: 20,
  BLOB_COMPRESSED: 140,
  VARCHAR_COMPRESSED: 141,
  VECTOR: 242,
  INVALID: 243,
  BOOL: 244,
  JSON: 245,
  NEWDECIMAL: 246,
  ENUM: 247,
  SET: 248,
  TINY_BLOB: 249,
  MEDIUM_BLOB: 250,
  LONG_BLOB: 251,
  BLOB: 252,
  VAR_STRING: 253,
  STRING: 254,
  GEOMETRY: 255,
} as const;

const NAMES = new Map<number, string>(Object.entries(ColumnType).map(([name, type]) => [type, name]));

export function columnTypeName(type: number): string {
  return NAMES.get(type) ?? `column type ${type}`;
}

/** How many metadata bytes a column of this type has in the table map; TYPED_ARRAY: only its own first byte. */
export function metadataWidth(type: number): 0 | 1 | 2 {
  switch (type) {
    case ColumnType.FLOAT:
    case ColumnType.DOUBLE:
    case ColumnType.TINY_BLOB:
    case ColumnType.MEDIUM_BLOB:
    case ColumnType.LONG_BLOB:
    case ColumnType.BLOB:
    case ColumnType.BLOB_COMPRESSED:
    case ColumnType.JSON:
    case ColumnType.GEOMETRY:
    case ColumnType.VECTOR:
    case ColumnType.TIMESTAMP2:
    case ColumnType.DATETIME2:
    case ColumnType.TIME2:
    case ColumnType.TYPED_ARRAY:
      return 1;
    case ColumnType.NEWDECIMAL:
    case ColumnType.BIT:
    case ColumnType.VARCHAR:
    case ColumnType.VARCHAR_COMPRESSED:
    case ColumnType.VAR_STRING:
    case ColumnType.STRING:
    case ColumnType.ENUM:
    case ColumnType.SET:
      return 2;
    default:
      return 0;
  }
}

/**
 * ENUM and SET travel as STRING, and a CHAR of more than 255 bytes borrows two bits of the type byte for its length:
 * bits 4 and 5 of the type byte are the inverted bits 8 and 9 of the length (MySQL bug 37426).
 * `metadata` is (type byte << 8) | length byte, as `TableMap.columnMetadata` has it. Throws MALFORMED_EVENT when
 * another type than these hides there.
 */
export function realType(type: number, metadata: number): number {
  if (type !== ColumnType.STRING || metadata < 256) return type;
  const real = (metadata >> 8) | 0x30;
  switch (real) {
    case ColumnType.ENUM:
    case ColumnType.SET:
    case ColumnType.STRING:
      return real;
    case ColumnType.VAR_STRING:
      return ColumnType.STRING;
    default:
      throw malformed('TABLE_MAP_EVENT', `a ${columnTypeName(real)} cannot hide in a STRING`);
  }
}

/**
 * TIME, DATETIME and TIMESTAMP as before MySQL 5.6.4. MariaDB uses the same numbers, without metadata, for its own old
 * format with a fraction (mysql56_temporal_format=OFF), which is longer: there only the table's definition tells.
 */
export function isOldTemporal(type: number): boolean {
  return type === ColumnType.TIME || type === ColumnType.DATETIME || type === ColumnType.TIMESTAMP;
}

/** Longest value in bytes of a CHAR or BINARY column (see `realType`). */
export function stringLength(metadata: number): number {
  if (metadata < 256) return metadata;
  const high = (((metadata >> 8) & 0x30) ^ 0x30) << 4;
  return high | (metadata & 0xff);
}

/** Bytes of a NEWDECIMAL value: nine digits in four bytes, the rest of either side in as few as hold them. */
export function decimalWidth(precision: number, scale: number): number {
  const whole = precision - scale;
  return groupBytes(whole) + groupBytes(scale);
}

const REST_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4] as const;

function groupBytes(digits: number): number {
  return Math.floor(digits / 9) * 4 + REST_BYTES[digits % 9]!;
}

/**
 * How long a value is: a number ≥ 0 is the width of a fixed-width type, -1 to -4 say that a little-endian length of 1
 * to 4 bytes stands in front. Throws MALFORMED_EVENT for metadata that no server writes and for types whose width
 * nobody can know.
 */
export function valueLength(type: number, metadata: number): number {
  const real = realType(type, metadata);
  switch (real) {
    case ColumnType.NULL:
      return 0;
    case ColumnType.TINY:
    case ColumnType.YEAR:
    case ColumnType.BOOL:
      return 1;
    case ColumnType.SHORT:
      return 2;
    case ColumnType.INT24:
    case ColumnType.DATE:
    case ColumnType.NEWDATE:
    case ColumnType.TIME:
      return 3;
    case ColumnType.FLOAT:
      if (metadata !== 4) throw malformed('TABLE_MAP_EVENT', `a FLOAT of ${metadata} bytes`);
      return 4;
    case ColumnType.DOUBLE:
      if (metadata !== 8) throw malformed('TABLE_MAP_EVENT', `a DOUBLE of ${metadata} bytes`);
      return 8;
    case ColumnType.LONG:
    case ColumnType.TIMESTAMP:
      return 4;
    case ColumnType.LONGLONG:
    case ColumnType.DATETIME:
      return 8;
    case ColumnType.TIMESTAMP2:
      return 4 + fractionBytes(metadata);
    case ColumnType.DATETIME2:
      return 5 + fractionBytes(metadata);
    case ColumnType.TIME2:
      return 3 + fractionBytes(metadata);
    case ColumnType.NEWDECIMAL: {
      const precision = metadata >> 8;
      const scale = metadata & 0xff;
      if (precision < 1 || precision > 65 || scale > precision) {
        throw malformed('TABLE_MAP_EVENT', `there is no DECIMAL(${precision},${scale})`);
      }
      return decimalWidth(precision, scale);
    }
    case ColumnType.BIT: {
      const bits = (metadata & 0xff) + (metadata >> 8) * 8;
      if ((metadata & 0xff) > 7 || bits > 64) throw malformed('TABLE_MAP_EVENT', `there is no BIT(${bits})`);
      return (bits + 7) >> 3;
    }
    case ColumnType.ENUM: {
      const width = metadata & 0xff;
      if (width !== 1 && width !== 2) throw malformed('TABLE_MAP_EVENT', `an ENUM of ${width} bytes`);
      return width;
    }
    case ColumnType.SET: {
      const width = metadata & 0xff;
      if (width < 1 || width > 8) throw malformed('TABLE_MAP_EVENT', `a SET of ${width} bytes`);
      return width;
    }
    case ColumnType.VARCHAR:
    case ColumnType.VARCHAR_COMPRESSED:
    case ColumnType.VAR_STRING:
      return metadata > 255 ? -2 : -1;
    case ColumnType.STRING:
      return stringLength(metadata) > 255 ? -2 : -1;
    case ColumnType.BLOB:
    case ColumnType.TINY_BLOB:
    case ColumnType.MEDIUM_BLOB:
    case ColumnType.LONG_BLOB:
    case ColumnType.BLOB_COMPRESSED:
    case ColumnType.JSON:
    case ColumnType.GEOMETRY:
    case ColumnType.VECTOR:
      if (metadata < 1 || metadata > 4) {
        throw malformed('TABLE_MAP_EVENT', `a ${columnTypeName(real)} with a length of ${metadata} bytes`);
      }
      return -metadata;
    default:
      throw malformed('TABLE_MAP_EVENT', `the length of a ${columnTypeName(real)} value is not known`);
  }
}

/** Bytes that hold `digits` digits after the second: two digits a byte. */
export function fractionBytes(digits: number): number {
  if (digits > 6) throw malformed('TABLE_MAP_EVENT', `${digits} digits after the second`);
  return (digits + 1) >> 1;
}
