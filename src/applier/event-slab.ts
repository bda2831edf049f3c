/**
 * Events of one transaction, back to back, each without its CRC and with its event_length corrected to that, so that the
 * slab can be walked from header to header.
 *
 * Short ones are gathered in a chunk and stay there, one behind the other; a longer one is gathered, and leaves, in a buffer of its own. `SlabMemory`
 * has all of them back when their transactions are committed, and uses them again: new memory for each made the garbage collector run every few
 * megabytes, and to copy a short one cost as much as to read it.
 *
 * Invariants
 *  - Nobody reads a slab that was given back.
 *  - A chunk is used again when nothing is gathered in it any more and all slabs in it were given back. It is left only when it is full, so what
 *    is held is little more than what was taken.
 * Thread: applier.
 */
import { assert } from '../base/errors.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import { BufferPool } from './buffer-pool.ts';
import type { EventView } from './transaction.ts';

const EVENT_LENGTH_OFFSET = 9;
const TYPE_OFFSET = 4;

const CHUNK_BYTES = 128 * 1024;
const LONG_BYTES = 64 * 1024;
/** A longer slab does not stay in a chunk, which it would hold for itself. */
const SHORT_MAX = 32 * 1024;
const ROUNDED_TO = 16 * 1024;
const IDLE_BYTES_MAX = 4 * 1024 * 1024;
const LONGER_MAX = 1.5;

/** Buffers of slabs, used again. */
export class SlabMemory {
  readonly #pool = new BufferPool({
    roundedTo: ROUNDED_TO,
    idleBytesMax: IDLE_BYTES_MAX,
    longerMax: LONGER_MAX,
  });
  /** Of chunks that short slabs are in: how many, and one more while it is gathered in. */
  readonly #held = new Map<ArrayBufferLike, number>();

  borrow(length: number): Buffer {
    return this.#pool.borrow(length);
  }

  /** One more slab lies in the chunk, or it is gathered in. */
  hold({ buffer }: Buffer): void {
    this.#held.set(buffer, (this.#held.get(buffer) ?? 0) + 1);
  }

  /** What `EventSlab.take` has given, what was borrowed, or held. */
  giveBack(slab: Buffer): void {
    const { buffer } = slab;
    const held = this.#held.get(buffer);
    if (held !== undefined && held > 1) {
      this.#held.set(buffer, held - 1);
      return;
    }
    this.#held.delete(buffer);
    this.#pool.giveBack(slab);
  }
}

export class EventSlab {
  readonly #memory: SlabMemory;
  /** Held. Short slabs are gathered in it, from `#base` on: behind those that stay. */
  #chunk: Buffer;
  #base = 0;
  /** Longer ones are gathered here; kept for the next. */
  #long: Buffer;
  #isLong = false;
  #length = 0;

  constructor(memory: SlabMemory) {
    this.#memory = memory;
    this.#chunk = memory.borrow(CHUNK_BYTES);
    memory.hold(this.#chunk);
    this.#long = memory.borrow(LONG_BYTES);
  }

  get length(): number {
    return this.#length;
  }

  /** Begins a slab. What was gathered is forgotten. */
  clear(): void {
    this.#length = 0;
    this.#isLong = false;
  }

  /** buf[start, end): header and body, no CRC. */
  add(buf: Buffer, start: number, end: number): void {
    const need = this.#length + end - start;
    if (this.#isLong) {
      if (need > this.#long.length) this.#lengthen(need);
    } else if (need > SHORT_MAX) this.#goLong(need);
    else if (this.#base + need > this.#chunk.length) this.#nextChunk();
    const into = this.#isLong ? this.#long : this.#chunk;
    const at = (this.#isLong ? 0 : this.#base) + this.#length;
    buf.copy(into, at, start, end);
    into.writeUInt32LE(end - start, at + EVENT_LENGTH_OFFSET);
    this.#length = need;
  }

  /** The one before is full, up to what a short slab may take. */
  #nextChunk(): void {
    const chunk = this.#memory.borrow(CHUNK_BYTES);
    this.#memory.hold(chunk);
    this.#gathered.copy(chunk);
    this.#memory.giveBack(this.#chunk);
    this.#chunk = chunk;
    this.#base = 0;
  }

  #goLong(need: number): void {
    if (need > this.#long.length) this.#lengthen(need);
    this.#gathered.copy(this.#long);
    this.#isLong = true;
  }

  #lengthen(need: number): void {
    const long = this.#memory.borrow(Math.max(need, 2 * this.#length));
    if (this.#isLong) this.#gathered.copy(long);
    this.#memory.giveBack(this.#long);
    this.#long = long;
  }

  get #gathered(): Buffer {
    return this.#isLong
      ? this.#long.subarray(0, this.#length)
      : this.#chunk.subarray(this.#base, this.#base + this.#length);
  }

  take(): Buffer {
    const slab = this.#gathered;
    const { length } = slab;
    const wasLong = this.#isLong;
    this.clear();
    if (!wasLong) {
      // The next begins where numbers of four bytes may be read at once.
      this.#base += (length + 7) & ~7;
      this.#memory.hold(slab);
      return slab;
    }
    // What fills a buffer takes it with it.
    if (length >= 0.75 * this.#long.length) {
      this.#long = this.#memory.borrow(this.#long.length);
      return slab;
    }
    const own = this.#memory.borrow(length);
    slab.copy(own);
    return own.subarray(0, length);
  }
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * Walks the slabs of transactions that commit together, once: the ends of all but the last are left out. No generator: two
 * of them, one in the other, took 5 µs a transaction.
 */
class JoinedEvents implements IterableIterator<EventView> {
  readonly #slabs: readonly Buffer[];
  readonly #lastSlab: number;
  #index = 0;
  #start = 0;

  constructor(slabs: readonly Buffer[]) {
    this.#slabs = slabs;
    this.#lastSlab = slabs.length - 1;
  }

  [Symbol.iterator](): this {
    return this;
  }

  next(): IteratorResult<EventView, undefined> {
    for (;;) {
      const buf = this.#slabs[this.#index];
      if (buf === undefined) return DONE;
      const start = this.#start;
      if (start + EVENT_HEADER_LENGTH > buf.length) {
        this.#index += 1;
        this.#start = 0;
        continue;
      }
      const end = start + buf.readUInt32LE(start + EVENT_LENGTH_OFFSET);
      assert(end > start, 'an event in memory has a length');
      this.#start = end;
      const type = buf[start + TYPE_OFFSET]!;
      const final = this.#index === this.#lastSlab;
      if (!final && type === EventType.XID_EVENT) continue;
      const last = final && end >= buf.length;
      return { done: false, value: { type, buf, start, end, last, oversized: null } };
    }
  }
}

export function joinedEvents(slabs: readonly Buffer[]): IterableIterator<EventView> {
  return new JoinedEvents(slabs);
}
