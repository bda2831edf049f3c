/**
 * Events of one transaction, back to back, each without its CRC and with its event_length corrected to that, so that the
 * slab can be walked from header to header.
 *
 * One buffer is reused for gathering. `take` gives a short slab as a copy of the right size, a longer one in a buffer out of `SlabMemory`, which has
 * it back when the transaction is committed: new memory for each made the garbage collector run every few megabytes.
 *
 * Invariant: nobody reads a slab that was given back.
 * Thread: applier.
 */
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import { BufferPool } from './buffer-pool.ts';
import type { EventView } from './transaction.ts';

const EVENT_LENGTH_OFFSET = 9;
const TYPE_OFFSET = 4;

const INITIAL_BYTES = 64 * 1024;
/** A shorter slab is copied: out of Node's own pool, or nearly as cheap. */
const COPIED_MAX = 32 * 1024;
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

  borrow(length: number): Buffer {
    return this.#pool.borrow(length);
  }

  /** What `EventSlab.take` has given, or what was borrowed. */
  giveBack(slab: Buffer): void {
    if (slab.length > COPIED_MAX) this.#pool.giveBack(slab);
  }
}

export class EventSlab {
  readonly #memory: SlabMemory;
  #buf: Buffer;
  #length = 0;

  constructor(memory: SlabMemory) {
    this.#memory = memory;
    this.#buf = memory.borrow(INITIAL_BYTES);
  }

  get length(): number {
    return this.#length;
  }

  clear(): void {
    this.#length = 0;
  }

  /** buf[start, end): header and body, no CRC. */
  add(buf: Buffer, start: number, end: number): void {
    const need = this.#length + end - start;
    if (need > this.#buf.length) {
      const grown = this.#memory.borrow(Math.max(need, 2 * this.#buf.length));
      this.#buf.copy(grown, 0, 0, this.#length);
      this.#memory.giveBack(this.#buf);
      this.#buf = grown;
    }
    buf.copy(this.#buf, this.#length, start, end);
    this.#buf.writeUInt32LE(end - start, this.#length + EVENT_LENGTH_OFFSET);
    this.#length = need;
  }

  take(): Buffer {
    const length = this.#length;
    const slab = this.#buf.subarray(0, length);
    this.#length = 0;
    if (length <= COPIED_MAX) return Buffer.from(slab);
    // What fills a buffer takes it with it.
    if (length >= 0.75 * this.#buf.length) {
      this.#buf = this.#memory.borrow(this.#buf.length);
      return slab;
    }
    const copy = this.#memory.borrow(length);
    slab.copy(copy);
    return copy.subarray(0, length);
  }
}

/** Walks a slab. `final`: its end is the end of what commits. */
function* slabEvents(slab: Buffer, final: boolean): Generator<EventView> {
  for (let start = 0; start + EVENT_HEADER_LENGTH <= slab.length; ) {
    const end = start + slab.readUInt32LE(start + EVENT_LENGTH_OFFSET);
    yield {
      type: slab[start + TYPE_OFFSET]!,
      buf: slab,
      start,
      end,
      last: final && end >= slab.length,
      oversized: null,
    };
    start = end;
  }
}

/** Walks the slabs of transactions that commit together: the ends of all but the last are left out. */
export function* joinedEvents(slabs: readonly Buffer[]): Generator<EventView> {
  for (const [index, slab] of slabs.entries()) {
    const final = index === slabs.length - 1;
    for (const event of slabEvents(slab, final)) {
      if (final || event.type !== EventType.XID_EVENT) yield event;
    }
  }
}
