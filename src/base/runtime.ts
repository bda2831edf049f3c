/**
 * The world, injected: time, waiting, logging. Nothing above reads a clock or writes a log by other means, so that
 * state machines stay pure and tests decide what time it is.
 */

export interface Clock {
  /** Wall time, milliseconds since the epoch: for timestamps that people and servers compare. May step. */
  wallMs(): number;
  /**
   * Monotonic milliseconds: for every duration and time-out. The same count in every thread and process of the machine until it
   * boots (see monotonic-era.ts); steps of the wall clock do not touch it.
   */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => {
    // Not performance.now(): every thread counts that from its own beginning.
    const [seconds, nanos] = process.hrtime();
    return seconds * 1000 + nanos / 1e6;
  },
};

export type LogFacts = Readonly<Record<string, unknown>>;

/** info: state transitions, rotations, recoveries; warn: an anomaly that is handled; error: an operator must act. */
export interface Logger {
  debug(message: string, facts?: LogFacts): void;
  info(message: string, facts?: LogFacts): void;
  warn(message: string, facts?: LogFacts): void;
  error(message: string, facts?: LogFacts): void;
}

export const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** A timer longer than this fires at once in Node (the delay is kept in a signed 32-bit integer). */
export const TIMER_MS_MAX = 2 ** 31 - 1;

/** Resolves after `ms`, or at once when `signal` aborts (never rejects: the caller looks at the signal). */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, Math.min(Math.max(ms, 0), TIMER_MS_MAX));
    signal?.addEventListener('abort', done, { once: true });
  });
}

/** Back-off with full jitter above half: attempt 1 waits about `baseMs`, doubling up to `maxMs`. */
export function backoffMs(attempt: number, random: number, baseMs = 500, maxMs = 30_000): number {
  const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(attempt - 1, 16));
  return Math.round(ceiling * (0.5 + random / 2));
}
