import { describe, expect, test } from 'vitest';
import { etaOf } from '../../../src/observe/catching-up.ts';
import { ChannelHistory, type ChannelSample, historyColumns } from '../../../src/observe/history.ts';

function sample(second: number, change: Partial<ChannelSample> = {}, backlogBytes: number | null = 0) {
  return {
    monotonicMs: second * 1000,
    wallMs: 1_700_000_000_000 + second * 1000,
    receivedLagSeconds: 0,
    durableLagSeconds: 0,
    transactions: 0,
    bytes: 0,
    targets: [{ lagSeconds: 0, transactions: 0, rows: 0, backlogBytes }],
    ...change,
  };
}

describe('the history of a channel', () => {
  test('keeps a quarter of an hour', () => {
    const history = new ChannelHistory();
    for (let second = 0; second < 5000; second++) history.add(sample(second));
    expect(history.samples).toHaveLength(900);
    expect(history.last?.monotonicMs).toBe(4_999_000);
  });

  test('a rate is over the last ten seconds, and not known before two', () => {
    const history = new ChannelHistory();
    history.add(sample(0, { transactions: 0 }));
    history.add(sample(1, { transactions: 100 }));
    expect(history.rate(({ transactions }) => transactions)).toBeNull();
    for (let second = 2; second <= 60; second++) {
      history.add(sample(second, { transactions: second < 50 ? 100 : 100 + (second - 50) * 7 }));
    }
    expect(history.rate(({ transactions }) => transactions)).toBe(7);
  });

  test('a counter that another thread began anew gives no rate', () => {
    const history = new ChannelHistory();
    for (let second = 0; second <= 10; second++) {
      history.add(sample(second, { transactions: second < 5 ? 1000 : second }));
    }
    expect(history.rate(({ transactions }) => transactions)).toBeNull();
  });

  test('a backlog drains, or grows, by the last minute', () => {
    const history = new ChannelHistory();
    for (let second = 0; second <= 120; second++) history.add(sample(second, {}, 10_000 - second * 50));
    expect(history.drainRate(0)).toBe(50);
    expect(history.drainRate(1)).toBeNull();
  });

  test('what the page draws is one column each', () => {
    const columns = historyColumns([sample(0), sample(1, { receivedLagSeconds: null })], 1);
    expect(columns).toEqual({
      at: [1_700_000_000, 1_700_000_001],
      received_lag: [0, null],
      durable_lag: [0, 0],
      transactions: [0, 0],
      bytes: [0, 0],
      targets: [{ lag: [0, 0], transactions: [0, 0] }],
    });
  });
});

describe('when a target will have caught up', () => {
  const facts = { lagSeconds: 300, backlogBytes: 60_000, drainRate: 500, kept: null };
  test.each([
    ['at the rate at which it drains', facts, { seconds: 120, text: 'in 2 min' }],
    ['never, when it grows', { ...facts, drainRate: -1 }, { seconds: null, text: 'never at this rate' }],
    [
      'never, when it stands still',
      { ...facts, drainRate: 0 },
      { seconds: null, text: 'never at this rate' },
    ],
    [
      'never, when it would take longer than anybody lives',
      { ...facts, backlogBytes: 1e12, drainRate: 0.01 },
      { seconds: null, text: 'never at this rate' },
    ],
    ['unknown without a rate', { ...facts, drainRate: null }, { seconds: null, text: 'unknown' }],
    ['unknown without a backlog', { ...facts, backlogBytes: null }, { seconds: null, text: 'unknown' }],
    ['now', { ...facts, lagSeconds: 0.4 }, { seconds: 0, text: 'caught up' }],
    ['not while it is kept', { ...facts, kept: 'delayed' }, { seconds: null, text: 'delayed' }],
  ])('%s', (_what, given, expected) => {
    expect(etaOf(given)).toEqual(expected);
  });
});
