/**
 * `millrace check` on set-ups whose target is spoiled in one way each: it finds exactly that, and when what it prints is pasted as
 * it is, nothing is wrong any more. Where no text can mend it, that it is found is what is seen.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { leaseName } from '../../src/target/target-lease.ts';
import { unlogged } from '../support/accounts.ts';
import { CheckedSetup, SOURCE, TARGET, wrongOnes } from '../support/checked-setup.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { foundAndMended, foundOnly, targetHasAll } from '../support/pasting.ts';
import { runProgram } from '../support/program.ts';
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

/** As somebody does it who thinks of something else. */
async function both(...statements: readonly string[]): Promise<void> {
  for (const server of [source, target]) await unlogged(server, statements);
}

describe('the target', () => {
  test('without GTIDs, where progress wants them', async () => {
    setup.reset({ target: { progress: 'gtid' } });
    for (const mode of ['ON_PERMISSIVE', 'OFF_PERMISSIVE', 'OFF'])
      await target.query(`SET GLOBAL gtid_mode = ${mode}`);
    await target.query('SET GLOBAL enforce_gtid_consistency = OFF');
    await foundAndMended(setup, 'target standby progress error');
  });

  test('that is read-only, for everybody and for administrators', async () => {
    await target.query('SET GLOBAL read_only = ON');
    mends.push(() => target.query('SET GLOBAL super_read_only = OFF, GLOBAL read_only = OFF'));
    mends.push(() => setup.createAccounts());
    await foundAndMended(setup, 'target standby read_only error');
    await setup.createAccounts();
    await target.query('SET GLOBAL super_read_only = ON');
    await foundAndMended(setup, 'target standby read_only error');
  });

  test('whose account may not send row events', async () => {
    await unlogged(target, [`REVOKE REPLICATION_APPLIER ON *.* FROM ${TARGET.user}`]);
    await foundAndMended(setup, 'target standby row_events error');
  });

  test('whose account may name no transactions, and set nothing', async () => {
    await unlogged(target, [
      `REVOKE REPLICATION_APPLIER, SESSION_VARIABLES_ADMIN ON *.* FROM ${TARGET.user}`,
    ]);
    await foundAndMended(
      setup,
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
    await foundAndMended(setup, 'target standby gtid_tags error');
  });

  test('whose account may not keep progress in a table, before and after there is one', async () => {
    setup.reset({ target: { progress: 'table' } });
    await foundAndMended(setup, 'target standby progress_table error');
    await unlogged(target, [`REVOKE ALL ON millrace.* FROM ${TARGET.user}`]);
    await unlogged(target, [
      'CREATE DATABASE millrace',
      'CREATE TABLE millrace.progress (channel VARBINARY(255) NOT NULL, worker SMALLINT UNSIGNED NOT NULL, epoch BIGINT UNSIGNED NOT NULL, kind VARCHAR(10) NOT NULL, executed LONGTEXT NOT NULL, owner VARCHAR(255) NOT NULL, PRIMARY KEY (channel, worker))',
    ]);
    mends.push(() => unlogged(target, ['DROP DATABASE millrace']));
    await foundAndMended(setup, 'target standby progress_table error');
    expect(await target.query('SELECT COUNT(*) AS n FROM millrace.progress')).toEqual([{ n: 0 }]);
  });

  test('whose account has no rights on the data, and on one schema of two', async () => {
    await unlogged(target, [`REVOKE ALL ON shop.* FROM ${TARGET.user}`]);
    mends.push(() => setup.createAccounts());
    await foundAndMended(setup, 'target standby schema_privileges error');
    await setup.createAccounts();
    await both('CREATE DATABASE `b_log`');
    mends.push(() => both('DROP DATABASE `b_log`'));
    await unlogged(source, [`GRANT SELECT ON \`b\\_log\`.* TO ${SOURCE.user}`]);
    await foundAndMended(setup, 'target standby schema_privileges warning');
  });

  test('that runs events', async () => {
    await unlogged(target, [
      `CREATE DEFINER=${TARGET.user}@'%' EVENT shop.tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM shop.orders WHERE id < 0`,
    ]);
    mends.push(() => unlogged(target, ['DROP EVENT shop.tidy']));
    await target.query('SET GLOBAL event_scheduler = ON');
    await foundAndMended(setup, 'target standby events warning');
  });

  test('that holds a view of somebody else', async () => {
    await unlogged(target, ['CREATE VIEW shop.few AS SELECT * FROM shop.orders LIMIT 1']);
    mends.push(() => unlogged(target, ['DROP VIEW shop.few']));
    await foundAndMended(setup, 'target standby definers warning');
  });

  test('that lets nobody make functions', async () => {
    await source.query('SET GLOBAL log_bin_trust_function_creators = ON');
    mends.push(() => source.query('SET GLOBAL log_bin_trust_function_creators = OFF'));
    mends.push(() => target.query('RESET PERSIST log_bin_trust_function_creators'));
    await foundAndMended(setup, 'target standby function_creators warning');
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
    await foundAndMended(setup, `target standby ${id} warning`);
  });

  test('that makes up keys, where the account may not turn that off', async () => {
    await target.query('SET GLOBAL sql_generate_invisible_primary_key = ON');
    await unlogged(target, [`REVOKE SESSION_VARIABLES_ADMIN ON *.* FROM ${TARGET.user}`]);
    mends.push(() => setup.createAccounts());
    const { findings } = await setup.check();
    const told = findings.find(({ id }) => id === 'session_settings');
    expect(told).toMatchObject({ level: 'error', code: 'PRIVILEGE_MISSING' });
    await setup.paste(told!.remedy!);
    await foundOnly(setup, 'target standby session_settings warning');
  });

  test('that writes no binary log', async () => {
    await target.restart(['--skip-log-bin']);
    mends.push(() => target.restart([]));
    await foundAndMended(setup, 'target standby log_bin warning');
  });

  test('that does not know the time zones that the source knows', async () => {
    await loadZones(source);
    await foundAndMended(setup, 'target standby time_zones warning');
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
    await foundAndMended(setup, 'target standby native_replication error');
  });

  test('that another Millrace applies to', async () => {
    const other: Connection = await target.connect();
    other.on('error', () => {});
    mends.push(() => other.destroy());
    await other.query(`SELECT GET_LOCK('${leaseName('orders')}', 0)`);
    await foundAndMended(setup, 'target standby lease error');
  });

  test('that gives the account fewer connections than there are workers', async () => {
    await unlogged(target, [`ALTER USER ${TARGET.user} WITH MAX_USER_CONNECTIONS 4`]);
    mends.push(() => setup.createAccounts());
    await foundAndMended(setup, 'target standby connections error');
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
    await foundOnly(setup);
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
