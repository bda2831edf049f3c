import { describe, expect, test } from 'vitest';
import { Admission, type AdmissionRules, type Candidate } from '../../../src/applier/admission.ts';
import { WallDueClock } from '../../../src/applier/due-clock.ts';
import type { GuardMatch, GuardScout } from '../../../src/applier/guard-scout.ts';
import { NO_CONTROL, type TargetControl } from '../../../src/applier/target-control.ts';
import type { PositionKind } from '../../../src/binlog/position-set.ts';
import { parseTransactionIdText } from '../../../src/binlog/transaction-id.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const NOON = Date.parse('2026-02-03T12:00:00Z');
const id = (gno: number): string => `${UUID}:${gno}`;

function candidate(name: string, committedMs: number | null = NOON): Candidate {
  return {
    id: parseTransactionIdText(name),
    location: { fileNumber: 1, offset: 100 },
    commitMicros: committedMs === null ? null : BigInt(committedMs) * 1000n,
  };
}

interface World {
  readonly control?: Partial<TargetControl>;
  readonly rules?: Partial<AdmissionRules>;
  readonly nowMs?: number;
  /** Executed or admitted. */
  readonly passed?: readonly string[];
  readonly scout?: GuardScout;
  readonly kind?: PositionKind;
}

function admission({ control, rules, nowMs = NOON, passed = [], scout, kind = 'gtid' }: World): Admission {
  const { until = null } = control ?? {};
  const untilId = until === null || until.is === 'time' ? '' : until.id;
  return new Admission(
    kind,
    { control: { ...NO_CONTROL, ...control }, delayMs: 0, onGuard: 'hold', ...rules },
    {
      due: new WallDueClock({ wallMs: () => nowMs, monotonicMs: () => 0 }),
      scout: scout ?? null,
      isUntilPassed: () => passed.includes(untilId),
    },
  );
}

/** What a guard's scout says that has passed everything but `unseen`, and found something in `found`. */
function scouted(found: readonly string[], passed = true): GuardScout {
  const match = (each: string): GuardMatch | null =>
    found.includes(each)
      ? {
          id: each,
          location: { fileNumber: 1, offset: 100 },
          guard: 'drop_table',
          what: 'DROP TABLE shop.orders',
          commitMicros: null,
        }
      : null;
  return { hasPassed: () => passed, match, onMoved: () => {} };
}

const gateOf = (world: World, next = candidate(id(7))): string => {
  const verdict = admission(world).decide(next);
  return verdict.is === 'wait' ? verdict.gate.is : verdict.is;
};

describe('the next transaction', () => {
  test('is admitted when nobody has said anything', () => {
    expect(gateOf({})).toBe('admit');
  });

  test('waits while the target is paused, whatever else was said', () => {
    const control = {
      paused: true,
      until: { is: 'before', id: id(7) },
      skipped: [{ id: id(7), reason: 'r' }],
    } as const;
    expect(gateOf({ control })).toBe('paused');
  });

  test('is admitted as an empty one with the reason that was given', () => {
    const world = { control: { skipped: [{ id: id(7), reason: 'by mistake' }] } };
    expect(admission(world).decide(candidate(id(7)))).toEqual({ is: 'skip', reason: 'by mistake' });
    expect(gateOf(world, candidate(id(8)))).toBe('admit');
  });
});

