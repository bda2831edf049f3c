/**
 * Looks at the channels, remembers what one look does not tell, and answers everybody who asks from one and the same look.
 *
 * However many ask, and however often, the threads are asked at most every FRESH_MS (and less often when an answer is
 * expensive): a status page, a scrape and a health check must never be felt by replication. Once a second it looks by itself,
 * for curves, rates and the watchdog. Thread: main.
 */
import { type Clock, type Logger, TIMER_MS_MAX } from '../base/runtime.ts';
import type { ChannelSnapshot } from '../channel/channel.ts';
import { lagFacts, type ProvenUpTo, provenUpTo, readerLags } from './freshness.ts';
import { ChannelHistory, type HistoryColumns, historyColumns } from './history.ts';
import { lagSeconds } from './lag.ts';
import type { RecentEvents } from './recent-events.ts';
import { composeStatus, type Status } from './status.ts';
import { type Alarm, NOTHING_WATCHED, type WatchdogMemory, watch } from './watchdog.ts';

const FRESH_MS = 250;
/** Answering may take this part of the main thread's time at most. */
const SHARE = 10;
const SAMPLE_MS = 1_000;

export interface ObserverOptions {
  readonly look: () => Promise<readonly ChannelSnapshot[]>;
  readonly version: string;
  readonly startedWallMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly recent: RecentEvents;
}

/** One look, as everybody gets it until it is no longer fresh. */
export interface Observation {
  readonly status: Status;
  /** `status` as JSON, made once. */
  readonly json: Buffer;
  readonly takenMs: number;
  readonly freshMs: number;
}

interface Remembered {
  readonly history: ChannelHistory;
  watchdog: WatchdogMemory;
  alarms: readonly Alarm[];
  proven: readonly (ProvenUpTo | null)[];
}

export class Observer {
  readonly #options: ObserverOptions;
  readonly #channels = new Map<string, Remembered>();
  #last: Observation | null = null;
  #looking: Promise<Observation> | null = null;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ObserverOptions) {
    this.#options = options;
  }

  start(): void {
    this.#sampleLater(SAMPLE_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Rejects only with a fault of ours. */
  observe(): Promise<Observation> {
    const last = this.#last;
    const nowMs = this.#options.clock.monotonicMs();
    if (last !== null && nowMs - last.takenMs < last.freshMs) return Promise.resolve(last);
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async status(): Promise<Status> {
    return (await this.observe()).status;
  }

  /** Null: there is no such channel. */
  history(channel: string): HistoryColumns | null {
    const samples = this.#channels.get(channel)?.history.samples;
    return samples === undefined ? null : historyColumns(samples, samples.at(-1)?.targets.length ?? 0);
  }

  /** The status of what was seen just now. */
  compose(snapshots: readonly ChannelSnapshot[]): Status {
    const { clock, version, startedWallMs, recent } = this.#options;
    const nowMs = clock.monotonicMs();
    const nowWallMs = clock.wallMs();
    for (const snapshot of snapshots) this.#remember(snapshot, nowMs, nowWallMs);
    return composeStatus(
      snapshots,
      { version, pid: process.pid, startedWallMs, nowWallMs, nowMs },
      { recent: recent.newestFirst, channels: this.#channels },
    );
  }

  async #look(): Promise<Observation> {
    const { clock } = this.#options;
    const snapshots = await this.#options.look();
    const takenMs = clock.monotonicMs();
    const status = this.compose(snapshots);
    const json = Buffer.from(JSON.stringify(status));
    const costMs = clock.monotonicMs() - takenMs;
    const freshMs = Math.max(FRESH_MS, SHARE * costMs);
    this.#last = { status, json, takenMs, freshMs };
    return this.#last;
  }

  #remember(snapshot: ChannelSnapshot, nowMs: number, nowWallMs: number): void {
    const known = this.#channels.get(snapshot.name);
    const remembered = known ?? newlyRemembered();
    if (known === undefined) this.#channels.set(snapshot.name, remembered);
    const last = remembered.history.last;
    if (last === null || nowMs - last.monotonicMs >= SAMPLE_MS * 0.9) {
      remembered.history.add(sampleOf(snapshot, nowMs, nowWallMs));
    }
    remembered.proven = snapshot.targets.map((target, index) => {
      return provenUpTo(remembered.proven[index] ?? null, snapshot, target, nowMs);
    });
    const { memory, alarms } = watch(remembered.watchdog, snapshot, nowMs);
    this.#tellAlarms(snapshot.name, remembered.alarms, alarms);
    remembered.watchdog = memory;
    remembered.alarms = alarms;
  }

  /** Each alarm once when it begins, once when it is over. */
  #tellAlarms(channel: string, before: readonly Alarm[], now: readonly Alarm[]): void {
    const { log } = this.#options;
    const isIn = (alarms: readonly Alarm[], { kind, target }: Alarm): boolean =>
      alarms.some((other) => other.kind === kind && other.target === target);
    for (const alarm of now) {
      if (isIn(before, alarm)) continue;
      log.warn('alarm', { channel, thread: 'main', ...facts(alarm), cause: alarm.text });
    }
    for (const alarm of before) {
      if (!isIn(now, alarm)) log.info('alarm is over', { channel, thread: 'main', ...facts(alarm) });
    }
  }

  #sampleLater(ms: number): void {
    this.#timer = setTimeout(() => void this.#sample(), Math.min(ms, TIMER_MS_MAX));
    this.#timer.unref();
  }

  async #sample(): Promise<void> {
    try {
      const { freshMs } = await this.observe();
      if (this.#timer !== undefined) this.#sampleLater(Math.max(SAMPLE_MS, freshMs));
    } catch (error) {
      this.#options.log.error('the channels cannot be looked at', { thread: 'main', cause: String(error) });
      if (this.#timer !== undefined) this.#sampleLater(10 * SAMPLE_MS);
    }
  }
}

function newlyRemembered(): Remembered {
  return { history: new ChannelHistory(), watchdog: NOTHING_WATCHED, alarms: [], proven: [] };
}

function facts({ kind, target }: Alarm): Record<string, string> {
  return target === null ? { alarm: kind } : { alarm: kind, target };
}

function sampleOf(snapshot: ChannelSnapshot, monotonicMs: number, wallMs: number) {
  const { status } = snapshot.reader;
  const lags = readerLags(snapshot, monotonicMs);
  return {
    monotonicMs,
    wallMs,
    receivedLagSeconds: lags.received.seconds,
    durableLagSeconds: lags.durable.seconds,
    transactions: status?.transactionsReceived ?? 0,
    bytes: status?.bytesReceived ?? 0,
    targets: snapshot.targets.map((target) => {
      const known = lagFacts(snapshot, target, monotonicMs);
      // What goes out of sight is not done: no rate can be told across that.
      const ahead = snapshot.reader.fresh ? (status?.head?.bytesAhead ?? null) : null;
      const pending = target.fresh ? (target.status?.pendingBytes ?? null) : null;
      return {
        lagSeconds: known === null ? null : lagSeconds(known, monotonicMs),
        transactions: target.status?.transactionsApplied ?? 0,
        rows: target.status?.rowsApplied ?? 0,
        backlogBytes: pending === null || ahead === null ? null : pending + ahead,
      };
    }),
  };
}
