/**
 * One life of an applier between connecting to the target and losing it: sessions, progress, the way from the relay log
 * through assembler and scheduler to the workers.
 *
 *   control session   lease (GET_LOCK), progress base, facts
 *   N worker sessions one transaction each at a time
 *
 * `start` takes the target over and tells what it has executed; `run` applies until it is told to stop (resolves when what
 * was in flight is committed) or something fails (rejects; nothing half-done remains: sessions are closed, the server rolls
 * back). Nothing is kept from one life to the next: a new one asks the target again.
 */
import { MillraceError, toPlain } from '../base/errors.ts';
import { type Logger, sleep, systemClock } from '../base/runtime.ts';
import { type PositionKind, type PositionSet, transactionIdText } from '../binlog/position-set.ts';
import { TableMapCache } from '../binlog/table-map-cache.ts';
import { PublishedEnd, type RelayPosition } from '../relay/published-end.ts';
import { RelayLogCursor } from '../relay/relay-log-cursor.ts';
import { relayBytesBetween } from '../relay/relay-log-distance.ts';
import { locate } from '../relay/relay-log-location.ts';
import { controlError } from '../target/apply-error.ts';
import { ApplySession } from '../target/apply-session.ts';
import { type Collations, convertText, readCollations } from '../target/collations.ts';
import { schemaReader } from '../target/ddl-intent.ts';
import { hexLiteral } from '../target/table-progress.ts';
import { type Gate, OPEN } from './admission.ts';
import type {
  ApplierOptions,
  ApplierSettings,
  ExecutedIds,
  Lateness,
  LatenessQuestion,
  Waiting,
} from './applier-messages.ts';
import { ApplyIntake, type Filled } from './apply-intake.ts';
import { ApplyScheduler } from './apply-scheduler.ts';
import { ApplyWorker, type WorkerActivity } from './apply-worker.ts';
import { type DueClock, WallDueClock } from './due-clock.ts';
import type { GuardScout } from './guard-scout.ts';
import { LiveSettings } from './live-settings.ts';
import { PreparedBranches, type PreparedPlace } from './prepared-branches.ts';
import type { StoredTransaction } from './replay-context.ts';
import { holdsTransaction, readStoredTransaction } from './stored-transaction.ts';
import { type TakenTarget, takeTargetOver } from './target-takeover.ts';
import type { Transaction } from './transaction.ts';
import { TransactionAssembler } from './transaction-assembler.ts';

const QUEUE_BYTES = 16 * 1024 * 1024;
const QUEUE_TRANSACTIONS = 1024;
const WINDOW_MAX = 256;
const BINLOG_BYTES = 512 * 1024;
/** The base moves up after so much time or so many transactions: the workers' lists of ids stay short. */
const CHECKPOINT_MS = 1000;
const CHECKPOINT_TRANSACTIONS = 256;
const PING_MS = 30_000;
/** A gate that opens by time is looked at again this often: clocks step. */
const GATE_LOOK_MS = 1000;
/** MySQL applies events flagged USE_SQL_FOREIGN_KEY by itself since this version. */
const SQL_FOREIGN_KEYS_SINCE = 90600;

export interface RunCounters {
  transactionsApplied: number;
  rowsApplied: number;
  lastCommitMicros: bigint | null;
  lastAppliedWallMs: number | null;
}

export class ApplierRun {
  readonly #options: ApplierOptions;
  readonly #kind: PositionKind;
  readonly #log: Logger;
  readonly #published: PublishedEnd;
  readonly #stop = new AbortController();
  readonly #broken = new AbortController();
  /** Told to stop, or broken. Combined once: a combination of long-lived signals is never freed on Node 20. */
  readonly #ended = AbortSignal.any([this.#stop.signal, this.#broken.signal]);
  readonly counters: RunCounters;
  #target: TakenTarget | null = null;
  readonly #prepared = new PreparedBranches();
  /** From the moment on that it is known what the target has. */
  #intake: ApplyIntake | null = null;
  readonly #settings: LiveSettings;
  readonly #onControlExecuted: (ids: ExecutedIds) => void;
  readonly #due: DueClock = new WallDueClock(systemClock);
  /** Null: no guard is on. */
  readonly #scout: GuardScout | null = null;
  #workers: ApplyWorker[] = [];
  readonly #idle: ApplyWorker[] = [];
  readonly #scheduler: ApplyScheduler<Transaction>;
  #closing = false;
  /** An operator's request is being written down. */
  #frozen = false;
  #wake: () => void = () => {};
  #failure: unknown = null;
  readonly #tableMaps = new TableMapCache();
  #collations: Promise<Collations> | null = null;
  #sinceCheckpoint = 0;
  #checkpointDue: () => void = () => {};

