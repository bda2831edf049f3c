/**
 * The finer points of the dump on real sources: semi-sync, silence, damage on the way, tagged GTIDs, compressed
 * transactions, no checksums, and a quick end in every state.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/base/runtime.ts';
import { type Account, createSourceAccount } from '../support/accounts.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { DamagingProxy } from '../support/damaging-proxy.ts';
import { ReaderRun, type ReaderRunOptions, sourceTransactionBytes } from '../support/reader-run.ts';
import { type Flavour, startServer, type TestServer } from '../support/test-server.ts';

let source: TestServer;
let account: Account;
const runs: ReaderRun[] = [];

function reader(options: Partial<ReaderRunOptions> = {}): ReaderRun {
  const run = new ReaderRun(source, { ...account, ...options });
  runs.push(run);
  return run;
}

async function begin(flavour: Flavour, args: readonly string[] = []): Promise<void> {
  source = await startServer({ flavour, args });
  account = await createSourceAccount(source);
  await source.query('CREATE DATABASE shop');
  await source.query('CREATE TABLE shop.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)');
}

function expectSame(run: ReaderRun): void {
  expect(run.transactionBytes().equals(sourceTransactionBytes(source))).toBe(true);
}

async function statusValue(name: string): Promise<string> {
  const [row] = await source.query(`SHOW GLOBAL STATUS LIKE '${name}'`);
  return String(row?.Value);
}

afterEach(async () => {
  for (const run of runs.splice(0)) await run.stop();
});

describe('mysql', () => {
  beforeAll(() => begin('mysql'));
  afterAll(() => source?.stop());

  test('semi-sync: a commit returns only when the relay log is durable', async () => {
    await source.query("INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'");
    await source.query(
      'SET GLOBAL rpl_semi_sync_source_enabled = 1, GLOBAL rpl_semi_sync_source_timeout = 20000',
    );
    try {
      const run = reader({ options: { syncMs: 60_000 } }).start();
      await run.untilState('streaming');
      await expect.poll(() => statusValue('Rpl_semi_sync_source_clients')).toBe('1');
      await source.query("INSERT INTO shop.t (v) VALUES ('first')");
      const began = Date.now();
      for (let i = 0; i < 20; i++) {
        await source.query(`INSERT INTO shop.t (v) VALUES ('acknowledged ${i}')`);
        expect(run.transactionBytes().includes(`acknowledged ${i}`)).toBe(true);
      }
      // Far below the sync interval and the source's time-out: each acknowledgement had its own fdatasync.
      expect(Date.now() - began).toBeLessThan(10_000);
      expect(await statusValue('Rpl_semi_sync_source_no_tx')).toBe('0');
      expect(Number(await statusValue('Rpl_semi_sync_source_yes_tx'))).toBeGreaterThanOrEqual(21);
      await source.query("INSERT INTO shop.t (v) VALUES (REPEAT('large', 1000000))");
      expect(await statusValue('Rpl_semi_sync_source_no_tx')).toBe('0');
      await run.untilCaughtUp();
      expectSame(run);
    } finally {
      await source.query('SET GLOBAL rpl_semi_sync_source_enabled = 0');
    }
  });

  test('tagged GTIDs are received, kept, and asked for again in their own form', async () => {
    const connection = await source.connect();
    await connection.query("SET GTID_NEXT = 'AUTOMATIC:orders'");
    await connection.query("INSERT INTO shop.t (v) VALUES ('tagged')");
    await connection.query("SET GTID_NEXT = 'AUTOMATIC'");
    connection.destroy();
    const first = reader().start();
    await first.untilCaughtUp();
    const [row] = await source.query('SELECT @@global.gtid_executed AS executed');
    expect(first.status.retrieved).toContain(':orders:1');
    expect(first.status.retrieved).toBe(String(row?.executed).replace(/\s/g, ''));
    await first.stop();
    const second = reader({ relayDir: first.relayDir }).start(null);
    await second.untilCaughtUp();
    expect(second.status.transactionsReceived).toBe(0);
  });

  test('compressed transactions are kept as they are', async () => {
    const run = reader().start();
    await run.untilState('streaming');
    const connection = await source.connect();
    await connection.query('SET SESSION binlog_transaction_compression = ON');
    await connection.query("INSERT INTO shop.t (v) VALUES (REPEAT('compressible ', 10000))");
    await connection.query('INSERT INTO shop.t (v) VALUES (RANDOM_BYTES(1024))');
    connection.destroy();
    await run.untilCaughtUp();
    expectSame(run);
  });

  test('XA transactions, prepared and committed apart', async () => {
    const run = reader().start();
    await run.untilState('streaming');
    const connection = await source.connect();
    await connection.query("XA START 'a'");
    await connection.query("INSERT INTO shop.t (v) VALUES ('xa')");
    await connection.query("XA END 'a'");
    await connection.query("XA PREPARE 'a'");
    await source.query("INSERT INTO shop.t (v) VALUES ('in between')");
    await connection.query("XA COMMIT 'a'");
    await connection.query("XA START 'b'");
    await connection.query("XA END 'b'");
    await connection.query("XA COMMIT 'b' ONE PHASE");
    connection.destroy();
    await run.untilCaughtUp();
    expectSame(run);
  });

  test('a bit flipped on the way is seen, and fetched again', async () => {
    const proxy = await DamagingProxy.start({ host: source.host, port: source.port });
    try {
      const run = reader({
        host: proxy.host,
        port: proxy.port,
        options: {
          endpoint: {
            ...{ host: proxy.host, port: proxy.port, ...account },
            tls: { mode: 'disabled' },
            connectTimeoutMs: 5000,
          },
        },
      }).start();
      await run.untilCaughtUp();
      proxy.arm('fragile');
      await source.query("INSERT INTO shop.t (v) VALUES ('a fragile value')");
      await run.untilCaughtUp();
      expect(proxy.damaged).toBe(1);
      expect(run.states).toContain('backing-off');
      expectSame(run);

      proxy.arm('fragile', true);
      await source.query(`INSERT INTO shop.t (v) VALUES ('fragile again'), (REPEAT('fragile', 1000000))`);
      await run.untilState('stopped');
      expect(run.status.lastError).toMatchObject({
        code: 'CHECKSUM_MISMATCH',
        facts: { source_file: expect.stringContaining('binlog.'), source_position: expect.any(Number) },
      });
      const [stopped] = run.reports.filter((report) => report.type === 'stopped');
      expect(stopped).toMatchObject({ cause: { code: 'SOURCE_DAMAGED', action: 'stop' } });
    } finally {
      await proxy.stop();
    }
  });

  test('a source that falls silent without closing is noticed', async () => {
    const proxy = await CuttingProxy.start({ host: source.host, port: source.port });
    // A minute passes in a second.
    const clock = { wallMs: systemClock.wallMs, monotonicMs: () => systemClock.monotonicMs() * 60 };
    try {
      const run = reader({ host: proxy.host, port: proxy.port, clock }).start();
      await run.untilCaughtUp();
      proxy.swallow(true);
      await run.untilState('backing-off', 10_000);
      expect(run.status.lastError).toMatchObject({
        code: 'CONNECTION_LOST',
        message: expect.stringContaining('no heartbeat'),
      });
      proxy.swallow(false);
      await run.untilCaughtUp();
    } finally {
      await proxy.stop();
    }
  });

  test('stopping takes no time, whatever the reader is doing', async () => {
    const proxy = await CuttingProxy.start({ host: source.host, port: source.port });
    try {
      const within = async (run: ReaderRun): Promise<void> => {
        const began = Date.now();
        await run.stop();
        expect(Date.now() - began).toBeLessThan(1500);
        expect(run.state.at).toBe('stopped');
      };
      await within(reader());
      const streaming = reader().start();
      await streaming.untilState('streaming');
      await within(streaming);
      proxy.swallow(true);
      const connecting = reader({ host: proxy.host, port: proxy.port });
      await connecting.untilState('connecting');
      await within(connecting);
      const waiting = reader({ port: 1, policy: { backoffBaseMs: 60_000, backoffMaxMs: 60_000 } });
      await waiting.untilState('backing-off');
      await within(waiting);
    } finally {
      await proxy.stop();
    }
  });

  test('a source without checksums', async () => {
    await source.query('SET GLOBAL binlog_checksum = NONE');
    try {
      await source.query("INSERT INTO shop.t (v) VALUES ('unchecked'), (REPEAT('u', 3000000))");
      const run = reader().start();
      await run.untilCaughtUp();
      await source.query('SET GLOBAL binlog_checksum = CRC32');
      await source.query("INSERT INTO shop.t (v) VALUES ('checked again')");
      await run.untilCaughtUp();
      expectSame(run);
    } finally {
      await source.query('SET GLOBAL binlog_checksum = CRC32');
    }
  });

  test('a server_id is derived from the identity and steps aside for one that is taken', async () => {
    const first = reader().start();
    await first.untilCaughtUp();
    const ids = async (): Promise<number[]> => {
      return (await source.query('SHOW REPLICAS')).map((row) => Number(row.Server_Id));
    };
    const [derived = 0] = await ids();
    expect(derived).toBeGreaterThanOrEqual(2 ** 31);
    await first.stop();
    const taker = reader({
      options: { serverId: derived, replicaUuid: '5e6a7b80-0000-4000-8000-00000000cafe' },
    }).start();
    await taker.untilCaughtUp();
    const again = reader().start();
    await again.untilCaughtUp();
    const now = await ids();
    expect(new Set(now).size).toBe(2);
    expect(now).toContain(derived);
  });
});

describe('mariadb', () => {
  beforeAll(() =>
    begin('mariadb', ['--rpl-semi-sync-master-enabled=1', '--rpl-semi-sync-master-timeout=3000']),
  );
  afterAll(() => source?.stop());

  test('semi-sync', async () => {
    const run = reader({ options: { syncMs: 60_000 } }).start();
    await run.untilState('streaming');
    await expect.poll(() => statusValue('Rpl_semi_sync_master_clients')).toBe('1');
    await source.query("INSERT INTO shop.t (v) VALUES ('first')");
    const before = Number(await statusValue('Rpl_semi_sync_master_yes_tx'));
    for (let i = 0; i < 10; i++) await source.query(`INSERT INTO shop.t (v) VALUES ('acknowledged ${i}')`);
    expect(Number(await statusValue('Rpl_semi_sync_master_yes_tx'))).toBe(before + 10);
    await run.untilCaughtUp();
    expectSame(run);
  });

  test('several domains are followed, and continued each where it was', async () => {
    const first = reader().start();
    const connection = await source.connect();
    for (const domain of [0, 7, 3, 7]) {
      await connection.query(`SET SESSION gtid_domain_id = ${domain}`);
      await connection.query(`INSERT INTO shop.t (v) VALUES ('domain ${domain}')`);
    }
    await first.untilCaughtUp();
    expect(first.status.retrieved).toMatch(/^0-\d+-\d+,3-\d+-1,7-\d+-2$/);
    await first.stop();
    await connection.query('SET SESSION gtid_domain_id = 3');
    await connection.query("INSERT INTO shop.t (v) VALUES ('more')");
    connection.destroy();
    const second = reader({ relayDir: first.relayDir }).start(null);
    await second.untilCaughtUp();
    expect(second.status.transactionsReceived).toBe(1);
    expectSame(second);
  });

  test('compressed events, DDL and annotations are kept as they are', async () => {
    const run = reader().start();
    await run.untilState('streaming');
    await source.query('SET GLOBAL log_bin_compress = ON');
    try {
      const connection = await source.connect();
      await connection.query("INSERT INTO shop.t (v) VALUES (REPEAT('compressible ', 10000))");
      await connection.query(`CREATE TABLE shop.c (a INT COMMENT '${'long '.repeat(200)}')`);
      await connection.query('DROP TABLE shop.c');
      connection.destroy();
    } finally {
      await source.query('SET GLOBAL log_bin_compress = OFF');
    }
    await run.untilCaughtUp();
    expectSame(run);
  });
});
