import { describe, expect, test } from 'vitest';
import type { TableMap } from '../../../src/binlog/table-map.ts';
import { readStatement } from '../../../src/rules/read-statement.ts';
import { grantedDatabase, grantPattern, type Verdict } from '../../../src/rules/statement-rules.ts';
import { isAccountStatement, SystemSchemas } from '../../../src/rules/system-rules.ts';
import { compileRules, TargetFilter } from '../../../src/rules/target-filter.ts';
import { ALL_IS_REPLICATED, NO_FILTERS, type TargetRules } from '../../../src/rules/target-rules.ts';

const MYSQL = { flavour: 'mysql', lowerCaseTableNames: 0 } as const;

function judge(
  rules: Partial<TargetRules>,
  sql: string,
  {
    database = '',
    map = null,
    trigger,
  }: { database?: string; map?: bigint | null; trigger?: string | null } = {},
): Verdict {
  const { statements } = new TargetFilter({ ...ALL_IS_REPLICATED, ...rules }, MYSQL);
  const early = statements.judgeUnread(database, Buffer.from(sql));
  if (early !== null) return early;
  const reading = readStatement(Buffer.from(sql), {
    flavour: 'mysql',
    sqlMode: 0n,
    charset: 'utf8mb4',
    versionNumber: 90704,
    database,
  });
  const facts = { database, tableMapForUpdate: map };
  if (trigger === undefined) return statements.judge(reading, facts);
  return statements.judge(reading, facts, trigger === null ? null : { database: 'shop', table: trigger });
}

const ignoring = (...tables: string[]) => ({ filters: { ...NO_FILTERS, ignoreTable: tables } });
const wanting = (...tables: string[]) => ({ filters: { ...NO_FILTERS, doTable: tables } });

