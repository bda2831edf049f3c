/**
 * Reads one relay log file from its header to its end and tells how much of it is whole: under the recovery, and under a
 * cursor that has no published end to go by.
 *
 * What ends a file early, in this order of judgement
 *  - The file was closed cleanly (IN_USE is clear): it was whole once, so any damage is corruption.
 *  - Behind the damage another transaction begins (an event that only begins one, with a valid CRC), and all pages between
 *    have been written: bytes that follow were written after these, so these were once good: corruption.
 *  - Behind the damage another transaction begins, and a page between ends in zeros: after a power cut, pages that were not
 *    synced yet are there or not in any order. A torn tail, from the damage on; what was durable lies before it.
 *  - Otherwise it is a torn tail: the last transaction was being written when the writer died, or its last pages never
 *    reached the disk. It is cut off and fetched again; that is also the lot of a last transaction damaged later, which
 *    cannot be told apart and is made good the same way.
 * What lies before a mark that fits (relay-marks.ts) may be left out: it was whole and durable once, as all of the older files was.
 * Without checksums a changed byte inside an event cannot be seen, and nothing behind a damage can be trusted to be an
 * event: there every damage of an open file is taken for a torn tail, which is safe, as what is cut off is fetched again.
 */
import { fstatSync, readSync } from 'node:fs';
import { verifyEvent } from '../binlog/checksum.ts';
import { EVENT_HEADER_LENGTH, EventFlag, EventType } from '../binlog/event-header.ts';
import type { PositionKind, PositionSet, TransactionId } from '../binlog/position-set.ts';
import { TransactionBoundary, type TransactionHead } from '../binlog/transaction-boundary.ts';
import { diskError } from './durable-file.ts';
import { EventBlocks } from './event-blocks.ts';
import {
  corrupt,
  IN_USE_OFFSET,
  MAGIC,
  type RelayFileHeader,
  readRelayFileHeader,
} from './relay-file-header.ts';
import { fits, type StoredMark } from './relay-marks.ts';
import { nextSourcePosition } from './source-position.ts';

/**
 * The name of a transaction in a log of `kind`: its GTID, or where it ends in the source's file. Null when the log goes by
 * GTIDs and the transaction has none (or one of another flavour).
 */
export function transactionId(
  kind: PositionKind,
  head: TransactionHead | null,
  sourceFile: string,
  sourceEnd: number,
): TransactionId | null {
  if (kind === 'position') return { kind, file: sourceFile, position: sourceEnd };
  const id = head?.id ?? null;
  return id !== null && id.kind === kind ? id : null;
}

export class RelayFileScan {
  readonly header: RelayFileHeader;
  readonly path: string;
  readonly size: number;
  /** What the log holds up to `wholeEnd`: the header's Previous set and every whole transaction since. */
  readonly retrieved: PositionSet;
  /** End of the last whole transaction, or of the header. */
  wholeEnd: number;
  /** The same place in the source's file. */
  sourceEnd: number;
  transactions = 0;
  /** Why the file ends at `wholeEnd`; null: it holds nothing else, or only our closing ROTATE. */
  tornBy: string | null = null;

  /** Told of every whole transaction that is read. */
  onTransaction: (id: TransactionId, end: number, sourceEnd: number) => void = () => {};

  readonly #fd: number;
  #blocks: EventBlocks;
  #boundary: TransactionBoundary;
  readonly #closedCleanly: boolean;
  #sourceAt: number;
  /** A transaction began without a GTID event: the source does not write them. */
  #sawUnnamed = false;

