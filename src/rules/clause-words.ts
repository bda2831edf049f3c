/**
 * The words by which a clause scan finds its way: keywords of both servers, and what tells a keyword that is not reserved from
 * a name.
 */
import type { StatementScan } from './statement-scan.ts';

const QUERY_STARTS = words('SELECT VALUES TABLE WITH');
const ENDS_TABLES = words(
  'WHERE GROUP HAVING ORDER LIMIT SET INTO LOCK PROCEDURE RETURNING SELECT UNION QUALIFY',
);
/** Not reserved everywhere: they end a list only where their clause follows. */
const SET_OPERATIONS = words('EXCEPT INTERSECT MINUS');
const AFTER_SET_OPERATION = words('SELECT ALL DISTINCT VALUES TABLE WITH');
/** What may follow a table's name and is not its alias. */
const AFTER_TABLE = words(
  'PARTITION USE FORCE IGNORE JOIN STRAIGHT_JOIN INNER CROSS LEFT RIGHT NATURAL FULL ON USING FOR TABLESAMPLE AS WINDOW',
);
/** Reserved in every version of both servers. */
const BEFORE_NAME = words(
  [
    'ADD ALL ALTER ANALYZE AND AS ASC BEFORE BETWEEN BINARY BOTH BY CALL CASCADE CASE CHANGE CHECK',
    'COLLATE COLUMN CONSTRAINT CREATE CROSS DATABASE DEFAULT DELAYED DELETE DESC DESCRIBE DISTINCT',
    'DISTINCTROW DIV DROP ELSE EXISTS EXPLAIN FALSE FOR FORCE FOREIGN FROM FULLTEXT GRANT GROUP',
    'HAVING HIGH_PRIORITY IF IGNORE IN INDEX INNER INSERT INTERVAL INTO IS JOIN KEY KEYS KILL',
    'LEADING LEFT LIKE LIMIT LOAD LOCK LOW_PRIORITY MATCH MOD NATURAL NOT NULL ON OPTIMIZE OPTION OR',
    'ORDER OUTER PARTITION PRIMARY PROCEDURE PURGE RANGE REFERENCES REGEXP RENAME REPLACE REQUIRE',
    'RESTRICT RETURN REVOKE RIGHT RLIKE SELECT SET SHOW SQL STARTING STRAIGHT_JOIN TABLE TERMINATED',
    'THEN TO TRAILING TRIGGER TRUE UNION UNIQUE UNLOCK UPDATE USAGE USE USING VALUES WHEN WHERE',
    'WHILE WITH WRITE XOR',
  ].join(' '),
);
const RESERVED_VERBS = words('CREATE ALTER DROP RENAME GRANT REVOKE ANALYZE');
const MAINTENANCE_VERBS = words('TRUNCATE OPTIMIZE REPAIR CHECK CHECKSUM FLUSH');

function words(list: string): ReadonlySet<string> {
  return new Set(list.split(' '));
}

export function beginsQuery(word: string): boolean {
  return QUERY_STARTS.has(word);
}

/** A dot after such a word does not qualify what follows by it, but begins a name without a database: `FROM .t`. */
export function beginsNameAfter(word: string): boolean {
  return BEFORE_NAME.has(word);
}

/** The next word ends a list of tables. */
export function endsTables(scan: StatementScan): boolean {
  const word = scan.wordAt();
  if (ENDS_TABLES.has(word)) return true;
  return SET_OPERATIONS.has(word) && (AFTER_SET_OPERATION.has(scan.wordAt(1)) || scan.isSymbol('(', 1));
}

export function canBeAlias(word: string): boolean {
  return !AFTER_TABLE.has(word) && !ENDS_TABLES.has(word) && !SET_OPERATIONS.has(word);
}

/** In a body: a statement that is not about rows begins. Verbs that are not reserved are told by what follows them. */
export function beginsStatement(scan: StatementScan): boolean {
  const word = scan.wordAt();
  if (RESERVED_VERBS.has(word)) return true;
  if (!MAINTENANCE_VERBS.has(word)) return false;
  const at = ['LOCAL', 'NO_WRITE_TO_BINLOG'].includes(scan.wordAt(1)) ? 2 : 1;
  if (scan.wordAt(at) === 'TABLE' || scan.wordAt(at) === 'TABLES') return true;
  return word === 'TRUNCATE' && scan.isName(1) && (scan.isSymbol(';', 2) || scan.isSymbol('.', 2));
}
