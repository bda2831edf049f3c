/**
 * `millrace check` on set-ups that are spoiled in one way each: it finds exactly that, and when what it prints is pasted as it
 * is, nothing is wrong any more. Where no text can mend it, that it is found is what is seen.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { leaseName } from '../../src/target/target-lease.ts';
import { unlogged } from '../support/accounts.ts';
import { CheckedSetup, SOURCE, TARGET, wrongOnes } from '../support/checked-setup.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import type { ConfigMap } from '../support/millrace-process.ts';
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
  await targetHasAll();
});
/** What a test has done besides what was pasted. */
afterEach(async () => {
  for (const mend of mends.splice(0).reverse()) await mend();
});

/** As after loading a copy of the source: nothing is left to be fetched. */
async function targetHasAll(): Promise<void> {
  const [row] = await source.query('SELECT @@GLOBAL.gtid_executed AS executed');
  const [missing] = await target.query('SELECT GTID_SUBTRACT(?, @@GLOBAL.gtid_executed) AS gtids', [
    row?.executed,
  ]);
  if (missing?.gtids !== '') await target.query('SET GLOBAL gtid_purged = ?', [`+${missing?.gtids}`]);
}

/** As somebody does it who thinks of something else. */
async function both(...statements: readonly string[]): Promise<void> {
  for (const server of [source, target]) await unlogged(server, statements);
}

/** Found, exactly; pasted, in the order in which they are told; and nothing is wrong any more. */
async function foundAndMended(...expected: readonly string[]): Promise<void> {
  const spoiled = await setup.check();
  expect(wrongOnes(spoiled)).toEqual(expected);
  expect(spoiled.code).toBe(expected.some((each) => each.endsWith('error')) ? 1 : 0);
  const wrong = spoiled.findings.filter(({ level }) => level !== 'ok');
  const pasted = new Set<string>();
  for (const { remedy, id } of wrong) {
    expect(remedy, id).not.toBeNull();
    if (remedy === null || pasted.has(remedy.text)) continue;
    pasted.add(remedy.text);
    await setup.paste(remedy);
  }
  const mended = await setup.check();
  expect(wrongOnes(mended)).toEqual([]);
  expect(mended.code).toBe(0);
}

async function foundOnly(...expected: readonly string[]): Promise<void> {
  const checked = await setup.check();
  expect(wrongOnes(checked)).toEqual(expected);
}

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
    await foundAndMended('source binlog_format error');
  });

  test('that has server_id 0', async () => {
    await source.query('SET GLOBAL server_id = 0');
    mends.push(() => source.query('RESET PERSIST server_id'));
    await foundAndMended('source server_id error');
  });

  test('that writes no binary log', async () => {
    await source.restart(['--skip-log-bin']);
    mends.push(() => source.restart([]));
    await foundAndMended('source log_bin error');
  });

  test('that logs keys only', async () => {
    await source.query('SET GLOBAL binlog_row_image = MINIMAL');
    await foundAndMended('source binlog_row_image warning');
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
    await foundAndMended('source replication_privilege error');
  });

  test('whose account may not list binary logs: how fast they grow is skipped, and says why', async () => {
    await unlogged(source, [`REVOKE REPLICATION CLIENT ON *.* FROM ${SOURCE.user}`]);
    const told = (await setup.check()).findings.filter(({ skipped }) => skipped);
    expect(told.map(({ id }) => id)).toEqual(['monitor_privilege', 'disk']);
    await setup.paste(told[0]!.remedy!);
    expect((await setup.check()).findings.find(({ id }) => id === 'monitor_privilege')).toMatchObject({
      level: 'ok',
      skipped: false,
    });
  });

  test('that has the server_id that we are told to present', async () => {
    const [row] = await source.query('SELECT @@GLOBAL.server_id AS id');
    setup.reset({ source: { server_id: Number(row?.id) } });
    await foundAndMended('source server_id_clash error');
  });

  test('that deletes its binary logs too soon for the relay log', async () => {
    await source.query('SET GLOBAL binlog_expire_logs_seconds = 600');
    await foundAndMended('source binlog_expiry warning');
  });

  test('whose account is locked', async () => {
    await unlogged(source, [`ALTER USER ${SOURCE.user} ACCOUNT LOCK`]);
    await foundAndMended('source reachable error');
  });

  test('that takes encrypted connections only', async () => {
    await source.query('SET GLOBAL require_secure_transport = ON');
    mends.push(() => source.query('SET GLOBAL require_secure_transport = OFF'));
    setup.reset({ source: { tls: 'disabled' } });
    await foundAndMended('source reachable error');
  });

  test('that has a table without transactions', async () => {
    await unlogged(source, ['CREATE TABLE shop.visits (id INT PRIMARY KEY) ENGINE=MyISAM']);
    mends.push(() => unlogged(source, ['DROP TABLE shop.visits']));
    await foundAndMended('source tables_without_transactions warning');
  });

  test('that has a table without a key: a key made of a column that names the row mends it', async () => {
    await unlogged(source, ['CREATE TABLE shop.visits (at DATETIME, n INT UNIQUE)']);
    mends.push(() => unlogged(source, ['DROP TABLE shop.visits']));
    await foundOnly('source tables_without_key warning');
    await unlogged(source, ['ALTER TABLE shop.visits MODIFY n INT NOT NULL']);
    await foundOnly();
  });

  test('that is not there is an error, and keeps the target from being judged by it', async () => {
    setup.reset({ source: { port: 9 } });
    const checked = await setup.check();
    expect(wrongOnes(checked)).toEqual(['source reachable error']);
    expect(checked.findings.find(({ id }) => id === 'reachable')).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(checked.code).toBe(1);
  });
});

