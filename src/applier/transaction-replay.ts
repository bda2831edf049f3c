/**
 * Replays one transaction in one session: events in, statements out, one commit at the end.
 *
 *   rows        TABLE_MAP and rows events are gathered into BINLOG statements (binlog-statement.ts)
 *   statements  QUERY events run in the source's session context; INTVAR, RAND and USER_VAR just before them
 *   the end     progress is recorded, then COMMIT: data and progress are one commit
 *
 * Statements go out in batches without waiting, and COMMIT only after every reply before it was good: after an error in
 * a pipe the next statements still run, and nothing of them may be committed (autocommit is off, and whoever calls rolls
 * back).
 *
 * Invariants
 *  - Nothing is sent before `Progress.begin` has named the transaction.
 *  - At most BATCH_BYTES of statements wait to be sent; an oversized event passes through in pieces.
 *  - An event it has no rule for stops the transaction (UNSUPPORTED): nothing is passed over.
 */
import { MillraceError } from '../base/errors.ts';
import { decodeIntvar, decodeRand, decodeUserVar, decodeXaPrepare } from '../binlog/control-events.ts';
import { EVENT_HEADER_LENGTH, EventFlag, EventType, eventTypeName } from '../binlog/event-header.ts';
import type { FormatDescription } from '../binlog/format-description.ts';
import { decompressMariadbEvent } from '../binlog/mariadb-compression.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import { decodeQuery, type QueryEvent } from '../binlog/query-event.ts';
import { countRows } from '../binlog/row-images.ts';
import { isRowsEvent } from '../binlog/rows-event.ts';
import { sqlVerb } from '../binlog/sql-verb.ts';
import { decodeTableMap, type TableMap } from '../binlog/table-map.ts';
import { applyError } from '../target/apply-error.ts';
import type { ApplySession } from '../target/apply-session.ts';
import { hexLiteral } from '../target/table-progress.ts';
import type { Statement } from '../wire/command-pipe.ts';
import {
  BINLOG_PREFIX,
  BINLOG_SUFFIX,
  BinlogStatement,
  type BinlogStatementOptions,
  base64Length,
  base64Pieces,
} from './binlog-statement.ts';
import type { ReplayContext } from './replay-context.ts';
import { StatementReplay } from './statement-replay.ts';
import type { EventView, Transaction } from './transaction.ts';
import { intvarStatement, randStatement, userVariableStatement } from './user-variable.ts';
import { xidLiteral, xidOfStatement } from './xa-branch.ts';

const BATCH_BYTES = 4 * 1024 * 1024;
/** A MariaDB compressed event may grow to this when it is unpacked. */
const INFLATED_MAX = 1024 * 1024 * 1024;

type Handler = (event: EventView) => void | Promise<void>;

export class TransactionReplay {
  readonly #context: ReplayContext;
  readonly #session: ApplySession;
  readonly #tx: Transaction;
  readonly #rows: BinlogStatement;
  readonly #statements: StatementReplay;
  readonly #handlers: ReadonlyMap<number, Handler>;
  readonly #tables = new Map<number, TableMap>();
  #batch: (string | Statement)[] = [];
  #batchBytes = 0;
  #begun = false;
  /** Table of the last rows event: for error texts. */
  #table: TableMap | null = null;
  #fde: FormatDescription;
  rowsApplied = 0;

