/**
 * Workloads that are many rows or large rows and little else.
 */

const ROWS_PER_STATEMENT = 1000;
const CLIENTS = 4;

const digits = [
  'CREATE TABLE digits (n INT PRIMARY KEY)',
  `INSERT INTO digits WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${ROWS_PER_STATEMENT})
     SELECT i FROM n`,
];

/** `statements` INSERTs and as many UPDATEs, divided among the clients. */
export function bulkWorkload(statements: number) {
  const each = Math.max(1, Math.round(statements / CLIENTS));
  const tables = Array.from({ length: CLIENTS }, (_, client) => `bulk_${client}`);
  return {
    title: 'bulk rows, 1000 in a transaction',
    base: [...digits, ...tables.map(bulkTable)],
    clients: tables.map((table) => bulkStatements(table, each)),
  };
}

export function bigWorkload(thousands: number) {
  const half = Math.max(1, Math.round(thousands / 2));
  return {
    title: `one transaction of ${thousands},000 rows`,
    base: [...digits, bulkTable('big')],
    clients: [['START TRANSACTION', ...bulkStatements('big', half), 'COMMIT']],
  };
}

function bulkTable(table: string): string {
  return `CREATE TABLE ${table} (id INT PRIMARY KEY, a INT, b BIGINT, c DECIMAL(20,4), d DATETIME(6), pad VARCHAR(200), KEY (a))`;
}

function bulkStatements(table: string, each: number): string[] {
  const statements: string[] = [];
  for (let i = 0; i < each; i++) {
    statements.push(
      `INSERT INTO ${table} SELECT ${i * ROWS_PER_STATEMENT} + n, n * 7919 % 100003, n * 1000003, n / 3,
         '2026-01-01' + INTERVAL n MICROSECOND, REPEAT(LPAD(n * 7919 + ${i}, 9, '0'), 18) FROM digits`,
    );
  }
  for (let i = 0; i < each; i++) {
    const from = i * ROWS_PER_STATEMENT;
    const range = `BETWEEN ${from} AND ${from + ROWS_PER_STATEMENT - 1}`;
    statements.push(`UPDATE ${table} SET a = a + 1, c = c * 2 WHERE id ${range}`);
  }
  return statements;
}

/** Bytes of every value, so that nothing on the way can be quicker for text. */
export function blobsWorkload(transactions: number) {
  const each = Math.max(1, Math.round(transactions / CLIENTS));
  return {
    title: '1 MiB blobs, one in a transaction',
    base: ['CREATE TABLE blobs (id INT PRIMARY KEY, value LONGBLOB)'],
    clients: Array.from({ length: CLIENTS }, (_, client) =>
      Array.from({ length: each }, (_, i) => {
        const id = client * 1_000_000 + i;
        return `INSERT INTO blobs VALUES (${id}, REPEAT(UNHEX(CONCAT(SHA2(${id}, 512), SHA2(-${id}, 512))), 8192))`;
      }),
    ),
  };
}

/** Seven of ten transactions update 7 rows, three delete 1. */
export function keylessWorkload(transactions: number) {
  const statements: string[] = [];
  for (let i = 0; i < transactions; i++) {
    const table = i % 2 === 0 ? 'heap' : 'indexed';
    const groups = table === 'heap' ? 300 : 2000;
    const group = (i * 7919) % groups;
    statements.push(
      i % 10 < 7
        ? `UPDATE ${table} SET value = value + 1 WHERE grp = ${group}`
        : `DELETE FROM ${table} WHERE grp = ${group} LIMIT 1`,
    );
  }
  return {
    title: 'tables without a key',
    base: [
      'SET SESSION cte_max_recursion_depth = 100000',
      'CREATE TABLE heap (grp INT NOT NULL, value INT NOT NULL, pad VARCHAR(100))',
      'CREATE TABLE indexed (grp INT NOT NULL, value INT NOT NULL, pad VARCHAR(100), KEY (grp))',
      keylessRows('heap', 300),
      keylessRows('indexed', 2000),
    ],
    // Without a key the source's clock knows of no independence: one session is as good as several.
    clients: [statements],
  };
}

function keylessRows(table: string, groups: number): string {
  return `INSERT INTO ${table} WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ${groups * 7})
    SELECT i % ${groups}, i, REPEAT(LPAD(i, 10, '0'), 8) FROM n`;
}