describe('statements as a server judges them', () => {
  test('are not read where the default database decides alone', () => {
    const { statements } = new TargetFilter(
      { ...ALL_IS_REPLICATED, filters: { ...NO_FILTERS, doDb: ['shop'] }, onUnparsedDdl: 'stop' },
      MYSQL,
    );
    expect(statements.judgeUnread('shop', Buffer.from('DROP TABLE a'))).toEqual({ is: 'run' });
    expect(statements.judgeUnread('crm', Buffer.from('DROP TABLE a'))).toEqual({ is: 'leave-out' });
    expect(statements.judgeUnread('crm', Buffer.from('DROP TRIGGER t'))).toEqual({ is: 'leave-out' });
    expect(statements.judgeUnread('shop', Buffer.from('/* c */ DROP TRIGGER t'))).toBeNull();
    expect(statements.judgeUnread('shop', Buffer.from(`/*${'c'.repeat(5000)}*/ DROP TRIGGER t`))).toBeNull();
    expect(statements.judgeUnread('shop', Buffer.from('/* c */ DROP TABLE a /* */ DROP TRIGGER t'))).toEqual({
      is: 'run',
    });
  });

  test('are looked into where they may drop a trigger, and run when that tells nothing', () => {
    const { statements } = new TargetFilter(
      { ...ALL_IS_REPLICATED, filters: { ...NO_FILTERS, doDb: ['shop'] }, onUnparsedDdl: 'stop' },
      MYSQL,
    );
    expect(statements.judgeUnread('shop', Buffer.from('/*!50000 DROP TRIGGER t */'))).toBeNull();
    const facts = { database: 'shop', tableMapForUpdate: null };
    expect(statements.judge({ is: 'unplaced', why: 'x', at: 0 }, facts)).toEqual({ is: 'run' });
  });

  test.each([
    ['a statement that names no table', wanting('shop.a'), 'CREATE PROCEDURE p () SELECT 1', 'run'],
    ['a statement that changes no table', ignoring('shop.a'), 'SELECT * FROM shop.b', 'leave-out'],
    ['INSERT … SELECT', ignoring('shop.a'), 'INSERT INTO shop.b SELECT * FROM shop.a', 'run'],
    ['CREATE TABLE … LIKE', ignoring('shop.a'), 'CREATE TABLE shop.b LIKE shop.a', 'run'],
    ['a new name by ALTER TABLE', ignoring('shop.b'), 'ALTER TABLE shop.a RENAME TO shop.b', 'run'],
    ['a new name by RENAME TABLE', ignoring('shop.b'), 'RENAME TABLE shop.a TO shop.b', 'leave-out'],
    ['a temporary table', ignoring('shop.a'), 'DROP TEMPORARY TABLE IF EXISTS shop.a', 'run'],
    ['an account', wanting('shop.a'), "CREATE USER u IDENTIFIED BY 'x'", 'leave-out'],
    ['a grant on an ignored table', ignoring('shop.a'), 'GRANT SELECT ON shop.a TO u', 'leave-out'],
    ['a grant on a schema', ignoring('shop.a'), 'GRANT SELECT ON shop.* TO u', 'run'],
  ])('%s', (_what, rules, sql, expected) => {
    expect(judge(rules, sql)).toEqual({ is: expected });
  });

  test('an UPDATE of several tables goes by those that it changes', () => {
    const sql = 'UPDATE shop.a JOIN shop.b USING (id) SET b.v = 1';
    expect(judge(ignoring('shop.a'), sql, { map: 0b10n })).toEqual({ is: 'run' });
    expect(judge(ignoring('shop.a'), sql, { map: 0b01n })).toEqual({ is: 'leave-out' });
  });

  test('columns named in full have no place among the tables that an UPDATE changes', () => {
    const sql = 'UPDATE a JOIN b ON shop.a.id = shop.b.id JOIN c ON c.id = a.id SET c.x = 1';
    const facts = { database: 'shop', map: 0b100n };
    expect(judge(ignoring('shop.c'), sql, facts)).toEqual({ is: 'leave-out' });
    expect(judge(ignoring('shop.a'), sql, facts)).toEqual({ is: 'run' });
    expect(judge({ ...ignoring('shop.c'), ddlFilter: 'objects' }, sql, facts)).toEqual({ is: 'leave-out' });
    const skipEvents: TargetRules['skipEvents'] = [{ table: 'shop.c', events: ['update'] }];
    expect(judge({ skipEvents }, sql, facts)).toEqual({ is: 'leave-out' });
  });

  test.each([
    ['a query in the list', 'UPDATE shop.a, (SELECT 1 FROM shop.d) AS d, shop.c SET c.x = 1', 0b1000n],
    ['a view of two tables in the list', 'UPDATE shop.a JOIN shop.v JOIN shop.c SET c.x = 1', 0b1000n],
  ])('%s: the places of its tables are not those of the text', (_what, sql, map) => {
    expect(judge(ignoring('shop.c'), sql, { map })).toMatchObject({ is: 'unread' });
    const objects = { ...ignoring('shop.c'), ddlFilter: 'objects' } as const;
    expect(judge(objects, sql, { map })).toMatchObject({ is: 'unread' });
    expect(judge({ ...objects, onUnparsedDdl: 'skip' }, sql, { map })).toEqual({ is: 'leave-out' });
    // The rules say the same of all that can be meant.
    expect(judge(ignoring('shop.d'), sql, { map })).toEqual({ is: 'run' });
    expect(judge(wanting('shop.d'), sql, { map })).toEqual({ is: 'leave-out' });
  });

  test('a DELETE of several tables goes by those of the default database where none is named', () => {
    const sql = 'DELETE t FROM a.t, b.t WHERE a.t.id = b.t.id';
    expect(judge(wanting('b.t'), sql, { database: 'b' })).toEqual({ is: 'run' });
    expect(judge(wanting('b.t'), sql, { database: 'a' })).toEqual({ is: 'leave-out' });
  });

  test('DROP TRIGGER asks for its table, and is left out where there is no such trigger', () => {
    const rules = ignoring('shop.a');
    const sql = 'DROP TRIGGER t';
    expect(judge(rules, sql, { database: 'shop' })).toEqual({
      is: 'which-table',
      database: 'shop',
      trigger: 't',
    });
    expect(judge(rules, sql, { database: 'shop', trigger: 'a' })).toEqual({ is: 'leave-out' });
    expect(judge(rules, sql, { database: 'shop', trigger: 'b' })).toEqual({ is: 'run' });
    expect(judge(rules, sql, { database: 'shop', trigger: null })).toEqual({ is: 'leave-out' });
  });

  test('what cannot be read stops while a rule is active, unless the target says otherwise', () => {
    const sql = 'SOMETHING NEW';
    expect(judge(ignoring('shop.a'), sql)).toMatchObject({ is: 'unread' });
    expect(judge({ ...ignoring('shop.a'), onUnparsedDdl: 'apply' }, sql)).toEqual({ is: 'run' });
    expect(judge({ ...ignoring('shop.a'), onUnparsedDdl: 'skip' }, sql)).toEqual({ is: 'leave-out' });
  });
});

