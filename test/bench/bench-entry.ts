/**
 * One table of results as it is kept in bench/history.jsonl: everything that a later run needs to be compared with it.
 */
import type { Conditions, MachineFacts } from './machine.ts';
import type { Column, MeasuredRow } from './measurements.ts';

export const SECTION_NAMES = ['receive', 'apply', 'latency', 'recovery', 'growth', 'observe'] as const;
export type SectionName = (typeof SECTION_NAMES)[number];

export interface BenchEntry {
  readonly section: SectionName;
  /** Names what was measured; entries with one key can be compared: 'apply/small/durable'. */
  readonly key: string;
  readonly title: string;
  /** What was done, in a sentence or two. */
  readonly about: string;
  readonly columns: readonly Column[];
  readonly rows: readonly MeasuredRow[];
  readonly notes: readonly string[];
  readonly when: string;
  readonly commit: string;
  readonly size: 'quick' | 'standard';
  readonly rounds: number;
  readonly machine: MachineFacts;
  readonly conditions: Conditions;
}
