import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ApplierSettings } from '../../../src/applier/applier-messages.ts';
import { ApplyIntake, type TransactionSource } from '../../../src/applier/apply-intake.ts';
import { ApplyScheduler } from '../../../src/applier/apply-scheduler.ts';
import type { ApplyUnit } from '../../../src/applier/apply-unit.ts';
import { NO_CONTROL, type TargetControl } from '../../../src/applier/target-control.ts';
import type { Transaction } from '../../../src/applier/transaction.ts';
import type { Assembled } from '../../../src/applier/transaction-assembler.ts';
import {
  type PositionKind,
  parsePositionSet,
  type TransactionId,
  transactionIdText,
} from '../../../src/binlog/position-set.ts';
import type { RelayPosition } from '../../../src/relay/published-end.ts';
import { NO_GUARDS } from '../../../src/rules/guard-rules.ts';
import { ALL_IS_REPLICATED } from '../../../src/rules/target-rules.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const id = (gno: number): string => `${UUID}:${gno}`;
const gnoOf = (what: Transaction | ApplyUnit): number => {
  const { id } = 'members' in what ? what.members[0]! : what;
  return Number(transactionIdText(id).split(':')[1]);
};

/** The log holds transactions 1 to `length`, each committed one second after the one before, ten to a relay file. */
class Log implements TransactionSource {
  readonly #length: number;
  readonly #executed: ReadonlySet<number>;
  readonly #nameOf: (gno: number) => TransactionId;
  readonly givenBack: Transaction[] = [];
  #next = 1;

  constructor(length: number, executed: ReadonlySet<number>, nameOf: (gno: number) => TransactionId) {
    this.#length = length;
    this.#executed = executed;
    this.#nameOf = nameOf;
  }

