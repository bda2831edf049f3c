/**
 * Replays one transaction in one session: events in, statements out, one commit at the end.
 *
 *   rows        TABLE_MAP and rows events are gathered into BINLOG statements (rows-replay.ts)
 *   statements  QUERY events run in the source's session context (statement-replay.ts)
 *   the end     progress is recorded, then COMMIT: data and progress are one commit
 *   the rules   what the target's rules leave out is not sent; a transaction of which nothing is left is committed empty
 *
 * Statements go out in batches without waiting; the last batch and COMMIT are one packet, which the server leaves at the first
 * error. After an error in another batch the next statements still run, and nothing of them may be committed (autocommit is
 * off, and whoever calls rolls back).
 *
 * Invariants
 *  - Nothing is sent before `Progress.begin` has named the transaction.
 *  - At most BATCH_BYTES of statements wait to be sent; an oversized event passes through in pieces.
 *  - An event it has no rule for stops the transaction (UNSUPPORTED): nothing is passed over.
 */
import { type ErrorFacts, MillraceError } from '../base/errors.ts';
import { decodeIntvar, decodeRand, decodeUserVar, decodeXaPrepare } from '../binlog/control-events.ts';
import { EVENT_HEADER_LENGTH, EventFlag, EventType, eventTypeName } from '../binlog/event-header.ts';
import type { FormatDescription } from '../binlog/format-description.ts';
import { decompressMariadbEvent, plainTwin } from '../binlog/mariadb-compression.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import { decodeQuery, type QueryEvent, queryVerb } from '../binlog/query-event.ts';
import { isRowsEvent } from '../binlog/rows-event.ts';
import { sqlVerb } from '../binlog/sql-verb.ts';
import { relayFileName } from '../relay/relay-log-index.ts';
import type { TargetFilter } from '../rules/target-filter.ts';
import { applyError } from '../target/apply-error.ts';
import type { ApplySession } from '../target/apply-session.ts';
import { hexLiteral } from '../target/sql-literal.ts';
import type { Statement } from '../wire/command-pipe.ts';
import type { BinlogStatementOptions } from './binlog-statement.ts';
import { BranchStart } from './branch-start.ts';
import type { FilterCounters } from './filter-counters.ts';
import { isLeftOut } from './left-out-branch.ts';
import type { PreparedPlace } from './prepared-branches.ts';
import { type CommitEnd, type CommitSurroundings, commitRecorded, NotBehind } from './recorded-commit.ts';
import type { ReplayContext } from './replay-context.ts';
import { RowsReplay } from './rows-replay.ts';
import { StatementReplay } from './statement-replay.ts';
import { type EventView, joining, type Transaction } from './transaction.ts';
import { intvarStatement, randStatement, userVariableStatement } from './user-variable.ts';
import { forgetBranchStatements, xidLiteral, xidOfStatement } from './xa-branch.ts';

const BATCH_BYTES = 4 * 1024 * 1024;
/** A MariaDB compressed event may grow to this when it is unpacked. */
const INFLATED_MAX = 1024 * 1024 * 1024;
const FLAGS_OFFSET = 17;
/** Unknown XID. */
const XAER_NOTA = 1397;

export class TransactionReplay {
  readonly #context: ReplayContext;
  readonly #session: ApplySession;
  /** Of several the first: all are of one form. */
  readonly #tx: Transaction;
  readonly around: CommitSurroundings;
  /** Where it stands, for every error about it. */
  readonly facts: ErrorFacts;
  readonly #rows: RowsReplay;
  readonly #memory: BinlogStatementOptions['memory'];
  readonly #statements: StatementReplay;
  #batch: (string | Statement)[] = [];
  #batchBytes = 0;
  #begun = false;
  /** Nothing of it was sent: its name stands in the batch. */
  #isWhole = false;
  #fde: FormatDescription;
  /** XA START of a branch of which nothing was kept yet, where rules may leave it empty. */
  #branch: BranchStart | null = null;

