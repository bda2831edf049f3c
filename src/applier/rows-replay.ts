/**
 * The row events of one transaction on their way into BINLOG statements: gathered, counted, checked against the target's
 * packet size; an event too large to be held passes through in pieces.
 *
 * Where the target has rules, each table map is judged (rules/target-filter.ts): one whose rows are left out is not sent, nor are
 * its rows events (`leavesOut`, to be asked before an event is added); one of a renamed database carries its new name.
 */
import { assert, type ErrorFacts, MillraceError } from '../base/errors.ts';
import { EVENT_HEADER_LENGTH } from '../binlog/event-header.ts';
import type { FormatDescription } from '../binlog/format-description.ts';
import { countRows, hasKnownLengths } from '../binlog/row-images.ts';
import { ROWS_FLAG, rowsOperation } from '../binlog/rows-event.ts';
import { DUMMY_TABLE_IDS, type TableMap, withDatabase } from '../binlog/table-map.ts';
import type { TableMapCache } from '../binlog/table-map-cache.ts';
import type { TableVerdict, TargetFilter } from '../rules/target-filter.ts';
import { requirePacket } from '../target/packet-limit.ts';
import {
  BINLOG_PREFIX,
  BINLOG_SUFFIX,
  BinlogStatement,
  type BinlogStatementOptions,
  base64Length,
  base64Pieces,
  type StatementPieces,
} from './binlog-statement.ts';
import { type Joining, MergedRows } from './merged-rows.ts';
import type { ReplayContext } from './replay-context.ts';
import type { EventView } from './transaction.ts';

const TABLE_ID_LENGTH = 6;
/** What a statement needs besides its rows event: table maps, BINLOG, quotes. */
const STATEMENT_OVERHEAD = 64 * 1024;

export class RowsReplay {
  readonly #tableMaps: TableMapCache;
  readonly #maxAllowedPacket: number;
  /** Null: no rule is active. */
  readonly #filter: TargetFilter | null;
  readonly #facts: ErrorFacts;
  readonly #statement: BinlogStatement | MergedRows;
  readonly #tables = new Map<number, TableMap>();
  /** Of the tables in #tables, where there is a filter. */
  readonly #verdicts = new Map<number, TableVerdict>();
  /** Table of the last rows event: for error texts. */
  #table: TableMap | null = null;
  rowsApplied = 0;
  rowsLeftOut = 0;

  /** `join`: what is merged, and then none of the events is too large to be held. */
  constructor(
    { tableMaps, filter, facts: { maxAllowedPacket } }: ReplayContext,
    options: BinlogStatementOptions,
    facts: ErrorFacts,
    join: Joining | 'nothing',
  ) {
    this.#tableMaps = tableMaps;
    this.#maxAllowedPacket = maxAllowedPacket;
    this.#filter = filter;
    this.#facts = facts;
    this.#statement = join === 'nothing' ? new BinlogStatement(options) : new MergedRows(options, join);
  }

  addTableMap({ buf, start, end }: EventView): void {
    const map = this.#tableMaps.get(buf, start + EVENT_HEADER_LENGTH, end);
    this.#tables.set(map.tableId, map);
    const filter = this.#filter;
    if (filter === null) {
      this.#statement.addTableMap(buf, start, end);
      return;
    }
    const verdict = filter.rows(map);
    this.#verdicts.set(map.tableId, verdict);
    if (!verdict.kept) return;
    const sent = verdict.database === null ? null : withDatabase(buf, start, end, verdict.database);
    if (sent === null) this.#statement.addTableMap(buf, start, end);
    else this.#statement.addTableMap(sent, 0, sent.length);
  }

