/**
 * A table of results as text: for the terminal, and as Markdown.
 */
import Table from 'cli-table3';
import type { BenchEntry } from './bench-entry.ts';
import type { Conditions } from './machine.ts';
import type { Column, MeasuredRow, Spread } from './measurements.ts';

export function plainTable(entry: BenchEntry): string {
  const table = new Table({
    head: ['', 'n', ...entry.columns.map(({ title }) => title)],
    colAligns: ['left', 'right', ...entry.columns.map(() => 'right' as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const row of entry.rows) table.push([row.name, ...cells(row, entry.columns)]);
  const refused = entry.rows.flatMap(({ name, refused }) =>
    refused === undefined ? [] : `${name}: ${refused}`,
  );
  return [table.toString(), ...refused, ...entry.notes, conditionsText(entry.conditions)].join('\n');
}

/** `before`: an earlier entry with the same key, whose ratios are shown beside the new ones. */
export function markdownTable(entry: BenchEntry, before: BenchEntry | null = null): string {
  const lines = [
    `| | n | ${entry.columns.map(({ title }) => title).join(' | ')} |`,
    `|---|---:|${entry.columns.map(() => '---:').join('|')}|`,
  ];
  for (const row of entry.rows) {
    const earlier = before?.rows.find(({ name }) => name === row.name) ?? null;
    const [n, first = '–', ...rest] = cells(row, entry.columns, earlier);
    const told = row.refused !== undefined && row.n === 0 ? row.refused : first;
    lines.push(`| ${row.name.replaceAll('|', '\\|')} | ${[n, told, ...rest].join(' | ')} |`);
  }
  return lines.join('\n');
}

function cells(row: MeasuredRow, columns: readonly Column[], earlier: MeasuredRow | null = null): string[] {
  const values = columns.map((column) => cell(row.values[column.key], column, earlier?.values[column.key]));
  return [String(row.n), ...values];
}

function cell(value: Spread | undefined, column: Column, earlier: Spread | undefined): string {
  if (value === undefined) return '–';
  const { ratio, digits } = column;
  const unit = ratio === undefined ? '' : '×';
  const text = (each: number): string => each.toFixed(digits);
  const { median, min, max } = value;
  const range = min === max ? '' : ` [${text(min)}–${text(max)}]`;
  const was = ratio === undefined || earlier === undefined ? '' : ` (before: ${text(earlier.median)}×)`;
  return `${text(median)}${unit}${range}${was}`;
}

export function conditionsText(conditions: Conditions): string {
  const { foreignCpu, steal, loadBefore, loadAfter, fsyncBefore, fsyncAfter, noisy } = conditions;
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const fsync = (times: { p50: number; p99: number }): string =>
    `${times.p50.toFixed(2)}/${times.p99.toFixed(2)} ms`;
  return (
    `${noisy ? 'NOISY: not valid, others used the machine. ' : ''}CPU of other processes ${percent(foreignCpu)}, ` +
    `stolen ${percent(steal)}, load ${loadBefore.toFixed(1)} before and ${loadAfter.toFixed(1)} after, ` +
    `fdatasync p50/p99 ${fsync(fsyncBefore)} before and ${fsync(fsyncAfter)} after`
  );
}
