/**
 * Reads out of a transaction's events what it changes: which rows of which tables, counted without decoding a value, and
 * which statements it holds. What these mean is the listener's: the guards', and `millrace find`'s.
 *
 * Events come in the order of the log, whole transactions, those of a compressed transaction one by one in its place. Types
 * that change nothing by themselves are passed over; what cannot be read is told as such and ends nothing, since whoever
 * looks ahead must not stop where the one who applies does not.
 *
 * One instance per row of events. Thread: any; no allocation per rows event that is not asked for.
 */
import { MillraceError } from '../base/errors.ts';
import { malformed } from '../binlog/byte-decoder.ts';
import { decodeRowsQuery } from '../binlog/control-events.ts';
import { EVENT_HEADER_LENGTH, EventType, eventTypeName } from '../binlog/event-header.ts';
import type { FormatDescription } from '../binlog/format-description.ts';
import { MariadbGtidExtraFlag } from '../binlog/gtid-events.ts';
import { decompressMariadbEvent, isMariadbCompressed } from '../binlog/mariadb-compression.ts';
import { countOversizedRows, type EventBytes } from '../binlog/oversized-rows.ts';
import { decodeQuery, queryVerb } from '../binlog/query-event.ts';
import { countRowsAfter, hasKnownLengths } from '../binlog/row-images.ts';
import { isRowsEvent, ROWS_FLAG, type RowsOperation, rowsHeader } from '../binlog/rows-event.ts';
import { firstSqlWord } from '../binlog/sql-verb.ts';
import type { TableMap } from '../binlog/table-map.ts';
import { TableMapCache } from '../binlog/table-map-cache.ts';
import { statementDialect } from './statement-dialect.ts';
import type { StatementDialect } from './statement-reading.ts';

/** One event: buf[start, end) with its header, without its CRC. */
export interface LoggedEvent {
  readonly buf: Buffer;
  readonly start: number;
  readonly end: number;
  readonly type: number;
  readonly fde: FormatDescription;
  /** Not null: the event is too large to be in memory, `buf` holds its beginning. */
  readonly oversized: EventBytes | null;
}

/** A statement as it was logged; a view, valid during the call. */
export interface LoggedStatement {
  /** The text is buf[start, end). */
  readonly buf: Buffer;
  readonly start: number;
  readonly end: number;
  /** False: the text is longer, this is its beginning. */
  readonly whole: boolean;
  /** The session's default database; empty: none. */
  readonly database: string;
  /** Of an UPDATE of several tables: which of them it changes, by their order. */
  readonly tableMapForUpdate: bigint | null;
  readonly dialect: StatementDialect;
}

export interface ChangeListener {
  /** Rows of these operations are counted; of others nothing is told. */
  readonly operations: ReadonlySet<RowsOperation>;
  /** `rows` null: they cannot be counted. */
  rows(operation: RowsOperation, table: TableMap, rows: number | null): void;
  /** Anything but what opens, parts and ends a transaction: BEGIN, SAVEPOINT, COMMIT, XA … */
  statement(statement: LoggedStatement): void;
  /** The text that made the rows after it, when the source logs it: buf[start, end). */
  text(buf: Buffer, start: number, end: number): void;
  /** An event whose bytes do not have the form their type demands, or that is too large to be unpacked. */
  unreadable(why: string): void;
}

/** What a compressed event of MariaDB may become. */
const UNPACKED_LENGTH_MAX = 64 * 1024 * 1024;
/** Of a rows event, compressed or not: after the header and the six bytes of the table id. */
const ROWS_FLAGS_OFFSET = EVENT_HEADER_LENGTH + 6;
const STATEMENT_IN_ROWS = new Set<number>([
  EventType.ROWS_QUERY_LOG_EVENT,
  EventType.MARIADB_ANNOTATE_ROWS_EVENT,
]);

/** SAVEPOINT s, ROLLBACK TO s, RELEASE SAVEPOINT s. */
const SAVEPOINT_WORDS: ReadonlySet<string> = new Set(['SAVEPOINT', 'ROLLBACK', 'RELEASE']);

/**
 * MariaDB with binlog_alter_two_phase logs an ALTER TABLE twice, in transactions of their own: the start, which changes nothing
 * yet, and later its COMMIT ALTER, the one that the applier runs, or its ROLLBACK ALTER, after which nothing has happened.
 */
const ALTER_THAT_WAITS = MariadbGtidExtraFlag.START_ALTER | MariadbGtidExtraFlag.ROLLBACK_ALTER;

export class ChangeReader {
  readonly #listener: ChangeListener;
  /** Of the server that runs the statements; null: as the log says of the one that wrote them. */
  readonly #versionNumber: number | null;
  readonly #cache = new TableMapCache();
  /** Tables of the statement that is being read, by table id. */
  readonly #tables = new Map<number, TableMap>();

