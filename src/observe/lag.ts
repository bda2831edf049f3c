/**
 * How far a target is behind its source, told only when it is known.
 *
 *   pending         something received is not applied: the age, on the source's clock, of the oldest of it
 *   missing         the source has something that is not received: how long we have known of it (source-head.ts)
 *   0               everything received is applied, and the source has proven a moment ago that there is no more
 *   age at apply    everything received is applied, and the last of it was committed a moment ago: under steady load the
 *                   source sends no proof, and what the last transaction took on its way is the lag
 *   unknown         everything else: no reading from the source, no fresh word from a thread, a clock that contradicts itself
 *
 * Ages come from the applier, which knows when transactions were committed in monotonic time (applier/due-clock.ts). No wall
 * clock, neither ours nor the source's, is looked at here: one that is set to another time makes a lag unknown, never 0.
 *
 * Beside that estimate there is a bound: everything that the source had at some moment is known to be applied; how long ago
 * that was is what a target may be behind at most. It only ever rests on proof.
 */

/** A transaction so young says how long the way takes now. */
const RECENT_COMMIT_MS = 2_000;
/** How long a heartbeat proves that there is nothing more: two periods, within these bounds. */
const PROOF_MS_MIN = 2_000;
const PROOF_MS_MAX = 10_000;

export interface LagFacts {
  /** Both threads have answered just now, and the reader receives. */
  readonly observed: boolean;
  readonly caughtUpWithSource: boolean;
  /** Monotonic time of the last byte from the source: what the proof is good for. */
  readonly contactAtMs: number | null;
  readonly heartbeatMs: number;
  /** So long ago everything that the source had was received; null: never known. */
  readonly proofAgeMs: number | null;
  /** The source has something for at most so long that is not received; null: nothing is known of. */
  readonly missingAgeMs: number | null;
  /** Everything in the relay log was applied when the applier answered. */
  readonly caughtUpWithRelay: boolean;
  /** What was received when the reader answered is applied: the two answer at different moments. */
  readonly holdsReceived: boolean;
  /** Null: nothing known to be pending. */
  readonly pendingCommitMicros: string | null;
  /** Null: not known. */
  readonly pendingAgeMs: number | null;
  /** How old the last executed transaction was when it was executed, and when that was (monotonic). */
  readonly lastAgeMs: number | null;
  readonly lastAppliedAtMs: number | null;
}

/** Seconds, to the millisecond, never negative; null: unknown. `nowMs`: monotonic. */
export function lagSeconds(facts: LagFacts, nowMs: number): number | null {
  if (!facts.observed) return null;
  const missing = facts.missingAgeMs === null ? null : someSeconds(facts.missingAgeMs);
  if (facts.pendingCommitMicros !== null) {
    if (facts.pendingAgeMs === null || facts.pendingAgeMs < 0) return null;
    const pending = someSeconds(facts.pendingAgeMs);
    return missing === null ? pending : Math.max(pending, missing);
  }
  if (!facts.caughtUpWithRelay) return null;
  if (missing !== null) return missing;
  const { holdsReceived } = facts;
  if (holdsReceived && isFresh(heartbeatProofMs(facts, nowMs), facts)) return 0;
  const age = lastAgeNowMs(facts, nowMs);
  if (age !== null && age < RECENT_COMMIT_MS) return someSeconds(facts.lastAgeMs!);
  return holdsReceived && isFresh(facts.proofAgeMs, facts) ? 0 : null;
}

/**
 * Seconds that the target is behind at most, by what the threads have said last; null: they prove nothing. A proof holds for ever
 * and only gets older: who looks again and again keeps the newest (`freshness.ts`).
 */
export function behindAtMostSeconds(facts: LagFacts, nowMs: number): number | null {
  const bounds: number[] = [];
  if (facts.caughtUpWithRelay && facts.pendingCommitMicros === null) {
    const proof = facts.holdsReceived ? proofMs(facts, nowMs) : null;
    if (proof !== null) bounds.push(proof);
    // In the source's order, and the last one of them.
    const last = lastAgeNowMs(facts, nowMs);
    if (last !== null) bounds.push(last);
  } else if (facts.pendingCommitMicros !== null && facts.pendingAgeMs !== null) {
    // What is before the oldest that waits is applied.
    bounds.push(facts.pendingAgeMs);
  }
  return bounds.length === 0 ? null : seconds(Math.min(...bounds));
}

/** Seconds since the source has something that is not received; 0 on proof; null: unknown. */
export function receivedLagSeconds(
  facts: Pick<LagFacts, 'caughtUpWithSource' | 'contactAtMs' | 'heartbeatMs' | 'proofAgeMs' | 'missingAgeMs'>,
  streams: boolean,
  nowMs: number,
): number | null {
  if (facts.missingAgeMs !== null) return someSeconds(facts.missingAgeMs);
  return streams && isFresh(proofMs(facts, nowMs), facts) ? 0 : null;
}

type ProofFacts = Pick<LagFacts, 'caughtUpWithSource' | 'contactAtMs' | 'heartbeatMs' | 'proofAgeMs'>;

/** A proof ages: a source that has gone silent may have written meanwhile. */
function isFresh(ageMs: number | null, { heartbeatMs }: Pick<LagFacts, 'heartbeatMs'>): boolean {
  return ageMs !== null && ageMs <= Math.min(PROOF_MS_MAX, Math.max(PROOF_MS_MIN, 2 * heartbeatMs));
}

/** How old the last executed transaction is by now. */
function lastAgeNowMs({ lastAgeMs, lastAppliedAtMs }: LagFacts, nowMs: number): number | null {
  return lastAgeMs === null || lastAppliedAtMs === null ? null : nowMs - lastAppliedAtMs + lastAgeMs;
}

function heartbeatProofMs({ caughtUpWithSource, contactAtMs }: ProofFacts, nowMs: number): number | null {
  return caughtUpWithSource && contactAtMs !== null ? Math.max(0, nowMs - contactAtMs) : null;
}

function proofMs(facts: ProofFacts, nowMs: number): number | null {
  const heartbeat = heartbeatProofMs(facts, nowMs);
  if (heartbeat === null || facts.proofAgeMs === null) return heartbeat ?? facts.proofAgeMs;
  return Math.min(heartbeat, facts.proofAgeMs);
}

function seconds(ms: number): number {
  return Math.max(0, Math.round(ms)) / 1000;
}

/** Of what is known to be there: clocks may err, 0 would be untrue. */
function someSeconds(ms: number): number {
  return Math.max(0.001, seconds(ms));
}
