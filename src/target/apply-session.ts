/**
 * One session of the target that transactions are applied in: opened through mysql2, then spoken to over a CommandPipe.
 *
 * Primed with: autocommit off (nothing commits but COMMIT and statements that commit by themselves, also when a
 * statement before them failed), READ COMMITTED (fewer gap locks), short lock waits (a transaction is retried as a whole),
 * a wait_timeout that ends a session cut off in the middle of a transaction, and — before the first row event — the source's format
 * description with "no checksum" in it, since BINLOG takes events only after that.
 *
 * After BINLOG with a format description the session cannot start an automatic GTID (error 1782) until GTID_NEXT is set again;
 * `prime` does so.
 */
import type { ErrorFacts, MillraceError } from '../base/errors.ts';
import { CommandPipe, type OkReply, type Reply, type Statement } from '../wire/command-pipe.ts';
import { openConnection } from '../wire/connection.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import { applyError } from './apply-error.ts';
import { SessionContext } from './session-context.ts';
import type { TargetFacts } from './target-facts.ts';

/** GtidProgress.begin */
const TAKES_GTID = 'SET GTID_NEXT=';
const LOCK_WAIT_SECONDS = 5;
/** For metadata locks: DDL behind a reader of the target. The default is a year, in which no stop would be heard. */
const METADATA_LOCK_WAIT_SECONDS = 30;
const XAER_RMFAIL = 1399;
/** Idle sessions are pinged well within this; a session that is cut off inside a transaction frees its locks after it. */
const WAIT_TIMEOUT_SECONDS = 180;
const PACKET_TIMEOUT_SECONDS = 600;

export class ApplySession {
  readonly threadId: number;
  readonly context: SessionContext;
  /** A reply tells whether its statement has committed under a GTID: what `runCommitting` needs. */
  readonly tellsGtids: boolean;
  readonly #pipe: CommandPipe;
  readonly #facts: TargetFacts;
  #formatDescription: Buffer | null = null;
  /** Of the session: a statement commits by itself. */
  #autocommit = false;

  private constructor(pipe: CommandPipe, threadId: number, facts: TargetFacts, tellsGtids: boolean) {
    this.#pipe = pipe;
    this.threadId = threadId;
    this.#facts = facts;
    this.tellsGtids = tellsGtids;
    this.context = new SessionContext(facts, facts.restricted);
  }

  static async open(
    endpoint: EndpointOptions,
    facts: TargetFacts,
    signal: AbortSignal,
  ): Promise<ApplySession> {
    const byGtid = facts.flavour === 'mysql' && facts.gtidMode === 'ON';
    const connection = await openConnection(endpoint, {
      purpose: 'the target',
      signal,
      tracksSession: byGtid,
    });
    const { threadId, peer, tracksSession } = connection;
    const pipe = new CommandPipe(connection.takeSocket(), peer, tracksSession);
    const session = new ApplySession(pipe, threadId, facts, tracksSession);
    const setup = [
      'SET autocommit=0',
      'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
      `SET SESSION wait_timeout=${WAIT_TIMEOUT_SECONDS}, net_read_timeout=${PACKET_TIMEOUT_SECONDS}, net_write_timeout=${PACKET_TIMEOUT_SECONDS}`,
      `SET SESSION innodb_lock_wait_timeout=${LOCK_WAIT_SECONDS}, lock_wait_timeout=${METADATA_LOCK_WAIT_SECONDS}`,
    ];
    if (facts.binlogFormat === 'STATEMENT') setup.push('SET SESSION binlog_format=ROW');
    if (facts.invisiblePrimaryKeys) setup.push('SET SESSION sql_generate_invisible_primary_key=OFF');
    if (tracksSession) {
      setup.push(
        "SET SESSION session_track_gtids=OWN_GTID, session_track_schema=OFF, session_track_system_variables=''",
      );
    }
    try {
      await session.execute(setup, 'the settings of an apply session');
    } catch (error) {
      session.destroy();
      throw error;
    }
    return session;
  }

  /** It accepts row events under this FORMAT_DESCRIPTION_EVENT. */
  isPrimed(event: Buffer): boolean {
    return this.#formatDescription?.equals(event) ?? false;
  }

  /** Outside of a transaction: makes the session accept row events of this source. `event`: the whole FORMAT_DESCRIPTION_EVENT, made neutral. */
  async prime(event: Buffer): Promise<void> {
    if (this.isPrimed(event)) return;
    const statements = [`BINLOG '${event.toString('base64')}'`];
    if (this.#facts.flavour === 'mysql' && this.#facts.gtidMode !== 'OFF') {
      // Before it, since a GTID that was used up refuses it (1837); after it, see above.
      statements.unshift('SET GTID_NEXT=AUTOMATIC');
      statements.push('SET GTID_NEXT=AUTOMATIC');
    }
    await this.execute(statements, 'the source’s format description');
    this.#formatDescription = Buffer.from(event);
  }

