/**
 * Replays the QUERY events of one transaction: in the source's session context, with the error they had on the source.
 *
 * Statements that commit by themselves are exactly-once by GTID_NEXT where progress is the target's gtid_executed (the GTID is
 * part of an atomic DDL's commit), and by an intent row where progress is kept in a table (target/ddl-intent.ts).
 *
 * CREATE TABLE … SELECT arrives as CREATE TABLE … START TRANSACTION and row events in one transaction. After it the server
 * accepts only BINLOG, COMMIT and ROLLBACK (error 3977), so with progress in a table the option is taken off, the CREATE is
 * treated as DDL under an intent, and the rows commit together with progress and the end of the intent.
 *
 * Where the target has rules, `prepare` judges a statement before anything of it is sent: one that is left out has no session
 * context, no intent, and takes the variables that were set for it with it.
 */
import { type ErrorFacts, MillraceError } from '../base/errors.ts';
import { MariadbGtidExtraFlag } from '../binlog/gtid-events.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import type { QueryContext, QueryEvent } from '../binlog/query-event.ts';
import { beginsWith, statementStart } from '../binlog/sql-words.ts';
import { statementHead } from '../relay/statement-text.ts';
import { applyError } from '../target/apply-error.ts';
import type { ApplySession } from '../target/apply-session.ts';
import { collationNames } from '../target/collations.ts';
import { intentDoneStatement, intentStatement, prepareIntent } from '../target/ddl-intent.ts';
import { requirePacket } from '../target/packet-limit.ts';
import { MATCHED_ONE_ROW } from '../target/progress.ts';
import type { StatementOrigin } from '../target/session-context.ts';
import type { Reply } from '../wire/command-pipe.ts';
import { rowNotFound } from './fencing.ts';
import { nameInvoker } from './invoker.ts';
import type { ReplayContext } from './replay-context.ts';
import { type SourceStatement, sourceStatement } from './source-statement.ts';
import { isServerText, serverParts } from './statement-charset.ts';
import { StatementFilter } from './statement-filter.ts';
import { readForTarget, targetDialect } from './target-dialect.ts';
import type { EventView, Transaction } from './transaction.ts';

const ER_BAD_DB_ERROR = 1049;
/** What a name without its database gets in information_schema. */
const ER_DBACCESS_DENIED_ERROR = 1044;
/** Unknown table, unknown sequence, unknown view. */
const MISSING = new Set([1051, 4091, 4092]);
const START_TRANSACTION = /\s+START\s+TRANSACTION\s*$/i;
/** utf8mb4_general_ci. */
const UTF8MB4 = 45;
/** A name that no source uses. */
const SAVEPOINT = 'SAVEPOINT `millrace: nothing found`';
const NOT_ASCII = /[^\x20-\x7e]/;

export class StatementReplay {
  readonly #context: ReplayContext;
  readonly #session: ApplySession;
  readonly #tx: Transaction;
  readonly #facts: ErrorFacts;
  readonly #filter: StatementFilter | null;
  #before: string[] = [];
  #intentOpen = false;
  #ranDdl = false;
  /** The default database of the last statement is not on the target. */
  #missingDatabase: string | null = null;
  /** Run because of what they change: not those that only mark a place in the transaction. */
  statementsRun = 0;
  statementsLeftOut = 0;
  systemStatementsLeftOut = 0;
  #doing: string | null = null;

  constructor(context: ReplayContext, session: ApplySession, tx: Transaction, facts: ErrorFacts) {
    this.#context = context;
    this.#session = session;
    this.#tx = tx;
    this.#facts = facts;
    this.#filter = context.filter === null ? null : new StatementFilter(context.filter, context, facts);
  }

  /** A SET that belongs to the next statement. */
  before(statement: string): void {
    this.#before.push(statement);
  }

  /** The last statement that was begun, without its values; null: none. */
  get doing(): string | null {
    return this.#doing;
  }

  get ranDdl(): boolean {
    return this.#ranDdl;
  }

  /** What belongs into the transaction's commit besides progress. */
  beforeCommit(): readonly string[] {
    return this.#intentOpen ? [intentDoneStatement(this.#context.channel), MATCHED_ONE_ROW] : [];
  }

