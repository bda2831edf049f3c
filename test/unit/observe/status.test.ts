import { describe, expect, test } from 'vitest';
import type { ChannelStatus } from '../../../src/observe/status.ts';
import { composeStatus } from '../../../src/observe/status.ts';
import { error, FACTS, NOW, snapshot, UUID, type Wish } from './snapshots.ts';

function compose(wish: Wish = {}): ChannelStatus {
  return composeStatus([snapshot(wish)], FACTS).channels[0]!;
}

const LOST = error('CONNECTION_LOST', 'source closed the connection', 'Look at the source.');

describe('the status', () => {
  test('of a channel that runs well, word for word', () => {
    expect(composeStatus([snapshot()], FACTS)).toEqual({
      version: '0.1.0',
      pid: 4711,
      started_at: '2026-02-03T04:03:36.000Z',
      now: '2026-02-03T04:05:06.000Z',
      channels: [
        {
          name: 'orders',
          state: 'running',
          reason: null,
          source: {
            host: 'db1',
            port: 3306,
            server_uuid: UUID,
            server_version: '9.7.4',
            clock: { offset_seconds: 0, error_seconds: 0.0002, age_seconds: 0.5, steps: 0 },
            head: { file: 'binlog.000042', position: 1234, gtid_set: `${UUID}:1-5021`, age_seconds: 0.4 },
            head_unknown: null,
          },
          reader: {
            state: 'streaming',
            reason: null,
            retrieved_gtid_set: `${UUID}:1-5021`,
            source_file: 'binlog.000042',
            source_position: 1234,
            transactions_received: 5021,
            bytes_received: 1_288_000_000,
            lag: {
              received: { seconds: 0, transactions: 0, bytes: 0 },
              durable: { seconds: 0, transactions: 0, bytes: 0 },
            },
            contact_seconds: 0.3,
            transactions_per_second: null,
            bytes_per_second: null,
            last_error: null,
            last_error_code: null,
            last_error_detail: null,
          },
          relay_log: {
            file: 'relay-bin.000007',
            position: 88_231,
            bytes: 1_288_490_188,
            free_bytes: 106_300_440_576,
            bytes_per_second: 1_048_576,
            holds_seconds: 102_400,
            too_long_a_delay: null,
          },
          targets: [
            {
              name: 'standby',
              host: 'db2',
              port: 3307,
              state: 'running',
              reason: null,
              answers: true,
              mode: 'binlog',
              progress: 'gtid',
              executed_gtid_set: `${UUID}:1-5021`,
              workers: 8,
              delay_seconds: 0,
              until: null,
              waiting: null,
              hold: null,
              skips_pending: 0,
              approvals: 0,
              guards: [],
              guards_open: 0,
              guard_alarms: 0,
              lag_seconds: 0,
              lag_transactions: 0,
              transactions_applied: 5021,
              rows_applied: 70_000,
              filtered: {
                transactions_filtered: 12,
                statements_filtered: 3,
                rows_filtered: 450,
                system_statements_skipped: 2,
              },
              lag: {
                applied: { seconds: 0, transactions: 0, bytes: 0 },
                total: { seconds: 0, transactions: 0, bytes: 0 },
                at_most_seconds: 0.3,
              },
              eta: { seconds: 0, text: 'caught up' },
              transactions_per_second: null,
              rows_per_second: null,
              busy: [],
              stuck: null,
              last_error: null,
              last_error_code: null,
              last_error_detail: null,
            },
          ],
          alarms: [],
        },
      ],
      recent: [],
    });
  });

  test('a reader that waits says why, for how long, and which attempt it was', () => {
    const channel = compose({
      readerState: { at: 'backing-off', attempt: 3, untilMs: NOW + 3_200, cause: LOST },
    });
    expect(channel.state).toBe('degraded');
    expect(channel.reader).toMatchObject({
      state: 'backing-off',
      reason: 'backing-off, attempt 3, source closed the connection, retry in 4 s',
      last_error: 'source closed the connection — Look at the source.',
      last_error_code: 'CONNECTION_LOST',
    });
    expect(channel.reason).toBe('reader: backing-off, attempt 3, source closed the connection, retry in 4 s');
    expect(channel.targets[0]).toMatchObject({ state: 'running', lag_seconds: null });
  });

  test('a target that has stopped says why and what to do', () => {
    const cause = error('APPLY_FAILED', 'row not found in shop.orders', 'Compare the row.');
    const channel = compose({ targetState: { at: 'stopped', cause } });
    expect(channel.state).toBe('degraded');
    expect(channel.targets[0]).toMatchObject({
      state: 'stopped',
      reason: 'stopped, row not found in shop.orders — Compare the row.',
      last_error_code: 'APPLY_FAILED',
    });
    expect(channel.reason).toBe('target standby: stopped, row not found in shop.orders — Compare the row.');
  });

  test.each<[string, Wish, ChannelStatus['state']]>([
    [
      'the first attempt to connect is starting',
      { readerState: { at: 'connecting', attempt: 1 } },
      'starting',
    ],
    ['the second attempt is degraded', { readerState: { at: 'connecting', attempt: 2 } }, 'degraded'],
    ['a target that connects is starting', { targetState: { at: 'connecting', attempt: 1 } }, 'starting'],
    [
      'a target that waits is degraded',
      { targetState: { at: 'backing-off', attempt: 1, untilMs: NOW, cause: LOST } },
      'degraded',
    ],
    ['a relay log fetched again is degraded', { machine: { resyncCause: LOST } }, 'degraded'],
    ['stopping is degraded', { readerState: { at: 'stopping', cause: null } }, 'degraded'],
    [
      'all stopped is stopped',
      { readerState: { at: 'stopped', cause: LOST }, targetState: { at: 'stopped', cause: null } },
      'stopped',
    ],
    ['a stopped channel is stopped', { machine: { state: { at: 'stopped', cause: LOST } } }, 'stopped'],
  ])('%s', (_what, wish, state) => {
    expect(compose(wish).state).toBe(state);
  });

  test('a reader that waits for the targets names them', () => {
    const channel = compose({
      machine: { state: { at: 'asking', sinceMs: 0 } },
      readerState: { at: 'idle', reason: 'waiting' },
    });
    expect(channel.reader.reason).toBe('waiting to hear what standby has');
  });

  test('a target that waits for the reader says so', () => {
    const channel = compose({ machine: { kind: null }, targetState: { at: 'idle' } });
    expect(channel.targets[0]).toMatchObject({
      state: 'connecting',
      reason: 'waiting for the reader to reach the source',
      lag_transactions: null,
    });
    expect(channel.reader.retrieved_gtid_set).toBeNull();
  });

  test('before any thread has answered, everything unknown is null', () => {
    const channel = compose({
      reader: null,
      target: null,
      readerState: { at: 'idle', reason: 'starting' },
      targetState: { at: 'idle' },
    });
    expect(channel.source).toMatchObject({ server_uuid: null, server_version: null });
    expect(channel.relay_log).toMatchObject({ file: null, position: 0, bytes: null });
    expect(channel.source.clock).toBeNull();
    expect(channel.targets[0]).toMatchObject({
      executed_gtid_set: null,
      lag_seconds: null,
      lag_transactions: null,
      progress: null,
    });
  });

  test('what is received and not executed is counted', () => {
    const channel = compose({ target: { executed: `${UUID}:1-5000`, caughtUpWithRelay: false } });
    expect(channel.targets[0]).toMatchObject({ lag_transactions: 21, lag_seconds: null });
  });

  test('a delay that the disk has no room for is said', () => {
    const day = 86_400_000;
    expect(compose({ delayMs: day }).relay_log.too_long_a_delay).toBeNull();
    expect(compose({ delayMs: 2 * day }).relay_log.too_long_a_delay).toBe(
      'the disk does not hold a delay of 2d: at 1.0 MiB/s the relay log would take 169 GiB, and there is room for 28.4 h (99.0 GiB free, 1.0 GiB held)',
    );
    expect(compose({ delayMs: 30 * day, room: null }).relay_log).toMatchObject({
      free_bytes: null,
      holds_seconds: null,
      too_long_a_delay: null,
    });
  });

  test('without a fresh answer of the threads the lag is unknown', () => {
    expect(compose({ fresh: false }).targets[0]?.lag_seconds).toBeNull();
  });

  test('by file and position transactions cannot be counted, unless there are none', () => {
    const behind = {
      machine: { kind: 'position' as const },
      reader: { retrieved: 'binlog.000002:500', head: null },
    };
    expect(
      compose({ ...behind, target: { executed: 'binlog.000002:400' } }).targets[0]?.lag_transactions,
    ).toBeNull();
    expect(
      compose({ ...behind, target: { executed: 'binlog.000002:500' } }).targets[0]?.lag_transactions,
    ).toBe(0);
  });
});