describe('until', () => {
  test('before a transaction: the one before it passes, it does not, and neither does any once it has passed', () => {
    const control = { until: { is: 'before', id: id(7) } } as const;
    expect(gateOf({ control }, candidate(id(6)))).toBe('admit');
    expect(gateOf({ control }, candidate(id(7)))).toBe('until');
    expect(gateOf({ control, passed: [id(7)] }, candidate(id(8)))).toBe('until');
  });

  test('after a transaction: it passes, the next does not', () => {
    const control = { until: { is: 'after', id: id(7) } } as const;
    expect(gateOf({ control }, candidate(id(7)))).toBe('admit');
    expect(gateOf({ control, passed: [id(7)] }, candidate(id(8)))).toBe('until');
  });

  test('a time: what was committed before it passes, what was committed then does not', () => {
    const control = { until: { is: 'time', ms: NOON } } as const;
    expect(gateOf({ control }, candidate(id(7), NOON - 1))).toBe('admit');
    expect(gateOf({ control }, candidate(id(7), NOON))).toBe('until');
    expect(gateOf({ control }, candidate(id(7), null))).toBe('admit');
  });

  test('is reached, too, where nothing is next, and while the target is paused', () => {
    const control = { until: { is: 'after', id: id(7) } } as const;
    const passed = [id(7)];
    expect(admission({ control, passed }).standing().is).toBe('until');
    expect(admission({ control }).standing().is).toBe('open');
    const paused = admission({ control: { ...control, paused: true }, passed });
    expect(paused.standing().is).toBe('paused');
    expect(paused.hasReachedUntil(null)).toBe(true);
    expect(admission({ control }).hasReachedUntil(candidate(id(7)))).toBe(false);
    expect(admission({}).hasReachedUntil(candidate(id(7)))).toBe(false);
  });

  test('on MariaDB stops at the first number of the domain that is not below: numbers may have holes', () => {
    const world = { kind: 'mariadb', control: { until: { is: 'before', id: '0-1-7' } } } as const;
    expect(gateOf(world, candidate('0-1-6'))).toBe('admit');
    expect(gateOf(world, candidate('0-2-8'))).toBe('until');
    expect(gateOf(world, candidate('1-1-900'))).toBe('admit');
  });

  test('by position stops at the transaction that the position lies in', () => {
    const world = {
      kind: 'position',
      control: { until: { is: 'before', id: 'binlog.000003:500' } },
    } as const;
    expect(gateOf(world, candidate('binlog.000002:9000'))).toBe('admit');
    expect(gateOf(world, candidate('binlog.000003:499'))).toBe('admit');
    expect(gateOf(world, candidate('binlog.000003:700'))).toBe('until');
  });

  test('named in another way than the source names its transactions never stops anything', () => {
    const control = { until: { is: 'before', id: '0-1-7' } } as const;
    expect(gateOf({ control }, candidate(id(7)))).toBe('admit');
  });
});

describe('a delay', () => {
  test('holds a transaction up until its commit is so long ago, and tells for how long', () => {
    const rules = { delayMs: 60_000 };
    const verdict = admission({ rules, nowMs: NOON + 20_000 }).decide(candidate(id(7)));
    expect(verdict).toEqual({ is: 'wait', gate: { is: 'due', dueInMs: 40_000 } });
    expect(gateOf({ rules, nowMs: NOON + 59_999 })).toBe('due');
    expect(gateOf({ rules, nowMs: NOON + 60_000 })).toBe('admit');
  });

  test('that an operator has set goes before the configured one, also when it is none', () => {
    expect(gateOf({ rules: { delayMs: 60_000 }, control: { delayMs: 0 } })).toBe('admit');
    expect(gateOf({ control: { delayMs: 60_000 } })).toBe('due');
  });

  test('holds up what is skipped as well, and nothing of which the source tells no time', () => {
    const control = { delayMs: 60_000, skipped: [{ id: id(7), reason: 'r' }] };
    expect(gateOf({ control })).toBe('due');
    expect(gateOf({ control }, candidate(id(8), null))).toBe('admit');
  });
});

describe('a guard', () => {
  test('holds what it has found until that is approved or skipped', () => {
    const scout = scouted([id(7)]);
    const verdict = admission({ scout }).decide(candidate(id(7)));
    expect(verdict).toMatchObject({ is: 'wait', gate: { is: 'held', match: { guard: 'drop_table' } } });
    expect(gateOf({ scout }, candidate(id(8)))).toBe('admit');
    expect(gateOf({ scout, control: { approved: [id(7)] } })).toBe('admit');
    expect(gateOf({ scout, control: { skipped: [{ id: id(7), reason: 'r' }] } })).toBe('skip');
  });

  test('keeps everything waiting that its scout has not looked at, approved or not', () => {
    const scout = scouted([], false);
    expect(gateOf({ scout })).toBe('scout');
    expect(gateOf({ scout, control: { approved: [id(7)], skipped: [{ id: id(7), reason: 'r' }] } })).toBe(
      'scout',
    );
  });

  test('that only warns holds nothing', () => {
    expect(gateOf({ scout: scouted([id(7)]), rules: { onGuard: 'warn' } })).toBe('admit');
  });

  test('is heard before the delay is over: what is held shows at once', () => {
    expect(gateOf({ scout: scouted([id(7)]), rules: { delayMs: 60_000 } })).toBe('held');
    const approved = { scout: scouted([id(7)]), rules: { delayMs: 60_000 }, control: { approved: [id(7)] } };
    expect(gateOf(approved)).toBe('due');
  });
});
