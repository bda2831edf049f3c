/**
 * One channel: runs the threads that channel-machine.ts decides on, and tells what they do.
 *
 * This is the shell around the machine: every report of a thread becomes an input, every effect a command. It decides
 * nothing itself. Thread: main.
 */
import type {
  ApplierCommand,
  ApplierOptions,
  ApplierReport,
  ApplierState,
  ApplierStatus,
} from '../applier/applier-messages.ts';
import { NO_CONTROL } from '../applier/target-control.ts';
import { type PlainError, toPlain } from '../base/errors.ts';
import type { Clock, LogFacts, Logger } from '../base/runtime.ts';
import type { ChannelConfig, StartConfig, TargetConfig } from '../config/config.ts';
import type {
  ReaderCommand,
  ReaderOptions,
  ReaderReport,
  ReaderState,
  ReaderStatus,
} from '../reader/reader-messages.ts';
import { PublishedEnd } from '../relay/published-end.ts';
import { discardRelayLog } from '../relay/relay-log-discard.ts';
import { stepChannel } from './channel-machine.ts';
import {
  type ChannelEffect,
  type ChannelInput,
  type ChannelMachine,
  newChannelMachine,
  type ThreadId,
  type ThreadSlot,
} from './channel-state.ts';
import { endpointOptions } from './endpoint-options.ts';
import { channelUuid } from './identity.ts';
import { withFacts } from './log.ts';
import { relayDirectory } from './relay-directory.ts';
import { lookBeforeStart } from './start-check.ts';
import { ThreadHost, threadEntry } from './thread-host.ts';

const TICK_MS = 100;
const READER_IDLE: ReaderState = { at: 'idle', reason: 'the reader thread is starting' };
const CHECKING: ReaderState = {
  at: 'idle',
  reason: 'looking at the source and the targets before the start',
};
const STATUS_MS = 2_000;
/** A thread that does not finish what is in flight within this is ended by force. */
const STOP_GRACE_MS = 45_000;

/** What runs as reader and applier; tests put other files there. */
export interface ThreadEntries {
  readonly reader: URL;
  readonly applier: URL;
}

