/**
 * Events as long as a packet may be, a byte more, a byte less, and far longer: whole, byte for byte, in little memory.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createSourceAccount } from '../support/accounts.ts';
import { SourceFile } from '../support/binlog-feed.ts';
import { ReaderRun, sourceTransactionBytes } from '../support/reader-run.ts';
import { type Flavour, startServer, type TestServer } from '../support/test-server.ts';

const PACKET_PAYLOAD_MAX = 0xffffff;

describe.each<Flavour>(['mysql', 'mariadb'])('%s', (flavour) => {
  let source: TestServer;
  let run: ReaderRun;

  beforeAll(async () => {
    source = await startServer({ flavour, args: ['--max-allowed-packet=128M'] });
    run = new ReaderRun(source, await createSourceAccount(source)).start();
    await source.query('CREATE DATABASE shop');
    await source.query('CREATE TABLE shop.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)');
  });
  afterAll(async () => {
    await run?.stop();
    await source?.stop();
  });

  async function insert(length: number): Promise<void> {
    const connection = await source.connect();
    await connection.query('SET SESSION binlog_row_image = MINIMAL');
    await connection.query(`INSERT INTO shop.t (v) VALUES (REPEAT('p', ${length}))`);
    connection.destroy();
  }

  function longestEvent(): number {
    const names = ['binlog.000001', 'binlog.000002'];
    const file = names
      .map((name) => {
        try {
          return new SourceFile(name, readFileSync(join(source.datadir, name)));
        } catch {
          return null;
        }
      })
      .findLast((found) => found !== null);
    return Math.max(...file!.events.slice(-6).map(({ start, end }) => end - start));
  }

  test('around 16 MiB', async () => {
    const probe = 100_000;
    await insert(probe);
    const overhead = longestEvent() - probe;
    expect(overhead).toBeLessThan(100);
    // One byte of the payload is the marker before the event.
    for (const delta of [-10, -2, -1, 0, 1, 2, 10]) {
      const wanted = PACKET_PAYLOAD_MAX - 1 + delta;
      await insert(wanted - overhead);
      expect(longestEvent()).toBe(wanted);
    }
    await run.untilCaughtUp(60_000);
    expect(run.transactionBytes().equals(sourceTransactionBytes(source))).toBe(true);
  });

  test('twice the packet size, and 40 MB', async () => {
    const probe = 100_000;
    await insert(probe);
    const overhead = longestEvent() - probe;
    await insert(2 * PACKET_PAYLOAD_MAX - 1 - overhead);
    await insert(40_000_000);
    await insert(1);
    await run.untilCaughtUp(60_000);
    expect(run.transactionBytes().equals(sourceTransactionBytes(source))).toBe(true);
  });

  test('a transaction far larger than the writer buffer, of many events', async () => {
    await source.query('CREATE TABLE shop.n (a INT, b VARCHAR(200))');
    await source.query(
      "INSERT INTO shop.n WITH RECURSIVE s AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM s WHERE a < 1000) SELECT a, REPEAT('n', 180) FROM s",
    );
    await source.query('INSERT INTO shop.n SELECT x.a, x.b FROM shop.n AS x JOIN shop.n AS y ON y.a <= 60');
    await run.untilCaughtUp(60_000);
    expect(run.transactionBytes().equals(sourceTransactionBytes(source))).toBe(true);
  });
});