  constructor(context: ReplayContext, session: ApplySession, tx: Transaction, rows: BinlogStatementOptions) {
    this.#context = context;
    this.#session = session;
    this.#tx = tx;
    this.#rows = new BinlogStatement(rows);
    this.#fde = tx.fde;
    this.#statements = new StatementReplay(context, session, tx);
    const T = EventType;
    this.#handlers = new Map<number, Handler>([
      [T.TABLE_MAP_EVENT, (event) => this.#onTableMap(event)],
      [T.QUERY_EVENT, (event) => this.#onQuery(event)],
      [T.MARIADB_QUERY_COMPRESSED_EVENT, (event) => this.#onCompressed(event)],
      [
        T.INTVAR_EVENT,
        ({ buf, start, end }) =>
          this.#statements.before(intvarStatement(decodeIntvar(buf, start + EVENT_HEADER_LENGTH, end))),
      ],
      [
        T.RAND_EVENT,
        ({ buf, start, end }) =>
          this.#statements.before(randStatement(decodeRand(buf, start + EVENT_HEADER_LENGTH, end))),
      ],
      [
        T.USER_VAR_EVENT,
        async ({ buf, start, end }) =>
          this.#statements.before(
            userVariableStatement(
              decodeUserVar(buf, start + EVENT_HEADER_LENGTH, end),
              await context.collations(),
            ),
          ),
      ],
      [T.XID_EVENT, () => this.#commit()],
      [T.XA_PREPARE_LOG_EVENT, (event) => this.#onXaPrepare(event)],
      // Names and text: nothing to apply.
      [T.GTID_LOG_EVENT, () => {}],
      [T.GTID_TAGGED_LOG_EVENT, () => {}],
      [T.ANONYMOUS_GTID_LOG_EVENT, () => {}],
      [T.MARIADB_GTID_EVENT, () => {}],
      [T.ROWS_QUERY_LOG_EVENT, () => {}],
      [T.MARIADB_ANNOTATE_ROWS_EVENT, () => {}],
    ]);
    for (
      let type = T.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1;
      type <= T.MARIADB_DELETE_ROWS_COMPRESSED_EVENT;
      type++
    ) {
      (this.#handlers as Map<number, Handler>).set(type, (event) => this.#onCompressed(event));
    }
  }

  /** @throws what stops or delays the transaction; the session is then rolled back by the caller. */
  async run(events: Iterable<EventView>): Promise<void> {
    if (
      this.#tx.xid !== null &&
      this.#context.progress.kind === 'table' &&
      this.#tx.ending === 'xa-prepare'
    ) {
      return this.#notePrepared(this.#tx.xid);
    }
    await this.#session.prime(this.#tx.formatDescription);
    await this.#replay(events);
  }

  async #replay(events: Iterable<EventView>): Promise<void> {
    for (const event of events) {
      if (isRowsEvent(event.type)) {
        const full = this.#onRows(event);
        if (await full) await full;
        if (event.last) await this.#commit();
        continue;
      }
      const handler = this.#handlers.get(event.type);
      if (handler === undefined) {
        const flags = event.buf.readUInt16LE(event.start + 17);
        if ((flags & EventFlag.IGNORABLE) !== 0) continue;
        throw this.#unsupported(
          `a ${eventTypeName(event.type)}`,
          'Load data with binlog_format=ROW on the source.',
        );
      }
      const done = handler(event);
      if (done) await done;
    }
  }

  // ---- rows

  #onTableMap({ buf, start, end }: EventView): void {
    const map = decodeTableMap(buf, start + EVENT_HEADER_LENGTH, end);
    this.#tables.set(map.tableId, map);
    this.#rows.addTableMap(buf, start, end);
  }

  #onRows(event: EventView): Promise<void> | null {
    const { buf, start, end, type } = event;
    this.#begin();
    if (event.oversized !== null) return this.#oversizedRows(event);
    if (end - start < EVENT_HEADER_LENGTH + 6) {
      throw new MillraceError('MALFORMED_EVENT', `a rows event of ${end - start} bytes`);
    }
    const tableId = buf.readUIntLE(start + EVENT_HEADER_LENGTH, 6);
    this.#table = this.#tables.get(tableId) ?? null;
    if (this.#table !== null) {
      this.rowsApplied += countRows(
        this.#table,
        buf,
        start + EVENT_HEADER_LENGTH,
        end,
        type,
        this.#fde.postHeaderLengths,
      );
    }
    this.#requirePacket(end - start);
    const full = this.#rows.addRows(buf, start, end);
    if (!this.#rows.inRowStatement) this.#tables.clear();
    if (!full) return null;
    this.#takeRows();
    return this.#batchBytes >= BATCH_BYTES ? this.#flush().then(() => {}) : null;
  }

  #takeRows(): void {
    if (this.#rows.isEmpty) return;
    const pieces = this.#rows.take();
    for (const piece of pieces) this.#batchBytes += piece.length;
    this.#batch.push(pieces);
  }