export function builtThreadEntries(): ThreadEntries {
  return {
    reader: threadEntry('../reader/reader-thread'),
    applier: threadEntry('../applier/applier-thread'),
  };
}

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
}

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
  #published = PublishedEnd.create();
  readonly #ended: Promise<void>;
  #resolveEnded: () => void = () => {};
  #machine: ChannelMachine;
  #reader: ReaderHost | null = null;
  #appliers: (ApplierHost | null)[];
  #readerSeen: Seen<ReaderState, ReaderStatus> = { state: READER_IDLE, status: null };
  #applierSeen: Seen<ApplierState, ApplierStatus>[];
  #everStreamed = false;
  readonly #leaving = new AbortController();
  #ticker: NodeJS.Timeout | null = null;

  constructor(options: ChannelOptions) {
    const { config } = options;
    this.name = config.name;
    this.relayDir = relayDirectory(options.dataDir, config.name);
    this.#options = options;
    this.#log = withFacts(options.log, { channel: config.name });
    this.#machine = newChannelMachine(config.targets.length);
    this.#appliers = config.targets.map(() => null);
    this.#applierSeen = config.targets.map(() => ({ state: { at: 'idle' }, status: null }));
    this.#ended = new Promise((resolve) => {
      this.#resolveEnded = resolve;
    });
  }

  start(): void {
    this.#ticker = setInterval(() => this.#input({ type: 'tick' }), TICK_MS);
    if (this.#options.config.preflight) void this.#startChecked();
    else this.#input({ type: 'start', refused: null });
  }

  async #startChecked(): Promise<void> {
    this.#readerSeen.state = CHECKING;
    const refused = await lookBeforeStart(this.#options, this.relayDir, this.#log, this.#leaving.signal);
    this.#readerSeen.state = READER_IDLE;
    this.#input({ type: 'start', refused });
  }

  /** Resolves when every thread has finished what is in flight and is gone. */
  stop(): Promise<void> {
    this.#leaving.abort();
    this.#input({ type: 'stop' });
    return this.#ended;
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
    const { config } = this.#options;
    const [readerStatus, ...applierStatus] = await Promise.all([
      this.#reader?.status(STATUS_MS) ?? null,
      ...this.#appliers.map((host) => host?.status(STATUS_MS) ?? null),
    ]);
    if (readerStatus) this.#readerSeen = { state: readerStatus.state, status: readerStatus };
    const targets = config.targets.map((target, index): TargetSnapshot => {
      const status = applierStatus[index] ?? null;
      const seen = this.#applierSeen[index]!;
      if (status !== null) Object.assign(seen, { state: status.state, status });
      return {
        name: target.name,
        host: target.endpoint.host,
        port: target.endpoint.port,
        workers: target.workers,
        state: this.#whileGone(this.#machine.targets[index]!, causeOf(seen.state)) ?? seen.state,
        status: seen.status,
        fresh: status !== null,
      };
    });
    return {
      name: config.name,
      host: config.source.endpoint.host,
      port: config.source.endpoint.port,
      machine: this.#machine,
      everStreamed: this.#everStreamed,
      reader: {
        state:
          this.#whileGone(this.#machine.reader, causeOf(this.#readerSeen.state)) ?? this.#readerSeen.state,
        status: this.#readerSeen.status,
        fresh: readerStatus !== null,
      },
      targets,
    };
  }

  /** What a thread that is gone is doing: nothing until an operator acts, or waiting for its next start. */
  #whileGone(slot: ThreadSlot, last: PlainError | null): GoneState | null {
    if (slot.stopCause !== null) return { at: 'stopped', cause: slot.stopCause };
    if (slot.restartAtMs === null) return null;
    const { clock } = this.#options;
    const untilMs = clock.wallMs() + slot.restartAtMs - clock.monotonicMs();
    return { at: 'backing-off', attempt: slot.failures.length, untilMs, cause: last ?? INTERNAL_FAULT };
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
    if (before !== after) this.#log.info('channel state', { thread: 'main', from: before, to: after });
    if (after === 'stopped' && before !== 'stopped') {
      if (this.#ticker !== null) clearInterval(this.#ticker);
      this.#resolveEnded();
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
        ? { thread: 'applier', target: this.#options.config.targets[thread]!.name }
        : { thread: thread ?? 'main' };
    if (cause === null) return whose;
    return { ...whose, code: cause.code, cause: cause.message, hint: cause.hint, ...cause.facts };
  }

  #spawnReader(): void {
    const { config, entries } = this.#options;
    const log = withFacts(this.#log, { thread: 'reader' });
    this.#readerSeen.state = READER_IDLE;
    this.#reader = new ThreadHost({
      entry: entries.reader,
      name: `${config.name}/reader`,
      workerData: this.#readerOptions(),
      onReport: (report) => {
        if (report.type === 'log') log[report.level](report.message, report.facts);
        else if (report.type === 'state') this.#readerIs(report.state);
        else if (report.type === 'source') this.#input(report);
      },
      onEnded: (cause, died) => {
        this.#reader = null;
        this.#readerSeen.state = { at: 'stopped', cause };
        this.#input({ type: 'ended', thread: 'reader', cause, died });
      },
    });
  }

  #readerIs(state: ReaderState): void {
    this.#readerSeen.state = state;
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
    const { config, entries } = this.#options;
    const target = config.targets[index]!;
    const log = withFacts(this.#log, { thread: 'applier', target: target.name });
    const seen = this.#applierSeen[index]!;
    seen.state = { at: 'idle' };
    const host: ApplierHost = new ThreadHost({
      entry: entries.applier,
      name: `${config.name}/${target.name}`,
      workerData: this.#applierOptions(target),
      onReport: (report) => {
        if (report.type === 'log') log[report.level](report.message, report.facts);
        else if (report.type === 'state') seen.state = report.state;
        else if (report.type === 'executed') {
          this.#input({ type: 'executed', target: index, executed: report.executed });
        } else if (report.type === 'needed-file') {
          this.#input({ type: 'needed-file', target: index, fileNumber: report.fileNumber });
        }
      },
      onEnded: (cause, died) => {
        this.#appliers[index] = null;
        seen.state = { at: 'stopped', cause };
        this.#input({ type: 'ended', thread: index, cause, died });
      },
    });
    this.#appliers[index] = host;
  }

  #readerOptions(): ReaderOptions {
    const { source, relayLog, name } = this.#options.config;
    return {
      channel: name,
      endpoint: endpointOptions(source.endpoint),
      serverId: source.serverId,
      replicaUuid: channelUuid(this.#options.identity, name),
      start: source.start,
      heartbeatMs: source.heartbeatMs,
      relayDir: this.relayDir,
      maxFileSize: relayLog.maxFileSize,
      syncMs: relayLog.syncMs,
      retentionMs: relayLog.retentionMs,
      published: this.#published.buffer,
    };
  }

  #applierOptions(target: TargetConfig): ApplierOptions {
    return {
      channel: this.name,
      target: target.name,
      endpoint: endpointOptions(target.endpoint),
      mode: target.mode,
      progress: target.progress,
      workers: target.workers,
      commitOrder: target.commitOrder,
      startAt: startText(this.#options.config.source.start),
      relayDir: this.relayDir,
      published: this.#published.buffer,
      owner: this.#options.owner,
      delayMs: target.delayMs,
      rules: target.rules,
      guards: target.guards,
      control: NO_CONTROL,
    };
  }
}

type GoneState = Extract<ReaderState & ApplierState, { at: 'stopped' | 'backing-off' }>;

const INTERNAL_FAULT: PlainError = {
  code: 'INTERNAL',
  action: 'stop',
  message: 'the thread ended by itself',
  hint: null,
  facts: {},
};

function causeOf(state: ReaderState | ApplierState): PlainError | null {
  return state.at === 'stopped' || state.at === 'backing-off' ? state.cause : null;
}

/** As the text of a position set; null: nothing is given. */
function startText(start: StartConfig): string | null {
  if (start.at === 'auto') return null;
  return start.at === 'gtid_set' ? start.gtidSet : `${start.file}:${start.position}`;
}
