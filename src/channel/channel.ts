/**
 * One channel: runs the threads that channel-machine.ts decides on, and tells what they do.
 *
 * This is the shell around the machine: every report of a thread becomes an input, every effect a command. It decides
 * nothing itself. Thread: main.
 */
import type {
  ApplierCommand,
  ApplierReport,
  ApplierState,
  ApplierStatus,
  ExecutedIds,
  Lateness,
  LatenessQuestion,
} from '../applier/applier-messages.ts';
import { type PlainError, toPlain } from '../base/errors.ts';
import type { Clock, LogFacts, Logger } from '../base/runtime.ts';
import type { PositionKind } from '../binlog/position-set.ts';
import type { ChannelConfig } from '../config/config.ts';
import type { ReaderCommand, ReaderReport, ReaderState, ReaderStatus } from '../reader/reader-messages.ts';
import { PublishedEnd } from '../relay/published-end.ts';
import { discardRelayLog } from '../relay/relay-log-discard.ts';
import { NO_SOURCE_CLOCK, type SourceClockSnapshot } from '../relay/source-clock.ts';
import { stepChannel } from './channel-machine.ts';
import {
  type ChannelEffect,
  type ChannelInput,
  type ChannelMachine,
  newChannelMachine,
  type ThreadId,
} from './channel-state.ts';
import { type ChannelWishes, type TargetWishes, targetWishes } from './control-document.ts';
import { type DiskRoom, RoomWatch, tooLongADelay } from './disk-room.ts';
import { goneState, stateOf } from './gone-thread.ts';
import type { GuardAlarms } from './guard-alarms.ts';
import { withFacts } from './log.ts';
import { PendingAnswers } from './pending-answers.ts';
import { relayDirectory } from './relay-directory.ts';
import { lookBeforeStart } from './start-check.ts';
import type { ThreadEntries } from './thread-entries.ts';
import { ThreadHost } from './thread-host.ts';
import { applierOptions, applierSettings, readerOptions, type ThreadSurroundings } from './thread-options.ts';

const TICK_MS = 100;
const READER_IDLE: ReaderState = { at: 'idle', reason: 'the reader thread is starting' };
const CHECKING: ReaderState = {
  at: 'idle',
  reason: 'looking at the source and the targets before the start',
};
const STATUS_MS = 2_000;
/** New rules wait until what is in flight is committed: an applier may take its time to answer. */
const ANSWER_MS = 10_000;
/** A thread that does not finish what is in flight within this is ended by force. */
const STOP_GRACE_MS = 45_000;

export interface ChannelOptions {
  readonly config: ChannelConfig;
  readonly dataDir: string;
  /** The server_uuid of data_dir (identity.ts). */
  readonly identity: string;
  /** Names this Millrace to others on the same target. */
  readonly owner: string;
  readonly entries: ThreadEntries;
  readonly log: Logger;
  readonly clock: Clock;
  /** What operators have said about this channel: read whenever a thread has to be told. */
  readonly wishes: () => ChannelWishes;
  /** Transactions that operators have said something about are executed on a target. */
  readonly onExecuted: (target: string, ids: ExecutedIds) => void;
  readonly alarms: GuardAlarms;
}

export interface TargetSnapshot {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly workers: number;
  readonly state: ApplierState;
  /** The last one that was received. */
  readonly status: ApplierStatus | null;
  /** Whether `status` was received just now. */
  readonly fresh: boolean;
  /** As configured. */
  readonly delayMs: number;
  readonly wishes: TargetWishes;
  /** Alarms of its guards since this process began. */
  readonly alarms: number;
}

export interface ChannelSnapshot {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly machine: ChannelMachine;
  /** The source has sent something since this process began. */
  readonly everStreamed: boolean;
  readonly reader: {
    readonly state: ReaderState;
    readonly status: ReaderStatus | null;
    readonly fresh: boolean;
  };
  readonly targets: readonly TargetSnapshot[];
  /** Null: the disk cannot be looked at. */
  readonly room: DiskRoom | null;
}

type ApplierAnswer = Extract<ApplierReport, { readonly type: 'frozen' | 'taken' }>;
type ReaderHost = ThreadHost<ReaderCommand, ReaderReport, ReaderStatus>;
type ApplierHost = ThreadHost<ApplierCommand, ApplierReport, ApplierStatus>;

/** A thread's last words, kept while it is gone. */
interface Seen<State, Status> {
  state: State;
  status: Status | null;
}

