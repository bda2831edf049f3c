/**
 * What the channels were like in the last quarter of an hour, one sample a second: for the page's curves, for rates, for
 * the time that catching up will take. Bounded; plain data; the caller says what time it is.
 */

const SAMPLES_MAX = 900;
/** Rates are told over this span: short enough to follow, long enough not to jump. */
const RATE_MS = 10_000;
const DRAIN_MS = 60_000;
/** Over less than this no rate is told. */
const SPAN_MS_MIN = 2_000;
const DRAIN_MS_MIN = 5_000;

export interface TargetSample {
  readonly lagSeconds: number | null;
  /** Counted since the thread began: a smaller one is another thread's. */
  readonly transactions: number;
  readonly rows: number;
  /** From the source's head to what is applied, in bytes; null: not known. */
  readonly backlogBytes: number | null;
}

export interface ChannelSample {
  readonly monotonicMs: number;
  readonly wallMs: number;
  readonly receivedLagSeconds: number | null;
  readonly durableLagSeconds: number | null;
  readonly transactions: number;
  readonly bytes: number;
  /** In the order of the configuration. */
  readonly targets: readonly TargetSample[];
}

export interface Rates {
  /** Null: not known yet. */
  readonly transactions_per_second: number | null;
}

export class ChannelHistory {
  readonly #samples: ChannelSample[] = [];

  add(sample: ChannelSample): void {
    this.#samples.push(sample);
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  get samples(): readonly ChannelSample[] {
    return this.#samples;
  }

  get last(): ChannelSample | null {
    return this.#samples.at(-1) ?? null;
  }

  /** Per second, of a counter; null: not known. */
  rate(count: (sample: ChannelSample) => number | undefined): number | null {
    const recent = this.#since(RATE_MS);
    const first = recent[0];
    const last = recent.at(-1);
    if (first === undefined || last === undefined) return null;
    const ms = last.monotonicMs - first.monotonicMs;
    const [from, to] = [count(first), count(last)];
    if (ms < SPAN_MS_MIN || from === undefined || to === undefined || to < from) return null;
    return Math.round(((to - from) / ms) * 1_000_000) / 1000;
  }

  /** Bytes of backlog that went per second in the last minute, below 0 when it grew; null: not known. */
  drainRate(target: number): number | null {
    // A part of it that has only gone out of sight has not gone.
    if (this.last?.targets[target]?.backlogBytes == null) return null;
    const known = this.#since(DRAIN_MS).filter((sample) => sample.targets[target]?.backlogBytes != null);
    const first = known[0];
    const last = known.at(-1);
    if (first === undefined || last === undefined) return null;
    const ms = last.monotonicMs - first.monotonicMs;
    if (ms < DRAIN_MS_MIN) return null;
    return ((first.targets[target]!.backlogBytes! - last.targets[target]!.backlogBytes!) / ms) * 1000;
  }

  #since(spanMs: number): ChannelSample[] {
    const end = this.#samples.at(-1);
    if (end === undefined) return [];
    const from = this.#samples.findIndex((sample) => end.monotonicMs - sample.monotonicMs <= spanMs);
    return this.#samples.slice(from);
  }
}

/** As the page draws it: one column each. */
export interface HistoryColumns {
  readonly at: readonly number[];
  readonly received_lag: readonly (number | null)[];
  readonly durable_lag: readonly (number | null)[];
  readonly transactions: readonly number[];
  readonly bytes: readonly number[];
  readonly targets: readonly {
    readonly lag: readonly (number | null)[];
    readonly transactions: readonly number[];
  }[];
}

export function historyColumns(samples: readonly ChannelSample[], targets: number): HistoryColumns {
  return {
    at: samples.map(({ wallMs }) => Math.round(wallMs) / 1000),
    received_lag: samples.map(({ receivedLagSeconds }) => receivedLagSeconds),
    durable_lag: samples.map(({ durableLagSeconds }) => durableLagSeconds),
    transactions: samples.map(({ transactions }) => transactions),
    bytes: samples.map(({ bytes }) => bytes),
    targets: Array.from({ length: targets }, (_, index) => ({
      lag: samples.map((sample) => sample.targets[index]?.lagSeconds ?? null),
      transactions: samples.map((sample) => sample.targets[index]?.transactions ?? 0),
    })),
  };
}
