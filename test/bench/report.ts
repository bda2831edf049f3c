/**
 * docs/bench out of the history: results.md with every table and what it is held against, and two charts for the README.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../support/repository.ts';
import { NATIVE } from './apply.ts';
import { type BenchEntry, SECTION_NAMES } from './bench-entry.ts';
import { type GoalResult, judge } from './goals.ts';
import { type Comparison, newestByKey } from './history.ts';
import { type Bar, ratioChart } from './ratio-chart.ts';
import { conditionsText, markdownTable } from './results-table.ts';

export const REPORT_FOLDER = join(repositoryRoot, 'docs', 'bench');

/** Names of the files written, for the one who is to look at them. */
export function writeReport(history: readonly BenchEntry[], folder = REPORT_FOLDER): string[] {
  const newest = newestByKey(history);
  const entries = newest.map(({ entry }) => entry);
  mkdirSync(folder, { recursive: true });
  const files: Record<string, string> = {
    'results.md': resultsPage(newest),
    'apply.svg': ratioChart('Applying, speed beside the server’s own replica', NATIVE, applyBars(entries)),
    'receive.svg': ratioChart(
      'Receiving, speed beside the server’s own replica',
      'its I/O thread, plain or TLS as the bar',
      receiveBars(entries),
    ),
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return Object.keys(files);
}

export function resultsPage(newest: readonly Comparison[]): string {
  const entries = newest.map(({ entry }) => entry);
  const lines = [
    '# Results of `npm run bench`',
    '',
    'Written by the bench out of [history.jsonl](../../bench/history.jsonl). How it is measured, and where the time goes:',
    '[performance.md](../performance.md). Tables show median [least–most] of the rounds; ratios are taken round by round.',
    '',
    '## Against what was set',
    '',
    goalsTable(judge(entries)),
  ];
  for (const section of SECTION_NAMES) {
    const these = newest.filter(({ entry }) => entry.section === section);
    if (these.length === 0) continue;
    lines.push('', `## ${section}`);
    for (const comparison of these) lines.push('', ...entryLines(comparison));
  }
  return `${lines.join('\n')}\n`;
}

function entryLines({ entry, before }: Comparison): string[] {
  const { machine } = entry;
  return [
    `### ${entry.title}`,
    '',
    entry.about,
    '',
    markdownTable(entry, before),
    '',
    ...entry.notes.map((note) => `${note} `),
    `${entry.when.slice(0, 10)}, commit ${entry.commit}, ${entry.rounds} rounds; ${machine.cores} cores (${machine.cpu}), ` +
      `${machine.memoryGib} GiB, Linux ${machine.kernel}, Node ${machine.node}, MySQL ${machine.mysql}. ` +
      `${conditionsText(entry.conditions)}.`,
  ];
}

function goalsTable(results: readonly GoalResult[]): string {
  const lines = ['| what | at least | aim | measured | |', '|---|---:|---:|---:|---|'];
  for (const each of results) {
    const sign = each.better === 'more' ? '≥' : '≤';
    const value = each.value === null ? '–' : quantity(each.value, each.unit);
    const verdict = each.noisy ? `${each.verdict} (noisy: not valid)` : each.verdict;
    lines.push(
      `| ${each.what} | ${sign} ${quantity(each.atLeast, each.unit)} | ${sign} ${quantity(each.aim, each.unit)} | ${value} | ${verdict} |`,
    );
  }
  return lines.join('\n');
}

function quantity(value: number, unit: GoalResult['unit']): string {
  return unit === 's' ? `${value.toFixed(2)} s` : `${value.toFixed(2)}×${unit === '×' ? '' : ' native’s'}`;
}

function applyBars(entries: readonly BenchEntry[]): Bar[] {
  return entries
    .filter(({ section }) => section === 'apply')
    .flatMap((entry) => bars(entry, entry.title.replace(/^apply, /, ''), 'vsNative', NATIVE));
}

function receiveBars(entries: readonly BenchEntry[]): Bar[] {
  return entries
    .filter(({ section }) => section === 'receive')
    .flatMap((entry) => {
      const group = entry.title.replace(/^receive, /, '');
      const plain = bars(entry, group, 'plain', 'native I/O thread').filter(
        ({ label }) => !label.endsWith('TLS'),
      );
      const tls = bars(entry, group, 'tls', 'native I/O thread, TLS').filter(({ label }) =>
        label.endsWith('TLS'),
      );
      return [...plain, ...tls];
    });
}

function bars(entry: BenchEntry, group: string, column: string, baseline: string): Bar[] {
  return entry.rows.flatMap(({ name, values }) => {
    const value = values[column];
    if (value === undefined || name === baseline) return [];
    return [{ group, label: name, value: value.median, min: value.min, max: value.max }];
  });
}
