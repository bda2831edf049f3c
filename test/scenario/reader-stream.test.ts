/**
 * The reader against real sources: what arrives in the relay log is, byte for byte, what the source wrote.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Account, createSourceAccount } from '../support/accounts.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { ReaderRun, type ReaderRunOptions, sourceTransactionBytes } from '../support/reader-run.ts';
import { type Flavour, startServer, type TestServer } from '../support/test-server.ts';

describe.each<Flavour>(['mysql', 'mariadb'])('%s', (flavour) => {
  let source: TestServer;
  let account: Account;
  const runs: ReaderRun[] = [];

  beforeAll(async () => {
    source = await startServer({ flavour });
    account = await createSourceAccount(source);
    await source.query('CREATE DATABASE shop');
    await source.query('CREATE TABLE shop.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)');
  });
  afterAll(() => source?.stop());
  afterEach(async () => {
    for (const run of runs.splice(0)) await run.stop();
  });

  function reader(options: Partial<ReaderRunOptions> = {}): ReaderRun {
    const run = new ReaderRun(source, { ...account, ...options });
    runs.push(run);
    return run;
  }

  function expectSame(run: ReaderRun): void {
    const mine = run.transactionBytes();
    const theirs = sourceTransactionBytes(source);
    expect(mine.length).toBe(theirs.length);
    expect(mine.equals(theirs)).toBe(true);
  }

  test('everything from the first binary log on arrives, and what comes later, across files', async () => {
    await source.query("INSERT INTO shop.t (v) VALUES ('a'), ('b')");
    await source.query('FLUSH BINARY LOGS');
    const run = reader().start();
    await run.untilState('streaming');
    await source.query(
      'BEGIN; INSERT INTO shop.t (v) VALUES (REPEAT("x", 3000)); UPDATE shop.t SET v = 1; COMMIT',
    );
    await source.query('FLUSH BINARY LOGS');
    await source.query('DELETE FROM shop.t WHERE id = 1');
    await run.untilCaughtUp();
    expectSame(run);
    expect(run.states).toEqual(['connecting', 'idle', 'connecting', 'streaming']);
    const [report] = run.reports.filter(({ type }) => type === 'source');
    expect(report).toEqual({
      type: 'source',
      kind: flavour === 'mysql' ? 'gtid' : 'mariadb',
      relayLogIsEmpty: true,
    });
    const { status } = run;
    expect(status.source.flavour).toBe(flavour);
    expect(status.source.serverVersion).toContain(source.version.split('-')[0]);
    expect(status.transactionsReceived).toBeGreaterThan(4);
    expect(Math.abs(status.sourceClock?.offsetMs ?? Number.NaN)).toBeLessThan(1000);
    expect(status.contactMs).toBeGreaterThan(Date.now() - 5000);
  });

  test('after a restart it goes on where the relay log ends', async () => {
    const first = reader().start();
    await first.untilCaughtUp();
    await first.stop();
    await source.query("INSERT INTO shop.t (v) VALUES ('while away')");
    const second = reader({ relayDir: first.relayDir }).start(null);
    await second.untilCaughtUp();
    const [report] = second.reports.filter(({ type }) => type === 'source');
    expect(report).toMatchObject({ relayLogIsEmpty: false });
    expect(second.status.transactionsReceived).toBe(1);
    expectSame(second);
  });

  test('what the targets have is not asked for', async () => {
    const variable = flavour === 'mysql' ? '@@global.gtid_executed' : '@@global.gtid_binlog_pos';
    const [row] = await source.query(`SELECT ${variable} AS executed`);
    await source.query("INSERT INTO shop.t (v) VALUES ('only this')");
    const run = reader().start(String(row?.executed));
    await run.untilCaughtUp();
    expect(run.status.transactionsReceived).toBe(1);
    expect(run.relayFiles().flatMap((file) => file.transactions())).toHaveLength(1);
  });

  test('without a target and with an empty relay log it waits', async () => {
    const run = reader().start(null);
    await run.until(
      'waiting',
      () => run.state.at === 'idle' && run.reports.some(({ type }) => type === 'source'),
    );
    expect(run.state).toEqual({ at: 'idle', reason: 'waiting for the target' });
    run.start('');
    await run.untilCaughtUp();
  });

  test('a reset throws the relay log away and fetches again', async () => {
    const first = reader().start();
    await first.untilCaughtUp();
    const { relayFile } = first.status;
    await first.stop();
    const second = reader({ relayDir: first.relayDir }).start('', true);
    await second.untilCaughtUp();
    expect(second.status.relayFile! > relayFile!).toBe(true);
    expectSame(second);
  });

  test('connections cut at random bytes lose and double nothing', async () => {
    const proxy = await CuttingProxy.start({ host: source.host, port: source.port, seed: 7 });
    try {
      const run = reader({ host: proxy.host, port: proxy.port }).start();
      for (let i = 0; i < 25; i++) {
        const cut = proxy.cutSomewhere(i % 5 === 0 ? 200_000 : 3_000);
        for (let k = 0; k < 20; k++) {
          await source.query(
            `INSERT INTO shop.t (v) VALUES (REPEAT('${i % 10}', ${1 + ((i * 977 + k * 131) % 9000)}))`,
          );
        }
        if (i % 8 === 3) await source.query('FLUSH BINARY LOGS');
        if (i % 2 === 0) await Promise.race([cut, run.untilCaughtUp()]);
      }
      proxy.disarm();
      await run.untilCaughtUp();
      expect(proxy.cuts).toBeGreaterThan(10);
      expectSame(run);
    } finally {
      await proxy.stop();
    }
  });

  test('a relay log file is closed behind the transaction that passes its size', async () => {
    const run = reader({ options: { maxFileSize: 20_000 } }).start();
    await run.untilState('streaming');
    for (let i = 0; i < 10; i++) await source.query("INSERT INTO shop.t (v) VALUES (REPEAT('f', 9000))");
    await run.untilCaughtUp();
    expectSame(run);
    const files = run.relayFiles().length;
    expect(files).toBeGreaterThan(4);
    run.release(2 ** 31);
    expect(run.relayFiles()).toHaveLength(1);
  });

  test('the source crashes and comes back', async () => {
    const run = reader().start();
    await run.untilCaughtUp();
    await source.kill9();
    await run.untilState('backing-off');
    await source.restart();
    await source.query("INSERT INTO shop.t (v) VALUES ('after the crash')");
    await run.untilCaughtUp();
    expectSame(run);
    expect(run.logged('warn').length).toBeGreaterThan(0);
  });

  test('a clean shutdown of the source is a reason to come back, not an end', async () => {
    const run = reader().start();
    await run.untilCaughtUp();
    await source.restart();
    await source.query("INSERT INTO shop.t (v) VALUES ('after the restart')");
    await run.untilCaughtUp();
    expectSame(run);
  });
});
