/**
 * TABLE_MAP_EVENT (19): names the table and the form of the columns for the rows events that follow with the same id.
 *
 * Body, little-endian:
 *   0  6  table id        a number for the time until STMT_END, no lasting identity
 *   6  2  flags           TABLE_MAP_FLAG
 *   8  1+n+1  database    length, bytes, NUL
 *      1+n+1  table       length, bytes, NUL
 *      lenenc column count, then one type byte a column
 *      lenenc size of the metadata block, then the block (column-type.ts)
 *      (count+7)/8  nullable bitmap, least significant bit first
 *      …  optional metadata (table-metadata.ts), up to the end
 *
 * Invariants
 *  - A TableMap owns its bytes: it outlives the buffer it was read from.
 *  - Optional metadata is not looked at here: passing rows on needs lengths only, and must not stop at a hint it does
 *    not use.
 */
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { ColumnType, metadataWidth } from './column-type.ts';
import { EVENT_HEADER_LENGTH } from './event-header.ts';

const WHAT = 'TABLE_MAP_EVENT';
const TABLE_ID_AND_FLAGS = 8;
const EVENT_LENGTH_OFFSET = 9;

/** MySQL and MariaDB: MAX_FIELDS. */
export const COLUMNS_MAX = 4096;

/** A rows event with this id has no table map and no rows: it only carries STMT_END. */
export const DUMMY_TABLE_IDS: readonly number[] = [0x00ff_ffff, 0xffff_ffff_ffff];

export const TABLE_MAP_FLAG = {
  BIT_LEN_EXACT: 0x1,
  REFERRED_FK_DB: 0x2,
  /** MySQL 8.0.32+: the first column is a generated invisible primary key. */
  GENERATED_INVISIBLE_PK: 0x4,
  /** MariaDB: the table has triggers on the source. */
  HAS_TRIGGERS: 0x4000,
} as const;

export interface TableMap {
  readonly tableId: number;
  readonly flags: number;
  readonly database: string;
  readonly table: string;
  readonly columnCount: number;
  /** ColumnType as written: ENUM and SET are still STRING here (`realType`). */
  readonly columnTypes: Uint8Array;
  /** Per column, 0 where a type has none; what the numbers mean is told in column-type.ts. */
  readonly columnMetadata: Uint16Array;
  /** Element type of a TYPED_ARRAY column; 0 for all others. */
  readonly arrayElementTypes: Uint8Array;
  /** Bit n of byte n/8: the column may be NULL. */
  readonly nullableBits: Uint8Array;
  /** The optional metadata as bytes; empty when the source writes none. */
  readonly optionalMetadata: Buffer;
}

export interface TableMapNames {
  readonly tableId: number;
  readonly database: string;
  readonly table: string;
}

/**
 * `start` and `end` are those of the body (behind the header, before the checksum). Throws MALFORMED_EVENT.
 * Source of the layout: MySQL's "Table_map_event" page.
 */
export function decodeTableMap(buf: Buffer, start: number, end: number): TableMap {
  const event = new ByteDecoder(buf, start, end, WHAT);
  const copy = Buffer.from(event.bytes(event.remaining));
  const body = new ByteDecoder(copy, 0, copy.length, WHAT);
  const tableId = body.u48();
  const flags = body.u16();
  const database = name(body);
  const table = name(body);
  const columnCount = body.lenencInt();
  if (columnCount > COLUMNS_MAX) throw malformed(WHAT, `${columnCount} columns, ${COLUMNS_MAX} are possible`);
  const columnTypes = body.bytes(columnCount);
  const metadata = readColumnMetadata(body, columnTypes);
  const nullableBits = body.bytes((columnCount + 7) >> 3);
  return {
    tableId,
    flags,
    database,
    table,
    columnCount,
    columnTypes,
    columnMetadata: metadata.values,
    arrayElementTypes: metadata.elements,
    nullableBits,
    optionalMetadata: body.bytes(body.remaining),
  };
}

/** Only the id and the names: for filters and for events whose rows nobody looks into. */
export function tableMapNames(buf: Buffer, start: number, end: number): TableMapNames {
  const body = new ByteDecoder(buf, start, end, WHAT);
  const tableId = body.u48();
  body.skip(2);
  return { tableId, database: name(body), table: name(body) };
}

/**
 * The whole event buf[start, end) (header first, no checksum) with another database's name in it and the length that it has
 * then. Throws MALFORMED_EVENT.
 */
export function withDatabase(buf: Buffer, start: number, end: number, database: string): Buffer {
  const body = new ByteDecoder(buf, start + EVENT_HEADER_LENGTH, end, WHAT);
  body.skip(TABLE_ID_AND_FLAGS);
  const from = body.pos;
  name(body);
  const bytes = Buffer.from(database);
  if (bytes.length > 255) throw malformed(WHAT, `a database name of ${bytes.length} bytes`);
  const renamed = Buffer.concat([
    buf.subarray(start, from),
    Buffer.from([bytes.length]),
    bytes,
    Buffer.from([0]),
    buf.subarray(body.pos, end),
  ]);
  renamed.writeUInt32LE(renamed.length, EVENT_LENGTH_OFFSET);
  return renamed;
}

export function isNullable(map: TableMap, column: number): boolean {
  return ((map.nullableBits[column >> 3]! >> (column & 7)) & 1) === 1;
}

function name(body: ByteDecoder): string {
  const text = body.utf8(body.u8());
  if (body.u8() !== 0) throw malformed(WHAT, 'a name does not end with NUL');
  return text;
}

function readColumnMetadata(
  body: ByteDecoder,
  types: Uint8Array,
): { values: Uint16Array; elements: Uint8Array } {
  const size = body.lenencInt();
  if (size > body.remaining)
    throw malformed(WHAT, `a metadata block of ${size} bytes, ${body.remaining} are left`);
  const block = new ByteDecoder(body.buf, body.pos, body.pos + size, `${WHAT} metadata block`);
  body.skip(size);
  const values = new Uint16Array(types.length);
  const elements = new Uint8Array(types.length);
  for (let i = 0; i < types.length; i++) {
    let type = types[i]!;
    if (type === ColumnType.TYPED_ARRAY) {
      type = block.u8();
      if (type === ColumnType.TYPED_ARRAY) throw malformed(WHAT, 'an array of arrays');
      elements[i] = type;
    }
    values[i] = readMetadata(block, type);
  }
  if (block.remaining > 0)
    throw malformed(WHAT, `${block.remaining} bytes of the metadata block belong to no column`);
  return { values, elements };
}

function readMetadata(block: ByteDecoder, type: number): number {
  switch (metadataWidth(type)) {
    case 0:
      return 0;
    case 1:
      return block.u8();
    case 2:
      switch (type) {
        case ColumnType.STRING:
        case ColumnType.ENUM:
        case ColumnType.SET:
        case ColumnType.NEWDECIMAL:
          return (block.u8() << 8) | block.u8();
        default:
          return block.u16();
      }
  }
}