  /**
   * True: the rows are left out, and the event is done with. `type`: of the event, or of its plain twin where it is
   * compressed; `fde` null: its rows cannot be counted.
   */
  leavesOut({ buf, start, end, oversized }: EventView, type: number, fde: FormatDescription | null): boolean {
    if (this.#filter === null) return false;
    const table = this.#findTable(buf, start, end);
    const verdict = table === null ? undefined : this.#verdicts.get(table.tableId);
    if (table === null || verdict === undefined || verdict[rowsOperation(type)]) return false;
    if (oversized !== null || fde === null) this.rowsLeftOut += 1;
    else this.rowsLeftOut += this.#count(table, buf, start, end, type, fde);
    const flags = buf.readUInt16LE(start + EVENT_HEADER_LENGTH + TABLE_ID_LENGTH);
    if (flags & ROWS_FLAG.STMT_END) {
      this.#statement.endRowStatement();
      this.#leaveRowStatement();
    }
    return true;
  }

  /** True: what is gathered must be taken first, or the target could not receive it together with this event. */
  mustTakeBefore({ start, end }: EventView): boolean {
    if (this.#statement.isEmpty) return false;
    const bytes = this.#statement.length + end - start;
    return base64Length(bytes) + STATEMENT_OVERHEAD > this.#maxAllowedPacket;
  }

  /** True: the statement is full and must be taken. */
  addRows({ buf, start, end, type }: EventView, fde: FormatDescription): boolean {
    const table = this.#findTable(buf, start, end);
    // The source ends a row statement that changed nothing with an event of no table and no rows.
    const ends = !this.#statement.inRowStatement || this.#statement instanceof MergedRows;
    if (table === null && ends && isDummy(buf, start)) {
      this.#statement.endRowStatement();
      this.#leaveRowStatement();
      return false;
    }
    this.#requirePacket(end - start);
    const full = this.#statement.addRows(buf, start, end);
    if (table !== null) this.rowsApplied += this.#count(table, buf, start, end, type, fde);
    this.#leaveRowStatement();
    return full;
  }

  #count(
    table: TableMap,
    buf: Buffer,
    start: number,
    end: number,
    type: number,
    fde: FormatDescription,
  ): number {
    // Old MariaDB temporals do not tell their lengths: such rows are passed on uncounted.
    if (!hasKnownLengths(table, fde.flavour)) return 0;
    return countRows(table, buf, start + EVENT_HEADER_LENGTH, end, type, fde.postHeaderLengths);
  }

  /** What is gathered is one whole row statement for the server. */
  get isOneStatement(): boolean {
    return this.#statement.isOneStatement;
  }

  /** Null: nothing is gathered. */
  take(): StatementPieces | null {
    return this.#statement.isEmpty ? null : this.#statement.take();
  }

  /** A whole BINLOG statement around one oversized event; what was gathered must have been taken. */
  oversized(event: EventView): { readonly length: number; readonly sql: Iterable<Buffer> } {
    const { buf, start, end } = event;
    const { length: eventLength, pieces } = event.oversized!;
    this.#findTable(buf, start, end);
    this.#requirePacket(eventLength);
    assert(this.#statement instanceof BinlogStatement, 'an oversized event is not merged');
    const maps = this.#statement.openMaps(buf, start);
    const header = this.#statement.oversizedHeader(buf, start, eventLength);
    let bytes = eventLength;
    for (const map of maps) bytes += map.length;
    // A huge event holds one row, or few: it is not read a second time to count them.
    this.rowsApplied += 1;
    this.#leaveRowStatement();
    return {
      length: BINLOG_PREFIX.length + base64Length(bytes) + BINLOG_SUFFIX.length,
      sql: oversizedSql(maps, header, pieces),
    };
  }

  /** For error texts. */
  get description(): string {
    const table = this.#table;
    if (table === null) return 'a transaction';
    const database = this.#verdicts.get(table.tableId)?.database ?? table.database;
    return `row events on ${database}.${table.table}`;
  }

  /** Of the last rows event; null: none yet. */
  get table(): { readonly database: string; readonly table: string } | null {
    return this.#table;
  }

  #findTable(buf: Buffer, start: number, end: number): TableMap | null {
    if (end - start < EVENT_HEADER_LENGTH + TABLE_ID_LENGTH) {
      throw new MillraceError('MALFORMED_EVENT', `a rows event of ${end - start} bytes`);
    }
    this.#table = this.#tables.get(buf.readUIntLE(start + EVENT_HEADER_LENGTH, TABLE_ID_LENGTH)) ?? null;
    return this.#table;
  }

  #leaveRowStatement(): void {
    if (this.#statement.inRowStatement) return;
    this.#tables.clear();
    this.#verdicts.clear();
  }

  #requirePacket(eventLength: number): void {
    const bytes = base64Length(eventLength) + STATEMENT_OVERHEAD;
    requirePacket(bytes, this.#maxAllowedPacket, 'a row event', this.#facts);
  }
}

function isDummy(buf: Buffer, start: number): boolean {
  return DUMMY_TABLE_IDS.includes(buf.readUIntLE(start + EVENT_HEADER_LENGTH, TABLE_ID_LENGTH));
}

function* oversizedSql(
  maps: readonly Buffer[],
  header: Buffer,
  pieces: () => Iterable<Buffer>,
): Generator<Buffer> {
  yield BINLOG_PREFIX;
  yield* base64Pieces(withHeader(maps, header, pieces));
  yield BINLOG_SUFFIX;
}

/** The event's own first bytes are replaced by `header`. */
function* withHeader(
  maps: readonly Buffer[],
  header: Buffer,
  pieces: () => Iterable<Buffer>,
): Generator<Buffer> {
  yield* maps;
  yield header;
  let skip = header.length;
  for (const piece of pieces()) {
    const from = Math.min(skip, piece.length);
    skip -= from;
    if (from < piece.length) yield piece.subarray(from);
  }
}
