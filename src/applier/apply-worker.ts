/**
 * Applies units (a transaction, or several that commit together) in its own session, one after the other, and decides what an
 * error means. When several fail together, their members are applied one by one: an error is one transaction's.
 *
 * By GTID a unit may follow another before that one is answered: its one packet is sent directly behind the other's last, and
 * begins with a statement that fails unless the other is committed. So the server goes from one to the next without us, and a failure
 * leaves everything behind it undone. With progress in a table the packet is made, and waits for the other to be committed. A follower that was not committed, for whatever reason, is applied again when everything before it is
 * committed and nothing runs beside it, as if it had never been sent.
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
import { GivesWay, NotBehind } from './recorded-commit.ts';
import type { ReplayContext } from './replay-context.ts';
import { type SharedMemory, StatementMemory } from './statement-memory.ts';
import type { EventView, Transaction } from './transaction.ts';
import { TransactionReplay } from './transaction-replay.ts';
import { branchLiteral } from './xa-branch.ts';

/** As replica_transaction_retries; then the applier reports the error and goes on trying from its back-off. */
const TRANSIENT_RETRIES = 10;
const RETRY_BASE_MS = 20;
const RETRY_MAX_MS = 2000;
/** Unanswered in a session at a time: enough that it never waits for us. */
const FOLLOWING_MAX = 16;

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
  readonly rows: Omit<BinlogStatementOptions, 'memory'>;
  readonly memory: SharedMemory;
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
  /** Something may follow that could not before. */
  onCanFollow(): void;
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

/** A unit on its way in the session. */
interface Passage {
  readonly unit: ApplyUnit;
  readonly sinceMs: number;
  readonly rows: BinlogStatementOptions;
  replay: TransactionReplay | null;
  attempt: number;
  waits: WorkerActivity['waits'];
  /** `session.sent` after its last packet; null: that is not sent. */
  sent: number | null;
  isCommitted: boolean;
  /** Whoever gave it to the worker does other things by now. */
  isGiven: boolean;
  /** Resolves when it is over, however it ended. */
  readonly over: Promise<void>;
  end(): void;
  /** Resolves when it waits to stand alone, or is over: who follows it must not wait for it any longer. */
  readonly aside: Promise<void>;
  stepAside(): void;
}

export class ApplyWorker {
  readonly session: ApplySession;
  readonly #context: ReplayContext;
  readonly #around: ApplyWorkerSurroundings;
  /** In the order in which they were given. */
  readonly #passages: Passage[] = [];
  /** Nobody's: each passage has its own, since texts are needed until all of them is answered. */
  readonly #memories: StatementMemory[] = [];

  constructor(session: ApplySession, context: ReplayContext, around: ApplyWorkerSurroundings) {
    this.session = session;
    this.#context = context;
    this.#around = around;
  }

  get number(): number {
    return this.#context.worker;
  }

  /** It has nothing to do. */
  get isIdle(): boolean {
    return this.#passages.length === 0;
  }

  /** Nothing is sent in its session: it has nothing to do, or waits. */
  get isQuiet(): boolean {
    return this.#passages.every(({ waits }) => waits !== null);
  }

  /** Null: it has nothing to do. */
  activity(nowMs: number): WorkerActivity | null {
    const [oldest] = this.#passages;
    if (oldest === undefined) return null;
    const { unit, sinceMs, replay, attempt, waits } = oldest;
    const doing = replay?.doing;
    return {
      worker: this.number,
      connection: this.session.threadId,
      transaction: transactionIdText(unit.members[0]!.id),
      ordinal: unit.ordinal,
      ageMs: nowMs - sinceMs,
      attempt,
      doing: doing?.text ?? 'a transaction',
      table: doing?.table ?? null,
      waits,
    };
  }

  /** Returns the number of rows applied; null: given up. @throws what the applier has to decide about. */
  async apply(unit: ApplyUnit): Promise<number | null> {
    const passage = this.#begin(unit);
    try {
      const applied = this.#applyUntilDecided(passage);
      passage.isGiven = true;
      return await applied;
    } finally {
      this.#leave(passage);
    }
  }

  /** This unit's one packet would go directly behind the last that was sent, which ends the unit given last. */
  canFollow(unit: ApplyUnit): boolean {
    const { length } = this.#passages;
    const last = this.#passages[length - 1];
    return (
      last !== undefined &&
      length < FOLLOWING_MAX &&
      last.sent === this.session.sent &&
      this.session.lost === null &&
      this.session.isPrimed(unit.members[0]!.formatDescription)
    );
  }

