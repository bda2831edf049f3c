/**
 * Millrace and the server's own replication take turns on one target: what either leaves behind, the other goes on from.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { assertEqualServers, compareServers, executedSet } from '../support/equality.ts';
import { address, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import { MixedLoad } from '../support/mixed-load.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

describe('taking turns with native replication on MySQL', () => {
  let source: TestServer;
  let target: TestServer;
  let millrace: MillraceProcess;

  beforeAll(async () => {
    [source, target] = await Promise.all([
      startServer({ flavour: 'mysql', name: 'source' }),
      startServer({ flavour: 'mysql', name: 'target' }),
    ]);
    const from = await createSourceAccount(source);
    const to = await createTargetAccount(target);
    millrace = MillraceProcess.prepare([
      channelConfig({
        source: { ...address(source), ...from },
        target: { ...address(target), ...to, progress: 'gtid' },
      }),
    ]);
  });

  afterAll(async () => {
    await millrace?.remove();
    await Promise.all([source?.stop(), target?.stop()]);
  });

  async function load(seed: number, transactions: number): Promise<void> {
    const mixed = await MixedLoad.prepare(source, {
      seed,
      schema: `load_${seed}`,
      clients: 3,
      transactionsMax: transactions,
    });
    mixed.run();
    await mixed.finished();
  }

  test('after mixed load with DDL the target has the same GTIDs and the same tables', async () => {
    await millrace.start();
    await load(71, 500);
    await waitUntilCaughtUp(source, target, { millrace });
    await assertEqualServers(source, target);
    expect((await compareServers(source, target, { gtid: true })).differences).toEqual([]);
    expect(await executedSet(target)).toBe(await executedSet(source));
    const channel = await millrace.waitFor('lag 0', (each) => each.targets[0]?.lag_seconds === 0);
    expect(channel.targets[0]?.executed_gtid_set.replaceAll(/\s/g, '')).toBe(
      (await executedSet(source)).replaceAll(/\s/g, ''),
    );
    expect((await millrace.stop()).code).toBe(0);
  });

  test('a native replica goes on from where Millrace stopped, with nothing copied again', async () => {
    await target.query(
      `CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${source.port}, SOURCE_USER='root', SOURCE_PASSWORD='${source.rootPassword}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1; START REPLICA`,
    );
    await load(72, 300);
    await waitUntilCaughtUp(source, target);
    const [row] = await target.query('SHOW REPLICA STATUS');
    expect(row).toMatchObject({ Replica_IO_Running: 'Yes', Replica_SQL_Running: 'Yes', Last_Errno: 0 });
    await assertEqualServers(source, target);
    await target.query('STOP REPLICA; RESET REPLICA ALL');
  });

  test('Millrace goes on from where a native replica stopped', async () => {
    await millrace.start();
    await load(73, 300);
    await waitUntilCaughtUp(source, target, { millrace });
    await assertEqualServers(source, target);
    expect(await executedSet(target)).toBe(await executedSet(source));
  });
});

describe('a source without GTIDs', () => {
  let source: TestServer;
  let target: TestServer;
  let millrace: MillraceProcess;

  beforeAll(async () => {
    const args = ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'];
    [source, target] = await Promise.all([
      startServer({ flavour: 'mysql', name: 'source', args }),
      startServer({ flavour: 'mysql', name: 'target' }),
    ]);
    const from = await createSourceAccount(source);
    const to = await createTargetAccount(target);
    millrace = MillraceProcess.prepare([
      channelConfig({
        source: { ...address(source), ...from },
        target: { ...address(target), ...to },
        relayLog: { max_file_size: '64KiB' },
      }),
    ]);
  });

  afterAll(async () => {
    await millrace?.remove();
    await Promise.all([source?.stop(), target?.stop()]);
  });

  test('is followed by file and position, through kill -9 and rotated files, with progress in a table', async () => {
    await millrace.start();
    const mixed = await MixedLoad.prepare(source, {
      seed: 74,
      clients: 2,
      transactionsMax: 400,
      weights: { tagged: 0, empty: 0 },
    });
    mixed.run();
    for (let round = 0; round < 3; round++) {
      await millrace.waitFor('something applied', (channel) => {
        const applied = channel.targets[0]?.transactions_applied ?? 0;
        return applied > 5 || (channel.targets[0]?.lag_seconds === 0 && applied > 0);
      });
      await source.query('FLUSH BINARY LOGS');
      await millrace.kill9();
      await millrace.start();
    }
    await mixed.finished();
    const [end] = await source.query('SHOW BINARY LOG STATUS');
    const channel = await millrace.waitFor(
      'the source’s position reached',
      (each) =>
        each.targets[0]?.executed_gtid_set === `${end?.File}:${end?.Position}` ||
        each.targets[0]?.lag_seconds === 0,
    );
    expect(channel.targets[0]).toMatchObject({ progress: 'table', state: 'running' });
    expect((await compareServers(source, target, { gtid: false })).differences).toEqual([]);
  });
});
