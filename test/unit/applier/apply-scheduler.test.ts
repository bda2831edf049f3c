import { describe, expect, test } from 'vitest';
import { ApplyScheduler, type SchedulerLimits } from '../../../src/applier/apply-scheduler.ts';
import { type Planned, transaction } from '../../support/planned-units.ts';

const LIMITS: SchedulerLimits = {
  workers: 4,
  commitOrder: 'window',
  windowMax: 16,
  bytesMax: 1_000_000,
  transactionsMax: 1000,
};

function scheduler(limits: Partial<SchedulerLimits> = {}): ApplyScheduler<Planned> {
  return new ApplyScheduler<Planned>({ ...LIMITS, ...limits });
}

function names(ready: readonly (Planned | null)[]): (string | undefined)[] {
  return ready.map((each) => each?.name);
}

function takeAll(queue: ApplyScheduler<Planned>): Planned[] {
  const taken: Planned[] = [];
  for (let next = queue.takeReady(); next !== null; next = queue.takeReady()) taken.push(next);
  return taken;
}

describe('the apply scheduler', () => {
  test('a transaction waits for the one it depends on, and the next ones wait behind it', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const first = transaction(0, { lastCommitted: 0 });
    const dependent = transaction(1, { lastCommitted: 1 });
    const independent = transaction(2, { lastCommitted: 0 });
    for (const each of [first, dependent, independent]) queue.admit(each);
    expect(names(takeAll(queue))).toEqual(['t0']);
    queue.committed(first);
    expect(names(takeAll(queue))).toEqual(['t1', 't2']);
  });

  test('as many units run as there are sessions, and more when there are more', () => {
    const queue = scheduler({ workers: 2, commitOrder: 'any' });
    for (let i = 0; i < 6; i++) queue.admit(transaction(i, { lastCommitted: 0 }));
    expect(names(takeAll(queue))).toEqual(['t0', 't1']);
    queue.sessions = 4;
    expect(names(takeAll(queue))).toEqual(['t2', 't3']);
  });

  test('more sessions are wanted when all have something in flight, unless that is long', () => {
    for (const [bytes, wanted] of [
      [1_000, true],
      [300_000, true],
      [600_000, false],
    ] as const) {
      const queue = scheduler({ workers: 2, commitOrder: 'any' });
      const [first, second] = [0, 1].map((i) => transaction(i, { lastCommitted: 0, bytes }));
      queue.admit(first!);
      queue.admit(second!);
      queue.takeReady();
      expect(queue.isFullOfShort).toBe(false);
      queue.takeReady();
      expect(queue.isFullOfShort).toBe(wanted);
      queue.committed(first!);
      expect(queue.isFullOfShort).toBe(false);
    }
  });

  test('what committed on the source at once runs at once, up to the number of workers', () => {
    const queue = scheduler({ workers: 3, commitOrder: 'any' });
    for (let i = 0; i < 5; i++) queue.admit(transaction(i, { lastCommitted: 0 }));
    expect(names(takeAll(queue))).toEqual(['t0', 't1', 't2']);
    expect(queue.inFlight).toBe(3);
  });

  test('a barrier runs alone', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [0, 1, 2, 3].map((i) =>
      transaction(i, { lastCommitted: 0, barrier: i === 2 ? 'a statement' : null }),
    );
    for (const each of all) queue.admit(each);
    expect(names(takeAll(queue))).toEqual(['t0', 't1']);
    queue.committed(all[1]!);
    expect(takeAll(queue)).toEqual([]);
    queue.committed(all[0]!);
    expect(names(takeAll(queue))).toEqual(['t2']);
    queue.committed(all[2]!);
    expect(names(takeAll(queue))).toEqual(['t3']);
  });

  test('a clock that begins anew waits for everything of the clock before', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const old = transaction(0, { lastCommitted: 0, sequenceNumber: 70 });
    const fresh = transaction(1, { lastCommitted: 0, sequenceNumber: 1, clock: 2 });
    queue.admit(old);
    queue.admit(fresh);
    expect(names(takeAll(queue))).toEqual(['t0']);
    queue.committed(old);
    expect(names(takeAll(queue))).toEqual(['t1']);
  });

  test('units that change a key in common follow each other, others overlap', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [
      transaction(0, { keys: [1n, 2n] }),
      transaction(1, { keys: [3n] }),
      transaction(2, { keys: [2n, 3n, 4n] }),
      transaction(3, { keys: [5n] }),
    ];
    for (const each of all) queue.admit(each);
    expect(names(takeAll(queue))).toEqual(['t0', 't1']);
    queue.committed(all[0]!);
    expect(takeAll(queue)).toEqual([]);
    queue.committed(all[1]!);
    expect(names(takeAll(queue))).toEqual(['t2', 't3']);
  });

  test('keys and a clock cannot be compared: one waits for the other', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [transaction(0, { keys: [1n] }), transaction(1, { lastCommitted: 0 })];
    for (const each of all) queue.admit(each);
    expect(names(takeAll(queue))).toEqual(['t0']);
    queue.committed(all[0]!);
    expect(names(takeAll(queue))).toEqual(['t1']);
  });

  test('a unit of several transactions is waited for by whoever depends on any of them', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [
      transaction(0, { lastCommitted: 0, firstSequence: 1, sequenceNumber: 10 }),
      transaction(1, { lastCommitted: 0, firstSequence: 11, sequenceNumber: 20 }),
      transaction(2, { lastCommitted: 3, firstSequence: 21, sequenceNumber: 21 }),
    ];
    for (const each of all) queue.admit(each);
    expect(names(takeAll(queue))).toEqual(['t0', 't1']);
    queue.committed(all[1]!);
    expect(takeAll(queue)).toEqual([]);
    queue.committed(all[0]!);
    expect(names(takeAll(queue))).toEqual(['t2']);
  });

  test('what waits for others may follow them where they are in one session', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [
      transaction(0, { lastCommitted: 0, mayFollow: true }),
      transaction(1, { lastCommitted: 0, mayFollow: true }),
      transaction(2, { lastCommitted: 1, mayFollow: true }),
      transaction(3, { lastCommitted: 3, mayFollow: true }),
      transaction(4, { lastCommitted: 4, mayFollow: true }),
    ];
    for (const each of all) queue.admit(each);
    expect(names(takeAll(queue))).toEqual(['t0', 't1']);
    expect(queue.takeFollower(() => false)).toBeNull();
    expect(queue.takeFollower(() => true)).toEqual({ unit: all[2], before: all[0] });
    // It waits for two sessions.
    expect(queue.takeFollower(() => true)).toBeNull();
    queue.committed(all[1]!);
    expect(queue.takeFollower(() => true)).toEqual({ unit: all[3], before: all[2] });
    expect(queue.take(() => true)).toEqual({ unit: all[4], before: all[3] });
    expect(queue.isFullOfShort).toBe(false);
    for (const each of [0, 2, 3, 4]) queue.committed(all[each]!);
    expect(queue.idle).toBe(true);
  });

  test('what stands alone, and what may not follow, is not sent behind another', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [
      transaction(0, { mayFollow: true }),
      transaction(1),
      transaction(2, { mayFollow: true }),
      transaction(3, { mayFollow: true }),
    ];
    for (const each of all) queue.admit(each);
    expect(queue.take(() => true)).toEqual({ unit: all[0], before: null });
    expect(queue.take(() => true)).toBeNull();
    queue.committed(all[0]!);
    expect(queue.take(() => true)).toEqual({ unit: all[1], before: null });
    expect(queue.take(() => true)).toBeNull();
    queue.committed(all[1]!);
    expect(queue.take(() => true)).toEqual({ unit: all[2], before: null });
    queue.standAlone(all[2]!);
    expect(queue.take(() => true)).toBeNull();
  });

  test('commit_order source: what may follow does, though it depends on nothing', () => {
    const queue = scheduler({ commitOrder: 'source' });
    const all = Array.from({ length: 3 }, (_, i) => transaction(i, { lastCommitted: 0, mayFollow: true }));
    for (const each of all) queue.admit(each);
    expect(queue.take(() => true)).toEqual({ unit: all[0], before: null });
    expect(queue.take(() => false)).toBeNull();
    expect(queue.take(() => true)).toEqual({ unit: all[1], before: all[0] });
    expect(queue.take(() => true)).toEqual({ unit: all[2], before: all[1] });
  });

  test('commit_order source: what takes longer than its COMMIT runs beside others, unless it depends on them', () => {
    const queue = scheduler({ commitOrder: 'source' });
    const all = Array.from({ length: 3 }, (_, i) =>
      transaction(i, { lastCommitted: i === 2 ? 1 : 0, mayFollow: true, bytes: 100_000 }),
    );
    for (const each of all) queue.admit(each);
    expect(queue.take(() => true)).toEqual({ unit: all[0], before: null });
    expect(queue.take(() => true)).toEqual({ unit: all[1], before: null });
    expect(queue.take(() => true)).toBeNull();
    queue.committed(all[0]!);
    expect(queue.take(() => true)).toEqual({ unit: all[2], before: null });
  });

  test('commit_order window: with little queued the next is sent behind everything that is in flight', () => {
    const queue = scheduler({ workers: 4 });
    const all = Array.from({ length: 3 }, (_, i) => transaction(i, { lastCommitted: 0, mayFollow: true }));
    for (const each of all) queue.admit(each);
    expect(queue.take(() => true)).toEqual({ unit: all[0], before: null });
    expect(queue.take(() => true)).toEqual({ unit: all[1], before: all[0] });
    expect(queue.take(() => true)).toEqual({ unit: all[2], before: all[1] });
  });

  test('commit_order window: with little queued the source’s order is kept', () => {
    const queue = scheduler({ workers: 4 });
    const all = Array.from({ length: 7 }, (_, i) => transaction(i, { lastCommitted: 0 }));
    for (const each of all) queue.admit(each);
    for (const each of all) {
      expect(takeAll(queue)).toEqual([each]);
      queue.committed(each);
    }
  });

  test('commit_order window: a few transactions are much when they are large, and only while they are queued', () => {
    const queue = scheduler({ workers: 4, bytesMax: 500 });
    const all = Array.from({ length: 5 }, (_, i) => transaction(i, { lastCommitted: 0 }));
    for (const each of all) queue.admit(each);
    expect(takeAll(queue)).toEqual(all.slice(0, 4));
    for (const each of all.slice(0, 4)) queue.committed(each);
    expect(takeAll(queue)).toEqual([all[4]]);
    const large = transaction(5, { lastCommitted: 0, bytes: 200 });
    queue.admit(large);
    expect(queue.canAdmit).toBe(true);
    expect(takeAll(queue)).toEqual([]);
    queue.committed(all[4]!);
    expect(takeAll(queue)).toEqual([large]);
  });

  test('commit_order window: what is still to be read counts as if it were queued', () => {
    const queue = scheduler({ workers: 4, bytesMax: 50_000 });
    const all = [0, 1, 2].map((i) => transaction(i, { lastCommitted: 0 }));
    for (const each of all) queue.admit(each);
    queue.unreadBytes = 1000;
    expect(takeAll(queue)).toEqual([all[0]]);
    queue.unreadBytes = 25_000;
    expect(takeAll(queue)).toEqual([all[1], all[2]]);
    for (const each of all) queue.committed(each);
    queue.unreadBytes = 0;
    const others = [3, 4].map((i) => transaction(i, { lastCommitted: 0 }));
    for (const each of others) queue.admit(each);
    expect(takeAll(queue)).toEqual([others[0]]);
  });

  test('commit_order window: a full window is finished before the next one opens', () => {
    const queue = scheduler({ workers: 4, windowMax: 6 });
    const all = Array.from({ length: 40 }, (_, i) => transaction(i, { lastCommitted: 0 }));
    for (const each of all) queue.admit(each);
    const started: Planned[] = takeAll(queue);
    expect(started).toHaveLength(4);
    while (started.length < 6) {
      queue.committed(started[started.length - 4]!);
      started.push(...takeAll(queue));
    }
    for (const each of started.slice(2, 5)) queue.committed(each);
    expect(takeAll(queue)).toEqual([]);
    queue.committed(started[5]!);
    expect(names(takeAll(queue))).toEqual(['t6', 't7', 't8', 't9']);
  });

  test('the low-water mark stands before the oldest that is not committed', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [0, 1, 2].map((i) => transaction(i, { lastCommitted: 0 }));
    for (const each of all) queue.admit(each);
    takeAll(queue);
    queue.committed(all[2]!);
    queue.committed(all[1]!);
    expect(queue.lowWaterMark).toBe(0);
    expect(queue.oldest).toBe(all[0]);
    queue.committed(all[0]!);
    expect(queue.lowWaterMark).toBe(3);
    expect(queue.idle).toBe(true);
    expect(queue.oldest).toBeNull();
  });

  test('takes in bytes up to its limit, but always one transaction', () => {
    const queue = scheduler({ bytesMax: 150, commitOrder: 'any' });
    expect(queue.canAdmit).toBe(true);
    const large = transaction(0, { bytes: 5000 });
    queue.admit(large);
    expect(queue.canAdmit).toBe(false);
    takeAll(queue);
    queue.committed(large);
    expect(queue.canAdmit).toBe(true);
    queue.admit(transaction(1));
    expect(queue.canAdmit).toBe(true);
    queue.admit(transaction(2));
    expect(queue.canAdmit).toBe(false);
  });

  test('takes in transactions up to its limit', () => {
    const queue = scheduler({ transactionsMax: 2 });
    queue.admit(transaction(0));
    queue.admit(transaction(1));
    expect(queue.canAdmit).toBe(false);
  });

  test('whoever stands alone waits for the older ones, and for the younger ones that run; nothing new starts', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [0, 1, 2, 3, 4].map((i) => transaction(i, { lastCommitted: 0 }));
    for (const each of all) queue.admit(each);
    takeAll(queue);
    queue.standAlone(all[1]!);
    expect(queue.mayStandAlone(all[1]!)).toBe(false);
    queue.committed(all[0]!);
    expect(takeAll(queue)).toEqual([]);
    expect(queue.mayStandAlone(all[1]!)).toBe(false);
    queue.committed(all[2]!);
    queue.committed(all[3]!);
    expect(queue.mayStandAlone(all[1]!)).toBe(true);
    expect(takeAll(queue)).toEqual([]);
    queue.committed(all[1]!);
    expect(names(takeAll(queue))).toEqual(['t4']);
  });

  test('two that want to stand alone come in order', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [0, 1].map((i) => transaction(i, { lastCommitted: 0 }));
    for (const each of all) queue.admit(each);
    takeAll(queue);
    queue.standAlone(all[1]!);
    queue.standAlone(all[0]!);
    queue.standAlone(all[0]!);
    expect(queue.mayStandAlone(all[1]!)).toBe(false);
    expect(queue.mayStandAlone(all[0]!)).toBe(true);
    queue.committed(all[0]!);
    expect(queue.mayStandAlone(all[1]!)).toBe(true);
  });

  test('ran alone: oldest, and nothing has started beside it, not even later', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [0, 1, 2].map((i) => transaction(i, { lastCommitted: i === 2 ? 2 : 0 }));
    for (const each of all) queue.admit(each);
    const first = queue.takeReady()!;
    expect(queue.ranAlone(first)).toBe(true);
    queue.takeReady();
    expect(queue.ranAlone(first)).toBe(false);
    expect(queue.ranAlone(all[1]!)).toBe(false);
    queue.committed(all[0]!);
    expect(queue.ranAlone(all[1]!)).toBe(false);
    queue.committed(all[1]!);
    const last = queue.takeReady()!;
    expect(queue.ranAlone(last)).toBe(true);
  });

  test('what is given up is neither in flight nor committed', () => {
    const queue = scheduler({ commitOrder: 'any' });
    const all = [0, 1].map((i) => transaction(i, { lastCommitted: 0 }));
    for (const each of all) queue.admit(each);
    takeAll(queue);
    queue.standAlone(all[0]!);
    queue.givenUp(all[0]!);
    queue.committed(all[1]!);
    expect(queue.inFlight).toBe(0);
    expect(queue.lowWaterMark).toBe(0);
    expect(queue.oldest).toBe(all[0]);
  });

  test('its own mistakes are noticed: a gap in the order, a commit of what does not run', () => {
    const queue = scheduler();
    queue.admit(transaction(0));
    expect(() => queue.admit(transaction(2))).toThrow(/ordinals/);
    expect(() => queue.committed(transaction(0))).toThrow(/dispatched/);
    expect(() => queue.standAlone(transaction(0))).toThrow(/dispatched/);
    expect(() => queue.givenUp(transaction(0))).toThrow(/dispatched/);
    expect(() => scheduler({ workers: 0 })).toThrow(/worker/);
  });
});
