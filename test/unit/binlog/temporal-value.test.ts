import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as temporal from '../../../src/binlog/temporal-value.ts';

const malformed = expect.objectContaining({ code: 'MALFORMED_EVENT' });
const two = (value: number | bigint): string => String(value).padStart(2, '0');
const pointOf = (micros: number, digits: number): string =>
  digits === 0 ? '' : `.${String(micros).padStart(6, '0').slice(0, digits)}`;

/** A big-endian number of `length` bytes. */
function bigEndian(value: bigint, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = length - 1, rest = value; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn);
  return bytes;
}

/** What a column of `digits` can hold of a fraction: the rest is zero. */
const fractionOf = (digits: number): fc.Arbitrary<number> =>
  fc.integer({ min: 0, max: 10 ** digits - 1 }).map((value) => value * 10 ** (6 - digits));

const digits = fc.integer({ min: 0, max: 6 });
const clock = fc.tuple(
  fc.integer({ min: 0, max: 23 }),
  fc.integer({ min: 0, max: 59 }),
  fc.integer({ min: 0, max: 59 }),
);
/** Impossible and partial dates are dates to MySQL. */
const date = fc.tuple(
  fc.integer({ min: 0, max: 9999 }),
  fc.integer({ min: 0, max: 12 }),
  fc.integer({ min: 0, max: 31 }),
);
const dateWord = ([y, m, d]: [number, number, number]): string =>
  `${String(y).padStart(4, '0')}-${two(m)}-${two(d)}`;

describe('TIME', () => {
  const value = digits.chain((n) =>
    fc.tuple(
      fc.constant(n),
      fractionOf(n),
      fc.integer({ min: 0, max: 838 }),
      fc.integer({ min: 0, max: 59 }),
      fc.integer({ min: 0, max: 59 }),
      fc.boolean(),
    ),
  );

  test('reads back with its sign and fraction', () => {
    fc.assert(
      fc.property(value, ([n, micros, hours, minutes, seconds, negative]) => {
        const bytes = Math.ceil(n / 2);
        // One number of fixed point, then two's complement around the middle of the range.
        const units = (BigInt(hours) << 12n) | (BigInt(minutes) << 6n) | BigInt(seconds);
        const packed = (units << BigInt(8 * bytes)) + BigInt(micros / 100 ** (3 - bytes));
        const middle = 1n << BigInt(23 + 8 * bytes);
        const encoded = bigEndian(middle + (negative ? -packed : packed), 3 + bytes);
        const sign = negative && packed !== 0n ? '-' : '';
        expect(temporal.time2Text(encoded, 0, n)).toBe(
          `${sign}${two(hours)}:${two(minutes)}:${two(seconds)}${pointOf(micros, n)}`,
        );
      }),
      { numRuns: 1000 },
    );
  });

  test('of more than 838 hours or 60 seconds is malformed', () => {
    expect(() => temporal.time2Text(bigEndian(0x80_0000n + (839n << 12n), 3), 0, 0)).toThrow(malformed);
    expect(() => temporal.time2Text(bigEndian(0x80_003cn, 3), 0, 0)).toThrow(malformed);
    expect(() => temporal.time2Text(Buffer.from([0x80, 0, 0, 100]), 0, 2)).toThrow(malformed);
  });
});

describe('DATETIME', () => {
  test('reads back, impossible days and all', () => {
    const value = digits.chain((n) => fc.tuple(fc.constant(n), fractionOf(n), date, clock));
    fc.assert(
      fc.property(value, ([n, micros, day, [h, m, s]]) => {
        const bytes = Math.ceil(n / 2);
        const months = BigInt(day[0] * 13 + day[1]);
        const ymd = (months << 5n) | BigInt(day[2]);
        const units = (ymd << 17n) | (BigInt(h) << 12n) | (BigInt(m) << 6n) | BigInt(s);
        const encoded = Buffer.concat([
          bigEndian((1n << 39n) + units, 5),
          bigEndian(BigInt(micros / 100 ** (3 - bytes)), bytes),
        ]);
        const text = `${dateWord(day)} ${two(h)}:${two(m)}:${two(s)}`;
        expect(temporal.datetime2Text(encoded, 0, n)).toBe(text + pointOf(micros, n));
        const packed = (units << 24n) | BigInt(micros);
        expect(temporal.packedTemporalText(packed, 'datetime')).toBe(text + pointOf(micros, 6));
        expect(temporal.packedTemporalText(packed, 'date')).toBe(dateWord(day));
        const old = Buffer.alloc(8);
        old.writeBigUInt64LE(BigInt(text.replace(/\D/g, '')));
        expect(temporal.oldDatetimeText(old, 0)).toBe(text);
      }),
      { numRuns: 1000 },
    );
  });

  test('that is negative or has an hour 24 is malformed', () => {
    expect(() => temporal.datetime2Text(bigEndian((1n << 39n) - 1n, 5), 0, 0)).toThrow(malformed);
    expect(() => temporal.datetime2Text(bigEndian((1n << 39n) + (24n << 12n), 5), 0, 0)).toThrow(malformed);
    expect(() => temporal.packedTemporalText(-1n, 'datetime')).toThrow(malformed);
  });
});

describe('TIMESTAMP', () => {
  test('is the same instant as the platform calendar says, up to 2106', () => {
    const value = digits.chain((n) =>
      fc.tuple(fc.constant(n), fractionOf(n), fc.integer({ min: 1, max: 0xffff_ffff })),
    );
    fc.assert(
      fc.property(value, ([n, micros, seconds]) => {
        const bytes = Math.ceil(n / 2);
        const encoded = Buffer.concat([
          bigEndian(BigInt(seconds), 4),
          bigEndian(BigInt(micros / 100 ** (3 - bytes)), bytes),
        ]);
        const expected = new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
        expect(temporal.timestamp2Text(encoded, 0, n)).toBe(expected + pointOf(micros, n));
      }),
      { numRuns: 1000 },
    );
  });

  test('of zero seconds is the zero date', () => {
    expect(temporal.timestamp2Text(Buffer.alloc(6), 0, 3)).toBe('0000-00-00 00:00:00.000');
  });
});

describe('DATE', () => {
  test('reads back', () => {
    fc.assert(
      fc.property(date, (day) => {
        const bytes = Buffer.alloc(3);
        bytes.writeUIntLE((day[0] << 9) | (day[1] << 5) | day[2], 0, 3);
        expect(temporal.dateText(bytes, 0)).toBe(dateWord(day));
      }),
    );
  });

  test('of a thirteenth month or a year 10000 is malformed', () => {
    for (const bits of [(2024 << 9) | (13 << 5) | 1, (10000 << 9) | (1 << 5) | 1]) {
      const bytes = Buffer.alloc(3);
      bytes.writeUIntLE(bits, 0, 3);
      expect(() => temporal.dateText(bytes, 0)).toThrow(malformed);
    }
  });
});

describe('a time in JSON', () => {
  test('is negative as a whole', () => {
    const packed = -(((1n << 12n) << 24n) + 500_000n);
    expect(temporal.packedTemporalText(packed, 'time')).toBe('-01:00:00.500000');
  });
});
