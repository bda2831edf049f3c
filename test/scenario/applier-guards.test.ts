/**
 * Guards inside of one applier: changed while it lives, in front of transactions of every form, and held in every life anew.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApplierSettings } from '../../src/applier/applier-messages.ts';
import { NO_CONTROL } from '../../src/applier/target-control.ts';
import { type Guard, NO_GUARDS } from '../../src/rules/guard-rules.ts';
import { ALL_IS_REPLICATED } from '../../src/rules/target-rules.ts';
import { type AppliedLife, ApplierRig } from '../support/applier-rig.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

const DROPS: readonly Guard[] = [{ is: 'drop_table' }, { is: 'delete_rows_over', rows: 100 }];
const HOUR = 3_600_000;

describe.each(['gtid', 'table'] as const)('with progress %s', (progress) => {
  let source: TestServer;
  let target: TestServer;
  let rig: ApplierRig;
  let life: AppliedLife | null;

  beforeEach(async () => {
    life = null;
    [source, target] = await Promise.all([
      startServer({ flavour: 'mysql', name: 'source' }),
      startServer({ flavour: 'mysql', name: 'target' }),
    ]);
    rig = await ApplierRig.create(source, target, { progress, maxFileSize: 16 * 1024 });
    await source.query('CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY, note TEXT)');
  });

  afterEach(async () => {
    await life?.stop();
    await rig?.remove();
    await Promise.all([source?.stop(), target?.stop()]);
  });

  function settings(guards: readonly Guard[], more: Partial<ApplierSettings> = {}): ApplierSettings {
    return {
      delayMs: 0,
      rules: ALL_IS_REPLICATED,
      guards: { ...NO_GUARDS, guards },
      control: NO_CONTROL,
      ...more,
    };
  }

  async function until(what: string, condition: () => boolean): Promise<void> {
    const deadline = Date.now() + 90_000;
    while (!condition()) {
      if (Date.now() > deadline) throw new Error(`waited too long for: ${what}`);
      await delay(10);
    }
  }

  const held = (): string | null => {
    const gate = life!.run.gate;
    return gate.is === 'held' ? gate.match.what : null;
  };

  async function insert(from: number, count: number, note = 'x'): Promise<void> {
    const rows = Array.from({ length: count }, (_, n) => `(${from + n}, '${note}')`);
    await source.query(`INSERT INTO shop.orders VALUES ${rows.join(', ')}`);
  }

  const count = async (): Promise<number> =>
    Number((await target.query('SELECT COUNT(*) AS n FROM shop.orders'))[0]!.n);

  test('guards that come while the applier lives hold what has not started', async () => {
    await insert(0, 10);
    await source.query('DROP TABLE shop.orders');
    await rig.feed();
    life = await rig.begin({ delayMs: HOUR });
    await until('the delay', () => life!.run.gate.is === 'due');
    expect(rig.guardMatches).toEqual([]);
    await new Promise<void>((resolve) => life!.run.take(settings(DROPS), () => resolve()));
    await until('the hold', () => held() === 'DROP TABLE shop.orders');
    expect(await count()).toBe(10);
    expect(rig.guardMatches).toMatchObject([{ guard: 'drop_table' }]);

    await new Promise<void>((resolve) => life!.run.take(settings([]), () => resolve()));
    await rig.untilCaughtUp(life);
    expect(await target.query("SHOW TABLES FROM shop LIKE 'orders'")).toEqual([]);
  });

  test('other guards take the place of those that were on', async () => {
    await insert(0, 300);
    await source.query('DELETE FROM shop.orders WHERE id < 200');
    await source.query('DROP TABLE shop.orders');
    await rig.feed();
    life = await rig.begin({ guards: { ...NO_GUARDS, guards: DROPS } });
    await until('the hold', () => held() === '200 rows deleted from shop.orders');
    await new Promise<void>((resolve) => life!.run.take(settings([{ is: 'drop_table' }]), () => resolve()));
    await until('the next hold', () => held() === 'DROP TABLE shop.orders');
    expect(await count()).toBe(100);
  });

  test('what comes while the target is held is looked at, and nothing of it is applied', async () => {
    await insert(0, 10);
    await source.query('DROP TABLE shop.orders');
    await rig.feed();
    life = await rig.begin({ guards: { ...NO_GUARDS, guards: DROPS } });
    await until('the hold', () => held() !== null);
    for (let table = 0; table < 25; table++) {
      await source.query(`CREATE TABLE shop.t${table} (a INT); DROP TABLE shop.t${table}`);
      await rig.feed();
    }
    await until('all matches', () => life!.run.guards.open === 26);
    expect(life.run.guards.first).toHaveLength(20);
    expect(life.run.guards.first[0]).toMatchObject({ state: 'holding', what: 'DROP TABLE shop.orders' });
    expect(life.run.guards.first[1]).toMatchObject({ state: 'waiting', what: 'DROP TABLE shop.t0' });
    expect((await target.query('SHOW TABLES FROM shop')).length).toBe(1);
  });

  test('a life after the other holds at the same place', async () => {
    await insert(0, 10);
    await source.query('DROP TABLE shop.orders');
    await rig.feed();
    for (let lives = 1; lives <= 4; lives++) {
      life = await rig.begin({ guards: { ...NO_GUARDS, guards: DROPS } });
      await until('the hold', () => held() === 'DROP TABLE shop.orders');
      if (lives % 2 === 0) {
        // The target goes away while nothing is applied.
        await target.restart();
        expect((await life.ended)?.action).toBe('retry');
      } else expect(await life.stop()).toBeNull();
      expect(await count()).toBe(10);
    }
    expect(new Set(rig.guardMatches.map(({ id }) => id)).size).toBe(1);
  });

  test('rows are counted in compressed transactions, and in one that is too large for memory', async () => {
    const connection = await source.connect();
    await connection.query('SET binlog_transaction_compression = ON');
    await insert(0, 150, 'y'.repeat(1000));
    await connection.query('DELETE FROM shop.orders');
    await connection.query('SET binlog_transaction_compression = OFF, max_error_count = 0');
    for (let id = 0; id < 120; id += 10) await insert(id, 10, 'z'.repeat(60_000));
    await connection.query('DELETE FROM shop.orders');
    await connection.end();
    await rig.feed();
    life = await rig.begin({ guards: { ...NO_GUARDS, guards: DROPS } });
    await until('the hold', () => held() === '150 rows deleted from shop.orders');
    await until('both', () => life!.run.guards.open === 2);
    expect(life.run.guards.first[1]).toMatchObject({ what: '120 rows deleted from shop.orders' });
    const approved = rig.guardMatches.map(({ id }) => id);
    const control = { ...NO_CONTROL, approved };
    await new Promise<void>((resolve) => life!.run.take(settings(DROPS, { control }), () => resolve()));
    await rig.untilCaughtUp(life);
    expect(await count()).toBe(0);
  });
});
