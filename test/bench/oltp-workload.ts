/**
 * Small transactions after sysbench's oltp_write_only: an update of an indexed column, one of another column, a delete and an
 * insert of the same row, each on one of four tables, rows drawn evenly. Eight sessions, so that the source's clock lets most of
 * them run side by side.
 */

const TABLES = 4;
const ROWS = 25_000;
const SESSIONS = 8;

export function oltpWorkload(transactions: number) {
  const each = Math.ceil(transactions / SESSIONS);
  return {
    title: 'small OLTP',
    base: [
      ...Array.from({ length: TABLES }, (_, table) => [
        `CREATE TABLE t${table} (id INT NOT NULL PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL, KEY (k))`,
        `SET SESSION cte_max_recursion_depth = ${ROWS + 1}`,
        `INSERT INTO t${table}
           WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
           SELECT i, i * 7919 % ${ROWS}, REPEAT(LPAD(i * 31, 11, '0'), 10), REPEAT(LPAD(i * 17, 11, '0'), 5) FROM n`,
      ]).flat(),
      procedure(),
    ],
    clients: Array.from({ length: SESSIONS }, (_, session) => [
      `CALL oltp(${each}, ${session * 7_654_321 + 1})`,
    ]),
  };
}

/** A deadlock on the source is rolled back and another transaction drawn in its place. */
function procedure(): string {
  return `CREATE PROCEDURE oltp (IN wanted INT, IN seed BIGINT)
BEGIN
  DECLARE done INT DEFAULT 0;
  DECLARE s BIGINT DEFAULT seed;
  DECLARE id1, id2, id3, nr, kk INT;
  WHILE done < wanted DO
    BEGIN
      DECLARE EXIT HANDLER FOR SQLEXCEPTION ROLLBACK;
      START TRANSACTION;
      ${draw('id1')}
      CASE s DIV 65536 % ${TABLES} ${onEachTable((t) => `UPDATE ${t} SET k = k + 1 WHERE id = id1;`)} END CASE;
      ${draw('id2')}
      CASE s DIV 65536 % ${TABLES} ${onEachTable((t) => `UPDATE ${t} SET c = REPEAT(LPAD(s, 11, '0'), 10) WHERE id = id2;`)} END CASE;
      ${draw('id3')}
      SET kk = s % ${ROWS};
      CASE s DIV 65536 % ${TABLES} ${onEachTable(
        (t) => `DELETE FROM ${t} WHERE id = id3;
        INSERT INTO ${t} VALUES (id3, kk, REPEAT(LPAD(s, 11, '1'), 10), REPEAT(LPAD(s, 11, '2'), 5));`,
      )} END CASE;
      COMMIT;
      SET done = done + 1;
    END;
  END WHILE;
END`;
}

/** The next number of a linear congruential generator, and a row's number out of it. */
function draw(variable: string): string {
  return `SET s = (s * 1103515245 + 12345) % 2147483648; SET ${variable} = 1 + s DIV 256 % ${ROWS};`;
}

function onEachTable(statement: (table: string) => string): string {
  return Array.from({ length: TABLES }, (_, t) => `WHEN ${t} THEN ${statement(`t${t}`)}`).join('\n        ');
}
