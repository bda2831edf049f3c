/**
 * How many sessions a worker has on its target. Most of a transaction's time is its COMMIT, which waits for the disk and for
 * those that commit with it; meanwhile the worker goes on in another session.
 */
import type { PositionKind } from '../binlog/position-set.ts';

export const SESSIONS_EACH_MAX = 2;

/** Where transactions are to commit one after the other, a second one would only wait. */
export function sessionsEach(
  { workers, commitOrder }: { readonly workers: number; readonly commitOrder: 'source' | 'window' | 'any' },
  kind: PositionKind | null,
): number {
  return kind === 'position' || commitOrder === 'source' || workers === 1 ? 1 : SESSIONS_EACH_MAX;
}
