/**
 * When the transactions of the relay log were committed, told in our own monotonic time, so that no step of any wall clock
 * makes one of them look older than it is.
 *
 *   readings    now and then the source is asked for its time: source − monotonic lies between `lowMs` and `highMs`
 *   regime      a stretch of the source's clock without a step: readings that agree, their bounds intersected
 *   span        a piece of the relay log (from the end of the one before it to `end`) with what is known of all in it:
 *               it was committed by `committedByMs` (it had arrived, or something behind it was committed then), and no
 *               regime that may have been in force had an offset below `offsetMs`
 *
 *   committed   min(committedByMs, timestamp − offsetMs): never before the commit, because nothing is committed after it has
 *               arrived or after what stands behind it, and because the lowest offset gives the latest time
 *
 * Which regimes may have been in force for what arrives: all since the one of the last transaction that is known to be
 * younger. A transaction whose timestamp would lie in the future under a regime was committed after that regime was over, and
 * so was everything behind it. Of two regimes the older one with the higher offset never decides: what is left are regimes
 * with growing offsets, mostly one.
 *
 * Invariants
 *  - A span is told by timestamps only when the clock was read before its first and after its last transaction arrived
 *    (`confirmed`); until then it counts from its arrival.
 *  - Timestamps that go back in the order of the log may mean that the clock went back and forth between two readings: they
 *    tell nothing in this span, which counts from its arrival or from what is known of the next one.
 *  - What had arrived before the clock was ever read is told by the first reading: nothing else is known of it.
 *  - After the machine has booted (another monotonic clock) the old times are moved by the shorter of what the two wall clocks
 *    say has passed, at least by what surely has.
 *
 * Pure: no clock is read here, nothing waits. Thread: the reader's; others get snapshots.
 */
import type { RelayPosition } from './published-end.ts';

/** One look at the source's clock. */
export interface ClockReading {
  /** Monotonic, before the source was asked: what had arrived by then was committed before its answer. */
  readonly atMs: number;
  /** Bounds of the source's clock (ms since the epoch) minus the monotonic one. */
  readonly lowMs: number;
  readonly highMs: number;
  /** Our wall clock at `atMs`. */
  readonly wallMs: number;
}

/** The newest transaction of the relay log. */
export interface Arrival {
  /** Its commit by the source's clock, ms since the epoch. */
  readonly commitMs: number;
  /** Monotonic. */
  readonly arrivedMs: number;
  /** The time of the commit itself, not of its statement's begin. */
  readonly exact: boolean;
}

/** What had arrived at some moment. */
export interface LogMark {
  /** The published end; file number 0: the log is empty. */
  readonly end: RelayPosition;
  /** Of what has arrived since the last mark; null: nothing has, or it is not known. */
  readonly newest: Arrival | null;
  /** The timestamps of what has arrived since the last mark went back. */
  readonly doubtful: boolean;
}

export interface ClockSpan {
  readonly end: RelayPosition;
  readonly committedByMs: number;
  /** Null: the timestamps of these transactions tell nothing. */
  readonly offsetMs: number | null;
  /** No step is near: the commit is as told, not only by then. */
  readonly sure: boolean;
}

/** What the appliers get. */
export interface SourceClockSnapshot {
  /** In the order of the log. */
  readonly spans: readonly ClockSpan[];
  /** The newest bounds; null: the clock was never read. */
  readonly reading: ClockReading | null;
  /** Times are moved provisionally: the machine has booted, and the source was not yet reached. */
  readonly provisional: boolean;
}

export const NO_SOURCE_CLOCK: SourceClockSnapshot = { spans: [], reading: null, provisional: false };

interface Regime {
  lowMs: number;
  highMs: number;
  /** When it was last read. */
  untilMs: number;
}

interface Span {
  end: RelayPosition;
  committedByMs: number;
  /** Lowest and highest of the low bounds in it; null: timestamps tell nothing. */
  lowMs: number | null;
  topMs: number | null;
  confirmed: boolean;
  /** Not to be merged: `committedByMs` bounds what its timestamps cannot tell well. */
  sealed: boolean;
}

