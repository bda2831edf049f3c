/**
 * The grammar of a transaction in a stream of events: where it begins, where it ends, what it is called. Asked by whoever
 * has to know (reader, relay log writer, recovery, cursor, applier); nobody else looks for BEGIN and COMMIT.
 *
 *   stream      := (control | transaction)*
 *   control     := FORMAT_DESCRIPTION | PREVIOUS_GTIDS | GTID_LIST | BINLOG_CHECKPOINT | ROTATE | STOP | HEARTBEAT | …
 *
 *   MySQL:
 *   transaction := (GTID | ANONYMOUS_GTID | GTID_TAGGED)? prelude* group
 *   group       := QUERY(statement)                        DDL, XA COMMIT, XA ROLLBACK: nothing follows, also no XID
 *                | QUERY(BEGIN | XA START) body* end
 *                | TRANSACTION_PAYLOAD                     holds a whole group, compressed
 *   end         := XID | XA_PREPARE | QUERY(COMMIT | ROLLBACK | XA COMMIT | XA ROLLBACK)
 *   prelude     := INTVAR | RAND | USER_VAR | ROWS_QUERY
 *   body        := prelude | QUERY(statement, SAVEPOINT, ROLLBACK TO, XA END) | TABLE_MAP | rows | load data | VIEW_CHANGE
 *
 *   MariaDB (the GTID event stands for BEGIN or XA START):
 *   transaction := GTID body* end                          | GTID(FL_COMPLETED_XA) prelude* QUERY
 *                | GTID(FL_STANDALONE) body* last          last: a QUERY, the rows event with STMT_END_F, or EXECUTE_LOAD
 *
 * Without GTID events (before 5.6, or MariaDB before 10.0) a lone statement is a 'single' and has no name; the group inside of
 * a TRANSACTION_PAYLOAD can be walked the same way, from its BEGIN to its XID. But a server that writes them writes one for
 * every transaction (an anonymous one at least): once one was seen, a transaction without is out of order.
 * An event with the flag IGNORABLE whose type we do not know may stand anywhere. Any other unknown one, one out of place
 * and an INCIDENT throw: nothing is ever passed over in silence.
 * Facts: mysqld's Transaction_boundary_parser and log_event.h; MariaDB's queue_event; seen on 9.7 and 10.11 (the fixtures).
 *
 * Not thread-safe, one instance per stream. `feed` allocates once per transaction, for its head.
 */
import { MillraceError } from '../base/errors.ts';
import { malformed } from './byte-decoder.ts';
import { decodeIncident } from './control-events.ts';
import { EVENT_HEADER_LENGTH, EventFlag, EventType, eventTypeName } from './event-header.ts';
import type { FormatDescription } from './format-description.ts';
import {
  decodeGtid,
  decodeMariadbGtid,
  decodeTaggedGtid,
  type GtidEvent,
  MariadbGtidFlag,
} from './gtid-events.ts';
import type { TransactionId } from './position-set.ts';
import { queryVerb } from './query-event.ts';
import type { SqlVerb } from './sql-verb.ts';

/** Of an event: outside of transactions; first, middle or last of one; a transaction by itself. */
export type EventPlace = 'between' | 'begin' | 'inside' | 'end' | 'single';

export interface TransactionHead {
  /** Null: anonymous, or the source writes no GTID events. */
  readonly id: TransactionId | null;
  /** The source's logical clock, per file of the source; both 0: there is none. */
  readonly lastCommitted: number;
  readonly sequenceNumber: number;
  /** Commit time on the server we read from, µs since the epoch; null: not told (MariaDB, MySQL before 8.0.1). */
  readonly immediateCommitMicros: bigint | null;
  /** Commit time on the server that executed it first, µs since the epoch. */
  readonly originalCommitMicros: bigint | null;
  /** Bytes of all its events in the source's file, checksums included. */
  readonly transactionLength: bigint | null;
  readonly immediateServerVersion: number | null;
  readonly originalServerVersion: number | null;
  readonly mariadb: {
    readonly domainId: number;
    /** MariadbGtidFlag. */
    readonly flags: number;
    /** MariadbGtidExtraFlag. */
    readonly extraFlags: number;
    readonly commitId: bigint | null;
  } | null;
  /** Header of its first event, seconds since the epoch, source clock. */
  readonly timestamp: number;
}

/** When the source committed it, µs since the epoch: to the second only where it tells no more. */
export function commitMicros(head: TransactionHead): bigint {
  return head.immediateCommitMicros ?? BigInt(head.timestamp) * 1_000_000n;
}