  /**
   * The statement as it is to run; null: there is nothing to run. `inTransaction`: it does not commit by itself.
   * @throws UNSUPPORTED, and what the target's rules stop at
   */
  async prepare(
    event: EventView,
    query: QueryEvent,
    inTransaction: boolean,
  ): Promise<SourceStatement | null> {
    this.#refuseUnknown(query);
    this.#doing = statementHead(event.buf, query.sqlStart, query.sqlEnd);
    const alter = query.statusVars.mariadbAlter?.flags ?? 0;
    const other = MariadbGtidExtraFlag.START_ALTER | MariadbGtidExtraFlag.ROLLBACK_ALTER;
    // The COMMIT ALTER carries the statement again and is the one that runs.
    if (!inTransaction && (alter & other) !== 0) return null;
    const { facts } = this.#context;
    let statement = sourceStatement(event, query);
    requirePacket(statement.sql.length, facts.maxAllowedPacket, 'a statement', this.#facts);
    statement = await this.#inOneCharset(statement, inTransaction);
    if (this.#filter !== null) {
      const judged = await this.#filter.judge(statement);
      if (judged.is === 'left-out') return this.#leaveOut(judged.system);
      statement = judged.statement;
      if (!judged.ofTheTransaction) this.statementsRun += 1;
    }
    await this.#refuseTemporary(statement);
    const { invoker } = query.statusVars;
    if (invoker === null) return statement;
    return {
      ...statement,
      sql: nameInvoker(statement.sql, invoker, await targetDialect(statement, this.#context)),
    };
  }

  #leaveOut(system: boolean): null {
    if (system) this.systemStatementsLeftOut += 1;
    else this.statementsLeftOut += 1;
    this.#before = [];
    return null;
  }

  /**
   * Everything before the statement was sent and answered. `begin`: what names the transaction, when nothing has yet; it
   * stands behind the session's context, since a USE that fails would take the name back (error 1837).
   */
  async runInTransaction(statement: SourceStatement, begin: readonly string[]): Promise<void> {
    if (this.#context.progress.kind === 'table' && isCreateTable(statement.sql)) {
      return this.#createWithRows(statement);
    }
    await this.#enter(statement, true);
    await this.#session.execute(begin, 'SET GTID_NEXT', this.#facts);
    await this.#check(await this.#runBelieved(statement.sql), statement);
  }

  /**
   * That nothing was found is believed when it is said twice (fencing.ts). Where a function could have changed something meanwhile, that is undone
   * before: only the auto-increment values that it took stay taken.
   */
  async #runBelieved(sql: Buffer): Promise<Reply> {
    const [verb] = statementStart(sql).words;
    if ((verb !== 'UPDATE' && verb !== 'DELETE') || this.#context.facts.flavour !== 'mariadb')
      return this.#runWithVariables(sql);
    const variables = this.#before;
    const calls = sql.includes('(');
    if (calls) await this.#session.execute([SAVEPOINT], 'SAVEPOINT', this.#facts);
    const reply = await this.#runWithVariables(sql);
    if (!reply.ok || reply.affectedRows > 0 || reply.info !== '') return reply;
    if (calls)
      await this.#session.execute([`ROLLBACK TO ${SAVEPOINT}`], 'ROLLBACK TO SAVEPOINT', this.#facts);
    this.#before = variables;
    return this.#runWithVariables(sql);
  }

  /**
   * Runs a statement that commits by itself, with its progress. Returns false when progress is still to be committed by the
   * caller.
   */
  async runAlone(statement: SourceStatement, begin: readonly string[]): Promise<boolean> {
    if (this.#context.progress.kind === 'table') {
      await this.#underIntent(statement, false);
      return false;
    }
    await this.#enter(statement, false);
    await this.#session.execute(begin, 'SET GTID_NEXT', this.#facts);
    const failed = await this.#check(await this.#runWithVariables(statement.sql), statement);
    if (mayDropDatabase(statement.sql)) this.#session.context.forgetDatabase();
    // A statement that failed as it did on the source gave its GTID back: it is committed as an empty transaction. One that
    // did not take its GTID (nothing to log on the target) has it taken by COMMIT; after one that did, COMMIT does nothing.
    await this.#session.execute([...(failed ? begin : []), 'COMMIT'], 'COMMIT', this.#facts);
    return true;
  }

  // ---- progress in a table

  /** Leaves the intent to be closed by the transaction's commit. */
  async #underIntent(statement: SourceStatement, rowsFollow: boolean): Promise<void> {
    const { sql } = statement;
    await this.#writeIntent(statement, rowsFollow);
    await this.#enter(statement, false);
    const reply = await this.#runWithVariables(sql);
    try {
      await this.#check(reply, statement);
    } catch (error) {
      // It answered, so it did not run: there is nothing left to be settled.
      if (!reply.ok) await this.#dropIntent();
      throw error;
    }
    this.#ranDdl = true;
    if (mayDropDatabase(sql)) this.#session.context.forgetDatabase();
  }

  async #dropIntent(): Promise<void> {
    const done = intentDoneStatement(this.#context.channel);
    // Twice: the first may be broken off (fencing.ts).
    await this.#session.run(['ROLLBACK', done, done, 'COMMIT']);
    this.#intentOpen = false;
  }

  async #createWithRows(statement: SourceStatement): Promise<void> {
    if (this.#context.createdBefore === transactionIdText(this.#tx.id)) {
      this.#intentOpen = true;
      this.#ranDdl = true;
      return;
    }
    // The option stands at the very end, in ASCII, whatever the charset of the statement is.
    const text = statement.sql.toString('latin1');
    const sql = Buffer.from(text.replace(START_TRANSACTION, ''), 'latin1');
    await this.#underIntent({ ...statement, sql }, true);
  }

