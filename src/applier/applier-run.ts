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
import { setMaxListeners } from 'node:events';
import { toPlain } from '../base/errors.ts';
import { type Logger, sleep, systemClock } from '../base/runtime.ts';
import { type PositionKind, type PositionSet, transactionIdText } from '../binlog/position-set.ts';
import { PublishedEnd, type RelayPosition } from '../relay/published-end.ts';
import type { RelayLogCursor } from '../relay/relay-log-cursor.ts';
import { relayBytesBetween } from '../relay/relay-log-distance.ts';
import { openLocated } from '../relay/relay-log-location.ts';
import type { SourceClockSnapshot } from '../relay/source-clock.ts';
import { compileRules, type TargetFilter } from '../rules/target-filter.ts';
import type { TargetRules } from '../rules/target-rules.ts';
import { controlError } from '../target/apply-error.ts';
import { type Gate, OPEN } from './admission.ts';
import type {
  ApplierOptions,
  ApplierSettings,
  ExecutedIds,
  GuardsStatus,
  Lateness,
  LatenessQuestion,
  Waiting,
} from './applier-messages.ts';
import { ApplyIntake, type Filled } from './apply-intake.ts';
import { ApplyScheduler } from './apply-scheduler.ts';
import type { ApplyUnit } from './apply-unit.ts';
import type { WorkerActivity } from './apply-worker.ts';
import { ApplyWorkers } from './apply-workers.ts';
import { CommitTurns } from './commit-turns.ts';
import { SourceDueClock } from './due-clock.ts';
import type { GuardMatch } from './guard-scout.ts';
import { LiveSettings } from './live-settings.ts';
import { LookAhead, NO_MATCHES } from './look-ahead.ts';
import { PreparedBranches } from './prepared-branches.ts';
import { ProgressCheckpoints } from './progress-checkpoints.ts';
import { beginsTooLate } from './relay-continuity.ts';
import type { RunCounters } from './run-counters.ts';
import { type TakenTarget, takeTargetOver } from './target-takeover.ts';
import { TransactionAssembler } from './transaction-assembler.ts';
import { WorkBell } from './work-bell.ts';
import { crewOf } from './worker-sessions.ts';

/** Of transactions queued and in flight, for each worker. */
const QUEUE_BYTES_EACH = 1024 * 1024;
const QUEUE_BYTES_MIN = 8 * 1024 * 1024;
const QUEUE_TRANSACTIONS = 1024;
const WINDOW_MAX = 1024;
const PING_MS = 30_000;

export interface RunListener {
  onControlExecuted(ids: ExecutedIds): void;
  /** A guard has found it; of an earlier life perhaps too. */
  onGuardMatch(match: GuardMatch, dueInMs: number | null): void;
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
  readonly #listener: RunListener;
  readonly #due: SourceDueClock;
  #lookAhead: LookAhead | null = null;
  /** The rules that `filter` was compiled from. */
  #compiled: { readonly rules: TargetRules; readonly filter: TargetFilter | null } | null = null;
  #workers: ApplyWorkers | null = null;
  readonly #scheduler: ApplyScheduler<ApplyUnit>;
  readonly #turns = new CommitTurns((unit) => this.#scheduler.isFirst(unit));
  #closing = false;
  /** An operator's request is being written down. */
  #frozen = false;
  readonly #bell = new WorkBell();
  #failure: unknown = null;
  /** Null: progress is not kept in a table. */
  #checkpoints: ProgressCheckpoints | null = null;

