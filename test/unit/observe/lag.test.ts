import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type LagFacts, lagSeconds } from '../../../src/observe/lag.ts';

const NOW = 1_700_000_000_000;

function micros(ms: number): string {
  return String(BigInt(ms) * 1000n);
}

function facts(change: Partial<LagFacts>): LagFacts {
  return {
    observed: true,
    caughtUpWithSource: false,
    contactMs: NOW - 200,
    heartbeatMs: 1000,
    caughtUpWithRelay: false,
    pendingCommitMicros: null,
    lastCommitMicros: null,
    lastAppliedWallMs: null,
    clockDiffMs: 0,
    ...change,
  };
}

describe('lag', () => {
  test.each<[string, Partial<LagFacts>, number | null]>([
    ['nothing is known: unknown', {}, null],
    ['caught up on both sides: 0', { caughtUpWithRelay: true, caughtUpWithSource: true }, 0],
    [
      'the proof has aged, the source went silent: unknown',
      { caughtUpWithRelay: true, caughtUpWithSource: true, contactMs: NOW - 3_001 },
      null,
    ],
    [
      'a rare heartbeat proves for ten seconds, not for hours',
      { caughtUpWithRelay: true, caughtUpWithSource: true, contactMs: NOW - 10_001, heartbeatMs: 3_600_000 },
      null,
    ],
    ['caught up with the relay log only: unknown', { caughtUpWithRelay: true }, null],
    ['the relay log is complete, not all of it applied: unknown', { caughtUpWithSource: true }, null],
    ['something is pending: its age', { pendingCommitMicros: micros(NOW - 4_250) }, 4.25],
    [
      'pending beats every proof',
      { pendingCommitMicros: micros(NOW - 100), caughtUpWithRelay: true, caughtUpWithSource: true },
      0.1,
    ],
    [
      'the age is on the source’s clock, ahead',
      { pendingCommitMicros: micros(NOW - 1_000), clockDiffMs: 500 },
      1.5,
    ],
    [
      'the age is on the source’s clock, behind',
      { pendingCommitMicros: micros(NOW - 1_000), clockDiffMs: -500 },
      0.5,
    ],
    ['a clock that errs does not make it negative', { pendingCommitMicros: micros(NOW + 9_000) }, 0],
    [
      'steady load: the age at which the last one was applied',
      { caughtUpWithRelay: true, lastCommitMicros: micros(NOW - 800), lastAppliedWallMs: NOW - 650 },
      0.15,
    ],
    [
      'the last one was committed too long ago to tell',
      { caughtUpWithRelay: true, lastCommitMicros: micros(NOW - 2_000), lastAppliedWallMs: NOW - 1_900 },
      null,
    ],
    [
      'the reader does not stream: unknown, whatever the rest says',
      { observed: false, caughtUpWithRelay: true, caughtUpWithSource: true },
      null,
    ],
    [
      'the reader does not stream, something is pending: unknown',
      { observed: false, pendingCommitMicros: micros(NOW - 9_000) },
      null,
    ],
  ])('%s', (_what, change, expected) => {
    expect(lagSeconds(facts(change), NOW)).toBe(expected);
  });

  test('is never negative, and 0 with nothing pending only on proof', () => {
    const maybe = (ms: fc.Arbitrary<number>) => fc.option(ms.map((n) => micros(NOW + n)));
    const near = fc.integer({ min: -5_000, max: 5_000 });
    fc.assert(
      fc.property(
        fc.record({
          observed: fc.boolean(),
          caughtUpWithSource: fc.boolean(),
          contactMs: fc.option(near.map((n) => NOW + n)),
          heartbeatMs: fc.integer({ min: 100, max: 20_000 }),
          caughtUpWithRelay: fc.boolean(),
          pendingCommitMicros: maybe(near),
          lastCommitMicros: maybe(near),
          lastAppliedWallMs: fc.option(near.map((n) => NOW + n)),
          clockDiffMs: near,
        }),
        (given) => {
          const lag = lagSeconds(given, NOW);
          if (lag === null) return;
          expect(lag).toBeGreaterThanOrEqual(0);
          expect(given.observed).toBe(true);
          if (given.pendingCommitMicros === null) expect(given.caughtUpWithRelay).toBe(true);
        },
      ),
    );
  });
});
