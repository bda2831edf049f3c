/**
 * Table maps that were seen before: a source sends the same bytes in front of nearly every rows event, and decoding them
 * (with the plans that row-images.ts builds on top) costs more than counting a row.
 *
 * Invariant: a remembered map is given out only for the very same bytes, so there is nothing to invalidate: a reused id,
 * an ALTER TABLE or another source's file all show in the bytes.
 */
import { decodeTableMap, type TableMap } from './table-map.ts';

/** Tables in use at one time are few; beyond this the longest remembered is forgotten. */
const TABLES_MAX = 1024;

/** A table map with hundreds of kilobytes of ENUM members is decoded each time instead of being kept. */
const BYTES_MAX = 64 * 1024;

interface Entry {
  readonly bytes: Buffer;
  readonly map: TableMap;
}

export class TableMapCache {
  readonly #entries = new Map<number, Entry>();

  /** The map of the body [start, end), as decodeTableMap gives it. Throws MALFORMED_EVENT. */
  get(buf: Buffer, start: number, end: number): TableMap {
    const length = end - start;
    if (length < 6 || start < 0 || end > buf.length || length > BYTES_MAX)
      return decodeTableMap(buf, start, end);
    const tableId = buf.readUIntLE(start, 6);
    const known = this.#entries.get(tableId);
    if (known !== undefined && known.bytes.compare(buf, start, end) === 0) return known.map;
    const map = decodeTableMap(buf, start, end);
    this.#entries.delete(tableId);
    if (this.#entries.size >= TABLES_MAX) this.#forgetOldest();
    this.#entries.set(tableId, { bytes: Buffer.from(buf.subarray(start, end)), map });
    return map;
  }

  #forgetOldest(): void {
    for (const tableId of this.#entries.keys()) {
      this.#entries.delete(tableId);
      return;
    }
  }
}