  constructor(listener: ChangeListener, versionNumber: number | null) {
    this.#listener = listener;
    this.#versionNumber = versionNumber;
  }

  take(event: LoggedEvent): void {
    const { type } = event;
    try {
      if (isRowsEvent(type)) this.#rows(event);
      else if (type === EventType.TABLE_MAP_EVENT) this.#tableMap(event);
      else if (type === EventType.QUERY_EVENT) this.#query(event);
      else if (isMariadbCompressed(type)) this.#compressed(event);
      else if (STATEMENT_IN_ROWS.has(type)) this.#text(event);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#listener.unreadable(error.message);
    }
  }

  #tableMap({ buf, start, end, oversized }: LoggedEvent): void {
    if (oversized !== null) throw malformed('TABLE_MAP_EVENT', `${oversized.length} bytes`);
    const map = this.#cache.get(buf, start + EVENT_HEADER_LENGTH, end);
    this.#tables.set(map.tableId, map);
  }

  #rows({ buf, start, end, type, fde, oversized }: LoggedEvent): void {
    const header = rowsHeader(buf, start + EVENT_HEADER_LENGTH, end, type, fde.postHeaderLengths);
    const map = this.#tables.get(header.tableId);
    if ((header.flags & ROWS_FLAG.STMT_END) !== 0) this.#tables.clear();
    const { operation } = header;
    // Without a map it is the dummy event that only ends a statement.
    if (map === undefined || !this.#listener.operations.has(operation)) return;
    if (!hasKnownLengths(map, fde.flavour)) {
      this.#listener.rows(operation, map, null);
      return;
    }
    const rows =
      oversized === null
        ? countRowsAfter(map, buf, header, end)
        : countOversizedRows(map, buf, start, header, oversized);
    this.#listener.rows(operation, map, rows);
  }

  #query(event: LoggedEvent): void {
    const { buf, start, end, fde, oversized } = event;
    const bodyStart = start + EVENT_HEADER_LENGTH;
    if (queryVerb(buf, bodyStart, end) !== 'other') return;
    this.#tables.clear();
    const { database, statusVars, sqlStart, sqlEnd } = decodeQuery(buf, bodyStart, end, fde);
    if (SAVEPOINT_WORDS.has(firstSqlWord(buf, sqlStart, sqlEnd))) return;
    if (((statusVars.mariadbAlter?.flags ?? 0) & ALTER_THAT_WAITS) !== 0) return;
    this.#listener.statement({
      buf,
      start: sqlStart,
      end: sqlEnd,
      whole: oversized === null,
      database,
      tableMapForUpdate: statusVars.tableMapForUpdate,
      dialect: { ...statementDialect(statusVars, fde, this.#versionNumber), database },
    });
  }

  #compressed({ buf, start, end, type, fde, oversized }: LoggedEvent): void {
    const operation = COMPRESSED_ROWS.get(type);
    if (operation !== undefined && !this.#listener.operations.has(operation)) {
      if (
        end - start >= ROWS_FLAGS_OFFSET + 2 &&
        (buf[start + ROWS_FLAGS_OFFSET]! & ROWS_FLAG.STMT_END) !== 0
      )
        this.#tables.clear();
      return;
    }
    if (oversized !== null) throw malformed(eventTypeName(type), `${oversized.length} bytes, compressed`);
    const plain = decompressMariadbEvent(buf.subarray(start, end), UNPACKED_LENGTH_MAX);
    this.take({ buf: plain, start: 0, end: plain.length, type: plain[4]!, fde, oversized: null });
  }

  #text({ buf, start, end, type }: LoggedEvent): void {
    const bodyStart = start + EVENT_HEADER_LENGTH;
    if (type === EventType.MARIADB_ANNOTATE_ROWS_EVENT) this.#listener.text(buf, bodyStart, end);
    else {
      const sql = decodeRowsQuery(buf, bodyStart, end);
      this.#listener.text(sql, 0, sql.length);
    }
  }
}

/** It is about what the bytes say, not about getting at them. */
export function isUnreadable(error: unknown): error is MillraceError {
  return error instanceof MillraceError && (error.code === 'MALFORMED_EVENT' || error.code === 'UNSUPPORTED');
}

const COMPRESSED_ROWS: ReadonlyMap<number, RowsOperation> = new Map<number, RowsOperation>([
  [EventType.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, 'insert'],
  [EventType.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1, 'update'],
  [EventType.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1, 'delete'],
  [EventType.MARIADB_WRITE_ROWS_COMPRESSED_EVENT, 'insert'],
  [EventType.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT, 'update'],
  [EventType.MARIADB_DELETE_ROWS_COMPRESSED_EVENT, 'delete'],
]);
