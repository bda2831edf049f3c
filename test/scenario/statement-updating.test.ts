/**
 * Which tables the servers themselves count as updated: a native replica that ignores one table skips exactly the statements
 * that name it so. Each statement here names d.ign somewhere; the reading says whether it is one of those.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readStatement } from '../../src/rules/read-statement.ts';
import { type Flavour, startServer, type TestServer } from '../support/test-server.ts';

const COLUMNS = '(id INT PRIMARY KEY, v INT, KEY k (v))';
const IGN = `CREATE TABLE d.ign ${COLUMNS}`;
const X = `CREATE TABLE d.x ${COLUMNS}`;
const ROWS = ['INSERT INTO d.ign VALUES (1, 1)', 'INSERT INTO d.x VALUES (1, 1)'];
const PARTITIONS =
  'PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))';
const P = `CREATE TABLE d.p ${COLUMNS} ${PARTITIONS}`;
const USER = 'CREATE USER u@localhost';

/** What is there before, and the statement. */
type Case = readonly [before: readonly string[], statement: string];

const BOTH: readonly Case[] = [
  [[], 'CREATE TABLE d.ign (a INT)'],
  [[IGN], 'CREATE TABLE d.y LIKE d.ign'],
  [[IGN], 'CREATE TABLE d.y SELECT * FROM d.ign'],
  [[IGN], 'CREATE TABLE d.y (a INT, FOREIGN KEY (a) REFERENCES d.ign (id))'],
  [['CREATE TABLE d.ign (a INT) ENGINE=MyISAM'], 'CREATE TABLE d.y (a INT) ENGINE=MERGE UNION=(d.ign)'],
  [[IGN, X], 'ALTER TABLE d.x ADD FOREIGN KEY (v) REFERENCES d.ign (id)'],
  [[IGN], 'ALTER TABLE d.ign RENAME TO d.y'],
  [[X], 'ALTER TABLE d.x RENAME TO d.ign'],
  [[IGN, P], 'ALTER TABLE d.p EXCHANGE PARTITION p0 WITH TABLE d.ign'],
  [[`CREATE TABLE d.ign ${COLUMNS} ${PARTITIONS}`, ROWS[0]!], 'ALTER TABLE d.ign TRUNCATE PARTITION p0'],
  [[X], 'RENAME TABLE d.x TO d.ign'],
  [[IGN], 'RENAME TABLE d.ign TO d.y'],
  [[IGN, X], 'DROP TABLE d.x, d.ign'],
  [[IGN, ROWS[0]!], 'TRUNCATE d.ign'],
  [[IGN], 'CREATE INDEX i ON d.ign (v)'],
  [[IGN], 'DROP INDEX k ON d.ign'],
  [[X], 'CREATE VIEW d.ign AS SELECT * FROM d.x'],
  [[IGN], 'CREATE VIEW d.v AS SELECT * FROM d.ign'],
  [['CREATE VIEW d.ign AS SELECT 1 AS a'], 'DROP VIEW d.ign'],
  [[IGN], 'CREATE TRIGGER d.g BEFORE INSERT ON d.ign FOR EACH ROW SET NEW.v = 1'],
  [[X], 'CREATE TRIGGER d.ign BEFORE INSERT ON d.x FOR EACH ROW SET NEW.v = 1'],
  [[], 'CREATE PROCEDURE d.ign() SELECT 1'],
  [[IGN, USER], 'GRANT SELECT ON d.ign TO u@localhost'],
  [['CREATE PROCEDURE d.ign() SELECT 1', USER], 'GRANT EXECUTE ON PROCEDURE d.ign TO u@localhost'],
  [[IGN, X, ...ROWS], 'INSERT INTO d.x SELECT id + 1, v FROM d.ign'],
  [[IGN, X, ...ROWS], 'UPDATE d.x SET v = (SELECT MAX(v) + 5 FROM d.ign)'],
  [[IGN, X, ...ROWS], 'UPDATE d.ign SET v = (SELECT MAX(v) + 5 FROM d.x)'],
  [[IGN, X, ...ROWS], 'DELETE d.x FROM d.x JOIN d.ign USING (id)'],
  [[IGN, X, ...ROWS], 'DELETE y FROM d.ign AS y JOIN d.x USING (id)'],
];
const ONLY: Readonly<Record<Flavour, readonly Case[]>> = {
  mysql: [[[IGN, ROWS[0]!], 'ANALYZE TABLE d.ign UPDATE HISTOGRAM ON v']],
  mariadb: [
    [[IGN, ROWS[0]!], 'ANALYZE TABLE d.ign PERSISTENT FOR ALL'],
    [[P], 'ALTER TABLE d.p CONVERT PARTITION p0 TO TABLE d.ign'],
    [[P, IGN], 'ALTER TABLE d.p CONVERT TABLE d.ign TO PARTITION p2 VALUES LESS THAN (30)'],
    [[], 'CREATE SEQUENCE d.ign'],
    [['CREATE SEQUENCE d.ign'], 'ALTER SEQUENCE d.ign INCREMENT BY 7'],
    [['CREATE SEQUENCE d.ign'], 'DROP SEQUENCE d.ign'],
  ],
};

