import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type LagFacts, lagSeconds } from '../../../src/observe/lag.ts';

/** Monotonic. */
const NOW = 5_000_000;
const PENDING = '1700000000000000';

function facts(change: Partial<LagFacts>): LagFacts {
  return {
    observed: true,
    caughtUpWithSource: false,
    contactAtMs: NOW - 200,
    heartbeatMs: 1000,
    caughtUpWithRelay: false,
    pendingCommitMicros: null,
    pendingAgeMs: null,
    lastAgeMs: null,
    lastAppliedAtMs: null,
    ...change,
  };
}

describe('lag', () => {
  test.each<[string, Partial<LagFacts>, number | null]>([
    ['nothing is known: unknown', {}, null],
    ['caught up on both sides: 0', { caughtUpWithRelay: true, caughtUpWithSource: true }, 0],
    [
      'the proof has aged, the source went silent: unknown',
      { caughtUpWithRelay: true, caughtUpWithSource: true, contactAtMs: NOW - 3_001 },
      null,
    ],
    [
      'a rare heartbeat proves for ten seconds, not for hours',
      {
        caughtUpWithRelay: true,
        caughtUpWithSource: true,
        contactAtMs: NOW - 10_001,
        heartbeatMs: 3_600_000,
      },
      null,
    ],
    ['caught up with the relay log only: unknown', { caughtUpWithRelay: true }, null],
    ['the relay log is complete, not all of it applied: unknown', { caughtUpWithSource: true }, null],
    ['something is pending: its age', { pendingCommitMicros: PENDING, pendingAgeMs: 4_250 }, 4.25],
    [
      'pending beats every proof',
      {
        pendingCommitMicros: PENDING,
        pendingAgeMs: 100,
        caughtUpWithRelay: true,
        caughtUpWithSource: true,
      },
      0.1,
    ],
    [
      'something is pending, and the clocks do not tell since when: unknown',
      { pendingCommitMicros: PENDING, caughtUpWithRelay: true, caughtUpWithSource: true },
      null,
    ],
    [
      'something is pending that would come from the future: unknown, not 0',
      { pendingCommitMicros: PENDING, pendingAgeMs: -9_000 },
      null,
    ],
    [
      'something has only just come: not 0 either',
      { pendingCommitMicros: PENDING, pendingAgeMs: 0.2 },
      0.001,
    ],
    [
      'steady load: the age at which the last one was applied',
      { caughtUpWithRelay: true, lastAgeMs: 150, lastAppliedAtMs: NOW - 650 },
      0.15,
    ],
    [
      'steady load without a proof is not 0, however quick',
      { caughtUpWithRelay: true, lastAgeMs: 0.3, lastAppliedAtMs: NOW - 650 },
      0.001,
    ],
    [
      'the last one was committed too long ago to tell',
      { caughtUpWithRelay: true, lastAgeMs: 100, lastAppliedAtMs: NOW - 1_900 },
      null,
    ],
    [
      'the clocks do not tell how old the last one was: unknown',
      { caughtUpWithRelay: true, lastAppliedAtMs: NOW - 650 },
      null,
    ],
    [
      'the reader does not stream: unknown, whatever the rest says',
      { observed: false, caughtUpWithRelay: true, caughtUpWithSource: true },
      null,
    ],
    [
      'the reader does not stream, something is pending: unknown',
      { observed: false, pendingCommitMicros: PENDING, pendingAgeMs: 9_000 },
      null,
    ],
  ])('%s', (_what, change, expected) => {
    expect(lagSeconds(facts(change), NOW)).toBe(expected);
  });

  test('is never negative, and 0 only on proof with nothing pending', () => {
    const near = fc.integer({ min: -5_000, max: 5_000 });
    fc.assert(
      fc.property(
        fc.record({
          observed: fc.boolean(),
          caughtUpWithSource: fc.boolean(),
          contactAtMs: fc.option(near.map((n) => NOW + n)),
          heartbeatMs: fc.integer({ min: 100, max: 20_000 }),
          caughtUpWithRelay: fc.boolean(),
          pendingCommitMicros: fc.option(fc.constant(PENDING)),
          pendingAgeMs: fc.option(near),
          lastAgeMs: fc.option(near),
          lastAppliedAtMs: fc.option(near.map((n) => NOW + n)),
        }),
        (given) => {
          const lag = lagSeconds(given, NOW);
          if (lag === null) return;
          expect(given.observed).toBe(true);
          if (given.pendingCommitMicros === null) expect(given.caughtUpWithRelay).toBe(true);
          if (lag > 0) return;
          expect(lag).toBe(0);
          expect(given.pendingCommitMicros).toBeNull();
          expect(given.caughtUpWithSource).toBe(true);
          expect(NOW - given.contactAtMs!).toBeLessThanOrEqual(10_000);
        },
      ),
    );
  });
});
