/**
 * Sizes and durations as people write them: always with a unit, so that nobody has to know which one is meant.
 *
 *   size      64MiB 1GiB 512k 1.5g 4096B      k m g t and KiB MiB GiB TiB are powers of 1024, as MySQL's options
 *                                             read them; kB MB GB TB are powers of 1000
 *   duration  100ms 30s 1.5m 24h 7d
 *
 * Exact: a text that does not come out as a whole number of bytes or milliseconds is refused, never rounded.
 */

/** Why a text is no value, as the end of a sentence that begins with the key's path. */
export class UnitError extends Error {}

const SIZE_UNITS: Readonly<Record<string, number>> = {
  b: 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Bytes. Throws UnitError. */
export function parseSize(value: unknown): number {
  return parseWithUnit(value, SIZE_UNITS, 'a size like 64MiB', 'MiB');
}

/** Milliseconds. Throws UnitError. */
export function parseDuration(value: unknown): number {
  return parseWithUnit(value, DURATION_UNITS, 'a duration like 30s (ms, s, m, h, d)', 's');
}

function parseWithUnit(
  value: unknown,
  units: Readonly<Record<string, number>>,
  expected: string,
  exampleUnit: string,
): number {
  if (typeof value === 'number') {
    throw new UnitError(`${value} has no unit; write ${expected}, for example ${value}${exampleUnit}`);
  }
  if (typeof value !== 'string') throw new UnitError(`expected ${expected}`);
  const match = /^(\d{1,15})(?:\.(\d{1,6}))?\s?([A-Za-z]*)$/.exec(value.trim());
  if (match === null) throw new UnitError(`${JSON.stringify(value)} is not ${expected}`);
  const [, whole = '', fraction = '', unit = ''] = match;
  if (unit === '') {
    throw new UnitError(`${value} has no unit; write ${expected}, for example ${value}${exampleUnit}`);
  }
  const factor = units[unit.toLowerCase()];
  if (factor === undefined) {
    throw new UnitError(`unknown unit ${unit}; write ${expected}`);
  }
  // Counted in millionths as whole numbers: 0.1 has no exact float.
  const millionths = BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
  const scaled = millionths * BigInt(factor);
  if (scaled % 1_000_000n !== 0n) throw new UnitError(`${value} is not a whole number of the smallest unit`);
  const result = scaled / 1_000_000n;
  if (result > BigInt(Number.MAX_SAFE_INTEGER)) throw new UnitError(`${value} is too large`);
  return Number(result);
}

/** The shortest text that `parseSize` reads back as exactly `bytes`. */
export function formatSize(bytes: number): string {
  for (const [unit, factor] of [
    ['TiB', 1024 ** 4],
    ['GiB', 1024 ** 3],
    ['MiB', 1024 ** 2],
    ['KiB', 1024],
  ] as const) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return `${bytes}B`;
}

/** The shortest text that `parseDuration` reads back as exactly `ms`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const factor = DURATION_UNITS[unit]!;
    if (ms >= factor && ms % factor === 0) return `${ms / factor}${unit}`;
  }
  return `${ms}ms`;
}
