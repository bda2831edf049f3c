import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { judge } from '../../bench/goals.ts';
import { appendHistory, newestByKey, readHistory } from '../../bench/history.ts';
import { ratioChart } from '../../bench/ratio-chart.ts';
import { resultsPage, writeReport } from '../../bench/report.ts';
import { applyEntry } from './entries.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-report-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('the history of the bench', () => {
  test('gives back what was appended, rounded to four figures', () => {
    const file = join(folder, 'some', 'history.jsonl');
    appendHistory([applyEntry(7.123456)], file);
    appendHistory([applyEntry(5)], file);
    const history = readHistory(file);
    expect(history).toHaveLength(2);
    expect(history[0]?.rows[1]?.values.seconds?.median).toBe(7.123);
  });

  test('a quiet run goes before a later noisy one', () => {
    const [newest] = newestByKey([applyEntry(5), applyEntry(50, { noisy: true })]);
    expect(newest?.entry.rows[1]?.values.seconds?.median).toBe(5);
    expect(newest?.before).toBeNull();
  });

  test('is compared within one machine only', () => {
    const other = applyEntry(9);
    const elsewhere = { ...other, machine: { ...other.machine, cores: 64 } };
    const [newest] = newestByKey([applyEntry(6), elsewhere, applyEntry(5)]);
    expect(newest?.before?.rows[1]?.values.seconds?.median).toBe(6);
  });
});

describe('what the bench is held against', () => {
  const verdictOf = (seconds: number) =>
    judge([applyEntry(seconds)]).find(({ what }) => what === 'apply, small OLTP, GTIDs kept, durable');

  test('a ratio is missed, reached, or reaches the aim', () => {
    expect(verdictOf(9)?.verdict).toBe('missed');
    expect(verdictOf(7)?.verdict).toBe('reached');
    expect(verdictOf(4)?.verdict).toBe('aim reached');
  });

  test('what was not measured counts as nothing else', () => {
    const coalesced = judge([applyEntry(5)]).find(({ what }) => what.includes('coalesced, durable'));
    expect(coalesced).toMatchObject({ value: null, verdict: 'not measured' });
  });

  test('memory is that of the worst workload, as a share of the replica’s server', () => {
    const memory = judge([applyEntry(5)]).at(-1);
    expect(memory).toMatchObject({ value: 0.2, verdict: 'reached' });
  });
});

describe('the report of the bench', () => {
  test('shows a noisy run as not valid, wherever its figures stand', () => {
    const page = resultsPage(newestByKey([applyEntry(5, { noisy: true })]));
    expect(page).toContain('reached (noisy: not valid)');
    expect(page).toContain('NOISY: not valid');
  });

  test('shows the ratio of the run before beside the new one', () => {
    const page = resultsPage(newestByKey([applyEntry(8), applyEntry(5)]));
    expect(page).toContain('2.00× [2.00–3.00] (before: 1.25×)');
  });

  test('says why a contender has no figures', () => {
    expect(resultsPage(newestByKey([applyEntry(5)]))).toContain(
      '| Millrace, coalesce: 100 | 0 | not in this version | – |',
    );
  });

  test('is a page and two charts', () => {
    expect(writeReport([applyEntry(5)], folder)).toEqual(['results.md', 'apply.svg', 'receive.svg']);
    expect(readFileSync(join(folder, 'apply.svg'), 'utf8')).toContain('2.00×');
  });
});

describe('a chart of ratios', () => {
  const svg = ratioChart('A <title>', 'native & others', [
    { group: 'small', label: 'quick', value: 2, min: 1.5, max: 2.5 },
    { group: 'small', label: 'slow', value: 0.5, min: 0.5, max: 0.5 },
    { group: 'bulk', label: 'quick', value: 1, min: 0.9, max: 1.1 },
  ]);

  test('has a bar for each ratio, and a line only where rounds differ', () => {
    expect(svg.match(/<rect /g)).toHaveLength(3);
    expect(svg.match(/class="whisker"/g)).toHaveLength(2);
    expect(svg.match(/class="slow"/g)).toHaveLength(1);
    expect(svg.match(/class="group"/g)).toHaveLength(2);
  });

  test('follows the scheme of the page and escapes its texts', () => {
    expect(svg).toContain('prefers-color-scheme: dark');
    expect(svg).toContain('A &lt;title>');
    expect(svg).toContain('native &amp; others');
    expect(svg).not.toMatch(/&(?!amp;|lt;|quot;)/);
  });
});
