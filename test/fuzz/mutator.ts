/**
 * Makes a damaged input out of real ones. One to five changes are stacked; most are those that hurt decoders: lengths
 * that lie, cuts, pieces of two inputs joined, numbers at the edge of their type.
 */
import type { Random } from './random.ts';

/** No input grows beyond this, so that "too slow" means the decoder and not the size. */
export const INPUT_BYTES_MAX = 64 * 1024;

const EDGES = [
  0n,
  1n,
  2n,
  4n,
  0x7fn,
  0x80n,
  0xfbn,
  0xfcn,
  0xfdn,
  0xfen,
  0xffn,
  0x7fffn,
  0x8000n,
  0xffffn,
  0xff_ffffn,
];
const WIDE_EDGES = [
  ...EDGES,
  0x100_0000n,
  0x7fff_ffffn,
  0x8000_0000n,
  0xffff_ffffn,
  0x1_0000_0000n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];
const WIDTHS = [1, 2, 3, 4, 6, 8];

type Change = (random: Random, input: Buffer, seeds: readonly Buffer[]) => Buffer;

const flipBit: Change = (random, input) => {
  const at = random.below(input.length);
  input[at] = input[at]! ^ (1 << random.below(8));
  return input;
};

const setByte: Change = (random, input) => {
  input[random.below(input.length)] = random.oneIn(2) ? random.u32() : Number(random.pick(EDGES) & 0xffn);
  return input;
};

/** Writes a number of some width, little- or big-endian, over any place. */
const setNumber: Change = (random, input) => {
  const width = random.pick(WIDTHS);
  const edges = [
    BigInt(input.length),
    BigInt(input.length - random.skewed(input.length)),
    random.pick(WIDE_EDGES),
  ];
  writeNumber(input, random.below(input.length), width, random.pick(edges), random.oneIn(5));
  return input;
};

/** Moves what may be a length a little up or down. */
const nudgeNumber: Change = (random, input) => {
  const width = random.pick(WIDTHS);
  const at = random.below(input.length);
  let value = 0n;
  for (let i = 0; i < width && at + i < input.length; i++) value |= BigInt(input[at + i]!) << BigInt(8 * i);
  const step = BigInt(1 + random.skewed(16));
  writeNumber(input, at, width, random.oneIn(2) ? value + step : value - step, false);
  return input;
};

const cut: Change = (random, input) => input.subarray(0, random.below(input.length));

const cutFront: Change = (random, input) => input.subarray(random.skewed(input.length));

const grow: Change = (random, input) =>
  Buffer.concat([input, random.fill(Buffer.allocUnsafe(1 + random.skewed(64)))]);

const splice: Change = (random, input, seeds) => {
  const other = random.pick(seeds);
  return Buffer.concat([
    input.subarray(0, random.below(input.length)),
    other.subarray(random.below(other.length)),
  ]);
};

const remove: Change = (random, input) => {
  const from = random.below(input.length);
  const to = Math.min(input.length, from + 1 + random.skewed(32));
  return Buffer.concat([input.subarray(0, from), input.subarray(to)]);
};

const repeat: Change = (random, input) => {
  const from = random.below(input.length);
  const piece = input.subarray(from, Math.min(input.length, from + 1 + random.skewed(64)));
  const times = random.oneIn(50) ? 1 + random.below(500) : 1 + random.below(4);
  const pieces = new Array<Buffer>(times).fill(piece);
  return Buffer.concat([input.subarray(0, from), ...pieces, input.subarray(from)]);
};

const overwrite: Change = (random, input) => {
  const from = random.below(input.length);
  random.fill(input.subarray(from, Math.min(input.length, from + 1 + random.skewed(32))));
  return input;
};

const CHANGES: readonly Change[] = [
  flipBit,
  flipBit,
  setByte,
  setByte,
  setNumber,
  setNumber,
  nudgeNumber,
  nudgeNumber,
  cut,
  cutFront,
  grow,
  splice,
  remove,
  repeat,
  overwrite,
];

/** A new buffer of its own; one in 64 is a real input unchanged, one in 64 pure noise. */
export function mutate(random: Random, seeds: readonly Buffer[]): Buffer {
  if (random.oneIn(64)) return random.fill(Buffer.allocUnsafe(random.skewed(256)));
  let input = Buffer.from(random.pick(seeds));
  if (random.oneIn(64)) return input;
  for (let changes = 1 + random.skewed(4); changes > 0 && input.length > 0; changes--) {
    input = random.pick(CHANGES)(random, input, seeds) as Buffer<ArrayBuffer>;
  }
  return Buffer.from(input.subarray(0, INPUT_BYTES_MAX));
}

function writeNumber(input: Buffer, at: number, width: number, value: bigint, bigEndian: boolean): void {
  for (let i = 0; i < width && at + i < input.length; i++) {
    const byte = bigEndian ? width - 1 - i : i;
    input[at + i] = Number((value >> BigInt(8 * byte)) & 0xffn);
  }
}
