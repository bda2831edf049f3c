/**
 * How far a target is behind its source, told only when it is known.
 *
 *   pending         something received is not applied: the age of the oldest of it
 *   0               everything received is applied, and the source has proven a moment ago that there is no more
 *   age at apply    everything received is applied, and the last of it was committed a moment ago: under steady load the
 *                   source sends no proof, and what the last transaction took on its way is the lag
 *   unknown         everything else: no reading from the source, no fresh word from a thread, a clock that contradicts itself
 *
 * Ages come from the applier, which knows when transactions were committed in monotonic time (applier/due-clock.ts). No wall
 * clock, neither ours nor the source's, is looked at here: one that is set to another time makes a lag unknown, never 0.
 */

/** A transaction so young says how long the way takes now. */
const RECENT_COMMIT_MS = 2_000;
/** How long a heartbeat proves that there is nothing more: two and a half periods, within these bounds. */
const PROOF_MS_MIN = 3_000;
const PROOF_MS_MAX = 10_000;
/** 0 says that there is proof; less than this has none. */
const UNPROVEN_MS_MIN = 1;

export interface LagFacts {
  /** Both threads have answered just now, and the reader receives. */
  readonly observed: boolean;
  readonly caughtUpWithSource: boolean;
  /** Monotonic time of the last byte from the source: what the proof is good for. */
  readonly contactAtMs: number | null;
  readonly heartbeatMs: number;
  readonly caughtUpWithRelay: boolean;
  /** Null: nothing known to be pending. */
  readonly pendingCommitMicros: string | null;
  /** Null: not known. */
  readonly pendingAgeMs: number | null;
  /** How old the last executed transaction was when it was executed, and when that was (monotonic). */
  readonly lastAgeMs: number | null;
  readonly lastAppliedAtMs: number | null;
}

/** Seconds, to the millisecond; null: unknown. `nowMs`: monotonic. */
export function lagSeconds(facts: LagFacts, nowMs: number): number | null {
  if (!facts.observed) return null;
  if (facts.pendingCommitMicros !== null) return seconds(facts.pendingAgeMs);
  if (!facts.caughtUpWithRelay) return null;
  if (facts.caughtUpWithSource && isRecent(facts, nowMs)) return 0;
  const { lastAgeMs, lastAppliedAtMs } = facts;
  if (lastAgeMs === null || lastAppliedAtMs === null) return null;
  if (nowMs - lastAppliedAtMs + lastAgeMs >= RECENT_COMMIT_MS) return null;
  return seconds(lastAgeMs);
}

/** A proof ages: a source that has gone silent may have written meanwhile. */
function isRecent({ contactAtMs, heartbeatMs }: LagFacts, nowMs: number): boolean {
  if (contactAtMs === null) return false;
  return nowMs - contactAtMs <= Math.min(PROOF_MS_MAX, Math.max(PROOF_MS_MIN, 2.5 * heartbeatMs));
}

function seconds(ms: number | null): number | null {
  return ms === null || ms < 0 ? null : Math.max(UNPROVEN_MS_MIN, Math.round(ms)) / 1000;
}
