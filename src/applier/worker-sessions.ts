/**
 * How many workers apply to a target, and how many sessions each has there. Most of a transaction's time is its COMMIT, which waits for the disk and for
 * those that commit with it; meanwhile the worker goes on in another session. The more that commit together, the fewer syncs a
 * transaction costs the target.
 */
import type { PositionKind } from '../binlog/position-set.ts';
import type { ApplierOptions } from './applier-messages.ts';

const SESSIONS_EACH_MAX = 4;
/** Where several transactions share a commit, less of the time is spent waiting for it. */
const COALESCED_SESSIONS_EACH_MAX = 2;
/** More only where there are more workers, each with one. */
const SESSIONS_MAX = 32;

export interface Crew {
  readonly workers: number;
  readonly sessionsEach: number;
}

/**
 * Without GTIDs the one thing known of progress is a position: units are applied one by one. Where transactions are to commit
 * one after the other, a second session would only wait.
 */
export function crewOf(
  options: Pick<ApplierOptions, 'workers' | 'commitOrder' | 'coalesce'>,
  kind: PositionKind | null,
): Crew {
  const workers = kind === 'position' ? 1 : options.workers;
  if (workers === 1 || options.commitOrder === 'source') return { workers, sessionsEach: 1 };
  const most = options.coalesce > 1 ? COALESCED_SESSIONS_EACH_MAX : SESSIONS_EACH_MAX;
  return { workers, sessionsEach: Math.max(1, Math.min(most, Math.floor(SESSIONS_MAX / workers))) };
}
