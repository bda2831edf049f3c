import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { unlogged } from '../support/accounts.ts';
import { ApplierRig } from '../support/applier-rig.ts';
import { assertEqualServers } from '../support/equality.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

const ACCOUNT = { user: 'few', password: 'x' };
const TRANSACTIONS = 400;

/** Sessions are opened when there is work for them (apply-workers.ts). */
describe('sessions of an applier', () => {
  let source: TestServer;
  let target: TestServer;
  let rig: ApplierRig;
  let next = 0;
  beforeAll(async () => {
    const which = { flavour: 'mysql', version: '9.7' } as const;
    [source, target] = await Promise.all([
      startServer({ ...which, name: 'source' }),
      startServer({ ...which, name: 'target' }),
    ]);
    await source.query('SET GLOBAL binlog_transaction_dependency_history_size = 100000');
    await source.query('CREATE DATABASE shop');
    await source.query('CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)');
    rig = await ApplierRig.create(source, target, { progress: 'gtid', account: ACCOUNT });
    await unlogged(target, [
      `CREATE USER '${ACCOUNT.user}'@'%' IDENTIFIED BY '${ACCOUNT.password}'`,
      `GRANT ALL ON *.* TO '${ACCOUNT.user}'@'%'`,
    ]);
    await rig.catchUp();
  });
  afterAll(async () => {
    await rig.remove();
    await Promise.all([source.stop(), target.stop()]);
  });
  afterEach(() => limitTo(0));

  /** Sessions of the life before are gone then: they would count. */
  async function limitTo(most: number): Promise<void> {
    await haveConnections(0);
    await unlogged(target, [`ALTER USER '${ACCOUNT.user}'@'%' WITH MAX_USER_CONNECTIONS ${most}`]);
  }

  /** Transactions that may run side by side. */
  async function commitMany(): Promise<void> {
    const clients = await Promise.all([1, 2, 3, 4].map(() => source.connect({ database: 'shop' })));
    await Promise.all(
      clients.map(async (client) => {
        for (let i = 0; i < TRANSACTIONS / 4; i++) await client.query(`INSERT INTO t VALUES (${next++}, 0)`);
        await client.end();
      }),
    );
  }

  async function connections(): Promise<number> {
    const [row] = await target.query(
      `SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE USER = '${ACCOUNT.user}'`,
    );
    return Number(row?.n);
  }

  const haveConnections = (number: number): Promise<void> =>
    vi.waitFor(async () => expect(await connections()).toBe(number), { timeout: 10_000 });

  test('are one for each worker when there is little to do, and more when it is behind', async () => {
    const life = await rig.begin({ workers: 4 });
    await haveConnections(5);
    await source.query(`INSERT INTO shop.t VALUES (${next++}, 0)`);
    await rig.feed();
    await rig.untilCaughtUp(life);
    expect(await connections()).toBe(5);
    await commitMany();
    await rig.feed();
    await rig.untilCaughtUp(life);
    await vi.waitFor(async () => expect(await connections()).toBeGreaterThan(5));
    expect(await life.stop()).toBeNull();
    await assertEqualServers(source, target, { schemas: ['shop'], gtid: true });
  });

  test('are as many as the target takes', async () => {
    // The control session, one for each worker, and one more.
    await limitTo(6);
    await commitMany();
    await rig.feed();
    const life = await rig.begin({ workers: 4 });
    await rig.untilCaughtUp(life);
    await haveConnections(6);
    expect(await life.stop()).toBeNull();
    expect(rig.logged.map(({ message }) => message)).toContain(
      'the target takes no more connections; going on in those there are',
    );
    await assertEqualServers(source, target, { schemas: ['shop'], gtid: true });
  });

  test('are fewer than there are workers, and none at all ends that life', async () => {
    await limitTo(3);
    await commitMany();
    await rig.feed();
    const life = await rig.begin({ workers: 4 });
    await rig.untilCaughtUp(life);
    await haveConnections(3);
    expect(await life.stop()).toBeNull();
    await limitTo(1);
    await commitMany();
    await rig.feed();
    const none = await rig.begin({ workers: 4 });
    expect(await none.ended).toMatchObject({ action: 'retry' });
    await limitTo(0);
    await rig.catchUp({ workers: 4 });
    await assertEqualServers(source, target, { schemas: ['shop'], gtid: true });
  });
});
