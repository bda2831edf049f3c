/**
 * What an applier has applied, over all its lives: counted by the run, kept by the thread.
 */
export interface RunCounters {
  transactionsApplied: number;
  rowsApplied: number;
  lastCommitMicros: bigint | null;
  lastAgeMs: number | null;
  lastAppliedAtMs: number | null;
}