describe('statements by the objects they name', () => {
  const objects = (rules: Partial<TargetRules>): Partial<TargetRules> => ({ ...rules, ddlFilter: 'objects' });
  const doShop = objects({ filters: { ...NO_FILTERS, doDb: ['shop'] } });

  test.each([
    ['CREATE TABLE shop.a (id INT)', 'run'],
    ['CREATE TABLE crm.a (id INT)', 'leave-out'],
    ['CREATE TABLE shop.a LIKE crm.a', 'run'],
    ['CREATE TABLE shop.a (id INT, FOREIGN KEY (id) REFERENCES crm.a (id))', 'run'],
    ['CREATE FUNCTION crm.f () RETURNS INT DETERMINISTIC RETURN 1', 'leave-out'],
    ['CREATE TRIGGER shop.t BEFORE INSERT ON shop.a FOR EACH ROW SET NEW.id = 1', 'run'],
    ['DROP DATABASE crm', 'leave-out'],
    ["CREATE USER u IDENTIFIED BY 'x'", 'leave-out'],
    ['ANALYZE TABLE crm.a', 'leave-out'],
  ])('%s', (sql, expected) => {
    expect(judge(doShop, sql, { database: 'crm' })).toEqual({ is: expected });
  });

  test.each([
    ['DROP TABLE shop.a, crm.b', 'shop.a', 'crm.b'],
    ['RENAME TABLE crm.b TO shop.b', 'shop.b', 'crm.b'],
    ['ALTER TABLE shop.a RENAME TO crm.a', 'shop.a', 'crm.a'],
  ])('%s lies on both sides', (sql, kept, leftOut) => {
    expect(judge(doShop, sql)).toEqual({ is: 'border', kept, leftOut });
  });

  test('an UPDATE of several tables on both sides', () => {
    const sql = 'UPDATE shop.a JOIN crm.b USING (id) SET a.v = 1, b.v = 1';
    expect(judge(doShop, sql, { map: 0b11n })).toMatchObject({ is: 'border' });
    expect(judge(doShop, sql, { map: 0b01n })).toEqual({ is: 'run' });
  });

  test('are judged by the names that the target has', () => {
    const rewriteDb = [{ from: 'shop', to: 'dr' }];
    const toDr = objects({ filters: { ...NO_FILTERS, doDb: ['dr'] }, rewriteDb });
    expect(judge(toDr, 'CREATE TABLE shop.a (id INT)')).toEqual({ is: 'run' });
    expect(judge(toDr, 'CREATE TABLE a (id INT)', { database: 'shop' })).toEqual({ is: 'run' });
    expect(judge(toDr, 'CREATE TABLE dr.a (id INT)')).toEqual({ is: 'run' });
    expect(judge(toDr, 'CREATE TABLE crm.a (id INT)')).toEqual({ is: 'leave-out' });
  });
});

describe('skip_events', () => {
  const skip = (table: string, ...events: TargetRules['skipEvents'][number]['events']) => ({
    skipEvents: [{ table, events }],
  });

  test.each([
    ['a table of the pattern', skip('shop.tmp%', 'drop_table'), 'DROP TABLE shop.tmp_1', { is: 'leave-out' }],
    ['another kind of change', skip('shop.tmp%', 'drop_table'), 'TRUNCATE shop.tmp_1', { is: 'run' }],
    ['another table', skip('shop.tmp%', 'drop_table'), 'DROP TABLE shop.orders', { is: 'run' }],
    [
      'a database by a pattern for all',
      skip('shop.%', 'drop_database'),
      'DROP DATABASE shop',
      { is: 'leave-out' },
    ],
    ['a database by another pattern', skip('shop.t%', 'drop_database'), 'DROP DATABASE shop', { is: 'run' }],
    ['an account', skip('mysql.%', 'account'), 'DROP USER u', { is: 'leave-out' }],
    ['a view', skip('%.v', 'create_view'), 'CREATE VIEW shop.v AS SELECT 1', { is: 'leave-out' }],
    [
      'a trigger by its table',
      skip('shop.a', 'create_trigger'),
      'CREATE TRIGGER shop.t BEFORE INSERT ON shop.a FOR EACH ROW SET NEW.id = 1',
      { is: 'leave-out' },
    ],
    [
      'one table of two',
      skip('shop.tmp%', 'drop_table'),
      'DROP TABLE shop.tmp_1, shop.a',
      { is: 'border', kept: 'shop.a', leftOut: 'shop.tmp_1' },
    ],
  ])('%s', (_what, rules, sql, expected) => {
    expect(judge(rules, sql)).toEqual(expected);
  });
});