  /** `members`: one transaction, or several that commit together (apply-unit.ts). */
  constructor(
    context: ReplayContext,
    session: ApplySession,
    members: readonly Transaction[],
    rows: BinlogStatementOptions,
    end: CommitEnd,
  ) {
    const tx = members[0]!;
    this.#context = context;
    this.#session = session;
    this.#tx = tx;
    this.facts = transactionFacts(members);
    const ids = members.map(({ id }) => id);
    this.around = { context, session, tx, ids, facts: this.facts, end };
    this.#memory = rows.memory;
    this.#rows = new RowsReplay(context, rows, this.facts, joining(members));
    this.#fde = tx.fde;
    this.#statements = new StatementReplay(context, session, tx, this.facts);
  }

  /** With progress in a table: a statement that commits by itself has run, and its intent is still open. */
  get ranDdl(): boolean {
    return this.#statements.ranDdl;
  }

  get rowsApplied(): number {
    return this.#rows.rowsApplied;
  }

  /** What the target's rules have left out of it. */
  get filtered(): FilterCounters {
    const { rowsLeftOut, rowsApplied } = this.#rows;
    const { statementsLeftOut, systemStatementsLeftOut, statementsRun } = this.#statements;
    const some = rowsLeftOut + statementsLeftOut + systemStatementsLeftOut > 0;
    return {
      transactions: some && rowsApplied + statementsRun === 0 ? 1 : 0,
      statements: statementsLeftOut,
      rows: rowsLeftOut,
      systemStatements: systemStatementsLeftOut,
    };
  }

  /** What is being applied now, for people: no values. */
  get doing(): { readonly text: string; readonly table: RowsReplay['table'] } {
    const table = this.#rows.table;
    return { text: (table === null ? this.#statements.doing : null) ?? this.#rows.description, table };
  }

  /** @throws what stops or delays the transaction; the session is then rolled back by the caller. */
  async run(events: Iterable<EventView>): Promise<void> {
    const { ending, xid } = this.#tx;
    if (ending === 'xa-prepare' && xid !== null && this.#context.progress.kind === 'table') {
      return this.#notePrepared(xid);
    }
    const { formatDescription } = this.#tx;
    if (!this.#session.isPrimed(formatDescription)) await this.#session.prime(formatDescription);
    await this.#replay(events);
  }

  async #replay(events: Iterable<EventView>): Promise<void> {
    for (const event of events) {
      const done = isRowsEvent(event.type) ? this.#onRows(event) : this.#onOther(event);
      if (done !== null) await done;
    }
  }

  #onOther(event: EventView): Promise<void> | null {
    const handler = HANDLERS.get(event.type);
    if (handler !== undefined) return handler.call(this, event) ?? null;
    const flags = event.buf.readUInt16LE(event.start + FLAGS_OFFSET);
    if ((flags & EventFlag.IGNORABLE) !== 0) return null;
    throw this.#unsupported(
      `a ${eventTypeName(event.type)}`,
      'Use binlog_format=ROW in that session on the source.',
    );
  }

  // ---- rows

  #onRows(event: EventView): Promise<void> | null {
    if (this.#rows.leavesOut(event, event.type, this.#fde)) return event.last ? this.#commit() : null;
    return this.#branch === null ? this.#addRows(event) : this.#addRowsInBranch(event);
  }

