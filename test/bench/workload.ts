/**
 * What the source's binary log is filled with before receivers are measured. Rows are made by the server itself, so that
 * loading takes seconds and not the time of a client.
 *
 *   bulk    statements of 1000 rows of about 200 bytes each, inserted and then updated; about 590 MB
 *   small   one row in every transaction; about 120 MB
 */
import type { TestServer } from '../support/test-server.ts';

export const WORKLOADS = ['bulk', 'small'] as const;
export type Workload = (typeof WORKLOADS)[number];

const CLIENTS = 4;
const ROWS_PER_STATEMENT = 1000;
const SCHEMA = 'bench';

/** `scale` 1 is the size told above. */
export async function runWorkload(server: TestServer, workload: Workload, scale: number): Promise<void> {
  await server.query(`DROP DATABASE IF EXISTS ${SCHEMA}`);
  await server.query(`CREATE DATABASE ${SCHEMA}`);
  await server.query(`CREATE TABLE ${SCHEMA}.digits (n INT PRIMARY KEY)`);
  await server.query(`INSERT INTO ${SCHEMA}.digits ${numbers(ROWS_PER_STATEMENT)}`);
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    (workload === 'bulk' ? bulk : small)(server, i, scale),
  );
  await Promise.all(clients);
}

function numbers(count: number): string {
  return `WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${count}) SELECT i FROM n`;
}

async function bulk(server: TestServer, client: number, scale: number): Promise<void> {
  const connection = await server.connect({ database: SCHEMA });
  const table = `bulk_${client}`;
  const statements = Math.max(1, Math.round((900 * scale) / CLIENTS));
  await connection.query(
    `CREATE TABLE ${table} (id INT PRIMARY KEY, a INT, b BIGINT, c DECIMAL(20,4), d DATETIME(6), pad VARCHAR(200))`,
  );
  for (let i = 0; i < statements; i++) {
    await connection.query(
      `INSERT INTO ${table} SELECT ${i * ROWS_PER_STATEMENT} + n, n * 7, n * 1000003, n / 3, NOW(6), REPEAT(HEX(n * 7919), 30) FROM digits`,
    );
  }
  for (let i = 0; i < statements; i++) {
    const from = i * ROWS_PER_STATEMENT;
    const range = `BETWEEN ${from} AND ${from + ROWS_PER_STATEMENT - 1}`;
    await connection.query(`UPDATE ${table} SET a = a + 1, c = c * 2 WHERE id ${range}`);
  }
  await connection.end();
}

async function small(server: TestServer, client: number, scale: number): Promise<void> {
  const connection = await server.connect({ database: SCHEMA });
  const table = `small_${client}`;
  const transactions = Math.max(1, Math.round((300_000 * scale) / CLIENTS));
  await connection.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, a INT, pad VARCHAR(120))`);
  await connection.query(`CREATE PROCEDURE fill_${client} (wanted INT) BEGIN
    DECLARE i INT DEFAULT 0;
    WHILE i < wanted DO
      INSERT INTO ${table} VALUES (i, i * 7, REPEAT('small', 20));
      SET i = i + 1;
    END WHILE; END`);
  await connection.query(`CALL fill_${client}(${transactions})`);
  await connection.end();
}
