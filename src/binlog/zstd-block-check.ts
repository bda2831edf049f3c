/**
 * Checks a compressed block of a zstd frame before it is decompressed (RFC 8878, 3.1.1.3).
 *
 * fzstd trusts the lengths in a block: one of twenty bytes can keep it busy for ten seconds with copies that go nowhere.
 * So the sequences of a block are walked here first, which is a tenth of the work: what they copy must fit into the block, and
 * the bits they are read from must be there, and no others.
 *
 *   block     := literals sequences
 *   literals  := header (type, size when decompressed, size) content
 *   sequences := count · modes u8 · tables · bitstream, read backwards
 *
 * A sequence is a literal length, a match length and an offset, each as a code of a finite state entropy (FSE) table and some
 * more bits. Tables may be repeated from the block before: one check per frame.
 */
import { malformed } from './byte-decoder.ts';

const WHAT = 'zstd block';

/** Decodes by state: the symbol, how many bits the next state takes, and what they are added to. */
interface Table {
  readonly accuracy: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

interface TableKind {
  readonly symbolCount: number;
  readonly accuracyMax: number;
  readonly predefined: Table;
}

interface Cursor {
  at: number;
}

// biome-ignore format: tables of the RFC, by code
const LITERAL_LENGTH_BITS = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];
// biome-ignore format: as above
const MATCH_LENGTH_BITS = [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
];
const LITERAL_LENGTH_BASES = bases(LITERAL_LENGTH_BITS, 0);
const MATCH_LENGTH_BASES = bases(MATCH_LENGTH_BITS, 3);
const OFFSET_CODES = 32;

// biome-ignore format: tables of the RFC
const LITERAL_LENGTHS: TableKind = kind(LITERAL_LENGTH_BITS.length, 9, 6, [
  4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
]);
// biome-ignore format: as above
const OFFSETS: TableKind = kind(OFFSET_CODES, 8, 5, [
  1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
]);
// biome-ignore format: as above
const MATCH_LENGTHS: TableKind = kind(MATCH_LENGTH_BITS.length, 9, 6, [
  1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
  1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
]);

export class ZstdBlockCheck {
  #literalLengths: Table | null = null;
  #offsets: Table | null = null;
  #matchLengths: Table | null = null;

  /** `block` is the content of a compressed block; it may give `sizeMax` bytes. Throws MALFORMED_EVENT. */
  check(block: Buffer, sizeMax: number): void {
    const cursor = { at: 0 };
    const literals = skipLiterals(block, cursor);
    if (literals > sizeMax) throw malformed(WHAT, `${literals} literals`);
    const count = sequenceCount(block, cursor);
    if (count === 0) return;
    const modes = byteAt(block, cursor.at++);
    if ((modes & 3) !== 0) throw malformed(WHAT, 'a reserved bit is set');
    this.#literalLengths = readTable(block, cursor, modes >> 6, LITERAL_LENGTHS, this.#literalLengths);
    this.#offsets = readTable(block, cursor, (modes >> 4) & 3, OFFSETS, this.#offsets);
    this.#matchLengths = readTable(block, cursor, (modes >> 2) & 3, MATCH_LENGTHS, this.#matchLengths);
    const stream = new BackwardBits(block.subarray(cursor.at));
    walk(stream, count, literals, sizeMax, this.#literalLengths, this.#offsets, this.#matchLengths);
  }
}

/** Follows the sequences and adds up what they give. */
function walk(
  stream: BackwardBits,
  count: number,
  literals: number,
  sizeMax: number,
  literalLengths: Table,
  offsets: Table,
  matchLengths: Table,
): void {
  let literalState = stream.take(literalLengths.accuracy);
  let offsetState = stream.take(offsets.accuracy);
  let matchState = stream.take(matchLengths.accuracy);
  let literalsLeft = literals;
  let sizeLeft = sizeMax - literals;
  for (let left = count; ; ) {
    stream.skip(offsets.symbols[offsetState]!);
    const matchCode = matchLengths.symbols[matchState]!;
    sizeLeft -= MATCH_LENGTH_BASES[matchCode]! + stream.take(MATCH_LENGTH_BITS[matchCode]!);
    const literalCode = literalLengths.symbols[literalState]!;
    literalsLeft -= LITERAL_LENGTH_BASES[literalCode]! + stream.take(LITERAL_LENGTH_BITS[literalCode]!);
    if (sizeLeft < 0 || literalsLeft < 0) throw malformed(WHAT, 'its sequences give more than a block holds');
    if (--left === 0) break;
    literalState = literalLengths.bases[literalState]! + stream.take(literalLengths.bits[literalState]!);
    matchState = matchLengths.bases[matchState]! + stream.take(matchLengths.bits[matchState]!);
    offsetState = offsets.bases[offsetState]! + stream.take(offsets.bits[offsetState]!);
  }
  if (stream.left !== 0) throw malformed(WHAT, 'its sequences do not use up their bits');
}

/** A bitstream that is read from its end: the highest one bit of the last byte stands before the first bit. */
class BackwardBits {
  readonly #stream: Buffer;
  left: number;

  constructor(stream: Buffer) {
    const last = stream.length === 0 ? 0 : stream[stream.length - 1]!;
    if (last === 0) throw malformed(WHAT, 'its bitstream has no end');
    this.#stream = stream;
    this.left = stream.length * 8 - 1 - Math.clz32(last << 24);
  }

  skip(count: number): void {
    this.left -= count;
    if (this.left < 0) throw malformed(WHAT, 'its bitstream is too short');
  }

