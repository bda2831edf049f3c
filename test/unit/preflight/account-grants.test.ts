import { describe, expect, test } from 'vitest';
import { AccountGrants } from '../../../src/preflight/account-grants.ts';

const WRITE = ['INSERT', 'UPDATE', 'DELETE'];

describe('grants', () => {
  test('on everything, as MySQL writes it out and as MariaDB does', () => {
    const mysql = AccountGrants.parse([
      'GRANT SELECT, INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES ON *.* TO `a`@`%` WITH GRANT OPTION',
      'GRANT BINLOG_ADMIN,REPLICATION_APPLIER ON *.* TO `a`@`%`',
    ]);
    expect(mysql.missingOnSchema('shop', WRITE)).toEqual([]);
    expect(mysql.hasGlobal('REPLICATION_APPLIER')).toBe(true);
    expect(mysql.hasGlobal('SUPER')).toBe(false);
    const mariadb = AccountGrants.parse([
      "GRANT ALL PRIVILEGES ON *.* TO `a`@`%` IDENTIFIED BY PASSWORD '*81F5' WITH GRANT OPTION",
    ]);
    expect(mariadb.hasGlobal('SET USER')).toBe(true);
  });

  test('on a schema: its name is a pattern, unless a backslash stands before the sign', () => {
    const grants = AccountGrants.parse([
      'GRANT USAGE ON *.* TO `a`@`%`',
      'GRANT INSERT ON `sh\\_op`.* TO `a`@`%`',
      'GRANT UPDATE ON `app_%`.* TO `a`@`%`',
      'GRANT DELETE ON `a``b.c`.* TO `a`@`%`',
    ]);
    expect(grants.hasOnSchema('sh_op', 'INSERT')).toBe(true);
    expect(grants.hasOnSchema('shxop', 'INSERT')).toBe(false);
    expect(grants.hasOnSchema('app_one', 'UPDATE')).toBe(true);
    expect(grants.hasOnSchema('appXone', 'UPDATE')).toBe(true);
    expect(grants.hasOnSchema('shop', 'UPDATE')).toBe(false);
    expect(grants.hasOnSchema('a`b.c', 'DELETE')).toBe(true);
    expect(grants.hasOnSchema('a`bxc', 'DELETE')).toBe(false);
    expect(grants.hasGlobal('INSERT')).toBe(false);
    expect(grants.hasAnywhere('INSERT')).toBe(true);
    expect(grants.hasAnywhere('INSERT', 'sh\\_op')).toBe(false);
    expect(grants.missingOnSchema('sh_op', WRITE)).toEqual(['UPDATE', 'DELETE']);
  });

  test('on a table or on columns are none on the schema, and a partial revoke takes one back', () => {
    const grants = AccountGrants.parse([
      'GRANT SELECT (`a`, `b`), INSERT ON `shop`.`orders` TO `a`@`%`',
      'GRANT UPDATE ON *.* TO `a`@`%`',
      'REVOKE UPDATE ON `secret`.* FROM `a`@`%`',
    ]);
    expect(grants.hasOnSchema('shop', 'INSERT')).toBe(false);
    expect(grants.hasAnywhere('INSERT')).toBe(true);
    expect(grants.hasAnywhere('SELECT')).toBe(false);
    expect(grants.hasOnSchema('shop', 'UPDATE')).toBe(true);
    expect(grants.hasOnSchema('secret', 'UPDATE')).toBe(false);
  });

  test('of a role that is active count, and what is no grant of privileges does not', () => {
    const grants = AccountGrants.parse([
      'GRANT `writer` TO `a`@`%`',
      'GRANT INSERT ON `shop`.* TO `writer`',
      'SET DEFAULT ROLE `writer` FOR `a`@`%`',
      "GRANT PROXY ON ''@'%' TO 'root'@'localhost' WITH GRANT OPTION",
      'GRANT EXECUTE ON PROCEDURE `shop`.`p` TO `a`@`%`',
      'not a grant at all',
      '',
    ]);
    expect(grants.hasOnSchema('shop', 'INSERT')).toBe(true);
    expect(grants.hasAnywhere('EXECUTE')).toBe(false);
  });
});
