import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ApplyScheduler, type Schedulable } from '../../../src/applier/apply-scheduler.ts';
import type { ApplyUnit } from '../../../src/applier/apply-unit.ts';
import { CommitTurns } from '../../../src/applier/commit-turns.ts';

const LIMITS = {
  workers: 4,
  commitOrder: 'source',
  windowMax: 1,
  bytesMax: 1e6,
  transactionsMax: 1000,
} as const;

function setUp(count: number, workers: number = LIMITS.workers) {
  const scheduler = new ApplyScheduler<ApplyUnit>({ ...LIMITS, workers });
  const turns = new CommitTurns((unit) => scheduler.isFirst(unit));
  for (let ordinal = 0; ordinal < count; ordinal++) scheduler.admit(unit(ordinal));
  const commit = (each: ApplyUnit): void => {
    scheduler.committed(each);
    turns.ended();
  };
  return { scheduler, turns, commit };
}

/** Independent of all others. */
function unit(ordinal: number): ApplyUnit {
  const sequence = ordinal + 1;
  const conflicts: Schedulable['conflicts'] = {
    by: 'clock',
    clock: 1,
    lastCommitted: 0,
    firstSequence: sequence,
    sequenceNumber: sequence,
  };
  return { ordinal, conflicts, bytes: 1, members: [], mayFollow: false };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

describe('the source’s order of commits', () => {
  test('is kept, in whatever order the transactions are done, and they run side by side', async () => {
    const property = fc.asyncProperty(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 8 }),
      fc.infiniteStream(fc.nat({ max: 7 })),
      async (count, workers, choices) => {
        const { scheduler, turns, commit } = setUp(count, workers);
        const order: number[] = [];
        const running: ApplyUnit[] = [];
        let beside = 0;
        while (!scheduler.idle) {
          for (let next = scheduler.takeReady(); next !== null; next = scheduler.takeReady())
            running.push(next);
          beside = Math.max(beside, scheduler.inFlight);
          // With all bodies done the first has had its turn.
          expect(running.length).toBeGreaterThan(0);
          const [done] = running.splice(choices.next().value % running.length, 1);
          const finish = (): void => {
            order.push(done!.ordinal);
            commit(done!);
          };
          const turn = turns.wait(done!);
          if (turn === null) finish();
          else void turn.then((yours) => expect(yours).toBe(true)).then(finish);
          for (let settle = 0; settle < 4 * workers; settle++) await Promise.resolve();
        }
        expect(order).toEqual(Array.from({ length: count }, (_, i) => i));
        expect(beside).toBe(Math.min(count, workers));
        turns.close();
      },
    );
    await fc.assert(property, { numRuns: 50 });
  });
});

describe('whoever waits for its turn gives way', () => {
  async function twoWait() {
    const all = setUp(3);
    const [first, second, third] = [1, 2, 3].map(() => all.scheduler.takeReady()!);
    const waiting = [all.turns.wait(second!), all.turns.wait(third!)];
    return { ...all, first: first!, second: second!, waiting };
  }

  test('when the first does not get on between two looks', async () => {
    const { waiting, turns } = await twoWait();
    await vi.advanceTimersByTimeAsync(250);
    expect(await Promise.all(waiting)).toEqual([false, false]);
    turns.close();
  });

  test('but not while commits go on', async () => {
    const { first, second, waiting, turns, commit } = await twoWait();
    await vi.advanceTimersByTimeAsync(90);
    commit(first);
    expect(await waiting[0]).toBe(true);
    await vi.advanceTimersByTimeAsync(90);
    commit(second);
    expect(await waiting[1]).toBe(true);
    turns.close();
  });

  test('when it is told to, and for ever after the end', async () => {
    const { waiting, turns, first, second } = await twoWait();
    turns.giveWay();
    expect(await Promise.all(waiting)).toEqual([false, false]);
    turns.close();
    expect(await turns.wait(second)).toBe(false);
    expect(turns.wait(first)).toBeNull();
    expect(vi.getTimerCount()).toBe(0);
  });
});
