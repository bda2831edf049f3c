/**
 * What an applier has applied, over all its lives: counted by the run, kept by the thread.
 */
import type { FilterCounters } from './filter-counters.ts';

export interface RunCounters {
  transactionsApplied: number;
  rowsApplied: number;
  lastCommitMicros: bigint | null;
  lastAgeMs: number | null;
  lastAppliedAtMs: number | null;
  readonly filtered: FilterCounters;
}