describe.each<Flavour>(['mysql', 'mariadb'])('a replica of %s that ignores a table', (flavour) => {
  const mysql = flavour === 'mysql';
  let source: TestServer;
  let replica: TestServer;

  beforeAll(async () => {
    const trust = '--log-bin-trust-function-creators=1';
    [source, replica] = await Promise.all([
      startServer({ flavour, name: 'source', args: ['--server-id=1', '--binlog-format=STATEMENT', trust] }),
      startServer({
        flavour,
        name: 'replica',
        args: ['--server-id=2', '--replicate-ignore-table=d.ign', trust],
      }),
    ]);
    const { file, position } = await end();
    const address = `MASTER_HOST='${source.host}', MASTER_PORT=${source.port}, MASTER_USER='${source.rootUser}', MASTER_PASSWORD='${source.rootPassword}', MASTER_LOG_FILE='${file}', MASTER_LOG_POS=${position}`;
    await replica.query(
      mysql
        ? `CHANGE REPLICATION SOURCE TO ${address.replaceAll('MASTER', 'SOURCE')}, GET_SOURCE_PUBLIC_KEY=1`
        : `CHANGE MASTER TO ${address}`,
    );
    await replica.query(mysql ? 'START REPLICA' : 'START SLAVE');
  });
  afterAll(() => Promise.all([source?.stop(), replica?.stop()]));

  async function end(): Promise<{ file: string; position: number }> {
    const [row] = await source.query(mysql ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
    return { file: row?.File, position: Number(row?.Position) };
  }

  async function catchUp(): Promise<void> {
    const { file, position } = await end();
    const wait = mysql ? 'SOURCE_POS_WAIT' : 'MASTER_POS_WAIT';
    const [row] = await replica.query(`SELECT ${wait}('${file}', ${position}, 60) AS waited`);
    expect(Number(row?.waited ?? -1)).toBeGreaterThanOrEqual(0);
  }

  /** All that a statement of this file can change. */
  async function stateOfReplica(): Promise<string> {
    const state: unknown[] = [];
    const tables = await replica.query(
      "SELECT TABLE_NAME AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'd' ORDER BY 1",
    );
    for (const { name } of tables) {
      state.push(
        await replica.query(`SHOW CREATE TABLE d.${name}`),
        await replica.query(`SELECT * FROM d.${name}`),
      );
    }
    for (const sql of [
      "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'd'",
      "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = 'd'",
      "SELECT User, Table_name FROM mysql.tables_priv WHERE Db = 'd'",
      "SELECT User, Routine_name FROM mysql.procs_priv WHERE Db = 'd'",
      mysql
        ? "SELECT TABLE_NAME FROM information_schema.COLUMN_STATISTICS WHERE SCHEMA_NAME = 'd'"
        : "SELECT table_name FROM mysql.column_stats WHERE db_name = 'd' ORDER BY 1",
    ]) {
      state.push(await replica.query(sql));
    }
    return JSON.stringify(state);
  }

  test.each([...BOTH, ...ONLY[flavour]])('%j %s', async (before, statement) => {
    for (const server of [source, replica]) {
      const connection = await server.connect();
      await connection.query('SET sql_log_bin = 0');
      await connection.query('SET foreign_key_checks = 0');
      for (const sql of [
        'DROP DATABASE IF EXISTS d',
        'CREATE DATABASE d',
        'DROP USER IF EXISTS u@localhost',
        ...before,
      ]) {
        await connection.query(sql);
      }
      await connection.end();
    }
    const [major = 0, minor = 0, patch = 0] = source.version.split(/[.-]/).map(Number);
    const reading = readStatement(Buffer.from(statement), {
      flavour,
      sqlMode: 0n,
      charset: 'utf8mb4',
      versionNumber: major * 10000 + minor * 100 + patch,
    });
    if (reading.is !== 'read') throw new Error(reading.why);
    const unchanged = await stateOfReplica();
    await source.query(`USE d; ${statement}`);
    await catchUp();
    const skipped = (await stateOfReplica()) === unchanged;
    const named = reading.objects.some(
      ({ updating, database, name }) => updating && `${database}.${name}` === 'd.ign',
    );
    expect(named).toBe(skipped);
  });
});
