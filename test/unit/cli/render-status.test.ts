import { expect, test } from 'vitest';
import { renderStatus } from '../../../src/cli/render-status.ts';
import { composeStatus } from '../../../src/observe/status.ts';
import { error, FACTS, NOW, snapshot, type Wish } from '../observe/snapshots.ts';

function render(...wishes: Wish[]): string {
  return renderStatus(
    composeStatus(
      wishes.map((wish) => snapshot(wish)),
      FACTS,
    ),
    false,
  );
}

test('a channel that runs well is one row', () => {
  expect(render({})).toBe(
    [
      'millrace 0.1.0, pid 4711, up 90 s',
      '',
      'CHANNEL  SOURCE    READER     RELAY LOG               TARGET   APPLIER  LAG  EXECUTED',
      'orders   db1:3306  streaming  000007:88231 (1.2 GiB)  standby  running  0 s  3e11…:1-5021',
    ].join('\n'),
  );
});

test('what is not well stands below in words', () => {
  const cause = error('CONNECTION_LOST', 'source closed\u001b[2J\nthe connection');
  expect(
    render({
      readerState: { at: 'backing-off', attempt: 3, untilMs: NOW + 4_000, cause },
      target: { executed: '', caughtUpWithRelay: false },
    }),
  ).toBe(
    [
      'millrace 0.1.0, pid 4711, up 90 s',
      '',
      'CHANNEL  SOURCE    READER       RELAY LOG               TARGET   APPLIER  LAG                         EXECUTED',
      'orders   db1:3306  backing-off  000007:88231 (1.2 GiB)  standby  running  unknown, 5021 transactions  nothing yet',
      '',
      'orders: degraded',
      'orders: reader: backing-off, attempt 3, source closed [2J the connection, retry in 4 s [see docs/errors.md#CONNECTION_LOST]',
    ].join('\n'),
  );
});

test('before anything is known it says so', () => {
  expect(
    render({
      machine: { kind: null, state: { at: 'reaching' } },
      readerState: { at: 'connecting', attempt: 1 },
      reader: null,
      targetState: { at: 'idle' },
      target: null,
    }),
  ).toBe(
    [
      'millrace 0.1.0, pid 4711, up 90 s',
      '',
      'CHANNEL  SOURCE    READER      RELAY LOG  TARGET   APPLIER     LAG      EXECUTED',
      'orders   db1:3306  connecting  -          standby  connecting  unknown  unknown',
      '',
      'orders: starting',
      'orders: reader: connecting',
      'orders: target standby: waiting for the reader to reach the source',
    ].join('\n'),
  );
});

test('several targets share the cells of their channel, and colours are there only when asked for', () => {
  const one = snapshot({});
  const two = { ...one, targets: [one.targets[0]!, { ...one.targets[0]!, name: 'warehouse' }] };
  const status = composeStatus([two], FACTS);
  expect(renderStatus(status, false).split('\n').slice(3)).toEqual([
    'orders   db1:3306  streaming  000007:88231 (1.2 GiB)  standby    running  0 s  3e11…:1-5021',
    '                                                      warehouse  running  0 s  3e11…:1-5021',
  ]);
  expect(renderStatus(status, true)).toContain('\u001b[32mrunning\u001b[39m');
  expect(renderStatus(status, false)).not.toContain('\u001b');
});

test.each([
  [0.04, '<0.1 s'],
  [0.05, '0.1 s'],
  [0.4, '0.4 s'],
  [9.96, '10 s'],
  [119, '119 s'],
  [150, '3 min'],
  [7_300, '2.0 h'],
  [200_000, '2 d'],
])('a lag of %d seconds reads %s', (seconds, text) => {
  const pendingCommitMicros = String(BigInt(NOW - seconds * 1000) * 1000n);
  expect(render({ target: { pendingCommitMicros, pendingAgeMs: seconds * 1000 } })).toContain(
    `running  ${text}  `,
  );
});

test('a long set is cut', () => {
  const executed = Array.from({ length: 9 }, (_, n) => `3e11fa47-71ca-11e1-9e33-c80aa942956${n}:1-5`).join(
    ',\n',
  );
  const last = render({ target: { executed } }).split('\n')[3]!.split('  ').at(-1)!;
  expect(last).toBe('3e11…:1-5,3e11…:1-5,3e11…:1-5,3e11…:1-5…');
});

test('what guards have found stands below, with what was said of it and when it is due', () => {
  const match = { guard: 'drop_table', commitMicros: '1700000000000000', dueInMs: 3_300_000 };
  const lines = render({
    target: {
      guards: {
        open: 9,
        first: [
          { ...match, id: 'u:7', what: 'DROP TABLE shop.orders', state: 'waiting' },
          { ...match, id: 'u:8', what: 'DROP TABLE shop.\u001b[2Jlines', state: 'approved', dueInMs: 0 },
        ],
      },
    },
  }).split('\n');
  expect(lines.slice(-3)).toEqual([
    'orders: target standby: guard drop_table: DROP TABLE shop.orders in u:7, due in 55 min',
    'orders: target standby: guard drop_table: DROP TABLE shop. [2Jlines in u:8, approved, due now',
    'orders: target standby: guards have found 7 more',
  ]);
});

test('what operators want, and what waits for it, stands below', () => {
  const id = '3e11fa47-71ca-11e1-9e33-c80aa9429562:7';
  expect(
    render({
      delayMs: 1_800_000,
      wishes: {
        until: { is: 'after', id },
        skipped: [{ id, executed: false, reason: 'r', certain: true }],
      },
      target: {
        gate: { is: 'due', dueInMs: 12_000 },
        waiting: { nextId: id, nextDueInMs: 12_000, bytes: 4_711, blind: false },
        executed: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-6',
      },
    })
      .split('\n')
      .slice(5),
  ).toEqual([
    'orders: target standby: delayed by 30m',
    `orders: target standby: 5015 transactions wait (4.6 KiB); next: ${id} is due in 12 s`,
    `orders: target standby: stops after ${id}`,
    'orders: target standby: 1 transaction is to be skipped',
  ]);
});

test('in a narrow window one part stands below the other, and what is not well is wrapped', () => {
  const activity = [
    {
      worker: 3,
      connection: 42,
      transaction: 'x:7',
      ordinal: 0,
      ageMs: 12_000,
      attempt: 1,
      doing: 'row events on shop.orders',
      table: null,
      waits: null,
    },
  ];
  const status = composeStatus([snapshot({ target: { activity, inFlight: 1 } })], FACTS);
  expect(renderStatus(status, false, 48)).toBe(
    [
      'millrace 0.1.0, pid 4711, up 90 s',
      '',
      'orders  running',
      '  db1:3306  streaming',
      '  000007:88231 (1.2 GiB)',
      '  standby  running  0 s',
      '    3e11…:1-5021',
      '',
      '',
      'orders: target standby: worker 3 has been at row',
      '  events on shop.orders for 12 s',
    ].join('\n'),
  );
});