  /** The event is base64 encoded on its way from the relay log to the socket. */
  async #oversizedRows({ buf, start, oversized }: EventView): Promise<void> {
    const event = oversized!;
    this.#table = this.#tables.get(buf.readUIntLE(start + EVENT_HEADER_LENGTH, 6)) ?? null;
    this.#requirePacket(event.length);
    this.#takeRows();
    await this.#flush();
    const maps = this.#rows.openMaps(buf, start);
    let bytes = event.length;
    for (const map of maps) bytes += map.length;
    const header = this.#rows.oversizedHeader(buf, start, event.length);
    function* raw(): Generator<Buffer> {
      yield* maps;
      let first = true;
      for (const piece of event.pieces()) {
        if (first) {
          yield header;
          if (piece.length > header.length) yield piece.subarray(header.length);
          first = false;
        } else yield piece;
      }
    }
    function* sql(): Generator<Buffer> {
      yield BINLOG_PREFIX;
      yield* base64Pieces(raw());
      yield BINLOG_SUFFIX;
    }
    const length = BINLOG_PREFIX.length + base64Length(bytes) + BINLOG_SUFFIX.length;
    const reply = await this.#session.runStreaming(length, sql());
    if (!reply.ok) throw applyError(reply, this.#doing(), this.#facts());
    this.rowsApplied += 1;
    if (!this.#rows.inRowStatement) this.#tables.clear();
  }

  #requirePacket(eventLength: number): void {
    const max = this.#context.facts.maxAllowedPacket;
    const need = base64Length(eventLength) + 64 * 1024;
    if (need <= max) return;
    throw new MillraceError(
      'TARGET_CONFIG',
      `a row event of ${eventLength} bytes does not fit the target's max_allowed_packet (${max})`,
      {
        hint: `SET GLOBAL max_allowed_packet=${Math.min(1 << 30, Math.ceil(need / (1 << 20)) * (1 << 20))} (or more) on the target and start again.`,
        facts: this.#facts(),
      },
    );
  }

