/**
 * Counts the rows of a rows event that is too large to be in memory, from its bytes on disk: the same walk as
 * row-images.ts, over a window that moves, so that a value of a gigabyte is stepped over without being read.
 *
 * Invariants
 *  - Memory: the window and one null bitmap.
 *  - Every length is checked against the end of the event before it is used to move, and every row takes bytes, so that the
 *    walk always ends.
 */
import { malformed } from './byte-decoder.ts';
import { EVENT_HEADER_LENGTH, eventTypeName } from './event-header.ts';
import {
  checkTable,
  emptyRows,
  endless,
  type ImagePlan,
  imagePlan,
  PARTIAL_JSON_UPDATES,
} from './row-images.ts';
import type { RowsHeader } from './rows-event.ts';
import { COLUMNS_MAX, type TableMap } from './table-map.ts';

/** Where the bytes of a large event are read; offsets count from the first byte of its header. */
export interface EventBytes {
  /** Of the event with its header and without its CRC. */
  readonly length: number;
  /** Bytes [offset, offset + length), which lie inside of the event. A view, valid until the next call. */
  readonly read: (offset: number, length: number) => Buffer;
}

const WINDOW_LENGTH = 64 * 1024;

/**
 * `head` holds the beginning of the event from its header at `start` on, as far as the rows at least; `header` was read from
 * there. Throws MALFORMED_EVENT when the rows do not end where the event does, UNSUPPORTED for rows of v0.
 */
export function countOversizedRows(
  map: TableMap,
  head: Buffer,
  start: number,
  header: RowsHeader,
  bytes: EventBytes,
): number {
  checkTable(map, header);
  const before = imagePlan(map, head, header.presentStart);
  const after = imagePlan(map, head, header.presentAfterStart);
  const walk = new Walk(bytes);
  const rowsStart = header.rowsStart - start;
  if (rowsStart < EVENT_HEADER_LENGTH || rowsStart > bytes.length) {
    throw malformed(eventTypeName(header.type), 'its rows begin after its end');
  }
  if (rowsStart === bytes.length) return emptyRows(before, header);
  let rows = 0;
  for (let at = rowsStart; at < bytes.length; rows++) {
    let next = walk.image(before, at);
    if (header.operation === 'update') {
      if (header.partial) next = walk.valueOptions(after, next);
      next = walk.image(after, next);
    }
    if (next === at) throw endless(header);
    at = next;
  }
  return rows;
}

class Walk {
  readonly #bytes: EventBytes;
  /** The window holds [#from, #to) of the event. */
  #window: Buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;
  readonly #nulls = new Uint8Array((COLUMNS_MAX + 7) >> 3);

  constructor(bytes: EventBytes) {
    this.#bytes = bytes;
  }

  /** The offset behind the image that begins at `pos` with its null bitmap. */
  image(plan: ImagePlan, pos: number): number {
    const { nullBytes } = plan;
    const nulls = this.#nulls;
    let index = this.#have(pos, nullBytes);
    let any = 0;
    for (let i = 0; i < nullBytes; i++) {
      const byte = this.#window[index + i]!;
      nulls[i] = byte;
      any |= i === nullBytes - 1 ? byte & plan.lastNullMask : byte;
    }
    let at = pos + nullBytes;
    const codes = any === 0 ? plan.steps : plan.lengths;
    for (let i = 0; i < codes.length; i++) {
      if (any !== 0 && ((nulls[i >> 3]! >> (i & 7)) & 1) === 1) continue;
      const code = codes[i]!;
      if (code >= 0) {
        at += code;
        continue;
      }
      index = this.#have(at, -code);
      at += -code + this.#window.readUIntLE(index, -code);
    }
    if (at > this.#bytes.length) throw this.#cutOff(at);
    return at;
  }

  /** The offset of the null bitmap of a PARTIAL_UPDATE_ROWS_EVENT's after image. */
  valueOptions(plan: ImagePlan, pos: number): number {
    const options = this.#window[this.#have(pos, 1)]!;
    if (options > PARTIAL_JSON_UPDATES) {
      throw malformed('PARTIAL_UPDATE_ROWS_EVENT', `value options 0x${options.toString(16)} are not known`);
    }
    return pos + 1 + (options === 0 ? 0 : plan.partialBytes);
  }

  /** Where `length` bytes at `offset` stand in the window. */
  #have(offset: number, length: number): number {
    if (offset >= this.#from && offset + length <= this.#to) return offset - this.#from;
    if (offset + length > this.#bytes.length) throw this.#cutOff(offset + length);
    const wanted = Math.min(WINDOW_LENGTH, this.#bytes.length - offset);
    this.#window = this.#bytes.read(offset, wanted);
    this.#from = offset;
    this.#to = offset + wanted;
    return 0;
  }

  #cutOff(wanted: number): Error {
    const past = wanted - this.#bytes.length;
    return malformed('rows event', `a row reaches ${past} bytes past the end of the event`);
  }
}
