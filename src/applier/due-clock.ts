/**
 * When a delayed transaction may be applied: its commit on the source, in our monotonic time (relay/source-clock.ts), plus
 * the delay. Never early: where the commit cannot be told, the time counts that it surely was over by.
 *
 *   in a span                     min(committedBy, timestamp − offset)
 *   behind the last span          it has just come, and is told by the next look at the source's clock; until then it counts from
 *                                 when it was seen here in the published log
 *   not before what stands before it in the log
 *
 * Memory: a snapshot of at most SPANS_MAX spans, one mark of our own. Thread: applier.
 */
import type { Clock } from '../base/runtime.ts';
import type { RelayPosition } from '../relay/published-end.ts';
import {
  type ClockSpan,
  isBefore,
  NO_SOURCE_CLOCK,
  type SourceClockSnapshot,
} from '../relay/source-clock.ts';

/** What is known of a transaction's commit. */
export interface Dated {
  /** Where it begins in the relay log. */
  readonly location: RelayPosition;
  /** Commit time by the source's clock, µs since the epoch; null: the source does not tell. */
  readonly commitMicros: bigint | null;
  /** It is the time of the commit itself; else of its statement's begin, in whole seconds. */
  readonly commitIsExact: boolean;
}

export interface DueClock {
  /** Milliseconds until a transaction may be applied under this delay; 0: now. */
  dueInMs(dated: Dated, delayMs: number): number;
}

/** By what the reader has learned about the source's clock. */
export class SourceDueClock implements DueClock {
  readonly #clock: Clock;
  readonly #published: () => RelayPosition;
  #known: SourceClockSnapshot = NO_SOURCE_CLOCK;
  /** What was published at `atMs`, seen when something behind the last span was asked for. */
  #seen: { readonly end: RelayPosition; readonly atMs: number } | null = null;
  /** The last one that was due: what stands behind it was not committed before it. */
  #last: { readonly location: RelayPosition; readonly committedMs: number } | null = null;

  constructor(clock: Clock, published: () => RelayPosition) {
    this.#clock = clock;
    this.#published = published;
  }

  learn(snapshot: SourceClockSnapshot): void {
    this.#known = snapshot;
  }

  /** Nothing has been learned, or only provisionally: what waits may be late. */
  get blind(): boolean {
    return this.#known.reading === null || this.#known.provisional;
  }

  dueInMs(dated: Dated, delayMs: number): number {
    if (delayMs === 0) return 0;
    const nowMs = this.#clock.monotonicMs();
    const told = this.#told(dated) ?? this.#seenBy(dated.location, nowMs);
    const committedMs = this.#notBeforeLast(dated.location, told);
    const dueInMs = committedMs + delayMs - nowMs;
    if (dueInMs > 0) return dueInMs;
    this.#last = { location: dated.location, committedMs };
    return 0;
  }

  /**
   * How long ago it was committed: for people. Null: the source's clock is not known, was just set to another time, or says what
   * cannot be. What is only known to be over by some time would make a lag look shorter than it is.
   */
  ageMs(dated: Dated): number | null {
    const nowMs = this.#clock.monotonicMs();
    const span = this.#spanOf(dated.location);
    if (span?.sure === false) return null;
    const told = span === null ? this.#byNewest(dated) : this.#told(dated);
    return told === null || told > nowMs ? null : nowMs - told;
  }

  /** Null: it stands behind the last span. */
  #told(dated: Dated): number | null {
    const span = this.#spanOf(dated.location);
    if (span === null) return null;
    const { offsetMs, committedByMs } = span;
    if (offsetMs === null || dated.commitMicros === null) return committedByMs;
    return Math.min(committedByMs, latestMs(dated.commitMicros, dated.commitIsExact) - offsetMs);
  }

  #byNewest({ commitMicros, commitIsExact }: Dated): number | null {
    const { reading, provisional } = this.#known;
    if (reading === null || provisional || commitMicros === null) return null;
    return latestMs(commitMicros, commitIsExact) - reading.highMs;
  }

  #spanOf(location: RelayPosition): ClockSpan | null {
    const { spans } = this.#known;
    let low = 0;
    let high = spans.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isBefore(location, spans[middle]!.end)) high = middle;
      else low = middle + 1;
    }
    return spans[low] ?? null;
  }

  #seenBy(location: RelayPosition, nowMs: number): number {
    if (this.#seen === null || !isBefore(location, this.#seen.end)) {
      this.#seen = { end: this.#published(), atMs: nowMs };
    }
    return this.#seen.atMs;
  }

  #notBeforeLast(location: RelayPosition, committedMs: number): number {
    const last = this.#last;
    return last !== null && isBefore(last.location, location)
      ? Math.max(committedMs, last.committedMs)
      : committedMs;
  }
}

/** The latest moment that a timestamp stands for, ms since the epoch. */
function latestMs(commitMicros: bigint, isExact: boolean): number {
  return Number(commitMicros) / 1000 + (isExact ? 0.001 : 999.999);
}