  /** Unpacks and handles the plain twin. */
  #onCompressed(event: EventView): void | Promise<void> {
    if (event.oversized !== null) {
      throw this.#unsupported(
        'a compressed event of more than 16 MiB',
        'Set log_bin_compress=OFF on the source for such rows.',
      );
    }
    const plain = decompressMariadbEvent(
      Buffer.from(event.buf.subarray(event.start, event.end)),
      INFLATED_MAX,
    );
    const twin: EventView = {
      type: plain[4]!,
      buf: plain,
      start: 0,
      end: plain.length,
      last: event.last,
      oversized: null,
    };
    if (isRowsEvent(twin.type)) return this.#onRows(twin) ?? undefined;
    return this.#onQuery(twin);
  }

  // ---- statements

  async #onQuery(event: EventView): Promise<void> {
    if (event.oversized !== null) {
      throw this.#unsupported('a statement of more than 16 MiB', 'Split the statement on the source.');
    }
    const { buf, start, end } = event;
    const query = decodeQuery(buf, start + EVENT_HEADER_LENGTH, end, this.#fde);
    switch (sqlVerb(buf, query.sqlStart, query.sqlEnd)) {
      case 'begin':
        return;
      case 'commit':
        return this.#commit();
      case 'rollback':
        if (this.#begun) {
          throw this.#unsupported(
            'a transaction that was rolled back on the source after it had changed non-transactional tables',
            'Convert those tables to InnoDB on the source.',
          );
        }
        return this.#commit();
      case 'xa-start':
      case 'xa-end':
        // Without a branch on the target (progress in a table) these are plain rows.
        return this.#context.progress.kind === 'gtid' ? this.#inBody(event, query) : undefined;
      case 'xa-commit':
        return this.#completeXa(event, query, true);
      case 'xa-rollback':
        return this.#completeXa(event, query, false);
      case 'other':
        if (this.#tx.ending === 'single' && event.last) return this.#single(event, query);
        return this.#inBody(event, query);
    }
  }

  /** A statement inside a transaction: DML in statement format, SAVEPOINT, CREATE TABLE … with its rows following. */
  async #inBody(event: EventView, query: QueryEvent): Promise<void> {
    this.#begin();
    this.#takeRows();
    await this.#flush();
    await this.#statements.runInTransaction(event, query);
  }

  /** A statement that commits by itself. */
  async #single(event: EventView, query: QueryEvent): Promise<void> {
    const begin = this.#beginStatements();
    if (await this.#statements.runAlone(event, query, begin)) return;
    this.#batch.push(...begin);
    // Nothing to run (a two-phase ALTER's other half): the transaction is committed empty.
    await this.#commit();
  }

  // ---- the beginning and the end

  #beginStatements(): readonly string[] {
    this.#begun = true;
    return this.#context.progress.begin(this.#tx.id, this.#tx.head);
  }

  #begin(): void {
    if (!this.#begun) this.#batch.push(...this.#beginStatements());
  }

  async #commit(): Promise<void> {
    this.#begin();
    this.#takeRows();
    this.#batch.push(...this.#statements.beforeCommit());
    const record = this.#context.progress.record(this.#tx.id, this.#context.worker);
    if (record !== null) this.#batch.push(record);
    const replies = await this.#flush();
    const last = replies.at(-1);
    if (record !== null && last?.ok && last.affectedRows !== 1) throw this.#fenced();
    await this.#session.execute(['COMMIT'], 'COMMIT', this.#facts());
  }

  #fenced(): MillraceError {
    return new MillraceError(
      'FENCED',
      'another Millrace has taken this target over: its progress rows carry a newer epoch',
      {
        hint: 'Run only one Millrace per channel and target. Nothing of this transaction was kept.',
        facts: this.#facts(),
      },
    );
  }

  async #flush() {
    const batch = this.#batch;
    this.#batch = [];
    this.#batchBytes = 0;
    return this.#session.execute(batch, this.#doing(), this.#facts());
  }

  // ---- XA

  async #onXaPrepare({ buf, start, end }: EventView): Promise<void> {
    const xa = decodeXaPrepare(buf, start + EVENT_HEADER_LENGTH, end);
    if (this.#context.progress.kind === 'table') {
      // Of a prepared branch that is being committed only the rows are wanted here; one phase is a commit.
      if (xa.onePhase) await this.#commit();
      return;
    }
    this.#begin();
    this.#takeRows();
    await this.#flush();
    const statement = xa.onePhase ? `XA COMMIT ${xidLiteral(xa)} ONE PHASE` : `XA PREPARE ${xidLiteral(xa)}`;
    await this.#session.execute([statement], xa.onePhase ? 'XA COMMIT' : 'XA PREPARE', this.#facts());
  }

  /**
   * With progress in a table a prepared branch cannot carry its progress (the row would stay locked until XA COMMIT): it is
   * noted down, and replayed out of the relay log when it is committed.
   */
  #notePrepared(xid: string): Promise<void> {
    const { fileNumber, offset } = this.#tx.location;
    const id = transactionIdText(this.#tx.id);
    return this.#commitWith(
      `REPLACE INTO millrace.prepared (channel, xid, id, relay_file, relay_offset) VALUES (${this.#context.channel}, ${hexLiteral(xid)}, ${hexLiteral(id)}, ${fileNumber}, ${offset})`,
    );
  }

  async #completeXa(event: EventView, query: QueryEvent, commit: boolean): Promise<void> {
    if (this.#context.progress.kind === 'gtid') return this.#single(event, query);
    const text = event.buf.toString('latin1', query.sqlStart, query.sqlEnd);
    const xid = xidOfStatement(text);
    const where = `channel=${this.#context.channel} AND xid=${hexLiteral(xid)}`;
    const rows = await this.#session.query(
      `SELECT relay_file, relay_offset FROM millrace.prepared WHERE ${where}`,
      'a look at the prepared transactions',
    );
    const row = rows[0];
    if (row === undefined) {
      throw this.#unsupported(
        `'${text.slice(0, 200)}', whose branch was prepared before Millrace began`,
        'Complete that branch on the target by hand, then start from after this transaction (source.start).',
      );
    }
    if (commit) {
      const stored = this.#context.readTransaction({ fileNumber: Number(row[0]), offset: Number(row[1]) });
      this.#fde = stored.fde;
      await this.#session.prime(stored.formatDescription);
      await this.#replay(stored.events);
    }
    await this.#commitWith(`DELETE FROM millrace.prepared WHERE ${where}`);
  }

  async #commitWith(statement: string): Promise<void> {
    this.#begin();
    this.#takeRows();
    this.#batch.push(statement);
    await this.#commit();
  }

  // ---- texts

  #doing(): string {
    const table = this.#table;
    return table === null ? 'a transaction' : `row events on ${table.database}.${table.table}`;
  }

  #facts() {
    return {
      transaction: transactionIdText(this.#tx.id),
      file: `relay-bin.${String(this.#tx.location.fileNumber).padStart(6, '0')}`,
      offset: this.#tx.location.offset,
    };
  }

  #unsupported(what: string, hint: string): MillraceError {
    return new MillraceError(
      'UNSUPPORTED',
      `the transaction contains ${what}, which cannot be applied exactly`,
      {
        hint,
        facts: this.#facts(),
      },
    );
  }
}