export class Channel {
  readonly name: string;
  readonly relayDir: string;
  readonly #options: ChannelOptions;
  readonly #log: Logger;
  readonly #waitingForEnd: (() => void)[] = [];
  readonly #answers: readonly PendingAnswers<ApplierAnswer>[];
  #config: ChannelConfig;
  #published = PublishedEnd.create();
  #stopAsked = false;
  #machine: ChannelMachine;
  #reader: ReaderHost | null = null;
  #appliers: (ApplierHost | null)[];
  #readerSeen: Seen<ReaderState, ReaderStatus> = { state: READER_IDLE, status: null };
  #applierSeen: Seen<ApplierState, ApplierStatus>[];
  #everStreamed = false;
  #sourceClock: SourceClockSnapshot = NO_SOURCE_CLOCK;
  readonly #room: RoomWatch;
  readonly #leaving = new AbortController();
  #ticker: NodeJS.Timeout | null = null;

  constructor(options: ChannelOptions) {
    const { config } = options;
    this.name = config.name;
    this.relayDir = relayDirectory(options.dataDir, config.name);
    this.#options = options;
    this.#config = config;
    this.#answers = config.targets.map(() => new PendingAnswers<ApplierAnswer>());
    this.#log = withFacts(options.log, { channel: config.name });
    this.#room = new RoomWatch(options.dataDir, config.name, options.clock);
    this.#machine = newChannelMachine(config.targets.length);
    this.#appliers = config.targets.map(() => null);
    this.#applierSeen = config.targets.map(() => ({ state: { at: 'idle' }, status: null }));
  }

  start(): void {
    this.#room.begin(
      () => this.#longestDelayMs(),
      (line) => this.#log.warn('the disk is too small for the delay', { thread: 'main', cause: line }),
    );
    if (this.#config.preflight) void this.#startChecked();
    else this.#input({ type: 'start', refused: null });
  }

  async #startChecked(): Promise<void> {
    this.#readerSeen.state = CHECKING;
    const refused = await lookBeforeStart(
      { config: this.#config, identity: this.#options.identity, clock: this.#options.clock },
      this.relayDir,
      this.#log,
      this.#leaving.signal,
    );
    this.#readerSeen.state = READER_IDLE;
    this.#input({ type: 'start', refused });
  }

