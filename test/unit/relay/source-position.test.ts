import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nextSourcePosition } from '../../../src/relay/source-position.ts';

const WRAP = 2 ** 32;

test('positions are counted in full although events tell them modulo 4 GiB', () => {
  const lengths = fc.array(fc.integer({ min: 19, max: 2 ** 30 }), { maxLength: 60 });
  fc.assert(
    fc.property(fc.nat(2 ** 40), lengths, (start, events) => {
      let actual = start;
      let counted = start;
      for (const length of events) {
        actual += length;
        counted = nextSourcePosition(counted, actual % WRAP, length);
        expect(counted).toBe(actual);
      }
    }),
  );
});

test('an event without a position (MariaDB 11.4 inside of a transaction) is counted by its length', () => {
  expect(nextSourcePosition(1000, 0, 31)).toBe(1031);
});

test('what the source wrote in between and did not send moves the position on', () => {
  expect(nextSourcePosition(1000, 5031, 31)).toBe(5031);
  expect(nextSourcePosition(WRAP - 100, 20, 31)).toBe(WRAP + 20);
});

test('an event that ends where the one before did changes nothing', () => {
  expect(nextSourcePosition(5031, 5031, 31)).toBe(5031);
});
