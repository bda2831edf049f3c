/**
 * Entry of an applier thread (worker_threads; its options: ApplierOptions, base/thread-options.ts): runs the lifecycle machine, performs its effects,
 * answers the main thread.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { assert, type PlainError, toPlain } from '../base/errors.ts';
import { type Logger, systemClock } from '../base/runtime.ts';
import { threadOptions } from '../base/thread-options.ts';
import { ThreadPort } from '../base/thread-port.ts';
import type { PositionKind } from '../binlog/position-set.ts';
import { PublishedEnd } from '../relay/published-end.ts';
import { relayBytesBetween } from '../relay/relay-log-distance.ts';
import { OPEN } from './admission.ts';
import { APPLIER_IDLE, type ApplierEffect, type ApplierInput, stepApplier } from './applier-machine.ts';
import type { ApplierCommand, ApplierOptions, ApplierReport, ApplierStatus } from './applier-messages.ts';
import { ApplierRun } from './applier-run.ts';
import { noneFiltered } from './filter-counters.ts';
import { NO_MATCHES } from './look-ahead.ts';
import type { RunCounters } from './run-counters.ts';
import { StuckWatch } from './stuck-watch.ts';

const NEEDED_FILE_MS = 1000;
const STUCK_LOOK_MS = 500;
/** Of a set that is logged: the beginning tells which one it is. */
const LOGGED_SET_MAX = 400;