  /** Sends all, waits for all. An error reply is a value. @throws CONNECTION_LOST, PROTOCOL */
  async run(statements: readonly (string | Statement)[]): Promise<Reply[]> {
    if (this.#autocommit) await this.#setAutocommitOff();
    return this.#pipe.run(statements.map((each) => (typeof each === 'string' ? Buffer.from(each) : each)));
  }

  /** In one packet, sent before this returns: what stands behind a failed statement does not run. Only statements of our own making. */
  runTogether(statements: readonly (string | Statement)[]): Promise<Reply[]> {
    return this.#autocommit ? this.#runSwitching(statements, false) : this.#runTogether(statements);
  }

  /**
   * As `runTogether`, directly behind what was sent last, of which nothing else is known: so the first statement has to fail unless that was good. Nothing
   * here changes how the session commits, since whether it was run is only known afterwards. Null: something else was sent since, nothing is sent.
   */
  runBehind(after: number, statements: readonly (string | Statement)[]): Promise<Reply[]> | null {
    return this.sent === after && this.lost === null ? this.#runTogether(statements) : null;
  }

  /** Commands sent since it was opened. */
  get sent(): number {
    return this.#pipe.sent;
  }

  /** A statement commits by itself now. */
  get commitsByItself(): boolean {
    return this.#autocommit;
  }

  /**
   * As `runTogether` under a GTID, and the last statement, which alone may change anything, commits by itself: not when it has
   * changed nothing (`committedGtid` of its reply), then the GTID waits for a COMMIT.
   */
  runCommitting(statements: readonly (string | Statement)[]): Promise<Reply[]> {
    return this.#autocommit ? this.#runTogether(statements) : this.#runSwitching(statements, true);
  }

  /** A packet that takes a GTID begins with that, whatever else is set: see gtid-progress.ts. */
  async #runSwitching(statements: readonly (string | Statement)[], autocommit: boolean): Promise<Reply[]> {
    this.#autocommit = autocommit;
    const [first, ...others] = statements;
    const set = `SET autocommit=${autocommit ? 1 : 0}`;
    if (typeof first === 'string' && first.startsWith(TAKES_GTID)) {
      return this.#runTogether([first.replace('SET ', `${set}, `), ...others]);
    }
    const [reply, ...replies] = await this.#runTogether([set, ...statements]);
    this.#requireGood(reply);
    return replies;
  }

  async #setAutocommitOff(): Promise<void> {
    this.#autocommit = false;
    const [reply] = await this.#pipe.run([Buffer.from('SET autocommit=0')]);
    this.#requireGood(reply);
  }

  /** How the session commits is not known any more where it was refused. */
  #requireGood(reply: Reply | undefined): void {
    if (reply?.ok) return;
    this.destroy();
    throw this.lost;
  }

  #runTogether(statements: readonly (string | Statement)[]): Promise<Reply[]> {
    return this.#pipe.runTogether(
      statements.map((each) => (typeof each === 'string' ? Buffer.from(each) : each)),
    );
  }

  async runStreaming(length: number, pieces: Iterable<Buffer>): Promise<Reply> {
    if (this.#autocommit) await this.#setAutocommitOff();
    return this.#pipe.runStreaming(length, pieces);
  }

  /**
   * Sends all, waits for all, throws the first error. The statements after a failed one did run: the caller rolls back.
   */
  async execute(
    statements: readonly (string | Statement)[],
    doing: string,
    facts: ErrorFacts = {},
  ): Promise<OkReply[]> {
    const replies = await this.run(statements);
    for (const reply of replies) if (!reply.ok) throw applyError(reply, doing, facts);
    return replies as OkReply[];
  }

  /**
   * `branch`: of an XA transaction that may be open in this session, as XA statements take it. A session that cannot be
   * rolled back is given up. @throws CONNECTION_LOST
   */
  async rollback(branch: string | null): Promise<void> {
    this.context.forget();
    // Whether what should have changed it was run is not known.
    this.#autocommit = true;
    const [reply] = await this.run(['ROLLBACK']);
    if (reply?.ok) return;
    if (branch !== null && reply?.errno === XAER_RMFAIL) {
      // It may be ended already, or marked for rollback by a deadlock: only the second reply counts.
      const [, rolledBack] = await this.run([`XA END ${branch}`, `XA ROLLBACK ${branch}`]);
      if (rolledBack?.ok) return;
    }
    this.destroy();
    throw this.lost;
  }

  /** Keeps the session alive while there is nothing to apply. */
  async ping(): Promise<void> {
    await this.execute(['DO 0'], 'a ping');
  }

  /** Tells the moment the connection is lost, also while nothing is applied. */
  onLost(listener: (error: MillraceError) => void): void {
    this.#pipe.onLost(listener);
  }

  get lost(): MillraceError | null {
    return this.#pipe.lost;
  }

  destroy(): void {
    this.#pipe.close();
  }

  end(): Promise<void> {
    return this.#pipe.end();
  }
}