  async #writeIntent({ sql, query }: SourceStatement, rowsFollow: boolean): Promise<void> {
    const session = this.#session;
    const intent = await prepareIntent(
      this.#tx.id,
      sql.toString('utf8'),
      [query.database, ...(query.statusVars.updatedDbNames ?? [])],
      rowsFollow,
      this.#context.readSchemas,
    );
    const guard = this.#context.progress.guard();
    const replies = await session.execute(
      [...(guard === null ? [] : [guard]), intentStatement(this.#context.channel, intent, session.threadId)],
      'the intent of a DDL statement',
      this.#facts,
    );
    if (guard !== null && replies[0]?.affectedRows !== 1) {
      throw await rowNotFound(this.#context.progress, session, this.#facts);
    }
    await session.execute(['COMMIT'], 'COMMIT', this.#facts);
    this.#intentOpen = true;
  }

  // ---- the source's session

  async #inOneCharset(statement: SourceStatement, inTransaction: boolean): Promise<SourceStatement> {
    const { sql, query } = statement;
    const generated = inTransaction && isCreateTable(sql);
    const context = this.#contextOfText(sql, query, generated);
    return { ...statement, sql: await this.#inClientCharset(sql, query), context };
  }

  /** The session's context, with the character set that the text is in. */
  #contextOfText(sql: Buffer, { statusVars }: QueryEvent, generated: boolean): Readonly<QueryContext> {
    const { charset } = statusVars;
    if (charset === null || !isServerText(sql, this.#context.facts.flavour, generated)) return statusVars;
    return { ...statusVars, charset: { ...charset, client: UTF8MB4, connection: UTF8MB4 } };
  }

  /** The server's parts of a statement, in the character set of the rest. */
  async #inClientCharset(sql: Buffer, { statusVars: { charset } }: QueryEvent): Promise<Buffer> {
    const { flavour } = this.#context.facts;
    const parts = charset === null ? [] : serverParts(sql, flavour);
    if (charset === null || parts.length === 0) return sql;
    const { charset: name } = collationNames(await this.#context.collations(), charset.client, 'a statement');
    if (name.startsWith('utf8')) return sql;
    const pieces: Buffer[] = [];
    let at = 0;
    for (const { start, end } of parts) {
      pieces.push(sql.subarray(at, start), await this.#context.convert(sql.subarray(start, end), name));
      at = end;
    }
    return Buffer.concat([...pieces, sql.subarray(at)]);
  }

  /** The statement waits for its variables: it may commit by itself. */
  async #runWithVariables(sql: Buffer): Promise<Reply> {
    const before = this.#before;
    this.#before = [];
    await this.#session.execute(before, 'the variables of a statement', this.#facts);
    const [reply] = await this.#session.run([sql]);
    return reply!;
  }

  /** `dml`: it may depend on CONNECTION_ID(). */
  async #enter(statement: SourceStatement, dml: boolean): Promise<void> {
    const { query, timestamp, suppressUse } = statement;
    const origin: StatementOrigin = {
      timestamp,
      threadId: query.threadId,
      database: query.database,
      suppressUse,
      context: statement.context,
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
    this.#missingDatabase = null;
    if (use !== null) {
      const [reply] = await this.#session.run([use]);
      if (reply !== undefined && !reply.ok) {
        if (reply.errno !== ER_BAD_DB_ERROR) throw applyError(reply, use, this.#facts);
        // The source's session stood in a database dropped meanwhile. A name without its database must not be
        // looked up in the one that happens to be in place here.
        await this.#session.execute(['USE information_schema'], 'USE', this.#facts);
        context.forgetDatabase();
        this.#missingDatabase = query.database;
      }
    }
    await this.#session.execute(
      [context.setStatement(origin, await this.#context.collations())],
      'the session context of a statement',
      this.#facts,
    );
  }

  #refuseUnknown({ statusVars }: QueryEvent): void {
    if (statusVars.unknownFrom === null) return;
    throw this.#unsupported(
      `a statement with the unknown status variable ${statusVars.unknownFrom}`,
      'The source is newer than this Millrace: update Millrace.',
    );
  }

  async #refuseTemporary(statement: SourceStatement): Promise<void> {
    if (!(await this.#createsTemporary(statement))) return;
    throw this.#unsupported(
      'CREATE TEMPORARY TABLE in statement format',
      'Use binlog_format=ROW in that session on the source: then temporary tables are not logged.',
    );
  }

  async #createsTemporary(statement: SourceStatement): Promise<boolean> {
    const { words, veiled } = statementStart(statement.sql);
    if (!veiled) return beginsWith(words, 'CREATE', 'TEMPORARY');
    const reading = await readForTarget(statement, this.#context);
    return reading.is === 'read' && reading.kind === 'create_table' && reading.temporary;
  }

  /** Tables, views or sequences. */
  async #dropsSeveral(statement: SourceStatement): Promise<boolean> {
    const reading = await readForTarget(statement, this.#context);
    if (reading.is !== 'read' || (reading.kind !== 'drop_table' && reading.kind !== 'drop_view'))
      return false;
    return reading.objects.length > 1;
  }

  /** True: it failed with exactly the error it had on the source. */
  async #check(reply: Reply, statement: SourceStatement): Promise<boolean> {
    const { query } = statement;
    const expected = query.errorCode;
    if (reply.ok) {
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
    if (expected !== 0 && reply.errno === expected) return true;
    if (expected === 0 && MISSING.has(reply.errno) && this.#context.facts.flavour === 'mariadb') {
      // A DROP of several of which one was missing is logged as if none had been (seen on 10.11.18): the others are gone.
      if (await this.#dropsSeveral(statement)) return false;
    }
    if (reply.errno === ER_DBACCESS_DENIED_ERROR && this.#missingDatabase !== null) {
      const unknown = {
        errno: ER_BAD_DB_ERROR,
        sqlState: '42000',
        message: `Unknown database '${this.#missingDatabase}'`,
      };
      throw applyError(unknown, 'a statement', this.#facts);
    }
    throw applyError(reply, 'a statement', this.#facts);
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

function isCreateTable(sql: Buffer): boolean {
  return beginsWith(statementStart(sql).words, 'CREATE', 'TABLE');
}

/** Then the session may have no default database any more. */
function mayDropDatabase(sql: Buffer): boolean {
  const { words, replaces, veiled } = statementStart(sql);
  const [verb, kind] = words;
  return veiled || ((verb === 'DROP' || replaces) && (kind === 'DATABASE' || kind === 'SCHEMA'));
}
