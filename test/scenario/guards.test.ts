/**
 * Guards in front of a delayed target: what they find is told at once, held until somebody has answered, and never too late.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TargetStatus } from '../../src/observe/status.ts';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { compareServers, executedSet } from '../support/equality.ts';
import { HookServer } from '../support/hook-server.ts';
import { address, type ConfigMap, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

const WAYS = [
  ['mysql', 'gtid'],
  ['mysql', 'table'],
  ['mariadb', 'table'],
] as const;

const GUARDS = ['drop_database', 'drop_table', 'truncate', { delete_rows_over: 1000 }, { alter: 'shop.%' }];

describe.each(WAYS)('on %s with progress %s', (flavour, progress) => {
  let source: TestServer;
  let target: TestServer;
  let millrace: MillraceProcess;
  let hook: HookServer;

  beforeEach(async () => {
    [source, target, hook] = await Promise.all([
      startServer({ flavour, name: 'source' }),
      startServer({ flavour, name: 'target' }),
      HookServer.start(),
    ]);
  });

  afterEach(async () => {
    await millrace?.remove();
    await Promise.all([source?.stop(), target?.stop(), hook?.stop()]);
  });

  async function prepare(more: ConfigMap): Promise<void> {
    const from = await createSourceAccount(source);
    const to = await createTargetAccount(target);
    millrace = MillraceProcess.prepare([
      channelConfig({
        source: { ...address(source), ...from },
        target: { ...address(target), ...to, progress, guards: GUARDS, ...more },
        relayLog: { max_file_size: '64KiB' },
      }),
    ]);
  }

  async function shop(rows: number): Promise<void> {
    await source.query('CREATE DATABASE shop');
    await source.query('CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(40)) ENGINE=InnoDB');
    await source.query('CREATE TABLE shop.lines (id INT PRIMARY KEY) ENGINE=InnoDB');
    for (let id = 0; id < rows; id += 500) {
      const values = Array.from({ length: 500 }, (_, n) => `(${id + n}, 'order ${id + n}')`);
      await source.query(`INSERT INTO shop.orders VALUES ${values.join(', ')}`);
    }
  }

  const standby = async (): Promise<TargetStatus> =>
    (await millrace.channel()).targets[0] as unknown as TargetStatus;

  async function until(what: string, condition: (target: TargetStatus) => boolean): Promise<TargetStatus> {
    const channel = await millrace.waitFor(
      what,
      (each) => condition(each.targets[0] as unknown as TargetStatus),
      90_000,
    );
    return channel.targets[0] as unknown as TargetStatus;
  }

  async function tables(server: TestServer): Promise<string[]> {
    const rows = await server.query(
      "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'shop' ORDER BY 1",
    );
    return rows.map(({ name }) => name);
  }

  async function command(verb: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await millrace.command(verb, args);
    expect(`${verb}: ${code} ${stderr}`).toBe(`${verb}: 0 `);
    return stdout;
  }

  test('a DROP TABLE is told at once, held through kill -9, and skipped: the table is still there', async () => {
    await prepare({ delay: '1h', guard_webhook: hook.url });
    await millrace.start();
    await shop(2000);
    await source.query('DROP TABLE shop.orders');
    await source.query('INSERT INTO shop.lines VALUES (1)');

    const told = await until(
      'an alarm',
      ({ guards_open, guards }) => guards_open === 1 && guards[0]?.due_seconds != null,
    );
    expect(told).toMatchObject({ state: 'running', guard_alarms: 1, hold: null });
    const [match] = told.guards;
    expect(match).toMatchObject({ guard: 'drop_table', what: 'DROP TABLE shop.orders', state: 'waiting' });
    expect(match!.due_seconds).toBeGreaterThan(3000);
    const { id } = match!;
    while (hook.posted.length === 0) await delay(20);
    expect(hook.posted).toMatchObject([
      { event: 'guard', gtid: id, guard: 'drop_table', on_guard: 'hold', target: 'standby' },
    ]);
    expect(millrace.output).toContain('"msg":"a guard has found something"');
    // The answer to the post is on its way back: a kill before it has come tells the alarm once more.
    const remembered = join(millrace.dataDir, 'millrace.alarms.json');
    while (!existsSync(remembered)) await delay(20);
    expect(readFileSync(remembered, 'utf8')).toContain(id);

    await command('delay', 'standby', '0s');
    const held = await until('held', ({ state }) => state === 'held');
    expect(held.hold).toEqual({ id, guard: 'drop_table', what: 'DROP TABLE shop.orders' });
    expect(held.guards).toMatchObject([{ id, state: 'holding', due_seconds: 0 }]);
    expect(held.reason).toContain(`millrace approve ${id} or millrace skip ${id} --reason`);
    expect((await target.query('SELECT COUNT(*) AS n FROM shop.orders'))[0]!.n).toBe(2000);

    for (let kill = 0; kill < 3; kill++) {
      await millrace.kill9();
      await millrace.start();
      expect((await until('held again', ({ state }) => state === 'held')).hold?.id).toBe(id);
      expect(await tables(target)).toEqual(['lines', 'orders']);
      expect((await target.query('SELECT COUNT(*) AS n FROM shop.lines'))[0]!.n).toBe(0);
    }
    expect(await standby()).toMatchObject({ guard_alarms: 0, guards_open: 1 });
    expect(hook.posted).toHaveLength(1);

    await command('skip', id, '--reason', 'the table is needed');
    await until('the end', ({ state, lag_transactions }) => state === 'running' && lag_transactions === 0);
    expect(await tables(target)).toEqual(['lines', 'orders']);
    expect((await target.query('SELECT COUNT(*) AS n FROM shop.lines'))[0]!.n).toBe(1);
    expect(await standby()).toMatchObject({ guards: [], guards_open: 0 });
    if (progress === 'gtid') expect(await executedSet(target)).toBe(await executedSet(source));
  });

  test('each thing that is held goes on when it is approved, and nothing else is held', async () => {
    await prepare({ delay: '1h' });
    await millrace.start();
    await shop(3000);
    const destructive = [
      [
        'DELETE FROM shop.orders WHERE id < 2000',
        'delete_rows_over: 1000',
        '2,000 rows deleted from shop.orders',
      ],
      ['ALTER TABLE shop.orders ADD c INT', 'alter: shop.%', 'ALTER TABLE shop.orders'],
      ['TRUNCATE TABLE shop.lines', 'truncate', 'TRUNCATE TABLE shop.lines'],
      ['DROP TABLE shop.lines', 'drop_table', 'DROP TABLE shop.lines'],
      ['DROP DATABASE shop', 'drop_database', 'DROP DATABASE shop'],
    ] as const;
    for (const [sql] of destructive) {
      await source.query('INSERT INTO shop.lines VALUES (7)').catch(() => {});
      await source.query(sql);
      await source.query('DELETE FROM shop.orders WHERE id >= 2990').catch(() => {});
    }
    await until('all alarms', ({ guards_open }) => guards_open === destructive.length);
    await command('delay', 'standby', '0s');
    for (const [sql, guard, what] of destructive) {
      const held = await until(`held: ${sql}`, ({ hold }) => hold?.guard === guard);
      expect(held.hold).toMatchObject({ guard, what });
      await command('approve', held.hold!.id);
    }
    await until('the end', ({ state, lag_transactions }) => state === 'running' && lag_transactions === 0);
    expect((await compareServers(source, target, { gtid: progress === 'gtid' })).differences).toEqual([]);
  });

  test('what is due long since when Millrace starts is held all the same', async () => {
    await shop(500);
    await source.query('DROP TABLE shop.orders');
    await source.query('DROP TABLE shop.lines');
    await prepare({ delay: '100ms' });
    for (let life = 0; life < 3; life++) {
      await millrace.start();
      const held = await until(
        'held, and the clock of the source known',
        ({ state, guards }) => state === 'held' && guards.every(({ due_seconds }) => due_seconds !== null),
      );
      expect(held.hold).toMatchObject({ what: 'DROP TABLE shop.orders' });
      expect(held.guards).toMatchObject([{ due_seconds: 0 }, { due_seconds: 0, state: 'waiting' }]);
      expect(await tables(target)).toEqual(['lines', 'orders']);
      if (life === 1) await millrace.kill9();
      else await millrace.stop();
    }
  });

  test('a guard that only warns lets everything pass when it is due', async () => {
    await prepare({ delay: '1s', on_guard: 'warn', guard_webhook: hook.url });
    hook.mood = 'silent';
    await millrace.start();
    await shop(500);
    await source.query('DROP TABLE shop.orders');
    await waitUntilCaughtUp(source, target, { millrace, progress });
    await until('an alarm', ({ guard_alarms }) => guard_alarms === 1);
    expect(await tables(target)).toEqual(['lines']);
    expect(millrace.output).toContain('"msg":"a guard has found something"');
    // A webhook that says nothing holds nothing up, the end of the process neither.
    const began = Date.now();
    expect((await millrace.stop()).code).toBe(0);
    expect(Date.now() - began).toBeLessThan(20_000);
  });
});
