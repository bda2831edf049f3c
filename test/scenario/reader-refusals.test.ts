/**
 * What a source may be like that cannot be read from, or not now: the reader says why, and what to do.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { PlainError } from '../../src/base/errors.ts';
import { type Account, createSourceAccount, unlogged } from '../support/accounts.ts';
import { ReaderRun, type ReaderRunOptions } from '../support/reader-run.ts';
import { type Flavour, startServer, type TestServer } from '../support/test-server.ts';

let source: TestServer;
let account: Account;
const runs: ReaderRun[] = [];

function reader(options: Partial<ReaderRunOptions> = {}): ReaderRun {
  const run = new ReaderRun(source, { ...account, ...options });
  runs.push(run);
  return run;
}

/** What the source has now. */
async function everything(): Promise<string> {
  const variable = source.flavour === 'mysql' ? '@@global.gtid_executed' : '@@global.gtid_binlog_pos';
  const [row] = await source.query(`SELECT ${variable} AS executed`);
  return String(row?.executed);
}

async function stopCause(run: ReaderRun): Promise<PlainError> {
  await run.untilState('stopped');
  const [stopped] = run.reports.filter((report) => report.type === 'stopped');
  const cause = (stopped as { cause: PlainError | null } | undefined)?.cause ?? null;
  if (cause === null) throw new Error('it stopped without a cause');
  expect(JSON.stringify(run.reports)).not.toContain(account.password);
  return cause;
}

afterEach(async () => {
  for (const run of runs.splice(0)) await run.stop();
});

