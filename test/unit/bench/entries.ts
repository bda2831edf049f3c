/**
 * Entries of the bench's history, made up.
 */
import { MILLRACE, NATIVE } from '../../bench/apply.ts';
import type { BenchEntry } from '../../bench/bench-entry.ts';

const FSYNC = { p50: 0.1, p99: 0.3 };

/** Millrace applies in `seconds`, the server's replica in 10. */
export function applyEntry(
  seconds: number,
  more: Partial<BenchEntry> & { noisy?: boolean } = {},
): BenchEntry {
  const { noisy = false, ...rest } = more;
  const one = (value: number) => ({ median: value, min: value, max: value });
  const speed = { of: 'seconds', baseline: NATIVE, as: 'speed' } as const;
  return {
    section: 'apply',
    key: 'apply/small/durable',
    title: 'apply, small OLTP, durable',
    about: 'Some transactions.',
    columns: [
      { key: 'seconds', title: 'seconds', digits: 2 },
      { key: 'vsNative', title: 'vs native 4', digits: 2, ratio: speed },
    ],
    rows: [
      { name: NATIVE, n: 5, values: { seconds: one(10), vsNative: one(1), serverPeak: one(800) } },
      {
        name: MILLRACE,
        n: 5,
        values: { seconds: one(seconds), vsNative: { ...one(10 / seconds), max: 3 }, peak: one(160) },
      },
      { name: 'Millrace, coalesce: 100', n: 0, values: {}, refused: 'not in this version' },
    ],
    notes: [],
    when: '2026-11-01T10:00:00.000Z',
    commit: 'abcdef0123',
    size: 'standard',
    rounds: 5,
    machine: { cores: 2, cpu: 'a CPU', memoryGib: 24, kernel: '6.1.0', node: '20.20.2', mysql: '9.7.4' },
    conditions: {
      seconds: 100,
      foreignCpu: noisy ? 0.4 : 0.01,
      steal: 0,
      loadBefore: 0.5,
      loadAfter: 1.5,
      fsyncBefore: FSYNC,
      fsyncAfter: FSYNC,
      noisy,
    },
    ...rest,
  };
}
