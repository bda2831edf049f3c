/**
 * Reads a relay log file as a row of events, in large blocks, checking every CRC: under the cursor and the recovery.
 *
 * Invariants
 *  - Nothing at or beyond the `limit` given to `next` is looked at, nor is a byte believed before its length was checked.
 *  - Memory is bounded: one block, or one event when that is longer, up to `oversizedFrom`. A longer event is checked by
 *    streaming over the file; only its first OVERSIZED_HEAD bytes stay in memory (header, post-header, begin of the body).
 *  - No allocation per event. The fields describe the current event and are a view: valid until the next call.
 *  - Damage is reported, not thrown: what it means depends on who reads (a torn tail or a corrupt file).
 */
import { readSync } from 'node:fs';
import { crc32, verifyEvent } from '../binlog/checksum.ts';
import { CHECKSUM_LENGTH, EVENT_HEADER_LENGTH } from '../binlog/event-header.ts';
import { diskError } from './durable-file.ts';

export const DEFAULT_BLOCK_LENGTH = 2 * 1024 * 1024;
export const DEFAULT_OVERSIZED_FROM = 16 * 1024 * 1024;
/** What is kept of an oversized event: enough for the longest post-header, status variables and a table map's start. */
export const OVERSIZED_HEAD = 64 * 1024;
/** A block grown for one event is given back once it is larger than this. */
const KEPT_BLOCK_LENGTH = 4 * 1024 * 1024;

export type BlockResult =
  /** An event is described by the fields. */
  | 'event'
  /** The limit is reached, exactly between two events. */
  | 'end'
  /** Bytes are left before the limit, but they are less than a whole event. */
  | 'partial'
  /** The event at `offset` is not what was written; `reason` says why. */
  | 'damaged';

export interface EventBlocksOptions {
  readonly fd: number;
  readonly path: string;
  /** Where the first event starts. */
  readonly offset: number;
  /** Whether events end with a CRC32. */
  readonly checksummed: boolean;
  readonly blockLength?: number | undefined;
  readonly oversizedFrom?: number | undefined;
}

export class EventBlocks {
  readonly #fd: number;
  readonly #path: string;
  readonly #checksumLength: number;
  readonly #blockLength: number;
  readonly #oversizedFrom: number;
  /** File offset of #block[0]; bytes [0, #filled) are there; the next event starts at #next. */
  #block: Buffer;
  #blockOffset: number;
  #filled = 0;
  #next = 0;
  #head: Buffer | null = null;

  /** The current event: buf[start, end) without its CRC; for an oversized one only its first OVERSIZED_HEAD bytes. */
  buf: Buffer;
  start = 0;
  end = 0;
  /** Where it starts in the file, and its length there with the CRC. */
  offset: number;
  rawLength = 0;
  type = 0;
  logPos = 0;
  oversized = false;
  reason = '';

  constructor(options: EventBlocksOptions) {
    this.#fd = options.fd;
    this.#path = options.path;
    this.#checksumLength = options.checksummed ? CHECKSUM_LENGTH : 0;
    this.#blockLength = options.blockLength ?? DEFAULT_BLOCK_LENGTH;
    this.#oversizedFrom = Math.max(options.oversizedFrom ?? DEFAULT_OVERSIZED_FROM, OVERSIZED_HEAD);
    this.#block = Buffer.allocUnsafeSlow(this.#blockLength);
    this.#blockOffset = options.offset;
    this.buf = this.#block;
    this.offset = options.offset;
  }

  /** File offset of the next event. */
  get position(): number {
    return this.#blockOffset + this.#next;
  }