  async #addRowsInBranch(event: EventView): Promise<void> {
    await this.#startBranch();
    await this.#addRows(event);
  }

  #addRows(event: EventView): Promise<void> | null {
    this.#begin();
    if (event.oversized !== null) return this.#onOversizedRows(event);
    if (this.#rows.mustTakeBefore(event)) this.#takeRows();
    if (this.#rows.addRows(event, this.#fde)) this.#takeRows();
    // A MariaDB group of one statement ends with its rows.
    if (event.last) return this.#commit();
    return this.#batchBytes >= BATCH_BYTES ? this.#send() : null;
  }

  /** The event is base64 encoded on its way from the relay log to the socket. */
  async #onOversizedRows(event: EventView): Promise<void> {
    this.#takeRows();
    await this.#send();
    const { length, sql } = this.#rows.oversized(event);
    const reply = await this.#session.runStreaming(length, sql);
    if (!reply.ok) throw applyError(reply, this.#rows.description, this.facts);
    if (event.last) await this.#commit();
  }

  #takeRows(): void {
    const pieces = this.#rows.take();
    if (pieces === null) return;
    for (const piece of pieces) this.#batchBytes += piece.length;
    this.#batch.push(pieces);
  }

  /** Unpacks a MariaDB event and handles its plain twin. */
  onCompressed(event: EventView): Promise<void> | null {
    if (event.oversized !== null) {
      const type = plainTwin(event.type);
      if (isRowsEvent(type) && this.#rows.leavesOut(event, type, null)) {
        return event.last ? this.#commit() : null;
      }
      throw this.#unsupported(
        'a compressed event of more than 16 MiB',
        'Set log_bin_compress=OFF on the source for such rows.',
      );
    }
    const buf = decompressMariadbEvent(Buffer.from(event.buf.subarray(event.start, event.end)), INFLATED_MAX);
    const twin = { type: buf[4]!, buf, start: 0, end: buf.length, last: event.last, oversized: null };
    return isRowsEvent(twin.type) ? this.#onRows(twin) : this.onQuery(twin);
  }

  onTableMap(event: EventView): void {
    this.#rows.addTableMap(event);
  }

  // ---- statements

  /** A SET that belongs to the next statement. */
  before(statement: string): void {
    this.#statements.before(statement);
  }

  async onUserVar({ buf, start, end }: EventView): Promise<void> {
    const variable = decodeUserVar(Buffer.from(buf.subarray(start, end)), EVENT_HEADER_LENGTH, end - start);
    this.before(userVariableStatement(variable, await this.#context.collations()));
  }

  onQuery(event: EventView): Promise<void> | null {
    if (event.oversized !== null) {
      throw this.#unsupported('a statement of more than 16 MiB', 'Split the statement on the source.');
    }
    const { buf, start, end } = event;
    // Before all of its context is read, of which nothing is wanted.
    if (queryVerb(buf, start + EVENT_HEADER_LENGTH, end) === 'begin') return null;
    const query = decodeQuery(buf, start + EVENT_HEADER_LENGTH, end, this.#fde);
    switch (sqlVerb(buf, query.sqlStart, query.sqlEnd)) {
      case 'begin':
        return null;
      case 'commit':
        return this.#commit();
      case 'rollback':
        return this.#onRollback();
      case 'xa-start':
        // Without a branch on the target (progress in a table) these are plain rows.
        if (this.#context.progress.kind === 'table') return null;
        if (this.#context.filter === null) return this.#inBody(event, query);
        this.#branch = new BranchStart(event);
        return null;
      case 'xa-end':
        if (this.#context.progress.kind === 'table' || this.#branch !== null) return null;
        return this.#inBody(event, query);
      case 'xa-commit':
        return this.#completeXa(event, query, true);
      case 'xa-rollback':
        return this.#completeXa(event, query, false);
      default:
        if (this.#tx.ending === 'single' && event.last) return this.#single(event, query);
        return this.#inBody(event, query);
    }
  }

  #onRollback(): Promise<void> {
    if (!this.#begun) return this.#commit();
    throw this.#unsupported(
      'changes of non-transactional tables in a transaction that was rolled back on the source',
      'Convert those tables to InnoDB on the source.',
    );
  }

  /** A statement inside a transaction: DML in statement format, SAVEPOINT, CREATE TABLE … with its rows following. */
  async #inBody(event: EventView, query: QueryEvent): Promise<void> {
    this.#takeRows();
    await this.#send();
    const statement = await this.#statements.prepare(event, query, true);
    if (statement === null) return;
    if (this.#branch !== null) await this.#startBranch();
    await this.#statements.runInTransaction(statement, this.#begun ? [] : this.#beginStatements());
  }

  /** A statement that commits by itself. */
  async #single(event: EventView, query: QueryEvent): Promise<void> {
    const statement = await this.#statements.prepare(event, query, false);
    const begin = this.#beginStatements();
    if (statement !== null && (await this.#statements.runAlone(statement, begin))) return;
    // Not committed yet, or nothing had to run: progress is recorded by an own commit.
    this.#batch.push(...begin);
    await this.#commit();
  }

  // ---- the beginning and the end

  #beginStatements(): readonly string[] {
    this.#begun = true;
    return this.#context.progress.begin(this.#tx.id, this.#tx.head, this.around.end.behind !== null);
  }

  #begin(): void {
    if (this.#begun) return;
    this.#batch.push(...this.#beginStatements());
    const forRows = this.#session.context.rowsStatement();
    if (forRows !== null) this.#batch.push(forRows);
    this.#isWhole = true;
  }

  onXid(): Promise<void> {
    return this.#commit();
  }

  /** Everything that is left goes out in one packet with COMMIT at its end: it is not run when something before it fails. */
  async #commit(): Promise<void> {
    this.#begin();
    const after = this.#statements.beforeCommit();
    // Nothing was sent, and nothing stands in the batch but its name: all its rows are those that are gathered.
    const isAll = this.#isWhole && this.#batchBytes === 0 && after.length === 0;
    const isOneStatement = isAll && this.#rows.isOneStatement;
    this.#takeRows();
    this.#batch.push(...after);
    await commitRecorded(this.around, this.#takeBatch(), this.#rows.description, isOneStatement);
  }

  #takeBatch(): (string | Statement)[] {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    return batch;
  }

  async #send(): Promise<void> {
    if (this.around.end.behind !== null) throw new NotBehind();
    this.#isWhole = false;
    await this.#session.execute(this.#takeBatch(), this.#rows.description, this.facts);
    this.#memory.answered();
  }

  // ---- XA

  async onXaPrepare({ buf, start, end }: EventView): Promise<void> {
    const xa = decodeXaPrepare(buf, start + EVENT_HEADER_LENGTH, end);
    // Nothing of the branch was kept: there is none on the target.
    if (this.#branch !== null) return this.#commit();
    if (this.#context.progress.kind === 'table') {
      // Of a prepared branch that is being committed only the rows are wanted here; one phase is a commit.
      if (xa.onePhase) await this.#commit();
      return;
    }
    const statement = xa.onePhase ? `XA COMMIT ${xidLiteral(xa)} ONE PHASE` : `XA PREPARE ${xidLiteral(xa)}`;
    this.#begin();
    this.#takeRows();
    await this.#send();
    await this.#session.execute([statement], xa.onePhase ? 'XA COMMIT' : 'XA PREPARE', this.facts);
  }

  /**
   * With progress in a table a prepared branch cannot carry its progress (the row would stay locked until XA COMMIT): it is
   * noted down, and replayed out of the relay log when it is committed.
   */
  #notePrepared(xid: string): Promise<void> {
    const { fileNumber, offset } = this.#tx.location;
    const id = transactionIdText(this.#tx.id);
    this.#context.prepared.add(xid, { fileNumber, offset, id });
    return this.#commitWith(
      `REPLACE INTO millrace.prepared (channel, xid, id, relay_file, relay_offset) VALUES (${this.#context.channel}, ${hexLiteral(xid)}, ${hexLiteral(id)}, ${fileNumber}, ${offset})`,
    );
  }

  async #startBranch(): Promise<void> {
    const start = this.#branch!;
    this.#branch = null;
    await this.#inBody(start.event, start.query(this.#fde));
  }

  /** A branch that the rules left nothing of is not on the target, so its end finds none. */
  async #completeOnTarget(event: EventView, query: QueryEvent, filter: TargetFilter): Promise<void> {
    try {
      await this.#single(event, query);
    } catch (error) {
      const unknown = error instanceof MillraceError && error.facts.errno === XAER_NOTA;
      const xid = xidOfStatement(event.buf.toString('latin1', query.sqlStart, query.sqlEnd));
      if (!unknown || !(await isLeftOut(this.#context, filter, xid, this.#tx.location, this.facts)))
        throw error;
      this.#statements.statementsLeftOut += 1;
      this.#batch = [...this.#beginStatements()];
      await this.#commit();
    }
  }

  async #completeXa(event: EventView, query: QueryEvent, commit: boolean): Promise<void> {
    const { filter, progress } = this.#context;
    if (progress.kind === 'gtid') {
      return filter === null ? this.#single(event, query) : this.#completeOnTarget(event, query, filter);
    }
    const text = event.buf.toString('latin1', query.sqlStart, query.sqlEnd);
    const xid = xidOfStatement(text);
    const place = this.#preparedPlace(xid);
    if (place === null) {
      throw this.#unsupported(
        `'${text.slice(0, 200)}', whose branch is not in the relay log any more`,
        'Complete that branch on the target by hand, then start from after this transaction (source.start).',
      );
    }
    if (commit) {
      const stored = this.#context.readTransaction(place);
      this.#fde = stored.fde;
      await this.#session.prime(stored.formatDescription);
      await this.#replay(stored.events);
    }
    await this.#commitWith(...forgetBranchStatements(this.#context.channel, xid));
    this.#context.prepared.remove(xid);
  }

  /** Null: unknown, or the relay log holds another transaction there (it was fetched anew, or moved to another disk). */
  #preparedPlace(xid: string): PreparedPlace | null {
    const place = this.#context.prepared.find(xid);
    return place !== null && this.#context.holdsTransaction(place) ? place : null;
  }

  async #commitWith(...statements: readonly string[]): Promise<void> {
    this.#begin();
    this.#takeRows();
    this.#batch.push(...statements);
    await this.#commit();
  }

  #unsupported(what: string, hint: string): MillraceError {
    return new MillraceError(
      'UNSUPPORTED',
      `the transaction contains ${what}, which cannot be applied exactly`,
      { hint, facts: this.facts },
    );
  }
}