  /** Resolves when every thread has finished what is in flight and is gone. */
  stop(): Promise<void> {
    this.#stopAsked = true;
    this.#room.end();
    this.#leaving.abort();
    this.#input({ type: 'stop' });
    if (this.#machine.state.at === 'stopped') return Promise.resolve();
    return new Promise((resolve) => this.#waitingForEnd.push(resolve));
  }

  get config(): ChannelConfig {
    return this.#config;
  }

  /** How the source names its transactions; null: not known yet. */
  get kind(): PositionKind | null {
    return this.#machine.kind;
  }

  /** For looking at the relay log from this thread. */
  get published(): PublishedEnd {
    return this.#published;
  }

  /** What the target is known to have, as text: a lower bound. */
  executedText(target: number): string | null {
    return this.#applierSeen[target]?.status?.executed ?? this.#machine.targets[target]?.executed ?? null;
  }

  /** Asks the applier; null when it does not answer or does not live. */
  async applierStatus(target: number): Promise<ApplierStatus | null> {
    const status = (await this.#appliers[target]?.status(STATUS_MS)) ?? null;
    const seen = this.#applierSeen[target]!;
    if (status !== null) Object.assign(seen, { state: stateOf(seen.state, status.state), status });
    return status;
  }

  /** The relay log is being fetched again. */
  get resyncing(): boolean {
    return this.#machine.resyncCause !== null;
  }

  targetLives(target: number): boolean {
    return this.#machine.targets[target]?.life === 'live';
  }

  /** It is down until an operator acts. */
  targetStopped(target: number): boolean {
    return this.#machine.targets[target]?.stopCause !== null;
  }

  // ---- what operators want

  /**
   * Nothing new starts on the target until `govern`, and its applier says what comes too late. Null: no applier is connected, or it
   * does not answer in time, and nobody can tell.
   */
  async freeze(target: number, question: LatenessQuestion): Promise<Lateness | null> {
    const answer = await this.#ask(target, (revision) => ({ type: 'freeze', revision, ...question }));
    return answer?.type === 'frozen' ? answer.lateness : null;
  }

  /**
   * Hands the wishes as they are now to a target's applier. False: none lives, or it does not answer in time; it obeys when it
   * does.
   */
  async govern(target: number): Promise<boolean> {
    const config = this.#config.targets[target]!;
    const settings = applierSettings(config, this.wishesOf(config.name));
    const answer = await this.#ask(target, (revision) => ({ type: 'settings', revision, settings }));
    return answer !== null;
  }

  #ask(target: number, command: (revision: number) => ApplierCommand): Promise<ApplierAnswer | null> {
    const host = this.#appliers[target] ?? null;
    if (host === null) return Promise.resolve(null);
    return this.#answers[target]!.ask((revision) => host.post(command(revision)), ANSWER_MS);
  }

  /** Does to the reader what the wishes say now. */
  governReader(): void {
    this.#reader?.post({ type: this.#options.wishes().readerPaused ? 'pause' : 'resume' });
  }

  /** A thread that is down until an operator acts is started again. */
  resume(thread: ThreadId): void {
    if (!this.#stopAsked) this.#input({ type: 'resume', thread });
  }

  /** The same channel with other settings, of the kind that may change while it runs. */
  reconfigure(config: ChannelConfig): Promise<readonly boolean[]> {
    this.#config = config;
    this.#reader?.post({ type: 'retention', ms: config.relayLog.retentionMs });
    return Promise.all(config.targets.map((_, index) => this.govern(index)));
  }

  wishesOf(target: string): TargetWishes {
    return targetWishes([this.#options.wishes()], this.name, target);
  }

  /** The source has sent something since this process began. */
  get everStreamed(): boolean {
    return this.#everStreamed;
  }

  /** The reader is down until an operator acts, or the whole channel is. */
  get readerStopped(): boolean {
    return this.#machine.state.at === 'stopped' || this.#machine.reader.stopCause !== null;
  }

  /** Asks every thread how it is; what does not answer in time is told by its last words. */
  async snapshot(): Promise<ChannelSnapshot> {
    const config = this.#config;
    const [readerStatus, ...applierStatus] = await Promise.all([
      this.#reader?.status(STATUS_MS) ?? null,
      ...this.#appliers.map((_, index) => this.applierStatus(index)),
    ]);
    const { state: last } = this.#readerSeen;
    if (readerStatus) this.#readerSeen = { state: stateOf(last, readerStatus.state), status: readerStatus };
    const { clock } = this.#options;
    const targets = config.targets.map((target, index): TargetSnapshot => {
      const status = applierStatus[index] ?? null;
      const seen = this.#applierSeen[index]!;
      return {
        name: target.name,
        host: target.endpoint.host,
        port: target.endpoint.port,
        workers: target.workers,
        state: goneState(this.#machine.targets[index]!, seen.state, clock) ?? seen.state,
        status: seen.status,
        fresh: status !== null,
        delayMs: target.delayMs,
        wishes: this.wishesOf(target.name),
        alarms: this.#options.alarms.count(this.name, target.name),
      };
    });
    return {
      name: config.name,
      host: config.source.endpoint.host,
      port: config.source.endpoint.port,
      machine: this.#machine,
      everStreamed: this.#everStreamed,
      reader: {
        state: goneState(this.#machine.reader, this.#readerSeen.state, clock) ?? this.#readerSeen.state,
        status: this.#readerSeen.status,
        fresh: readerStatus !== null,
      },
      targets,
      room: this.#room.room,
    };
  }

  /** A delay that the disk has no room for, in one line; null: it has, or nobody knows. */
  tooLong(delayMs: number): string | null {
    return tooLongADelay(this.#room.room, delayMs);
  }

  #longestDelayMs(): number {
    const delays = this.#config.targets.map(({ name, delayMs }) => this.wishesOf(name).delayMs ?? delayMs);
    return Math.max(0, ...delays);
  }

  #input(input: ChannelInput): void {
    const before = this.#machine.state.at;
    try {
      this.#step(input);
    } catch (error) {
      const cause = toPlain(error);
      this.#log.error('channel cannot go on', { code: cause.code, cause: cause.message, hint: cause.hint });
      this.#step({ type: 'fault', cause });
    }
    const after = this.#machine.state.at;
    if (before === after) return;
    this.#log.info('channel state', { thread: 'main', from: before, to: after });
    if (after === 'stopped') {
      if (this.#ticker !== null) clearInterval(this.#ticker);
      this.#ticker = null;
      for (const resolve of this.#waitingForEnd.splice(0)) resolve();
    } else {
      this.#ticker ??= setInterval(() => this.#input({ type: 'tick' }), TICK_MS);
    }
  }

  #step(input: ChannelInput): void {
    const [next, effects] = stepChannel(this.#machine, input, this.#options.clock.monotonicMs());
    this.#machine = next;
    for (const effect of effects) this.#run(effect);
  }

  #run(effect: ChannelEffect): void {
    switch (effect.do) {
      case 'spawn':
        if (effect.thread === 'reader') this.#spawnReader();
        else this.#spawnApplier(effect.thread);
        break;
      case 'start-reader':
        this.#reader?.post({ type: 'start', executed: effect.executed, reset: false });
        break;
      case 'start-applier':
        this.#appliers[effect.target]?.post({ type: 'start', kind: effect.kind });
        break;
      case 'discard-relay-log':
        this.#discardRelayLog();
        break;
      case 'stop':
        if (effect.thread === 'reader') this.#reader?.stop({ type: 'stop' }, STOP_GRACE_MS);
        else this.#appliers[effect.thread]?.stop({ type: 'stop' }, STOP_GRACE_MS);
        break;
      case 'release-files':
        this.#reader?.post({ type: 'applied-up-to', fileNumber: effect.below });
        break;
      case 'log':
        this.#log[effect.level](effect.message, this.#logFacts(effect.thread, effect.cause));
        break;
    }
  }

  #logFacts(thread: ThreadId | null, cause: PlainError | null): LogFacts {
    const whose =
      typeof thread === 'number'
        ? { thread: 'applier', target: this.#config.targets[thread]!.name }
        : { thread: thread ?? 'main' };
    if (cause === null) return whose;
    return { ...whose, code: cause.code, cause: cause.message, hint: cause.hint, ...cause.facts };
  }

  #spawnReader(): void {
    const { entries } = this.#options;
    const config = this.#config;
    const log = withFacts(this.#log, { thread: 'reader' });
    this.#readerSeen.state = READER_IDLE;
    this.#reader = new ThreadHost({
      entry: entries.reader,
      name: `${config.name}/reader`,
      workerData: readerOptions(config, this.#options.wishes(), this.#surroundings()),
      spares: entries.spares,
      onReport: (report) => {
        if (report.type === 'log') log[report.level](report.message, report.facts);
        else if (report.type === 'state') this.#readerIs(report.state);
        else if (report.type === 'source') this.#input(report);
        else if (report.type === 'clock') this.#learnClock(report.clock);
      },
      onEnded: (cause, died) => {
        this.#reader = null;
        this.#readerSeen.state = { at: 'stopped', cause };
        this.#input({ type: 'ended', thread: 'reader', cause, died });
      },
    });
  }

  #learnClock(clock: SourceClockSnapshot): void {
    this.#sourceClock = clock;
    for (const applier of this.#appliers) applier?.post({ type: 'clock', clock });
  }

  #readerIs(state: ReaderState): void {
    this.#readerSeen.state = stateOf(this.#readerSeen.state, state);
    if (state.at !== 'streaming') return;
    this.#everStreamed = true;
    this.#input({ type: 'reader-streaming' });
  }

  /** Without a thread there is nobody who could hold the old end: a new one begins at nothing. */
  #discardRelayLog(): void {
    const removed = discardRelayLog(this.relayDir);
    this.#published = PublishedEnd.create();
    this.#log.info('relay log thrown away', { thread: 'main', removed });
  }

  #spawnApplier(index: number): void {
    const { entries, onExecuted } = this.#options;
    const config = this.#config;
    const target = config.targets[index]!;
    const answers = this.#answers[index]!;
    const log = withFacts(this.#log, { thread: 'applier', target: target.name });
    const seen = this.#applierSeen[index]!;
    seen.state = { at: 'idle' };
    const host: ApplierHost = new ThreadHost({
      entry: entries.applier,
      name: `${config.name}/${target.name}`,
      workerData: applierOptions(config, target, this.wishesOf(target.name), this.#surroundings()),
      spares: entries.spares,
      onReport: (report) => {
        if (report.type === 'log') log[report.level](report.message, report.facts);
        else if (report.type === 'state') seen.state = stateOf(seen.state, report.state);
        else if (report.type === 'executed') {
          this.#input({ type: 'executed', target: index, executed: report.executed });
        } else if (report.type === 'needed-file') {
          this.#input({ type: 'needed-file', target: index, fileNumber: report.fileNumber });
        } else if (report.type === 'taken' || report.type === 'frozen') answers.answered(report);
        else if (report.type === 'control-executed') onExecuted(target.name, report);
        else if (report.type === 'guard') this.#raise(index, report);
      },
      onEnded: (cause, died) => {
        this.#appliers[index] = null;
        answers.giveUp();
        seen.state = { at: 'stopped', cause };
        this.#input({ type: 'ended', thread: index, cause, died });
      },
    });
    this.#appliers[index] = host;
  }

  #raise(index: number, { match, dueInMs }: Extract<ApplierReport, { type: 'guard' }>): void {
    const { name, guards } = this.#config.targets[index]!;
    const { onGuard, webhook } = guards;
    this.#options.alarms.raise({ channel: this.name, target: name, match, dueInMs, onGuard, webhook });
  }

  #surroundings(): ThreadSurroundings {
    const { identity, owner } = this.#options;
    return {
      relayDir: this.relayDir,
      published: this.#published.buffer,
      identity,
      owner,
      sourceClock: this.#sourceClock,
    };
  }
}
