/**
 * WRITE / UPDATE / DELETE_ROWS_EVENT v1 (23–25, MySQL 5.1–5.5 and MariaDB) and v2 (30–32, MySQL 5.6+), and
 * PARTIAL_UPDATE_ROWS_EVENT (39): what stands before the rows.
 *
 * Body, little-endian:
 *   0  6  table id         4 bytes when the FORMAT_DESCRIPTION_EVENT declares a post-header of 6 (before 5.1.4)
 *   6  2  flags            ROWS_FLAG
 *   8  2  extra length     v2 and 39 only; counts itself, so at least 2; then that many bytes less 2
 *      lenenc column count
 *      (count+7)/8  columns present in the image (of an update: in the before image)
 *      (count+7)/8  updates only: columns present in the after image
 *      …  rows up to the end (row-images.ts)
 *
 * v0 (20–22, development trees before 5.1.18) has the same head, but a row starts with the storage format's own null
 * bytes, whose number and order the table map does not tell: its head is read, its rows are refused.
 * Facts: MySQL's "Rows_event" page; the 4 byte id and the widths by type: Rows_event's constructor.
 */
import { MillraceError } from '../base/errors.ts';
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { EventType, eventTypeName } from './event-header.ts';
import { COLUMNS_MAX } from './table-map.ts';

export const ROWS_FLAG = {
  /** The last rows event of its statement: table maps end here. */
  STMT_END: 0x1,
  /** @@foreign_key_checks was 0. */
  NO_FOREIGN_KEY_CHECKS: 0x2,
  /** @@unique_checks was 0. */
  RELAXED_UNIQUE: 0x4,
  COMPLETE_ROWS: 0x8,
  /** MySQL 9.6+: cascades ran in the SQL layer, so the child rows are in the log, before this event. */
  USE_SQL_FOREIGN_KEY: 0x10,
} as const;

export type RowsOperation = 'insert' | 'update' | 'delete';

interface RowsKind {
  readonly operation: RowsOperation;
  readonly version: 0 | 1 | 2;
  /** The after image may hold JSON columns as differences to the before image. */
  readonly partial: boolean;
}

const KINDS: ReadonlyMap<number, RowsKind> = new Map<number, RowsKind>([
  [EventType.WRITE_ROWS_EVENT_V0, { operation: 'insert', version: 0, partial: false }],
  [EventType.UPDATE_ROWS_EVENT_V0, { operation: 'update', version: 0, partial: false }],
  [EventType.DELETE_ROWS_EVENT_V0, { operation: 'delete', version: 0, partial: false }],
  [EventType.WRITE_ROWS_EVENT_V1, { operation: 'insert', version: 1, partial: false }],
  [EventType.UPDATE_ROWS_EVENT_V1, { operation: 'update', version: 1, partial: false }],
  [EventType.DELETE_ROWS_EVENT_V1, { operation: 'delete', version: 1, partial: false }],
  [EventType.WRITE_ROWS_EVENT, { operation: 'insert', version: 2, partial: false }],
  [EventType.UPDATE_ROWS_EVENT, { operation: 'update', version: 2, partial: false }],
  [EventType.DELETE_ROWS_EVENT, { operation: 'delete', version: 2, partial: false }],
  [EventType.PARTIAL_UPDATE_ROWS_EVENT, { operation: 'update', version: 2, partial: true }],
]);

export interface RowsHeader {
  readonly type: number;
  readonly operation: RowsOperation;
  readonly version: 0 | 1 | 2;
  readonly partial: boolean;
  readonly tableId: number;
  readonly flags: number;
  /** Offset into the buffer of the two flag bytes: the applier sets STMT_END there, in place. */
  readonly flagsOffset: number;
  /** Offset and length of what v2 carries between flags and column count (partition ids, NDB): opaque here. */
  readonly extraStart: number;
  readonly extraLength: number;
  readonly columnCount: number;
  /** Offset of the bitmap of present columns: of the only image, or of an update's before image. */
  readonly presentStart: number;
  /** Offset of the bitmap of the after image; equal to `presentStart` when there is one bitmap. */
  readonly presentAfterStart: number;
  /** Offset of the first row; rows go on up to the end of the body. */
  readonly rowsStart: number;
}

export function isRowsEvent(type: number): boolean {
  return KINDS.has(type);
}

/** What a rows event of this type does. Of MariaDB's compressed twins the plain type is asked for. */
export function rowsOperation(type: number): RowsOperation {
  const kind = KINDS.get(type);
  if (kind === undefined) throw malformed(eventTypeName(type), 'is no rows event');
  return kind.operation;
}

/**
 * Reads the head of a rows event; `start` and `end` are those of the body (behind the header, before the checksum),
 * `postHeaderLengths` is the FORMAT_DESCRIPTION_EVENT's array (left out: the lengths of every server since 5.1.18).
 * MariaDB's compressed twins (166–171) must be decompressed first. Throws MALFORMED_EVENT.
 */
export function rowsHeader(
  buf: Buffer,
  start: number,
  end: number,
  type: number,
  postHeaderLengths?: Uint8Array,
): RowsHeader {
  const kind = KINDS.get(type);
  const what = eventTypeName(type);
  if (kind === undefined) throw malformed(what, 'is no rows event');
  const body = new ByteDecoder(buf, start, end, what);
  const tableId = tableIdWidth(kind, type, postHeaderLengths) === 4 ? body.u32() : body.u48();
  const flagsOffset = body.pos;
  const flags = body.u16();
  let extraLength = 0;
  if (kind.version === 2) {
    const length = body.u16();
    if (length < 2)
      throw malformed(what, `an extra header of ${length} bytes is shorter than its own length`);
    extraLength = length - 2;
  }
  const extraStart = body.pos;
  body.skip(extraLength);
  const columnCount = body.lenencInt();
  if (columnCount < 1 || columnCount > COLUMNS_MAX) throw malformed(what, `${columnCount} columns`);
  const bitmapLength = (columnCount + 7) >> 3;
  const presentStart = body.pos;
  body.skip(bitmapLength);
  let presentAfterStart = presentStart;
  if (kind.operation === 'update' && kind.version > 0) {
    presentAfterStart = body.pos;
    body.skip(bitmapLength);
  }
  return {
    type,
    operation: kind.operation,
    version: kind.version,
    partial: kind.partial,
    tableId,
    flags,
    flagsOffset,
    extraStart,
    extraLength,
    columnCount,
    presentStart,
    presentAfterStart,
    rowsStart: body.pos,
  };
}

/** Rows of v0 cannot be walked (see above). */
export function refuseOldRows(header: RowsHeader): void {
  if (header.version !== 0) return;
  throw new MillraceError('UNSUPPORTED', `${eventTypeName(header.type)}: rows of a MySQL before 5.1.18`, {
    hint: 'Upgrade the source: this form was only written by development versions.',
  });
}

/**
 * 4 or 6. Servers tell the form of the head by the declared length of the post-header: 6 (4 byte id), 8 (v1), 10 (v2);
 * MySQL 8.4+ declares 0 for the types that it does not write any more.
 */
function tableIdWidth(kind: RowsKind, type: number, postHeaderLengths: Uint8Array | undefined): 4 | 6 {
  const declared = postHeaderLengths?.[type - 1] ?? 0;
  const expected = kind.version === 2 ? 10 : 8;
  if (declared === 0 || declared === expected) return 6;
  if (declared === 6 && kind.version < 2) return 4;
  throw malformed(
    eventTypeName(type),
    `a post-header of ${declared} bytes is declared, ${expected} are known`,
  );
}