class ApplierThread {
  /** With the settings as they are now: what the next life begins with. */
  #options: ApplierOptions;
  readonly #port: ThreadPort<ApplierCommand, ApplierReport>;
  readonly #log: Logger;
  readonly #counters: RunCounters = {
    transactionsApplied: 0,
    rowsApplied: 0,
    lastCommitMicros: null,
    lastAgeMs: null,
    lastAppliedAtMs: null,
    filtered: noneFiltered(),
  };
  #machine = APPLIER_IDLE;
  #kind: PositionKind | null = null;
  #run: ApplierRun | null = null;
  /** Of the last life, for a status in between. */
  #executed: string | null = null;
  #progressKind: 'gtid' | 'table' | null = null;
  #lastError: PlainError | null = null;
  #timer: NodeJS.Timeout | undefined;
  #neededFile = 0;
  /** An operator's request is being written down: a life that begins now begins with waiting for it. */
  #frozen = false;
  readonly #published: PublishedEnd;
  readonly #stuckWatch: StuckWatch;

  constructor(options: ApplierOptions, port: ThreadPort<ApplierCommand, ApplierReport>) {
    this.#options = options;
    this.#port = port;
    const say =
      (level: 'debug' | 'info' | 'warn' | 'error') =>
      (message: string, facts: Readonly<Record<string, unknown>> = {}): void =>
        port.post({ type: 'log', level, message, facts });
    this.#log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') };
    this.#published = new PublishedEnd(options.published);
    this.#stuckWatch = new StuckWatch(options.endpoint, systemClock);
    port.onMessage((command) => this.#onCommand(command));
    setInterval(() => this.#reportNeededFile(), NEEDED_FILE_MS).unref();
    setInterval(() => this.#stuckWatch.look(this.#run?.activity ?? []), STUCK_LOOK_MS).unref();
  }

  #onCommand(command: ApplierCommand): void {
    switch (command.type) {
      case 'start':
        this.#kind = command.kind;
        this.#step({ is: 'start' });
        return;
      case 'freeze': {
        this.#frozen = true;
        const lateness = this.#run?.freeze(command) ?? null;
        this.#port.post({ type: 'frozen', revision: command.revision, lateness });
        return;
      }
      case 'settings':
        this.#takeSettings(command);
        return;
      case 'clock':
        this.#options = { ...this.#options, sourceClock: command.clock };
        this.#run?.learnClock(command.clock);
        return;
      case 'status':
        this.#port.post({ type: 'status', id: command.id, status: this.#status() });
        return;
      case 'stop':
        this.#step({ is: 'stop' });
        return;
    }
  }

  #takeSettings({ revision, settings }: Extract<ApplierCommand, { type: 'settings' }>): void {
    this.#options = { ...this.#options, ...settings };
    this.#frozen = false;
    const taken = (): void => this.#port.post({ type: 'taken', revision });
    if (this.#run === null) taken();
    else this.#run.take(settings, taken);
  }

  #step(input: ApplierInput): void {
    const before = this.#machine.state;
    const [machine, effects] = stepApplier(this.#machine, input);
    this.#machine = machine;
    if (machine.state !== before) this.#port.post({ type: 'state', state: machine.state });
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: ApplierEffect): void {
    switch (effect.do) {
      case 'connect':
        void this.#live();
        return;
      case 'wait':
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#step({ is: 'due' }), effect.ms);
        return;
      case 'end-run':
        this.#run?.stop();
        return;
      case 'report-stopped':
        clearTimeout(this.#timer);
        this.#port.post({ type: 'stopped', cause: effect.cause });
        return;
    }
  }

  /** One life: connect, take over, apply, until it ends or fails. */
  async #live(): Promise<void> {
    assert(this.#kind !== null, 'started with the kind of the source');
    const run = new ApplierRun(this.#options, this.#kind, this.#counters, this.#log, {
      onControlExecuted: (ids) => this.#port.post({ type: 'control-executed', ...ids }),
      onGuardMatch: (match, dueInMs) => this.#port.post({ type: 'guard', match, dueInMs }),
    });
    this.#run = run;
    if (this.#frozen) run.freeze({ about: [], until: null });
    let error: PlainError | null = null;
    try {
      const executed = await run.start();
      this.#progressKind = run.progressKind;
      this.#port.post({ type: 'executed', executed: executed.toString() });
      const failures = this.#machine.attempts;
      this.#step({ is: 'connected', nowMs: systemClock.wallMs() });
      this.#log.info('applier connected', {
        progress: run.progressKind,
        executed: executed.toString().slice(0, LOGGED_SET_MAX),
      });
      if (failures > 0) this.#log.info('applier has recovered', { failures });
      await run.run();
    } catch (cause) {
      error = toPlain(cause);
    }
    this.#stuckWatch.close();
    await run.close().catch(() => {});
    this.#executed = run.executedText ?? this.#executed;
    this.#run = null;
    if (error === null || this.#machine.state.at === 'stopping') return this.#step({ is: 'ended' });
    this.#lastError = error;
    const ran = this.#machine.state.at === 'running';
    this.#step({ is: 'failed', error, nowMs: systemClock.wallMs(), random: Math.random() });
    this.#logFailure(error, ran);
  }

  /** Repeated failures are told once, and once more when they are over. Why it stops, the channel tells. */
  #logFailure({ code, message, hint, facts }: PlainError, ran: boolean): void {
    const { state, attempts } = this.#machine;
    if (state.at !== 'backing-off') return;
    const level = ran || attempts === 1 ? 'warn' : 'debug';
    this.#log[level]('applier lost the target, retrying', {
      attempt: attempts,
      code,
      cause: message,
      hint,
      ...facts,
    });
  }

  #reportNeededFile(): void {
    const needed = this.#run?.neededFile ?? 0;
    // Also when it went back: a target that was restored needs older files again.
    if (needed === 0 || needed === this.#neededFile) return;
    this.#neededFile = needed;
    this.#port.post({ type: 'needed-file', fileNumber: needed });
  }

  #status(): ApplierStatus {
    const run = this.#run;
    const { lastCommitMicros, filtered, ...counters } = this.#counters;
    return {
      takenAtMs: systemClock.monotonicMs(),
      state: this.#machine.state,
      lastError: this.#lastError,
      mode: 'binlog',
      progress: run?.progressKind ?? this.#progressKind,
      executed: run?.executedText ?? this.#executed,
      workers: this.#options.workers,
      ...counters,
      filtered: { ...filtered },
      caughtUpWithRelay: run?.caughtUpWithRelay ?? false,
      pendingCommitMicros: run?.pendingCommitMicros?.toString() ?? null,
      pendingAgeMs: run?.pendingAgeMs ?? null,
      lastCommitMicros: lastCommitMicros?.toString() ?? null,
      neededFile: run?.neededFile ?? this.#neededFile,
      appliedTo: run?.appliedTo ?? null,
      pendingBytes: this.#pendingBytes(),
      activity: run?.activity ?? [],
      stuck: this.#stuckWatch.stuck,
      gate: run?.gate ?? OPEN,
      untilReached: run?.untilReached ?? false,
      waiting: run?.waiting ?? null,
      inFlight: run?.inFlight ?? 0,
      guards: run?.guards ?? NO_MATCHES,
    };
  }

  #pendingBytes(): number | null {
    const from = this.#run?.appliedTo ?? null;
    const end = this.#published.read();
    return from === null || end.fileNumber === 0
      ? null
      : relayBytesBetween(this.#options.relayDir, from, end);
  }
}

assert(parentPort !== null, 'the applier runs in a worker thread');
new ApplierThread(threadOptions<ApplierOptions>(workerData, parentPort), new ThreadPort(parentPort));
