/**
 * Events of one transaction, back to back, each without its CRC and with its event_length corrected to that, so that the
 * slab can be walked from header to header.
 *
 * One buffer is reused for gathering; `take` gives a copy of the right size, or, when it is large and full, the buffer itself.
 */
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import type { EventView } from './transaction.ts';

const EVENT_LENGTH_OFFSET = 9;
const TYPE_OFFSET = 4;

const INITIAL_BYTES = 64 * 1024;

export class EventSlab {
  #buf: Buffer = Buffer.allocUnsafe(INITIAL_BYTES);
  #length = 0;

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
      const grown = Buffer.allocUnsafe(Math.max(need, 2 * this.#buf.length));
      this.#buf.copy(grown, 0, 0, this.#length);
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
    // What fills a large buffer takes it with it.
    if (length < INITIAL_BYTES || length < 0.75 * this.#buf.length) return Buffer.from(slab);
    this.#buf = Buffer.allocUnsafe(INITIAL_BYTES);
    return slab;
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