/** All that must outlive the process; see source-clock-file.ts. */
export interface SavedSourceClock {
  readonly reading: ClockReading;
  readonly regimes: readonly Readonly<Regime>[];
  readonly spans: readonly Readonly<Span>[];
}

/** Two clocks may drift apart by so much between two readings; more is a step. */
const DRIFT_PER_MS = 0.0005;
const DRIFT_MS_MAX = 5;
/** The low bounds of one span differ by at most this. */
const SPREAD_MS_MAX = 5;
/** A span whose lowest offset is further below the newest one than this is bounded by its arrival instead. */
const AMBIGUOUS_MS = 250;
/** What arrives so soon after its commit is not from a backlog. */
const LIVE_MS = 2_000;
/** Rounding, and what clocks drift between a reading and an arrival soon after it. */
const SLACK_MS = 2;
export const SPANS_MAX = 512;

export class SourceClock {
  readonly #regimes: Regime[] = [];
  readonly #spans: Span[] = [];
  #reading: ClockReading | null = null;
  /** The times up to `end` were moved provisionally, at `atMs`. */
  #moved: {
    readonly atMs: number;
    readonly old: ClockReading;
    readonly end: RelayPosition | undefined;
  } | null = null;
  /** It was set back, and nothing has come since that was just committed: what comes may be from before. */
  #fellBack = false;
  /** Steps of the source's clock seen by this process. */
  steps = 0;

  /** `saved`: of an earlier process on this monotonic clock. */
  static continued(saved: SavedSourceClock): SourceClock {
    const clock = new SourceClock();
    clock.#reading = saved.reading;
    clock.#regimes.push(...saved.regimes.map((regime) => ({ ...regime })));
    clock.#spans.push(...saved.spans.map((span) => ({ ...span })));
    return clock;
  }

  /** `saved`: before the machine booted. Until the clock is read, no time counts as passed. */
  static afterBoot(saved: SavedSourceClock, nowMs: number): SourceClock {
    const clock = SourceClock.continued(saved);
    clock.#moved = { atMs: nowMs, old: saved.reading, end: clock.#spans.at(-1)?.end };
    clock.#move(nowMs - saved.reading.atMs, clock.#moved.end);
    return clock;
  }

  /** The clock was read; `mark` was taken before the source was asked. */
  read(reading: ClockReading, mark: LogMark): void {
    this.#settleMove(reading);
    const beforeMs = this.#lowest();
    const stepped = this.#note(reading);
    if (stepped) this.steps += 1;
    const lowMs = Math.min(beforeMs, this.#lowest());
    if (stepped && this.#newest().lowMs < beforeMs) this.#fellBack = true;
    const ambiguous = stepped || this.#fellBack || this.#newest().lowMs - lowMs > AMBIGUOUS_MS;
    this.#confirm(lowMs, ambiguous);
    const { newest } = mark;
    const byNewest = newest?.exact && !mark.doubtful ? newest.commitMs - lowMs : Number.POSITIVE_INFINITY;
    this.#close(mark, Math.min(reading.atMs, byNewest), lowMs, { confirmed: true, sealed: ambiguous });
    this.#reading = reading;
    if (newest === null) return;
    this.#leaveBehind(newest);
    if (newest.arrivedMs - (newest.commitMs - this.#newest().lowMs) < LIVE_MS) this.#fellBack = false;
  }

  /** It could not be read; all up to `mark` has arrived by `nowMs`. */
  arrived(mark: LogMark, nowMs: number): void {
    this.#close(mark, nowMs, this.#lowest(), { confirmed: false, sealed: true });
  }

  /** The clock stands otherwise than when it was last read: worth another look. */
  suspects(newest: Arrival): boolean {
    const regime = this.#regimes.at(-1);
    return regime !== undefined && newest.commitMs > newest.arrivedMs + regime.highMs + DRIFT_MS_MAX;
  }

  /** The relay log ends at `end`: what is known of places behind it (lost in a power cut, thrown away) is about nothing. */
  cutBack(end: RelayPosition): void {
    if (end.fileNumber === 0) {
      this.restart();
      return;
    }
    for (
      let last = this.#spans.at(-1);
      last !== undefined && isBefore(end, last.end);
      last = this.#spans.at(-1)
    ) {
      const before = this.#spans.at(-2);
      if (before !== undefined && !isBefore(before.end, end)) this.#spans.pop();
      else last.end = end;
    }
  }

  /** The relay log is emptied and will hold old transactions again: any regime may have been theirs. */
  restart(): void {
    let lowMs = this.#lowest();
    for (const span of this.#spans) if (span.lowMs !== null) lowMs = Math.min(lowMs, span.lowMs);
    this.#spans.length = 0;
    const oldest = this.#regimes[0];
    if (oldest === undefined || lowMs >= oldest.lowMs) return;
    this.#regimes.unshift({ lowMs, highMs: lowMs, untilMs: 0 });
  }

  snapshot(): SourceClockSnapshot {
    return {
      spans: this.#spans.map(({ end, committedByMs, lowMs, confirmed, sealed }) => {
        return { end, committedByMs, offsetMs: confirmed ? lowMs : null, sure: confirmed && !sealed };
      }),
      reading: this.#reading,
      provisional: this.#moved !== null,
    };
  }

  /** Null: nothing is worth keeping yet. While times are moved provisionally, the file keeps the old ones. */
  saved(): SavedSourceClock | null {
    if (this.#reading === null || this.#moved !== null) return null;
    return {
      reading: this.#reading,
      regimes: this.#regimes.map((regime) => ({ ...regime })),
      spans: this.#spans.map((span) => ({ ...span })),
    };
  }

  // ---- regimes

  #lowest(): number {
    return this.#regimes[0]?.lowMs ?? Number.POSITIVE_INFINITY;
  }

  #newest(): Regime {
    return this.#regimes.at(-1)!;
  }

  /** True: it does not agree with the one before it. */
  #note(reading: ClockReading): boolean {
    const last = this.#regimes.at(-1);
    const fresh = { lowMs: reading.lowMs, highMs: reading.highMs, untilMs: reading.atMs };
    if (last === undefined) {
      this.#regimes.push(fresh);
      return false;
    }
    const drift = Math.min(DRIFT_MS_MAX, DRIFT_PER_MS * Math.max(0, reading.atMs - last.untilMs));
    const lowMs = Math.max(last.lowMs - drift, reading.lowMs);
    const highMs = Math.min(last.highMs + drift, reading.highMs);
    const agrees = lowMs <= highMs;
    if (agrees) Object.assign(last, { lowMs, highMs, untilMs: reading.atMs });
    else this.#regimes.push(fresh);
    const { lowMs: lowest } = this.#newest();
    while (this.#regimes.length > 1 && this.#regimes.at(-2)!.lowMs >= lowest) this.#regimes.splice(-2, 1);
    return !agrees;
  }

  /** Regimes under which `newest` would have been committed after it came: it, and all behind it, are younger. */
  #leaveBehind({ commitMs, arrivedMs }: Arrival): void {
    for (let index = this.#regimes.length - 2; index >= 0; index--) {
      const { highMs, untilMs } = this.#regimes[index]!;
      if (untilMs >= arrivedMs || commitMs <= arrivedMs + highMs + SLACK_MS) continue;
      this.#regimes.splice(0, index + 1);
      return;
    }
  }

  // ---- spans

  #confirm(lowMs: number, ambiguous: boolean): void {
    for (let index = this.#spans.length - 1; index >= 0; index--) {
      const span = this.#spans[index]!;
      if (span.confirmed) return;
      span.confirmed = true;
      span.sealed = ambiguous || span.lowMs === null;
      if (span.lowMs !== null) span.lowMs = Math.min(span.lowMs, lowMs);
      if (span.lowMs !== null) span.topMs = span.lowMs;
    }
  }

  #close(
    { end, doubtful }: LogMark,
    committedByMs: number,
    lowMs: number,
    { confirmed, sealed }: Pick<Span, 'confirmed' | 'sealed'>,
  ): void {
    // Also when nothing new has come: what is known of the newest bounds all before it.
    for (let index = this.#spans.length - 1; index >= 0; index--) {
      const span = this.#spans[index]!;
      if (span.committedByMs <= committedByMs) break;
      span.committedByMs = committedByMs;
    }
    const last = this.#spans.at(-1);
    if (end.fileNumber === 0 || (last !== undefined && !isBefore(last.end, end))) return;
    const known = doubtful ? null : lowMs;
    const span = { end, committedByMs, lowMs: known, topMs: known, confirmed, sealed: sealed || doubtful };
    if (last !== undefined && mayMerge(last, span)) merge(last, span);
    else this.#spans.push(span);
    if (this.#spans.length > SPANS_MAX) this.#mergeCheapest();
  }

  /** Two neighbours become one where it matters least: never earlier, a little later. */
  #mergeCheapest(): void {
    let best = 0;
    let bestCost = Number.POSITIVE_INFINITY;
    for (let index = 0; index + 1 < this.#spans.length - 1; index++) {
      const cost = mergeCost(this.#spans[index]!, this.#spans[index + 1]!);
      if (cost >= bestCost) continue;
      best = index;
      bestCost = cost;
    }
    merge(this.#spans[best]!, this.#spans[best + 1]!);
    this.#spans.splice(best + 1, 1);
  }

  // ---- another monotonic clock

  #settleMove(reading: ClockReading): void {
    if (this.#moved === null) return;
    const { atMs, old, end } = this.#moved;
    this.#moved = null;
    const bySource = reading.atMs + reading.lowMs - (old.atMs + old.lowMs);
    const byUs = reading.wallMs - old.wallMs;
    const surely = reading.atMs - atMs;
    const passedMs = Math.max(surely, Math.min(bySource, byUs));
    this.#move(surely - passedMs, end);
  }

  #move(byMs: number, end: RelayPosition | undefined): void {
    for (const regime of this.#regimes) {
      regime.lowMs -= byMs;
      regime.highMs -= byMs;
      regime.untilMs += byMs;
    }
    for (const span of this.#spans) {
      // What has arrived since knows its time.
      if (end === undefined || isBefore(end, span.end)) break;
      span.committedByMs += byMs;
      if (span.lowMs !== null) span.lowMs -= byMs;
      if (span.topMs !== null) span.topMs -= byMs;
    }
    const reading = this.#reading;
    if (reading === null) return;
    const { atMs, lowMs, highMs } = reading;
    this.#reading = { ...reading, atMs: atMs + byMs, lowMs: lowMs - byMs, highMs: highMs - byMs };
  }
}

