/**
 * A target with filters, as its users run it: from the configuration file, under load, with what was left out in the status;
 * and a native replica with the same filters that goes on from there.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { assertEqualServers, executedSet } from '../support/equality.ts';
import { address, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import { type LoadReport, MixedLoad, type MixedLoadOptions } from '../support/mixed-load.ts';
import { loadTables } from '../support/mixed-load-actions.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

/**
 * Actions of which each committed transaction is one in the binary log with something to leave out. The others count
 * statements that log nothing (CREATE … IF NOT EXISTS), empty transactions, and databases beside the one that is left out.
 */
const COUNTED = { ddl: 0, empty: 0, xa: 0 } as const;

describe('a target with filters', () => {
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
        target: {
          ...address(target),
          ...to,
          progress: 'gtid',
          filters: { replicate_ignore_db: ['load_out'] },
        },
      }),
    ]);
  });

  afterAll(async () => {
    await millrace?.remove();
    await Promise.all([source?.stop(), target?.stop()]);
  });

  async function load(
    seed: number,
    schema: string,
    transactions: number,
    weights: MixedLoadOptions['weights'] = {},
  ): Promise<LoadReport> {
    const mixed = await MixedLoad.prepare(source, {
      seed,
      schema,
      clients: 2,
      transactionsMax: transactions,
      weights,
    });
    mixed.run();
    return mixed.finished();
  }

  async function databases(server: TestServer): Promise<string[]> {
    const rows = await server.query(
      "SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name LIKE 'load\\_%' ORDER BY 1",
    );
    return rows.map(({ name }) => name);
  }

  test('has what the filters let through, every GTID, and the rest counted in the status', async () => {
    await millrace.start();
    const [, leftOut] = await Promise.all([load(81, 'load_in', 300), load(82, 'load_out', 300, COUNTED)]);
    await source.query("CREATE USER u_left_out IDENTIFIED BY 'x'");
    await waitUntilCaughtUp(source, target, { millrace });
    const creations = loadTables('load_out').filter((statement) => !statement.startsWith('USE')).length;
    const expected = leftOut.committed + creations + 1;
    const channel = await millrace.waitFor(
      `lag 0 and ${expected} transactions filtered`,
      ({ targets: [each] }) => each?.lag_seconds === 0 && each.filtered.transactions_filtered >= expected,
    );
    const { filtered } = channel.targets[0]!;
    expect(filtered.transactions_filtered).toBe(expected);
    expect(filtered.statements_filtered).toBeGreaterThan(0);
    expect(filtered.rows_filtered).toBeGreaterThan(leftOut.markers);
    expect(filtered.system_statements_skipped).toBe(1);

    await load(84, 'load_out', 200);
    await waitUntilCaughtUp(source, target, { millrace });
    expect(await databases(source)).toContain('load_out');
    expect(await databases(target)).toContain('load_in');
    expect(await databases(target)).not.toContain('load_out');
    await assertEqualServers(source, target, { schemas: ['load_in'] });
    expect(await executedSet(target)).toBe(await executedSet(source));
    expect(await target.query("SELECT user FROM mysql.user WHERE user = 'u_left_out'")).toEqual([]);
    expect((await millrace.stop()).code).toBe(0);
  });

  test('is taken over by a native replica with the same filters, with nothing copied again', async () => {
    await target.query(
      `CHANGE REPLICATION FILTER REPLICATE_IGNORE_DB = (load_out);
       CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT=${source.port}, SOURCE_USER='root', SOURCE_PASSWORD='${source.rootPassword}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1; START REPLICA`,
    );
    await Promise.all([load(83, 'load_in2', 100), source.query('DROP DATABASE load_out')]);
    await waitUntilCaughtUp(source, target);
    const [row] = await target.query('SHOW REPLICA STATUS');
    expect(row).toMatchObject({ Replica_IO_Running: 'Yes', Replica_SQL_Running: 'Yes', Last_Errno: 0 });
    expect(await databases(target)).not.toContain('load_out');
    await assertEqualServers(source, target, { schemas: ['load_in', 'load_in2'] });
  });
});
