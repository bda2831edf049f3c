import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nameMatching } from '../../../src/rules/name-matching.ts';

const MYSQL = nameMatching({ flavour: 'mysql', lowerCaseTableNames: 0 });
const MYSQL_LOWER = nameMatching({ flavour: 'mysql', lowerCaseTableNames: 1 });
const MARIADB = nameMatching({ flavour: 'mariadb', lowerCaseTableNames: 0 });

function matches(names: typeof MYSQL, pattern: string, name: string): boolean {
  return names.pattern(pattern)(names.patternKey(name));
}

describe('a pattern', () => {
  test.each([
    ['shop.%', 'shop.orders', true],
    ['shop.%', 'shop.', true],
    ['shop.%', 'shopx.orders', false],
    ['shop.tmp_1', 'shop.tmpx1', true],
    ['shop.tmp\\_1', 'shop.tmpx1', false],
    ['shop.tmp\\_1', 'shop.tmp_1', true],
    ['shop.a\\%', 'shop.a%', true],
    ['shop.a\\%', 'shop.ab', false],
    ['shop.a\\\\b', 'shop.a\\b', true],
    ['shop.a\\', 'shop.a\\', true],
    ['shop.\\orders', 'shop.orders', true],
    ['%.%', 'a.b', true],
    ['%a%b%c%', 'xaxbxcx', true],
    ['%a%b%c%', 'xaxcxb', false],
    ['shop.%%', 'shop.x', true],
    ['%_', '', false],
    ['', '', true],
    ['', 'a', false],
    ['shop.O%', 'shop.orders', false],
    ['shop.caf_', 'shop.café', false],
    ['shop.caf__', 'shop.café', true],
  ])('%s and %s: %s, as on MySQL with lower_case_table_names=0', (pattern, name, expected) => {
    expect(matches(MYSQL, pattern, name)).toBe(expected);
  });

  test('knows no case where the target knows none, and then an underscore is one character', () => {
    expect(matches(MYSQL_LOWER, 'SHOP.Caf_', 'shop.café')).toBe(true);
    expect(matches(MYSQL_LOWER, 'shop.cafe', 'shop.café')).toBe(false);
    expect(matches(MYSQL_LOWER, 'shop.ΠΙΝΑΚΑΣ', 'shop.πινακασ')).toBe(true);
  });

  test('knows neither case nor accents on MariaDB', () => {
    expect(matches(MARIADB, 'shop.CAFE', 'shop.café')).toBe(true);
    expect(matches(MARIADB, 'shop.nandu%', 'shop.Ñandu1')).toBe(true);
  });

  test('is the regular expression that it stands for', () => {
    const piece = fc.constantFrom('a', 'b', '.', '%', '_', '\\_', '\\%', '\\\\');
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '_', '%', '\\'), maxLength: 12 });
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), name, (pieces, text) => {
        const source = pieces
          .map((each) => {
            if (each === '%') return '.*';
            if (each === '_') return '.';
            return `\\${each.at(-1)}`.replace(/^\\([ab])$/, '$1');
          })
          .join('');
        return matches(MYSQL, pieces.join(''), text) === new RegExp(`^${source}$`, 's').test(text);
      }),
      { numRuns: 3000 },
    );
  });

  test('of many percent signs takes no time that grows with their combinations', () => {
    const started = performance.now();
    expect(matches(MYSQL, `${'%a'.repeat(30)}b`, 'a'.repeat(64))).toBe(false);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe('names of databases and tables', () => {
  test('are the same byte by byte, or without their case', () => {
    expect(MYSQL.databaseKey('Shop')).not.toBe(MYSQL.databaseRuleKey('shop'));
    expect(MYSQL_LOWER.databaseKey('Shop')).toBe(MYSQL_LOWER.databaseRuleKey('sHOP'));
    expect(MYSQL_LOWER.tableKey('Shop.Orders')).toBe(MYSQL_LOWER.tableKey('shop.ORDERS'));
    expect(MYSQL_LOWER.tableKey('shop.cafe')).not.toBe(MYSQL_LOWER.tableKey('shop.café'));
  });

  test('MariaDB: table rules know no case, but as many bytes; a rule with capitals is no database where names are lowered', () => {
    expect(MARIADB.tableKey('shop.ORDERS')).toBe(MARIADB.tableKey('Shop.orders'));
    expect(MARIADB.tableKey('shop.čada')).toBe(MARIADB.tableKey('shop.çada'));
    expect(MARIADB.tableKey('shop.café')).not.toBe(MARIADB.tableKey('shop.cafe'));
    const lowered = nameMatching({ flavour: 'mariadb', lowerCaseTableNames: 1 });
    expect(lowered.databaseKey('SHOP')).toBe(lowered.databaseRuleKey('shop'));
    expect(lowered.databaseKey('SHOP')).not.toBe(lowered.databaseRuleKey('SHOP'));
  });
});
