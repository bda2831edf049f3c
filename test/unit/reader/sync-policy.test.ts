import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SyncPolicy } from '../../../src/reader/sync-policy.ts';

describe('the relay file is synced', () => {
  test('not when a transaction comes, but when it is quiet behind it', () => {
    const policy = new SyncPolicy(100);
    policy.received(1000);
    expect(policy.dueInMs(1000)).toBe(5);
    policy.received(1003);
    expect(policy.dueInMs(1005)).toBe(3);
    expect(policy.dueInMs(1008)).toBe(0);
  });

  test('at the latest when its oldest bytes have waited for so long, however much comes', () => {
    const policy = new SyncPolicy(100);
    for (let now = 1000; now <= 1100; now++) policy.received(now);
    expect(policy.dueInMs(1099)).toBe(1);
    expect(policy.dueInMs(1100)).toBe(0);
  });

  test('at most twice in that time', () => {
    const policy = new SyncPolicy(100);
    policy.received(1000);
    policy.begins(1005);
    policy.received(1020);
    expect(policy.dueInMs(1025)).toBe(30);
    expect(policy.dueInMs(1055)).toBe(0);
  });

  test('as if nothing had come before, where that left nothing to sync', () => {
    const policy = new SyncPolicy(100);
    policy.received(1000);
    policy.allIsDurable();
    policy.received(1500);
    expect(policy.dueInMs(1500)).toBe(5);
  });

  test('at once with sync: always', () => {
    const policy = new SyncPolicy(0);
    policy.received(1000);
    expect(policy.dueInMs(1000)).toBe(0);
  });

  test('so that nothing waits longer, whatever comes and when', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 70 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(gaps, fc.integer({ min: 0, max: 200 }), (list, syncMs) => {
        const policy = new SyncPolicy(syncMs);
        const arrivals = new Set<number>();
        let at = 1000;
        for (const gap of list) {
          at += gap;
          arrivals.add(at);
        }
        let oldest: number | null = null;
        const syncs: number[] = [];
        for (let now = 1000; now <= at + 300; now++) {
          if (arrivals.has(now)) {
            policy.received(now);
            oldest ??= now;
          }
          if (oldest === null || policy.dueInMs(now) > 0) continue;
          expect(now - oldest).toBeLessThanOrEqual(syncMs);
          policy.begins(now);
          syncs.push(now);
          oldest = null;
        }
        expect(oldest).toBeNull();
        for (const [n, sync] of syncs.entries()) {
          if (n >= 2) expect(sync - syncs[n - 2]!).toBeGreaterThanOrEqual(syncMs);
        }
      }),
    );
  });
});
