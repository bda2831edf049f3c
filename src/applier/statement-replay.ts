/**
 * Replays the QUERY events of one transaction: in the source's session context, with the error they had on the source.
 *
 * Statements that commit by themselves are exactly-once by GTID_NEXT where progress is the target's gtid_executed (the GTID is
 * part of an atomic DDL's commit), and by an intent row where progress is kept in a table (target/ddl-intent.ts).
 *
 * CREATE TABLE … SELECT arrives as CREATE TABLE … START TRANSACTION and row events in one transaction. After it the server
 * accepts only BINLOG, COMMIT and ROLLBACK (error 3977), so with progress in a table the option is taken off, the CREATE is
 * treated as DDL under an intent, and the rows commit together with progress and the end of the intent.
 */
import { type ErrorFacts, MillraceError } from '../base/errors.ts';
import { EventFlag } from '../binlog/event-header.ts';
import { MariadbGtidExtraFlag } from '../binlog/gtid-events.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import type { QueryEvent } from '../binlog/query-event.ts';
import { applyError } from '../target/apply-error.ts';
import type { ApplySession } from '../target/apply-session.ts';
import { intentDoneStatement, intentStatement, prepareIntent } from '../target/ddl-intent.ts';
import { requirePacket } from '../target/packet-limit.ts';
import type { StatementOrigin } from '../target/session-context.ts';
import type { ErrorReply, Reply } from '../wire/command-pipe.ts';
import { nameInvoker } from './invoker.ts';
import type { ReplayContext } from './replay-context.ts';
import type { EventView, Transaction } from './transaction.ts';

const ER_BAD_DB_ERROR = 1049;
const TIMESTAMP_OFFSET = 0;
const FLAGS_OFFSET = 17;

const CREATE_TABLE = /^\s*(?:\/\*[\s\S]*?\*\/\s*)*CREATE\s+(?:OR\s+REPLACE\s+)?TABLE\b/i;
const CREATE_TEMPORARY = /^\s*(?:\/\*[\s\S]*?\*\/\s*)*CREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY\s+TABLE\b/i;
const DROP_DATABASE = /^\s*(?:\/\*[\s\S]*?\*\/\s*)*DROP\s+(?:DATABASE|SCHEMA)\b/i;
const START_TRANSACTION = /\s+START\s+TRANSACTION\s*$/i;
const HEAD_LENGTH = 4096;
const NOT_ASCII = /[^\x20-\x7e]/;

export class StatementReplay {
  readonly #context: ReplayContext;
  readonly #session: ApplySession;
  readonly #tx: Transaction;
  readonly #facts: ErrorFacts;
  #before: string[] = [];
  #intentOpen = false;

  constructor(context: ReplayContext, session: ApplySession, tx: Transaction, facts: ErrorFacts) {
    this.#context = context;
    this.#session = session;
    this.#tx = tx;
    this.#facts = facts;
  }

  /** A SET that belongs to the next statement. */
  before(statement: string): void {
    this.#before.push(statement);
  }

  /** What belongs into the transaction's commit besides progress. */
  beforeCommit(): readonly string[] {
    return this.#intentOpen ? [intentDoneStatement(this.#context.channel)] : [];
  }

  /** Progress has named the transaction, and everything before the statement was sent and answered. */
  async runInTransaction(event: EventView, query: QueryEvent): Promise<void> {
    const { buf } = event;
    const head = buf.toString('latin1', query.sqlStart, Math.min(query.sqlEnd, query.sqlStart + HEAD_LENGTH));
    this.#refuse(query, head);
    if (this.#context.progress.kind === 'table' && CREATE_TABLE.test(head)) {
      return this.#createWithRows(event, query);
    }
    const sql = this.#sql(event, query);
    await this.#enter(event, query, true);
    const before = this.#before;
    this.#before = [];
    const replies = await this.#session.run([...before, sql]);
    this.#check(replies, query);
  }

  /**
   * Runs a statement that commits by itself, with its progress. Returns false when there is nothing to run: the caller
   * commits an empty transaction.
   */
  async runAlone(event: EventView, query: QueryEvent, begin: readonly string[]): Promise<boolean> {
    const { buf } = event;
    const head = buf.toString('latin1', query.sqlStart, Math.min(query.sqlEnd, query.sqlStart + HEAD_LENGTH));
    this.#refuse(query, head);
    const alter = query.statusVars.mariadbAlter?.flags ?? 0;
    const other = MariadbGtidExtraFlag.START_ALTER | MariadbGtidExtraFlag.ROLLBACK_ALTER;
    // The COMMIT ALTER carries the statement again and is the one that runs.
    if ((alter & other) !== 0) return false;
    const sql = this.#sql(event, query);
    if (this.#context.progress.kind === 'table') {
      await this.#underIntent(event, query, sql, false);
      return false;
    }
    await this.#session.execute(begin, 'SET GTID_NEXT', this.#facts);
    await this.#enter(event, query, false);
    const before = this.#before;
    this.#before = [];
    const replies = await this.#session.run([...before, sql]);
    const failed = this.#check(replies, query);
    if (DROP_DATABASE.test(head)) this.#session.context.forgetDatabase();
    // A statement that failed as it did on the source gave its GTID back: it is committed as an empty transaction. One that
    // did not take its GTID (nothing to log on the target) has it taken by COMMIT; after one that did, COMMIT does nothing.
    await this.#session.execute([...(failed ? begin : []), 'COMMIT'], 'COMMIT', this.#facts);
    return true;
  }

  // ---- progress in a table

