/**
 * `millrace check` on set-ups whose source or machine is spoiled in one way each: it finds exactly that, and when what it prints is pasted as
 * it is, nothing is wrong any more. Where no text can mend it, that it is found is what is seen.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { unlogged } from '../support/accounts.ts';
import { CheckedSetup, SOURCE, wrongOnes } from '../support/checked-setup.ts';
import type { ConfigMap } from '../support/millrace-process.ts';
import { foundAndMended, foundOnly, targetHasAll } from '../support/pasting.ts';
import { runProgram } from '../support/program.ts';
import { repositoryRoot } from '../support/repository.ts';
import type { TestServer } from '../support/test-server.ts';

let setup: CheckedSetup;
let source: TestServer;
let target: TestServer;
const mends: (() => Promise<unknown> | unknown)[] = [];

beforeAll(async () => {
  setup = await CheckedSetup.start('mysql');
  ({ source, target } = setup);
});
afterAll(() => setup?.stop());

beforeEach(async () => {
  setup.reset();
  await targetHasAll(setup);
});
/** What a test has done besides what was pasted. */
afterEach(async () => {
  for (const mend of mends.splice(0).reverse()) await mend();
});

test('a set-up as the documentation asks for it is clean, and nothing of the look stays', async () => {
  const before = await traces();
  const checked = await setup.check();
  expect(wrongOnes(checked)).toEqual([]);
  expect(checked.findings.filter(({ skipped }) => skipped).map(({ id }) => id)).toEqual(
    checked.findings.some(({ id, skipped }) => id === 'disk' && skipped) ? ['disk'] : [],
  );
  expect(await traces()).toEqual(before);
});

/** What a look could leave behind. */
async function traces(): Promise<unknown> {
  const facts: unknown[] = [];
  for (const server of [source, target]) {
    facts.push(await server.query('SELECT @@GLOBAL.gtid_executed AS executed, @@GLOBAL.gtid_owned AS owned'));
    facts.push(await server.query('SHOW DATABASES'));
    facts.push(await server.query('SHOW REPLICAS'));
    facts.push(
      await server.query(
        "SELECT COUNT(*) AS n FROM performance_schema.metadata_locks WHERE OBJECT_TYPE = 'USER LEVEL LOCK'",
      ),
    );
    facts.push(await server.query('SHOW BINARY LOG STATUS'));
  }
  return facts;
}

