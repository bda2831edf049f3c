import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  UnitError,
} from '../../../src/config/units.ts';

describe('sizes', () => {
  test.each([
    ['4096B', 4096],
    ['512k', 524_288],
    ['512K', 524_288],
    ['64MiB', 67_108_864],
    ['64mib', 67_108_864],
    ['64 MiB', 67_108_864],
    ['1GiB', 1_073_741_824],
    ['1.5GiB', 1_610_612_736],
    ['2t', 2_199_023_255_552],
    ['10MB', 10_000_000],
    ['0.5kB', 500],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  test.each([
    ['64', /64 has no unit; write a size like 64MiB, for example 64MiB/],
    [64, /64 has no unit; write a size like 64MiB, for example 64MiB/],
    ['0', /has no unit/],
    ['64Mb!', /"64Mb!" is not a size like 64MiB/],
    ['-1MiB', /"-1MiB" is not a size/],
    ['1e3k', /is not a size/],
    ['1XiB', /unknown unit XiB/],
    ['MiB', /is not a size/],
    ['', /is not a size/],
    ['0.3B', /0.3B is not a whole number/],
    ['9999999TiB', /is too large/],
    [true, /expected a size/],
    [null, /expected a size/],
    [['1k'], /expected a size/],
  ])('%j is refused with its reason', (value, reason) => {
    expect(() => parseSize(value)).toThrow(UnitError);
    expect(() => parseSize(value)).toThrow(reason);
  });

  test('what formatSize writes, parseSize reads back exactly', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.nat(),
          fc.maxSafeNat().map((n) => Math.floor(n / 1024) * 1024),
        ),
        (bytes) => {
          expect(parseSize(formatSize(bytes))).toBe(bytes);
        },
      ),
    );
    expect([formatSize(1024 ** 3), formatSize(1025), formatSize(0)]).toEqual(['1GiB', '1025B', '0B']);
  });
});

describe('durations', () => {
  test.each([
    ['0s', 0],
    ['0ms', 0],
    ['100ms', 100],
    ['30s', 30_000],
    ['1.5m', 90_000],
    ['5m', 300_000],
    ['24h', 86_400_000],
    ['7d', 604_800_000],
    ['0.001s', 1],
  ])('%s is %d milliseconds', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  test.each([
    ['30', /30 has no unit; write a duration like 30s \(ms, s, m, h, d\), for example 30s/],
    [5, /5 has no unit.*for example 5s/],
    ['0', /has no unit/],
    ['5x', /unknown unit x/],
    ['5min', /unknown unit min/],
    ['1.5ms', /not a whole number/],
    ['-5s', /is not a duration/],
    ['5s5s', /is not a duration/],
    [false, /expected a duration/],
  ])('%j is refused with its reason', (value, reason) => {
    expect(() => parseDuration(value)).toThrow(reason);
  });

  test('what formatDuration writes, parseDuration reads back exactly', () => {
    fc.assert(
      fc.property(fc.nat(100_000_000), fc.constantFrom(1, 1000, 60_000, 3_600_000, 86_400_000), (n, unit) => {
        expect(parseDuration(formatDuration(n * unit))).toBe(n * unit);
      }),
    );
    expect([formatDuration(86_400_000), formatDuration(90_000), formatDuration(1)]).toEqual([
      '1d',
      '90s',
      '1ms',
    ]);
  });

  test('no text makes the parsers do anything but answer or refuse', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.anything()), (value) => {
        for (const parse of [parseSize, parseDuration]) {
          try {
            const result = parse(value);
            expect(Number.isSafeInteger(result) && result >= 0).toBe(true);
          } catch (error) {
            expect(error).toBeInstanceOf(UnitError);
          }
        }
      }),
    );
  });
});