  constructor(
    options: ApplierOptions,
    kind: PositionKind,
    counters: RunCounters,
    log: Logger,
    listener: RunListener,
  ) {
    this.#options = options;
    this.#listener = listener;
    this.#settings = new LiveSettings(options);
    this.#kind = kind;
    this.counters = counters;
    this.#log = log;
    this.#published = new PublishedEnd(options.published);
    this.#due = new SourceDueClock(systemClock, () => this.#published.read());
    this.#due.learn(options.sourceClock);
    // Whoever waits to be alone listens, and so many may.
    setMaxListeners(0, this.#ended);
    const { workers } = crewOf(options, kind);
    this.#scheduler = new ApplyScheduler<ApplyUnit>({
      workers,
      commitOrder: kind === 'position' ? 'source' : options.commitOrder,
      windowMax: WINDOW_MAX,
      bytesMax: Math.max(QUEUE_BYTES_MIN, workers * QUEUE_BYTES_EACH),
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
    return (this.#intake?.isAtEnd(this.#published.read()) ?? false) && this.#scheduler.idle;
  }

  get pendingCommitMicros(): bigint | null {
    return this.#pending?.commitMicros ?? null;
  }

  /** Null: nothing is pending, or it is not known. */
  get pendingAgeMs(): number | null {
    const pending = this.#pending;
    return pending === null ? null : this.#due.ageMs(pending);
  }

  get #pending() {
    return this.#intake?.oldest ?? this.#intake?.next ?? null;
  }

  /** Everything before it in the relay log is applied; null: not known yet. */
  get appliedTo(): RelayPosition | null {
    return this.#intake?.appliedTo ?? null;
  }

  /** What the busy workers are doing; the one first that stands first in the relay log. */
  get activity(): readonly WorkerActivity[] {
    return this.#workers?.activity ?? [];
  }

  /** The oldest relay file still needed: by what is in flight, being read, or prepared and undecided. */
  get neededFile(): number {
    const reading = this.#intake?.neededFile ?? 0;
    const prepared = this.#prepared.oldestFile;
    return prepared === null ? reading : Math.min(reading, prepared);
  }

  /** What the next transaction waits for. Held: when everything before it is applied. */
  get gate(): Gate {
    const gate = this.#intake?.gate ?? OPEN;
    if (gate.is === 'held' && !this.#scheduler.idle) return OPEN;
    const next = this.#intake?.next ?? null;
    if (gate.is !== 'due' || next === null) return gate;
    const { control, delayMs } = this.#settings.current;
    return { is: 'due', dueInMs: this.#due.dueInMs(next, control.delayMs ?? delayMs) };
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
      blind: gate.is === 'due' && this.#due.blind,
    };
  }

  get guards(): GuardsStatus {
    return this.#lookAhead?.status(this.gate) ?? NO_MATCHES;
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
      coalesce: this.#options.coalesce,
      follow: target.progress.kind === 'gtid' || options.commitOrder !== 'source',
      scout: () => this.#lookAhead?.scout ?? null,
    });
    this.#lookAhead = new LookAhead({
      relayDir: this.#options.relayDir,
      published: this.#published,
      versionNumber: target.facts.versionNumber,
      executed: target.executed,
      settings: this.#settings,
      log: this.#log,
      filter: () => this.#filter,
      ageMs: (dated) => this.#due.ageMs(dated),
      isBusy: () => this.#scheduler.inFlight > 0,
      onMatch: (match, dueInMs) => this.#listener.onGuardMatch(match, dueInMs),
      onMoved: () => this.#bell.ring(),
    });
    if (target.progress.kind === 'table') {
      this.#checkpoints = new ProgressCheckpoints({
        progress: target.progress,
        prefix: () => this.#intake!.prefix,
        isOver: () => this.#ended.aborted,
        onFailed: (error) => this.#fail(error),
      });
    }
    this.#tellExecuted();
    for (const { xid, ...place } of target.prepared) this.#prepared.add(xid, place);
    return target.executed.set;
  }

  /** Applies until `stop`. */
  async run(): Promise<void> {
    const ping = setInterval(() => void this.#ping(), PING_MS);
    const checkpoint = this.#checkpoints?.run() ?? Promise.resolve();
    try {
      const workers = await this.#openWorkers();
      const cursor = await this.#openCursor();
      if (cursor !== null) {
        try {
          this.#intake!.readFrom(new TransactionAssembler(cursor, this.#target!.executed));
          this.#useSettings();
          await this.#pump(this.#intake!, workers);
        } finally {
          await this.#lookAhead?.end();
          cursor.close();
        }
      }
      this.#stop.abort();
      this.#checkpoints?.hurry();
      await checkpoint;
      if (this.#failure !== null) throw this.#failure;
      if (this.#checkpoints !== null) await this.#target!.progress.checkpoint(this.#intake!.prefix);
    } catch (error) {
      this.#fail(error);
      throw this.#failure;
    } finally {
      clearInterval(ping);
      this.#stop.abort();
      this.#checkpoints?.hurry();
      await checkpoint.catch(() => {});
    }
  }

  /** Finish what is in flight, take nothing new. */
  stop(): void {
    this.#stop.abort();
    if (this.#target === null) this.#broken.abort();
    this.#checkpoints?.hurry();
    this.#bell.ring();
  }

  /** Closes every session; to be called once, after run or a failed start. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#turns.close();
    this.#stop.abort();
    // A new life begins with the new rules.
    this.#settings.drained();
    await this.#workers?.close(this.#failure === null);
    this.#target?.control.close();
  }

  // ---- setting up

  async #openWorkers(): Promise<ApplyWorkers> {
    const crew = new ApplyWorkers({
      to: this.#options,
      crew: crewOf(this.#options, this.#kind),
      target: this.#target!,
      published: this.#published,
      prepared: this.#prepared,
      filter: () => this.#filter,
      filtered: this.counters.filtered,
      log: this.#log,
      ended: this.#ended,
      broken: this.#broken.signal,
      stopping: () => this.#stop.signal.aborted,
      standAlone: (unit) => this.#standAlone(unit),
      turn: (unit) => (this.#options.commitOrder === 'source' ? this.#turns.wait(unit) : null),
      ranAlone: (unit) => this.#scheduler.ranAlone(unit),
      onCanFollow: () => this.#bell.ring(),
      onSessions: (sessions) => {
        this.#scheduler.sessions = sessions;
        this.#bell.ring();
      },
      // A target that is gone is noticed at once, also while there is nothing to apply: no lag of 0 that is not true.
      onLost: (error) => {
        if (!this.#closing) this.#fail(error);
      },
    });
    this.#workers = crew;
    await crew.open();
    return crew;
  }

  /** The rules as they are now, compiled for this target; null: no rule is active. */
  get #filter(): TargetFilter | null {
    const { rules } = this.#settings.current;
    if (this.#compiled?.rules !== rules) {
      this.#compiled = { rules, filter: compileRules(rules, this.#target!.facts) };
    }
    return this.#compiled.filter;
  }

  /** Null: told to stop before the relay log had anything. */
  async #openCursor(): Promise<RelayLogCursor | null> {
    const { relayDir } = this.#options;
    const signal = this.#ended;
    for (;;) {
      const end = this.#published.read();
      if (end.fileNumber > 0) {
        const executed = this.#target!.executed.set;
        const cursor = openLocated(relayDir, executed, this.#published);
        if (cursor === null) throw beginsTooLate(executed);
        return cursor;
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
    if (!this.#settings.draining) this.#useSettings();
    this.#bell.ring();
  }

  /** True while new rules wait for what is in flight under the old ones. */
  #drains(): boolean {
    if (!this.#settings.draining) return false;
    if (this.#scheduler.inFlight > 0) return true;
    this.#settings.drained();
    this.#useSettings();
    return false;
  }

  /** The scout first: what is admitted from now on must have been seen by it. */
  #useSettings(): void {
    this.#intake?.takeBack();
    const place = this.#intake?.place ?? null;
    if (place !== null) this.#lookAhead?.use(place);
    this.#intake?.admitBy(this.#settings.current);
  }

  #tellExecuted(): void {
    const ids = this.#intake!.takeExecuted();
    if (ids !== null) this.#listener.onControlExecuted(ids);
  }

  /** What waits for its time may be due earlier, or later, than was known. */
  learnClock(clock: SourceClockSnapshot): void {
    this.#due.learn(clock);
    if (this.#intake?.gate.is === 'due') this.#bell.ring();
  }

  // ---- the pump

  async #pump(intake: ApplyIntake, workers: ApplyWorkers): Promise<void> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure;
      const stopping = this.#stop.signal.aborted;
      if (stopping && this.#scheduler.inFlight === 0) return;
      // Read before the relay log is: what is published after this ends the wait at once.
      const seen = this.#published.read();
      const closed = stopping || this.#frozen || this.#drains();
      const filled = closed ? 'full' : intake.fill(seen);
      if (!closed) this.#dispatch(workers);
      this.#lookAhead?.notice(this.gate);
      this.#tellExecuted();
      if (filled === 'slice') {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      await this.#waitForWork(filled, seen);
    }
  }

  #dispatch(workers: ApplyWorkers): void {
    for (;;) {
      const next = this.#scheduler.take(workers.canFollow);
      if (next === null) break;
      void workers.apply(next).then(
        (rows) => this.#finished(next.unit, rows),
        (error: unknown) => this.#fail(error),
      );
    }
    if (this.#scheduler.isFullOfShort) workers.grow();
  }

  #finished(unit: ApplyUnit, rows: number | null): void {
    if (rows === null) {
      this.#scheduler.givenUp(unit);
      this.#turns.giveWay();
      this.#bell.ring();
      return;
    }
    this.#intake!.committed(unit);
    this.#turns.ended();
    const { counters } = this;
    counters.transactionsApplied += unit.members.length;
    counters.rowsApplied += rows;
    const last = unit.members.at(-1)!;
    counters.lastCommitMicros = last.commitMicros;
    counters.lastAgeMs = this.#due.ageMs(last);
    counters.lastAppliedAtMs = systemClock.monotonicMs();
    this.#advance();
    this.#bell.ring();
  }

  /** Moves the executed prefix up to the scheduler's low-water mark. */
  #advance(): void {
    const count = this.#intake!.advance();
    this.#checkpoints?.count(count);
    const done = this.#intake!.oldest?.location ?? this.#intake!.place;
    if (done !== null) this.#lookAhead?.forgetBefore(done);
  }

  async #standAlone(unit: ApplyUnit): Promise<void> {
    this.#scheduler.standAlone(unit);
    // Who waits for its turn holds locks, and would wait for this one.
    this.#turns.giveWay();
    const signal = this.#ended;
    while (!this.#scheduler.mayStandAlone(unit) && !signal.aborted) await sleep(2, signal);
  }

  #waitForWork(filled: Filled, seen: RelayPosition): Promise<void> {
    // Only at the end of what is published does a longer relay log mean work.
    if (filled === 'end') return this.#bell.waitBeyond(this.#published, seen);
    const { gate } = this.#intake!;
    if (filled !== 'waiting' || gate.is !== 'due') return this.#bell.wait();
    return this.#bell.wait((signal) => sleep(Math.ceil(gate.dueInMs), signal));
  }

  #fail(error: unknown): void {
    this.#failure ??= controlError(error);
    this.#broken.abort();
    this.#checkpoints?.hurry();
    this.#bell.ring();
    this.#workers?.destroy();
    this.#turns.close();
  }

  // ---- beside the pump

  /** Keeps idle sessions alive, and notices when the target is gone while there is nothing to apply. */
  async #ping(): Promise<void> {
    try {
      await this.#target?.control.query('DO 0', 'ping the target');
      await this.#workers?.ping();
    } catch (error) {
      this.#log.debug('a ping of the target failed', { error: toPlain(error).message });
      this.#fail(error);
    }
  }
}