export function isBefore(a: RelayPosition, b: RelayPosition): boolean {
  return a.fileNumber < b.fileNumber || (a.fileNumber === b.fileNumber && a.offset < b.offset);
}

function mayMerge(last: Span, next: Span): boolean {
  if (last.sealed || next.sealed || last.lowMs === null || next.lowMs === null) return false;
  return Math.max(last.topMs!, next.topMs!) - Math.min(last.lowMs, next.lowMs) <= SPREAD_MS_MAX;
}

/** Into the first one. */
function merge(last: Span, next: Span): void {
  const known = last.lowMs !== null && next.lowMs !== null;
  last.end = next.end;
  last.committedByMs = next.committedByMs;
  last.topMs = known ? Math.max(last.topMs!, next.topMs!) : null;
  last.lowMs = known ? Math.min(last.lowMs!, next.lowMs!) : null;
  last.confirmed = last.confirmed && next.confirmed;
  last.sealed = last.sealed || next.sealed;
}

/** By how many ms what is in them may become later. */
function mergeCost(last: Span, next: Span): number {
  const laterArrival = next.committedByMs - last.committedByMs;
  if (last.lowMs === null || next.lowMs === null) return laterArrival;
  return last.sealed || next.sealed
    ? Math.min(laterArrival, Math.abs(last.lowMs - next.lowMs) + AMBIGUOUS_MS)
    : Math.abs(last.lowMs - next.lowMs);
}
