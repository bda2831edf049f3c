/**
 * Applies units (a transaction, or several that commit together) one at a time in its own session, and decides what an
 * error means. When several fail together, their members are applied one by one: an error is one transaction's.
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
import type { ApplyUnit } from './apply-unit.ts';
import type { BinlogStatementOptions } from './binlog-statement.ts';
import { replayEmpty } from './empty-replay.ts';
import { joinedEvents } from './event-slab.ts';
import { addFiltered, type FilterCounters } from './filter-counters.ts';
import { GivesWay } from './recorded-commit.ts';
import type { ReplayContext } from './replay-context.ts';
import type { EventView, Transaction } from './transaction.ts';
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
  /** Of all workers. */
  readonly filtered: FilterCounters;
  /** The applier is told to stop. */
  stopping(): boolean;
  /** Resolves when nothing else is in flight and everything before the unit is committed, or when told to stop. */
  standAlone(unit: ApplyUnit): Promise<void>;
  /** With `commit_order: source`, when it is not the first: see commit-turns.ts. Null: it may commit now. */
  turn(unit: ApplyUnit): Promise<boolean> | null;
  /** Everything before it was committed when it started, and nothing has started beside it until now. */
  ranAlone(unit: ApplyUnit): boolean;
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
  /** `pause`: before it is tried again; `predecessor`: it failed beside others and waits for everything before it;
   * `turn`: it is done, and commits when everything before it is committed. */
  readonly waits: 'pause' | 'predecessor' | 'turn' | null;
}

export class ApplyWorker {
  readonly session: ApplySession;
  readonly #context: ReplayContext;
  readonly #around: ApplyWorkerSurroundings;
  #replay: TransactionReplay | null = null;
  #busy: { readonly unit: ApplyUnit; readonly sinceMs: number } | null = null;
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

  /** Nothing is sent in its session: it has nothing to do, or waits. */
  get isQuiet(): boolean {
    return this.#busy === null || this.#waits !== null;
  }

  /** Null: it has nothing to do. */
  activity(nowMs: number): WorkerActivity | null {
    if (this.#busy === null) return null;
    const { unit, sinceMs } = this.#busy;
    const doing = this.#replay?.doing;
    return {
      worker: this.number,
      connection: this.session.threadId,
      transaction: transactionIdText(unit.members[0]!.id),
      ordinal: unit.ordinal,
      ageMs: nowMs - sinceMs,
      attempt: this.#attempt,
      doing: doing?.text ?? 'a transaction',
      table: doing?.table ?? null,
      waits: this.#waits,
    };
  }

  /** Returns the number of rows applied; null: given up. @throws what the applier has to decide about. */
  async apply(unit: ApplyUnit): Promise<number | null> {
    this.#busy = { unit, sinceMs: systemClock.monotonicMs() };
    try {
      return await this.#applyUntilDecided(unit);
    } finally {
      this.#busy = null;
    }
  }

  async #applyUntilDecided(unit: ApplyUnit): Promise<number | null> {
    this.#attempt = 1;
    this.#waits = null;
    if (unit.members.length > 1) {
      const together = await this.#applyTogether(unit);
      if (together !== null) return together;
    }
    let rows = 0;
    for (const member of unit.members) {
      // What is committed of a unit stays committed: the next life finds it in the progress row.
      const applied = await this.#applyMember(unit, member);
      if (applied === null) return null;
      rows += applied;
    }
    return rows;
  }

  /** One try. Null: it failed and nothing of it is kept; its members are applied one by one, and the one at fault will tell. */
  async #applyTogether(unit: ApplyUnit): Promise<number | null> {
    try {
      return await this.#applyOnce(unit, unit.members);
    } catch (error) {
      if (error instanceof GivesWay) return this.#giveWay(unit);
      await this.#rollBack(error, null);
      this.#around.log.debug('transactions failed together and are tried one by one', {
        transaction: transactionIdText(unit.members[0]!.id),
        error: (error as Error).message,
      });
      return null;
    }
  }

  async #applyMember(unit: ApplyUnit, transaction: Transaction): Promise<number | null> {
    let alone = false;
    for (let attempt = 1; ; attempt++) {
      this.#attempt = attempt;
      this.#waits = null;
      try {
        return await this.#applyOnce(unit, [transaction]);
      } catch (error) {
        if (error instanceof GivesWay) {
          await this.#giveWay(unit);
          if (this.#around.stopping()) return null;
          alone = true;
          continue;
        }
        const ranAlone = this.#around.ranAlone(unit);
        const failure = await this.#rollBack(error, transaction.xid);
        // Its DDL ran and is committed: only a look at the schemas, as after a crash, may decide how it goes on.
        if (this.#replay?.ranDdl && failure.code === 'APPLY_TRANSIENT') throw failure;
        const transient = failure.code === 'APPLY_TRANSIENT';
        if (this.#around.stopping() && (transient || !(alone || ranAlone))) return null;
        if (transient) {
          if (attempt > TRANSIENT_RETRIES) throw failure;
          this.#waits = 'pause';
          await sleep(backoffMs(attempt, Math.random(), RETRY_BASE_MS, RETRY_MAX_MS), this.#around.signal);
          continue;
        }
        if (alone || ranAlone) throw failure;
        this.#around.log.debug('a transaction failed beside others and is tried alone', {
          transaction: transactionIdText(transaction.id),
          error: failure.message,
        });
        this.#waits = 'predecessor';
        await this.#around.standAlone(unit);
        if (this.#around.signal.aborted) throw failure;
        if (this.#around.stopping()) return null;
        alone = true;
      }
    }
  }

  /** Lets go of everything until it can run alone. @throws what has broken the applier, or the loss of the session. */
  async #giveWay(unit: ApplyUnit): Promise<null> {
    if (this.session.lost !== null) throw this.session.lost;
    await this.session.rollback(null);
    this.#waits = 'predecessor';
    await this.#around.standAlone(unit);
    this.#around.signal.throwIfAborted();
    return null;
  }

  /** @throws when the session is lost, or when the error says nothing about the order in which transactions ran. */
  async #rollBack(error: unknown, xid: string | null): Promise<MillraceError> {
    if (!(error instanceof MillraceError) || this.session.lost !== null) throw this.session.lost ?? error;
    await this.session.rollback(xid === null ? null : branchLiteral(xid));
    if (this.#around.signal.aborted || NOT_ABOUT_ORDER.has(error.code)) throw error;
    return error;
  }

  async #applyOnce(unit: ApplyUnit, members: readonly Transaction[]): Promise<number> {
    const turn = (): Promise<boolean> | null => {
      const waits = this.#around.turn(unit);
      if (waits === null) return null;
      this.#waits = 'turn';
      return waits.finally(() => {
        this.#waits = null;
      });
    };
    const replay = new TransactionReplay(this.#context, this.session, members, this.#around.rows, turn);
    this.#replay = replay;
    const events = this.#events(members);
    try {
      if (members[0]!.skip === null) await replay.run(events);
      else await replayEmpty(replay.around, events);
    } finally {
      if (this.session.lost === null) this.#around.rows.memory.answered();
    }
    this.#context.progress.recorded(
      members.map(({ id }) => id),
      this.#context.worker,
    );
    if (this.#context.filter !== null) addFiltered(this.#around.filtered, replay.filtered);
    return replay.rowsApplied;
  }

  #events(members: readonly Transaction[]): Iterable<EventView> {
    const [first] = members;
    if (members.length === 1 && first !== undefined && first.events === null) {
      return this.#context.readTransaction(first.location).events;
    }
    return joinedEvents(members.map(({ events }) => events!));
  }
}
