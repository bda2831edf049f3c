import { describe, expect, test } from 'vitest';
import type { ApplierStatus } from '../../../src/applier/applier-messages.ts';
import { stuckOn } from '../../../src/observe/stuck.ts';
import { error, NOW, snapshot } from './snapshots.ts';

function status(change: Partial<ApplierStatus>): ApplierStatus {
  return { ...snapshot().targets[0]!.status!, ...change };
}

const ACTIVITY = {
  worker: 3,
  connection: 42,
  transaction: 'x:7',
  ordinal: 0,
  ageMs: 12_300,
  attempt: 1,
  doing: 'row events on shop.orders',
  table: { database: 'shop', table: 'orders' },
  waits: null,
};
const NOTHING_FOUND = {
  why: 'state' as const,
  table: null,
  blocking: null,
  state: null,
  explain: null,
  unseen: null,
};
const SLEEPER = { connection: 99, user: 'app', host: '10.0.0.5', command: 'Sleep', seconds: 40 };

function busy(
  finding: Partial<NonNullable<ApplierStatus['stuck']>['finding']> | null,
  activity: Partial<typeof ACTIVITY> | { readonly waits: 'predecessor' | 'turn' } = {},
): ApplierStatus {
  return status({
    inFlight: 1,
    activity: [{ ...ACTIVITY, ...activity }],
    stuck:
      finding === null ? null : { worker: 3, transaction: 'x:7', finding: { ...NOTHING_FOUND, ...finding } },
  });
}

describe('what a target is stuck on', () => {
  test('is nothing while it gets on', () => {
    expect(stuckOn(status({}))).toBeNull();
    expect(stuckOn(busy(null, { ageMs: 1_900 }))).toBeNull();
  });

  test('a row lock: who holds it, for how long, and what to do', () => {
    expect(stuckOn(busy({ why: 'row-lock', table: 'shop.orders', blocking: SLEEPER }))).toEqual({
      why: 'row_lock',
      text: 'worker 3 has waited 12 s for a row lock on shop.orders, held by connection 99 of app@10.0.0.5, idle for 40 s in a transaction',
      hint: 'Let that session commit or roll back, or run KILL 99 on the target.',
      since_seconds: 12.3,
      transaction: 'x:7',
      worker: 3,
      connection: 42,
      doing: 'row events on shop.orders',
      table: 'shop.orders',
      blocked_by: { connection: 99, user: 'app', host: '10.0.0.5', idle_seconds: 40 },
      explain: null,
    });
  });

  test('a metadata lock whose holder the account may not see: with the GRANT', () => {
    const unseen = 'GRANT PROCESS ON *.* to the apply account shows who holds the lock';
    expect(
      stuckOn(busy({ why: 'metadata-lock', unseen }, { doing: 'ALTER TABLE shop.orders' })),
    ).toMatchObject({
      why: 'metadata_lock',
      text: `worker 3 has waited 12 s for a lock on shop.orders as a whole (ALTER TABLE shop.orders), held by someone; ${unseen}`,
      hint: unseen,
      blocked_by: null,
    });
  });

  test('a table without a key: with the plan, and the cure', () => {
    expect(
      stuckOn(busy({ why: 'no-key', table: 'shop.orders', explain: 'type=ALL, rows=1200000' })),
    ).toMatchObject({
      why: 'no_key',
      text: 'worker 3 has been at row events on shop.orders for 12 s: shop.orders has no key, so each changed row is looked for by reading the whole table (type=ALL, rows=1200000)',
      hint: 'Add a primary key to shop.orders, on the source and on the target.',
      explain: 'type=ALL, rows=1200000',
    });
  });

  test('a statement that takes long, with what the target says it is at', () => {
    expect(stuckOn(busy({ state: 'copy to tmp table' }, { doing: 'ALTER TABLE shop.orders' }))).toMatchObject(
      {
        why: 'statement',
        text: 'worker 3 has been at ALTER TABLE shop.orders for 12 s (the target says: copy to tmp table)',
      },
    );
  });

  test('a predecessor, and a transaction that is tried again and again', () => {
    expect(stuckOn(busy(null, { waits: 'predecessor' }))).toMatchObject({ why: 'predecessor' });
    expect(stuckOn(busy(null, { waits: 'turn' }))).toMatchObject({
      why: 'predecessor',
      text: 'worker 3 has waited 12 s with its COMMIT: it comes when everything before it is committed',
    });
    expect(stuckOn(busy(null, { attempt: 3 }))).toMatchObject({
      why: 'retrying',
      text: 'worker 3 tries a transaction for the 3rd time, row events on shop.orders, since 12 s',
    });
  });

  test('the finding of another transaction is not taken for this one', () => {
    expect(stuckOn(busy({ why: 'row-lock' }, { transaction: 'x:8' }))).toMatchObject({ why: 'statement' });
  });

  test('a read-only target', () => {
    const cause = error('TARGET_READ_ONLY', 'the target is read-only', 'Make it writable.');
    expect(stuckOn(status({ state: { at: 'backing-off', attempt: 1, untilMs: NOW, cause } }))).toMatchObject({
      why: 'read_only',
      hint: 'Make it writable.',
    });
  });

  test.each<[string, Partial<ApplierStatus>, string]>([
    ['paused', { gate: { is: 'paused' } }, 'paused by an operator'],
    ['delayed', { gate: { is: 'due', dueInMs: 90_000 } }, 'the next transaction is due in 90 s'],
    [
      'held',
      {
        gate: {
          is: 'held',
          match: {
            id: 'x:9',
            location: { fileNumber: 1, offset: 4 },
            guard: 'drop_table',
            what: 'DROP TABLE shop.orders',
            commitMicros: null,
          },
        },
      },
      'held by the guard drop_table: DROP TABLE shop.orders',
    ],
  ])('what is %s waits because it was told to', (_what, change, text) => {
    expect(stuckOn(status(change))?.text).toBe(text);
  });

  test('what is still in flight comes before the gate', () => {
    expect(stuckOn({ ...busy(null), gate: { is: 'paused' } })?.why).toBe('statement');
  });
});
