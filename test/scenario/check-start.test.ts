/**
 * The look before the start: what a reader or an applier would stop for stops the channel before anything is touched; what
 * passes by itself does not; and it costs next to nothing.
 */
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { endpointOptions } from '../../src/channel/endpoint-options.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { checkChannel } from '../../src/preflight/preflight.ts';
import { inProbeSession } from '../../src/preflight/probe-session.ts';
import { openConnection } from '../../src/wire/connection.ts';
import { unlogged } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { CheckedSetup, SOURCE, TARGET } from '../support/checked-setup.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { executedSet } from '../support/equality.ts';
import { address, type ConfigMap, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import type { TestServer } from '../support/test-server.ts';

let setup: CheckedSetup;
let source: TestServer;
let target: TestServer;
let millrace: MillraceProcess | null = null;

beforeAll(async () => {
  setup = await CheckedSetup.start('mysql');
  ({ source, target } = setup);
  await copyOfTheSource(target);
});
afterEach(async () => {
  await millrace?.remove();
  millrace = null;
  await setup.createAccounts();
});
afterAll(() => setup?.stop());

async function copyOfTheSource(server: TestServer): Promise<void> {
  const [row] = await source.query('SELECT @@GLOBAL.gtid_executed AS executed');
  await server.query('SET GLOBAL gtid_purged = ?', [row?.executed]);
  await unlogged(server, ['INSERT INTO shop.orders VALUES (1, "first")']);
}

function prepare(
  change: { source?: ConfigMap; target?: ConfigMap; channel?: ConfigMap } = {},
): MillraceProcess {
  const channel = channelConfig({
    source: { ...address(source), ...SOURCE, ...change.source },
    target: { ...address(target), ...TARGET, ...change.target },
  });
  millrace = MillraceProcess.prepare([{ ...channel, ...change.channel }]);
  return millrace;
}

test('a source that refuses us stops the channel before anything is touched, with what to paste', async () => {
  await unlogged(source, [`REVOKE REPLICATION SLAVE ON *.* FROM ${SOURCE.user}`]);
  const process = prepare();
  process.launch();
  expect((await process.ended).code).toBe(1);
  expect(process.output).toMatch(
    /channel orders: the account may not replicate from .*GRANT REPLICATION SLAVE ON \*\.\* TO 'repl'@'%';.*\[see docs\/errors\.md#PRIVILEGE_MISSING\]/,
  );
  expect(existsSync(join(process.dataDir, 'orders'))).toBe(false);
  expect(process.output).not.toContain(SOURCE.password);
});

test('a target that refuses us stops the channel, and nothing is asked of the source', async () => {
  await unlogged(target, [`REVOKE REPLICATION_APPLIER ON *.* FROM ${TARGET.user}`]);
  const process = prepare();
  process.launch();
  expect((await process.ended).code).toBe(1);
  expect(process.output).toMatch(/GRANT REPLICATION_APPLIER ON \*\.\* TO 'apply'@'%';/);
  expect(existsSync(join(process.dataDir, 'orders'))).toBe(false);
  expect(process.output).not.toContain('reader streams');
});

test('preflight: false starts without looking: the applier finds out by itself', async () => {
  await unlogged(target, [`REVOKE REPLICATION_APPLIER ON *.* FROM ${TARGET.user}`]);
  await source.query("INSERT INTO shop.orders VALUES (2, 'unlooked')");
  const process = prepare({ channel: { preflight: false } });
  await process.start();
  const channel = await process.waitFor(
    'the target has stopped',
    ({ targets }) => targets[0]?.state === 'stopped',
  );
  expect(channel.targets[0]?.reason).toMatch(/REPLICATION_APPLIER/);
  expect(process.output).not.toContain('found before the start');
});

test('a target that refuses us does not keep the others from running', async () => {
  await unlogged(target, ['CREATE USER other IDENTIFIED BY "other-secret"', 'GRANT SELECT ON *.* TO other']);
  const proxy = await CuttingProxy.start(address(target));
  const healthy = { name: 'standby', ...address(target), ...TARGET };
  const refused = { name: 'poor', ...address(proxy), user: 'other', password: 'other-secret' };
  const process = prepare({ channel: { targets: [healthy, refused] } });
  await process.start();
  const channel = await process.waitFor('one runs', ({ targets }) => targets[0]?.state === 'running');
  expect(channel).toMatchObject({ state: 'degraded', targets: [{}, { state: 'stopped' }] });
  expect(channel.targets[1]?.reason).toMatch(/row events.*GRANT REPLICATION_APPLIER/);
  await source.query("INSERT INTO shop.orders VALUES (4, 'for the one')");
  await waitUntilCaughtUp(source, target, { millrace: process });
  await unlogged(target, ['DROP USER other']);
  await proxy.stop();
});

test('what the relay log holds is applied although the source refuses us by now', async () => {
  const process = prepare();
  await process.start();
  await waitUntilCaughtUp(source, target, { millrace: process });
  await target.query('LOCK INSTANCE FOR BACKUP');
  await target.query('FLUSH TABLES WITH READ LOCK');
  await source.query("INSERT INTO shop.orders VALUES (3, 'received, not applied')");
  const wanted = (await executedSet(source)).replace(/\s/g, '');
  await process.waitFor('it is received', ({ reader }) => reader.retrieved_gtid_set === wanted);
  await process.kill9();
  await target.query('UNLOCK TABLES');
  await target.query('UNLOCK INSTANCE');
  await source.query("SET GLOBAL binlog_format = 'MIXED'");
  process.launch();
  await waitUntilCaughtUp(source, target, {});
  expect((await process.ended).code).toBe(1);
  expect(process.output).toContain('binlog_format=MIXED');
  await source.query("SET GLOBAL binlog_format = 'ROW'");
});

test('a server that does not answer costs seconds, not the start', async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  const process = prepare({ target: { port } });
  await process.start();
  const channel = await process.waitFor('the reader has come to the source', ({ reader }) => {
    return reader.reason === 'waiting to hear what standby has';
  });
  expect(channel.state).toBe('starting');
  expect(process.output).toMatch(/the target at .*timed out.*found before the start/);
  silent.close();
});

test('the look of a start is some twenty statements to each server, and changes nothing', async () => {
  setup.reset();
  const config = loadConfig(setup.configFile, {}).channels[0]!;
  const request = {
    config,
    source: endpointOptions(config.source.endpoint),
    targets: config.targets.map(({ endpoint }) => endpointOptions(endpoint)),
    relayDir: join(setup.dataDir, 'orders'),
    replicaUuid: null,
    runningPid: null,
    depth: 'start',
    wallMs: Date.now,
  } as const;
  const asked = async (server: TestServer): Promise<number> =>
    Number((await server.query("SHOW GLOBAL STATUS LIKE 'Questions'"))[0]?.Value);
  const before = [await asked(source), await asked(target)];
  const begun = performance.now();
  const findings = await checkChannel(request);
  const ms = performance.now() - begun;
  const after = [await asked(source), await asked(target)];
  expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
  // Each counts our own question, too.
  const statements = after.map((count, index) => count - before[index]! - 1);
  const connecting = performance.now();
  const connections = await Promise.all(
    [request.source, ...request.targets].map((endpoint) => openConnection(endpoint, { purpose: 'it' })),
  );
  const connectMs = performance.now() - connecting;
  for (const connection of connections) connection.close();
  console.log(
    `the look of a start: ${statements.join(' and ')} statements, ${ms.toFixed(0)} ms, connecting ${connectMs.toFixed(0)} ms`,
  );
  for (const count of statements) expect(count).toBeLessThan(24);
  expect(readdirSync(setup.dataDir)).toEqual([]);
});

test('a server that stops answering in the middle is an error within the time that the look may take', async () => {
  const proxy = await CuttingProxy.start(address(target));
  const limits = { connectMs: 5_000, statementMs: 60_000, totalMs: 1_500, readMs: 100 };
  const endpoint = {
    ...address(proxy),
    user: TARGET.user,
    password: TARGET.password,
    tls: { mode: 'disabled' as const },
    connectTimeoutMs: 5_000,
  };
  const look = inProbeSession(endpoint, 'the target', limits, undefined, async (session) => {
    proxy.swallow(true);
    await session.attempt('SELECT 1');
  });
  await expect(look).rejects.toMatchObject({
    code: 'CONNECTION_LOST',
    message: expect.stringMatching(/^the target at .* has not answered everything within 1\.5 s$/),
  });
  await proxy.stop();
});
