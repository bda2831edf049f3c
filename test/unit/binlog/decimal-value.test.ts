import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decimalWidth } from '../../../src/binlog/column-type.ts';
import { decimalText } from '../../../src/binlog/decimal-value.ts';

/**
 * Packs digits as the server does, from the digits alone: groups of nine from the point outwards, each in as many bytes
 * as its digits need, then the sign.
 */
function pack(negative: boolean, whole: string, fraction: string): Buffer {
  const groups: string[] = [];
  for (let end = whole.length; end > 0; end -= 9) groups.unshift(whole.slice(Math.max(0, end - 9), end));
  for (let at = 0; at < fraction.length; at += 9) groups.push(fraction.slice(at, at + 9));
  const bytes = groups.flatMap((digits) => {
    const length = Math.min(4, Math.ceil(digits.length / 2));
    const group = Buffer.alloc(length);
    group.writeUIntBE(Number(digits), 0, length);
    return [...group];
  });
  const packed = Buffer.from(negative ? bytes.map((byte) => byte ^ 0xff) : bytes);
  packed[0]! ^= 0x80;
  return packed;
}

const digitsOf = (length: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0, max: 9 }), { minLength: length, maxLength: length })
    .map((digits) => digits.join(''));

const form = fc
  .tuple(fc.integer({ min: 1, max: 65 }), fc.integer({ min: 0, max: 30 }))
  .filter(([precision, scale]) => scale <= precision);

describe('a decimal', () => {
  test('reads back digit by digit, for every precision and scale', () => {
    const value = form.chain(([precision, scale]) =>
      fc.tuple(
        fc.constant(precision),
        fc.constant(scale),
        digitsOf(precision - scale),
        digitsOf(scale),
        fc.boolean(),
      ),
    );
    fc.assert(
      fc.property(value, ([precision, scale, whole, fraction, negative]) => {
        const packed = pack(negative, whole, fraction);
        expect(packed.length).toBe(decimalWidth(precision, scale));
        const digits = whole.replace(/^0+(?=.)/, '') || '0';
        const size = scale > 0 ? `${digits}.${fraction}` : digits;
        const isZero = !/[1-9]/.test(size);
        expect(decimalText(packed, 0, precision, scale)).toBe(negative && !isZero ? `-${size}` : size);
      }),
      { numRuns: 1000 },
    );
  });

  test('stands anywhere in the buffer', () => {
    const packed = Buffer.concat([Buffer.alloc(3, 0xee), pack(true, '0012', '3400'), Buffer.alloc(3, 0xee)]);
    expect(decimalText(packed, 3, 8, 4)).toBe('-12.3400');
  });

  test('whose group holds more than its digits is malformed', () => {
    expect(() => decimalText(Buffer.from([0x80 | 0x7f]), 0, 2, 0)).toThrow(
      expect.objectContaining({ code: 'MALFORMED_EVENT' }),
    );
  });
});
