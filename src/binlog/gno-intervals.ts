/**
 * The transaction numbers (GNO) of one sid: an ordered list of intervals, the inside of a GTID set.
 *
 * Layout: one BigInt64Array, `start, end, start, end, …`, ends exclusive, the first `length` pairs in use. GNOs are signed
 * 64-bit on the server and lie in 1 … 2^63 - 2, so an exclusive end always fits.
 *
 * Invariants
 *  - start < end, and every start is greater than the end before it: neighbours that touch are one interval.
 *  - The next GNO (the common case, once per transaction) extends the last interval in place.
 *  - Set operations are linear in the intervals of both sides; only `fromUnordered` sorts.
 */

/** The largest GNO the server knows (GNO_END - 1). */
export const GNO_MAX = 0x7fff_ffff_ffff_fffen;

export class GnoIntervals {
  #data: BigInt64Array;
  #length: number;

  constructor(capacity = 2) {
    this.#data = new BigInt64Array(capacity * 2);
    this.#length = 0;
  }

  /**
   * Builds a list from intervals in any order, overlapping or not. `starts` and `ends` (exclusive) belong together by
   * index; both are sorted in place. Sorted apart they still tell where the union begins and ends: it goes on as long
   * as more starts than ends were passed.
   */
  static fromUnordered(starts: BigInt64Array, ends: BigInt64Array): GnoIntervals {
    if (!isSorted(starts)) starts.sort();
    if (!isSorted(ends)) ends.sort();
    const out = new GnoIntervals(starts.length);
    for (let i = 0; i < starts.length; i++) out.#append(starts[i]!, ends[i]!);
    return out;
  }

  /** How many intervals. */
  get length(): number {
    return this.#length;
  }

  startAt(index: number): bigint {
    return this.#data[index * 2]!;
  }

  /** Exclusive. */
  endAt(index: number): bigint {
    return this.#data[index * 2 + 1]!;
  }

  clone(): GnoIntervals {
    const out = new GnoIntervals(0);
    out.#data = this.#data.slice(0, Math.max(1, this.#length) * 2);
    out.#length = this.#length;
    return out;
  }

  count(): bigint {
    let sum = 0n;
    for (let i = 0; i < this.#length; i++) sum += this.endAt(i) - this.startAt(i);
    return sum;
  }

  has(gno: bigint): boolean {
    const at = this.#firstEndingAfter(gno);
    return at < this.#length && this.startAt(at) <= gno;
  }

  containsAll(other: GnoIntervals): boolean {
    let at = 0;
    for (let i = 0; i < other.#length; i++) {
      const start = other.startAt(i);
      at = this.#firstEndingAfter(start, at);
      if (at === this.#length || this.startAt(at) > start || this.endAt(at) < other.endAt(i)) return false;
    }
    return true;
  }

  equals(other: GnoIntervals): boolean {
    if (this.#length !== other.#length) return false;
    for (let i = this.#length * 2 - 1; i >= 0; i--) if (this.#data[i] !== other.#data[i]) return false;
    return true;
  }

  /** Adds start … end - 1. Constant time at the end of the list; elsewhere a binary search and a move of what follows. */
  add(start: bigint, end: bigint): void {
    if (this.#length === 0 || start >= this.endAt(this.#length - 1)) {
      this.#append(start, end);
      return;
    }
    // The intervals from `from` up to (not including) `to` touch or overlap the new one and melt into it.
    const from = this.#firstEndingAfter(start - 1n);
    let to = from;
    while (to < this.#length && this.startAt(to) <= end) to++;
    if (to > from) {
      if (this.startAt(from) < start) start = this.startAt(from);
      if (this.endAt(to - 1) > end) end = this.endAt(to - 1);
      this.#data.copyWithin((from + 1) * 2, to * 2, this.#length * 2);
      this.#length -= to - from - 1;
    } else {
      this.#reserve(this.#length + 1);
      this.#data.copyWithin((from + 1) * 2, from * 2, this.#length * 2);
      this.#length++;
    }
    this.#data[from * 2] = start;
    this.#data[from * 2 + 1] = end;
  }

  union(other: GnoIntervals): GnoIntervals {
    const out = new GnoIntervals(this.#length + other.#length);
    let i = 0;
    let j = 0;
    while (i < this.#length || j < other.#length) {
      if (j === other.#length || (i < this.#length && this.startAt(i) <= other.startAt(j))) {
        out.#append(this.startAt(i), this.endAt(i));
        i++;
      } else {
        out.#append(other.startAt(j), other.endAt(j));
        j++;
      }
    }
    return out;
  }

  intersect(other: GnoIntervals): GnoIntervals {
    const out = new GnoIntervals();
    let i = 0;
    let j = 0;
    while (i < this.#length && j < other.#length) {
      const start = later(this.startAt(i), other.startAt(j));
      const oursEndsFirst = this.endAt(i) < other.endAt(j);
      const end = oursEndsFirst ? this.endAt(i) : other.endAt(j);
      if (start < end) out.#append(start, end);
      if (oursEndsFirst) i++;
      else j++;
    }
    return out;
  }

  subtract(other: GnoIntervals): GnoIntervals {
    const out = new GnoIntervals(this.#length);
    let j = 0;
    for (let i = 0; i < this.#length; i++) {
      let start = this.startAt(i);
      const end = this.endAt(i);
      while (j < other.#length && other.endAt(j) <= start) j++;
      for (; j < other.#length && other.startAt(j) < end; j++) {
        if (other.startAt(j) > start) out.#append(start, other.startAt(j));
        start = other.endAt(j);
        if (start >= end) break; // this one may reach into the next interval: it is looked at again
      }
      if (start < end) out.#append(start, end);
    }
    return out;
  }

  /** Adds an interval that starts at or after the start of the last one. */
  #append(start: bigint, end: bigint): void {
    if (this.#length > 0 && start <= this.endAt(this.#length - 1)) {
      if (end > this.endAt(this.#length - 1)) this.#data[this.#length * 2 - 1] = end;
      return;
    }
    this.#reserve(this.#length + 1);
    this.#data[this.#length * 2] = start;
    this.#data[this.#length * 2 + 1] = end;
    this.#length++;
  }

  #reserve(length: number): void {
    if (length * 2 <= this.#data.length) return;
    const grown = new BigInt64Array(Math.max(4, length * 2, this.#data.length * 2));
    grown.set(this.#data.subarray(0, this.#length * 2));
    this.#data = grown;
  }

  /** Index of the first interval (from `low` on) whose exclusive end is greater than `gno`; `length` when there is none. */
  #firstEndingAfter(gno: bigint, low = 0): number {
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.endAt(middle) > gno) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

function isSorted(numbers: BigInt64Array): boolean {
  for (let i = 1; i < numbers.length; i++) if (numbers[i - 1]! > numbers[i]!) return false;
  return true;
}

function later(a: bigint, b: bigint): bigint {
  return a > b ? a : b; // Math.max refuses bigint
}
