/**
 * Makes the marks of a relay log file (relay-marks.ts): collects what is whole, and writes a mark when it is durable.
 *
 * Invariants
 *  - The marks that stay are only added to. Behind them stands the end of what the newest sync covered, which the next one replaces,
 *    so that little is left to be read after a kill.
 *  - `passed` is told of every transaction behind the header or the last mark, once, in order: a delta has no holes.
 *  - A mark is written by `durable` only, for what its caller knows to be on the disk.
 *  - Never throws. A mark that cannot be written (a full disk) is the last one of its file: the chain may not have a gap.
 *  - A transaction costs one entry in a set, a mark two small reads and writes; what waits for the disk is bounded.
 */
import { closeSync, openSync } from 'node:fs';
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

/** A compromise: nearer, and reading the marks of a file of 1 GiB takes longer than so many bytes of small transactions do. */
export const DEFAULT_MARK_DISTANCE = 1024 * 1024;
/** The last mark is replaced when it is so much of the distance behind: not with every sync, where each transaction has one. */
const REPLACED_AFTER = 1 / 32;
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
  /** The mark that is there already and that the next ones follow; null: none. */
  readonly after: StoredMark | null;
}

/** The end of what a sync covers: replaced by the next one, unless it stays the last. */
interface LastMark extends RelayMark {
  /** How many transactions lie before the mark that it follows. */
  readonly since: number;
}

export class RelayMarkWriter {
  readonly #file: MarkedFile;
  /** Of the next mark: what was passed since `#since` transactions, which end at `#sinceOffset`. */
  #delta: PositionSet;
  #since: number;
  #sinceOffset: number;
  /** What was passed last. */
  #transactions: number;
  #end: number;
  #sourceEnd = 0;
  #waiting: RelayMark[] = [];
  #last: LastMark | null = null;
  /** The newest mark that stands in the file. */
  #writtenOffset: number;
  /** Behind the marks that stay: where the next record goes (0: nothing is written), what it follows, and how many lie before that. */
  #at: number;
  #check: number;
  #stays: number;
  #failed = false;

  constructor(file: MarkedFile) {
    const { after, headerEnd } = file;
    this.#file = file;
    this.#delta = emptyPositionSet(file.kind);
    this.#transactions = this.#since = this.#stays = after?.transactions ?? 0;
    this.#end = this.#sinceOffset = this.#writtenOffset = after?.offset ?? headerEnd;
    this.#at = after?.recordEnd ?? 0;
    this.#check = after?.check ?? 0;
  }

  /** A whole transaction ends at `end` in the relay file. */
  passed(id: TransactionId, end: number, sourceEnd: number): void {
    if (this.#failed) return;
    this.#delta.add(id);
    this.#transactions += 1;
    this.#end = end;
    this.#sourceEnd = sourceEnd;
    if (end - this.#sinceOffset < this.#file.distance || this.#waiting.length >= WAITING_MAX) return;
    this.#waiting.push(this.#mark(this.#delta));
    this.#delta = emptyPositionSet(this.#file.kind);
    this.#since = this.#transactions;
    this.#sinceOffset = end;
  }

  /** What was passed up to now is going to be synced. */
  syncBegins(): void {
    if (this.#failed || this.#transactions === this.#since) return;
    if (this.#end - this.#writtenOffset < this.#file.distance * REPLACED_AFTER) return;
    this.#last = { ...this.#mark(this.#delta.clone()), since: this.#since };
  }

  /** The relay file is durable up to `offset`. */
  durable(offset: number): void {
    if (this.#failed) return;
    const behind = this.#waiting.findIndex((mark) => mark.offset > offset);
    const stay = this.#waiting.splice(0, behind < 0 ? this.#waiting.length : behind);
    const last = this.#last;
    this.#last = null;
    const since = stay.at(-1)?.transactions ?? this.#stays;
    // When a file was closed during the sync, marks that stay have come between.
    const replaceable = last !== null && last.offset <= offset && last.since === since ? last : null;
    if (stay.length === 0 && replaceable === null) return;
    try {
      this.#write(stay, replaceable);
    } catch {
      // The relay file's own next write says what is wrong with the disk.
      this.#failed = true;
      this.#waiting = [];
    }
  }

  #mark(delta: PositionSet): RelayMark {
    return { offset: this.#end, sourceEnd: this.#sourceEnd, transactions: this.#transactions, delta };
  }

  #write(stay: readonly RelayMark[], last: RelayMark | null): void {
    const { path, headerEnd } = this.#file;
    const records: Buffer[] = [];
    let at = this.#at;
    let check = this.#check;
    const add = (record: Buffer, itsCheck: number): void => {
      records.push(record);
      at += record.length;
      check = itsCheck;
    };
    if (at === 0) {
      const first = encodeHead(headerEnd, this.#tail(headerEnd));
      add(first.head, first.check);
    }
    for (const mark of stay) {
      const { record, check: itsCheck } = encodeMark(mark, this.#tail(mark.offset), check);
      add(record, itsCheck);
    }
    if (last !== null) records.push(encodeMark(last, this.#tail(last.offset), check).record);
    if (at > MARKS_LENGTH_MAX) throw new Error('there are too many marks');
    this.#writeAt(relayMarksPath(path), Buffer.concat(records));
    this.#at = at;
    this.#check = check;
    this.#stays = stay.at(-1)?.transactions ?? this.#stays;
    this.#writtenOffset = last?.offset ?? stay.at(-1)!.offset;
  }

  #tail(offset: number): number {
    const tail = tailOf(this.#file.fd, offset);
    if (tail === null) throw new Error('the bytes before the mark are not there');
    return tail;
  }

  /** What a longer record has left behind the new ones does not go on from their checks. */
  #writeAt(path: string, bytes: Buffer): void {
    const fd = openSync(path, this.#at === 0 ? 'w' : 'r+', FILE_MODE);
    try {
      writeFully(fd, path, bytes, 0, bytes.length, this.#at);
    } finally {
      closeSync(fd);
    }
  }
}