  get fileNumber(): number {
    return Math.ceil(this.#next / 10);
  }

  get place(): RelayPosition {
    return { fileNumber: this.fileNumber, offset: this.#next };
  }

  giveBack(transaction: Transaction): void {
    this.givenBack.push(transaction);
  }

  next(): Assembled {
    if (this.#next > this.#length) return { is: 'end' };
    const gno = this.#next++;
    const name = this.#nameOf(gno);
    const commitMicros = BigInt(gno) * 1_000_000n;
    if (this.#executed.has(gno)) return { is: 'executed', id: name, commitMicros };
    const transaction = {
      conflicts:
        gno % 7 === 0
          ? { by: 'barrier', why: 'a statement' }
          : { by: 'clock', clock: 1, lastCommitted: 0, firstSequence: gno, sequenceNumber: gno },
      bytes: 10,
      id: name,
      location: { fileNumber: Math.ceil(gno / 10), offset: gno },
      commitMicros,
      commitIsExact: true,
      skip: null,
    } as unknown as Transaction;
    return { is: 'transaction', transaction };
  }
}

const gtidOf = (gno: number): TransactionId => ({ kind: 'gtid', sid: UUID, gno: BigInt(gno) });
/** Every other sequence number was never used. */
const everyOtherOf = (gno: number): TransactionId => ({
  kind: 'mariadb',
  domainId: 0,
  serverId: 1,
  seqNo: BigInt(gno) * 2n,
});
const placeOf = (gno: number): TransactionId => ({
  kind: 'position',
  file: 'binlog.000007',
  position: gno * 100,
});

function settingsOf(control: Partial<TargetControl> = {}): ApplierSettings {
  return {
    delayMs: 0,
    rules: ALL_IS_REPLICATED,
    guards: NO_GUARDS,
    control: { ...NO_CONTROL, ...control },
  };
}

function world(
  length: number,
  options: {
    executed?: readonly number[];
    control?: Partial<TargetControl>;
    settled?: readonly string[];
    nameOf?: (gno: number) => TransactionId;
  } = {},
) {
  const { executed = [], control = {}, settled = [], nameOf = gtidOf } = options;
  const { kind }: { kind: PositionKind } = nameOf(1);
  const scheduler = new ApplyScheduler<ApplyUnit>({
    workers: 3,
    commitOrder: 'any',
    windowMax: 8,
    bytesMax: 200,
    transactionsMax: 12,
  });
  const set = parsePositionSet(kind, executed.map(id).join(','));
  const intake = new ApplyIntake({ set, above: new Set(), settled: new Set(settled) }, settingsOf(control), {
    kind,
    scheduler,
    due: { dueInMs: () => 0 },
    coalesce: 1,
    follow: false,
    scout: () => null,
  });
  const log = new Log(length, new Set(executed), nameOf);
  intake.readFrom(log);
  /** What starts now, in order. */
  const start = (): ApplyUnit[] => {
    const started: ApplyUnit[] = [];
    for (let next = scheduler.takeReady(); next !== null; next = scheduler.takeReady()) started.push(next);
    return started;
  };
  return { scheduler, intake, log, start };
}

/** Of the relay log, as it is published: of no account where reading does not pause. */
const END = { fileNumber: 1, offset: 0 };

describe('the intake', () => {
  test('is not at the end while it reads something large, nor when the relay log has grown since', () => {
    const { scheduler } = world(0);
    const answers: Assembled[] = [{ is: 'end' }, { is: 'slice' }, { is: 'end' }];
    const place = { fileNumber: 1, offset: 400 };
    const next = (): Assembled => answers.shift() ?? { is: 'end' };
    const source: TransactionSource = { fileNumber: 1, place, next, giveBack: () => {} };
    const intake = new ApplyIntake(
      { set: parsePositionSet('gtid', ''), above: new Set(), settled: new Set() },
      settingsOf(),
      { kind: 'gtid', scheduler, due: { dueInMs: () => 0 }, coalesce: 1, follow: false, scout: () => null },
    );
    intake.readFrom(source);
    expect(intake.isAtEnd(place)).toBe(false);
    expect(intake.fill(END)).toBe('end');
    expect(intake.isAtEnd(place)).toBe(true);
    // Frozen, or draining: nothing is read, and the log grows.
    expect(intake.isAtEnd({ fileNumber: 1, offset: 500 })).toBe(false);
    expect(intake.isAtEnd({ fileNumber: 2, offset: 400 })).toBe(false);
    expect(intake.fill({ fileNumber: 1, offset: 1400 })).toBe('slice');
    expect(intake.isAtEnd(place)).toBe(false);
    // What is still to be read counts as if it were queued.
    expect(scheduler.unreadBytes).toBe(1000);
    expect(intake.fill(END)).toBe('end');
    expect(scheduler.unreadBytes).toBe(0);
    expect(intake.isAtEnd(place)).toBe(true);
  });

  test('tells what waits and why, and which relay file that needs', () => {
    const { intake } = world(30, { executed: [1, 2], control: { until: { is: 'before', id: id(25) } } });
    expect(intake.fill(END)).toBe('full');
    expect(intake.next).toBeNull();
    expect(intake.neededFile).toBe(1);
    intake.admitBy(settingsOf({ paused: true }));
    expect(intake.fill(END)).toBe('waiting');
    expect(intake.gate).toEqual({ is: 'paused' });
    expect(gnoOf(intake.next!)).toBe(3);
    expect(intake.neededFile).toBe(1);
  });

  test('the events of what is committed are given back, and of nothing else', () => {
    const { intake, log, start } = world(30);
    intake.fill(END);
    const [first, second] = start();
    expect(log.givenBack).toEqual([]);
    intake.committed(second!);
    expect(log.givenBack.map(gnoOf)).toEqual([2]);
    intake.admitBy(settingsOf({ paused: true }));
    intake.committed(first!);
    expect(log.givenBack.map(gnoOf)).toEqual([2, 1]);
  });

  test('a pause stops what was read ahead and has not started', () => {
    const { intake, scheduler, start } = world(30);
    intake.fill(END);
    const running = start();
    expect(running.map(gnoOf)).toEqual([1, 2, 3]);
    intake.admitBy(settingsOf({ paused: true }));
    expect(intake.fill(END)).toBe('waiting');
    for (const transaction of running) scheduler.committed(transaction);
    expect(start()).toEqual([]);
    intake.advance();
    expect(intake.prefix.toString()).toBe(`${UUID}:1-3`);
    intake.admitBy(settingsOf());
    intake.fill(END);
    expect(start().map(gnoOf)).toEqual([4, 5, 6]);
  });

  test('a skip concerns what was read ahead and has not started; for what has it comes too late', () => {
    const { intake, start } = world(30);
    intake.fill(END);
    start();
    const control = {
      ...NO_CONTROL,
      skipped: [
        { id: id(2), reason: 'late' },
        { id: id(5), reason: 'in time' },
      ],
    };
    expect(intake.lateness({ until: null, about: [id(2), id(5), id(29)] })).toEqual({
      passed: [id(2)],
      untilPassed: false,
    });
    intake.admitBy(settingsOf(control));
    intake.fill(END);
    expect(intake.isPassed({ kind: 'gtid', sid: UUID, gno: 5n })).toBe(true);
  });

  test('an until comes too late when what it names is executed, in flight, or as young as something that is', () => {
    const { intake, start } = world(30, { executed: [1, 2] });
    intake.fill(END);
    start();
    const passed = (until: TargetControl['until']): boolean =>
      intake.lateness({ until, about: [] }).untilPassed;
    expect(passed({ is: 'before', id: id(2) })).toBe(true);
    expect(passed({ is: 'after', id: id(4) })).toBe(true);
    expect(passed({ is: 'before', id: id(20) })).toBe(false);
    expect(passed({ is: 'time', ms: 5_000 })).toBe(true);
    expect(passed({ is: 'time', ms: 6_000 })).toBe(false);
    expect(passed(null)).toBe(false);
  });

  test.each<[string, (gno: number) => TransactionId, inFlight: string, waiting: string]>([
    ['a sequence number that was never used', everyOtherOf, '0-1-5', '0-1-7'],
    ['a place inside a transaction', placeOf, 'binlog.000007:250', 'binlog.000007:350'],
  ])(
    'so it does when it names %s, and the transaction behind it is in flight',
    (_what, nameOf, inFlight, waiting) => {
      const { intake, start } = world(30, { nameOf });
      intake.fill(END);
      expect(start()).toHaveLength(3);
      for (const is of ['before', 'after'] as const) {
        expect(intake.lateness({ until: { is, id: inFlight }, about: [] }).untilPassed).toBe(true);
        expect(intake.lateness({ until: { is, id: waiting }, about: [] }).untilPassed).toBe(false);
        intake.admitBy(settingsOf({ until: { is, id: inFlight } }));
        expect(intake.untilReached).toBe(true);
        expect(intake.fill(END)).toBe('waiting');
        expect(start()).toEqual([]);
        intake.admitBy(settingsOf());
      }
    },
  );

  test('what was in flight when a skip came that nobody could refuse is found, and not told as skipped', () => {
    const { intake, scheduler, start } = world(4);
    intake.fill(END);
    const running = start();
    expect(running.map(gnoOf)).toEqual([1, 2, 3]);
    // Nobody had answered whether it was in time: the wish was written down as uncertain.
    const skipped = [2, 4].map((gno) => ({ id: id(gno), reason: 'r' }));
    intake.admitBy(settingsOf({ skipped }));
    intake.fill(END);
    for (const unit of running) scheduler.committed(unit);
    for (const unit of start()) scheduler.committed(unit);
    intake.advance();
    expect(intake.takeExecuted()).toEqual({ committed: [id(4)], found: [id(2)], missing: [] });
  });

  test('what was said about a transaction is reported when that is executed, and what the target had already, at once', () => {
    const control = {
      approved: [id(2)],
      skipped: [
        { id: id(4), reason: 'r' },
        { id: id(28), reason: 'r' },
      ],
    };
    const settled = [id(2), id(4)];
    const { intake, scheduler, start } = world(30, { executed: [1, 2], control, settled });
    expect(intake.takeExecuted()).toEqual({ committed: [], found: [id(2)], missing: [id(4)] });
    intake.fill(END);
    const [three, four] = start();
    scheduler.committed(four!);
    intake.advance();
    expect(intake.takeExecuted()).toBeNull();
    scheduler.committed(three!);
    intake.advance();
    expect(intake.takeExecuted()).toEqual({ committed: [id(4)], found: [], missing: [] });
    expect(intake.takeExecuted()).toBeNull();
  });

  test('whatever is said and whenever, each transaction starts once, in order, and as was last said before', () => {
    const said = fc.record({
      paused: fc.boolean(),
      skipped: fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 8 }),
      until: fc.option(fc.integer({ min: 1, max: 60 })),
      is: fc.constantFrom('before' as const, 'after' as const),
    });
    const step = fc.oneof(
      { weight: 4, arbitrary: fc.constant({ do: 'fill' as const }) },
      { weight: 4, arbitrary: fc.constant({ do: 'start' as const }) },
      { weight: 6, arbitrary: fc.record({ do: fc.constant('commit' as const), which: fc.nat(2) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant('say' as const), said }) },
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 300 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { maxLength: 20 }),
        (steps, executed) => {
          const { intake, scheduler, start } = world(60, { executed });
          const had = new Set(executed);
          const started: number[] = [];
          const committed = new Set<number>();
          let running: ApplyUnit[] = [];
          let now = { paused: false, skipped: new Set<number>(), until: null as number | null, is: 'before' };
          const go = (): void => {
            for (const transaction of start()) {
              const gno = gnoOf(transaction);
              expect(now.paused).toBe(false);
              if (now.until !== null) expect(gno).toBeLessThan(now.until + (now.is === 'after' ? 1 : 0));
              expect(transaction.members[0]!.skip).toBe(now.skipped.has(gno) ? 'r' : null);
              started.push(gno);
              running.push(transaction);
            }
          };
          const commit = (which: number): void => {
            const transaction = running[which % Math.max(1, running.length)];
            if (transaction === undefined) return;
            running = running.filter((each) => each !== transaction);
            committed.add(gnoOf(transaction));
            scheduler.committed(transaction);
            intake.advance();
          };
          const say = (what: typeof now): void => {
            now = what;
            const until = what.until === null ? null : { is: what.is as 'before', id: id(what.until) };
            const skipped = [...what.skipped].map((gno) => ({ id: id(gno), reason: 'r' }));
            intake.admitBy(settingsOf({ paused: what.paused, until, skipped }));
          };
          for (const each of steps) {
            if (each.do === 'fill') intake.fill(END);
            else if (each.do === 'start') go();
            else if (each.do === 'commit') commit(each.which);
            else say({ ...each.said, skipped: new Set(each.said.skipped) });
            for (let gno = 1; gno <= 60; gno++) {
              const isDone = intake.prefix.has({ kind: 'gtid', sid: UUID, gno: BigInt(gno) });
              expect(isDone && !had.has(gno) && !committed.has(gno)).toBe(false);
            }
          }
          say({ paused: false, skipped: new Set(), until: null, is: 'before' });
          for (let guard = 0; started.length < 60 - had.size || running.length > 0; guard++) {
            expect(guard).toBeLessThan(500);
            intake.fill(END);
            go();
            commit(0);
          }
          intake.fill(END);
          const lacked = Array.from({ length: 60 }, (_, index) => index + 1).filter((gno) => !had.has(gno));
          expect(started).toEqual(lacked);
          expect([...committed].sort((a, b) => a - b)).toEqual(lacked);
          expect(intake.prefix.toString()).toBe(`${UUID}:1-60`);
        },
      ),
      { numRuns: 300 },
    );
  });
});
