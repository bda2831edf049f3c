/**
 * `millrace check` between MariaDB servers: what is different there, found and mended by pasting.
 */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { unlogged } from '../support/accounts.ts';
import { CheckedSetup, SOURCE, TARGET, wrongOnes } from '../support/checked-setup.ts';
import type { TestServer } from '../support/test-server.ts';

let setup: CheckedSetup;
let source: TestServer;
let target: TestServer;
const mends: (() => Promise<unknown> | unknown)[] = [];

beforeAll(async () => {
  setup = await CheckedSetup.start('mariadb');
  ({ source, target } = setup);
});
afterAll(() => setup?.stop());
beforeEach(() => setup.reset());
afterEach(async () => {
  for (const mend of mends.splice(0).reverse()) await mend();
});

async function foundAndMended(...expected: readonly string[]): Promise<void> {
  const spoiled = await setup.check();
  expect(wrongOnes(spoiled)).toEqual(expected);
  for (const { remedy, level } of spoiled.findings) {
    if (level !== 'ok') await setup.paste(remedy!);
  }
  expect(wrongOnes(await setup.check())).toEqual([]);
}

test('a set-up as the documentation asks for it is clean, and nothing of the look stays', async () => {
  const before = await traces();
  expect(wrongOnes(await setup.check())).toEqual([]);
  expect(await traces()).toEqual(before);
});

async function traces(): Promise<unknown> {
  const facts: unknown[] = [];
  for (const server of [source, target]) {
    facts.push(await server.query('SELECT @@GLOBAL.gtid_binlog_state AS state'));
    facts.push(await server.query('SHOW DATABASES'));
    facts.push(await server.query('SHOW SLAVE HOSTS'));
    facts.push(await server.query('SHOW MASTER STATUS'));
  }
  return facts;
}

test('a source in the format that MariaDB begins with', async () => {
  await source.query("SET GLOBAL binlog_format = 'MIXED'");
  await foundAndMended('source binlog_format error');
});

test('a source whose account may not replicate', async () => {
  await unlogged(source, [`REVOKE REPLICATION SLAVE ON *.* FROM ${SOURCE.user}`]);
  await foundAndMended('source replication_privilege error');
});

test('a server without TLS, where it is required', async () => {
  setup.reset({ source: { tls: 'required' }, target: { tls: 'required' } });
  await foundAndMended('source reachable error', 'target standby reachable error');
});

test('a target whose account may not send row events', async () => {
  await unlogged(target, [`REVOKE BINLOG REPLAY ON *.* FROM ${TARGET.user}`]);
  await foundAndMended('target standby row_events error', 'target standby session_settings warning');
});

test('a target whose account may not keep its progress', async () => {
  await unlogged(target, [`REVOKE ALL ON millrace.* FROM ${TARGET.user}`]);
  await foundAndMended('target standby progress_table error');
});

test('a target that is read-only', async () => {
  await target.query('SET GLOBAL read_only = ON');
  mends.push(() => target.query('SET GLOBAL read_only = OFF'));
  mends.push(() => setup.createAccounts());
  await foundAndMended('target standby read_only error');
});

test('a target that writes statements, where the account may not change that', async () => {
  await target.query("SET GLOBAL binlog_format = 'STATEMENT'");
  await foundAndMended('target standby session_settings error');
});

test('a target that runs events, and one with a smaller packet', async () => {
  await unlogged(target, [
    `CREATE DEFINER=${TARGET.user}@'%' EVENT shop.tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.orders WHERE id < 0`,
  ]);
  mends.push(() => unlogged(target, ['DROP EVENT shop.tidy']));
  await target.query('SET GLOBAL event_scheduler = ON');
  await target.query('SET GLOBAL max_allowed_packet = 1048576');
  await foundAndMended('target standby max_allowed_packet warning', 'target standby events warning');
});

/** A server that writes a binary log warns of triggers that it would not let the account make. */
async function lettingTriggersBeMade(): Promise<void> {
  await target.query('SET GLOBAL log_bin_trust_function_creators = ON');
  mends.push(() => target.query('SET GLOBAL log_bin_trust_function_creators = OFF'));
}

test('a target whose triggers are fired by row events', async () => {
  await lettingTriggersBeMade();
  mends.push(() => target.query("SET GLOBAL slave_run_triggers_for_rbr = 'NO'"));
  await target.query("SET GLOBAL slave_run_triggers_for_rbr = 'YES'");
  await foundAndMended('target standby triggers warning');

  await unlogged(target, [
    `CREATE DEFINER=${TARGET.user}@'%' TRIGGER shop.noted AFTER INSERT ON shop.orders FOR EACH ROW SET @noted = NEW.id`,
  ]);
  mends.push(() => unlogged(target, ['DROP TRIGGER shop.noted']));
  await target.query("SET GLOBAL slave_run_triggers_for_rbr = 'LOGGING'");
  await foundAndMended('target standby triggers error');
});

test('a target that fires also the triggers that the source has fired', async () => {
  await lettingTriggersBeMade();
  for (const [server, { user }] of [
    [source, SOURCE],
    [target, TARGET],
  ] as const) {
    await unlogged(server, [
      `CREATE DEFINER=${user}@'%' TRIGGER shop.noted AFTER INSERT ON shop.orders FOR EACH ROW SET @noted = NEW.id`,
      `GRANT SELECT, TRIGGER ON shop.* TO ${user}`,
    ]);
    mends.push(() => unlogged(server, ['DROP TRIGGER shop.noted']));
  }
  mends.push(() => setup.createAccounts());
  mends.push(() => target.query("SET GLOBAL slave_run_triggers_for_rbr = 'NO'"));
  await target.query("SET GLOBAL slave_run_triggers_for_rbr = 'YES'");
  await foundAndMended('target standby triggers warning');
  await target.query("SET GLOBAL slave_run_triggers_for_rbr = 'ENFORCE'");
  await foundAndMended('target standby triggers error');
});

test('a source that has lost its history', async () => {
  await unlogged(target, [
    'CREATE DATABASE IF NOT EXISTS millrace',
    'CREATE TABLE millrace.progress (channel VARBINARY(255) NOT NULL, worker SMALLINT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL, kind VARCHAR(10) NOT NULL, executed LONGTEXT NOT NULL, owner VARCHAR(255) NOT NULL, PRIMARY KEY (channel, worker))',
    "INSERT INTO millrace.progress VALUES ('orders', 0, 1, 'mariadb', '0-77-100000', '')",
  ]);
  mends.push(() => unlogged(target, ['DROP DATABASE millrace']));
  const checked = await setup.check();
  expect(wrongOnes(checked)).toEqual(['target standby history error']);
  expect(checked.findings.find(({ id }) => id === 'history')).toMatchObject({ code: 'SOURCE_BEHIND' });
});