  /** Leaves the intent to be closed by the transaction's commit. */
  async #underIntent(event: EventView, query: QueryEvent, sql: Buffer, rowsFollow: boolean): Promise<void> {
    await this.#writeIntent(sql, query, rowsFollow);
    await this.#enter(event, query, false);
    const before = this.#before;
    this.#before = [];
    const replies = await this.#session.run([...before, sql]);
    this.#check(replies, query);
    if (DROP_DATABASE.test(sql.toString('latin1', 0, HEAD_LENGTH))) this.#session.context.forgetDatabase();
  }

  async #createWithRows(event: EventView, query: QueryEvent): Promise<void> {
    if (this.#context.createdBefore === transactionIdText(this.#tx.id)) {
      this.#intentOpen = true;
      return;
    }
    // The option stands at the very end, in ASCII, whatever the charset of the statement is.
    const text = event.buf.toString('latin1', query.sqlStart, query.sqlEnd);
    const sql = Buffer.from(text.replace(START_TRANSACTION, ''), 'latin1');
    await this.#underIntent(event, query, sql, true);
  }

  async #writeIntent(sql: Buffer, query: QueryEvent, rowsFollow: boolean): Promise<void> {
    const session = this.#session;
    const intent = await prepareIntent(
      this.#tx.id,
      sql.toString('utf8'),
      query.database,
      rowsFollow,
      (text) => session.query(text, 'a look at the schemas'),
    );
    const guard = this.#context.progress.guard();
    const replies = await session.execute(
      [...(guard === null ? [] : [guard]), intentStatement(this.#context.channel, intent, session.threadId)],
      'the intent of a DDL statement',
      this.#facts,
    );
    if (guard !== null && replies[0]?.affectedRows !== 1) {
      throw new MillraceError(
        'FENCED',
        'another Millrace has taken this target over: its progress rows carry a newer epoch',
        {
          hint: 'Run only one Millrace per channel and target.',
          facts: this.#facts,
        },
      );
    }
    await session.execute(['COMMIT'], 'COMMIT', this.#facts);
    this.#intentOpen = true;
  }

  // ---- the source's session

  /** The bytes to send: the event's own, with the invoker's name in them where it matters. */
  #sql({ buf }: EventView, query: QueryEvent): Buffer {
    const sql = Buffer.from(buf.subarray(query.sqlStart, query.sqlEnd));
    requirePacket(sql.length, this.#context.facts.maxAllowedPacket, 'a statement', this.#facts);
    return nameInvoker(sql, query.statusVars.invoker, this.#context.facts.flavour);
  }

  async #enter(event: EventView, query: QueryEvent, dml: boolean): Promise<void> {
    const { buf, start } = event;
    const origin: StatementOrigin = {
      timestamp: buf.readUInt32LE(start + TIMESTAMP_OFFSET),
      threadId: query.threadId,
      database: query.database,
      suppressUse: (buf.readUInt16LE(start + FLAGS_OFFSET) & EventFlag.SUPPRESS_USE) !== 0,
      context: query.statusVars,
      dml,
    };
    const { context } = this.#session;
    const named = this.#before.filter((statement) => NOT_ASCII.test(statement));
    if (named.length > 0 || NOT_ASCII.test(query.database)) {
      // Names are read in the session's charset, which an earlier statement may have changed.
      await this.#session.execute(['SET NAMES utf8mb4', ...named], 'SET NAMES', this.#facts);
      context.forget();
      this.#before = this.#before.filter((statement) => !named.includes(statement));
    }
    const use = context.useStatement(origin);
    if (use !== null) {
      const [reply] = await this.#session.run([use]);
      if (reply !== undefined && !reply.ok) {
        if (reply.errno !== ER_BAD_DB_ERROR) throw applyError(reply, use, this.#facts);
        // The source's session stood in a database dropped meanwhile. A name without its database must not be
        // looked up in the one that happens to be in place here.
        await this.#session.execute(['USE information_schema'], 'USE', this.#facts);
        context.forgetDatabase();
      }
    }
    await this.#session.execute(
      [context.setStatement(origin, await this.#context.collations())],
      'the session context of a statement',
      this.#facts,
    );
  }

  #refuse(query: QueryEvent, head: string): void {
    if (query.statusVars.unknownFrom !== null) {
      throw this.#unsupported(
        `a statement with the unknown status variable ${query.statusVars.unknownFrom}`,
        'The source is newer than this Millrace: update Millrace.',
      );
    }
    if (CREATE_TEMPORARY.test(head)) {
      throw this.#unsupported(
        'CREATE TEMPORARY TABLE in statement format',
        'Use binlog_format=ROW in that session on the source: then temporary tables are not logged.',
      );
    }
  }

  /** True: it failed with exactly the error it had on the source. */
  #check(replies: readonly Reply[], query: QueryEvent): boolean {
    for (const reply of replies.slice(0, -1)) {
      if (!reply.ok) throw applyError(reply, 'the variables of a statement', this.#facts);
    }
    const last = replies.at(-1)!;
    const expected = query.errorCode;
    if (last.ok) {
      if (expected === 0) return false;
      throw new MillraceError(
        'APPLY_FAILED',
        `a statement failed on the source with error ${expected} and succeeded on the target`,
        {
          hint: 'Source and target differ: compare the objects it names, mend the target, start again.',
          facts: this.#facts,
        },
      );
    }
    if (expected !== 0 && (last as ErrorReply).errno === expected) return true;
    throw applyError(last as ErrorReply, 'a statement', this.#facts);
  }

  #unsupported(what: string, hint: string): MillraceError {
    return new MillraceError(
      'UNSUPPORTED',
      `the transaction contains ${what}, which cannot be applied exactly`,
      {
        hint,
        facts: this.#facts,
      },
    );
  }
}
