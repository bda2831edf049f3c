import { queryObjects } from 'node:v8';
import type { Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { TransactionReplay } from '../../src/applier/transaction-replay.ts';
import type { AppliedLife, ApplierRig } from '../support/applier-rig.ts';
import { assertEqualServers, executedSet } from '../support/equality.ts';
import { whileKilling } from '../support/kill-storm.ts';
import { ReplayPair } from '../support/replay-pair.ts';

const WAYS = [
  ['mysql', 'gtid', '9.7'],
  ['mysql', 'table', '9.7'],
  ['mariadb', 'table', '10.11'],
  ['mariadb', 'table', '11.8'],
] as const;

const HOT = 'UPDATE t SET v = v + 1 WHERE id = 1';

/** By GTID, transactions that must follow each other are sent into one session without waiting for answers (apply-worker.ts). */
describe.each(WAYS)(
  'transactions that follow each other on %s with progress %s, %s',
  (flavour, progress, version) => {
    let pair: ReplayPair;
    let rig: ApplierRig;
    let beside: Connection;
    let life: AppliedLife;

    beforeAll(async () => {
      pair = await ReplayPair.start({ flavour, version, progress: [progress] });
      rig = pair.rigs[0]!;
      await pair.run([
        'CREATE DATABASE shop',
        'CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)',
        'CREATE TABLE shop.u (id INT PRIMARY KEY, v INT)',
        // Its only row is found by what the transaction before has made of it.
        'CREATE TABLE shop.chain (n INT PRIMARY KEY)',
        'INSERT INTO shop.t VALUES (1, 0), (2, 0), (3, 0)',
        'INSERT INTO shop.chain VALUES (0)',
      ]);
      await rig.catchUp();
      beside = await rig.target.connect({ database: 'shop' });
      await beside.query(flavour === 'mysql' ? 'SET sql_log_bin = 0' : 'SET SESSION sql_log_bin = 0');
    });
    afterEach(async () => {
      await beside.query('ROLLBACK');
      await life?.stop();
    });
    afterAll(async () => {
      await beside?.end();
      await pair.stop();
    });

    const equal = (): Promise<unknown> =>
      assertEqualServers(pair.source, rig.target, { schemas: ['shop'], gtid: progress === 'gtid' });

    async function rowsOfU(): Promise<number[]> {
      return (await rig.target.query('SELECT id FROM shop.u ORDER BY id')).map(({ id }) => Number(id));
    }

    /** Each changes a row that the one before has changed: they depend on each other whatever the source's clock is made of. */
    async function chain(first: string, ids: readonly number[]): Promise<void> {
      const behind = ids.flatMap((id) => ['BEGIN', `INSERT INTO u VALUES (${id}, 0)`, HOT, 'COMMIT']);
      await pair.run(['USE shop', 'BEGIN', first, HOT, 'COMMIT', ...behind]);
      await rig.feed();
    }

    /** With progress in a table one is made ready while the one before is on its way. */
    async function onTheirWay(transactions: number): Promise<void> {
      const taken = progress === 'gtid' ? transactions : 2;
      await vi.waitFor(() => expect(life.run.inFlight).toBe(taken));
    }

    async function block(row = 1): Promise<void> {
      await beside.query('BEGIN');
      await beside.query(`SELECT * FROM t WHERE id = ${row} FOR UPDATE`);
    }

    async function letGoAtThird(kills: number): Promise<void> {
      if (kills === 3) await beside.query('COMMIT');
    }

    /** Sessions of the applier that wait for a lock. */
    async function blockedSessions(): Promise<number[]> {
      const rows = await rig.target.query(
        "SELECT p.ID AS id FROM information_schema.INNODB_TRX t JOIN information_schema.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id WHERE t.trx_state = 'LOCK WAIT' AND p.COMMAND = 'Query'",
      );
      return rows.map(({ id }) => Number(id));
    }

    async function untilBlocked(): Promise<number> {
      let blocked: number[] = [];
      // Looked at more often, the server would show what it has shown before.
      const options = { timeout: 4_000, interval: 200 };
      await vi.waitFor(async () => {
        blocked = await blockedSessions();
        expect(blocked).toHaveLength(1);
      }, options);
      return blocked[0]!;
    }

    test('are on their way while the first of them waits, and none is committed before it', async () => {
      await block();
      await chain('UPDATE t SET v = 5 WHERE id = 3', [11, 12, 13, 14]);
      const before = await rowsOfU();
      life = await rig.begin();
      await untilBlocked();
      await onTheirWay(5);
      expect(await rowsOfU()).toEqual(before);
      await beside.query('COMMIT');
      await rig.untilCaughtUp(life);
      expect(await life.stop()).toBeNull();
      await equal();
    });

    test('leave nothing in memory, however many have followed each other', async () => {
      await block(3);
      const ids = Array.from({ length: 300 }, (_, n) => 5000 + n);
      await chain('UPDATE t SET v = 6 WHERE id = 2', ids);
      await pair.run(['USE shop', 'BEGIN', 'UPDATE t SET v = 7 WHERE id = 3', HOT, 'COMMIT']);
      await rig.feed();
      life = await rig.begin();
      await untilBlocked();
      expect(queryObjects(TransactionReplay)).toBeLessThan(50);
      await beside.query('COMMIT');
      await rig.untilCaughtUp(life);
      expect(await life.stop()).toBeNull();
      await equal();
    });

    test('are not committed when the first of them is broken off, and are when it was tried again', async () => {
      await block();
      await chain('UPDATE t SET v = 5 WHERE id = 3', [21, 22, 23]);
      const before = await rowsOfU();
      life = await rig.begin();
      const session = await untilBlocked();
      await onTheirWay(4);
      await rig.target.query(`KILL QUERY ${session}`);
      // It waits again: those behind it were looked at meanwhile.
      await untilBlocked();
      expect(await rowsOfU()).toEqual(before);
      await beside.query('COMMIT');
      await rig.untilCaughtUp(life);
      expect(await life.stop()).toBeNull();
      await equal();
    });

    test('are not committed when the first of them cannot be applied', async () => {
      await beside.query('INSERT INTO u VALUES (30, 0)');
      const [before, executed] = [await rowsOfU(), await executedSet(rig.target)];
      await chain('INSERT INTO u VALUES (30, 0)', [31, 32, 33]);
      expect(await rig.refusal()).toMatchObject({ code: 'APPLY_FAILED', facts: { errno: 1062 } });
      expect(await rowsOfU()).toEqual(before);
      if (progress === 'gtid') expect(await executedSet(rig.target)).toBe(executed);
      await beside.query('DELETE FROM u WHERE id = 30');
      await rig.catchUp();
      await equal();
    });

    test('are applied in their order when one in the middle cannot be, and the target is mended', async () => {
      await beside.query('INSERT INTO u VALUES (43, 0)');
      await chain('UPDATE t SET v = v + 1 WHERE id = 2', [41, 42, 43, 44, 45]);
      expect(await rig.refusal()).toMatchObject({ code: 'APPLY_FAILED', facts: { errno: 1062 } });
      expect((await rowsOfU()).filter((id) => id > 40 && id < 50)).toEqual([41, 42, 43]);
      await beside.query('DELETE FROM u WHERE id = 43');
      await rig.catchUp();
      await equal();
    });

    test('are applied when the first of them changes nothing on the target', async () => {
      const [{ v } = { v: 0 }] = await pair.source.query('SELECT v FROM shop.t WHERE id = 1');
      await beside.query(`UPDATE t SET v = ${Number(v) + 1} WHERE id = 1`);
      await chain(
        HOT.replace('t SET', 't FORCE INDEX (PRIMARY) SET').replace('id = 1', 'id = 99'),
        [51, 52, 53],
      );
      await rig.catchUp();
      await equal();
    });

    test('are applied once when their connection is cut', async () => {
      await block();
      await chain('UPDATE t SET v = 5 WHERE id = 3', [61, 62, 63]);
      life = await rig.begin();
      const session = await untilBlocked();
      await onTheirWay(4);
      await rig.target.query(`KILL ${session}`);
      expect(await life.ended).toMatchObject({ action: 'retry' });
      await beside.query('COMMIT');
      await rig.persist();
      await equal();
    });

    test('are applied in their order whatever breaks them off, and whenever', async () => {
      const steps = Array.from({ length: 500 }, (_, n) => [
        'BEGIN',
        'UPDATE chain SET n = n + 1',
        n % 5 === 4 ? HOT : `INSERT INTO u VALUES (${1000 + n}, 0)`,
        'COMMIT',
      ]);
      await pair.run(['USE shop', HOT, ...steps.flat()]);
      await block();
      const killed = await whileKilling(rig.target, rig.persist(), letGoAtThird);
      expect(killed).toBeGreaterThanOrEqual(3);
      await equal();
    });

    test('in statement format find their rows whatever breaks them off, and whenever', async () => {
      const steps = Array.from({ length: 500 }, (_, n) => [
        'BEGIN',
        'UPDATE t SET v = v + 1 WHERE id = 2',
        n % 2 === 0 ? `INSERT INTO u VALUES (${2000 + n}, 0)` : `DELETE FROM u WHERE id = ${1999 + n}`,
        'COMMIT',
      ]);
      await pair.run(['USE shop', 'SET SESSION binlog_format = STATEMENT', ...steps.flat()]);
      await block(2);
      const killed = await whileKilling(rig.target, rig.persist(), letGoAtThird);
      expect(killed).toBeGreaterThanOrEqual(3);
      await equal();
    });
  },
);
