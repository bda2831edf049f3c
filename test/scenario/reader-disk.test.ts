/**
 * The reader and its disk: full, and damaged.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, openSync, readdirSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { type Account, createSourceAccount } from '../support/accounts.ts';
import { ReaderRun, type ReaderRunOptions, sourceTransactionBytes } from '../support/reader-run.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

let source: TestServer;
let account: Account;
const runs: ReaderRun[] = [];

beforeAll(async () => {
  source = await startServer({ flavour: 'mysql' });
  account = await createSourceAccount(source);
  await source.query('CREATE DATABASE shop');
  await source.query('CREATE TABLE shop.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)');
});
afterAll(() => source?.stop());
afterEach(async () => {
  limitFileSize('unlimited');
  for (const run of runs.splice(0)) await run.stop();
});

function reader(options: Partial<ReaderRunOptions> = {}): ReaderRun {
  const run = new ReaderRun(source, { ...account, ...options });
  runs.push(run);
  return run;
}

/** Writes beyond it fail in the kernel, as on a full disk. */
function limitFileSize(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`]);
}

test('a full disk is waited out: the source is let go, the reason is told, nothing is lost', async () => {
  const run = reader().start();
  await run.untilCaughtUp();
  limitFileSize(300_000);
  for (let i = 0; i < 10; i++) await source.query("INSERT INTO shop.t (v) VALUES (REPEAT('d', 100000))");
  await run.until('disk full', () => run.status.lastError?.code === 'DISK_FULL');
  await run.untilState('backing-off');
  expect(run.state).toMatchObject({ cause: { code: 'DISK_FULL' } });
  await run.until('tried again', () => run.states.filter((at) => at === 'backing-off').length > 3);
  limitFileSize('unlimited');
  await run.untilCaughtUp();
  expect(run.transactionBytes().equals(sourceTransactionBytes(source))).toBe(true);
});

test('a damaged relay log stops the reader, and a reset has it fetched again', async () => {
  const first = reader().start();
  await first.untilCaughtUp();
  await first.stop();
  const name = readdirSync(first.relayDir).find((file) => /^relay-bin\.\d+$/.test(file))!;
  const fd = openSync(join(first.relayDir, name), 'r+');
  // In the midst, with whole transactions behind it. Where a mark vouches for it, whoever reads it finds it; here nobody has.
  writeSync(fd, Buffer.from('damage'), 0, 6, 1200);
  rmSync(join(first.relayDir, `${name}.marks`));

  const second = reader({ relayDir: first.relayDir });
  await second.until('the kind', () => second.reports.some(({ type }) => type === 'source'));
  second.start('');
  await second.untilState('stopped');
  expect(second.status.lastError).toMatchObject({ code: 'RELAY_CORRUPT', action: 'resync' });

  const third = reader({ relayDir: first.relayDir }).start('', true);
  await third.untilCaughtUp();
  expect(existsSync(join(first.relayDir, name))).toBe(false);
  expect(third.transactionBytes().equals(sourceTransactionBytes(source))).toBe(true);
});
