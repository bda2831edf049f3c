/**
 * Makes the marks of a relay log file (relay-marks.ts): collects what is whole, and writes a mark when it is durable.
 *
 * Invariants
 *  - `passed` is told of every transaction behind the header or the last mark, once, in order: a delta has no holes.
 *  - A mark is written by `durable` only, for what its caller knows to be on the disk.
 *  - Never throws. A mark that cannot be written (a full disk) is the last one of its file: the chain may not have a gap.
 *  - A transaction costs one entry in a set, a mark two small reads and writes; what waits for the disk is bounded.
 */
import { closeSync, ftruncateSync, openSync } from 'node:fs';
import {
  emptyPositionSet,
  type PositionKind,
  type PositionSet,
  type TransactionId,
} from '../binlog/position-set.ts';
import { FILE_MODE, writeFully } from './durable-file.ts';
import {
  encodeHead,
  encodeMark,
  MARKS_LENGTH_MAX,
  type RelayMark,
  relayMarksPath,
  type StoredMark,
  tailOf,
} from './relay-marks.ts';

/** Read through in some ten milliseconds. */
export const DEFAULT_MARK_DISTANCE = 4 * 1024 * 1024;
/** When more wait for the disk, marks come to stand further apart. */
const WAITING_MAX = 1024;

export interface MarkedFile {
  /** The relay file, open for reading. */
  readonly fd: number;
  readonly path: string;
  readonly kind: PositionKind;
  readonly headerEnd: number;
  /** So many bytes lie between two marks, and at most one transaction more. */
  readonly distance: number;
  /** The mark that is there already and that the next ones follow; null: none. Others behind it are cut off. */
  readonly after: StoredMark | null;
}

export class RelayMarkWriter {
  readonly #file: MarkedFile;
  /** Of the next mark. */
  #delta: PositionSet;
  #transactions: number;
  #lastOffset: number;
  #waiting: RelayMark[] = [];
  /** Where the next record goes, 0: nothing is written; and the check of the one before it. */
  #at: number;
  #check: number;
  #failed = false;

  constructor(file: MarkedFile) {
    this.#file = file;
    this.#delta = emptyPositionSet(file.kind);
    this.#transactions = file.after?.transactions ?? 0;
    this.#lastOffset = file.after?.offset ?? file.headerEnd;
    this.#at = file.after?.recordEnd ?? 0;
    this.#check = file.after?.check ?? 0;
  }

  /** A whole transaction ends at `end` in the relay file. */
  passed(id: TransactionId, end: number, sourceEnd: number): void {
    if (this.#failed) return;
    this.#delta.add(id);
    this.#transactions += 1;
    if (end - this.#lastOffset < this.#file.distance || this.#waiting.length >= WAITING_MAX) return;
    this.#waiting.push({ offset: end, sourceEnd, transactions: this.#transactions, delta: this.#delta });
    this.#delta = emptyPositionSet(this.#file.kind);
    this.#lastOffset = end;
  }

  /** The relay file is durable up to `offset`. */
  durable(offset: number): void {
    if (this.#failed || this.#waiting.length === 0 || this.#waiting[0]!.offset > offset) return;
    const behind = this.#waiting.findIndex((mark) => mark.offset > offset);
    const marks = this.#waiting.splice(0, behind < 0 ? this.#waiting.length : behind);
    try {
      this.#write(marks);
    } catch {
      // The relay file's own next write says what is wrong with the disk.
      this.#failed = true;
      this.#waiting = [];
    }
  }

  #write(marks: readonly RelayMark[]): void {
    const { fd, path, headerEnd } = this.#file;
    const records: Buffer[] = [];
    let check = this.#check;
    if (this.#at === 0) {
      const tail = tailOf(fd, headerEnd);
      if (tail === null) throw new Error('the header is gone');
      const first = encodeHead(headerEnd, tail);
      records.push(first.head);
      check = first.check;
    }
    for (const mark of marks) {
      const tail = tailOf(fd, mark.offset);
      const next = tail === null ? null : encodeMark(mark, tail, check);
      if (next === null) throw new Error('a delta is too long to be kept');
      records.push(next.record);
      check = next.check;
    }
    const bytes = Buffer.concat(records);
    if (this.#at + bytes.length > MARKS_LENGTH_MAX) throw new Error('there are too many marks');
    this.#append(relayMarksPath(path), bytes);
    this.#check = check;
  }

  #append(path: string, bytes: Buffer): void {
    const fd = openSync(path, this.#at === 0 ? 'w' : 'r+', FILE_MODE);
    try {
      // What stands behind it belongs to bytes that recovery has cut off, or is half a record.
      if (this.#at > 0) ftruncateSync(fd, this.#at);
      writeFully(fd, path, bytes, 0, bytes.length, this.#at);
    } finally {
      closeSync(fd);
    }
    this.#at += bytes.length;
  }
}
