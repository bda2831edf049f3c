import { describe, expect, test } from 'vitest';
import { EventType } from '../../../src/binlog/event-header.ts';
import type { TableMap } from '../../../src/binlog/table-map.ts';
import { ChangeReader } from '../../../src/rules/change-reader.ts';
import { guardScope } from '../../../src/rules/guard-scope.ts';
import { GuardWatch } from '../../../src/rules/guard-watch.ts';
import { compileRules } from '../../../src/rules/target-filter.ts';
import { ALL_IS_REPLICATED, NO_FILTERS, type TargetRules } from '../../../src/rules/target-rules.ts';
import { buildQuery, describeFormat } from '../../support/binlog-builder.ts';

function watchOf(rules: Partial<TargetRules>): GuardWatch {
  const filter = compileRules(
    { ...ALL_IS_REPLICATED, ...rules },
    { flavour: 'mysql', lowerCaseTableNames: 0 },
  );
  return new GuardWatch(
    [{ is: 'drop_table' }, { is: 'delete_rows_over', rows: 10 }, { is: 'alter', table: '%.%' }],
    guardScope(filter),
  );
}

/** The default database is `d`. */
function found(rules: Partial<TargetRules>, sql: string): string | null {
  const watch = watchOf(rules);
  const reader = new ChangeReader(watch, null);
  const buf = buildQuery(sql);
  const fde = describeFormat('mysql');
  watch.begin();
  reader.take({ buf, start: 0, end: buf.length, type: EventType.QUERY_EVENT, fde, oversized: null });
  return watch.end()?.what ?? null;
}

function deleted(rules: Partial<TargetRules>, database: string, table: string): string | null {
  const watch = watchOf(rules);
  watch.begin();
  watch.rows('delete', { database, table } as TableMap, 50);
  return watch.end()?.what ?? null;
}

const filters = (lists: Partial<TargetRules['filters']>): Partial<TargetRules> => ({
  filters: { ...NO_FILTERS, ...lists },
});

describe('what the rules of a target leave out is not seen by its guards', () => {
  test('statements: by the default database, as a server judges them', () => {
    const rules = filters({ doDb: ['shop'] });
    expect(found(rules, 'DROP TABLE t')).toBeNull();
    expect(found(rules, 'DROP TABLE shop.t')).toBeNull();
    expect(found(filters({ ignoreDb: ['other'] }), 'DROP TABLE shop.t')).toBe('DROP TABLE shop.t');
  });

  test('statements: by the tables that they name', () => {
    const rules = filters({ wildDoTable: ['shop.%'] });
    expect(found(rules, 'DROP TABLE shop.t')).toBe('DROP TABLE shop.t');
    expect(found(rules, 'DROP TABLE t')).toBeNull();
    expect(found({ ...rules, ddlFilter: 'objects' }, 'ALTER TABLE t ADD c INT')).toBeNull();
  });

  test('rows: by their table', () => {
    const rules = filters({ ignoreTable: ['shop.log'] });
    expect(deleted(rules, 'shop', 'orders')).toBe('50 rows deleted from shop.orders');
    expect(deleted(rules, 'shop', 'log')).toBeNull();
  });

  test('kinds of change that are skipped', () => {
    const rules: Partial<TargetRules> = {
      skipEvents: [{ table: 'shop.tmp_%', events: ['drop_table', 'delete'] }],
    };
    expect(found(rules, 'DROP TABLE shop.tmp_1')).toBeNull();
    expect(deleted(rules, 'shop', 'tmp_1')).toBeNull();
    expect(found(rules, 'DROP TABLE shop.orders')).toBe('DROP TABLE shop.orders');
    expect(deleted(rules, 'shop', 'orders')).not.toBeNull();
  });

  test('the system: its schemas, and accounts, also those that cannot be read', () => {
    const rules: Partial<TargetRules> = { replicateSystem: false };
    expect(found(rules, 'ALTER TABLE mysql.user ADD c INT')).toBeNull();
    expect(deleted(rules, 'mysql', 'user')).toBeNull();
    expect(found(rules, 'GRANT FROBNICATION ON EVERYTHING')).toBeNull();
    expect(found(rules, 'DROP TABLE shop.orders')).toBe('DROP TABLE shop.orders');
  });

  test('what cannot be read, where the rules skip it', () => {
    const rules = filters({ wildDoTable: ['shop.%'] });
    expect(found({ ...rules, onUnparsedDdl: 'skip' }, 'FROBNICATE TABLE shop.t')).toBeNull();
    expect(found({ ...rules, onUnparsedDdl: 'apply' }, 'FROBNICATE TABLE shop.t')).toMatch(/^FROBNICATE/);
    expect(found(rules, 'FROBNICATE TABLE shop.t')).toMatch(/^FROBNICATE/);
  });
});

test('without a rule everything is seen', () => {
  expect(found({}, 'DROP TABLE t')).toBe('DROP TABLE d.t');
  expect(deleted({}, 'mysql', 'user')).toBe('50 rows deleted from mysql.user');
});
