import { expect, test } from 'vitest';
import { nameInvoker } from '../../../src/applier/invoker.ts';
import { NO_BACKSLASH_ESCAPES } from '../../../src/rules/sql-tokens.ts';

const ANN = { user: 'ann', host: 'h' };
const VERSIONS = { mysql: 90704, mariadb: 101118 } as const;

function named(sql: string, flavour: 'mysql' | 'mariadb' = 'mysql', sqlMode = 0n): string {
  const dialect = { flavour, sqlMode, charset: 'latin1', versionNumber: VERSIONS[flavour] };
  return nameInvoker(Buffer.from(sql, 'latin1'), ANN, dialect).toString('latin1');
}

test.each([
  ['ALTER EVENT e DISABLE', 'ALTER DEFINER=`ann`@`h` EVENT e DISABLE'],
  [
    '/* a *//* b */-- c\nalter /* d */ event e DISABLE',
    '/* a *//* b */-- c\nalter /* d */ DEFINER=`ann`@`h` event e DISABLE',
  ],
  ['ALTER DEFINER=CURRENT_USER EVENT e DISABLE', 'ALTER DEFINER=`ann`@`h` EVENT e DISABLE'],
  ['ALTER DEFINER = CURRENT_USER ( ) EVENT e DISABLE', 'ALTER DEFINER = `ann`@`h` EVENT e DISABLE'],
  [
    'CREATE OR REPLACE ALGORITHM=MERGE DEFINER=current_user SQL SECURITY INVOKER VIEW v AS SELECT CURRENT_USER',
    'CREATE OR REPLACE ALGORITHM=MERGE DEFINER=`ann`@`h` SQL SECURITY INVOKER VIEW v AS SELECT CURRENT_USER',
  ],
  ['GRANT team TO CURRENT_USER', 'GRANT team TO `ann`@`h`'],
  ['REVOKE team FROM CURRENT_USER(), `CURRENT_USER`', 'REVOKE team FROM `ann`@`h`, `CURRENT_USER`'],
  ["SET PASSWORD FOR CURRENT_USER = 'CURRENT_USER'", "SET PASSWORD FOR `ann`@`h` = 'CURRENT_USER'"],
  ['SET DEFAULT ROLE r TO CURRENT_USER', 'SET DEFAULT ROLE r TO `ann`@`h`'],
  ['DROP USER CURRENT_USER /* CURRENT_USER */', 'DROP USER `ann`@`h` /* CURRENT_USER */'],
  ["/* it's */ GRANT team TO CURRENT_USER -- it's", "/* it's */ GRANT team TO `ann`@`h` -- it's"],
  ['/*!50003 GRANT team TO CURRENT_USER*/', '/*!50003 GRANT team TO `ann`@`h`*/'],
])('%s', (sql, expected) => {
  expect(named(sql)).toBe(expected);
});

test.each([
  'ALTER DEFINER=`bob`@`h` EVENT e DISABLE',
  'ALTER TABLE t COMMENT /* DEFINER=CURRENT_USER EVENT */ "x"',
  '/* a */ ALTER TABLE t ADD c INT, /* b */ ALTER EVENT SET DEFAULT 1',
  '/* a */ INSERT INTO t VALUES (CURRENT_USER) /* b */ GRANT',
  'UPDATE t SET a = CURRENT_USER()',
  "CREATE USER u COMMENT 'CURRENT_USER",
])('%s stays as it is', (sql) => {
  expect(named(sql)).toBe(sql);
});

test('strings end where the session says', () => {
  const sql = "CREATE USER u IDENTIFIED BY 'x\\' DEFAULT ROLE r COMMENT 'CURRENT_USER'";
  expect(named(sql, 'mysql', NO_BACKSLASH_ESCAPES)).toBe(sql);
});

test.each([
  ['CREATE ROLE r', 'CREATE ROLE r WITH ADMIN `ann`@`h`'],
  ['CREATE OR REPLACE ROLE r; -- c', 'CREATE OR REPLACE ROLE r WITH ADMIN `ann`@`h`; -- c'],
  ['CREATE ROLE r WITH /* c */ ADMIN CURRENT_USER', 'CREATE ROLE r WITH /* c */ ADMIN `ann`@`h`'],
  [
    'SET STATEMENT max_statement_time=10 FOR CREATE ROLE r',
    'SET STATEMENT max_statement_time=10 FOR CREATE ROLE r WITH ADMIN `ann`@`h`',
  ],
])('MariaDB: %s', (sql, expected) => {
  expect(named(sql, 'mariadb')).toBe(expected);
});