describe('the source', () => {
  test('that writes statements', async () => {
    await source.query("SET GLOBAL binlog_format = 'MIXED'");
    await foundAndMended(setup, 'source binlog_format error');
  });

  test('that leaves changes out of its binary log: of a database, and what it receives as a replica', async () => {
    await source.restart(['--binlog-ignore-db=tmp', '--log-replica-updates=OFF', '--skip-replica-start']);
    mends.push(() => source.restart([]));
    await source.query(
      "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=1, SOURCE_USER='x'",
    );
    mends.push(() => source.query('RESET REPLICA ALL'));
    const checked = await setup.check();
    expect(wrongOnes(checked)).toEqual([
      'source binlog_filters warning',
      'source log_replica_updates warning',
    ]);
    const told = checked.findings.find(({ id }) => id === 'binlog_filters')!;
    expect(told.message).toMatch(/^binlog_ignore_db=tmp: /);
  });

  test('that has server_id 0', async () => {
    await source.query('SET GLOBAL server_id = 0');
    mends.push(() => source.query('RESET PERSIST server_id'));
    await foundAndMended(setup, 'source server_id error');
  });

  test('that writes no binary log', async () => {
    await source.restart(['--skip-log-bin']);
    mends.push(() => source.restart([]));
    await foundAndMended(setup, 'source log_bin error');
  });

  test('that logs keys only', async () => {
    await source.query('SET GLOBAL binlog_row_image = MINIMAL');
    await foundAndMended(setup, 'source binlog_row_image warning');
  });

  test('that has no GTIDs, where progress wants them', async () => {
    setup.reset({ target: { progress: 'gtid' } });
    for (const mode of ['ON_PERMISSIVE', 'OFF_PERMISSIVE', 'OFF'])
      await source.query(`SET GLOBAL gtid_mode = ${mode}`);
    const { findings } = await setup.check();
    const told = findings.find(({ id }) => id === 'gtid_mode');
    expect(told).toMatchObject({ level: 'error', code: 'TARGET_CONFIG' });
    await setup.paste(told!.remedy!);
    expect(wrongOnes(await setup.check())).toEqual([]);
  });

  test('whose account may not replicate', async () => {
    await unlogged(source, [`REVOKE REPLICATION SLAVE ON *.* FROM ${SOURCE.user}`]);
    await foundAndMended(setup, 'source replication_privilege error');
  });

  test('whose account may not list binary logs: how fast they grow is skipped, and says why', async () => {
    await unlogged(source, [`REVOKE REPLICATION CLIENT ON *.* FROM ${SOURCE.user}`]);
    const told = (await setup.check()).findings.filter(({ skipped }) => skipped);
    expect(told.map(({ id }) => id)).toEqual(['binlog_filters', 'monitor_privilege', 'disk']);
    await setup.paste(told[1]!.remedy!);
    expect((await setup.check()).findings.find(({ id }) => id === 'monitor_privilege')).toMatchObject({
      level: 'ok',
      skipped: false,
    });
  });

  test('that has the server_id that we are told to present', async () => {
    const [row] = await source.query('SELECT @@GLOBAL.server_id AS id');
    setup.reset({ source: { server_id: Number(row?.id) } });
    await foundAndMended(setup, 'source server_id_clash error');
  });

  test('that deletes its binary logs too soon for the relay log', async () => {
    await source.query('SET GLOBAL binlog_expire_logs_seconds = 600');
    await foundAndMended(setup, 'source binlog_expiry warning');
  });

  test('whose account is locked', async () => {
    await unlogged(source, [`ALTER USER ${SOURCE.user} ACCOUNT LOCK`]);
    await foundAndMended(setup, 'source reachable error');
  });

  test('that takes encrypted connections only', async () => {
    await source.query('SET GLOBAL require_secure_transport = ON');
    mends.push(() => source.query('SET GLOBAL require_secure_transport = OFF'));
    setup.reset({ source: { tls: 'disabled' } });
    await foundAndMended(setup, 'source reachable error');
  });

  test('that has a table without transactions', async () => {
    await unlogged(source, ['CREATE TABLE shop.visits (id INT PRIMARY KEY) ENGINE=MyISAM']);
    mends.push(() => unlogged(source, ['DROP TABLE shop.visits']));
    await foundAndMended(setup, 'source tables_without_transactions warning');
  });

  test('that has a table without a key: a key made of a column that names the row mends it', async () => {
    await unlogged(source, ['CREATE TABLE shop.visits (at DATETIME, n INT UNIQUE)']);
    mends.push(() => unlogged(source, ['DROP TABLE shop.visits']));
    await foundOnly(setup, 'source tables_without_key warning');
    await unlogged(source, ['ALTER TABLE shop.visits MODIFY n INT NOT NULL']);
    await foundOnly(setup);
  });

  test('that is not there is an error, and keeps the target from being judged by it', async () => {
    setup.reset({ source: { port: 9 } });
    const checked = await setup.check();
    expect(wrongOnes(checked)).toEqual(['source reachable error']);
    expect(checked.findings.find(({ id }) => id === 'reachable')).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(checked.code).toBe(1);
  });
});

describe('history', () => {
  test('what the target has done by itself is told, and can be made known to the source', async () => {
    await target.query("INSERT INTO shop.orders VALUES (77, 'mine')");
    await foundAndMended(setup, 'target standby errant_gtids warning');
  });
});

