import type { Connection } from 'mysql2/promise';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { AppliedLife, ApplierRig } from '../support/applier-rig.ts';
import { assertEqualServers, executedSet } from '../support/equality.ts';
import { ReplayPair } from '../support/replay-pair.ts';

/** Resolves when some transaction on the target waits for a row lock. */
/** A transaction of the target waits for a lock, and it is not the one named `but`. Gives its name. */
async function someoneWaits(rig: ApplierRig, but = ''): Promise<string> {
  return vi.waitFor(
    async () => {
      const rows = await rig.target.query(
        `SELECT trx_id AS id FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT' AND trx_id <> '${but}' AND trx_mysql_thread_id IN (SELECT ID FROM information_schema.PROCESSLIST)`,
      );
      expect(rows.length).toBeGreaterThan(0);
      return String(rows[0]!.id);
    },
    // The server renews this table only when nobody has read it for 0.1 s: it may name sessions that are gone.
    { timeout: 30_000, interval: 130 },
  );
}

describe.each([
  { flavour: 'mysql', version: '9.7', progress: 'gtid' },
  { flavour: 'mysql', version: '9.7', progress: 'table' },
  { flavour: 'mariadb', version: '10.11', progress: 'table' },
] as const)(
  'what goes wrong on a target, $flavour with progress $progress',
  ({ flavour, version, progress }) => {
    let pair: ReplayPair;
    let rig: ApplierRig;
    let blocker: Connection;
    const lives: AppliedLife[] = [];
    beforeAll(async () => {
      pair = await ReplayPair.start({ flavour, version, progress: [progress] });
      rig = pair.rigs[0]!;
      await pair.run(['CREATE DATABASE shop', 'CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)']);
      await pair.run(['INSERT INTO shop.t VALUES (1, 0), (2, 0), (3, 0)']);
      await rig.catchUp();
      blocker = await rig.target.connect({ database: 'shop' });
      // What is done on the target alone leaves no GTID there, so that the sets can be compared.
      await blocker.query('SET sql_log_bin = 0');
    });
    afterAll(() => pair.stop());
    afterEach(async () => {
      await blocker.query('ROLLBACK');
      for (const life of lives.splice(0)) await life.stop();
    });

    const equal = (): Promise<unknown> =>
      assertEqualServers(pair.source, rig.target, { schemas: ['shop'], gtid: progress === 'gtid' });

    async function living(): Promise<AppliedLife> {
      const life = await rig.begin();
      lives.push(life);
      return life;
    }

    test('a deadlock: the whole transaction is rolled back and tried again', async () => {
      await blocker.query('BEGIN');
      // Many changes make the blocker the heavier one: the applier is the victim.
      await blocker.query('UPDATE t SET v = v + 1000 WHERE id = 2');
      await blocker.query(
        `INSERT INTO t VALUES ${Array.from({ length: 200 }, (_, i) => `(${i + 5000}, 0)`).join(', ')}`,
      );
      await pair.run([
        'USE shop',
        'BEGIN',
        'UPDATE t SET v = 1 WHERE id = 1',
        'UPDATE t SET v = 2 WHERE id = 2',
        'UPDATE t SET v = 3 WHERE id = 3',
        'COMMIT',
      ]);
      await rig.feed();
      const life = await living();
      await someoneWaits(rig);
      await blocker.query('UPDATE t SET v = v + 1000 WHERE id = 1');
      // Nothing of the victim is visible to anyone.
      expect(await rig.target.query('SELECT v FROM shop.t WHERE id IN (1, 3) ORDER BY id')).toEqual([
        { v: 0 },
        { v: 0 },
      ]);
      await blocker.query('ROLLBACK');
      await rig.untilCaughtUp(life);
      await equal();
    });

    test('a lock that is held for longer than a lock wait is waited out', async () => {
      await blocker.query('BEGIN');
      await blocker.query('SELECT * FROM t WHERE id = 2 FOR UPDATE');
      await pair.run([
        'USE shop',
        'BEGIN',
        'UPDATE t SET v = 11 WHERE id = 1',
        'UPDATE t SET v = 12 WHERE id = 2',
        'COMMIT',
      ]);
      await rig.feed();
      const life = await living();
      const first = await someoneWaits(rig);
      // The wait ends with 1205, which rolls back one statement: the applier rolls back the rest, and tries the whole again.
      await someoneWaits(rig, first);
      await blocker.query('ROLLBACK');
      await rig.untilCaughtUp(life);
      await equal();
    });

    test('told to stop while it waits for a lock, it stops, keeps nothing, and goes on later', async () => {
      await blocker.query('BEGIN');
      await blocker.query('SELECT * FROM t WHERE id = 2 FOR UPDATE');
      await pair.run([
        'USE shop',
        'BEGIN',
        'UPDATE t SET v = 21 WHERE id = 1',
        'UPDATE t SET v = 22 WHERE id = 2',
        'COMMIT',
        'INSERT INTO t VALUES (30, 0)',
      ]);
      await rig.feed();
      const life = await living();
      await someoneWaits(rig);
      expect(await life.stop()).toBeNull();
      expect(await rig.target.query('SELECT v FROM shop.t WHERE id = 1')).toEqual([{ v: 11 }]);
      await blocker.query('ROLLBACK');
      await rig.catchUp();
      await equal();
    });

    test('a row that is missing stops it with transaction and table named, and nothing kept', async () => {
      await blocker.query('DELETE FROM t WHERE id = 3');
      await pair.run([
        'USE shop',
        'BEGIN',
        'UPDATE t SET v = 31 WHERE id = 1',
        'UPDATE t SET v = 33 WHERE id = 3',
        'COMMIT',
        'INSERT INTO t VALUES (31, 0)',
      ]);
      const error = await rig.refusal();
      expect(error).toMatchObject({ code: 'APPLY_FAILED', action: 'stop' });
      expect(error.message).toMatch(/shop\.t/);
      expect(error.facts.errno).toBe(1032);
      expect(error.facts.transaction).toBeTruthy();
      expect(error.hint).toContain('does not have this row');
      expect(await rig.target.query('SELECT v FROM shop.t WHERE id = 1')).toEqual([{ v: 21 }]);
      await blocker.query('INSERT INTO t VALUES (3, 3)');
      await rig.catchUp();
      await equal();
    });

    test('a row that is there already stops it, and mending it lets it go on', async () => {
      await blocker.query('INSERT INTO t VALUES (40, 999)');
      await pair.run([
        'USE shop',
        'BEGIN',
        'INSERT INTO t VALUES (41, 1)',
        'INSERT INTO t VALUES (40, 1)',
        'COMMIT',
      ]);
      const error = await rig.refusal();
      expect(error).toMatchObject({ code: 'APPLY_FAILED', action: 'stop' });
      expect(error.facts.errno).toBe(1062);
      expect(await rig.target.query('SELECT 1 FROM shop.t WHERE id = 41')).toEqual([]);
      await blocker.query('DELETE FROM t WHERE id = 40');
      await rig.catchUp();
      await equal();
    });

    test('what stands behind a transaction that fails comes whole, and of that one nothing is kept', async () => {
      const taken = [7, 8, 19, 30];
      const second = (number: number): number => 8001 + 2 * number;
      await blocker.query(`INSERT INTO t VALUES ${taken.map((each) => `(${second(each)}, 999)`).join(', ')}`);
      const transactions = Array.from({ length: 40 }, (_, i) => [
        'BEGIN',
        `INSERT INTO t VALUES (${second(i) - 1}, 0)`,
        `INSERT INTO t VALUES (${second(i)}, 0)`,
        'COMMIT',
      ]);
      await pair.run(['USE shop', ...transactions.flat()]);
      await rig.feed();
      for (const number of taken) {
        const life = await rig.begin({ workers: 2 });
        lives.push(life);
        const error = await life.ended;
        expect(error).toMatchObject({ code: 'APPLY_FAILED', facts: { errno: 1062 } });
        const halves = await rig.target.query(
          'SELECT id DIV 2 AS pair FROM shop.t WHERE id >= 8000 AND id < 9000 AND v = 0 GROUP BY pair HAVING COUNT(*) <> 2',
        );
        expect(halves).toEqual([]);
        await blocker.query(`DELETE FROM t WHERE id = ${second(number)} AND v = 999`);
      }
      await rig.catchUp();
      await equal();
    });

    test('a statement that cannot run stops it, and the intent it left behind is settled', async () => {
      await blocker.query('CREATE TABLE taken (other INT)');
      await pair.run(['CREATE TABLE shop.taken (a INT)', 'INSERT INTO shop.taken VALUES (1)']);
      const error = await rig.refusal();
      expect(error).toMatchObject({ code: 'APPLY_FAILED', action: 'stop' });
      expect(error.facts.errno).toBe(1050);
      await blocker.query('DROP TABLE taken');
      await rig.catchUp();
      await equal();
    });

    test('a read-only target is waited for', async () => {
      const variable = flavour === 'mysql' ? 'super_read_only' : 'read_only';
      const account = "'limited'@'%'";
      if (flavour === 'mariadb') {
        await blocker.query(`CREATE USER ${account} IDENTIFIED BY 'x'`);
        await blocker.query(`GRANT ALL ON *.* TO ${account}`);
        await blocker.query(`REVOKE SUPER, READ_ONLY ADMIN ON *.* FROM ${account}`);
      }
      const endpoint =
        flavour === 'mysql' ? {} : { endpoint: { ...rig.endpoint, user: 'limited', password: 'x' } };
      await pair.run(['INSERT INTO shop.t VALUES (50, 0)']);
      await rig.feed();
      const life = await rig.begin(endpoint);
      lives.push(life);
      await rig.untilCaughtUp(life);
      await rig.target.query(`SET GLOBAL ${variable} = ON`);
      await pair.run(['INSERT INTO shop.t VALUES (51, 0)']);
      await rig.feed();
      expect(await life.ended).toMatchObject({ code: 'TARGET_READ_ONLY', action: 'retry' });
      await expect(rig.catchUp(endpoint)).rejects.toMatchObject({
        code: 'TARGET_READ_ONLY',
        action: 'retry',
      });
      await rig.target.query('SET GLOBAL read_only = OFF');
      await rig.catchUp(endpoint);
      await equal();
    });

    test('a connection killed at any moment, fifty times: nothing lost, nothing doubled', async () => {
      const client = await pair.source.connect({ database: 'shop' });
      for (let kills = 0; kills < 50; kills++) {
        for (let i = 0; i < 6; i++)
          await client.query(`INSERT INTO t VALUES (${100_000 + kills * 10 + i}, 0)`);
        await client.query('UPDATE t SET v = v + 1 WHERE id < 4');
        if (kills % 5 === 0) await client.query(`ALTER TABLE t COMMENT = 'c${kills}'`);
        await rig.feed();
        const life = await living();
        const sessions = await rig.target.query(
          "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = 'root' AND ID <> CONNECTION_ID() AND ID <> ? ORDER BY RAND()",
          [blocker.threadId],
        );
        // It may have ended between the look and the KILL.
        if (sessions[0] !== undefined) await rig.target.query(`KILL ${sessions[0].id}`).catch(() => {});
        await Promise.race([life.ended, rig.untilCaughtUp(life).catch(() => {})]);
        const error = await life.stop();
        if (error !== null) expect(error.action).toBe('retry');
      }
      await client.end();
      await rig.persist();
      await equal();
    });

    test('a second applier is refused while the first one is there', async () => {
      await rig.whileApplying(async () => {
        const refused = rig.begin();
        await expect(refused).rejects.toMatchObject({ code: 'FENCED', action: 'retry' });
        // Another channel is no rival: its progress and its lock have another name.
        const startAt = await executedSet(pair.source);
        const another = await rig.begin({ channel: 'another', startAt });
        await rig.untilCaughtUp(another);
        expect(await another.stop()).toBeNull();
      });
    });

    if (progress === 'table') {
      test('a writer that was taken over from keeps nothing, neither rows nor statements', async () => {
        for (const statement of ['INSERT INTO shop.t VALUES (60, 0)', 'CREATE TABLE shop.fenced (a INT)']) {
          await rig.whileApplying(async (life) => {
            await rig.target.query('UPDATE millrace.progress SET epoch = epoch + 1');
            await pair.run([statement]);
            await rig.feed();
            expect(await life.ended).toMatchObject({ code: 'FENCED', action: 'stop' });
          });
          expect(await rig.target.query('SELECT 1 FROM shop.t WHERE id = 60')).toHaveLength(
            statement.startsWith('INSERT') ? 0 : 1,
          );
          expect(await rig.target.query("SHOW TABLES FROM shop LIKE 'fenced'")).toEqual([]);
          await rig.catchUp();
        }
        await equal();
      });
    }

    test('a control session that is killed ends the life, and the next one goes on', async () => {
      await rig.whileApplying(async (life) => {
        const lock = await rig.target.query('SELECT 1');
        expect(lock).toHaveLength(1);
        const holders = await rig.target.query(
          "SELECT ID AS id FROM information_schema.PROCESSLIST WHERE USER = 'root' AND ID <> CONNECTION_ID()",
        );
        for (const { id } of holders) {
          if (id !== blocker.threadId) await rig.target.query(`KILL ${id}`).catch(() => {});
        }
        await pair.run(['INSERT INTO shop.t VALUES (70, 0)']);
        await rig.feed();
        expect(await life.ended).toMatchObject({ action: 'retry' });
      });
      await rig.catchUp();
      await equal();
    });
  },
);