/** What the grammar sees in a type. */
const Kind = {
  UNKNOWN: 0,
  CONTROL: 1,
  GTID: 2,
  /** INTVAR, RAND, USER_VAR: may open a transaction where there are no GTID events. */
  CONTEXT: 3,
  /** The text of a statement, in front of its rows. */
  TEXT: 4,
  QUERY: 5,
  /** A statement in compressed form: never one of the short ones that matter here. */
  LONG_QUERY: 6,
  BODY: 7,
  ROWS: 8,
  LOAD: 9,
  COMMIT: 10,
  PAYLOAD: 11,
  INCIDENT: 12,
  IGNORABLE: 13,
} as const;

const KINDS = kindsByType();

function kindsByType(): Uint8Array {
  const kinds = new Uint8Array(256);
  const put = (kind: number, ...types: number[]) => {
    for (const type of types) kinds[type] = kind;
  };
  const T = EventType;
  put(Kind.CONTROL, T.STOP_EVENT, T.ROTATE_EVENT, T.FORMAT_DESCRIPTION_EVENT, T.PREVIOUS_GTIDS_LOG_EVENT);
  put(Kind.CONTROL, T.HEARTBEAT_LOG_EVENT, T.HEARTBEAT_LOG_EVENT_V2, T.TRANSACTION_CONTEXT_EVENT);
  put(Kind.CONTROL, T.MARIADB_GTID_LIST_EVENT, T.MARIADB_BINLOG_CHECKPOINT_EVENT);
  put(Kind.CONTROL, T.MARIADB_START_ENCRYPTION_EVENT);
  put(Kind.GTID, T.GTID_LOG_EVENT, T.ANONYMOUS_GTID_LOG_EVENT, T.GTID_TAGGED_LOG_EVENT, T.MARIADB_GTID_EVENT);
  put(Kind.CONTEXT, T.INTVAR_EVENT, T.RAND_EVENT, T.USER_VAR_EVENT);
  put(Kind.TEXT, T.ROWS_QUERY_LOG_EVENT, T.MARIADB_ANNOTATE_ROWS_EVENT);
  put(Kind.QUERY, T.QUERY_EVENT);
  put(Kind.LONG_QUERY, T.MARIADB_QUERY_COMPRESSED_EVENT);
  put(Kind.BODY, T.TABLE_MAP_EVENT, T.VIEW_CHANGE_EVENT);
  put(Kind.BODY, T.BEGIN_LOAD_QUERY_EVENT, T.APPEND_BLOCK_EVENT, T.DELETE_FILE_EVENT);
  put(Kind.LOAD, T.EXECUTE_LOAD_QUERY_EVENT);
  put(Kind.ROWS, T.WRITE_ROWS_EVENT_V0, T.UPDATE_ROWS_EVENT_V0, T.DELETE_ROWS_EVENT_V0);
  put(Kind.ROWS, T.WRITE_ROWS_EVENT_V1, T.UPDATE_ROWS_EVENT_V1, T.DELETE_ROWS_EVENT_V1);
  put(Kind.ROWS, T.WRITE_ROWS_EVENT, T.UPDATE_ROWS_EVENT, T.DELETE_ROWS_EVENT, T.PARTIAL_UPDATE_ROWS_EVENT);
  put(Kind.ROWS, T.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, T.MARIADB_WRITE_ROWS_COMPRESSED_EVENT);
  put(Kind.ROWS, T.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1, T.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT);
  put(Kind.ROWS, T.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1, T.MARIADB_DELETE_ROWS_COMPRESSED_EVENT);
  put(Kind.COMMIT, T.XID_EVENT, T.XA_PREPARE_LOG_EVENT);
  put(Kind.PAYLOAD, T.TRANSACTION_PAYLOAD_EVENT);
  put(Kind.INCIDENT, T.INCIDENT_EVENT);
  put(Kind.IGNORABLE, T.IGNORABLE_LOG_EVENT);
  return kinds;
}

/** Where in a transaction the stream stands. */
const At = {
  /** Outside. */
  CLOSED: 0,
  /** MySQL: named, or a prelude read; its first statement decides. */
  OPENED: 1,
  /** After BEGIN, XA START or MariaDB's GTID event. */
  BODY: 2,
  /** MariaDB: the next statement is the whole. */
  ONE_STATEMENT: 3,
} as const;

const FLAGS_OFFSET = 17;
const SERVER_ID_OFFSET = 5;
const EVENT_LENGTH_OFFSET = 9;
/** Of a rows event: after the header and the six bytes of the table id. */
const ROWS_FLAGS_OFFSET = EVENT_HEADER_LENGTH + 6;
const STMT_END = 0x01;
/** Longer than any BEGIN, COMMIT or XA statement with the longest context: such an event need not be there as a whole. */
const VERB_EVENT_LENGTH_MAX = 128 * 1024;

