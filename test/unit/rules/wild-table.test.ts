import { expect, test } from 'vitest';
import { WildTable, wildTableProblem } from '../../../src/rules/wild-table.ts';

test.each([
  ['shop.orders', 'shop', 'orders', true],
  ['shop.orders', 'shop', 'orders2', false],
  ['shop.orders', 'shops', 'orders', false],
  ['shop.%', 'shop', 'orders', true],
  ['shop.%', 'shop', '', true],
  ['shop%.%', 'shop_dr', 'orders', true],
  ['%.%', 'a', 'b', true],
  ['shop.tmp_%', 'shop', 'tmp', false],
  ['shop.tmp_%', 'shop', 'tmpX', true],
  ['shop.tmp\\_%', 'shop', 'tmpX', false],
  ['shop.tmp\\_%', 'shop', 'tmp_1', true],
  ['shop.100\\%', 'shop', '100%', true],
  ['shop.a%b%c', 'shop', 'aXbbYc', true],
  ['shop.a%b%c', 'shop', 'aXbbY', false],
  ['SHOP.Orders', 'shop', 'oRDERS', true],
  ['shop.a.b', 'shop', 'a.b', true],
  ['shop.größe', 'shop', 'GRÖSSE', false],
  ['shop.größe', 'shop', 'GRÖßE', true],
  ['shop._', 'shop', '😀', true],
  ['shop.a\\', 'shop', 'a\\', true],
])('%s for %s.%s: %s', (pattern, database, table, expected) => {
  expect(new WildTable(pattern).matches(database, table)).toBe(expected);
});

test('a pattern with many wildcards is decided at once', () => {
  const began = performance.now();
  expect(new WildTable(`shop.${'%a'.repeat(200)}%b`).matches('shop', 'a'.repeat(5000))).toBe(false);
  expect(performance.now() - began).toBeLessThan(2000);
});

test.each(['orders', '.orders', 'shop.', ''])('"%s" names no table', (pattern) => {
  expect(wildTableProblem(pattern)).toMatch(/is no pattern of tables; write database.table/);
});
