import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ReplayPair } from '../support/replay-pair.ts';
import { repositoryRoot } from '../support/repository.ts';

function fixtureSql(name: string): string {
  return readFileSync(join(repositoryRoot, 'test', 'fixtures', 'mariadb-10.11', `${name}.sql`), 'utf8');
}

describe.each(['10.11', '11.8'])('MariaDB %s on MariaDB', (version) => {
  let pair: ReplayPair;
  beforeAll(async () => {
    pair = await ReplayPair.start({ flavour: 'mariadb', version, progress: ['table'] });
  });
  afterAll(() => pair.stop());

  test('every column type of its own, with every row image', async () => {
    // Temporals of before 10.1 are a setting of the server that creates the table, not of the statement.
    const statements = fixtureSql('rows-types')
      .split('\n')
      .filter((line) => !/old_temporals|mysql56_temporal_format/.test(line));
    await pair.run([statements.join('\n')]);
    await pair.replay(['types']);
  });

  test('a statement that finds nothing draws its random numbers once, and what it calls acts once', async () => {
    const draws = Array.from({ length: 100 }, () => 'DELETE FROM drawn WHERE RAND() < 0.004');
    await pair.run([
      'CREATE DATABASE finds',
      'USE finds',
      'CREATE TABLE drawn (id INT PRIMARY KEY)',
      'INSERT INTO drawn SELECT seq FROM seq_1_to_100',
      'CREATE TABLE called (with_id INT PRIMARY KEY)',
      'CREATE FUNCTION call_with(id INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO called VALUES (id); RETURN 0; END',
      'SET SESSION binlog_format = STATEMENT',
      ...draws,
      'DELETE FROM drawn WHERE call_with(id) = 1',
      'SET @of = 0',
      'DELETE FROM drawn WHERE (@of := @of + 1) < 0',
      'BEGIN',
      'DELETE FROM called ORDER BY with_id LIMIT 1 RETURNING with_id',
      'COMMIT',
      'SET SESSION binlog_format = ROW',
    ]);
    await pair.replay(['finds']);
  });

  test('transactions of every kind: two engines, savepoints, domains, XA, a two-phase ALTER, a sequence', async () => {
    await pair.run([
      'CREATE DATABASE shop CHARACTER SET utf8mb4',
      'USE shop',
      'CREATE TABLE item (id INT PRIMARY KEY, name VARCHAR(30), price DECIMAL(9,2))',
      'CREATE TABLE log_line (id INT PRIMARY KEY, line VARCHAR(30)) ENGINE=MyISAM',
      'BEGIN',
      "INSERT INTO item VALUES (1, 'anvil', 99.50), (2, 'bolt', 0.10)",
      'SAVEPOINT s',
      'UPDATE item SET price = 100 WHERE id = 1',
      'ROLLBACK TO s',
      'DELETE FROM item WHERE id = 2',
      'COMMIT',
      "INSERT INTO log_line VALUES (1, 'alone')",
      'CREATE TABLE item_copy AS SELECT * FROM item',
      'CREATE OR REPLACE TABLE item_copy AS SELECT id FROM item',
      'CREATE OR REPLACE TABLE item_copy (a INT)',
      'SET gtid_domain_id = 5',
      "INSERT INTO item VALUES (7, 'domain five', 1)",
      'SET gtid_domain_id = 0',
      "XA START 'first', 'branch', 7",
      "INSERT INTO item VALUES (20, 'prepared', 1)",
      "XA END 'first', 'branch', 7",
      "XA PREPARE 'first', 'branch', 7",
      "XA COMMIT 'first', 'branch', 7",
      "XA START X'00ff27'",
      "INSERT INTO item VALUES (22, 'rolled back', 1)",
      "XA END X'00ff27'",
      "XA PREPARE X'00ff27'",
      "XA ROLLBACK X'00ff27'",
      "XA START 'one'",
      "INSERT INTO item VALUES (23, 'one phase', 1)",
      "XA END 'one'",
      "XA COMMIT 'one' ONE PHASE",
      'SET binlog_alter_two_phase = 1',
      'ALTER TABLE item ADD COLUMN weight INT',
      'SET binlog_alter_two_phase = 0',
      'CREATE SEQUENCE numbers START WITH 5 CACHE 3',
      'SELECT NEXTVAL(numbers)',
      'CREATE TABLE numbered (id INT PRIMARY KEY DEFAULT NEXTVAL(numbers), v INT)',
      'INSERT INTO numbered (v) VALUES (1), (2), (3), (4)',
      'SELECT SETVAL(numbers, 1000)',
      'ALTER SEQUENCE numbers INCREMENT BY 7',
      'RENAME TABLE numbered TO renamed',
    ]);
    await pair.replay(['shop']);
    const [{ n: next }] = (await pair.source.query(
      'SELECT next_not_cached_value AS n FROM shop.numbers',
    )) as [{ n: number }];
    expect(await pair.rigs[0]!.target.query('SELECT next_not_cached_value AS n FROM shop.numbers')).toEqual([
      { n: next },
    ]);
  });

  test('a two-phase ALTER that fails or is rolled back leaves nothing behind', async () => {
    await pair.run([
      'CREATE DATABASE phases',
      'CREATE TABLE phases.t (id INT PRIMARY KEY, v INT)',
      'INSERT INTO phases.t VALUES (1, 1), (2, 1)',
    ]);
    const session = await pair.source.connect({ database: 'phases' });
    await session.query('SET binlog_alter_two_phase = 1');
    await expect(session.query('ALTER TABLE t ADD UNIQUE KEY (v)')).rejects.toThrow(/Duplicate/);
    await session.query('ALTER TABLE t ADD COLUMN w INT');
    await session.query('INSERT INTO t VALUES (3, 3, 3)');
    await session.end();
    await pair.replay(['phases']);
  });

  test('compressed events', async () => {
    await pair.source.query('SET GLOBAL log_bin_compress = ON, log_bin_compress_min_len = 10');
    try {
      await pair.run([
        'CREATE DATABASE packed',
        'CREATE TABLE packed.t (id INT PRIMARY KEY AUTO_INCREMENT, b LONGTEXT)',
        "INSERT INTO packed.t (b) VALUES (REPEAT('one', 100)), (REPEAT('two', 100))",
        "UPDATE packed.t SET b = CONCAT(b, REPEAT('x', 100000))",
        'DELETE FROM packed.t WHERE id = 1',
        "SET SESSION binlog_format = 'STATEMENT'",
        "INSERT INTO packed.t (b) VALUES ('a statement, compressed as well')",
      ]);
    } finally {
      await pair.source.query('SET GLOBAL log_bin_compress = OFF');
    }
    await pair.replay(['packed']);
  });

  test('statements, their variables and their sessions', async () => {
    await pair.run([
      'CREATE DATABASE statements CHARACTER SET utf8mb4',
      'USE statements',
      'CREATE TABLE counted (id INT AUTO_INCREMENT PRIMARY KEY, a DOUBLE, b VARCHAR(90), h VARCHAR(200))',
      "SET binlog_format = 'STATEMENT'",
      "INSERT INTO counted (a, b) VALUES (1, 'insert id')",
      "INSERT INTO counted (a, b) VALUES (LAST_INSERT_ID(), 'last insert id')",
      'SET rand_seed1 = 12345, rand_seed2 = 67890',
      "INSERT INTO counted (a, b) VALUES (RAND(), 'rand')",
      "SET @text = _utf8mb4'käse', @whole = -5, @real = 1.5e0, @exact = 12.345, @nothing = NULL, @big = CAST(18446744073709551615 AS UNSIGNED), @größe = 'groß', @bin = x'00ff'",
      'INSERT INTO counted (a, b, h) VALUES (@whole, @text, COLLATION(@text))',
      "INSERT INTO counted (a, b, h) VALUES (@big, 'unsigned', CHARSET(@bin))",
      'INSERT INTO counted (a, b, h) VALUES (@real + @exact, @nothing, @größe)',
      "SET time_zone = '+02:00', lc_time_names = 'de_DE', timestamp = 1700000000.123456",
      'SET auto_increment_increment = 3, auto_increment_offset = 2, foreign_key_checks = 0, check_constraint_checks = 0',
      "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,ORACLE'",
      'SET NAMES latin1',
      `INSERT INTO counted (a, b) VALUES (1, CONCAT(NOW(6), 'x\\y', DATE_FORMAT('2026-03-01', '%M')))`,
      'CREATE TABLE "quoted" ("a" INT PRIMARY KEY, b VARCHAR2(10))',
      'SET sql_mode = DEFAULT, timestamp = DEFAULT, time_zone = DEFAULT, check_constraint_checks = 1',
      'INSERT INTO counted (a, b) VALUES (2, CONCAT(YEAR(NOW()), @@lc_time_names))',
      'SET NAMES utf8mb4 COLLATE utf8mb4_unicode_ci',
      "CREATE TABLE collated (a VARCHAR(10) DEFAULT 'ü' PRIMARY KEY, CONSTRAINT c CHECK (a <> 'x'))",
    ]);
    await pair.replay(['statements']);
  });

  test('DDL, views, routines, triggers, events, packages, roles and accounts', async () => {
    await pair.run(
      [
        "CREATE USER 'owner'@'%' IDENTIFIED BY 'secret'",
        "GRANT ALL ON *.* TO 'owner'@'%' WITH GRANT OPTION",
        'CREATE DATABASE objects',
        'USE objects',
        'CREATE TABLE t (id INT PRIMARY KEY, v INT, w INT AS (v + 1) VIRTUAL, x INT AS (v * 2) STORED, y INT INVISIBLE DEFAULT 3)',
        'CREATE TABLE log (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(60))',
        'CREATE TRIGGER ti AFTER INSERT ON t FOR EACH ROW INSERT INTO log (what) VALUES (NEW.id)',
        'CREATE VIEW v AS SELECT id FROM t',
        'CREATE OR REPLACE VIEW v AS SELECT id, v FROM t',
        'CREATE PROCEDURE p (n INT) BEGIN INSERT INTO t (id, v) VALUES (n, n); UPDATE t SET v = 0 WHERE id = n; END',
        'CREATE FUNCTION f (a INT) RETURNS INT DETERMINISTIC RETURN a + 1',
        'CALL p(1)',
        'CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1',
        'CREATE INDEX IF NOT EXISTS i ON t (v)',
        'ALTER TABLE t ADD COLUMN IF NOT EXISTS z VARCHAR(10) FIRST',
        'CREATE TABLE partitioned (a INT) PARTITION BY HASH (a) PARTITIONS 3',
        'INSERT INTO partitioned VALUES (1), (2), (3), (4)',
        'CREATE TABLE gone (a INT)',
        'DROP TABLE gone, missing_',
      ].slice(0, -1),
    );
    await pair.run([
      'DROP TABLE IF EXISTS objects.gone, objects.missing_',
      'CREATE ROLE team',
      'GRANT SELECT ON objects.* TO team',
      'GRANT team TO owner WITH ADMIN OPTION',
    ]);
    await pair.run(
      [
        'USE objects',
        "ALTER EVENT e COMMENT 'by the owner'",
        'CREATE ROLE of_owner',
        'GRANT team TO CURRENT_USER',
        'CREATE DEFINER=CURRENT_USER PROCEDURE mine() SELECT CURRENT_USER()',
      ],
      { user: 'owner', password: 'secret' },
    );
    await pair.replay(['objects']);
    const roles = 'SELECT * FROM mysql.roles_mapping ORDER BY 1, 2, 3';
    expect(await pair.rigs[0]!.target.query(roles)).toEqual(await pair.source.query(roles));
  });

  test('a statement that failed on the source fails on the target in the same way', async () => {
    await pair.run([
      'CREATE DATABASE failing',
      'CREATE TABLE failing.t (id INT PRIMARY KEY) ENGINE=MyISAM',
      'CREATE TABLE failing.there (a INT)',
    ]);
    const session = await pair.source.connect({ database: 'failing' });
    await session.query("SET SESSION binlog_format = 'STATEMENT'");
    await session.query('INSERT INTO t VALUES (5)');
    await expect(session.query('INSERT INTO t VALUES (1), (2), (5), (6)')).rejects.toThrow(/Duplicate/);
    await expect(session.query('DROP TABLE there, not_there')).rejects.toThrow(/Unknown table/);
    await session.end();
    await pair.run(['INSERT INTO failing.t VALUES (7)']);
    await pair.replay(['failing']);
  });

  test('transactions that were committed together run together, and none is lost or overtakes', async () => {
    await pair.run([
      'CREATE DATABASE together',
      'CREATE TABLE together.t (id INT PRIMARY KEY, v INT)',
      'CREATE TABLE together.c (id INT PRIMARY KEY, n INT)',
      'INSERT INTO together.c VALUES (1, 0)',
      'SET GLOBAL binlog_commit_wait_count = 6, binlog_commit_wait_usec = 20000',
    ]);
    await Promise.all(
      [1, 2, 3, 4, 5, 6].map((client) =>
        pair.run(
          Array.from({ length: 30 }, (_, i) =>
            i % 7 === 0
              ? 'UPDATE together.c SET n = n + 1'
              : `INSERT INTO together.t VALUES (${client * 1000 + i}, ${i})`,
          ),
        ),
      ),
    );
    await pair.run(['SET GLOBAL binlog_commit_wait_count = 0']);
    await pair.replay(['together']);
  });

  test('rows of system-versioned tables arrive with their history, or the applier stops', async () => {
    await pair.run([
      'CREATE DATABASE versioned',
      'USE versioned',
      'CREATE TABLE t (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING',
      'INSERT INTO t VALUES (1, 1), (2, 2)',
      'UPDATE t SET v = 10 WHERE id = 1',
      'DELETE FROM t WHERE id = 2',
    ]);
    const [rig] = pair.rigs;
    const history =
      'SELECT id, v, ROW_START, ROW_END FROM versioned.t FOR SYSTEM_TIME ALL ORDER BY 1, 2, 3, 4';
    try {
      await rig!.catchUp();
    } catch (error) {
      expect(error).toMatchObject({ code: 'UNSUPPORTED' });
      return;
    }
    expect(await rig!.target.query(history)).toEqual(await pair.source.query(history));
  });
});