  /** Throws RELAY_CORRUPT when the header is not whole. The file stays the caller's to close. */
  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.path = path;
    this.header = readRelayFileHeader(fd, path);
    this.size = fstatSync(fd).size;
    const { fde, end, sourcePosition, previous } = this.header;
    this.#blocks = this.#blocksFrom(end);
    this.#boundary = new TransactionBoundary(fde);
    this.#closedCleanly = (readBytes(fd, path, IN_USE_OFFSET, 1)[0]! & EventFlag.IN_USE) === 0;
    this.retrieved = previous.clone();
    this.wholeEnd = end;
    this.sourceEnd = sourcePosition;
    this.#sourceAt = sourcePosition;
  }

  /**
   * Begins at the newest of these marks (all of this file, oldest first) that lies in it, instead of at the header: what is before
   * it was durable when the mark was made. Before the first `step`. Returns that mark; null: there is none, or the bytes before
   * it are not what they were; then all is read.
   */
  resumeAt(marks: readonly StoredMark[]): StoredMark | null {
    const at = marks.findLastIndex((mark) => mark.offset <= this.size);
    const mark = marks[at];
    if (mark === undefined || !fits(this.#fd, mark)) return null;
    for (const { delta } of marks.slice(0, at + 1)) this.retrieved.addAll(delta);
    this.#blocks = this.#blocksFrom(mark.offset);
    this.wholeEnd = mark.offset;
    this.sourceEnd = this.#sourceAt = mark.sourceEnd;
    this.transactions = mark.transactions;
    // A source either writes GTID events or does not: the file's first transaction tells what all of them begin with.
    const named = BEGINNINGS.has(readBytes(this.#fd, this.path, this.header.end + 4, 1)[0]!);
    this.#sawUnnamed = !named;
    this.#boundary = new TransactionBoundary(this.header.fde, named);
    return mark;
  }

  #blocksFrom(offset: number): EventBlocks {
    const checksummed = this.header.fde.checksum === 'crc32';
    return new EventBlocks({ fd: this.#fd, path: this.path, offset, checksummed });
  }

  /** Goes on for about so many bytes; true when the end is found. Throws RELAY_CORRUPT. */
  step(bytes = Number.POSITIVE_INFINITY): boolean {
    const stopAt = this.#blocks.position + bytes;
    while (this.#blocks.position < stopAt) {
      const result = this.#blocks.next(this.size);
      if (result === 'event') {
        if (this.#take()) return true;
      } else {
        if (result === 'damaged') this.#tear(this.#blocks.reason);
        else if (result === 'partial') this.#tear('it ends inside an event');
        else if (this.#boundary.open) this.#tear('it ends inside a transaction');
        return true;
      }
    }
    return false;
  }

  /** Takes one sound event in; true at the end. */
  #take(): boolean {
    const blocks = this.#blocks;
    if (!this.#boundary.open && blocks.type === EventType.ROTATE_EVENT) {
      if (blocks.position < this.size) this.#tear('bytes follow its closing ROTATE');
      return true;
    }
    this.#sourceAt = nextSourcePosition(this.#sourceAt, blocks.logPos, blocks.rawLength);
    let ended: boolean;
    let id: TransactionId | null = null;
    try {
      const place = this.#boundary.feed(blocks.buf, blocks.start, blocks.end);
      ended = place === 'end' || place === 'single';
      if ((place === 'begin' || place === 'single') && !BEGINNINGS.has(blocks.type)) this.#sawUnnamed = true;
      if (ended) {
        id = transactionId(this.header.kind, this.#boundary.head, this.header.sourceFile, this.#sourceAt);
        if (id === null) throw new Error('a transaction without a GTID');
      }
    } catch (cause) {
      // With a valid CRC these are the bytes that the writer wrote, which has the same grammar: no torn tail.
      const reason = cause instanceof Error ? cause.message : String(cause);
      if (this.header.fde.checksum === 'crc32') throw corrupt(this.path, blocks.offset, reason, cause);
      this.#tear(reason);
      return true;
    }
    if (id !== null) {
      this.retrieved.add(id);
      this.wholeEnd = blocks.position;
      this.sourceEnd = this.#sourceAt;
      this.transactions++;
      this.onTransaction(id, this.wholeEnd, this.sourceEnd);
    }
    return false;
  }

  #tear(reason: string): void {
    const at = this.#blocks.offset;
    if (this.#closedCleanly) throw corrupt(this.path, at, `${reason}, and it had been closed`);
    if (this.header.fde.checksum === 'crc32') {
      const begins = this.#sawUnnamed ? beginsUnnamed : beginsTransaction;
      const later = findTransaction(this.#fd, this.path, at + 1, this.size, begins);
      if (later !== null && !hasUnwrittenPage(this.#fd, this.path, at, later)) {
        throw corrupt(this.path, at, `${reason}, and transactions follow at offset ${later}`);
      }
    }
    this.tornBy = reason;
  }
}

/** Events that stand at the begin of a transaction and nowhere else. */
const BEGINNINGS: ReadonlySet<number> = new Set([
  EventType.GTID_LOG_EVENT,
  EventType.ANONYMOUS_GTID_LOG_EVENT,
  EventType.GTID_TAGGED_LOG_EVENT,
  EventType.MARIADB_GTID_EVENT,
]);

/** Longer than any such event: a GTID with its tag, a MariaDB GTID with an XA id, a BEGIN with its status variables. */
const BEGINNING_LENGTH_MAX = 2048;
const BEGIN = Buffer.from('BEGIN');
const PAGE_LENGTH = 4096;
/** So many zeros at the end of a page tell that its end was not written. */
const PAGE_END_LENGTH = 8;

function beginsTransaction(type: number): boolean {
  return BEGINNINGS.has(type);
}

/** For sources without GTID events: the statement BEGIN. */
function beginsUnnamed(type: number, buf: Buffer, end: number): boolean {
  return (
    type === EventType.QUERY_EVENT &&
    buf.compare(BEGIN, 0, BEGIN.length, end - 4 - BEGIN.length, end - 4) === 0
  );
}

/**
 * The offset in [from, size) of an event with a valid CRC that `begins` accepts; null: none. Looks at every byte, since after
 * a damage nothing says where an event starts; the file is read once, in windows.
 */
export function findTransaction(
  fd: number,
  path: string,
  from: number,
  size: number,
  begins: (type: number, buf: Buffer, end: number) => boolean = beginsTransaction,
): number | null {
  const window = 1024 * 1024;
  for (let base = from; base < size; base += window) {
    const buf = readBytes(fd, path, base, Math.min(window + BEGINNING_LENGTH_MAX, size - base));
    const last = Math.min(window, buf.length - EVENT_HEADER_LENGTH - 4);
    for (let at = 0; at < last; at++) {
      // The upper two bytes of the length are zero in every candidate: the cheapest thing to ask first.
      if (buf[at + 12] !== 0 || buf[at + 11] !== 0) continue;
      const length = buf[at + 9]! | (buf[at + 10]! << 8);
      if (length < EVENT_HEADER_LENGTH + 4 + BEGIN.length || length > BEGINNING_LENGTH_MAX) continue;
      const end = at + length;
      if (end > buf.length || !begins(buf[at + 4]!, buf, end)) continue;
      if (verifyEvent(buf, at, end)) return base + at;
    }
  }
  return null;
}

/**
 * Whether a page of the page cache that overlaps [from, to) never reached the disk: then it holds zeros up to its end. Zeros
 * that the source wrote there look the same; then corruption is taken for a torn tail, and fetched again all the same.
 */
function hasUnwrittenPage(fd: number, path: string, from: number, to: number): boolean {
  for (let end = from - (from % PAGE_LENGTH) + PAGE_LENGTH; end <= to; end += PAGE_LENGTH) {
    const start = Math.max(from, end - PAGE_END_LENGTH);
    if (readBytes(fd, path, start, end - start).every((byte) => byte === 0)) return true;
  }
  return false;
}

/** The first bytes of a file whose header cannot be read may still be followed by transactions. */
export function findTransactionInTornFile(fd: number, path: string): number | null {
  return findTransaction(fd, path, MAGIC.length, fstatSync(fd).size);
}

/** Up to `length` bytes at `offset`: fewer at the end of the file. */
function readBytes(fd: number, path: string, offset: number, length: number): Buffer {
  const buf = Buffer.allocUnsafe(length);
  let done = 0;
  try {
    while (done < length) {
      const got = readSync(fd, buf, done, length - done, offset + done);
      if (got === 0) break;
      done += got;
    }
  } catch (cause) {
    throw diskError('read', path, cause);
  }
  return buf.subarray(0, done);
}
