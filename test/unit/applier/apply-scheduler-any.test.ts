import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ApplyScheduler, type SchedulerLimits } from '../../../src/applier/apply-scheduler.ts';
import { type Planned, transaction } from '../../support/planned-units.ts';

/** A source's log: each transaction with what it really depends on, and the clock that says so. */
interface Step {
  /** How far back its last_committed lies before its predecessor; 0: it depends on its predecessor. */
  readonly reach: number;
  readonly barrier: boolean;
  readonly rotate: boolean;
  readonly bytes: number;
  /** It fails at first and asks to stand alone. */
  readonly fails: boolean;
  readonly mayFollow: boolean;
}

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    reach: fc.nat({ max: 12 }),
    barrier: fc.integer({ min: 0, max: 19 }).map((n) => n === 0),
    rotate: fc.integer({ min: 0, max: 24 }).map((n) => n === 0),
    bytes: fc.integer({ min: 1, max: 400 }),
    fails: fc.integer({ min: 0, max: 9 }).map((n) => n === 0),
    mayFollow: fc.boolean(),
  }),
  { minLength: 1, maxLength: 120 },
);

function planned(list: readonly Step[]): Planned[] {
  let clock = 1;
  let sequenceNumber = 0;
  return list.map(({ reach, barrier, rotate, bytes, mayFollow }, ordinal) => {
    if (rotate) {
      clock += 1;
      sequenceNumber = 0;
    }
    sequenceNumber += 1;
    const lastCommitted = Math.max(0, sequenceNumber - 1 - reach);
    const why = barrier ? 'a statement' : null;
    const follows = mayFollow && !barrier;
    return transaction(ordinal, {
      lastCommitted,
      sequenceNumber,
      clock,
      bytes,
      barrier: why,
      mayFollow: follows,
    });
  });
}

const FOLLOWING_MAX = 4;

/** Runs everything; `choose` says which of those that run finishes next. Calls `look` whenever something has changed. */
function play(
  list: readonly Step[],
  { unitsEach, ...limits }: SchedulerLimits & { readonly unitsEach: number },
  choose: (among: number) => number,
  look: (state: {
    queue: ApplyScheduler<Planned>;
    running: Set<Planned>;
    /** Sessions. */
    busy: number;
    committed: Set<Planned>;
    started: Planned;
    /** What is in its session before it. */
    ahead: readonly Planned[];
    all: readonly Planned[];
  }) => void,
): { committed: Planned[]; prefixes: number[] } {
  const all = planned(list);
  const queue = new ApplyScheduler<Planned>(limits);
  queue.sessions = limits.workers * unitsEach;
  const running = new Set<Planned>();
  const waiting = new Set<Planned>();
  const sessions = new Map<Planned, Planned[]>();
  const failed = new Set<Planned>();
  const committed = new Set<Planned>();
  const order: Planned[] = [];
  const prefixes: number[] = [];
  let admitted = 0;
  while (committed.size < all.length) {
    while (admitted < all.length && queue.canAdmit) queue.admit(all[admitted++]!);
    const canFollow = (_: Planned, before: Planned): boolean => {
      const session = sessions.get(before)!;
      expect(session.at(-1), 'behind the last in the session').toBe(before);
      return session.length < FOLLOWING_MAX && choose(4) % 2 === 0;
    };
    for (let next = queue.take(canFollow); next !== null; next = queue.take(canFollow)) {
      expect(waiting.size, 'nothing starts while one wants to stand alone').toBe(0);
      const { unit, before } = next;
      const session = before === null ? [] : sessions.get(before)!;
      const ahead = [...session];
      running.add(unit);
      session.push(unit);
      sessions.set(unit, session);
      const busy = new Set([...running].map((each) => sessions.get(each))).size;
      look({ queue, running, busy, committed, started: unit, ahead, all });
    }
    for (const each of waiting) {
      if (!queue.mayStandAlone(each)) continue;
      waiting.delete(each);
      running.add(each);
      sessions.set(each, [each]);
      expect(running.size, 'it stands alone').toBe(1);
    }
    // Only the first of a session can come to an end.
    const firsts = [...running].filter((each) => sessions.get(each)![0] === each);
    expect(firsts.length, 'something can go on').toBeGreaterThan(0);
    const done = firsts[choose(firsts.length) % firsts.length]!;
    const session = sessions.get(done)!;
    if (list[done.ordinal]!.fails && !failed.has(done) && !queue.ranAlone(done)) {
      failed.add(done);
      // Nothing behind it was run.
      for (const each of session.splice(0)) {
        running.delete(each);
        waiting.add(each);
        queue.standAlone(each);
      }
      continue;
    }
    running.delete(done);
    session.shift();
    queue.committed(done);
    committed.add(done);
    order.push(done);
    if (queue.inFlight === 0) prefixes.push(committed.size);
    const mark = queue.lowWaterMark;
    for (let i = 0; i < mark; i++) expect(committed.has(all[i]!)).toBe(true);
    if (mark < all.length) expect(committed.has(all[mark]!)).toBe(false);
  }
  expect(queue.idle).toBe(true);
  return { committed: order, prefixes };
}

