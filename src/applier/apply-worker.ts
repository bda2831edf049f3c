/**
 * Applies transactions one at a time in its own session, and decides what an error means for the transaction.
 *
 *   connection lost     not decided here: the whole applier reconnects, asks the target what it has, and begins there
 *   transient           rolled back, tried again after a jittered pause (a deadlock, a lock wait, a full disk)
 *   anything else       rolled back; believed only when the transaction stood alone with everything before it committed,
 *                       since keys that exist on the target alone can make transactions depend on each other
 *
 * When the applier is told to stop, a transaction that would have to be tried again is given up instead.
 */
import { MillraceError } from '../base/errors.ts';
import { backoffMs, type Logger, sleep, systemClock } from '../base/runtime.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import type { ApplySession } from '../target/apply-session.ts';
import type { BinlogStatementOptions } from './binlog-statement.ts';
import { replayEmpty } from './empty-replay.ts';
import { slabEvents } from './event-slab.ts';
import type { ReplayContext } from './replay-context.ts';
import type { Transaction } from './transaction.ts';
import { TransactionReplay } from './transaction-replay.ts';
import { branchLiteral } from './xa-branch.ts';

/** As replica_transaction_retries; then the applier reports the error and goes on trying from its back-off. */
const TRANSIENT_RETRIES = 10;
const RETRY_BASE_MS = 20;
const RETRY_MAX_MS = 2000;

/** What applying may end with short of success, on whose account the whole applier stops or reconnects. */
const NOT_ABOUT_ORDER = new Set([
  'CONNECTION_LOST',
  'PROTOCOL',
  'FENCED',
  'TARGET_READ_ONLY',
  'TARGET_CONFIG',
  'RELAY_CORRUPT',
  'PRIVILEGE_MISSING',
  'INTERNAL',
]);

export interface ApplyWorkerSurroundings {
  readonly rows: BinlogStatementOptions;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** The applier is told to stop. */
  stopping(): boolean;
  /** Resolves when nothing else is in flight and everything before the transaction is committed, or when told to stop. */
  standAlone(transaction: Transaction): Promise<void>;
  /** Everything before it was committed when it started, and nothing has started beside it until now. */
  ranAlone(transaction: Transaction): boolean;
}

/** What a busy worker is doing, for people. */
export interface WorkerActivity {
  readonly worker: number;
  /** Of its session on the target. */
  readonly connection: number;
  readonly transaction: string;
  readonly ordinal: number;
  readonly ageMs: number;
  readonly attempt: number;
  /** `row events on shop.orders`, `ALTER TABLE shop.orders ADD COLUMN note`; no values. */
  readonly doing: string;
  readonly table: { readonly database: string; readonly table: string } | null;
  /** `pause`: before it is tried again; `predecessor`: it failed beside others and waits for everything before it. */
  readonly waits: 'pause' | 'predecessor' | null;
}

export class ApplyWorker {
  readonly session: ApplySession;
  readonly #context: ReplayContext;
  readonly #around: ApplyWorkerSurroundings;
  #replay: TransactionReplay | null = null;
  #busy: { readonly transaction: Transaction; readonly sinceMs: number } | null = null;
  #attempt = 1;
  #waits: WorkerActivity['waits'] = null;

  constructor(session: ApplySession, context: ReplayContext, around: ApplyWorkerSurroundings) {
    this.session = session;
    this.#context = context;
    this.#around = around;
  }

  get number(): number {
    return this.#context.worker;
  }

  /** Null: it has nothing to do. */
  activity(nowMs: number): WorkerActivity | null {
    if (this.#busy === null) return null;
    const { transaction, sinceMs } = this.#busy;
    const doing = this.#replay?.doing;
    return {
      worker: this.number,
      connection: this.session.threadId,
      transaction: transactionIdText(transaction.id),
      ordinal: transaction.ordinal,
      ageMs: nowMs - sinceMs,
      attempt: this.#attempt,
      doing: doing?.text ?? 'a transaction',
      table: doing?.table ?? null,
      waits: this.#waits,
    };
  }

  /** Returns the number of rows applied; null: given up. @throws what the applier has to decide about. */
  async apply(transaction: Transaction): Promise<number | null> {
    this.#busy = { transaction, sinceMs: systemClock.monotonicMs() };
    try {
      return await this.#applyUntilDecided(transaction);
    } finally {
      this.#busy = null;
    }
  }

  async #applyUntilDecided(transaction: Transaction): Promise<number | null> {
    let alone = false;
    for (let attempt = 1; ; attempt++) {
      this.#attempt = attempt;
      this.#waits = null;
      try {
        return await this.#applyOnce(transaction);
      } catch (error) {
        if (!(error instanceof MillraceError) || this.session.lost !== null) throw this.session.lost ?? error;
        const ranAlone = this.#around.ranAlone(transaction);
        await this.session.rollback(transaction.xid === null ? null : branchLiteral(transaction.xid));
        if (this.#around.signal.aborted || NOT_ABOUT_ORDER.has(error.code)) throw error;
        // Its DDL ran and is committed: only a look at the schemas, as after a crash, may decide how it goes on.
        if (this.#replay?.ranDdl && error.code === 'APPLY_TRANSIENT') throw error;
        const transient = error.code === 'APPLY_TRANSIENT';
        if (this.#around.stopping() && (transient || !(alone || ranAlone))) return null;
        if (transient) {
          if (attempt > TRANSIENT_RETRIES) throw error;
          this.#waits = 'pause';
          await sleep(backoffMs(attempt, Math.random(), RETRY_BASE_MS, RETRY_MAX_MS), this.#around.signal);
          continue;
        }
        if (alone || ranAlone) throw error;
        this.#around.log.debug('a transaction failed beside others and is tried alone', {
          transaction: transactionIdText(transaction.id),
          error: error.message,
        });
        this.#waits = 'predecessor';
        await this.#around.standAlone(transaction);
        if (this.#around.signal.aborted) throw error;
        if (this.#around.stopping()) return null;
        alone = true;
      }
    }
  }

  async #applyOnce(transaction: Transaction): Promise<number> {
    const context = this.#context;
    const replay = new TransactionReplay(context, this.session, transaction, this.#around.rows);
    this.#replay = replay;
    const events =
      transaction.events === null
        ? context.readTransaction(transaction.location).events
        : slabEvents(transaction.events);
    if (transaction.skip === null) await replay.run(events);
    else await replayEmpty({ context, session: this.session, tx: transaction, facts: replay.facts }, events);
    context.progress.recorded(transaction.id, context.worker);
    return replay.rowsApplied;
  }
}
