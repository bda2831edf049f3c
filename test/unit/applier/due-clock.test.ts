import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { NO_SOURCE_CLOCK, SPANS_MAX } from '../../../src/relay/source-clock.ts';
import { ClockWorld, type Committed } from './clock-world.ts';

const HOUR = 3_600_000;
const DELAY = 5_000;
/** Timestamps are whole microseconds. */
const EXACT_MS = 0.01;

let world: ClockWorld;

beforeEach(() => {
  world = new ClockWorld();
});

/** A second of a busy source: ten transactions, then a look at its clock. */
function second(): void {
  for (let i = 0; i < 10; i++) {
    world.pass(100);
    world.commit();
    world.deliver();
  }
  world.look();
}

function worst(transactions: readonly Committed[] = world.received): { early: number; late: number } {
  const late = transactions.map((transaction) => world.lateMs(transaction, DELAY));
  return { early: Math.max(0, -Math.min(...late)), late: Math.max(...late) };
}

function since(count: number): readonly Committed[] {
  return world.received.slice(count);
}

describe('a delayed transaction', () => {
  test('is due when the delay is over since its commit on the source, to a round trip', () => {
    world.look();
    for (let i = 0; i < 5; i++) second();
    expect(worst().early).toBeLessThan(EXACT_MS);
    expect(worst().late).toBeLessThan(1);
  });

  test('counts from when it was seen while nothing is known, and is told by the first look', () => {
    world.commit();
    world.pass(60_000);
    world.deliver();
    const [transaction] = world.received as [Committed];
    expect(world.due.blind).toBe(true);
    expect(world.due.dueInMs(transaction, DELAY)).toBe(DELAY);
    world.pass(2_000);
    expect(world.due.dueInMs(transaction, DELAY)).toBe(DELAY - 2_000);
    world.look();
    expect(world.due.blind).toBe(false);
    expect(world.due.dueInMs(transaction, DELAY)).toBe(0);
  });

  test('waits no longer than from when it was seen, however long nobody reads the clock', () => {
    for (let i = 0; i < 20; i++) {
      world.pass(100);
      world.commit();
      world.deliver();
    }
    const [first] = world.received as [Committed];
    const last = world.received.at(-1)!;
    expect(world.due.dueInMs(first, DELAY)).toBe(DELAY);
    world.pass(DELAY);
    expect(world.due.dueInMs(first, DELAY)).toBe(0);
    expect(world.due.dueInMs(last, DELAY)).toBe(0);
  });

  test('is not touched by steps of our own wall clock', () => {
    world.look();
    for (const step of [HOUR, -HOUR, -HOUR, HOUR]) {
      second();
      world.stepOurs(step);
      second();
    }
    expect(worst().early).toBeLessThan(EXACT_MS);
    expect(worst().late).toBeLessThan(1);
  });

  test.each([
    ['ahead', HOUR],
    ['back', -HOUR],
  ])("is never early when the source's clock is set %s, and late by a second at most", (_what, step) => {
    world.look();
    second();
    const before = world.received.length;
    world.pass(450);
    world.commit();
    world.deliver();
    world.stepSource(step);
    second();
    for (let i = 0; i < 5; i++) second();
    expect(worst().early).toBeLessThan(EXACT_MS);
    expect(worst().late).toBeLessThan(2_000);
    // What came before the step and after the next look is as exact as ever.
    expect(worst(world.received.slice(0, before)).late).toBeLessThan(1);
    expect(worst(since(before + 21)).late).toBeLessThan(1);
  });

  test.each([
    ['ahead', HOUR],
    ['back', -HOUR],
  ])("is never early when the source's clock was set %s while we were away", (_what, step) => {
    world.look();
    second();
    const before = world.received.length;
    world.goOffline();
    for (let i = 0; i < 100; i++) {
      world.pass(60_000);
      world.commit();
    }
    world.stepSource(step);
    for (let i = 0; i < 100; i++) {
      world.pass(60_000);
      world.commit();
    }
    world.goOnline();
    world.deliverAll(10);
    second();
    second();
    expect(worst().early).toBeLessThan(EXACT_MS);
    expect(worst(since(before)).late).toBeLessThanOrEqual(HOUR + 2_000);
    expect(worst(since(before + 210)).late).toBeLessThan(1);
  });

  test('that lay on the source while we were away is told by its timestamp', () => {
    world.look();
    second();
    world.goOffline();
    const before = world.received.length;
    for (let i = 0; i < 100; i++) {
      world.pass(60_000);
      world.commit();
    }
    world.goOnline();
    world.deliver(50);
    world.look();
    expect(worst(since(before)).early).toBeLessThan(EXACT_MS);
    expect(worst(since(before)).late).toBeLessThan(1);
  });

  test('counts from its arrival where timestamps go back, until something behind it is told', () => {
    world.look();
    second();
    const before = world.received.length;
    // There and back between two looks: nothing but the order of timestamps shows it.
    world.pass(100);
    world.commit();
    world.deliver();
    world.stepSource(-HOUR);
    world.pass(100);
    world.commit();
    world.deliver();
    world.stepSource(HOUR);
    world.look();
    second();
    expect(worst().early).toBeLessThan(EXACT_MS);
    expect(worst(since(before)).late).toBeLessThan(1_200);
  });

  test('that a step back and a lost connection follow counts from its arrival, until the clock is read', () => {
    world.look();
    world.pass(5 * HOUR);
    world.stepSource(-HOUR);
    world.commit();
    world.deliver();
    world.goOffline();
    const [transaction] = world.received as [Committed];
    expect(world.lateMs(transaction, DELAY)).toBeGreaterThan(0);
    expect(world.lateMs(transaction, DELAY)).toBeLessThan(2);
    world.pass(20_000);
    world.goOnline();
    expect(world.lateMs(transaction, DELAY)).toBeGreaterThan(0);
    expect(world.lateMs(transaction, DELAY)).toBeLessThan(2);
  });

  test('that came after a boot, before the clock could be read, is not moved with what came before it', () => {
    world.look();
    second();
    world.reboot(60_000);
    world.online = true;
    world.pass(5_000);
    world.commit();
    world.deliver();
    world.look(1, false);
    const last = world.received.at(-1)!;
    expect(world.lateMs(last, DELAY)).toBeGreaterThan(0);
    world.pass(2_000);
    world.look();
    expect(worst().early).toBeLessThan(EXACT_MS);
    expect(worst().late).toBeLessThan(3);
  });

  test('is not forgotten by a restart, and the time that it took counts', () => {
    world.look();
    for (let i = 0; i < 3; i++) second();
    world.pass(300);
    world.commit();
    world.deliver();
    world.stepOurs(-HOUR);
    world.restart();
    world.pass(90_000);
    expect(worst().early).toBeLessThan(EXACT_MS);
    // All but the last one, which came after the last look, is known without the source.
    expect(worst(world.received.slice(0, -1)).late).toBeLessThan(1);
    world.goOnline();
    expect(worst().late).toBeLessThan(1);
  });

  test('waits after a boot until the source is reached, and then no longer than need be', () => {
    world.look();
    for (let i = 0; i < 3; i++) second();
    const [first] = world.received as [Committed];
    world.reboot(2_000);
    expect(world.due.blind).toBe(true);
    expect(worst().early).toBeLessThan(EXACT_MS);
    expect(world.lateMs(first, DELAY)).toBeGreaterThan(1_900);
    world.goOnline();
    expect(world.due.blind).toBe(false);
    expect(worst().early).toBeLessThan(EXACT_MS);
    expect(worst().late).toBeLessThan(2);
  });

  test.each([
    ['ours was set ahead', (): void => world.stepOurs(HOUR)],
    ['ours was set back', (): void => world.stepOurs(-HOUR)],
    ["the source's was set ahead", (): void => world.stepSource(HOUR)],
    ["the source's was set back", (): void => world.stepSource(-HOUR)],
  ])('is never early after a boot in which one clock changed: %s', (_what, step) => {
    world.look();
    for (let i = 0; i < 3; i++) second();
    step();
    world.reboot(60_000);
    world.goOnline();
    expect(worst().early).toBeLessThan(EXACT_MS);
    second();
    expect(worst().early).toBeLessThan(EXACT_MS);
  });

  test('has an age for people, which is unknown rather than wrong', () => {
    expect(world.due.ageMs({ ...somewhere(), commitMicros: 1n })).toBeNull();
    world.look();
    world.commit();
    world.deliver();
    world.pass(250);
    const last = (): number | null => world.due.ageMs(world.received.at(-1)!);
    expect(last()).toBeGreaterThanOrEqual(251);
    expect(last()).toBeLessThan(252);
    world.stepSource(HOUR);
    world.commit();
    world.deliver();
    // From the future, as far as is known.
    expect(last()).toBeNull();
    world.look();
    // It was committed by now; since when is not known.
    expect(last()).toBeNull();
    second();
    second();
    expect(last()).toBeGreaterThanOrEqual(0);
    expect(last()).toBeLessThan(10);
  });

  test('has an age that is never below the truth, whatever was set while we were away', () => {
    world.look();
    second();
    world.goOffline();
    world.commit();
    world.pass(5 * HOUR);
    world.stepSource(-HOUR);
    world.goOnline();
    world.deliver();
    world.look();
    const backlog = world.received.at(-1)!;
    const age = world.due.ageMs(backlog);
    if (age !== null) expect(age).toBeGreaterThanOrEqual(5 * HOUR);
    second();
    second();
    expect(world.due.ageMs(world.received.at(-1)!)).toBeLessThan(2);
  });

  test('whole seconds of a statement count from their end', () => {
    world.look();
    world.commit();
    world.deliver();
    world.look();
    const [exact] = world.received as [Committed];
    const rounded = { ...exact, commitMicros: (exact.commitMicros / 1_000_000n) * 1_000_000n };
    const late = world.lateMs({ ...rounded, commitIsExact: false }, DELAY);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThanOrEqual(1_001);
  });

  test('without a delay is due at once, whatever is known', () => {
    world.due.learn(NO_SOURCE_CLOCK);
    expect(world.due.dueInMs(somewhere(), 0)).toBe(0);
  });

  test('is never early in any world whose clocks step once between two looks', () => {
    const step = fc.constantFrom(HOUR, -HOUR, 90_000, -90_000, 2_000, -2_000);
    const action = fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ do: fc.constant('commit'), ms: fc.integer({ min: 1, max: 900 }) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ do: fc.constant('deliver'), ms: fc.integer({ min: 0, max: 40 }) }),
      },
      { weight: 4, arbitrary: fc.record({ do: fc.constant('look'), ms: fc.integer({ min: 0, max: 30 }) }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('miss'), ms: fc.integer({ min: 1, max: 3_000 }) }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('step-source'), ms: step }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('step-ours'), ms: step }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('idle'), ms: fc.integer({ min: 1, max: 2 * HOUR }) }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('lose'), ms: fc.constant(0) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('return'), ms: fc.integer({ min: 0, max: 30 }) }) },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('restart'), ms: fc.integer({ min: 1, max: 9_000 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('reboot'), ms: fc.integer({ min: 1, max: 90_000 }) }),
      },
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), fc.constantFrom(0.2, 20, 60), (actions, trip) => {
        world = new ClockWorld();
        world.look(trip);
        let stepped = false;
        for (const { do: what, ms } of actions) {
          const reads = (what === 'look' && world.online) || what === 'return';
          if (what === 'commit') {
            world.pass(ms);
            world.commit();
          } else if (what === 'deliver') world.deliver(ms);
          else if (what === 'look') world.look(trip + ms);
          else if (what === 'miss') world.look(ms, false);
          else if (what === 'idle') world.pass(ms);
          else if (what === 'lose') world.goOffline();
          else if (what === 'return') world.goOnline(trip + ms);
          else if (what === 'restart') {
            world.restart();
            world.pass(ms);
          } else if (what === 'reboot') world.reboot(ms);
          else if (!stepped) {
            stepped = true;
            if (what === 'step-source') world.stepSource(ms);
            else world.stepOurs(ms);
          }
          if (reads) stepped = false;
          for (const transaction of world.received) {
            if (world.lateMs(transaction, DELAY) < -EXACT_MS) {
              throw new Error(`early by ${-world.lateMs(transaction, DELAY)} ms after ${what}`);
            }
          }
        }
      }),
      { numRuns: 400 },
    );
  });

  test('in a relay log that begins anew is not taken for what stood there before', () => {
    world.look();
    for (let i = 0; i < 3; i++) second();
    world.pass(60_000);
    // The operator removed the files, and what is known of the clock stayed.
    world.clock.cutBack({ fileNumber: 0, offset: 0 });
    world.received.length = 0;
    world.commit();
    world.deliver();
    const [first] = world.received as [Committed];
    expect(world.lateMs(first, DELAY)).toBeGreaterThanOrEqual(0);
    world.look();
    expect(world.lateMs(first, DELAY)).toBeGreaterThanOrEqual(0);
    expect(world.lateMs(first, DELAY)).toBeLessThan(2);
  });

  test('behind what a power cut left of the relay log is not taken for what was lost', () => {
    world.look();
    for (let i = 0; i < 3; i++) second();
    world.received.length = 15;
    world.clock.cutBack(world.end);
    world.pass(60_000);
    world.commit();
    world.deliver();
    world.look();
    expect(worst().early).toBeLessThan(EXACT_MS);
    expect(worst().late).toBeLessThan(2);
    expect(world.clock.snapshot().spans.every(({ end }) => end.offset <= world.end.offset)).toBe(true);
  });

  test('what is kept does not grow with steps, losses and time', () => {
    world.look();
    for (let i = 0; i < 3 * SPANS_MAX; i++) {
      world.pass(300);
      world.commit();
      world.deliver();
      world.stepSource(i % 3 === 0 ? 20_000 : -7_000);
      if (i % 5 === 0) world.goOffline();
      world.goOnline();
    }
    expect(world.clock.snapshot().spans.length).toBeLessThanOrEqual(SPANS_MAX);
    expect(worst().early).toBeLessThan(EXACT_MS);
    expect(worst(world.received.slice(-100)).late).toBeLessThan(1_000);
  });

  test('a month of a quiet clock is a few spans', () => {
    world.look();
    for (let day = 0; day < 30; day++) {
      world.pass(24 * HOUR - 1_000);
      second();
    }
    expect(world.clock.snapshot().spans.length).toBeLessThan(5);
  });
});

function somewhere(): Committed {
  return {
    committedMs: 0,
    location: { fileNumber: 1, offset: 200 },
    commitMicros: 1_700_000_000_000_000n,
    commitIsExact: true,
  };
}
