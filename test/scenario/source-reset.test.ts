/**
 * A source whose binary logs are reset beneath a running dump: it hands out the same numbers again, for other transactions.
 * The dump may stay connected and silent, and its heartbeats go on naming the old position. What is lost then is told: the
 * reader stops, and no lag is 0.
 */
import { afterEach, describe, expect, test } from 'vitest';
import { createSourceAccount } from '../support/accounts.ts';
import { HttpRun } from '../support/http-run.ts';
import { type Flavour, startServer } from '../support/test-server.ts';

let run: HttpRun | undefined;
afterEach(() => run?.stop());

const RESET = { mysql: 'RESET BINARY LOGS AND GTIDS', mariadb: 'RESET MASTER' } as const;
/** Transactions after the reset: fewer, and more, than there were before it. */
const CASES: [Flavour, number][] = [
  ['mysql', 1],
  ['mysql', 60],
  ['mariadb', 1],
  ['mariadb', 8],
];

describe.each(CASES)('%s, reset and %i transactions', (flavour, after) => {
  test('the reader stops with SOURCE_BEHIND, nothing of the new log is applied, and no lag is 0', async () => {
    run = await HttpRun.start({ flavour });
    const { source, target } = run;
    await run.until('it runs', ({ state }) => state === 'running');
    await source.query('CREATE DATABASE shop');
    await source.query('CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT, c VARCHAR(20))');
    const before = flavour === 'mysql' ? 50 : 3;
    for (let n = 0; n < before; n++) await source.query("INSERT INTO shop.t (c) VALUES ('before')");
    await run.until(
      'all of it is applied',
      ({ reader, targets }) => targets[0].lag_seconds === 0 && reader.transactions_received >= before + 2,
    );
    await source.query(RESET[flavour]);
    for (let n = 0; n < after; n++) await source.query("INSERT INTO shop.t (c) VALUES ('b')");

    const channel = await run.until('the reader stops', ({ reader }) => reader.state === 'stopped');

    expect(channel.reader.last_error_code).toBe('SOURCE_BEHIND');
    const [rows] = await target.query("SELECT COUNT(*) AS n FROM shop.t WHERE c = 'b'");
    expect(Number(rows?.n)).toBe(0);
    expect(channel.targets[0].lag_seconds).toBeNull();
    const health = await run.until('its proof is old', ({ targets }) => targets[0].lag.at_most_seconds > 5);
    expect(health.targets[0].lag_seconds).toBeNull();
    expect((await run.get('healthz/lag?max=5s')).status).toBe(503);
  });
});

test('a log that is begun anew after all that we have goes on', async () => {
  run = await HttpRun.start({ flavour: 'mysql' });
  const { source, target } = run;
  await run.until('it runs', ({ state }) => state === 'running');
  await source.query('CREATE DATABASE shop');
  await source.query('CREATE TABLE shop.t (id INT PRIMARY KEY AUTO_INCREMENT)');
  await run.until('caught up', ({ targets }) => targets[0].lag_seconds === 0);
  const [has] = await source.query('SELECT @@GLOBAL.gtid_executed AS executed');
  await source.query(
    `RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = '${String(has?.executed)}'; INSERT INTO shop.t VALUES (7)`,
  );
  await run.until('it comes', ({ reader, targets }) => {
    return (
      reader.state === 'streaming' && targets[0].lag_seconds === 0 && targets[0].transactions_applied >= 3
    );
  });
  const [rows] = await target.query('SELECT COUNT(*) AS n FROM shop.t');
  expect(Number(rows?.n)).toBe(1);
});

test('behind an address that moves to a server which has everything, replication goes on there', async () => {
  run = await HttpRun.start({ flavour: 'mysql' });
  const next = await startServer({ flavour: 'mysql', name: 'next' });
  try {
    const { source, target, proxy } = run;
    await createSourceAccount(next);
    await run.until('it runs', ({ state }) => state === 'running');
    const schema = 'CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY)';
    await source.query(schema);
    await run.until('caught up', ({ targets }) => targets[0].lag_seconds === 0);
    const [has] = await source.query('SELECT @@GLOBAL.gtid_executed AS executed');
    await next.query(`${schema}; RESET BINARY LOGS AND GTIDS`);
    await next.query(`SET GLOBAL gtid_purged = '${String(has?.executed)}'; INSERT INTO shop.t VALUES (7)`);
    const [name] = await next.query('SELECT @@GLOBAL.server_uuid AS uuid');
    // The dump stays where it is; the connection that asks where the source is comes anew.
    proxy.moveTo(next);
    const asking = await source.query(
      "SELECT id AS id FROM information_schema.processlist WHERE command = 'Sleep' AND user = 'repl'",
    );
    for (const { id } of asking) await source.query(`KILL ${id}`);
    await run.until('it reads from there', (channel) => {
      return channel.source.server_uuid === name?.uuid && channel.targets[0].lag_seconds === 0;
    });
    const [rows] = await target.query('SELECT COUNT(*) AS n FROM shop.t');
    expect(Number(rows?.n)).toBe(1);
  } finally {
    await next.stop();
  }
});