describe.each<Flavour>(['mysql', 'mariadb'])('%s', (flavour) => {
  beforeAll(async () => {
    source = await startServer({ flavour });
    account = await createSourceAccount(source);
    await source.query('CREATE DATABASE shop');
    await source.query('CREATE TABLE shop.t (id INT PRIMARY KEY)');
  });
  afterAll(() => source?.stop());

  test('a wrong password is tried twice, then the reader stops and names server and user', async () => {
    const run = reader({ password: 'wrong' });
    const cause = await stopCause(run);
    expect(cause).toMatchObject({ code: 'ACCESS_DENIED', facts: { errno: 1045 } });
    expect(cause.message).toContain(`127.0.0.1:${source.port} as '${account.user}'`);
    expect(run.states.filter((at) => at === 'connecting')).toHaveLength(2);
  });

  test('an account without REPLICATION SLAVE is told the GRANT', async () => {
    await unlogged(source, ["CREATE USER IF NOT EXISTS poor@'%' IDENTIFIED BY 'poor-secret'"]);
    const cause = await stopCause(reader({ user: 'poor', password: 'poor-secret' }).start());
    expect(cause).toMatchObject({
      code: 'PRIVILEGE_MISSING',
      hint: "GRANT REPLICATION SLAVE ON *.* TO 'poor'",
    });
  });

  test('an account with nothing but REPLICATION SLAVE is enough', async () => {
    await unlogged(source, [
      "CREATE USER IF NOT EXISTS plain@'%' IDENTIFIED BY 'plain-secret'",
      "GRANT REPLICATION SLAVE ON *.* TO plain@'%'",
    ]);
    await reader({ user: 'plain', password: 'plain-secret' })
      .start(await everything())
      .untilCaughtUp();
  });

  test('a closed port is tried for ever', async () => {
    const run = reader({ port: 1 });
    await run.until('five attempts', () => run.states.filter((at) => at === 'connecting').length >= 5);
    expect(run.status.lastError).toMatchObject({ code: 'CONNECTION_LOST' });
    expect(run.logged('warn')).toHaveLength(1);
  });

  test('binlog_format other than ROW is refused with the statement that cures it', async () => {
    await source.query("SET GLOBAL binlog_format = 'MIXED'");
    try {
      const cause = await stopCause(reader());
      expect(cause).toMatchObject({ code: 'SOURCE_CONFIG' });
      expect(cause.hint).toContain("SET GLOBAL binlog_format = 'ROW'");
    } finally {
      await source.query("SET GLOBAL binlog_format = 'ROW'");
    }
  });

  test("the source's own server_id is refused, and a start of the wrong kind", async () => {
    const [row] = await source.query('SELECT @@global.server_id AS id');
    const same = await stopCause(reader({ options: { serverId: Number(row?.id) } }).start());
    expect(same).toMatchObject({ code: 'SOURCE_CONFIG', message: expect.stringContaining('server_id') });
    const start = { at: 'position', file: 'binlog.000001', position: 4 } as const;
    expect(await stopCause(reader({ options: { start } }))).toMatchObject({ code: 'CONFIG' });
  });

  test('binary logs that are gone are named, not jumped over', async () => {
    await source.query('INSERT INTO shop.t VALUES (1)');
    await source.query('FLUSH BINARY LOGS');
    const [row] = await source.query(flavour === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
    // MariaDB keeps a file that a dump thread of before still has open.
    await expect
      .poll(async () => {
        await source.query(`PURGE BINARY LOGS TO '${row?.File}'`);
        return (await source.query('SHOW BINARY LOGS')).length;
      })
      .toBe(1);
    const cause = await stopCause(reader().start(''));
    expect(cause).toMatchObject({ code: 'SOURCE_PURGED', action: 'stop' });
    if (flavour === 'mysql') {
      const [{ purged } = {}] = await source.query('SELECT @@global.gtid_purged AS purged');
      expect(cause.facts.missing).toBe(purged);
    }
    const variable = flavour === 'mysql' ? '@@global.gtid_purged' : '@@global.gtid_binlog_pos';
    const [given] = await source.query(`SELECT ${variable} AS given`);
    const start = { at: 'gtid_set', gtidSet: String(given?.given) } as const;
    await reader({ options: { start } }).start('').untilCaughtUp();
  });

  test('a source that has been reset is behind us, and the surplus is named', async () => {
    const executed = await everything();
    await source.query(flavour === 'mysql' ? 'RESET BINARY LOGS AND GTIDS' : 'RESET MASTER');
    await source.query('INSERT INTO shop.t VALUES (2)');
    const cause = await stopCause(reader().start(executed));
    expect(cause).toMatchObject({ code: 'SOURCE_BEHIND', action: 'stop' });
    expect(cause.message).toContain(executed.slice(0, 5));
  });

  test('a dump thread that is killed is started again', async () => {
    const run = reader().start(await everything());
    await run.untilCaughtUp();
    const [row] = await source.query(
      "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
    );
    await source.query(`KILL ${row?.id ?? row?.ID}`);
    await run.untilState('backing-off');
    await run.untilCaughtUp();
  });

  test('two readers with one identity throw each other out; the first one stops and says so', async () => {
    const options = { serverId: 77_001 };
    const first = reader({ options }).start(await everything());
    await first.untilCaughtUp();
    for (let i = 0; i < 6 && first.state.at !== 'stopped'; i++) {
      const other = reader({ options }).start(await everything());
      await other.until(
        'the other one in',
        () => other.state.at === 'streaming' || other.state.at === 'stopped',
      );
      await first.until(
        'back or stopped',
        () => first.state.at === 'streaming' || first.state.at === 'stopped',
      );
    }
    const stopped = runs.filter((run) => run.state.at === 'stopped');
    expect(stopped.length).toBeGreaterThan(0);
    for (const run of stopped) {
      expect(await stopCause(run)).toMatchObject({
        code: 'DUPLICATE_IDENTITY',
        message: expect.stringContaining('two replicas with one identity'),
      });
    }
  });
});

describe('mysql without GTIDs', () => {
  beforeAll(async () => {
    source = await startServer({
      flavour: 'mysql',
      args: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    });
    account = await createSourceAccount(source);
    await source.query('CREATE DATABASE shop');
    await source.query('CREATE TABLE shop.t (id INT PRIMARY KEY)');
  });
  afterAll(() => source?.stop());
  beforeEach(() => source.query('FLUSH BINARY LOGS'));

  test('it is read by file and position, from the oldest binary log on', async () => {
    const run = reader().start('');
    await run.untilCaughtUp();
    const [report] = run.reports.filter(({ type }) => type === 'source');
    expect(report).toMatchObject({ kind: 'position' });
    expect(run.status.retrieved).toMatch(/^binlog\.\d{6}:\d+$/);
    const received = run.status.transactionsReceived;
    expect(received).toBeGreaterThan(1);
    await run.stop();
    await source.query('INSERT INTO shop.t VALUES (1)');
    const again = reader({ relayDir: run.relayDir }).start(null);
    await again.untilCaughtUp();
    expect(again.status.transactionsReceived).toBe(1);
  });

  test('source.start may name the place', async () => {
    const [row] = await source.query('SHOW BINARY LOG STATUS');
    await source.query('INSERT INTO shop.t VALUES (2), (3)');
    const start = { at: 'position', file: String(row?.File), position: Number(row?.Position) } as const;
    const run = reader({ options: { start } }).start('');
    await run.untilCaughtUp();
    expect(run.status.transactionsReceived).toBe(1);
  });

  test('a position that does not exist, and one beyond 4 GiB, are refused', async () => {
    const [row] = await source.query('SHOW BINARY LOG STATUS');
    const at = (position: number) => ({ at: 'position', file: String(row?.File), position }) as const;
    expect(await stopCause(reader({ options: { start: at(900_000) } }).start(''))).toMatchObject({
      code: 'SOURCE_POSITION',
    });
    expect(await stopCause(reader({ options: { start: at(2 ** 32 + 4) } }).start(''))).toMatchObject({
      code: 'SOURCE_POSITION',
      message: expect.stringContaining('4 GiB'),
    });
  });

  test('a GTID set as start is refused', async () => {
    const start = { at: 'gtid_set', gtidSet: '5e6a7b80-0000-4000-8000-00000000beef:1' } as const;
    expect(await stopCause(reader({ options: { start } }))).toMatchObject({ code: 'CONFIG' });
  });
});

test('a source without a binary log is refused', async () => {
  source = await startServer({ flavour: 'mysql', args: ['--skip-log-bin'] });
  try {
    account = { user: source.rootUser, password: source.rootPassword };
    const run = reader();
    await run.untilState('stopped');
    expect(run.status.lastError).toMatchObject({
      code: 'SOURCE_CONFIG',
      hint: expect.stringContaining('log_bin'),
    });
  } finally {
    await source.stop();
  }
});
