/**
 * What the measurements are held against: ratios to the server's own replica in the same run, and a few absolute figures.
 */

import { MILLRACE, MILLRACE_COALESCED, MILLRACE_SOURCE, NATIVE } from './apply.ts';
import type { BenchEntry } from './bench-entry.ts';

export interface Goal {
  readonly what: string;
  /** Of the entry. */
  readonly key: string;
  readonly row: string;
  readonly column: string;
  readonly unit: '×' | 's' | 'of native';
  readonly better: 'more' | 'less';
  readonly atLeast: number;
  readonly aim: number;
}

export interface GoalResult extends Goal {
  /** Null: not measured. */
  readonly value: number | null;
  readonly noisy: boolean;
  readonly verdict: 'aim reached' | 'reached' | 'missed' | 'not measured';
}

function speed(what: string, key: string, row: string, column: string, atLeast: number, aim: number): Goal {
  return { what, key, row, column, unit: '×', better: 'more', atLeast, aim };
}

const SMALL = 'apply/small/durable';

export const GOALS: readonly Goal[] = [
  speed('apply, small OLTP, GTIDs kept, durable', SMALL, MILLRACE, 'vsNative', 1.3, 2),
  speed('the same against the best native worker count', SMALL, MILLRACE, 'vsBest', 1.1, 1.5),
  speed('the same with commit_order: source', SMALL, MILLRACE_SOURCE, 'vsNative', 0.9, 1.1),
  speed('apply, small OLTP, coalesced, durable', SMALL, MILLRACE_COALESCED, 'vsNative', 4, 8),
  speed(
    'apply, small OLTP, coalesced, relaxed',
    'apply/small/relaxed',
    MILLRACE_COALESCED,
    'vsNative',
    2.5,
    4,
  ),
  speed('apply, bulk rows', 'apply/bulk/durable', MILLRACE, 'vsNative', 1, 1.3),
  speed('apply, 1 MiB blobs', 'apply/blobs/durable', MILLRACE, 'vsNative', 0.75, 1),
  speed('apply, tables without a key', 'apply/keyless/durable', MILLRACE, 'vsNative', 0.95, 1.2),
  speed(
    'apply, tables without a key, coalesced',
    'apply/keyless/durable',
    MILLRACE_COALESCED,
    'vsNative',
    1.3,
    3,
  ),
  speed('receive, small transactions', 'receive/small', 'Millrace', 'plain', 3, 4),
  speed('receive, bulk rows', 'receive/bulk', 'Millrace', 'plain', 1.5, 2),
  speed('receive, 1 MiB blobs', 'receive/blobs', 'Millrace', 'plain', 0.8, 1.2),
  speed('receive over TLS, small transactions', 'receive/small', 'Millrace, TLS', 'tls', 2.5, 3),
  speed('receive over TLS, bulk rows', 'receive/bulk', 'Millrace, TLS', 'tls', 0.8, 1.2),
  speed('receive over TLS, 1 MiB blobs', 'receive/blobs', 'Millrace, TLS', 'tls', 0.6, 1),
  {
    what: 'latency p50',
    key: 'latency',
    row: 'Millrace',
    column: 'p50share',
    unit: 'of native',
    better: 'less',
    atLeast: 1.2,
    aim: 1,
  },
  {
    what: 'latency p99',
    key: 'latency',
    row: 'Millrace',
    column: 'p99share',
    unit: 'of native',
    better: 'less',
    atLeast: 1,
    aim: 0.7,
  },
  {
    what: 'recovery with a relay log of 10 GB, behind',
    key: 'recovery',
    row: 'killed while applying, far behind',
    column: 'seconds',
    unit: 's',
    better: 'less',
    atLeast: 1,
    aim: 0.3,
  },
  {
    what: 'recovery with a relay log of 10 GB, caught up',
    key: 'recovery',
    row: 'killed when caught up, last file of 1 GiB',
    column: 'seconds',
    unit: 's',
    better: 'less',
    atLeast: 1,
    aim: 0.3,
  },
  speed(
    'throughput with the page open and a scrape a second',
    'observe/small',
    'page open, a scrape a second',
    'vsAlone',
    0.97,
    1,
  ),
];

/** Peak memory of Millrace as a share of the replica's server, the worst of all apply runs. */
const MEMORY: Goal = {
  what: 'peak memory while applying, the worst workload',
  key: 'apply',
  row: MILLRACE,
  column: 'peak',
  unit: 'of native',
  better: 'less',
  atLeast: 1 / 4,
  aim: 1 / 7,
};

export function judge(entries: readonly BenchEntry[]): GoalResult[] {
  const results = GOALS.map((goal) => {
    const entry = entries.find(({ key }) => key === goal.key);
    const row = entry?.rows.find(({ name }) => name === goal.row);
    return result(goal, row?.values[goal.column]?.median ?? null, entry?.conditions.noisy ?? false);
  });
  const applied = entries.filter(({ section }) => section === 'apply');
  const shares = applied.flatMap(({ rows }) => {
    const mine = rows.find(({ name }) => name === MILLRACE)?.values.peak?.median;
    const theirs = rows.find(({ name }) => name === NATIVE)?.values.serverPeak?.median;
    return mine === undefined || theirs === undefined ? [] : mine / theirs;
  });
  const noisy = applied.some(({ conditions }) => conditions.noisy);
  return [...results, result(MEMORY, shares.length === 0 ? null : Math.max(...shares), noisy)];
}

function result(goal: Goal, value: number | null, noisy: boolean): GoalResult {
  if (value === null) return { ...goal, value, noisy, verdict: 'not measured' };
  const reaches = (mark: number): boolean => (goal.better === 'more' ? value >= mark : value <= mark);
  const verdict = reaches(goal.aim) ? 'aim reached' : reaches(goal.atLeast) ? 'reached' : 'missed';
  return { ...goal, value, noisy, verdict };
}