export class TransactionBoundary {
  #fde: FormatDescription;
  #at: number = At.CLOSED;
  #head: TransactionHead | null = null;
  #gtidSeen: boolean;

  /** `gtidSeen`: the stream is taken up in its middle, and had GTID events before. */
  constructor(fde: FormatDescription, gtidSeen = false) {
    this.#fde = fde;
    this.#gtidSeen = gtidSeen;
  }

  /** Begins anew, outside of a transaction: after a FORMAT_DESCRIPTION_EVENT, or where a stream is taken up again. */
  restart(fde: FormatDescription): void {
    this.#fde = fde;
    this.#at = At.CLOSED;
    this.#head = null;
    this.#gtidSeen = false;
  }

  /** True from a transaction's first event until its last one has been fed. */
  get open(): boolean {
    return this.#at !== At.CLOSED;
  }

  /** The transaction of the event fed last, its end included; null: that one stood between transactions. */
  get head(): TransactionHead | null {
    return this.#head;
  }

  /**
   * Takes the event buf[start, end), with header, without checksum, and says where it stands. Of an event of more than 128
   * KiB the first KiB will do. Throws UNEXPECTED_EVENT, UNKNOWN_EVENT, SOURCE_INCIDENT and MALFORMED_EVENT, and is then where
   * it was before.
   */
  feed(buf: Buffer, start: number, end: number): EventPlace {
    if (start < 0 || end > buf.length || end - start < EVENT_HEADER_LENGTH) {
      throw malformed('event', `${end - start} bytes are no event`);
    }
    const type = buf[start + 4]!;
    switch (KINDS[type]!) {
      case Kind.BODY:
        if (this.#at >= At.BODY) return 'inside';
        throw this.#unexpected(type);
      case Kind.ROWS:
        if (this.#at === At.BODY) return 'inside';
        if (this.#at === At.ONE_STATEMENT) return this.#lastIf(isStatementEnd(buf, start, end));
        throw this.#unexpected(type);
      case Kind.GTID:
        return this.#gtid(buf, start, end, type);
      case Kind.QUERY:
        return this.#query(buf, start, end, type);
      case Kind.LONG_QUERY:
        return this.#statement(buf, start, 'other', type);
      case Kind.COMMIT:
        if (this.#at === At.BODY) return this.#lastIf(true);
        throw this.#unexpected(type);
      case Kind.CONTEXT:
        if (this.#at !== At.CLOSED) return 'inside';
        if (this.#gtidSeen) throw this.#unexpected(type);
        this.#head = unnamedHead(buf, start);
        this.#at = At.OPENED;
        return 'begin';
      case Kind.TEXT:
        if (this.#at !== At.CLOSED) return 'inside';
        throw this.#unexpected(type);
      case Kind.LOAD:
        if (this.#at === At.BODY) return 'inside';
        if (this.#at === At.ONE_STATEMENT) return this.#lastIf(true);
        throw this.#unexpected(type);
      case Kind.PAYLOAD:
        if (this.#at === At.OPENED) return this.#lastIf(true);
        throw this.#unexpected(type);
      case Kind.CONTROL:
        if (this.#at !== At.CLOSED) throw this.#unexpected(type);
        return this.#passedOver();
      case Kind.IGNORABLE:
        return this.#passedOver();
      case Kind.INCIDENT:
        throw incident(buf, start, end);
      default:
        if ((buf.readUInt16LE(start + FLAGS_OFFSET) & EventFlag.IGNORABLE) !== 0) return this.#passedOver();
        throw this.#unknown(type);
    }
  }

  #passedOver(): EventPlace {
    if (this.#at !== At.CLOSED) return 'inside';
    this.#head = null;
    return 'between';
  }

  #lastIf(last: boolean): EventPlace {
    if (!last) return 'inside';
    this.#at = At.CLOSED;
    return 'end';
  }

  #gtid(buf: Buffer, start: number, end: number, type: number): EventPlace {
    if (this.#at !== At.CLOSED) throw this.#unexpected(type);
    const body = start + EVENT_HEADER_LENGTH;
    if (type === EventType.MARIADB_GTID_EVENT) {
      const event = decodeMariadbGtid(buf, body, end, buf.readUInt32LE(start + SERVER_ID_OFFSET));
      const { domainId, serverId, seqNo, flags, extraFlags, commitId } = event;
      const id: TransactionId = { kind: 'mariadb', domainId, serverId, seqNo };
      this.#head = unclockedHead(buf, start, id, { domainId, flags, extraFlags, commitId });
      const oneStatement = (flags & (MariadbGtidFlag.STANDALONE | MariadbGtidFlag.COMPLETED_XA)) !== 0;
      this.#at = oneStatement ? At.ONE_STATEMENT : At.BODY;
    } else {
      const tagged = type === EventType.GTID_TAGGED_LOG_EVENT;
      const event = tagged ? decodeTaggedGtid(buf, body, end) : decodeGtid(buf, body, end);
      this.#head = mysqlHead(event, type !== EventType.ANONYMOUS_GTID_LOG_EVENT, buf.readUInt32LE(start));
      this.#at = At.OPENED;
    }
    this.#gtidSeen = true;
    return 'begin';
  }

  #query(buf: Buffer, start: number, end: number, type: number): EventPlace {
    const long = buf.readUInt32LE(start + EVENT_LENGTH_OFFSET) > VERB_EVENT_LENGTH_MAX;
    const verb = long ? 'other' : queryVerb(buf, start + EVENT_HEADER_LENGTH, end);
    return this.#statement(buf, start, verb, type);
  }

  #statement(buf: Buffer, start: number, verb: SqlVerb, type: number): EventPlace {
    switch (this.#at) {
      case At.BODY:
        if (verb === 'other' || verb === 'xa-end') return 'inside';
        if (verb === 'begin' || verb === 'xa-start') throw this.#unexpected(type, verb);
        return this.#lastIf(true);
      case At.ONE_STATEMENT:
        return this.#lastIf(true);
      default: {
        const opens = verb === 'begin' || verb === 'xa-start';
        if (verb === 'commit' || verb === 'rollback' || verb === 'xa-end') throw this.#unexpected(type, verb);
        if (this.#at === At.OPENED) {
          if (!opens) return this.#lastIf(true);
          this.#at = At.BODY;
          return 'inside';
        }
        if (this.#gtidSeen) throw this.#unexpected(type, verb);
        this.#head = unnamedHead(buf, start);
        if (!opens) return 'single';
        this.#at = At.BODY;
        return 'begin';
      }
    }
  }

  #unexpected(type: number, verb?: SqlVerb): MillraceError {
    const where = this.open ? 'inside of a transaction' : 'outside of a transaction';
    const what = verb === undefined ? eventTypeName(type) : `${eventTypeName(type)} (${verb})`;
    return new MillraceError('UNEXPECTED_EVENT', `${what} ${where} breaks the order of events`, {
      hint: 'Compare with `mysqlbinlog` on the source: its binary log is damaged there, or a part of it was lost.',
    });
  }

  #unknown(type: number): MillraceError {
    const where = this.open ? 'inside of a transaction' : 'between transactions';
    const message = `event type ${type} of ${this.#fde.flavour} ${this.#fde.serverVersion} is unknown, ${where}`;
    return new MillraceError('UNKNOWN_EVENT', message, {
      hint: 'Passing it over could lose data. A newer Millrace may know it.',
    });
  }
}

function mysqlHead(event: GtidEvent, named: boolean, timestamp: number): TransactionHead {
  if (named && event.gno === 0n) throw malformed('GTID_LOG_EVENT', 'gno 0');
  return {
    id: named ? { kind: 'gtid', sid: event.sid, gno: event.gno } : null,
    lastCommitted: Number(event.lastCommitted),
    sequenceNumber: Number(event.sequenceNumber),
    immediateCommitMicros: event.immediateCommitMicros,
    originalCommitMicros: event.originalCommitMicros,
    transactionLength: event.transactionLength,
    immediateServerVersion: event.immediateServerVersion,
    originalServerVersion: event.originalServerVersion,
    mariadb: null,
    timestamp,
  };
}

function unnamedHead(buf: Buffer, start: number): TransactionHead {
  return unclockedHead(buf, start, null, null);
}

function unclockedHead(
  buf: Buffer,
  start: number,
  id: TransactionHead['id'],
  mariadb: TransactionHead['mariadb'],
): TransactionHead {
  return {
    id,
    lastCommitted: 0,
    sequenceNumber: 0,
    immediateCommitMicros: null,
    originalCommitMicros: null,
    transactionLength: null,
    immediateServerVersion: null,
    originalServerVersion: null,
    mariadb,
    timestamp: buf.readUInt32LE(start),
  };
}

function isStatementEnd(buf: Buffer, start: number, end: number): boolean {
  if (end - start < ROWS_FLAGS_OFFSET + 2) throw malformed('rows event', `${end - start} bytes are too few`);
  return (buf[start + ROWS_FLAGS_OFFSET]! & STMT_END) !== 0;
}

function incident(buf: Buffer, start: number, end: number): MillraceError {
  const { incident: code, message } = decodeIncident(buf, start + EVENT_HEADER_LENGTH, end);
  return new MillraceError(
    'SOURCE_INCIDENT',
    `the source reports an incident: ${message || `code ${code}`}`,
    {
      hint: 'Its binary log lacks changes: make the target anew from a snapshot of the source.',
    },
  );
}