  /** At most 16 bits. */
  take(count: number): number {
    this.skip(count);
    return bitsAt(this.#stream, this.left, count);
  }
}

/** `count` bits, at most 16, from bit `at` on. */
function bitsAt(stream: Buffer, at: number, count: number): number {
  const byte = at >> 3;
  const three = (stream[byte] ?? 0) | ((stream[byte + 1] ?? 0) << 8) | ((stream[byte + 2] ?? 0) << 16);
  return (three >>> (at & 7)) & ((1 << count) - 1);
}

/** Moves behind the literals and returns how many there will be. */
function skipLiterals(block: Buffer, cursor: Cursor): number {
  const first = byteAt(block, 0);
  const type = first & 3;
  const format = (first >> 2) & 3;
  if (type < 2) {
    const headerLength = format === 1 ? 2 : format === 3 ? 3 : 1;
    const size = littleEndian(block, headerLength) >> (headerLength === 1 ? 3 : 4);
    cursor.at = headerLength + (type === 0 ? size : 1);
    return size;
  }
  const headerLength = format < 2 ? 3 : format + 2;
  const sizeBits = format < 2 ? 10 : format * 4 + 6;
  const sizes = Math.floor(littleEndian(block, headerLength) / 16);
  cursor.at = headerLength + Math.floor(sizes / 2 ** sizeBits);
  return sizes % 2 ** sizeBits;
}

function littleEndian(block: Buffer, length: number): number {
  if (length > block.length) throw malformed(WHAT, 'it is cut off');
  return block.readUIntLE(0, length);
}

function sequenceCount(block: Buffer, cursor: Cursor): number {
  const first = byteAt(block, cursor.at++);
  if (first < 128) return first;
  const second = byteAt(block, cursor.at++);
  if (first < 255) return ((first - 128) << 8) | second;
  return (second | (byteAt(block, cursor.at++) << 8)) + 0x7f00;
}

function byteAt(block: Buffer, at: number): number {
  const byte = block[at];
  if (byte === undefined) throw malformed(WHAT, 'it is cut off');
  return byte;
}

/** By mode: 0 predefined, 1 one symbol, 2 described here, 3 that of the block before. */
function readTable(block: Buffer, cursor: Cursor, mode: number, of: TableKind, before: Table | null): Table {
  if (mode === 0) return of.predefined;
  if (mode === 3) {
    if (before === null) throw malformed(WHAT, 'it repeats a table that was never there');
    return before;
  }
  if (mode === 2) return readFse(block, cursor, of);
  const symbol = byteAt(block, cursor.at++);
  if (symbol >= of.symbolCount) throw malformed(WHAT, `code ${symbol}`);
  return { accuracy: 0, symbols: Uint8Array.of(symbol), bits: new Uint8Array(1), bases: new Uint16Array(1) };
}

/** RFC 8878, 4.1.1: how likely each symbol is, in a bitstream that is read forwards. */
function readFse(block: Buffer, cursor: Cursor, of: TableKind): Table {
  const accuracy = (byteAt(block, cursor.at) & 15) + 5;
  if (accuracy > of.accuracyMax) throw malformed(WHAT, `a table of accuracy ${accuracy}`);
  const stream = block.subarray(cursor.at);
  let bit = 4;
  const take = (count: number): number => {
    if (bit + count > stream.length * 8) throw malformed(WHAT, 'it is cut off');
    bit += count;
    return bitsAt(stream, bit - count, count);
  };
  const counts: number[] = [];
  let left = 1 << accuracy;
  while (left > 0) {
    const width = 32 - Math.clz32(left + 1);
    const low = 2 ** width - 2 - left;
    let value = take(width - 1);
    if (value >= low && take(1) === 1) value += 2 ** (width - 1) - low;
    const share = value - 1;
    left -= Math.abs(share);
    counts.push(share);
    if (share === 0) {
      for (let zeros = 3; zeros === 3; ) {
        zeros = take(2);
        for (let i = 0; i < zeros; i++) counts.push(0);
      }
    }
    if (counts.length > of.symbolCount) throw malformed(WHAT, 'a table with too many symbols');
  }
  if (left < 0) throw malformed(WHAT, 'a table that is more than full');
  cursor.at += Math.ceil(bit / 8);
  return buildTable(accuracy, counts);
}

/** Spreads the symbols over the states; -1: less likely than one state, but it has one. */
function buildTable(accuracy: number, counts: readonly number[]): Table {
  const size = 1 << accuracy;
  const symbols = new Uint8Array(size);
  const next = counts.map((count) => Math.abs(count));
  let high = size;
  counts.forEach((count, symbol) => {
    if (count === -1) symbols[--high] = symbol;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let state = 0;
  counts.forEach((count, symbol) => {
    for (let i = 0; i < count; i++) {
      symbols[state] = symbol;
      do state = (state + step) & (size - 1);
      while (state >= high);
    }
  });
  const bits = new Uint8Array(size);
  const bases = new Uint16Array(size);
  for (let i = 0; i < size; i++) {
    const value = next[symbols[i]!]!++;
    bits[i] = accuracy - (31 - Math.clz32(value));
    bases[i] = (value << bits[i]!) - size;
  }
  return { accuracy, symbols, bits, bases };
}

function kind(
  symbolCount: number,
  accuracyMax: number,
  accuracy: number,
  counts: readonly number[],
): TableKind {
  return { symbolCount, accuracyMax, predefined: buildTable(accuracy, counts) };
}

/** The codes follow each other without a gap: each begins where the one before ends. */
function bases(bits: readonly number[], first: number): number[] {
  const out: number[] = [];
  let base = first;
  for (const count of bits) {
    out.push(base);
    base += 2 ** count;
  }
  return out;
}
