import { describe, expect, test } from 'vitest';
import type { ReplayContext } from '../../../src/applier/replay-context.ts';
import type { SourceStatement } from '../../../src/applier/source-statement.ts';
import { StatementFilter } from '../../../src/applier/statement-filter.ts';
import { compileRules } from '../../../src/rules/target-filter.ts';
import { ALL_IS_REPLICATED, NO_FILTERS, type TargetRules } from '../../../src/rules/target-rules.ts';

const VERSIONS = { mysql: 90704, mariadb: 101118 } as const;

function judge(
  rules: Partial<TargetRules>,
  sql: string,
  { database = 'shop', flavour = 'mysql' }: { database?: string; flavour?: 'mysql' | 'mariadb' } = {},
) {
  const facts = { flavour, versionNumber: VERSIONS[flavour] };
  const context = { facts, collations: async () => new Map() } as unknown as ReplayContext;
  const filter = compileRules({ ...ALL_IS_REPLICATED, ...rules }, { flavour, lowerCaseTableNames: 0 })!;
  const statement = {
    sql: Buffer.from(sql),
    query: { database, statusVars: { tableMapForUpdate: null } },
    context: { charset: null, sqlMode: 0n },
  } as unknown as SourceStatement;
  return new StatementFilter(filter, context, {}).judge(statement);
}

describe('without accounts and system schemas', () => {
  const rules = { replicateSystem: false };

  test.each([
    '/* app:web */ UPDATE users /* by id */ SET password = 1 WHERE id = 1',
    '/* 7 */ ALTER TABLE shop.users ADD y INT, /* no longer used */ DROP role',
    "/* 8 */ ALTER TABLE users ADD b INT COMMENT '/* who may */ grant or not'",
    'ALTER TABLE SYS.orders ADD a INT',
  ])('%s runs', async (sql) => {
    expect((await judge(rules, sql)).is).toBe('run');
  });

  test.each([
    ['mysql', '--\nGRANT SELECT ON shop.* TO u'],
    ['mysql', '/*!50003 CREATE USER u */'],
    ['mysql', 'UPDATE sys.sys_config SET value = 1'],
    ['mariadb', 'SET STATEMENT max_statement_time=10 FOR GRANT SELECT ON shop.* TO u'],
    ['mariadb', 'SET STATEMENT max_statement_time=10 FOR CREATE USER u'],
    ['mariadb', '/*M!100100 DROP USER u */'],
  ] as const)('of %s: %s is left out', async (flavour, sql) => {
    expect(await judge(rules, sql, { flavour })).toEqual({ is: 'left-out', system: true });
  });
});

describe('what only marks a place in the transaction', () => {
  const rules = { filters: { ...NO_FILTERS, doDb: ['shop'] } };

  test.each([
    'SAVEPOINT `s`',
    'ROLLBACK TO `s`',
    'rollback work to s',
    'RELEASE SAVEPOINT s',
    "XA START 'x'",
    '/* c */ -- c\nSAVEPOINT s',
  ])('runs whatever the rules say: %s', async (sql) => {
    expect(await judge(rules, sql, { database: 'crm' })).toMatchObject({ is: 'run', ofTheTransaction: true });
  });

  test.each([
    "/* 9 */ ALTER TABLE t ADD a INT COMMENT '/* x */ savepoint'",
    '/* a */ DROP TABLE t /* b */ XA',
    'ROLLBACK',
  ])('is told apart from what a comment hides: %s', async (sql) => {
    expect(await judge(rules, sql, { database: 'crm' })).toEqual({ is: 'left-out', system: false });
  });
});