describe.each(['any', 'source'] as const)(
  'keys that exist on the target alone, commit_order %s',
  (commitOrder) => {
    let pair: ReplayPair;
    let rig: ApplierRig;
    beforeAll(async () => {
      pair = await ReplayPair.start({
        flavour: 'mysql',
        version: '9.7',
        progress: ['gtid'],
        rig: { commitOrder, workers: 4 },
      });
      rig = pair.rigs[0]!;
      await pair.run(['CREATE DATABASE shop', 'CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(10))']);
      await pair.run(["INSERT INTO shop.t VALUES (1, 'k'), (2, 'l'), (3, 'm')"]);
      await rig.catchUp();
    });
    afterAll(() => pair.stop());

    test('transactions that such a key makes depend on each other come right, one after the other', async () => {
      const blocker = await rig.target.connect({ database: 'shop' });
      await blocker.query('SET sql_log_bin = 0');
      await blocker.query('ALTER TABLE t ADD UNIQUE KEY only_here (v)');
      // By primary key the three are independent; the unique key makes each need the one before it.
      await pair.run([
        'DELETE FROM shop.t WHERE id = 1',
        "INSERT INTO shop.t VALUES (10, 'k')",
        "UPDATE shop.t SET v = 'z' WHERE id = 3",
      ]);
      await blocker.query('BEGIN');
      await blocker.query('SELECT * FROM t WHERE id = 1 FOR UPDATE');
      await rig.feed();
      const life = await rig.begin();
      // In the source's order they do not run beside each other: they wait behind the first.
      const wait = async (): Promise<void> => {
        if (commitOrder === 'source') expect(life.run.inFlight).toBe(3);
        else expect(rig.logged.some(({ message }) => message.includes('tried alone'))).toBe(true);
      };
      await vi.waitFor(wait, { timeout: 20_000 });
      await blocker.query('ROLLBACK');
      await rig.untilCaughtUp(life);
      expect(await life.stop()).toBeNull();
      await blocker.query('ALTER TABLE t DROP KEY only_here');
      await assertEqualServers(pair.source, rig.target, { schemas: ['shop'], gtid: true });
    });

    test('many pairs that hand a value on, in parallel', async () => {
      await rig.target.query(
        'SET sql_log_bin = 0; ALTER TABLE shop.t ADD UNIQUE KEY only_here (v); SET sql_log_bin = 1',
      );
      const pairs = Array.from({ length: 60 }, (_, i) => [
        `INSERT INTO shop.t VALUES (${1000 + i}, 'v${i}')`,
        `UPDATE shop.t SET v = NULL WHERE id = ${1000 + i}`,
        `INSERT INTO shop.t VALUES (${2000 + i}, 'v${i}')`,
      ]);
      await pair.run(pairs.flat());
      await rig.catchUp();
      await rig.target.query(
        'SET sql_log_bin = 0; ALTER TABLE shop.t DROP KEY only_here; SET sql_log_bin = 1',
      );
      await assertEqualServers(pair.source, rig.target, { schemas: ['shop'], gtid: true });
    });
  },
);