  /** `onControlExecuted`: transactions of the control document that are executed on the target. */
  constructor(
    options: ApplierOptions,
    kind: PositionKind,
    counters: RunCounters,
    log: Logger,
    onControlExecuted: (ids: ExecutedIds) => void = () => {},
  ) {
    this.#options = options;
    this.#onControlExecuted = onControlExecuted;
    this.#settings = new LiveSettings(options);
    this.#kind = kind;
    this.counters = counters;
    this.#log = log;
    this.#published = new PublishedEnd(options.published);
    this.#scheduler = new ApplyScheduler<Transaction>({
      // Without GTIDs the one thing known of progress is a position: transactions are applied one by one.
      workers: kind === 'position' ? 1 : options.workers,
      commitOrder: kind === 'position' ? 'source' : options.commitOrder,
      windowMax: WINDOW_MAX,
      bytesMax: QUEUE_BYTES,
      transactionsMax: QUEUE_TRANSACTIONS,
    });
  }

  get progressKind(): 'gtid' | 'table' | null {
    return this.#target?.progress.kind ?? null;
  }

  /** Text of the executed prefix; null before the target was asked. */
  get executedText(): string | null {
    return this.#intake?.prefix.toString() ?? null;
  }

  get caughtUpWithRelay(): boolean {
    return (this.#intake?.atEnd ?? false) && this.#scheduler.idle;
  }

  get pendingCommitMicros(): bigint | null {
    return (this.#scheduler.oldest ?? this.#intake?.next)?.commitMicros ?? null;
  }

  /** Everything before it in the relay log is applied; null: not known yet. */
  get appliedTo(): RelayPosition | null {
    return this.#intake?.appliedTo ?? null;
  }

  /** What the busy workers are doing; the one first that stands first in the relay log. */
  get activity(): readonly WorkerActivity[] {
    const nowMs = systemClock.monotonicMs();
    const busy = this.#workers.map((worker) => worker.activity(nowMs)).filter((each) => each !== null);
    return busy.sort((a, b) => a.ordinal - b.ordinal);
  }

  /** The oldest relay file still needed: by what is in flight, being read, or prepared and undecided. */
  get neededFile(): number {
    const reading = this.#intake?.neededFile ?? 0;
    const prepared = this.#prepared.oldestFile;
    return prepared === null ? reading : Math.min(reading, prepared);
  }

  /** What the next transaction waits for. */
  get gate(): Gate {
    return this.#intake?.gate ?? OPEN;
  }

  get untilReached(): boolean {
    return this.#intake?.untilReached ?? false;
  }

  get inFlight(): number {
    return this.#scheduler.inFlight;
  }

  /** Null: nothing waits before the gate. */
  get waiting(): Waiting | null {
    const next = this.#intake?.next ?? null;
    if (next === null) return null;
    const { gate } = this;
    return {
      nextId: transactionIdText(next.id),
      nextDueInMs: gate.is === 'due' ? gate.dueInMs : null,
      bytes: relayBytesBetween(this.#options.relayDir, next.location, this.#published.read()),
    };
  }

  /** Connects and takes the target over. Returns what the target has executed. */
  async start(): Promise<PositionSet> {
    const options = { ...this.#options, ...this.#settings.current };
    const target = await takeTargetOver(options, this.#kind, this.#broken.signal, this.#log);
    this.#target = target;
    this.#intake = new ApplyIntake(target.executed, this.#settings.current, {
      kind: this.#kind,
      scheduler: this.#scheduler,
      due: this.#due,
      scout: () => this.#scout,
    });
    this.#tellExecuted();
    for (const { xid, ...place } of target.prepared) this.#prepared.add(xid, place);
    return target.executed.set;
  }

  /** Applies until `stop`. */
  async run(): Promise<void> {
    const ping = setInterval(() => void this.#ping(), PING_MS);
    const checkpoint = this.#target?.progress.kind === 'table' ? this.#checkpoints() : Promise.resolve();
    try {
      await this.#openWorkers();
      const cursor = await this.#openCursor();
      if (cursor !== null) {
        try {
          this.#intake!.readFrom(new TransactionAssembler(cursor, this.#target!.executed));
          await this.#pump(this.#intake!);
        } finally {
          cursor.close();
        }
      }
      this.#stop.abort();
      this.#checkpointDue();
      await checkpoint;
      if (this.#failure !== null) throw this.#failure;
      if (this.#target?.progress.kind === 'table')
        await this.#target.progress.checkpoint(this.#intake!.prefix);
    } catch (error) {
      this.#fail(error);
      throw this.#failure;
    } finally {
      clearInterval(ping);
      this.#stop.abort();
      this.#checkpointDue();
      await checkpoint.catch(() => {});
    }
  }

  /** Finish what is in flight, take nothing new. */
  stop(): void {
    this.#stop.abort();
    if (this.#target === null) this.#broken.abort();
    this.#checkpointDue();
    this.#wake();
  }

  /** Closes every session; to be called once, after run or a failed start. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#stop.abort();
    // A new life begins with the new rules.
    this.#settings.drained();
    const graceful = this.#failure === null;
    await Promise.all(
      this.#workers.map((worker) => (graceful ? worker.session.end() : worker.session.destroy())),
    );
    this.#target?.control.close();
  }

  // ---- setting up

  async #openWorkers(): Promise<void> {
    const { endpoint } = this.#options;
    const facts = this.#target!.facts;
    const count = this.#kind === 'position' ? 1 : this.#options.workers;
    const opened = await Promise.allSettled(
      Array.from({ length: count }, () => ApplySession.open(endpoint, facts, this.#ended)),
    );
    const failed = opened.find((each) => each.status === 'rejected');
    for (const [index, each] of opened.entries()) {
      if (each.status !== 'fulfilled') continue;
      const worker = new ApplyWorker(each.value, this.#replayContext(index + 1), {
        rows: {
          bytesMax: Math.min(BINLOG_BYTES, Math.floor(facts.maxAllowedPacket / 2)),
          knowsSqlForeignKeys: facts.flavour === 'mysql' && facts.versionNumber >= SQL_FOREIGN_KEYS_SINCE,
        },
        log: this.#log,
        signal: this.#broken.signal,
        stopping: () => this.#stop.signal.aborted,
        standAlone: (transaction) => this.#standAlone(transaction),
        ranAlone: (transaction) => this.#scheduler.ranAlone(transaction),
      });
      this.#workers.push(worker);
      // A target that is gone is noticed at once, also while there is nothing to apply: no lag of 0 that is not true.
      each.value.onLost((error) => {
        if (!this.#closing) this.#fail(error);
      });
      this.#idle.push(worker);
    }
    if (failed?.status === 'rejected') throw failed.reason;
  }

  #replayContext(worker: number) {
    const { relayDir, channel } = this.#options;
    const published = this.#published;
    const { createdBefore } = this.#target!;
    return {
      facts: this.#target!.facts,
      progress: this.#target!.progress,
      worker,
      channel: hexLiteral(channel),
      createdBefore,
      rules: () => this.#settings.current.rules,
      tableMaps: this.#tableMaps,
      prepared: this.#prepared,
      collations: () => (this.#collations ??= readCollations(this.#target!.control, this.#target!.facts)),
      convert: (utf8: Buffer, charset: string) => convertText(this.#target!.control, utf8, charset),
      readSchemas: schemaReader(this.#target!.control),
      readTransaction: (location: Parameters<typeof readStoredTransaction>[2]): StoredTransaction =>
        readStoredTransaction(relayDir, published, location),
      holdsTransaction: (place: PreparedPlace) => holdsTransaction(relayDir, published, place, place.id),
    };
  }

  /** Null: told to stop before the relay log had anything. */
  async #openCursor(): Promise<RelayLogCursor | null> {
    const { relayDir } = this.#options;
    const signal = this.#ended;
    for (;;) {
      const end = this.#published.read();
      if (end.fileNumber > 0) {
        const from = locate(relayDir, this.#target!.executed.set);
        if (from !== null) return RelayLogCursor.open({ dir: relayDir, published: this.#published, from });
        throw new MillraceError(
          'TARGET_WENT_BACK',
          'the relay log does not reach back to what the target lacks',
          {
            hint: 'It is fetched again from the source, from where the target stands.',
            facts: { executed: this.#target!.executed.set.toString().slice(0, 200) },
          },
        );
      }
      await this.#published.wait(end, { signal });
      if (signal.aborted) return null;
    }
  }

  // ---- what the operator wants

  /** Nothing new starts until the next `take`. Null: the target is not connected, nobody can tell. */
  freeze(question: LatenessQuestion): Lateness | null {
    this.#frozen = true;
    return this.#intake?.lateness(question) ?? null;
  }

  /**
   * The wishes hold from here on, for everything that has not started; changed rules and guards when what has started is
   * committed. Then `taken` is called.
   */
  take(settings: ApplierSettings, taken: () => void): void {
    this.#frozen = false;
    this.#settings.take(settings, this.#scheduler.inFlight === 0, taken);
    if (!this.#settings.draining) this.#intake?.admitBy(settings);
    this.#wake();
  }

  /** True while new rules wait for what is in flight under the old ones. */
  #drains(): boolean {
    if (!this.#settings.draining) return false;
    if (this.#scheduler.inFlight > 0) return true;
    this.#settings.drained();
    this.#intake!.admitBy(this.#settings.current);
    return false;
  }

  #tellExecuted(): void {
    const ids = this.#intake!.takeExecuted();
    if (ids !== null) this.#onControlExecuted(ids);
  }

  // ---- the pump

  async #pump(intake: ApplyIntake): Promise<void> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure;
      const stopping = this.#stop.signal.aborted;
      if (stopping && this.#scheduler.inFlight === 0) return;
      // Read before the relay log is: what is published after this ends the wait at once.
      const seen = this.#published.read();
      const closed = stopping || this.#frozen || this.#drains();
      const filled = closed ? 'full' : intake.fill();
      if (!closed) this.#dispatch();
      this.#tellExecuted();
      if (filled === 'slice') {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      await this.#waitForWork(filled, seen);
    }
  }

  #dispatch(): void {
    for (;;) {
      const transaction = this.#scheduler.takeReady();
      if (transaction === null) return;
      const worker = this.#idle.pop()!;
      void worker.apply(transaction).then(
        (rows) => this.#finished(worker, transaction, rows),
        (error: unknown) => this.#fail(error),
      );
    }
  }

  #finished(worker: ApplyWorker, transaction: Transaction, rows: number | null): void {
    this.#idle.push(worker);
    if (rows === null) {
      this.#scheduler.givenUp(transaction);
      this.#wake();
      return;
    }
    this.#scheduler.committed(transaction);
    const { counters } = this;
    counters.transactionsApplied += 1;
    counters.rowsApplied += rows;
    counters.lastCommitMicros = transaction.commitMicros;
    counters.lastAppliedWallMs = systemClock.wallMs();
    this.#advance();
    this.#wake();
  }

  /** Moves the executed prefix up to the scheduler's low-water mark. */
  #advance(): void {
    this.#sinceCheckpoint += this.#intake!.advance();
    if (this.#sinceCheckpoint >= CHECKPOINT_TRANSACTIONS) this.#checkpointDue();
  }

  async #standAlone(transaction: Transaction): Promise<void> {
    this.#scheduler.standAlone(transaction);
    const signal = this.#ended;
    while (!this.#scheduler.mayStandAlone(transaction) && !signal.aborted) await sleep(2, signal);
  }

  #waitForWork(filled: Filled, seen: RelayPosition): Promise<void> {
    const waited = new AbortController();
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
      this.#broken.signal.addEventListener('abort', () => resolve(), { once: true, signal: waited.signal });
    });
    return Promise.race([woken, this.#something(filled, seen, waited.signal) ?? woken]).finally(() =>
      waited.abort(),
    );
  }

  /** What may bring work beside a worker that is done; null: nothing. */
  #something(filled: Filled, seen: RelayPosition, signal: AbortSignal): Promise<void> | null {
    // Only at the end of what is published does a longer relay log mean work.
    if (filled === 'end') return this.#published.wait(seen, { signal });
    const gate = this.#intake!.gate;
    if (filled === 'waiting' && gate.is === 'due') return sleep(Math.min(gate.dueInMs, GATE_LOOK_MS), signal);
    return null;
  }

  #fail(error: unknown): void {
    this.#failure ??= controlError(error);
    this.#broken.abort();
    this.#checkpointDue();
    this.#wake();
    for (const worker of this.#workers) worker.session.destroy();
  }

  // ---- beside the pump

  async #checkpoints(): Promise<void> {
    let last = '';
    while (!this.#stop.signal.aborted && this.#failure === null) {
      const due = new AbortController();
      this.#checkpointDue = () => due.abort();
      await sleep(CHECKPOINT_MS, due.signal);
      this.#sinceCheckpoint = 0;
      const prefix = this.#intake!.prefix.clone();
      const text = prefix.toString();
      if (text === last || this.#failure !== null) continue;
      last = text;
      try {
        await this.#target!.progress.checkpoint(prefix);
      } catch (error) {
        this.#fail(error);
      }
    }
  }

  /** Keeps idle sessions alive, and notices when the target is gone while there is nothing to apply. */
  async #ping(): Promise<void> {
    try {
      await this.#target?.control.query('DO 0', 'ping the target');
      await Promise.all(this.#idle.map((worker) => worker.session.ping()));
    } catch (error) {
      this.#log.debug('a ping of the target failed', { error: toPlain(error).message });
      this.#fail(error);
    }
  }
}
