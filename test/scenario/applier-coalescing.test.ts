import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { assertEqualServers } from '../support/equality.ts';
import { ReplayPair } from '../support/replay-pair.ts';
import { SessionFaults } from '../support/session-faults.ts';
import type { TestServer } from '../support/test-server.ts';

const COALESCE = 20;

async function commits(server: TestServer): Promise<number> {
  const [row] = await server.query("SHOW GLOBAL STATUS LIKE 'Com_commit'");
  return Number(row?.Value);
}

describe.each([
  { flavour: 'mysql', version: '9.7', kind: 'gtid', sourceArgs: [] },
  { flavour: 'mysql', version: '9.7', kind: 'position', sourceArgs: ['--gtid-mode=OFF'] },
  { flavour: 'mariadb', version: '10.11', kind: 'mariadb', sourceArgs: [] },
] as const)('several transactions in one commit, $flavour $version by $kind', (options) => {
  let pair: ReplayPair;
  const { flavour, version, kind, sourceArgs } = options;
  beforeAll(async () => {
    pair = await ReplayPair.start({
      flavour,
      version,
      progress: ['table'],
      sourceArgs,
      rig: { coalesce: COALESCE, kind, workers: 4 },
    });
    await pair.run([
      'CREATE DATABASE shop',
      'CREATE TABLE shop.item (id INT PRIMARY KEY, stock INT NOT NULL, note VARCHAR(100), KEY (stock))',
      'CREATE TABLE shop.line (id INT AUTO_INCREMENT PRIMARY KEY, item INT, FOREIGN KEY (item) REFERENCES shop.item (id))',
      'CREATE TABLE shop.keyless (a INT, b VARCHAR(20))',
      'CREATE TABLE shop.uniq (id INT PRIMARY KEY, v INT, UNIQUE KEY (v))',
    ]);
    await pair.replay(['shop']);
  }, 300_000);
  afterAll(() => pair?.stop());

  /** Transactions that depend on each other in many ways: the same rows again and again, parents and children, swaps. */
  function entangled(from: number, count: number): string[] {
    return Array.from({ length: count }, (_, i) => {
      const n = from + i;
      return [
        `INSERT INTO shop.item VALUES (${n}, 1, 'new')`,
        `INSERT INTO shop.line (item) VALUES (${n})`,
        `UPDATE shop.item SET stock = stock + 1 WHERE id > ${n - 5}`,
        `INSERT INTO shop.keyless VALUES (${n % 7}, 'x'), (${n % 3}, NULL)`,
        `DELETE FROM shop.keyless WHERE a = ${n % 5} LIMIT 1`,
        `DELETE FROM shop.line WHERE item = ${n - 3}`,
        `DELETE FROM shop.item WHERE id = ${n - 3}`,
        `INSERT INTO shop.uniq VALUES (${n}, ${n})`,
        `UPDATE shop.uniq SET v = -v WHERE id BETWEEN ${n - 4} AND ${n}`,
      ];
    }).flat();
  }

  test('far behind, many source transactions share a commit and the tables are equal', async () => {
    const statements = entangled(1000, 60);
    await pair.run(statements);
    const { target } = pair.rigs[0]!;
    const before = await commits(target);
    await pair.replay(['shop']);
    const taken = (await commits(target)) - before;
    expect(taken).toBeGreaterThan(0);
    // Checkpoints commit as well, once a second.
    expect(taken).toBeLessThan(statements.length / 4);
    // Some change no row, and are not logged.
    expect(pair.rigs[0]!.counters.transactionsApplied).toBeGreaterThan(statements.length * 0.9);
  });

  test('rows that only a scan finds are changed twice, in neighbouring transactions and in one', async () => {
    await pair.run([
      "INSERT INTO shop.keyless VALUES (900, 'a'), (901, 'a')",
      "UPDATE shop.keyless SET b = 'b' WHERE a = 900",
      "UPDATE shop.keyless SET b = 'c' WHERE a = 900",
      'BEGIN',
      "UPDATE shop.keyless SET b = 'b' WHERE a = 901",
      "UPDATE shop.keyless SET b = 'c' WHERE a = 901",
      'COMMIT',
      "UPDATE shop.keyless SET b = 'd' WHERE a = 901",
    ]);
    await pair.replay(['shop']);
  });

  test('what the target makes of the time, it makes of each statement’s own', async () => {
    const { target } = pair.rigs[0]!;
    await pair.run(['CREATE DATABASE timed', 'CREATE TABLE timed.t (id INT PRIMARY KEY, v INT)']);
    await pair.replay(['shop']);
    await target.query(
      flavour === 'mysql'
        ? 'ALTER TABLE timed.t ADD COLUMN at_ TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP'
        : 'ALTER TABLE timed.t ADD SYSTEM VERSIONING',
    );
    const at = 1_700_000_000;
    await pair.run([
      `SET timestamp = ${at}`,
      'INSERT INTO timed.t VALUES (1, 0)',
      `SET timestamp = ${at + 7}`,
      'INSERT INTO timed.t VALUES (2, 0)',
      `SET timestamp = ${at + 20}`,
      'UPDATE timed.t SET v = 5 WHERE id = 1',
      `SET timestamp = ${at + 30}`,
      'UPDATE timed.t SET v = 6 WHERE id = 1',
      'SET timestamp = DEFAULT',
    ]);
    await pair.replay(['shop']);
    const rows =
      flavour === 'mysql'
        ? await target.query('SELECT id, v, UNIX_TIMESTAMP(at_) AS at_ FROM timed.t ORDER BY id')
        : await target.query(
            'SELECT id, v, FLOOR(UNIX_TIMESTAMP(ROW_START)) AS at_ FROM timed.t FOR SYSTEM_TIME ALL ORDER BY id, v',
          );
    const seen = rows.map(({ id, v, at_ }) => [Number(id), Number(v), Number(at_) - at]);
    const mysql = [
      [1, 6, 0],
      [2, 0, 7],
    ];
    const mariadb = [
      [1, 0, 0],
      [1, 5, 20],
      [1, 6, 30],
      [2, 0, 7],
    ];
    expect(seen).toEqual(flavour === 'mysql' ? mysql : mariadb);
  });

  test('caught up, every transaction is committed at once', async () => {
    const rig = pair.rigs[0]!;
    await rig.whileApplying(async (life) => {
      const before = rig.counters.transactionsApplied;
      for (let i = 0; i < 5; i++) {
        await pair.run([`INSERT INTO shop.keyless VALUES (${i}, 'single')`]);
        await rig.feed();
        await rig.untilCaughtUp(life);
      }
      expect(rig.counters.transactionsApplied - before).toBe(5);
    });
    await assertEqualServers(pair.source, rig.target, { schemas: ['shop'], gtid: false });
  });

  test('DDL and statements between rows keep their place', async () => {
    await pair.run([
      ...entangled(2000, 3),
      'ALTER TABLE shop.item ADD COLUMN extra INT DEFAULT 3',
      ...entangled(2100, 3).map((sql) =>
        sql.replace(
          /INSERT INTO shop\.item VALUES \((\d+), 1, 'new'\)/,
          "INSERT INTO shop.item VALUES ($1, 1, 'new', 9)",
        ),
      ),
      'ALTER TABLE shop.item DROP COLUMN extra',
      'TRUNCATE TABLE shop.keyless',
      ...entangled(2200, 3),
    ]);
    await pair.replay(['shop']);
  });

  test('one that cannot be applied is named alone, what stands before it is kept, and it goes on when mended', async () => {
    const rig = pair.rigs[0]!;
    await pair.run(['INSERT INTO shop.keyless VALUES (100, NULL)']);
    await rig.catchUp();
    await rig.target.query('INSERT INTO shop.uniq VALUES (9007, -9007)');
    await pair.run([
      ...Array.from({ length: 7 }, (_, i) => `INSERT INTO shop.uniq VALUES (${9000 + i}, ${-9000 - i})`),
      'INSERT INTO shop.uniq VALUES (9007, -9007)',
      'INSERT INTO shop.uniq VALUES (9008, -9008)',
    ]);
    const error = await rig.refusal();
    expect(error).toMatchObject({ code: 'APPLY_FAILED' });
    expect(error.facts.and_following).toBeUndefined();
    const there = await rig.target.query('SELECT id FROM shop.uniq WHERE id >= 9000 ORDER BY id');
    expect(there.map(({ id }) => id)).toEqual([9000, 9001, 9002, 9003, 9004, 9005, 9006, 9007]);
    await rig.target.query('DELETE FROM shop.uniq WHERE id = 9007');
    await pair.replay(['shop']);
  });

  describe('cut off', () => {
    let faults: SessionFaults;
    beforeEach(() => {
      faults = new SessionFaults();
    });
    afterEach(() => faults.restore());

    test.each(['answered', 'unanswered'] as const)(
      'at any point (%s), nothing is lost or doubled',
      async (fault) => {
        const rig = pair.rigs[0]!;
        const from = fault === 'answered' ? 3000 : 4000;
        let points = 0;
        // The sessions' own settings come first: of one without GTIDs, of four with them.
        for (let point = kind === 'position' ? 2 : 5; point < 60; point++) {
          await pair.run([
            ...entangled(from + point * 10, 2),
            ...Array.from({ length: 5 }, () => `INSERT INTO shop.keyless VALUES (${point}, 'again')`),
          ]);
          await rig.feed();
          faults.arm(point, fault);
          await rig.persist();
          if (!faults.fired) break;
          points += 1;
        }
        expect(points).toBeGreaterThan(fault === 'answered' ? 3 : 1);
        await assertEqualServers(pair.source, rig.target, { schemas: ['shop'], gtid: false });
      },
    );
  });
});
