/**
 * bench/history.jsonl: one entry a line, oldest first, of standard runs only. Entries with one key, taken on one machine, can be
 * compared; docs/bench is made out of the newest of each.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { repositoryRoot } from '../support/repository.ts';
import type { BenchEntry } from './bench-entry.ts';

export const HISTORY_FILE = join(repositoryRoot, 'bench', 'history.jsonl');

export function readHistory(file = HISTORY_FILE): BenchEntry[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as BenchEntry);
}

export function appendHistory(entries: readonly BenchEntry[], file = HISTORY_FILE): void {
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, entries.map((entry) => `${JSON.stringify(rounded(entry))}\n`).join(''));
}

/** Four figures are more than any of these measurements can tell. */
function rounded(entry: BenchEntry): unknown {
  return JSON.parse(
    JSON.stringify(entry, (_, value: unknown) =>
      typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(4)) : value,
    ),
  );
}

export interface Comparison {
  readonly entry: BenchEntry;
  /** The one before it of the same key and machine; null: there is none. */
  readonly before: BenchEntry | null;
}

/** The newest entry of each key, in the order in which the keys first came; a quiet run goes before a noisy one. */
export function newestByKey(history: readonly BenchEntry[]): Comparison[] {
  const byKey = new Map<string, BenchEntry[]>();
  for (const entry of history) byKey.set(entry.key, [...(byKey.get(entry.key) ?? []), entry]);
  return [...byKey.values()].map((all) => {
    const quiet = all.filter(({ conditions }) => !conditions.noisy);
    const entry = (quiet.at(-1) ?? all.at(-1))!;
    const earlier = (quiet.length > 0 ? quiet : all).slice(0, -1).filter((each) => sameMachine(each, entry));
    return { entry, before: earlier.at(-1) ?? null };
  });
}

function sameMachine(a: BenchEntry, b: BenchEntry): boolean {
  const name = ({ machine }: BenchEntry): string => `${machine.cores} ${machine.cpu} ${machine.memoryGib}`;
  return name(a) === name(b);
}
