import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  behindAtMostSeconds,
  type LagFacts,
  lagSeconds,
  receivedLagSeconds,
} from '../../../src/observe/lag.ts';

/** Monotonic. */
const NOW = 5_000_000;
const PENDING = '1700000000000000';

function pending(ageMs: number | null): Pick<LagFacts, 'pendingCommitMicros' | 'pendingAgeMs'> {
  return { pendingCommitMicros: PENDING, pendingAgeMs: ageMs };
}

function facts(change: Partial<LagFacts>): LagFacts {
  return {
    observed: true,
    caughtUpWithSource: false,
    contactAtMs: NOW - 200,
    heartbeatMs: 1000,
    proofAgeMs: null,
    missingAgeMs: null,
    caughtUpWithRelay: false,
    holdsReceived: true,
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
      { caughtUpWithRelay: true, caughtUpWithSource: true, contactAtMs: NOW - 2_001 },
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
    ['something is pending: its age', pending(4_250), 4.25],
    [
      'pending beats every proof',
      { ...pending(100), caughtUpWithRelay: true, caughtUpWithSource: true },
      0.1,
    ],
    [
      'something is pending, and the clocks do not tell since when: unknown',
      { ...pending(null), caughtUpWithRelay: true, caughtUpWithSource: true },
      null,
    ],
    ['something is pending that would come from the future: unknown, not 0', pending(-9_000), null],
    ['something has only just come: not 0 either', pending(0.2), 0.001],
    [
      'steady load without a proof is not 0, however quick',
      { caughtUpWithRelay: true, lastAgeMs: 0.3, lastAppliedAtMs: NOW - 650 },
      0.001,
    ],
    [
      'the clocks do not tell how old the last one was: unknown',
      { caughtUpWithRelay: true, lastAppliedAtMs: NOW - 650 },
      null,
    ],
    [
      'the source has something that is not received: at least so old',
      { caughtUpWithRelay: true, caughtUpWithSource: true, missingAgeMs: 4_000 },
      4,
    ],
    [
      'of what is pending and what is missing the older one counts',
      { ...pending(1_000), missingAgeMs: 7_000 },
      7,
    ],
    [
      'a look at the source that found nothing more proves it, too',
      { caughtUpWithRelay: true, proofAgeMs: 900 },
      0,
    ],
    ['such a look ages as well', { caughtUpWithRelay: true, proofAgeMs: 2_001 }, null],
    [
      'under load the way of the last transaction says more than a look',
      {
        caughtUpWithRelay: true,
        proofAgeMs: 900,
        lastAgeMs: 150,
        lastAppliedAtMs: NOW - 650,
      },
      0.15,
    ],
    [
      'steady load: the age at which the last one was applied',
      { caughtUpWithRelay: true, lastAgeMs: 150, lastAppliedAtMs: NOW - 650 },
      0.15,
    ],
    [
      'the last one was committed too long ago to tell',
      { caughtUpWithRelay: true, lastAgeMs: 100, lastAppliedAtMs: NOW - 1_900 },
      null,
    ],
    [
      'the reader does not stream: unknown, whatever the rest says',
      { observed: false, caughtUpWithRelay: true, caughtUpWithSource: true },
      null,
    ],
    [
      'the reader does not stream, something is pending: unknown',
      { observed: false, ...pending(9_000) },
      null,
    ],
  ])('%s', (_what, change, expected) => {
    expect(lagSeconds(facts(change), NOW)).toBe(expected);
  });

  test('is never negative, and 0 with nothing pending only on proof', () => {
    const near = fc.integer({ min: -5_000, max: 5_000 });
    fc.assert(
      fc.property(
        fc.record({
          observed: fc.boolean(),
          caughtUpWithSource: fc.boolean(),
          contactAtMs: fc.option(near.map((n) => NOW + n)),
          heartbeatMs: fc.integer({ min: 100, max: 20_000 }),
          proofAgeMs: fc.option(fc.integer({ min: 0, max: 5_000 })),
          missingAgeMs: fc.option(fc.integer({ min: 0, max: 5_000 })),
          caughtUpWithRelay: fc.boolean(),
          holdsReceived: fc.boolean(),
          pendingCommitMicros: fc.option(fc.constant(PENDING)),
          pendingAgeMs: fc.option(near),
          lastAgeMs: fc.option(near),
          lastAppliedAtMs: fc.option(near.map((n) => NOW + n)),
        }),
        (given) => {
          const lag = lagSeconds(given, NOW);
          if (lag === null) return;
          expect(lag).toBeGreaterThanOrEqual(0);
          expect(given.observed).toBe(true);
          if (given.pendingCommitMicros === null) expect(given.caughtUpWithRelay).toBe(true);
          if (lag > 0) return;
          expect(given.pendingCommitMicros).toBeNull();
          expect(given.missingAgeMs).toBeNull();
          expect(given.caughtUpWithSource || given.proofAgeMs !== null).toBe(true);
        },
      ),
    );
  });
});

describe('how far a target is behind at most', () => {
  test.each<[string, Partial<LagFacts>, number | null]>([
    ['nothing was ever proven', { caughtUpWithRelay: true }, null],
    ['all received is applied: as old as the proof', { caughtUpWithRelay: true, proofAgeMs: 12_000 }, 12],
    [
      'it goes on growing while nobody is reached',
      { observed: false, caughtUpWithRelay: true, proofAgeMs: 90_000 },
      90,
    ],
    [
      'the newest of two proofs counts',
      { caughtUpWithRelay: true, caughtUpWithSource: true, proofAgeMs: 12_000 },
      0.2,
    ],
    [
      'under load: what the last transaction is old',
      { caughtUpWithRelay: true, lastAgeMs: 200, lastAppliedAtMs: NOW - 100 },
      0.3,
    ],
    ['what is before the oldest that waits is applied', pending(5_000), 5],
    ['not at the end, and nothing known to be pending: not known', { proofAgeMs: 100 }, null],
  ])('%s', (_what, change, expected) => {
    expect(behindAtMostSeconds(facts(change), NOW)).toBe(expected);
  });
});

describe('the lag of receiving', () => {
  test('is 0 on proof while the dump streams only', () => {
    expect(receivedLagSeconds(facts({ proofAgeMs: 100 }), true, NOW)).toBe(0);
    expect(receivedLagSeconds(facts({ proofAgeMs: 100 }), false, NOW)).toBeNull();
    expect(receivedLagSeconds(facts({}), true, NOW)).toBeNull();
  });

  test('is told while the dump is down, as long as the source is asked', () => {
    expect(receivedLagSeconds(facts({ missingAgeMs: 30_000 }), false, NOW)).toBe(30);
  });
});