  next(limit: number): BlockResult {
    const position = this.position;
    this.offset = position;
    const left = limit - position;
    if (left <= 0) return 'end';
    if (left < EVENT_HEADER_LENGTH || !this.#have(EVENT_HEADER_LENGTH, limit)) return 'partial';

    const start = this.#next;
    const rawLength = this.#block.readUInt32LE(start + 9);
    if (rawLength < EVENT_HEADER_LENGTH + this.#checksumLength) {
      return this.#damaged(`an event length of ${rawLength}`);
    }
    this.rawLength = rawLength;
    this.type = this.#block[start + 4]!;
    this.logPos = this.#block.readUInt32LE(start + 13);
    if (rawLength > left) return 'partial';
    if (rawLength > this.#oversizedFrom) return this.#nextOversized(rawLength);
    if (!this.#have(rawLength, limit)) return 'partial';

    this.buf = this.#block;
    this.start = this.#next;
    this.end = this.#next + rawLength - this.#checksumLength;
    this.oversized = false;
    if (this.#checksumLength > 0 && !verifyEvent(this.buf, this.start, this.start + rawLength)) {
      return this.#damaged('its checksum does not match its bytes');
    }
    this.#next += rawLength;
    return 'event';
  }

  #damaged(reason: string): BlockResult {
    this.reason = reason;
    return 'damaged';
  }

  /** Makes `length` bytes from #next on available; false when the file ends before. The caller checked the limit. */
  #have(length: number, limit: number): boolean {
    if (this.#filled - this.#next >= length) return true;
    this.#makeRoom(length);
    const wanted = Math.min(this.#block.length, limit - this.#blockOffset);
    while (this.#filled < wanted) {
      const got = this.#read(
        this.#block,
        this.#filled,
        wanted - this.#filled,
        this.#blockOffset + this.#filled,
      );
      if (got === 0) break;
      this.#filled += got;
    }
    return this.#filled - this.#next >= length;
  }

  /** Moves the unread rest to the front of a block that holds at least `length` bytes. */
  #makeRoom(length: number): void {
    const rest = this.#filled - this.#next;
    const wanted = Math.max(length, this.#blockLength);
    if (
      this.#block.length < wanted ||
      (this.#block.length > KEPT_BLOCK_LENGTH && this.#block.length > wanted)
    ) {
      const block = Buffer.allocUnsafeSlow(wanted);
      this.#block.copy(block, 0, this.#next, this.#filled);
      this.#block = block;
    } else if (this.#next > 0) {
      this.#block.copyWithin(0, this.#next, this.#filled);
    }
    this.#blockOffset += this.#next;
    this.#next = 0;
    this.#filled = rest;
  }

  #nextOversized(rawLength: number): BlockResult {
    const begin = this.position;
    // The block serves as scratch below: it holds nothing any more.
    this.#blockOffset = begin;
    this.#filled = 0;
    this.#next = 0;
    this.#head ??= Buffer.allocUnsafeSlow(OVERSIZED_HEAD);
    if (this.#readAll(this.#head, OVERSIZED_HEAD, begin) < OVERSIZED_HEAD) return 'partial';
    const bodyLength = rawLength - this.#checksumLength;
    if (this.#checksumLength > 0) {
      let crc = 0;
      for (let done = 0; done < bodyLength; ) {
        const length = Math.min(this.#block.length, bodyLength - done);
        if (this.#readAll(this.#block, length, begin + done) < length) return 'partial';
        crc = crc32(this.#block, 0, length, crc);
        done += length;
      }
      if (this.#readAll(this.#block, CHECKSUM_LENGTH, begin + bodyLength) < CHECKSUM_LENGTH) return 'partial';
      const stored = this.#block.readUInt32LE(0);
      if (crc !== stored) return this.#damaged('its checksum does not match its bytes');
    }
    this.#blockOffset = begin + rawLength;
    this.buf = this.#head;
    this.start = 0;
    this.end = OVERSIZED_HEAD;
    this.oversized = true;
    return 'event';
  }

  #readAll(into: Buffer, length: number, position: number): number {
    let done = 0;
    while (done < length) {
      const got = this.#read(into, done, length - done, position + done);
      if (got === 0) break;
      done += got;
    }
    return done;
  }

  #read(into: Buffer, at: number, length: number, position: number): number {
    try {
      return readSync(this.#fd, into, at, length, position);
    } catch (cause) {
      throw diskError('read', this.#path, cause);
    }
  }
}
