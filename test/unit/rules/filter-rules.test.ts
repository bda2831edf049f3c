import { describe, expect, test } from 'vitest';
import { FilterRules } from '../../../src/rules/filter-rules.ts';
import { nameMatching } from '../../../src/rules/name-matching.ts';
import { type FilterLists, NO_FILTERS, type RewriteRule } from '../../../src/rules/target-rules.ts';

function filter(lists: Partial<FilterLists>, rewrites: readonly RewriteRule[] = []): FilterRules {
  const names = nameMatching({ flavour: 'mysql', lowerCaseTableNames: 0 });
  return new FilterRules({ ...NO_FILTERS, ...lists }, rewrites, names);
}

function tables(...names: string[]) {
  return names.map((name) => {
    const [database = '', table = ''] = name.split('.');
    return { database, table };
  });
}

describe('a filter over databases', () => {
  test('says yes to all without rules, to those of do_db, else to all but those of ignore_db', () => {
    expect(filter({}).databaseOk('shop')).toBe(true);
    expect(filter({ doDb: ['shop'] }).databaseOk('shop')).toBe(true);
    expect(filter({ doDb: ['shop'] }).databaseOk('crm')).toBe(false);
    expect(filter({ ignoreDb: ['shop'] }).databaseOk('shop')).toBe(false);
    expect(filter({ ignoreDb: ['shop'] }).databaseOk('crm')).toBe(true);
    expect(filter({ doDb: ['shop'], ignoreDb: ['shop'] }).databaseOk('shop')).toBe(true);
  });

  test('knows no default database under do_db', () => {
    expect(filter({ doDb: ['shop'] }).databaseOk('')).toBe(false);
    expect(filter({ ignoreDb: ['shop'] }).databaseOk('')).toBe(true);
  });

  test('asks patterns for the name and a dot', () => {
    expect(filter({ wildDoTable: ['shop.%'] }).databaseOkByPatterns('shop')).toBe(true);
    expect(filter({ wildDoTable: ['shop.t%'] }).databaseOkByPatterns('shop')).toBe(false);
    expect(filter({ wildIgnoreTable: ['shop.t%'] }).databaseOkByPatterns('shop')).toBe(true);
    expect(filter({ wildIgnoreTable: ['%.%'] }).databaseOkByPatterns('shop')).toBe(false);
    expect(filter({ doTable: ['shop.t'] }).databaseOkByPatterns('crm')).toBe(true);
  });
});

describe('a filter over tables', () => {
  test('has an order of rules: do_table, ignore_table, wild_do_table, wild_ignore_table', () => {
    const all = filter({
      doTable: ['a.1'],
      ignoreTable: ['a.1', 'a.2'],
      wildDoTable: ['a.1', 'a.2', 'a.3'],
      wildIgnoreTable: ['a.%'],
    });
    expect(['a.1', 'a.2', 'a.3', 'a.4', 'b.1'].map((name) => all.tablesOk(tables(name)))).toEqual([
      true,
      false,
      true,
      false,
      false,
    ]);
  });

  test('says yes to what no rule names, unless there is a list of what is wanted', () => {
    expect(filter({ ignoreTable: ['a.1'] }).tablesOk(tables('a.2'))).toBe(true);
    expect(filter({ wildIgnoreTable: ['a.1'] }).tablesOk(tables('a.2'))).toBe(true);
    expect(filter({ doTable: ['a.1'] }).tablesOk(tables('a.2'))).toBe(false);
    expect(filter({ wildDoTable: ['a.1'] }).tablesOk(tables('a.2'))).toBe(false);
  });

  test('lets the first table decide that a rule names', () => {
    const some = filter({ doTable: ['a.1'], ignoreTable: ['a.2'] });
    expect(some.tablesOk(tables('a.3', 'a.1', 'a.2'))).toBe(true);
    expect(some.tablesOk(tables('a.3', 'a.2', 'a.1'))).toBe(false);
  });

  test('says no where nothing is changed', () => {
    expect(filter({ ignoreTable: ['a.1'] }).tablesOk([])).toBe(false);
  });

  test('wants a yes of both for rows: of the database and of the table', () => {
    const both = filter({ doDb: ['shop'], ignoreTable: ['shop.a'] });
    expect(both.rowsOk({ database: 'shop', table: 'b' })).toBe(true);
    expect(both.rowsOk({ database: 'shop', table: 'a' })).toBe(false);
    expect(both.rowsOk({ database: 'crm', table: 'b' })).toBe(false);
  });
});

test('a database is rewritten once, by the first rule for it', () => {
  const rewrites = filter({}, [
    { from: 'a', to: 'b' },
    { from: 'b', to: 'c' },
    { from: 'a', to: 'd' },
  ]);
  expect(['a', 'b', 'c', ''].map((name) => rewrites.rewrite(name))).toEqual(['b', 'c', 'c', '']);
});
