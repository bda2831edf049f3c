/**
 * Walks rows by the lengths of their values, without decoding them: counting, and finding where an image ends.
 *
 * A row is one image, or for an update two (before, after):
 *   after image of PARTIAL_UPDATE_ROWS_EVENT only: lenenc value options; if bit 0 is set, a bitmap with one bit for
 *      every JSON column of the table (present or not): 1 = the value is a list of differences
 *   (present+7)/8  null bitmap, one bit for every PRESENT column; the unused bits of the last byte are set
 *   values of the present columns that are not NULL (column-type.ts `valueLength`)
 *
 * Invariants
 *  - Nothing is allocated for a row; a plan is built once for a table map and a bitmap of present columns.
 *  - Every length is checked against the end of the event before it is used to move; a row that would be empty while
 *    bytes are left is refused, so the walk always ends.
 * Thread: the applier's; hot path.
 */
import { malformed } from './byte-decoder.ts';
import { ColumnType, isOldTemporal, valueLength } from './column-type.ts';
import { eventTypeName } from './event-header.ts';
import type { Flavour } from './format-description.ts';
import { type RowsHeader, refuseOldRows, rowsHeader } from './rows-event.ts';
import type { TableMap } from './table-map.ts';

/** Bit 0 of the value options of an after image: JSON columns may be partial. */
export const PARTIAL_JSON_UPDATES = 1;

/** What it takes to walk one kind of image of one table. */
export interface ImagePlan {
  /** The bitmap this plan was built for. */
  readonly key: Uint8Array;
  /** Column numbers that the image holds, ascending. */
  readonly columns: Uint16Array;
  /** Per present column: width, or minus the bytes of the length in front (`valueLength`). */
  readonly lengths: Int32Array;
  /** The same for a row without NULLs: neighbours of fixed width are one step. */
  readonly steps: Int32Array;
  readonly nullBytes: number;
  /** Which bits of the last null byte mean a column. */
  readonly lastNullMask: number;
  /** Bytes of the partial bitmap: one bit for every JSON column of the table. */
  readonly partialBytes: number;
}

const PLANS_PER_TABLE_MAX = 32;
const plansOfTable = new WeakMap<TableMap, ImagePlan[]>();

/** The plan for the columns whose bits are set at `presentStart`; built at first sight, then remembered. */
export function imagePlan(map: TableMap, buf: Buffer, presentStart: number): ImagePlan {
  const presentBytes = (map.columnCount + 7) >> 3;
  let plans = plansOfTable.get(map);
  if (plans === undefined) {
    plans = [];
    plansOfTable.set(map, plans);
  }
  for (const plan of plans) if (standsAt(plan.key, buf, presentStart, presentBytes)) return plan;
  const key = buf.subarray(presentStart, presentStart + presentBytes);
  const plan = buildPlan(map, buf, presentStart, Uint8Array.from(key));
  if (plans.length >= PLANS_PER_TABLE_MAX) plans.shift();
  plans.push(plan);
  return plan;
}

/** Byte by byte: bitmaps are short. */
function standsAt(key: Uint8Array, buf: Buffer, start: number, length: number): boolean {
  for (let at = 0; at < length; at++) if (key[at] !== buf[start + at]) return false;
  return true;
}

function buildPlan(map: TableMap, buf: Buffer, presentStart: number, key: Uint8Array): ImagePlan {
  const columns: number[] = [];
  const lengths: number[] = [];
  const steps: number[] = [];
  let jsonColumns = 0;
  for (let column = 0; column < map.columnCount; column++) {
    if (map.columnTypes[column] === ColumnType.JSON) jsonColumns++;
    if (((buf[presentStart + (column >> 3)]! >> (column & 7)) & 1) === 0) continue;
    const length = valueLength(map.columnTypes[column]!, map.columnMetadata[column]!);
    columns.push(column);
    lengths.push(length);
    const last = steps.length - 1;
    if (length >= 0 && last >= 0 && steps[last]! >= 0) steps[last]! += length;
    else steps.push(length);
  }
  return {
    key,
    columns: Uint16Array.from(columns),
    lengths: Int32Array.from(lengths),
    steps: Int32Array.from(steps),
    nullBytes: (columns.length + 7) >> 3,
    lastNullMask: columns.length % 8 === 0 ? 0xff : (1 << (columns.length % 8)) - 1,
    partialBytes: (jsonColumns + 7) >> 3,
  };
}

