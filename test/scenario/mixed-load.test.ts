import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compareServers } from '../support/equality.ts';
import { MixedLoad } from '../support/mixed-load.ts';
import { ACTIONS, type ActionName } from '../support/mixed-load-actions.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

describe.each(['mysql', 'mariadb'] as const)(
  'the mixed load and the oracle of the tests on %s',
  (flavour) => {
    let source: TestServer;
    let target: TestServer;
    beforeAll(async () => {
      [source, target] = await Promise.all([
        startServer({ flavour, name: 'source' }),
        startServer({ flavour, name: 'target' }),
      ]);
    });
    afterAll(() => Promise.all([source.stop(), target.stop()]));

    test('every kind of action is run, and each acknowledged transaction has its marker row', async () => {
      const load = await MixedLoad.prepare(source, {
        seed: 4,
        clients: 3,
        transactionsMax: 700,
        weights: { tagged: 2 },
      });
      load.run();
      const report = await load.finished();
      const expected = Object.entries(ACTIONS)
        .filter(([, action]) => action.flavours === undefined || action.flavours.includes(flavour))
        .map(([name]) => name as ActionName);
      expect(Object.keys(report.byAction).sort()).toEqual(expected.sort());
      const [row] = await source.query("SELECT COUNT(*) AS n FROM mixed.marker WHERE what <> 'trigger'");
      expect(row?.n).toBeGreaterThanOrEqual(report.markers);
    });

    test('servers replicated by their own means are equal to the oracle, and one changed row is not', async () => {
      await replicateNatively(source, target);
      expect((await compareServers(source, target, { gtid: flavour === 'mysql' })).differences).toEqual([]);
      await target.query('STOP REPLICA');
      await target.query(
        'INSERT INTO mixed.keyless SELECT * FROM mixed.keyless LIMIT 2; DELETE FROM mixed.counter LIMIT 1',
      );
      const different = await compareServers(source, target);
      expect(different).toMatchObject({ rowsLost: 1, rowsDoubled: 2 });
      expect(different.differences).toHaveLength(2);
    });
  },
);

/** The server's own replication, as the reference. */
async function replicateNatively(source: TestServer, target: TestServer): Promise<void> {
  const endpoint = `_HOST='127.0.0.1', XX_PORT=${source.port}, XX_USER='root', XX_PASSWORD='${source.rootPassword}'`;
  if (source.flavour === 'mysql') {
    const options = endpoint.replaceAll('XX', 'SOURCE');
    await target.query(
      `CHANGE REPLICATION SOURCE TO SOURCE${options}, SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1; START REPLICA`,
    );
    const [row] = await source.query('SELECT @@global.gtid_executed AS executed');
    const [done] = await target.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 60) AS late', [row?.executed]);
    expect(done?.late).toBe(0);
    return;
  }
  const options = endpoint.replaceAll('XX', 'MASTER');
  await target.query(`CHANGE MASTER TO MASTER${options}, MASTER_USE_GTID=slave_pos; START REPLICA`);
  const [row] = await source.query('SELECT @@global.gtid_binlog_pos AS executed');
  const [done] = await target.query('SELECT MASTER_GTID_WAIT(?, 60) AS late', [row?.executed]);
  expect(done?.late).toBe(0);
}
