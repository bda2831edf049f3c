/**
 * Builds one `BINLOG '…'` statement out of the row events of several transactions that commit together, merged as far as
 * the server lets them be:
 *
 *   segment   table maps, each once · rows events, only the last with STMT_END_F
 *   BINLOG    one segment or more
 *
 * The server opens and locks tables once for each segment, instead of once for each statement of the source. Neighbouring
 * rows events of one table and one form (type, flags, columns) become one event. The order of rows is the source's.
 *
 * A new segment begins where events may not stand in one statement: other flags (foreign_key_checks, unique_checks), another second (MariaDB sets
 * its clock once for all of it: what it fills a column with that only the target has, when a row's versions begin), a table id that now names something
 * else, too many tables.
 *
 * Events go in without their CRC, with log_pos 0, as in binlog-statement.ts; nothing here is larger than memory, since only
 * transactions in memory are merged.
 */
import { MillraceError } from '../base/errors.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import {
  BINLOG_PREFIX,
  BINLOG_SUFFIX,
  type BinlogStatementOptions,
  ROWS_FLAGS_OFFSET,
  type StatementPieces,
  withoutSqlForeignKeys,
} from './binlog-statement.ts';
import type { Scratch } from './scratch.ts';

const STMT_END = 0x0001;
const TYPE_OFFSET = 4;
const LENGTH_OFFSET = 9;
const LOG_POS_OFFSET = 13;
const TABLE_ID_LENGTH = 6;
const TABLES_MAX = 64;
const MERGED_EVENT_MAX = 1024 * 1024;
/** table_id and flags. */
const V1_POST_HEADER = 8;

const V1_TYPES = new Set<number>([
  EventType.WRITE_ROWS_EVENT_V1,
  EventType.UPDATE_ROWS_EVENT_V1,
  EventType.DELETE_ROWS_EVENT_V1,
]);
const V2_TYPES = new Set<number>([
  EventType.WRITE_ROWS_EVENT,
  EventType.UPDATE_ROWS_EVENT,
  EventType.DELETE_ROWS_EVENT,
]);
const UPDATES = new Set<number>([EventType.UPDATE_ROWS_EVENT_V1, EventType.UPDATE_ROWS_EVENT]);

/**
 * Which neighbouring rows events become one. The server looks for all rows of an event of a table without a key in one scan, in the order
 * in which it comes upon them: a row that is updated twice in an event is not found the second time (1032). So updates are
 * joined only where a failure is not believed: in several transactions, which are then applied one by one.
 */
export type Joining = 'all' | 'all but updates';

export class MergedRows {
  readonly #options: BinlogStatementOptions;
  readonly #joining: Joining;
  /** Of closed segments. */
  #length = 0;
  /** Of the segment: maps by table id. */
  readonly #maps = new Map<number, Buffer>();
  readonly #tables = new Set<string>();
  #mapBytes = 0;
  /** Null: nothing is gathered. */
  #held: { readonly statement: Scratch; readonly segment: Scratch } | null = null;
  /** Of the rows events of the segment; its maps are put before them when it is closed. */
  #segmentLength = 0;
  #flags = -1;
  /** Of its events, seconds: while the server applies them it is its clock. */
  #when = -1;
  /** Where the last rows event of the segment begins, and where its rows do; 0: it cannot be continued. */
  #last = -1;
  #lastRows = 0;
  /** Maps of the source's row statement that is not at its end. */
  readonly #open = new Map<number, Buffer>();

  constructor(options: BinlogStatementOptions, joining: Joining) {
    this.#options = options;
    this.#joining = joining;
  }

