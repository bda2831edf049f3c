import { describe, expect, test } from 'vitest';
import { type Column, Measurements, percentile, spread } from '../../bench/measurements.ts';

const COLUMNS: readonly Column[] = [
  { key: 'seconds', title: 'seconds', digits: 2 },
  { key: 'speed', title: 'vs native', digits: 2, ratio: { of: 'seconds', baseline: 'native', as: 'speed' } },
  { key: 'share', title: 'of native', digits: 2, ratio: { of: 'seconds', baseline: 'native', as: 'share' } },
];

describe('measurements', () => {
  test('ratios are taken round by round, so that a slow round weighs on both', () => {
    const measurements = new Measurements();
    for (const [round, [native, ours]] of [
      [10, 5],
      [100, 50],
      [12, 4],
    ].entries()) {
      measurements.add('native', round, { seconds: native! });
      measurements.add('ours', round, { seconds: ours! });
    }
    const [, ours] = measurements.rows(COLUMNS);
    expect(ours?.n).toBe(3);
    expect(ours?.values.seconds).toEqual({ median: 5, min: 4, max: 50 });
    expect(ours?.values.speed).toEqual({ median: 2, min: 2, max: 3 });
    expect(ours?.values.share?.median).toBe(0.5);
  });

  test('a round that the baseline did not take part in gives no ratio', () => {
    const measurements = new Measurements();
    measurements.add('native', 0, { seconds: 8 });
    measurements.add('ours', 1, { seconds: 4 });
    expect(measurements.rows(COLUMNS)[1]?.values).toEqual({ seconds: { median: 4, min: 4, max: 4 } });
  });

  test('who was refused stands in the table with the reason and without figures', () => {
    const measurements = new Measurements();
    measurements.refuse('coalesced', 'not in this version');
    expect(measurements.isRefused('coalesced')).toBe(true);
    expect(measurements.rows(COLUMNS)).toEqual([
      { name: 'coalesced', n: 0, values: {}, refused: 'not in this version' },
    ]);
  });

  test('the median of an even number of values lies between the middle two', () => {
    expect(spread([4, 1, 3, 2])).toEqual({ median: 2.5, min: 1, max: 4 });
    expect(spread([])).toBeNull();
  });

  test('the 99th percentile of 250 values is the third largest', () => {
    const values = Array.from({ length: 250 }, (_, i) => i);
    expect(percentile(values, 0.99)).toBe(247);
    expect(percentile(values, 0.5)).toBe(125);
  });
});