describe('the target', () => {
  test('without GTIDs, where progress wants them', async () => {
    setup.reset({ target: { progress: 'gtid' } });
    for (const mode of ['ON_PERMISSIVE', 'OFF_PERMISSIVE', 'OFF'])
      await target.query(`SET GLOBAL gtid_mode = ${mode}`);
    await target.query('SET GLOBAL enforce_gtid_consistency = OFF');
    await foundAndMended('target standby progress error');
  });

  test('that is read-only, for everybody and for administrators', async () => {
    await target.query('SET GLOBAL read_only = ON');
    mends.push(() => target.query('SET GLOBAL super_read_only = OFF, GLOBAL read_only = OFF'));
    mends.push(() => setup.createAccounts());
    await foundAndMended('target standby read_only error');
    await setup.createAccounts();
    await target.query('SET GLOBAL super_read_only = ON');
    await foundAndMended('target standby read_only error');
  });

  test('whose account may not send row events', async () => {
    await unlogged(target, [`REVOKE REPLICATION_APPLIER ON *.* FROM ${TARGET.user}`]);
    await foundAndMended('target standby row_events error');
  });

  test('whose account may name no transactions, and set nothing', async () => {
    await unlogged(target, [
      `REVOKE REPLICATION_APPLIER, SESSION_VARIABLES_ADMIN ON *.* FROM ${TARGET.user}`,
    ]);
    await foundAndMended(
      'target standby row_events error',
      'target standby gtid_next error',
      'target standby session_settings warning',
    );
  });

  test('whose account may not set tagged GTIDs, which the source has', async () => {
    const connection = await source.connect();
    await connection.query("SET GTID_NEXT = 'AUTOMATIC:mysqlsh'");
    await connection.query('INSERT INTO shop.orders VALUES (2, "tagged")');
    connection.destroy();
    await foundAndMended('target standby gtid_tags error');
  });

  test('whose account may not keep progress in a table, before and after there is one', async () => {
    setup.reset({ target: { progress: 'table' } });
    await foundAndMended('target standby progress_table error');
    await unlogged(target, [`REVOKE ALL ON millrace.* FROM ${TARGET.user}`]);
    await unlogged(target, [
      'CREATE DATABASE millrace',
      'CREATE TABLE millrace.progress (channel VARBINARY(255) NOT NULL, worker SMALLINT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL, kind VARCHAR(10) NOT NULL, executed LONGTEXT NOT NULL, owner VARCHAR(255) NOT NULL, PRIMARY KEY (channel, worker))',
    ]);
    mends.push(() => unlogged(target, ['DROP DATABASE millrace']));
    await foundAndMended('target standby progress_table error');
    expect(await target.query('SELECT COUNT(*) AS n FROM millrace.progress')).toEqual([{ n: 0 }]);
  });

  test('whose account has no rights on the data, and on one schema of two', async () => {
    await unlogged(target, [`REVOKE ALL ON shop.* FROM ${TARGET.user}`]);
    mends.push(() => setup.createAccounts());
    await foundAndMended('target standby schema_privileges error');
    await setup.createAccounts();
    await both('CREATE DATABASE `b_log`');
    mends.push(() => both('DROP DATABASE `b_log`'));
    await unlogged(source, [`GRANT SELECT ON \`b\\_log\`.* TO ${SOURCE.user}`]);
    await foundAndMended('target standby schema_privileges warning');
  });

  test('that runs events', async () => {
    await unlogged(target, [
      `CREATE DEFINER=${TARGET.user}@'%' EVENT shop.tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.orders WHERE id < 0`,
    ]);
    mends.push(() => unlogged(target, ['DROP EVENT shop.tidy']));
    await target.query('SET GLOBAL event_scheduler = ON');
    await foundAndMended('target standby events warning');
  });

  test('that holds a view of somebody else', async () => {
    await unlogged(target, ['CREATE VIEW shop.few AS SELECT * FROM shop.orders LIMIT 1']);
    mends.push(() => unlogged(target, ['DROP VIEW shop.few']));
    await foundAndMended('target standby definers warning');
  });

  test('that lets nobody make functions', async () => {
    await source.query('SET GLOBAL log_bin_trust_function_creators = ON');
    mends.push(() => source.query('SET GLOBAL log_bin_trust_function_creators = OFF'));
    mends.push(() => target.query('RESET PERSIST log_bin_trust_function_creators'));
    await foundAndMended('target standby function_creators warning');
  });

  test.each([
    ['sql_mode', "SET GLOBAL sql_mode = 'ANSI_QUOTES'"],
    ['sql_require_primary_key', 'SET GLOBAL sql_require_primary_key = ON'],
    ['invisible_primary_keys', 'SET GLOBAL sql_generate_invisible_primary_key = ON'],
    ['max_allowed_packet', 'SET GLOBAL max_allowed_packet = 1048576'],
    ['charset', "SET GLOBAL collation_server = 'utf8mb4_general_ci'"],
    ['durability', 'SET GLOBAL sync_binlog = 0, GLOBAL innodb_flush_log_at_trx_commit = 2'],
    ['connections', 'SET GLOBAL max_connections = 10'],
  ])('set so that %s is not what it should be', async (id, statement) => {
    await target.query(statement);
    await foundAndMended(`target standby ${id} warning`);
  });

  test('that makes up keys, where the account may not turn that off', async () => {
    await target.query('SET GLOBAL sql_generate_invisible_primary_key = ON');
    await unlogged(target, [`REVOKE SESSION_VARIABLES_ADMIN ON *.* FROM ${TARGET.user}`]);
    mends.push(() => setup.createAccounts());
    const { findings } = await setup.check();
    const told = findings.find(({ id }) => id === 'session_settings');
    expect(told).toMatchObject({ level: 'error', code: 'PRIVILEGE_MISSING' });
    await setup.paste(told!.remedy!);
    await foundOnly('target standby session_settings warning');
  });

  test('that writes no binary log', async () => {
    await target.restart(['--skip-log-bin']);
    mends.push(() => target.restart([]));
    await foundAndMended('target standby log_bin warning');
  });

  test('that does not know the time zones that the source knows', async () => {
    await loadZones(source);
    await foundAndMended('target standby time_zones warning');
  });

  test('that is a native replica of the same source', async () => {
    await target.query(
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${source.port}, SOURCE_USER='${SOURCE.user}', SOURCE_PASSWORD='${SOURCE.password}', SOURCE_SSL=1, SOURCE_AUTO_POSITION=1`,
    );
    mends.push(() => target.query('STOP REPLICA; RESET REPLICA ALL'));
    await target.query('START REPLICA SQL_THREAD');
    await expect
      .poll(async () => {
        await target.query('START REPLICA');
        const [status] = await target.query('SHOW REPLICA STATUS');
        return status?.Source_UUID !== '' && status?.Replica_SQL_Running === 'Yes';
      })
      .toBe(true);
    setup.reset({ target: { progress: 'table' } });
    await unlogged(target, [`GRANT ALL ON millrace.* TO ${TARGET.user}`]);
    mends.push(() => setup.createAccounts());
    await foundAndMended('target standby native_replication error');
  });

  test('that another Millrace applies to', async () => {
    const other: Connection = await target.connect();
    other.on('error', () => {});
    mends.push(() => other.destroy());
    await other.query(`SELECT GET_LOCK('${leaseName('orders')}', 0)`);
    await foundAndMended('target standby lease error');
  });

  test('that gives the account fewer connections than there are workers', async () => {
    await unlogged(target, [`ALTER USER ${TARGET.user} WITH MAX_USER_CONNECTIONS 4`]);
    mends.push(() => setup.createAccounts());
    await foundAndMended('target standby connections error');
  });

  test('that is the source itself, by another way', async () => {
    const proxy = await CuttingProxy.start({ host: source.host, port: source.port });
    mends.push(() => proxy.stop());
    await unlogged(source, [
      `CREATE USER '${TARGET.user}'@'%' IDENTIFIED BY '${TARGET.password}'`,
      `GRANT ALL ON *.* TO '${TARGET.user}'@'%'`,
    ]);
    mends.push(() => unlogged(source, [`DROP USER ${TARGET.user}`]));
    setup.reset({ target: { port: proxy.port } });
    const checked = await setup.check();
    expect(checked.findings.find(({ id }) => id === 'same_server')).toMatchObject({
      level: 'error',
      code: 'CONFIG',
    });
  });
});

describe('certificates', () => {
  test('that end soon are told, and the new one is taken without a restart', async () => {
    certificate(setup.folder, 3);
    await target.query(
      `SET GLOBAL ssl_cert = '${join(setup.folder, 'cert.pem')}', GLOBAL ssl_key = '${join(setup.folder, 'key.pem')}'; ALTER INSTANCE RELOAD TLS`,
    );
    const checked = await setup.check();
    expect(wrongOnes(checked)).toEqual(['target standby certificate warning']);
    certificate(setup.folder, 300);
    await setup.paste(checked.findings.find(({ level }) => level === 'warning')!.remedy!);
    await foundOnly();
  });
});

function certificate(folder: string, days: number): void {
  execFileSync(
    'openssl',
    `req -x509 -newkey rsa:2048 -nodes -days ${days} -subj /CN=localhost -keyout key.pem -out cert.pem`.split(
      ' ',
    ),
    { cwd: folder, stdio: 'ignore' },
  );
}

/** As the remedy does it, on the source. */
async function loadZones(server: TestServer): Promise<void> {
  const tool = server.binary('mysql_tzinfo_to_sql');
  const zones = await runProgram(tool.command, [...tool.args, '/usr/share/zoneinfo']);
  const client = server.binary('mysql');
  const login = ['-h', server.host, '-P', String(server.port), '-u', server.rootUser, 'mysql'];
  const loaded = await runProgram(client.command, [...client.args, ...login], {
    input: `SET SESSION sql_log_bin = 0;\n${zones.stdout}`,
    env: { ...process.env, MYSQL_PWD: server.rootPassword },
  });
  expect(loaded.stderr).toBe('');
}

describe('this machine', () => {
  test('where others may read data_dir', async () => {
    chmodSync(setup.dataDir, 0o755);
    await foundAndMended('host data_dir warning');
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
    await foundOnly('host relay_log warning');
  });

  test('where the disk does not hold what is to be kept', async () => {
    await source.query('SET GLOBAL binlog_expire_logs_seconds = 0');
    mends.push(() => source.query('SET GLOBAL binlog_expire_logs_seconds = 2592000'));
    await source.query('CREATE TABLE shop.filling (id INT PRIMARY KEY AUTO_INCREMENT, text LONGTEXT)');
    for (let row = 0; row < 16; row++) {
      await source.query('INSERT INTO shop.filling (text) VALUES (REPEAT(RAND(), 200000))');
    }
    setup.reset({ channel: { relay_log: { retention: '3650d' } } });
    await foundAndMended('host disk warning');
  });
});

describe('history', () => {
  test('what the target has done by itself is told, and can be made known to the source', async () => {
    await target.query("INSERT INTO shop.orders VALUES (77, 'mine')");
    await foundAndMended('target standby errant_gtids warning');
  });

  test('what the source has deleted and the target lacks is told; saying that the target has it mends it', async () => {
    await source.query("INSERT INTO shop.orders VALUES (88, 'gone soon')");
    await source.query('FLUSH BINARY LOGS');
    const [status] = await source.query('SHOW BINARY LOG STATUS');
    await source.query(`PURGE BINARY LOGS TO '${status?.File}'`);
    await foundAndMended('target standby history error');
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
