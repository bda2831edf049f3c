import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRawSession } from '../support/raw-session.ts';
import { ReplayPair } from '../support/replay-pair.ts';

/** Bytes as a client of that charset sends them. */
const GBK = { 表: Buffer.from([0xb1, 0xed]), 名: Buffer.from([0xc3, 0xfb]), 誠: Buffer.from([0xd5, 0x5c]) };
const SJIS = { 表: Buffer.from([0x95, 0x5c]), ソ: Buffer.from([0x83, 0x5c]) };

describe('statements of MySQL 9.7 on MySQL 9.7, with progress gtid and with progress table', () => {
  let pair: ReplayPair;
  beforeAll(async () => {
    pair = await ReplayPair.start({ flavour: 'mysql', version: '9.7', progress: ['gtid', 'table'] });
  });
  afterAll(() => pair.stop());

  test('DDL of every kind', async () => {
    await pair.run([
      'CREATE DATABASE ddl CHARACTER SET latin1',
      'USE ddl',
      'CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a VARCHAR(20), b INT, KEY (b))',
      'CREATE TABLE like_t LIKE t',
      "INSERT INTO t (a, b) VALUES ('x', 1), ('y', 2)",
      'ALTER TABLE t ADD COLUMN c INT DEFAULT 7 FIRST, ADD UNIQUE KEY (a), ALGORITHM=INPLACE',
      'ALTER TABLE t ADD COLUMN now_ DATETIME(6) DEFAULT CURRENT_TIMESTAMP(6)',
      "ALTER TABLE t RENAME COLUMN b TO b2, COMMENT = 'naïve'",
      'CREATE INDEX i ON t (c)',
      'DROP INDEX i ON t',
      'RENAME TABLE like_t TO t2, t TO t1',
      'ALTER TABLE t1 RENAME t',
      "INSERT INTO t (a, b2) VALUES ('z', 3)",
      'TRUNCATE TABLE t2',
      'DROP TABLE t2',
      'CREATE TABLE IF NOT EXISTS t (other INT)',
      'DROP TABLE IF EXISTS nothing, nowhere.nothing',
      'CREATE TABLE one (a INT)',
      'CREATE TABLE two (a INT)',
      'DROP TABLE one, two',
      'ALTER DATABASE ddl CHARACTER SET utf8mb4',
      'CREATE TABLE partitioned (a INT, b INT) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))',
      'INSERT INTO partitioned VALUES (1, 1), (11, 11)',
      'ALTER TABLE partitioned ADD PARTITION (PARTITION p2 VALUES LESS THAN (30))',
      'INSERT INTO partitioned VALUES (25, 25)',
      'UPDATE partitioned SET a = a + 10 WHERE a < 20',
      'ALTER TABLE partitioned TRUNCATE PARTITION p1',
      'CREATE TABLE single (a INT, b INT)',
      'INSERT INTO single VALUES (5, 5)',
      'ALTER TABLE partitioned EXCHANGE PARTITION p0 WITH TABLE single',
      'ALTER TABLE partitioned REORGANIZE PARTITION p0, p1 INTO (PARTITION p01 VALUES LESS THAN (20))',
      'ALTER TABLE partitioned DROP PARTITION p2',
      'ANALYZE TABLE partitioned',
      'OPTIMIZE TABLE t',
      'ALTER TABLE t AUTO_INCREMENT = 1000',
      "INSERT INTO t (a) VALUES ('auto')",
      'CREATE DATABASE gone',
      'CREATE TABLE gone.t (a INT)',
      'DROP DATABASE gone',
    ]);
    await pair.replay(['ddl']);
  });

  test('views, triggers, routines and events, and no trigger fires twice', async () => {
    await pair.run([
      "CREATE USER IF NOT EXISTS 'owner'@'%' IDENTIFIED BY 'secret'",
      "GRANT ALL ON *.* TO 'owner'@'%'",
      'CREATE DATABASE objects',
      'USE objects',
      'CREATE TABLE t (id INT PRIMARY KEY, v INT)',
      'CREATE TABLE log (id INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(60))',
      'CREATE VIEW v AS SELECT id, v * 2 AS doubled FROM t',
      "CREATE DEFINER='nobody'@'localhost' SQL SECURITY INVOKER VIEW foreign_view AS SELECT 1 AS one",
      "CREATE TRIGGER ti AFTER INSERT ON t FOR EACH ROW INSERT INTO log (what) VALUES (CONCAT('i', NEW.id))",
      'CREATE TRIGGER tu BEFORE UPDATE ON t FOR EACH ROW PRECEDES ti SET NEW.v = NEW.v + 1'.replace(
        ' PRECEDES ti',
        '',
      ),
      'CREATE PROCEDURE p (IN n INT) BEGIN INSERT INTO t VALUES (n, n); UPDATE t SET v = 0 WHERE id = n; END',
      'CREATE FUNCTION f (a INT) RETURNS INT DETERMINISTIC RETURN a + 1',
      'CALL p(1)',
      'INSERT INTO t SELECT f(1), f(2)',
      "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO INSERT INTO log (what) VALUES ('never')",
      "ALTER EVENT e COMMENT 'altered'",
      "CREATE EVENT e2 ON SCHEDULE EVERY 2 HOUR STARTS '2030-01-01 00:00:00' DISABLE DO SET @x = 1",
      'DROP EVENT e2',
      "ALTER PROCEDURE p COMMENT 'c'",
      'ALTER VIEW v AS SELECT id FROM t',
      'DROP TRIGGER tu',
      'UPDATE t SET v = 100',
      'CREATE SQL SECURITY INVOKER VIEW `odd name` AS SELECT id AS `a``b` FROM t',
    ]);
    await pair.run(
      [
        'USE objects',
        'CREATE EVENT mine ON SCHEDULE EVERY 1 DAY DISABLE DO SET @x = 1',
        "ALTER EVENT e COMMENT 'by the owner'",
      ],
      { user: 'owner', password: 'secret' },
    );
    await pair.replay(['objects']);
  });

  test('CREATE TABLE … SELECT, with rows, without, inside of other names', async () => {
    await pair.run([
      'CREATE DATABASE ctas',
      'USE ctas',
      'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))',
      "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
      'CREATE TABLE copy_ SELECT * FROM t',
      'CREATE TABLE empty_ AS SELECT * FROM t WHERE id > 5',
      'CREATE TABLE IF NOT EXISTS copy_ AS SELECT * FROM t',
      'CREATE TABLE `START TRANSACTION` (n INT DEFAULT 3) SELECT v FROM t',
      'CREATE TABLE nothing AS SELECT 1 AS one, NOW(6) AS at_',
      'UPDATE copy_ SET v = id',
    ]);
    await pair.replay(['ctas']);
  });

  test('every session variable that travels with a statement', async () => {
    await pair.run([
      'CREATE DATABASE context',
      'USE context',
      "SET SESSION binlog_format = 'STATEMENT'",
      'SET foreign_key_checks = 0, unique_checks = 0, sql_auto_is_null = 1',
      "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
      'SET auto_increment_increment = 3, auto_increment_offset = 2',
      'SET NAMES latin1',
      'SET collation_server = latin1_german1_ci',
      "SET time_zone = '+02:00', lc_time_names = 'de_DE'",
      'SET timestamp = 1700000000.123456',
      'SET default_collation_for_utf8mb4 = utf8mb4_general_ci',
      'SET sql_require_primary_key = 1, default_table_encryption = 0, explicit_defaults_for_timestamp = 0',
      'SET enable_cascade_triggers = 1',
      'CREATE TABLE "c" (id INT AUTO_INCREMENT PRIMARY KEY, a TIMESTAMP(6), b VARCHAR(60))',
      `INSERT INTO "c" (a, b) VALUES (NOW(6), CONCAT('x\\y', DATE_FORMAT('2026-03-01', '%M')))`,
      `INSERT INTO "c" (b) VALUES ('z'), ('\\')`,
      'CREATE TABLE d (id INT PRIMARY KEY, s VARCHAR(10) CHARACTER SET utf8mb4, ts TIMESTAMP NOT NULL)',
      'CREATE DATABASE context2',
      'CREATE TABLE context2.e (id INT PRIMARY KEY, s VARCHAR(10))',
      'SET sql_require_primary_key = 0, NAMES utf8mb4',
      'CREATE TABLE keyless (a INT)',
      'SET SESSION sql_mode = DEFAULT, auto_increment_increment = 1, auto_increment_offset = 1, time_zone = DEFAULT, lc_time_names = DEFAULT, timestamp = DEFAULT',
      'SET foreign_key_checks = 1, unique_checks = 1, sql_auto_is_null = 0',
      `INSERT INTO c (a, b) VALUES (NOW(6), CONCAT('x\\\\y', DATE_FORMAT('2026-03-01', '%M')))`,
    ]);
    await pair.replay(['context', 'context2']);
  });

  test('INSERT_ID, LAST_INSERT_ID, RAND and user variables of every type', async () => {
    await pair.run([
      'CREATE DATABASE variables',
      'USE variables',
      'CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a DOUBLE, b VARCHAR(90), c DECIMAL(40,10), h VARCHAR(200))',
      "SET SESSION binlog_format = 'STATEMENT'",
      "INSERT INTO t (a, b) VALUES (1, 'insert id')",
      "INSERT INTO t (a, b) VALUES (LAST_INSERT_ID(), 'last insert id')",
      'SET rand_seed1 = 12345, rand_seed2 = 67890',
      "INSERT INTO t (a, b) VALUES (RAND(), 'rand'), (RAND(), 'rand')",
      "SET @text = _utf8mb4'käse', @latin = _latin1'caf\\xe9', @whole = -5, @real = 1.5e0, @tiny = 4.9e-324, @huge = -1.7976931348623157e308",
      'SET @exact = 12.3450, @negative = -99999999999999999999.0000000001, @nothing = NULL, @big = CAST(18446744073709551615 AS UNSIGNED), @small = -9223372036854775808',
      "SET @bin = x'00ff27', @empty = '', @`odd ``name` = 'odd', @zero = 0, @none = 0.0",
      'INSERT INTO t (a, b, h) VALUES (@whole, @text, HEX(@text))',
      'INSERT INTO t (a, b, h) VALUES (0, @latin, CONCAT(HEX(@latin), CHARSET(@latin), COLLATION(@latin)))',
      'INSERT INTO t (a, c, b) VALUES (@real + @exact, @exact, @nothing)',
      'INSERT INTO t (a, c, b) VALUES (@tiny, @negative, CONCAT(@exact, @none))',
      "INSERT INTO t (a, b, h) VALUES (@huge, @big, HEX(@bin)), (@small, @empty, CHARSET(@empty)), (@zero, @`odd ``name`, '')",
      'UPDATE t SET h = @big + 0 WHERE id = 1',
    ]);
    await pair.replay(['variables']);
  });

  test('user variables whose names are not ASCII, from clients of several charsets', async () => {
    await pair.run([
      'CREATE DATABASE named',
      'USE named',
      'CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, b VARCHAR(90) CHARACTER SET utf8mb4)',
      "SET SESSION binlog_format = 'STATEMENT'",
      "SET @größe = 'groß'",
      'INSERT INTO t (b) VALUES (@größe)',
    ]);
    const session = await openRawSession(pair.source);
    await session.sql('USE named');
    await session.sql("SET SESSION binlog_format = 'STATEMENT'");
    await session.sql('SET NAMES latin1');
    await session.sql(Buffer.from("SET @`größe` = 'groß'", 'latin1'));
    await session.sql(Buffer.from('INSERT INTO t (b) VALUES (@`größe`)', 'latin1'));
    session.close();
    await pair.replay(['named']);
  });

  test('clients of gbk, sjis and latin1, with names and values that end in a backslash byte', async () => {
    await pair.run(['CREATE DATABASE charsets CHARACTER SET utf8mb4']);
    for (const [charset, name, value] of [
      ['gbk', GBK.表, GBK.誠],
      ['sjis', SJIS.表, SJIS.ソ],
      ['latin1', Buffer.from('größe', 'latin1'), Buffer.from('café', 'latin1')],
    ] as const) {
      const session = await openRawSession(pair.source);
      const run = session.sql;
      await run('USE charsets');
      await run(`SET NAMES ${charset}`);
      await run("SET SESSION binlog_format = 'STATEMENT'");
      await run(
        'CREATE TABLE `',
        name,
        `_${charset}\` (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(20) DEFAULT '`,
        value,
        "', w VARCHAR(20)) COMMENT='",
        value,
        "'",
      );
      await run('INSERT INTO `', name, `_${charset}\` (w) VALUES ('`, value, "')");
      await run("SET @v = '", value, "'");
      await run('INSERT INTO `', name, `_${charset}\` (w) VALUES (@v)`);
      await run("SET SESSION binlog_format = 'ROW'");
      await run('CREATE TABLE `copy_', name, `_${charset}\` AS SELECT * FROM \``, name, `_${charset}\``);
      await run(`CREATE VIEW v_${charset} AS SELECT id FROM \``, name, `_${charset}\``);
      await run('CREATE VIEW `v_', name, `_${charset}\` AS SELECT 1 AS one`);
      await run(`CREATE PROCEDURE p_${charset}() SELECT COUNT(*) FROM \``, name, `_${charset}\``);
      await run('CREATE PROCEDURE `p_', name, `_${charset}\`() SELECT 1`);
      await run(`ALTER TABLE \``, name, `_${charset}\` ADD COLUMN \``, value, "` INT COMMENT '", value, "'");
      await run('RENAME TABLE `copy_', name, `_${charset}\` TO \`kept_`, name, `_${charset}\``);
      await run('CREATE TABLE `gone_', name, `_${charset}\` (a INT)`);
      await run('DROP TABLE `gone_', name, `_${charset}\``);
      session.close();
    }
    await pair.replay(['charsets']);
  });

  test('clients whose literals are in a wide character set, rows behind their statements', async () => {
    await pair.run([
      'CREATE DATABASE wide CHARACTER SET utf8mb4',
      'USE wide',
      'SET NAMES utf8mb4',
      "SET time_zone = '+02:00'",
      'SET collation_connection = utf16_general_ci',
      "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20) DEFAULT 'né')",
      "INSERT INTO t (v) VALUES ('grün')",
      'SET SESSION binlog_format = STATEMENT',
      "INSERT INTO t (v) VALUES (CONCAT('ü', 'ber'))",
      'SET SESSION binlog_format = ROW',
      "INSERT INTO t (v) VALUES ('später')",
      "ALTER TABLE t COMMENT 'groß'",
      "UPDATE t SET v = CONCAT(v, '!')",
    ]);
    await pair.replay(['wide']);
  });

  test('unusual names of databases, tables and columns', async () => {
    await pair.run([
      'CREATE DATABASE `a``b "c\'d`',
      'CREATE TABLE `a``b "c\'d`.`t ``;--` (`select` INT PRIMARY KEY, `x``y` INT)',
      'INSERT INTO `a``b "c\'d`.`t ``;--` VALUES (1, 1)',
      'CREATE DATABASE `größe 表 и`',
      'USE `größe 表 и`',
      'CREATE TABLE `таблица` (`колонка` INT PRIMARY KEY)',
      'INSERT INTO `таблица` VALUES (1)',
      "SET NAMES latin1, SESSION binlog_format = 'STATEMENT'",
      'CREATE TABLE plain (a INT PRIMARY KEY)',
      'INSERT INTO plain VALUES (1)',
    ]);
    await pair.replay(['a`b "c\'d', 'größe 表 и']);
  });

  test('creating and dropping the database that is the default one', async () => {
    await pair.run([
      'CREATE DATABASE here',
      'USE here',
      'CREATE TABLE t (a INT)',
      'DROP DATABASE here',
      'CREATE DATABASE here CHARACTER SET latin1',
      'CREATE TABLE here.t (a VARCHAR(10))',
      'USE here',
      "INSERT INTO t VALUES ('x')",
      'CREATE DATABASE elsewhere',
      'DROP DATABASE here',
      'CREATE TABLE elsewhere.t (a INT)',
      'CREATE DATABASE here',
    ]);
    const other = await pair.source.connect({ database: 'elsewhere' });
    await pair.run(['DROP DATABASE elsewhere', 'CREATE DATABASE nowhere']);
    // The session's default database is gone.
    await other.query('CREATE TABLE nowhere.u (a INT)');
    await other.end();
    await pair.replay(['here', 'nowhere']);
  });

  test('a statement that failed on the source fails on the target in the same way', async () => {
    await pair.run([
      'CREATE DATABASE failing',
      'USE failing',
      'CREATE TABLE t (id INT PRIMARY KEY) ENGINE=MyISAM',
      "SET SESSION binlog_format = 'STATEMENT'",
      'INSERT INTO t VALUES (5)',
    ]);
    const connection = await pair.source.connect({ database: 'failing' });
    await connection.query("SET SESSION binlog_format = 'STATEMENT'");
    await expect(connection.query('INSERT INTO t VALUES (1), (2), (5), (6)')).rejects.toThrow(/Duplicate/);
    await connection.end();
    await pair.run(['INSERT INTO failing.t VALUES (7)']);
    await pair.replay(['failing']);
  });

  test('accounts, roles and grants', async () => {
    const names = "'ann'@'%', 'bob'@'localhost', 'team'@'%'";
    await pair.run([
      "CREATE USER 'ann'@'%' IDENTIFIED BY 'geheim', 'bob'@'localhost' IDENTIFIED BY 'x' REQUIRE SSL PASSWORD EXPIRE NEVER",
      "CREATE ROLE 'team'",
      "GRANT SELECT, INSERT ON *.* TO 'ann'@'%'",
      "GRANT team TO 'ann'@'%'",
      "ALTER USER 'bob'@'localhost' IDENTIFIED BY 'new' ACCOUNT LOCK",
      "REVOKE INSERT ON *.* FROM 'ann'@'%'",
      "SET PASSWORD FOR 'ann'@'%' = 'other'",
      "CREATE USER 'temp'@'%'",
      "RENAME USER 'temp'@'%' TO 'temp2'@'%'",
      "DROP USER 'temp2'@'%'",
      "SET DEFAULT ROLE team TO 'ann'@'%'",
    ]);
    await pair.run(['GRANT team TO CURRENT_USER']);
    await pair.replay([]);
    const accounts =
      'SELECT * FROM mysql.user WHERE User IN ("ann", "bob", "team", "temp", "temp2") ORDER BY User';
    const edges = 'SELECT * FROM mysql.role_edges ORDER BY 1, 2, 3, 4';
    for (const { target } of pair.rigs) {
      for (const sql of [accounts, edges]) {
        expect(strip(await target.query(sql)), names).toEqual(strip(await pair.source.query(sql)));
      }
    }
  });

  test('a view and a routine that the source logged in two character sets at once', async () => {
    await pair.run(['CREATE DATABASE twofold']);
    const session = await openRawSession(pair.source);
    await session.sql('USE twofold');
    await session.sql('SET NAMES latin1');
    for (const statement of [
      "CREATE VIEW `größe` AS SELECT 'groß' AS g",
      "CREATE PROCEDURE `größe`(`ä` INT) COMMENT 'ö' SELECT 'groß', `ä`",
      "CREATE FUNCTION fü() RETURNS INT DETERMINISTIC COMMENT 'eins' RETURN 'ü' = 'u'",
      "CREATE EVENT `ereignis_ü` ON SCHEDULE EVERY 1 DAY DISABLE COMMENT 'ö' DO SELECT 'ß'",
      'CREATE TABLE `tä` (`ö` INT PRIMARY KEY)',
      "CREATE USER 'jürgen'@'%' IDENTIFIED BY 'x'",
      "GRANT SELECT ON twofold.`tä` TO 'jürgen'@'%'",
    ]) {
      await session.sql(Buffer.from(statement, 'latin1'));
    }
    session.close();
    await pair.replay(['twofold']);
    const grants = "SHOW GRANTS FOR 'jürgen'@'%'";
    for (const { target } of pair.rigs) {
      expect(await target.query('SELECT * FROM twofold.`größe`')).toEqual([{ g: 'groß' }]);
      expect(await target.query(grants)).toEqual(await pair.source.query(grants));
    }
  });

  test('statements that are refused say what to do, and nothing of their transaction is kept', async () => {
    // Its own pair of servers would cost more than the rest: the refusals come last, on this one.
    await pair.run(['CREATE DATABASE refused', 'USE refused', 'CREATE TABLE t (a INT PRIMARY KEY)']);
    await pair.replay(['refused']);
    await pair.run([
      'USE refused',
      "SET SESSION binlog_format = 'STATEMENT'",
      'CREATE TEMPORARY TABLE temporary_ (a INT)',
    ]);
    for (const rig of pair.rigs) {
      const error = await rig.refusal();
      expect(error).toMatchObject({ code: 'UNSUPPORTED', action: 'stop' });
      expect(error.message).toContain('CREATE TEMPORARY TABLE');
      expect(error.facts.transaction).toMatch(/^[0-9a-f-]{36}:\d+$/);
      expect(await rig.target.query('SELECT * FROM refused.t')).toEqual([]);
    }
  });
});

/** Changes with every statement about an account. */
function strip(rows: readonly Record<string, unknown>[]): unknown[] {
  return rows.map(({ password_last_changed: _, ...row }) => row);
}
