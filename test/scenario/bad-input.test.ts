/**
 * What goes wrong in the hands of a stranger, seen from outside: one clear line that names the thing and the remedy, the
 * right exit code or state, and nothing lost once it is mended.
 */
import { closeSync, openSync, readdirSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Account, createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { assertEqualServers } from '../support/equality.ts';
import {
  address,
  type ChannelStatus,
  type ConfigMap,
  channelConfig,
  MillraceProcess,
} from '../support/millrace-process.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

let source: TestServer;
let target: TestServer;
let from: Account;
let to: Account;
let millrace: MillraceProcess | null = null;

beforeAll(async () => {
  [source, target] = await Promise.all([
    startServer({ flavour: 'mysql', name: 'source' }),
    startServer({ flavour: 'mysql', name: 'target' }),
  ]);
  from = await createSourceAccount(source);
  to = await createTargetAccount(target);
  await source.query('CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(99))');
});

afterEach(async () => {
  await millrace?.remove();
  millrace = null;
});

afterAll(() => Promise.all([source?.stop(), target?.stop()]));

function prepare(changes: { source?: ConfigMap; target?: ConfigMap } = {}): MillraceProcess {
  millrace = MillraceProcess.prepare([
    channelConfig({
      source: { ...address(source), ...from, ...changes.source },
      target: { ...address(target), ...to, ...changes.target },
    }),
  ]);
  return millrace;
}

/** The channel that starts and then says why it does not go on. */
async function reasonOf(
  process: MillraceProcess,
  pick: (channel: ChannelStatus) => string | null | undefined,
) {
  await process.start();
  const channel = await process.waitFor('a reason', (each) => pick(each) != null);
  return { channel, reason: pick(channel) };
}

const readerReason = (channel: ChannelStatus) =>
  /stopped|backing-off/.test(channel.reader.state) ? channel.reader.reason : null;
const targetReason = (channel: ChannelStatus) =>
  /stopped|backing-off/.test(channel.targets[0]?.state ?? '') ? channel.targets[0]?.reason : null;

describe('the configuration', () => {
  test.each([
    [
      { targets: [{ name: 'a', host: 'h', user: 'u', pasword: 'x' }] },
      /:\d+:\d+: .*pasword: unknown key.*password/,
    ],
    [{ relay_log: { max_file_size: '1GB ish' } }, /:\d+:\d+: .*max_file_size: .*64MiB/],
    [{ relay_log: { sync: 100 } }, /:\d+:\d+: .*sync: .*unit/],
  ])('%j ends with code 2 and the place of the mistake', async (change, line) => {
    const process = prepare();
    process.configure({
      data_dir: process.dataDir,
      channels: [
        {
          ...channelConfig({
            source: { ...address(source), ...from },
            target: { ...address(target), ...to },
          }),
          ...change,
        },
      ],
    });
    const result = await process.command('start');
    expect(result.code).toBe(2);
    expect(result.stderr.trim().split('\n')).toHaveLength(1);
    expect(result.stderr).toMatch(line);
  });

  test('a file that is not there ends with code 2 and its name', async () => {
    const process = prepare();
    const result = await process.command('start', ['--config', '/nowhere/config.yaml']);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/\/nowhere\/config\.yaml/);
  });

  test('status without a running Millrace ends with code 1 and says how to start it', async () => {
    const result = await prepare().command('status');
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(/no Millrace runs.*start/s);
  });
});

describe('the source', () => {
  test('a wrong password stops the reader with user and server; start ends with code 1', async () => {
    const process = prepare({ source: { password: 'wrong' } });
    process.launch();
    expect((await process.ended).code).toBe(1);
    expect(process.output).toMatch(/Access denied for user 'repl'/);
    expect(process.output).not.toContain('wrong');
  });

  test('an unreachable host is tried again, with attempt and reason', async () => {
    const { channel, reason } = await reasonOf(prepare({ source: { port: 1 } }), readerReason);
    expect(reason).toMatch(/backing-off, attempt \d+, .*127\.0\.0\.1:1\b.*retry in/);
    expect(channel.targets[0]?.lag_seconds).toBeNull();
    expect((await millrace!.command('status')).code).toBe(3);
  });
});

