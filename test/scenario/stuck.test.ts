/**
 * What a target is stuck on, as its server tells it: the lock and who holds it, the table without a key, the statement.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unlogged } from '../support/accounts.ts';
import { HttpRun, type Json } from '../support/http-run.ts';

const caughtUp = ({ targets }: Json): boolean =>
  targets[0].lag_transactions === 0 && targets[0].state === 'running';

describe('a MySQL target', () => {
  let run: HttpRun;
  beforeAll(async () => {
    run = await HttpRun.start();
    await run.source.query('CREATE DATABASE shop');
    await run.source.query('CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(50))');
    await run.source.query("INSERT INTO shop.orders VALUES (1, 'a'), (2, 'b')");
    await run.until('it is caught up', (channel) => channel.state === 'running' && caughtUp(channel));
  });
  afterAll(() => run?.stop());

  test('a row that somebody holds: which connection, since when, and what to do', async () => {
    const holder = await run.target.connect();
    await holder.query('START TRANSACTION');
    await holder.query('UPDATE shop.orders SET note = note WHERE id = 1');
    const [[{ id }]] = (await holder.query('SELECT CONNECTION_ID() AS id')) as unknown as [[{ id: number }]];
    await run.source.query("UPDATE shop.orders SET note = 'c' WHERE id = 1");
    const channel = await run.until('the lock', ({ targets }) => targets[0].stuck?.why === 'row_lock');
    const { stuck, busy } = channel.targets[0];
    expect(stuck).toMatchObject({
      table: 'shop.orders',
      doing: 'row events on shop.orders',
      blocked_by: { connection: id, user: run.target.rootUser },
      hint: `Let that session commit or roll back, or run KILL ${id} on the target.`,
    });
    expect(stuck.text).toContain(`held by connection ${id}`);
    expect(stuck.since_seconds).toBeGreaterThan(2);
    expect(busy[0]).toMatchObject({ worker: stuck.worker, connection: stuck.connection });
    // As it says: that frees it.
    await run.target.query(`KILL ${id}`);
    const free = await run.until('it goes on', (now) => now.targets[0].stuck === null && caughtUp(now));
    expect(free.alarms).toEqual([]);
  });

  test('a table without a key: with its plan', async () => {
    await run.source.query('CREATE TABLE shop.log (a INT, b VARCHAR(100), KEY (a))');
    await run.source.query(
      "INSERT INTO shop.log WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT x.i * 1000 + y.i, REPEAT('x', 80) FROM n x JOIN n y ON y.i <= 150",
    );
    await run.until('it is caught up', caughtUp);
    // The source finds its rows by a key that the target has lost; the rows are the last ones that a scan comes to.
    await unlogged(run.target, ['ALTER TABLE shop.log DROP KEY a']);
    const connection = await run.source.connect();
    await connection.query('START TRANSACTION');
    for (let n = 0; n < 60; n++) {
      // Rows that stand side by side are looked for in one scan.
      await connection.query(`UPDATE shop.orders SET note = '${n}' WHERE id = 2`);
      await connection.query(`UPDATE shop.log SET b = '${n}' WHERE a = ${1_000_001 + (n % 150)}`);
    }
    await connection.query('COMMIT');
    connection.destroy();
    const channel = await run.until('the missing key', ({ targets }) => targets[0].stuck?.why === 'no_key');
    const { stuck } = channel.targets[0];
    expect(stuck).toMatchObject({
      table: 'shop.log',
      hint: 'Add a primary key to shop.log, on the source and on the target.',
      explain: expect.stringMatching(/^type=ALL, rows=\d+$/),
    });
    expect(channel.state).toBe('running');
    await run.until('it is caught up', caughtUp);
  });

  test('a lock on a whole table, and an account that may not see who holds it', async () => {
    const user = 'apply';
    await unlogged(run.target, [
      `REVOKE ALL ON *.* FROM '${user}'@'%'`,
      `GRANT REPLICATION_APPLIER, SESSION_VARIABLES_ADMIN ON *.* TO '${user}'@'%'`,
      `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX ON shop.* TO '${user}'@'%'`,
    ]);
    const holder = await run.target.connect();
    await holder.query('LOCK TABLES shop.orders READ');
    await run.source.query('ALTER TABLE shop.orders ADD COLUMN more INT');
    const channel = await run.until('the lock', ({ targets }) => targets[0].stuck?.why === 'metadata_lock');
    expect(channel.targets[0].stuck).toMatchObject({
      doing: 'ALTER TABLE shop.orders ADD COLUMN more INT',
      blocked_by: null,
      hint: 'GRANT SELECT ON performance_schema.* to the apply account shows who holds the lock',
    });
    holder.destroy();
    await run.until('it is caught up', caughtUp);
  });
});

test('a MariaDB target: a row that somebody holds', async () => {
  const run = await HttpRun.start({ flavour: 'mariadb' });
  try {
    await run.source.query('CREATE DATABASE shop');
    await run.source.query('CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(50))');
    await run.source.query("INSERT INTO shop.orders VALUES (1, 'a')");
    await run.until('it is caught up', (channel) => channel.state === 'running' && caughtUp(channel));
    const holder = await run.target.connect();
    await holder.query('START TRANSACTION');
    await holder.query('UPDATE shop.orders SET note = note WHERE id = 1');
    const [[{ id }]] = (await holder.query('SELECT CONNECTION_ID() AS id')) as unknown as [[{ id: number }]];
    await run.source.query("UPDATE shop.orders SET note = 'c' WHERE id = 1");
    const channel = await run.until('the lock', ({ source, targets }) => {
      return targets[0].stuck?.why === 'row_lock' && source.head !== null;
    });
    expect(channel.targets[0].stuck).toMatchObject({
      table: 'shop.orders',
      blocked_by: { connection: Number(id) },
    });
    expect(channel.source.head).toMatchObject({ file: expect.any(String), gtid_set: expect.any(String) });
    holder.destroy();
    await run.until('it is caught up', caughtUp);
  } finally {
    await run.stop();
  }
});
