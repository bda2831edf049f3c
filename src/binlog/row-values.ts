/**
 * The rows of a rows event as values: what an insert, update or delete did, row by row.
 *
 * Walks exactly the layout that row-images.ts counts; a generator, so that memory holds one row at a time.
 */
import { malformed } from './byte-decoder.ts';
import { ColumnType } from './column-type.ts';
import type { ColumnDecoder, ColumnValue, Row, TableDecoder } from './column-values.ts';
import { eventTypeName } from './event-header.ts';
import { decodeJsonDiffs } from './json-diff.ts';
import { checkTable, emptyRows, endless, type ImagePlan, imagePlan, skipValueOptions } from './row-images.ts';
import { type RowsHeader, rowsHeader } from './rows-event.ts';

/** insert: only `after`; delete: only `before`; update: both. */
export interface RowChange {
  readonly before: Row | null;
  readonly after: Row | null;
}

/**
 * Decodes the rows of the event whose body is [start, end). Values are views of `buf` (column-values.ts). Throws
 * MALFORMED_EVENT when the rows do not end exactly at `end`, UNSUPPORTED for rows of v0.
 */
export function* decodeRows(
  table: TableDecoder,
  buf: Buffer,
  start: number,
  end: number,
  type: number,
  postHeaderLengths?: Uint8Array,
): Generator<RowChange, void, undefined> {
  const header = rowsHeader(buf, start, end, type, postHeaderLengths);
  checkTable(table.map, header);
  const reader = new ImageReader(table, buf, header.rowsStart, end, eventTypeName(type));
  const first = imagePlan(table.map, buf, header.presentStart);
  if (reader.pos === end) {
    if (emptyRows(first, header) === 1) yield { before: null, after: reader.absentRow() };
    return;
  }
  const second = imagePlan(table.map, buf, header.presentAfterStart);
  while (reader.pos < end) {
    const rowStart = reader.pos;
    yield readChange(reader, header, first, second);
    if (reader.pos === rowStart) throw endless(header);
  }
}

function readChange(reader: ImageReader, header: RowsHeader, first: ImagePlan, second: ImagePlan): RowChange {
  switch (header.operation) {
    case 'insert':
      return { before: null, after: reader.image(first) };
    case 'delete':
      return { before: reader.image(first), after: null };
    case 'update': {
      const before = reader.image(first);
      return { before, after: header.partial ? reader.partialImage(second) : reader.image(second) };
    }
  }
}

class ImageReader {
  pos: number;
  readonly #table: TableDecoder;
  readonly #buf: Buffer;
  readonly #end: number;
  readonly #what: string;
  /** Per column its number among the JSON columns of the table: its bit in a partial bitmap. */
  readonly #jsonOrdinals: Int32Array;

  constructor(table: TableDecoder, buf: Buffer, pos: number, end: number, what: string) {
    this.pos = pos;
    this.#table = table;
    this.#buf = buf;
    this.#end = end;
    this.#what = what;
    this.#jsonOrdinals = jsonOrdinals(table);
  }

  absentRow(): Row {
    return new Array<undefined>(this.#table.columns.length).fill(undefined);
  }

  image(plan: ImagePlan): Row {
    return this.#values(plan, -1);
  }

  /** An after image that says first which of its JSON values are differences. */
  partialImage(plan: ImagePlan): Row {
    const options = this.pos;
    this.pos = skipValueOptions(plan, this.#buf, options, this.#end);
    return this.#values(plan, this.pos - options > 1 ? options + 1 : -1);
  }

  /** `partialBits`: offset of the bitmap of partial JSON columns; -1: none is. */
  #values(plan: ImagePlan, partialBits: number): Row {
    const nullBits = this.#take(plan.nullBytes);
    const row = new Array<ColumnValue | undefined>(this.#table.columns.length).fill(undefined);
    for (let i = 0; i < plan.columns.length; i++) {
      const column = plan.columns[i]!;
      if (this.#bit(nullBits, i)) {
        row[column] = null;
        continue;
      }
      const ordinal = this.#jsonOrdinals[column]!;
      const partial = partialBits >= 0 && ordinal >= 0 && this.#bit(partialBits, ordinal);
      row[column] = this.#value(this.#table.columns[column]!, partial);
    }
    return row;
  }

  #value(column: ColumnDecoder, partial: boolean): ColumnValue {
    const { width } = column;
    const length = width >= 0 ? width : this.#buf.readUIntLE(this.#take(-width), -width);
    const start = this.#take(length);
    return partial ? decodeJsonDiffs(this.#buf, start, this.pos) : column.decode(this.#buf, start, this.pos);
  }

  #bit(start: number, n: number): boolean {
    return ((this.#buf[start + (n >> 3)]! >> (n & 7)) & 1) === 1;
  }

  #take(length: number): number {
    const at = this.pos;
    if (length > this.#end - at) {
      throw malformed(this.#what, `${length} bytes wanted at offset ${at}, ${this.#end - at} are left`);
    }
    this.pos = at + length;
    return at;
  }
}

function jsonOrdinals(table: TableDecoder): Int32Array {
  let next = 0;
  return Int32Array.from(table.columns, (column) => (column.type === ColumnType.JSON ? next++ : -1));
}