describe('a target that goes back', () => {
  let pair: ReplayPair;
  beforeAll(async () => {
    pair = await ReplayPair.start({ flavour: 'mysql', version: '9.7', progress: [] });
  });
  afterAll(() => pair.stop());

  test('to what the relay log still has: it is applied again from there', async () => {
    const { startServer } = await import('../support/test-server.ts');
    const { ApplierRig } = await import('../support/applier-rig.ts');
    const target = await startServer({ flavour: 'mysql', version: '9.7', name: 'target' });
    const rig = await ApplierRig.create(pair.source, target, { progress: 'gtid', maxFileSize: 1000 });
    try {
      await pair.run(['CREATE DATABASE back', 'CREATE TABLE back.t (id INT PRIMARY KEY)']);
      for (let i = 0; i < 20; i++) await pair.run([`INSERT INTO back.t VALUES (${i})`]);
      await rig.catchUp();
      const [{ set }] = (await target.query('SELECT @@global.gtid_executed AS `set`')) as [{ set: string }];
      const uuid = set.split(':')[0]!;
      // As if restored from a backup that was taken after the first ten rows.
      await target.query('SET GLOBAL super_read_only = OFF');
      await target.query('SET sql_log_bin = 0; DELETE FROM back.t WHERE id >= 10; SET sql_log_bin = 1');
      await target.query(`RESET BINARY LOGS AND GTIDS; SET GLOBAL gtid_purged = '${uuid}:1-12'`);
      await rig.catchUp();
      await assertEqualServers(pair.source, target, { schemas: ['back'], gtid: true });
    } finally {
      await rig.remove();
      await target.stop();
    }
  });

  test('beyond what the relay log has: the log must be fetched again', async () => {
    const { startServer } = await import('../support/test-server.ts');
    const { ApplierRig } = await import('../support/applier-rig.ts');
    const target = await startServer({ flavour: 'mysql', version: '9.7', name: 'target' });
    const rig = await ApplierRig.create(pair.source, target, { progress: 'gtid', fromNow: true });
    try {
      await pair.run(['CREATE DATABASE IF NOT EXISTS later']);
      const error = await rig.refusal();
      expect(error).toMatchObject({ code: 'TARGET_WENT_BACK', action: 'resync' });
    } finally {
      await rig.remove();
      await target.stop();
    }
  });
});