describe('this machine', () => {
  test('where others may read data_dir', async () => {
    chmodSync(setup.dataDir, 0o755);
    await foundAndMended(setup, 'host data_dir warning');
  });

  test('where the path of the control socket is too long', async () => {
    const long: ConfigMap = { ...setup.config, data_dir: join(setup.folder, 'd'.repeat(100)) };
    writeFileSync(setup.configFile, JSON.stringify(long));
    const checked = await setup.check();
    expect(wrongOnes(checked)).toEqual(['host control_socket error']);
    expect(checked.report.host.find(({ id }) => id === 'control_socket')?.remedy).toMatchObject({
      on: 'config',
      text: 'data_dir: /var/lib/millrace',
    });
  });

  test('where the relay log is damaged: it will be fetched again', async () => {
    const folder = join(setup.dataDir, 'orders');
    mends.push(() => rmSync(folder, { recursive: true }));
    execFileSync('mkdir', ['-p', folder]);
    writeFileSync(join(folder, 'relay-bin.index'), 'not an index\n');
    await foundOnly(setup, 'host relay_log warning');
  });

  test('where the disk does not hold what is to be kept', async () => {
    await source.query('SET GLOBAL binlog_expire_logs_seconds = 0');
    mends.push(() => source.query('SET GLOBAL binlog_expire_logs_seconds = 2592000'));
    await source.query('CREATE TABLE shop.filling (id INT PRIMARY KEY AUTO_INCREMENT, text LONGTEXT)');
    for (let row = 0; row < 4; row++) {
      await source.query('INSERT INTO shop.filling (text) VALUES (REPEAT(RAND(), 200000))');
    }
    setup.reset({ channel: { relay_log: { retention: '3650d' } } });
    // Of binary logs that are too young nothing is said.
    const isTold = async (): Promise<boolean> =>
      (await setup.check()).findings.some(({ id, skipped }) => id === 'disk' && !skipped);
    await expect.poll(isTold, { timeout: 60_000 }).toBe(true);
    await foundAndMended(setup, 'host disk warning');
  });
});

describe('binary logs that are gone', () => {
  test('what the source has deleted and the target lacks is told; saying that the target has it mends it', async () => {
    await source.query("INSERT INTO shop.orders VALUES (88, 'gone soon')");
    await source.query('FLUSH BINARY LOGS');
    const [status] = await source.query('SHOW BINARY LOG STATUS');
    await source.query(`PURGE BINARY LOGS TO '${status?.File}'`);
    await foundAndMended(setup, 'target standby history error');
  });

  test('a source that has lost its history is told', async () => {
    const [row] = await source.query('SELECT @@GLOBAL.gtid_executed AS executed');
    await target
      .query(`SET GLOBAL gtid_purged = '+${String(row?.executed).replace(/\s/g, '')}'`)
      .catch(() => {});
    await source.query('RESET BINARY LOGS AND GTIDS');
    await source.query("INSERT INTO shop.orders VALUES (99, 'anew')");
    const checked = await setup.check();
    expect(checked.findings.find(({ id }) => id === 'history')).toMatchObject({
      level: 'error',
      code: 'SOURCE_BEHIND',
      remedy: null,
    });
  });
});

test('for people it is a line each, with the text to paste below, and code 1', async () => {
  await unlogged(source, [`REVOKE REPLICATION SLAVE ON *.* FROM ${SOURCE.user}`]);
  const result = await runProgram(process.execPath, [
    join(repositoryRoot, 'bin', 'millrace.js'),
    'check',
    '-c',
    setup.configFile,
  ]);
  expect(result.code).toBe(1);
  expect(result.stdout).toContain(
    [
      `           paste on the source 127.0.0.1:${source.port}:`,
      '             SET SESSION sql_log_bin = 0;',
      `             GRANT REPLICATION SLAVE ON *.* TO '${SOURCE.user}'@'%';`,
      '             SET SESSION sql_log_bin = 1;',
      '           see docs/errors.md#PRIVILEGE_MISSING',
    ].join('\n'),
  );
  expect(result.stdout).not.toContain(SOURCE.password);
});