/** Null, or nothing: done. */
type Handler = (this: TransactionReplay, event: EventView) => Promise<void> | null | undefined | void;

const nothing: Handler = () => {};
const compressed: Handler = function (event) {
  return this.onCompressed(event);
};

const HANDLERS: ReadonlyMap<number, Handler> = new Map<number, Handler>([
  [
    EventType.TABLE_MAP_EVENT,
    function (event) {
      this.onTableMap(event);
    },
  ],
  [
    EventType.QUERY_EVENT,
    function (event) {
      return this.onQuery(event);
    },
  ],
  [
    EventType.XID_EVENT,
    function () {
      return this.onXid();
    },
  ],
  [
    EventType.INTVAR_EVENT,
    function ({ buf, start, end }) {
      this.before(intvarStatement(decodeIntvar(buf, start + EVENT_HEADER_LENGTH, end)));
    },
  ],
  [
    EventType.RAND_EVENT,
    function ({ buf, start, end }) {
      this.before(randStatement(decodeRand(buf, start + EVENT_HEADER_LENGTH, end)));
    },
  ],
  [
    EventType.USER_VAR_EVENT,
    function (event) {
      return this.onUserVar(event);
    },
  ],
  [
    EventType.XA_PREPARE_LOG_EVENT,
    function (event) {
      return this.onXaPrepare(event);
    },
  ],
  [EventType.MARIADB_QUERY_COMPRESSED_EVENT, compressed],
  [EventType.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, compressed],
  [EventType.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1, compressed],
  [EventType.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1, compressed],
  [EventType.MARIADB_WRITE_ROWS_COMPRESSED_EVENT, compressed],
  [EventType.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT, compressed],
  [EventType.MARIADB_DELETE_ROWS_COMPRESSED_EVENT, compressed],
  // They name the transaction or describe it: nothing to apply.
  [EventType.GTID_LOG_EVENT, nothing],
  [EventType.GTID_TAGGED_LOG_EVENT, nothing],
  [EventType.ANONYMOUS_GTID_LOG_EVENT, nothing],
  [EventType.MARIADB_GTID_EVENT, nothing],
  [EventType.ROWS_QUERY_LOG_EVENT, nothing],
  [EventType.MARIADB_ANNOTATE_ROWS_EVENT, nothing],
]);

function transactionFacts(members: readonly Transaction[]): ErrorFacts {
  const { id, location } = members[0]!;
  const transaction = transactionIdText(id);
  const place = { file: relayFileName(location.fileNumber), offset: location.offset };
  return { transaction, ...(members.length > 1 && { and_following: members.length - 1 }), ...place };
}
