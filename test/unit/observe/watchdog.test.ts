import { describe, expect, test } from 'vitest';
import { type Alarm, NOTHING_WATCHED, watch } from '../../../src/observe/watchdog.ts';
import { NOW, snapshot, type Wish } from './snapshots.ts';

const LIVE = { life: 'live' as const, failures: [], restartAtMs: null, stopCause: null };

/** Looks once a second for so long; the alarms at the end. */
function lookFor(seconds: number, wishAt: (second: number) => Wish): readonly Alarm[] {
  let memory = NOTHING_WATCHED;
  let alarms: readonly Alarm[] = [];
  for (let second = 0; second <= seconds; second++) {
    ({ memory, alarms } = watch(memory, snapshot(wishAt(second)), second * 1000));
  }
  return alarms;
}

const heard = (second: number) => ({ contactMs: NOW + second * 1000 });
const BUSY = {
  worker: 3,
  connection: 42,
  transaction: 'x:7',
  ordinal: 0,
  ageMs: 60_000,
  attempt: 1,
  doing: 'row events on shop.orders',
  table: { database: 'shop', table: 'orders' },
  waits: null,
};
const finding = {
  why: 'row-lock' as const,
  table: 'shop.orders',
  blocking: { connection: 99, user: 'app', host: '10.0.0.5', command: 'Sleep', seconds: 40 },
  state: null,
  explain: null,
  unseen: null,
};

describe('the watchdog', () => {
  test('is silent while everything gets on', () => {
    const moving = (second: number): Wish => ({
      reader: {
        ...heard(second),
        sourcePosition: 1000 + second,
        missingAgeMs: second % 2 === 0 ? null : 500,
      },
      target: { inFlight: 1, pendingBytes: 500, transactionsApplied: second },
    });
    expect(lookFor(600, moving)).toEqual([]);
  });

  test('the source moves and nothing comes, though heartbeats do', () => {
    const stuck = (second: number): Wish => ({
      reader: {
        ...heard(second),
        bytesReceived: 100 * second,
        missingAgeMs: 1000 * second,
        head: { file: 'binlog.000042', position: 9000, executed: null, ageMs: 100, bytesAhead: 7766 },
      },
    });
    expect(lookFor(9, stuck)).toEqual([]);
    expect(lookFor(30, stuck)).toEqual([
      {
        kind: 'source_moves_reader_does_not',
        target: null,
        for_seconds: 30,
        text: 'the source has more (it is at binlog.000042:9000), and nothing has come from it for 30 s',
      },
    ]);
  });

  test('a reader that is behind and gets on is no alarm', () => {
    const behind = (second: number): Wish => ({
      reader: { ...heard(second), missingAgeMs: 60_000, sourcePosition: 1000 + second },
    });
    expect(lookFor(60, behind)).toEqual([]);
  });

  test('neither an event nor a heartbeat comes', () => {
    const silent = (): Wish => ({ reader: heard(0) });
    expect(lookFor(4, silent)).toEqual([]);
    expect(lookFor(8, silent)).toMatchObject([{ kind: 'reader_hears_nothing', for_seconds: 8 }]);
  });

  test('a source that sends a heartbeat every minute is not silent between two of them', () => {
    const rare = (): Wish => ({ reader: { ...heard(0), heartbeatMs: 60_000 } });
    expect(lookFor(55, rare)).toEqual([]);
  });

  test('a disk that does not get done', () => {
    const slow = (second: number): Wish => ({
      reader: { ...heard(second), unsynced: { transactions: 5, bytes: 900, ageMs: 1000 * second } },
    });
    expect(lookFor(12, slow)).toMatchObject([{ kind: 'disk_does_not_sync' }]);
    const steady = (second: number): Wish => ({
      reader: {
        ...heard(second),
        transactionsReceived: 100 * second,
        unsynced: { transactions: 5, bytes: 900, ageMs: 90 },
      },
    });
    expect(lookFor(60, steady)).toEqual([]);
  });

  test('an applier with work and no progress, and the reason that the target gave', () => {
    const blocked = (second: number): Wish => ({
      reader: heard(second),
      target: {
        inFlight: 1,
        activity: [BUSY],
        stuck: { worker: 3, transaction: 'x:7', finding },
      },
    });
    expect(lookFor(29, blocked)).toEqual([]);
    expect(lookFor(40, blocked)).toMatchObject([
      {
        kind: 'applier_makes_no_progress',
        target: 'standby',
        text: expect.stringMatching(
          /^standby has work and has not committed anything for 40 s: worker 3 has waited 60 s for a row lock on shop.orders, held by connection 99 of app@10.0.0.5/,
        ),
      },
    ]);
  });

  test.each<[string, Partial<Wish['target'] & object>]>([
    [
      'paused',
      { gate: { is: 'paused' }, waiting: { nextId: 'x:8', nextDueInMs: null, bytes: 10, blind: false } },
    ],
    [
      'delayed',
      {
        gate: { is: 'due', dueInMs: 900_000 },
        waiting: { nextId: 'x:8', nextDueInMs: 900_000, bytes: 10, blind: false },
      },
    ],
    ['at a big ALTER', { inFlight: 1, activity: [{ ...BUSY, doing: 'ALTER TABLE shop.orders' }] }],
    [
      'at a table without a key',
      {
        inFlight: 1,
        activity: [BUSY],
        stuck: { worker: 3, transaction: 'x:7', finding: { ...finding, why: 'no-key' } },
      },
    ],
    ['done', { pendingBytes: 0 }],
  ])('a target that is %s is not stuck', (_what, target) => {
    expect(lookFor(120, (second) => ({ reader: heard(second), target }))).toEqual([]);
  });

  test('work, and nobody at it', () => {
    const idle = (second: number): Wish => ({ reader: heard(second), target: { pendingBytes: 4096 } });
    expect(lookFor(31, idle)).toMatchObject([
      { kind: 'applier_makes_no_progress', text: 'standby has work and has not committed anything for 31 s' },
    ]);
  });

  test('threads that do not answer, while they live', () => {
    const silent = (): Wish => ({ fresh: false, machine: { reader: LIVE } });
    expect(lookFor(11, silent)).toMatchObject([{ kind: 'thread_does_not_answer', target: null }]);
    expect(lookFor(11, () => ({ fresh: false }))).toEqual([]);
  });

  test('a moment of progress begins the time anew', () => {
    const once = (second: number): Wish => ({
      reader: heard(second),
      target: { inFlight: 1, transactionsApplied: second < 25 ? 1 : 2 },
    });
    expect(lookFor(50, once)).toEqual([]);
    expect(lookFor(56, once)).toHaveLength(1);
  });
});
