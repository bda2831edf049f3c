/**
 * Events of one transaction, back to back, each without its CRC and with its event_length corrected to that, so that the
 * slab can be walked from header to header.
 *
 * Slabs are gathered in a chunk, and short ones stay there, one behind the other; a longer one leaves it for a buffer of its own. `SlabMemory` has
 * all of them back when their transactions are committed, and uses them again: new memory for each made the garbage collector run every few
 * megabytes, and to copy a short one cost as much as to read it.
 *
 * Invariants
 *  - Nobody reads a slab that was given back.
 *  - A chunk is used again when nothing is gathered in it any more and all slabs in it were given back.
 * Thread: applier.
 */
import { assert } from '../base/errors.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import { BufferPool } from './buffer-pool.ts';
import type { EventView } from './transaction.ts';

const EVENT_LENGTH_OFFSET = 9;
const TYPE_OFFSET = 4;

const CHUNK_BYTES = 128 * 1024;
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
  /** Held. */
  #chunk: Buffer;
  /** Where the slab that is gathered begins in it: behind those that stay. */
  #base = 0;
  #length = 0;

  constructor(memory: SlabMemory) {
    this.#memory = memory;
    this.#chunk = memory.borrow(CHUNK_BYTES);
    memory.hold(this.#chunk);
  }

  get length(): number {
    return this.#length;
  }

  /** Begins a slab. What was gathered is forgotten. */
  clear(): void {
    this.#length = 0;
  }

  /** buf[start, end): header and body, no CRC. */
  add(buf: Buffer, start: number, end: number): void {
    const need = this.#length + end - start;
    if (this.#base + need > this.#chunk.length) this.#move(need);
    const at = this.#base + this.#length;
    buf.copy(this.#chunk, at, start, end);
    this.#chunk.writeUInt32LE(end - start, at + EVENT_LENGTH_OFFSET);
    this.#length = need;
  }

  /** Goes on in another chunk, which holds so much. */
  #move(need: number): void {
    const chunk = this.#memory.borrow(need <= CHUNK_BYTES ? CHUNK_BYTES : Math.max(need, 2 * this.#length));
    this.#memory.hold(chunk);
    if (this.#length > 0) this.#chunk.copy(chunk, 0, this.#base, this.#base + this.#length);
    this.#memory.giveBack(this.#chunk);
    this.#chunk = chunk;
    this.#base = 0;
  }

  take(): Buffer {
    const length = this.#length;
    // A chunk that has grown for long ones is kept for those.
    if (length <= SHORT_MAX && this.#chunk.length > LONGER_MAX * CHUNK_BYTES) this.#move(length);
    const slab = this.#chunk.subarray(this.#base, this.#base + length);
    this.#length = 0;
    if (length <= SHORT_MAX) {
      // The next begins where numbers of four bytes may be read at once.
      this.#base += (length + 7) & ~7;
      this.#memory.hold(slab);
      return slab;
    }
    // What fills a chunk takes it with it.
    if (this.#base === 0 && length >= 0.75 * this.#chunk.length) {
      this.#chunk = this.#memory.borrow(this.#chunk.length);
      this.#memory.hold(this.#chunk);
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