const limits = fc.record({
  workers: fc.integer({ min: 1, max: 8 }),
  unitsEach: fc.integer({ min: 1, max: 2 }),
  commitOrder: fc.constantFrom('source', 'window', 'any'),
  windowMax: fc.integer({ min: 1, max: 20 }),
  bytesMax: fc.integer({ min: 1, max: 4000 }),
  transactionsMax: fc.integer({ min: 1, max: 60 }),
});
const choices = fc.infiniteStream(fc.nat({ max: 7 }));

describe('any source, any order of completion', () => {
  test('no transaction starts before all that its last_committed names have committed; barriers are alone', () => {
    fc.assert(
      fc.property(steps, limits, choices, (list, limit, stream) => {
        play(
          list,
          limit,
          () => stream.next().value,
          ({ running, busy, committed, started, ahead, all }) => {
            expect(busy).toBeLessThanOrEqual(limit.workers * limit.unitsEach);
            const inOrder = limit.commitOrder === 'source' && started.mayFollow;
            if (inOrder) expect(running.size).toBe(ahead.length + 1);
            if (started.barrier !== null) expect(running.size).toBe(1);
            for (const other of running) {
              if (other !== started && other.barrier !== null)
                throw new Error('something runs beside a barrier');
            }
            for (const before of all.slice(0, started.ordinal)) {
              const needed = before.clock !== started.clock || before.sequenceNumber <= started.lastCommitted;
              if (needed && !committed.has(before) && !ahead.includes(before))
                throw new Error(`${started.name} before ${before.name}`);
            }
          },
        );
      }),
    );
  });

  test('everything comes to its end, whatever fails at first', () => {
    fc.assert(
      fc.property(steps, limits, choices, (list, limit, stream) => {
        const { committed } = play(
          list,
          limit,
          () => stream.next().value,
          () => {},
        );
        expect(committed).toHaveLength(list.length);
      }),
    );
  });

  test('commit_order window: a transaction waits at most for a window, and every window ends in a consistent prefix', () => {
    fc.assert(
      fc.property(steps, limits, choices, (list, limit, stream) => {
        const window = { ...limit, commitOrder: 'window' } as const;
        let latest = 0;
        const { committed, prefixes } = play(
          list,
          window,
          () => stream.next().value,
          ({ queue, started }) => {
            latest = Math.max(latest, started.ordinal);
            // What goes on behind everything else in one session keeps the order, and is in no window.
            expect(latest - queue.lowWaterMark).toBeLessThan(window.windowMax + FOLLOWING_MAX);
          },
        );
        // At each end, exactly the first so many are committed.
        let before = 0;
        for (const end of prefixes) {
          const ordinals = committed.slice(0, end).map(({ ordinal }) => ordinal);
          expect(Math.max(...ordinals)).toBe(end - 1);
          before = end;
        }
        expect(before).toBe(list.length);
      }),
    );
  });

  test('memory: what is taken in stays below the limit, or is one transaction', () => {
    fc.assert(
      fc.property(steps, limits, choices, (list, limit, stream) => {
        play(
          list,
          limit,
          () => stream.next().value,
          ({ queue, committed, all }) => {
            if (queue.canAdmit) return;
            // The last one taken in may pass the limit, never two.
            const held = all.filter(
              (each) => !committed.has(each) && each.ordinal < queue.lowWaterMark + limit.transactionsMax,
            );
            expect(held.length).toBeGreaterThan(0);
          },
        );
      }),
      { numRuns: 30 },
    );
  });
});
