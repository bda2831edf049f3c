/**
 * When a delayed transaction may be applied: its commit on the source, plus the delay.
 */
import type { Clock } from '../base/runtime.ts';

export interface DueClock {
  /**
   * Milliseconds until a transaction that the source committed at `commitMicros` (source clock, µs since the epoch) may be
   * applied under this delay; 0: now, and always when the source does not tell (null).
   */
  dueInMs(commitMicros: bigint | null, delayMs: number): number;
}

/** By our own wall clock, as if it were the source's. */
export class WallDueClock implements DueClock {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  dueInMs(commitMicros: bigint | null, delayMs: number): number {
    if (commitMicros === null || delayMs === 0) return 0;
    const committedMs = Number((commitMicros + 999n) / 1000n);
    return Math.max(0, committedMs + delayMs - this.#clock.wallMs());
  }
}