describe('what operators want of a target', () => {
  const match = {
    id: `${UUID}:7`,
    location: { fileNumber: 1, offset: 100 },
    guard: 'drop_table',
    what: 'DROP TABLE shop.orders',
    commitMicros: null,
  };
  const waiting = { nextId: `${UUID}:7`, nextDueInMs: null, bytes: 4_711, blind: false };
  const behind = { executed: `${UUID}:1-6`, caughtUpWithRelay: false, waiting };

  test('a paused target makes the channel degraded, and says how it goes on', () => {
    const channel = compose({ wishes: { paused: true }, target: { ...behind, gate: { is: 'paused' } } });
    expect(channel).toMatchObject({
      state: 'degraded',
      reason: 'target standby: paused; millrace resume standby goes on',
    });
    expect(channel.targets[0]).toMatchObject({
      state: 'paused',
      waiting: { transactions: 5_015, bytes: 4_711, next_id: `${UUID}:7`, next_due_seconds: null },
    });
  });

  test('what is in flight when it is paused is told, and is not waiting', () => {
    const channel = compose({
      wishes: { paused: true },
      target: { ...behind, gate: { is: 'paused' }, inFlight: 3 },
    });
    expect(channel.targets[0]?.reason).toBe(
      'paused, 3 transactions in flight are finished first; millrace resume standby goes on',
    );
    expect(channel.targets[0]?.waiting?.transactions).toBe(5_012);
  });

  test('a held target names the guard, what it found, and both ways on', () => {
    const channel = compose({ target: { ...behind, gate: { is: 'held', match } } });
    expect(channel.state).toBe('degraded');
    expect(channel.targets[0]).toMatchObject({
      state: 'held',
      reason: `held, guard drop_table: DROP TABLE shop.orders in ${UUID}:7; millrace approve ${UUID}:7 or millrace skip ${UUID}:7 --reason "…"`,
      hold: { id: `${UUID}:7`, guard: 'drop_table', what: 'DROP TABLE shop.orders' },
    });
  });

  test('a target that has stopped where it was told shows where', () => {
    const until = { is: 'before', id: `${UUID}:7` } as const;
    const channel = compose({
      wishes: { until },
      target: { ...behind, gate: { is: 'until', until }, untilReached: true },
    });
    expect(channel.targets[0]).toMatchObject({
      state: 'paused',
      reason: `stopped before ${UUID}:7, as it was told; millrace resume standby goes on`,
      until: { before: `${UUID}:7`, after: null, time: null, reached: true },
    });
    const finishing = compose({
      wishes: { until },
      target: { ...behind, gate: { is: 'until', until }, untilReached: true, inFlight: 1 },
    });
    expect(finishing.targets[0]).toMatchObject({ state: 'running', reason: null, until: { reached: false } });
    const ahead = compose({ wishes: { until: { is: 'time', ms: NOW } } });
    expect(ahead.state).toBe('running');
    expect(ahead.targets[0]?.until).toEqual({
      before: null,
      after: null,
      time: '2026-02-03T04:05:06.000Z',
      reached: false,
    });
  });

  test('a delayed target runs, and tells what waits and when the next one is due', () => {
    const due = { ...behind, waiting: { ...waiting, nextDueInMs: 12_500 } };
    const channel = compose({ delayMs: 60_000, target: { ...due, gate: { is: 'due', dueInMs: 12_500 } } });
    expect(channel.state).toBe('running');
    expect(channel.targets[0]).toMatchObject({
      state: 'running',
      reason: null,
      delay_seconds: 60,
      waiting: { next_due_seconds: 12.5 },
    });
    expect(compose({ delayMs: 60_000, wishes: { delayMs: 0 } }).targets[0]?.delay_seconds).toBe(0);
  });

  test('skips and approvals count until they are executed', () => {
    const done = { id: `${UUID}:1`, executed: true };
    const open = { id: `${UUID}:7`, executed: false };
    const reason = { reason: 'r', certain: true };
    const channel = compose({
      wishes: {
        approved: [done, open],
        skipped: [
          { ...done, ...reason },
          { ...open, ...reason },
        ],
      },
    });
    expect(channel.targets[0]).toMatchObject({ skips_pending: 1, approvals: 1 });
  });

  test('a target that is not connected says that before anything else', () => {
    const channel = compose({ wishes: { paused: true }, targetState: { at: 'connecting', attempt: 3 } });
    expect(channel.targets[0]).toMatchObject({ state: 'connecting', reason: 'connecting, attempt 3' });
  });

  test('a paused reader makes the channel degraded', () => {
    expect(compose({ readerState: { at: 'paused' } })).toMatchObject({
      state: 'degraded',
      reason: 'reader: paused; millrace resume reader goes on',
      reader: { state: 'paused' },
    });
  });
});