  get #scratches(): { readonly statement: Scratch; readonly segment: Scratch } {
    const { memory } = this.#options;
    this.#held ??= { statement: memory.borrowScratch(), segment: memory.borrowScratch() };
    return this.#held;
  }

  get #scratch(): Scratch {
    return this.#scratches.statement;
  }

  get #segmentScratch(): Scratch {
    return this.#scratches.segment;
  }

  /** What is gathered is one segment, and whole. */
  get isOneStatement(): boolean {
    return this.#length === 0 && this.#last >= 0 && !this.inRowStatement;
  }

  get isEmpty(): boolean {
    return this.#length === 0 && this.#last < 0;
  }

  get length(): number {
    return this.#length + this.#mapBytes + this.#segmentLength;
  }

  get inRowStatement(): boolean {
    return this.#open.size > 0;
  }

  addTableMap(buf: Buffer, start: number, end: number): void {
    const id = tableId(buf, start);
    const known = this.#maps.get(id);
    if (known !== undefined && isSameMap(known, buf, start, end)) {
      this.#open.set(id, known);
      return;
    }
    const map = Buffer.from(buf.subarray(start, end));
    map.writeUInt32LE(map.length, LENGTH_OFFSET);
    map.writeUInt32LE(0, LOG_POS_OFFSET);
    this.#open.set(id, map);
  }

  /** True: the statement is full and must be taken. */
  addRows(buf: Buffer, start: number, end: number): boolean {
    const event = buf.readUInt16LE(start + ROWS_FLAGS_OFFSET);
    const flags = this.#options.knowsSqlForeignKeys ? event : withoutSqlForeignKeys(event);
    const id = tableId(buf, start);
    const map = this.#open.get(id);
    if (map === undefined) {
      throw new MillraceError('UNEXPECTED_EVENT', 'a rows event stands before its table map');
    }
    this.#enterSegment(id, map, flags & ~STMT_END, buf.readUInt32LE(start));
    const rows = rowsStart(buf, start, end);
    if (this.#continues(buf, start, end, rows)) {
      this.#append(buf, rows, end);
      this.#segmentScratch.buf.writeUInt32LE(this.#segmentLength - this.#last, this.#last + LENGTH_OFFSET);
    } else {
      const at = this.#segmentLength;
      this.#append(buf, start, end);
      this.#segmentScratch.buf.writeUInt32LE(end - start, at + LENGTH_OFFSET);
      this.#segmentScratch.buf.writeUInt32LE(0, at + LOG_POS_OFFSET);
      this.#segmentScratch.buf.writeUInt16LE(this.#flags, at + ROWS_FLAGS_OFFSET);
      this.#last = at;
      this.#lastRows = rows === 0 ? 0 : at + rows - start;
    }
    if (flags & STMT_END) this.#open.clear();
    return this.length >= this.#options.bytesMax;
  }

  /** The event that would have ended the row statement is left out. */
  endRowStatement(): void {
    this.#open.clear();
  }

  /** Gives the statement and starts the next one. Only to be called when not empty. */
  take(): StatementPieces {
    this.#closeSegment();
    const { memory } = this.#options;
    const { statement, segment } = this.#scratches;
    const base64 = memory.base64(statement.buf, this.#length);
    this.#length = 0;
    memory.giveScratchBack(statement);
    memory.giveScratchBack(segment);
    this.#held = null;
    return [BINLOG_PREFIX, base64, BINLOG_SUFFIX];
  }

  #enterSegment(id: number, map: Buffer, flags: number, when: number): void {
    const known = this.#maps.get(id);
    const another = known !== undefined && known !== map && !isSameMap(known, map, 0, map.length);
    const table = known === undefined ? tableName(map) : '';
    // A table that the source opened anew has another id: it is not opened twice at a time.
    const unfit = known === undefined && (this.#maps.size >= TABLES_MAX || this.#tables.has(table));
    const otherwise = this.#flags !== flags || this.#when !== when;
    if (this.#flags >= 0 && (otherwise || another || unfit)) this.#closeSegment();
    this.#flags = flags;
    this.#when = when;
    if (this.#maps.has(id)) return;
    this.#maps.set(id, map);
    this.#tables.add(table === '' ? tableName(map) : table);
    this.#mapBytes += map.length;
  }

  /** The event can be joined to the last one: same form, other rows. */
  #continues(buf: Buffer, start: number, end: number, rows: number): boolean {
    if (this.#last < 0 || this.#lastRows === 0 || rows === 0) return false;
    if (this.#segmentLength - this.#last + end - rows > MERGED_EVENT_MAX) return false;
    if (this.#joining !== 'all' && UPDATES.has(buf[start + TYPE_OFFSET]!)) return false;
    if (buf[start + TYPE_OFFSET] !== this.#segmentScratch.buf[this.#last + TYPE_OFFSET]) return false;
    if (rows - start !== this.#lastRows - this.#last) return false;
    // Table id, then what follows the flags up to the rows: extra data, number of columns, which of them are present.
    return (
      tableId(buf, start) === tableId(this.#segmentScratch.buf, this.#last) &&
      buf.compare(
        this.#segmentScratch.buf,
        this.#last + ROWS_FLAGS_OFFSET + 2,
        this.#lastRows,
        start + ROWS_FLAGS_OFFSET + 2,
        rows,
      ) === 0
    );
  }

  #closeSegment(): void {
    if (this.#last < 0) return;
    this.#segmentScratch.buf.writeUInt16LE(this.#flags | STMT_END, this.#last + ROWS_FLAGS_OFFSET);
    const need = this.#length + this.#mapBytes + this.#segmentLength;
    const into = this.#scratch.reserve(this.#length, need);
    for (const map of this.#maps.values()) {
      map.copy(into, this.#length);
      this.#length += map.length;
    }
    this.#segmentScratch.buf.copy(into, this.#length, 0, this.#segmentLength);
    this.#length += this.#segmentLength;
    this.#maps.clear();
    this.#tables.clear();
    this.#mapBytes = 0;
    this.#segmentLength = 0;
    this.#flags = -1;
    this.#last = -1;
  }

  #append(buf: Buffer, start: number, end: number): void {
    const need = this.#segmentLength + end - start;
    const into = this.#segmentScratch.reserve(this.#segmentLength, need);
    buf.copy(into, this.#segmentLength, start, end);
    this.#segmentLength = need;
  }
}

function tableId(buf: Buffer, start: number): number {
  return buf.readUIntLE(start + EVENT_HEADER_LENGTH, TABLE_ID_LENGTH);
}

/** They say the same, of the same second. */
function isSameMap(map: Buffer, buf: Buffer, start: number, end: number): boolean {
  if (map.length !== end - start || map.readUInt32LE(0) !== buf.readUInt32LE(start)) return false;
  return buf.compare(map, EVENT_HEADER_LENGTH, map.length, start + EVENT_HEADER_LENGTH, end) === 0;
}

/** Database and table, as they stand in a table map that was decoded before. */
function tableName(map: Buffer): string {
  const database = EVENT_HEADER_LENGTH + V1_POST_HEADER;
  const table = database + map[database]! + 2;
  return map.toString('latin1', database, table + map[table]! + 1);
}

/** Where the rows of a rows event begin; 0: in a form that is not continued (partial updates, very many columns). */
function rowsStart(buf: Buffer, start: number, end: number): number {
  const type = buf[start + TYPE_OFFSET]!;
  let at = start + EVENT_HEADER_LENGTH + V1_POST_HEADER;
  if (V2_TYPES.has(type)) {
    if (at + 2 > end) return 0;
    at += buf.readUInt16LE(at);
  } else if (!V1_TYPES.has(type)) return 0;
  if (at >= end) return 0;
  const columns = buf[at]!;
  if (columns > 250) return 0;
  const bitmaps = Math.ceil(columns / 8) * (UPDATES.has(type) ? 2 : 1);
  at += 1 + bitmaps;
  return at < end ? at : 0;
}