  /** As `apply`, when `canFollow`. */
  async follow(unit: ApplyUnit): Promise<number | null> {
    const before = this.#passages.at(-1)!;
    const passage = this.#begin(unit);
    try {
      try {
        const applied = this.#applyOnce(passage, unit.members, before);
        passage.isGiven = true;
        return await applied;
      } catch (error) {
        if (!(error instanceof NotBehind || error instanceof GivesWay)) this.#requireAboutOrder(error);
      }
      if (await this.#untilNext(passage, before)) return await this.#applyUntilDecided(passage);
      if (!(await this.#followAlone(passage, before))) return null;
      return await this.#applyUntilDecided(passage, true);
    } finally {
      this.#leave(passage);
    }
  }

  /** With progress in a table nothing of it was sent unless the one before was committed: then it begins like any other. False: it was not. */
  async #untilNext(passage: Passage, before: Passage): Promise<boolean> {
    if (!(await this.#untilCommitted(passage, before))) return false;
    if (this.session.lost !== null) throw this.session.lost;
    await this.session.rollback(null);
    return true;
  }

  /** Waits for its turn as if it had not been sent. False: given up. */
  async #followAlone(passage: Passage, before: Passage): Promise<boolean> {
    passage.waits = 'predecessor';
    // Said at once: whoever is before it may want to be alone too.
    const alone = this.#standAlone(passage);
    // Not before: the session is theirs until then.
    await before.over;
    if (this.session.lost !== null) throw this.session.lost;
    await this.session.rollback(null);
    await alone;
    this.#around.signal.throwIfAborted();
    return !this.#around.stopping();
  }

  #begin(unit: ApplyUnit): Passage {
    const memory = this.#memories.pop() ?? new StatementMemory(this.#around.memory);
    let end = (): void => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    let stepAside = (): void => {};
    const aside = new Promise<void>((resolve) => {
      stepAside = resolve;
    });
    const passage: Passage = {
      unit,
      sinceMs: systemClock.monotonicMs(),
      rows: { ...this.#around.rows, memory },
      replay: null,
      attempt: 1,
      waits: null,
      sent: null,
      isCommitted: false,
      isGiven: false,
      over,
      end,
      aside,
      stepAside,
    };
    this.#passages.push(passage);
    return passage;
  }

  #leave(passage: Passage): void {
    this.#passages.splice(this.#passages.indexOf(passage), 1);
    this.#memories.push(passage.rows.memory);
    // It knows the one before, which knew the one before that.
    passage.replay = null;
    passage.end();
    passage.stepAside();
  }

  /** `alone`: it stands alone already. */
  async #applyUntilDecided(passage: Passage, alone = false): Promise<number | null> {
    const { members } = passage.unit;
    passage.attempt = 1;
    passage.waits = null;
    if (members.length > 1) {
      const together = await this.#applyTogether(passage);
      if (together !== null) return together;
    }
    let rows = 0;
    for (const member of members) {
      // What is committed of a unit stays committed: the next life finds it in the progress row.
      const applied = await this.#applyMember(passage, member, alone);
      if (applied === null) return null;
      rows += applied;
    }
    return rows;
  }

  /** One try. Null: it failed and nothing of it is kept; its members are applied one by one, and the one at fault will tell. */
  async #applyTogether(passage: Passage): Promise<number | null> {
    const { members } = passage.unit;
    try {
      return await this.#applyOnce(passage, members);
    } catch (error) {
      if (error instanceof GivesWay) return this.#giveWay(passage);
      await this.#rollBack(error, null);
      this.#around.log.debug('transactions failed together and are tried one by one', {
        transaction: transactionIdText(members[0]!.id),
        error: (error as Error).message,
      });
      return null;
    }
  }

  async #applyMember(
    passage: Passage,
    transaction: Transaction,
    standsAlone: boolean,
  ): Promise<number | null> {
    const { unit } = passage;
    let alone = standsAlone;
    for (let attempt = 1; ; attempt++) {
      passage.attempt = attempt;
      passage.waits = null;
      try {
        return await this.#applyOnce(passage, [transaction]);
      } catch (error) {
        if (error instanceof GivesWay) {
          await this.#giveWay(passage);
          if (this.#around.stopping()) return null;
          alone = true;
          continue;
        }
        const ranAlone = this.#around.ranAlone(unit);
        const failure = await this.#rollBack(error, transaction.xid);
        // Its DDL ran and is committed: only a look at the schemas, as after a crash, may decide how it goes on.
        if (passage.replay?.ranDdl && failure.code === 'APPLY_TRANSIENT') throw failure;
        const transient = failure.code === 'APPLY_TRANSIENT';
        if (this.#around.stopping() && (transient || !(alone || ranAlone))) return null;
        if (transient) {
          if (attempt > TRANSIENT_RETRIES) throw failure;
          passage.waits = 'pause';
          await sleep(backoffMs(attempt, Math.random(), RETRY_BASE_MS, RETRY_MAX_MS), this.#around.signal);
          continue;
        }
        if (alone || ranAlone) throw failure;
        this.#around.log.debug('a transaction failed beside others and is tried alone', {
          transaction: transactionIdText(transaction.id),
          error: failure.message,
        });
        passage.waits = 'predecessor';
        await this.#standAlone(passage);
        if (this.#around.signal.aborted) throw failure;
        if (this.#around.stopping()) return null;
        alone = true;
      }
    }
  }

  /** Lets go of everything until it can run alone. @throws what has broken the applier, or the loss of the session. */
  async #giveWay(passage: Passage): Promise<null> {
    if (this.session.lost !== null) throw this.session.lost;
    await this.session.rollback(null);
    passage.waits = 'predecessor';
    await this.#standAlone(passage);
    this.#around.signal.throwIfAborted();
    return null;
  }

  /** @throws when the session is lost, or when the error says nothing about the order in which transactions ran. */
  async #rollBack(error: unknown, xid: string | null): Promise<MillraceError> {
    if (!(error instanceof MillraceError) || this.session.lost !== null) throw this.session.lost ?? error;
    await this.session.rollback(xid === null ? null : branchLiteral(xid));
    return this.#requireAboutOrder(error);
  }

  /** @throws the error where it is not about the order in which transactions ran. */
  #requireAboutOrder(error: unknown): MillraceError {
    if (!(error instanceof MillraceError) || this.session.lost !== null) throw this.session.lost ?? error;
    if (this.#around.signal.aborted || NOT_ABOUT_ORDER.has(error.code)) throw error;
    return error;
  }

  async #applyOnce(
    passage: Passage,
    members: readonly Transaction[],
    before: Passage | null = null,
  ): Promise<number> {
    const { rows } = passage;
    passage.sent = null;
    const endsUnit = members.at(-1) === passage.unit.members.at(-1);
    const replay = new TransactionReplay(this.#context, this.session, members, rows, {
      behind: before?.sent ?? null,
      before: () => (before === null ? null : this.#untilCommitted(passage, before)),
      turn: () => this.#turn(passage),
      onSent: () => {
        if (!endsUnit) return;
        passage.sent = this.session.sent;
        // Whoever gave it can see for himself, unless it was sent later.
        if (passage.isGiven) this.#around.onCanFollow();
      },
    });
    passage.replay = replay;
    const events = this.#events(members);
    try {
      if (members[0]!.skip === null) await replay.run(events);
      else await replayEmpty(replay.around, events);
    } finally {
      if (this.session.lost === null) rows.memory.answered();
    }
    this.#context.progress.recorded(
      members.map(({ id }) => id),
      this.#context.worker,
    );
    passage.isCommitted = endsUnit;
    if (this.#context.filter !== null) addFiltered(this.#around.filtered, replay.filtered);
    return replay.rowsApplied;
  }

  /** Null: with GTIDs the server tells. */
  #untilCommitted(passage: Passage, before: Passage): Promise<boolean> | null {
    if (this.#context.progress.kind === 'gtid') return null;
    passage.waits = 'predecessor';
    return before.aside.then(() => {
      passage.waits = null;
      return before.isCommitted;
    });
  }

  #standAlone(passage: Passage): Promise<void> {
    passage.stepAside();
    return this.#around.standAlone(passage.unit);
  }

  #turn(passage: Passage): Promise<boolean> | null {
    const waits = this.#around.turn(passage.unit);
    if (waits === null) return null;
    passage.waits = 'turn';
    return waits.finally(() => {
      passage.waits = null;
    });
  }

  #events(members: readonly Transaction[]): Iterable<EventView> {
    const [first] = members;
    if (members.length === 1 && first !== undefined && first.events === null) {
      return this.#context.readTransaction(first.location).events;
    }
    return joinedEvents(members.map(({ events }) => events!));
  }
}