describe('the target', () => {
  test('a wrong password ends start with code 1, user and server', async () => {
    const process = prepare({ target: { password: 'wrong' } });
    process.launch();
    expect((await process.ended).code).toBe(1);
    expect(process.output).toMatch(/the target at 127\.0\.0\.1:\d+ as 'apply': Access denied/);
    expect(process.output).not.toContain('wrong');
  });

  test('gtid_mode OFF with progress gtid is refused with both ways out', async () => {
    const plain = await startServer({
      flavour: 'mysql',
      name: 'plain',
      args: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    });
    try {
      const account = await createTargetAccount(plain);
      const process = prepare({ target: { ...address(plain), ...account, progress: 'gtid' } });
      process.launch();
      expect((await process.ended).code).toBe(1);
      expect(process.output).toMatch(/gtid_mode is OFF.*gtid_mode=ON.*progress: table/s);
    } finally {
      await plain.stop();
    }
  });

  test('a read-only target is waited for, and nothing is lost', async () => {
    await target.query('SET GLOBAL super_read_only=ON');
    const process = prepare({ target: { progress: 'gtid' } });
    const { reason } = await reasonOf(process, targetReason);
    expect(reason).toMatch(/backing-off.*read-only/);
    await source.query("INSERT INTO shop.orders VALUES (1, 'while read-only')");
    await target.query('SET GLOBAL super_read_only=OFF, read_only=OFF');
    await waitUntilCaughtUp(source, target, { millrace: process });
    await assertEqualServers(source, target);
  });

  test('a row that differs stops with transaction and table, and goes on once it is mended', async () => {
    const process = prepare({ target: { progress: 'gtid' } });
    await target.query('SET sql_log_bin=0; DELETE FROM shop.orders WHERE id=1');
    await source.query("UPDATE shop.orders SET note='changed' WHERE id=1");
    const { reason } = await reasonOf(process, targetReason);
    expect(reason).toMatch(/row events on shop\.orders: 1032 .*transaction=[0-9a-f-]{36}:\d+/);
    await process.stop();
    await target.query("SET sql_log_bin=0; INSERT INTO shop.orders VALUES (1, 'while read-only')");
    await process.start();
    await waitUntilCaughtUp(source, target, { millrace: process });
    await assertEqualServers(source, target);
  });
});

test('a target that is gone is noticed while there is nothing to apply: no lag is told', async () => {
  const process = prepare({ target: { progress: 'gtid' } });
  await process.start();
  await process.waitFor('lag 0', (channel) => channel.targets[0]?.lag_seconds === 0);
  await target.kill9();
  const channel = await process.waitFor('the loss', (each) => each.targets[0]?.state === 'backing-off');
  expect(channel.targets[0]?.lag_seconds).toBeNull();
  await target.restart();
  await process.waitFor('lag 0 again', (each) => each.targets[0]?.lag_seconds === 0);
});

test('a relay file damaged on disk is fetched again, and nothing is lost', async () => {
  const process = prepare({ target: { progress: 'gtid' } });
  await process.start();
  for (let id = 100; id < 140; id++)
    await source.query('INSERT INTO shop.orders VALUES (?, ?)', [id, 'x'.repeat(90)]);
  await waitUntilCaughtUp(source, target, { millrace: process });
  await process.kill9();
  const folder = join(process.dataDir, 'orders');
  const name = readdirSync(folder)
    .filter((each) => /^relay-bin\.\d+$/.test(each))
    .sort()
    .at(-1)!;
  const file = openSync(join(folder, name), 'r+');
  writeSync(file, Buffer.from('damaged'), 0, 7, Math.floor(statSync(join(folder, name)).size / 2));
  closeSync(file);
  await source.query("INSERT INTO shop.orders VALUES (200, 'after the damage')");
  await process.start();
  await waitUntilCaughtUp(source, target, { millrace: process });
  await assertEqualServers(source, target);
});