describe('the system’s own', () => {
  test.each([
    "CREATE USER u IDENTIFIED BY 'x'",
    '  alter\n user u',
    '/* c */ DROP ROLE r',
    'RENAME USER a TO b',
    'CREATE OR REPLACE ROLE r',
    'GRANT SELECT ON a.b TO u',
    'REVOKE r FROM u',
    "SET PASSWORD FOR u = 'x'",
    'SET DEFAULT ROLE r FOR u',
    '-- c\nDROP USER u',
    '--\nGRANT SELECT ON shop.* TO u',
    '--\tc\n# c\r\n/**/GRANT SELECT ON shop.* TO u',
    'DROP/* a */-- b\nUSER u',
    'CREATE OR -- c\n REPLACE USER u',
  ])('%s is about accounts', (sql) => {
    expect(isAccountStatement(Buffer.from(sql))).toBe(true);
  });

  test.each([
    'CREATE TABLE user (id INT)',
    'SET @a = 1',
    'CREATE USERS',
    'GRANTED',
    'DROP TABLE role',
    '--GRANT',
    '/* app:web */ UPDATE users /* by id */ SET password = 1 WHERE id = 1',
    '/* 7 */ ALTER TABLE users ADD a INT, /* no longer used */ DROP role',
    "/* 8 */ ALTER TABLE users ADD b INT COMMENT '/* who may */ grant or not'",
    '/* GRANT',
  ])('%s is not', (sql) => {
    expect(isAccountStatement(Buffer.from(sql))).toBe(false);
  });

  test('a header of 100,000 comments takes no time', () => {
    const sql = Buffer.from(`${'/* a line of a header */\n'.repeat(100_000)}CREATE TABLE t (a INT)`);
    const beganMs = performance.now();
    expect(isAccountStatement(sql)).toBe(false);
    expect(new SystemSchemas(MYSQL).suspects(sql, 'shop')).toBe(false);
    const { statements } = new TargetFilter(ALL_IS_REPLICATED, MYSQL);
    expect(statements.judgeUnread('shop', sql)).toEqual({ is: 'run' });
    expect(performance.now() - beganMs).toBeLessThan(1000);
  });

  test.each([
    '/*!50003 CREATE USER u */',
    '/*M!100100 CREATE USER u */',
    'CREATE /*! OR REPLACE */ USER u',
    'SET STATEMENT max_statement_time=10 FOR GRANT SELECT ON shop.* TO u',
    '-- c\nset /**/ statement lock_wait_timeout=1 for create user u',
  ])('%s has to be read', (text) => {
    const sql = Buffer.from(text);
    expect(isAccountStatement(sql)).toBe(false);
    expect(new SystemSchemas(MYSQL).suspects(sql, 'shop')).toBe(true);
  });

  test('what is in a system schema or names one has to be read', () => {
    const schemas = new SystemSchemas(MYSQL);
    const sql = Buffer.from('CREATE TABLE a (id INT)');
    expect(schemas.suspects(sql, 'shop')).toBe(false);
    expect(schemas.suspects(sql, 'mysql')).toBe(true);
    expect(schemas.suspects(Buffer.from('CREATE TABLE sys.a (id INT)'), 'shop')).toBe(true);
  });

  test.each([
    [0, 'SYS', false],
    [0, 'MySQL', false],
    [0, 'sys', true],
    [0, 'mysql', true],
    [0, 'PERFORMANCE_SCHEMA', true],
    [0, 'Information_Schema', true],
    [1, 'SYS', true],
    [2, 'MYSQL', true],
    [1, 'shop', false],
  ] as const)(
    'with lower_case_table_names=%i, %s is a system schema: %s',
    (lowerCaseTableNames, name, is) => {
      expect(new SystemSchemas({ lowerCaseTableNames }).has(name)).toBe(is);
      const dialect = { flavour: 'mysql', lowerCaseTableNames } as const;
      const filter = compileRules({ ...ALL_IS_REPLICATED, replicateSystem: false }, dialect)!;
      expect(filter.rows({ database: name, table: 'orders' } as TableMap).kept).toBe(!is);
    },
  );

  test('there is no filter at all where no rule is active', () => {
    expect(compileRules(ALL_IS_REPLICATED, MYSQL)).toBeNull();
    expect(
      compileRules({ ...ALL_IS_REPLICATED, onUnparsedDdl: 'stop', ddlFilter: 'objects' }, MYSQL),
    ).toBeNull();
    expect(compileRules({ ...ALL_IS_REPLICATED, replicateSystem: false }, MYSQL)).not.toBeNull();
  });
});

test('a database in a GRANT is a pattern, and its new name is written as one', () => {
  expect(grantedDatabase('shop\\_dr')).toBe('shop_dr');
  expect(grantPattern('shop_dr%')).toBe('shop\\_dr\\%');
});
