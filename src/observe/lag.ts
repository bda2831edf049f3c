/**
 * How far a target is behind its source, told only when it is known.
 *
 *   pending         something received is not applied: the age, on the source's clock, of the oldest of it
 *   0               everything received is applied, and the source has proven a moment ago that there is no more
 *   age at apply    everything received is applied, and the last of it was committed a moment ago: under steady load the
 *                   source sends no proof, and what the last transaction took on its way is the lag
 *   unknown         everything else: no reading from the source, no fresh word from a thread
 */

/** A transaction so young says how long the way takes now. */
const RECENT_COMMIT_MS = 2_000;
/** How long a heartbeat proves that there is nothing more: two and a half periods, within these bounds. */
const PROOF_MS_MIN = 3_000;
const PROOF_MS_MAX = 10_000;

export interface LagFacts {
  /** Both threads have answered just now, and the reader receives. */
  readonly observed: boolean;
  readonly caughtUpWithSource: boolean;
  /** Our wall clock at the last byte from the source: what the proof is good for. */
  readonly contactMs: number | null;
  readonly heartbeatMs: number;
  readonly caughtUpWithRelay: boolean;
  /** Microseconds since the epoch, source clock; null: nothing known to be pending. */
  readonly pendingCommitMicros: string | null;
  readonly lastCommitMicros: string | null;
  /** Our wall clock when the last transaction was executed. */
  readonly lastAppliedWallMs: number | null;
  /** Source clock minus ours. */
  readonly clockDiffMs: number;
}

/** Seconds, to the millisecond, never negative; null: unknown. */
export function lagSeconds(facts: LagFacts, wallMs: number): number | null {
  if (!facts.observed) return null;
  const sourceNowMs = wallMs + facts.clockDiffMs;
  if (facts.pendingCommitMicros !== null) return seconds(sourceNowMs - millis(facts.pendingCommitMicros));
  if (!facts.caughtUpWithRelay) return null;
  if (facts.caughtUpWithSource && isRecent(facts, wallMs)) return 0;
  if (facts.lastCommitMicros === null || facts.lastAppliedWallMs === null) return null;
  const committedMs = millis(facts.lastCommitMicros);
  if (sourceNowMs - committedMs >= RECENT_COMMIT_MS) return null;
  return seconds(facts.lastAppliedWallMs + facts.clockDiffMs - committedMs);
}

/** A proof ages: a source that has gone silent may have written meanwhile. */
function isRecent({ contactMs, heartbeatMs }: LagFacts, wallMs: number): boolean {
  if (contactMs === null) return false;
  return wallMs - contactMs <= Math.min(PROOF_MS_MAX, Math.max(PROOF_MS_MIN, 2.5 * heartbeatMs));
}

function millis(micros: string): number {
  return Number(BigInt(micros) / 1000n);
}

function seconds(ms: number): number {
  return Math.max(0, Math.round(ms)) / 1000;
}
