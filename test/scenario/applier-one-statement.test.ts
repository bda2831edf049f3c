import type { Connection } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { SharedMemory } from '../../src/applier/statement-memory.ts';
import type { ApplierRig } from '../support/applier-rig.ts';
import { assertEqualServers, executedSet } from '../support/equality.ts';
import { ReplayPair } from '../support/replay-pair.ts';

/** Transactions of rows alone, which commit by themselves under their GTID (recorded-commit.ts). */
describe('a transaction that is one statement for the target', () => {
  let pair: ReplayPair;
  let rig: ApplierRig;
  let beside: Connection;
  beforeAll(async () => {
    pair = await ReplayPair.start({ flavour: 'mysql', version: '9.7', progress: ['gtid'] });
    rig = pair.rigs[0]!;
    await pair.run([
      'CREATE DATABASE shop',
      'CREATE TABLE shop.t (id INT PRIMARY KEY, v INT)',
      'CREATE TABLE shop.u (id INT PRIMARY KEY, v INT)',
      'CREATE TABLE shop.parent (id INT PRIMARY KEY)',
      'CREATE TABLE shop.child (id INT PRIMARY KEY, parent INT, FOREIGN KEY (parent) REFERENCES shop.parent (id))',
      'INSERT INTO shop.t VALUES (1, 0), (2, 0), (3, 0)',
      'INSERT INTO shop.u VALUES (1, 0)',
    ]);
    await rig.catchUp();
    beside = await rig.target.connect({ database: 'shop' });
    await beside.query('SET sql_log_bin = 0');
  });
  afterAll(() => pair.stop());

  const equal = (): Promise<unknown> =>
    assertEqualServers(pair.source, rig.target, { schemas: ['shop'], gtid: true });

  async function binaryLogOfTarget(): Promise<string[]> {
    const [{ File: file } = { File: '' }] = await rig.target.query('SHOW BINARY LOG STATUS');
    const rows = await rig.target.query(`SHOW BINLOG EVENTS IN '${String(file)}'`);
    return rows.map((row) => String(row.Event_type));
  }

  /** A row that is there already stops it; its GTID is not used up. */
  async function refused(statements: readonly string[]): Promise<void> {
    const before = await executedSet(rig.target);
    await pair.run(statements);
    expect(await rig.refusal()).toMatchObject({ code: 'APPLY_FAILED', facts: { errno: 1062 } });
    expect(await executedSet(rig.target)).toBe(before);
  }

  test('has its rows in one statement of the target’s binary log, and ends with the target’s own commit', async () => {
    const before = (await binaryLogOfTarget()).length;
    await pair.run([
      'USE shop',
      'BEGIN',
      'UPDATE t SET v = 1 WHERE id = 1',
      'INSERT INTO u VALUES (2, 0)',
      'DELETE FROM t WHERE id = 3',
      'UPDATE t SET v = 1 WHERE id = 2',
      'COMMIT',
    ]);
    await rig.catchUp();
    const events = (await binaryLogOfTarget()).slice(before);
    expect(events.filter((type) => type === 'Table_map')).toHaveLength(2);
    expect(events.filter((type) => type === 'Xid')).toHaveLength(1);
    expect(events[0]).toMatch(/^Gtid/);
    await equal();
  });

  test('commits its GTID when the target has its rows as they will be', async () => {
    await beside.query('UPDATE t SET v = 7 WHERE id IN (1, 2)');
    await pair.run(['USE shop', 'UPDATE t SET v = 7 WHERE id IN (1, 2)', 'INSERT INTO u VALUES (3, 0)']);
    await rig.catchUp();
    await equal();
  });

  test('commits its GTID when its table on the target has no transactions', async () => {
    await beside.query('ALTER TABLE u ENGINE = MyISAM');
    await pair.run([
      'USE shop',
      'BEGIN',
      'INSERT INTO u VALUES (4, 0)',
      'UPDATE u SET v = 1 WHERE id = 2',
      'COMMIT',
    ]);
    await rig.catchUp();
    expect(await executedSet(rig.target)).toBe(await executedSet(pair.source));
    await beside.query('ALTER TABLE u ENGINE = InnoDB');
    await equal();
  });

  test('commits its GTID when its table on the target keeps nothing', async () => {
    await beside.query('ALTER TABLE u ENGINE = BLACKHOLE');
    await pair.run(['USE shop', 'INSERT INTO u VALUES (6, 0)']);
    await rig.catchUp();
    expect(await executedSet(rig.target)).toBe(await executedSet(pair.source));
    await beside.query('DROP TABLE u');
    await beside.query('CREATE TABLE u (id INT PRIMARY KEY, v INT)');
    const rows = await pair.source.query('SELECT id, v FROM shop.u');
    for (const { id, v } of rows) await beside.query(`INSERT INTO u VALUES (${Number(id)}, ${Number(v)})`);
    await equal();
  });

  test('changes a row twice, also where only a scan finds it', async () => {
    await pair.run([
      'CREATE TABLE shop.k (a INT, n INT)',
      'CREATE TABLE shop.n (u INT UNIQUE, v INT)',
      'USE shop',
      'INSERT INTO k VALUES (1, 0), (1, 1), (2, 0)',
      'INSERT INTO n VALUES (9, 1), (2, 2)',
      'BEGIN',
      'UPDATE k SET n = n + 1 WHERE a = 2',
      'UPDATE k SET n = n + 1 WHERE a = 2',
      'UPDATE k SET n = n + 1 WHERE a = 1',
      'UPDATE k SET n = n + 1 WHERE a = 1 ORDER BY n LIMIT 1',
      'DELETE FROM k WHERE a = 1 LIMIT 1',
      'COMMIT',
      'BEGIN',
      'UPDATE n SET u = NULL WHERE u = 9',
      'UPDATE n SET u = 9 WHERE u = 2',
      'COMMIT',
    ]);
    await rig.catchUp();
    await equal();
  });

  test('too large for one statement gives memory back as it goes', async () => {
    await pair.run(['CREATE TABLE shop.large (id INT PRIMARY KEY AUTO_INCREMENT, v LONGBLOB)']);
    await rig.catchUp();
    const borrowed = vi.spyOn(SharedMemory.prototype, 'borrowText');
    const given = vi.spyOn(SharedMemory.prototype, 'giveTextBack');
    let most = 0;
    borrowed.mockImplementation((length) => {
      most = Math.max(most, borrowed.mock.calls.length - given.mock.calls.length);
      return Buffer.alloc(length);
    });
    try {
      await pair.run([
        'USE shop',
        'BEGIN',
        ...Array(40).fill("INSERT INTO large (v) VALUES (REPEAT('x', 1000000))"),
        'COMMIT',
      ]);
      await rig.catchUp();
    } finally {
      vi.restoreAllMocks();
    }
    // Of 40 MB, at most what is sent before the answer is waited for (BATCH_BYTES).
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(10);
    await equal();
  });

  test('whose last row fails keeps nothing and does not use up its GTID', async () => {
    await beside.query('INSERT INTO u VALUES (20, 999)');
    await refused([
      'USE shop',
      'BEGIN',
      'UPDATE t SET v = 20 WHERE id = 1',
      'INSERT INTO t VALUES (20, 0)',
      'INSERT INTO u VALUES (20, 0)',
      'COMMIT',
      'UPDATE t SET v = 21 WHERE id = 2',
    ]);
    expect(await rig.target.query('SELECT id FROM shop.t WHERE id = 20 OR v = 20')).toEqual([]);
    await beside.query('DELETE FROM u WHERE id = 20');
    await rig.catchUp();
    await equal();
  });

  test('and one that cannot be: its rows fill several statements', async () => {
    await beside.query("INSERT INTO large VALUES (1003, '')");
    const full = [1001, 1002].map((id) => `INSERT INTO large VALUES (${id}, REPEAT('x', 600000))`);
    await refused(['USE shop', 'BEGIN', ...full, "INSERT INTO large VALUES (1003, 'x')", 'COMMIT']);
    expect(await rig.target.query('SELECT id FROM shop.large WHERE id IN (1001, 1002)')).toEqual([]);
    await beside.query('DELETE FROM large WHERE id = 1003');
    await rig.catchUp();
    await equal();
  });

  test('and one that cannot be: its sessions checked foreign keys for a part of it', async () => {
    await pair.run([
      'USE shop',
      'BEGIN',
      'INSERT INTO parent VALUES (1)',
      'SET foreign_key_checks = 0',
      'INSERT INTO child VALUES (1, 1), (2, 77)',
      'SET foreign_key_checks = 1',
      'INSERT INTO parent VALUES (2)',
      'COMMIT',
    ]);
    await rig.catchUp();
    await equal();
    await beside.query('INSERT INTO parent VALUES (4)');
    await refused([
      'USE shop',
      'BEGIN',
      'INSERT INTO parent VALUES (3)',
      'SET foreign_key_checks = 0',
      'INSERT INTO child VALUES (3, 78)',
      'SET foreign_key_checks = 1',
      'INSERT INTO parent VALUES (4)',
      'COMMIT',
    ]);
    expect(await rig.target.query('SELECT id FROM shop.parent WHERE id = 3')).toEqual([]);
    await beside.query('DELETE FROM parent WHERE id = 4');
    await rig.catchUp();
    await equal();
  });

  test('and one that cannot be: a statement stands before its rows', async () => {
    const mixed = (id: number): string[] => [
      'BEGIN',
      `UPDATE t SET v = ${id} WHERE id = 1`,
      `INSERT INTO t VALUES (${id}, LENGTH(UUID()))`,
      'COMMIT',
    ];
    await pair.run([
      'USE shop',
      "SET SESSION binlog_format = 'MIXED'",
      ...mixed(500),
      'BEGIN',
      'SAVEPOINT a',
      'INSERT INTO u VALUES (500, LENGTH(UUID()))',
      'COMMIT',
    ]);
    await rig.catchUp();
    await equal();
    await beside.query('INSERT INTO t VALUES (501, 999)');
    await refused(['USE shop', "SET SESSION binlog_format = 'MIXED'", ...mixed(501)]);
    expect(await rig.target.query('SELECT v FROM shop.t WHERE id = 1')).toEqual([{ v: 500 }]);
    await beside.query('DELETE FROM t WHERE id = 501');
    await rig.catchUp();
    await equal();
  });

  test('stands between statements, DDL and branches of XA in the same session', async () => {
    const actions = Array.from({ length: 6 }, (_, i) => [
      `INSERT INTO t VALUES (${1000 + i}, 0)`,
      `ALTER TABLE u COMMENT = 'u${i}'`,
      'BEGIN',
      `INSERT INTO u VALUES (${1000 + i}, 0)`,
      `UPDATE t SET v = v + 1 WHERE id = ${1000 + i}`,
      'COMMIT',
      'SET SESSION binlog_format = STATEMENT',
      `UPDATE t SET v = v + 10 WHERE id = ${1000 + i}`,
      'SET SESSION binlog_format = ROW',
      `XA START 'x${i}'`,
      `INSERT INTO t VALUES (${2000 + i}, 0)`,
      `XA END 'x${i}'`,
      `XA PREPARE 'x${i}'`,
      `XA COMMIT 'x${i}'`,
    ]);
    await pair.run(['USE shop', ...actions.flat()]);
    await rig.catchUp({ workers: 1 });
    await equal();
  });
});