/** Returns the offset behind the image that starts at `pos` (at its null bitmap). Throws MALFORMED_EVENT. */
export function skipImage(plan: ImagePlan, buf: Buffer, pos: number, end: number): number {
  const nullStart = pos;
  const { nullBytes } = plan;
  let at = pos + nullBytes;
  if (at > end) throw cutOff(at, end);
  let nulls = 0;
  for (let i = nullStart; i < at - 1; i++) nulls |= buf[i]!;
  if (nullBytes > 0) nulls |= buf[at - 1]! & plan.lastNullMask;
  const codes = nulls === 0 ? plan.steps : plan.lengths;
  for (let i = 0; i < codes.length; i++) {
    if (nulls !== 0 && ((buf[nullStart + (i >> 3)]! >> (i & 7)) & 1) === 1) continue;
    const code = codes[i]!;
    if (code >= 0) {
      at += code;
      continue;
    }
    if (at - code > end) throw cutOff(at - code, end);
    switch (code) {
      case -1:
        at += 1 + buf[at]!;
        break;
      case -2:
        at += 2 + (buf[at]! | (buf[at + 1]! << 8));
        break;
      case -3:
        at += 3 + (buf[at]! | (buf[at + 1]! << 8) | (buf[at + 2]! << 16));
        break;
      default:
        at += 4 + (buf[at]! | (buf[at + 1]! << 8) | (buf[at + 2]! << 16)) + buf[at + 3]! * 0x100_0000;
    }
  }
  if (at > end) throw cutOff(at, end);
  return at;
}

/** Returns the offset of the null bitmap of a PARTIAL_UPDATE_ROWS_EVENT's after image. */
export function skipValueOptions(plan: ImagePlan, buf: Buffer, pos: number, end: number): number {
  if (pos >= end) throw cutOff(pos + 1, end);
  const options = buf[pos]!;
  if (options > PARTIAL_JSON_UPDATES) {
    throw malformed('PARTIAL_UPDATE_ROWS_EVENT', `value options 0x${options.toString(16)} are not known`);
  }
  const at = pos + 1 + (options === 0 ? 0 : plan.partialBytes);
  if (at > end) throw cutOff(at, end);
  return at;
}

/**
 * Whether rows of this table can be walked: false when a length is not in the event (MariaDB's old temporal types,
 * `isOldTemporal`). Such rows can still be passed on as they are.
 */
export function hasKnownLengths(map: TableMap, flavour: Flavour): boolean {
  return flavour === 'mysql' || !map.columnTypes.some(isOldTemporal);
}

/**
 * How many rows (for updates: pairs of images) the event changes. `start` and `end` are those of the body.
 * Throws MALFORMED_EVENT when the rows do not end exactly at `end`, UNSUPPORTED for rows of v0.
 */
export function countRows(
  map: TableMap,
  buf: Buffer,
  start: number,
  end: number,
  type: number,
  postHeaderLengths?: Uint8Array,
): number {
  const header = rowsHeader(buf, start, end, type, postHeaderLengths);
  return countRowsAfter(map, buf, header, end);
}

/** `countRows` for a caller that has read the head already. */
export function countRowsAfter(map: TableMap, buf: Buffer, header: RowsHeader, end: number): number {
  checkTable(map, header);
  const plan = imagePlan(map, buf, header.presentStart);
  if (header.rowsStart === end) return emptyRows(plan, header);
  let rows = 0;
  let at = header.rowsStart;
  if (header.operation !== 'update') {
    while (at < end) {
      const next = skipImage(plan, buf, at, end);
      if (next === at) throw endless(header);
      at = next;
      rows++;
    }
    return rows;
  }
  const after = imagePlan(map, buf, header.presentAfterStart);
  while (at < end) {
    let next = skipImage(plan, buf, at, end);
    if (header.partial) next = skipValueOptions(after, buf, next, end);
    next = skipImage(after, buf, next, end);
    if (next === at) throw endless(header);
    at = next;
    rows++;
  }
  return rows;
}

/**
 * Rows of an event whose rows take no bytes. An insert without any present column (`INSERT INTO t VALUES ()` with
 * binlog_row_image=MINIMAL) is one row, as servers apply it; all else without bytes has no rows.
 */
export function emptyRows(plan: ImagePlan, header: RowsHeader): 0 | 1 {
  return header.operation === 'insert' && plan.columns.length === 0 ? 1 : 0;
}

/** A rows event speaks of the table that its map names, with as many columns. */
export function checkTable(map: TableMap, header: RowsHeader): void {
  refuseOldRows(header);
  if (map.tableId !== header.tableId) {
    throw malformed(
      eventTypeName(header.type),
      `table id ${header.tableId}, the table map has ${map.tableId}`,
    );
  }
  if (map.columnCount !== header.columnCount) {
    throw malformed(
      eventTypeName(header.type),
      `${header.columnCount} columns, the map of ${map.database}.${map.table} has ${map.columnCount}`,
    );
  }
}

export function endless(header: RowsHeader): Error {
  return malformed(eventTypeName(header.type), 'bytes are left behind rows that hold no column');
}

function cutOff(wanted: number, end: number): Error {
  return malformed('rows event', `a row reaches ${wanted - end} bytes past the end of the event`);
}
