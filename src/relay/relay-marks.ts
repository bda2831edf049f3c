/**
 * Marks of a relay log file: places in it from which a reading may go on without having read what lies before. They stand in
 * a file of their own beside it, `relay-bin.000001.marks`; the relay file itself stays as the source and mysqlbinlog know it.
 *
 *   file   := head mark*                                    all numbers little-endian
 *   head   := "MRMARKS1" · end of the relay file's header u64 · tail u32 · check u32
 *   mark   := length u32 · offset u64 · end in the source's file u64 · transactions u64 · tail u32 · delta · check u32
 *   length    of the whole record
 *   offset    in the relay file: the end of a whole transaction
 *   transactions   that lie between the relay file's header and `offset`
 *   tail      CRC32 of the up to 4096 bytes of the relay file before that place, the flag IN_USE left out
 *   delta     the transactions since the mark before (or the header), as text of a PositionSet of the relay file's kind
 *   check     CRC32 of the record before it, begun with the check of the record before (the head with 0)
 *
 * Invariants
 *  - What a mark says was durable in the relay file before the mark was written (relay-file.ts, relay-log-recovery.ts). The
 *    marks themselves are not synced: after a power cut there are fewer of them.
 *  - Header's Previous set ∪ the deltas of marks 1 … n is exactly what the log holds before mark n. The checks form a chain,
 *    so no mark counts whose forerunners are not all there; and with GTIDs a delta must hold as many as are counted.
 *  - The tail of the head binds the file to one relay file, the tail of a mark to the bytes that stood before it.
 *  - Nothing depends on marks. Damage of any kind, a foreign or a missing file mean fewer marks, or none, and are no errors.
 */
import { closeSync, openSync, readFileSync, readSync, statSync, truncateSync, unlinkSync } from 'node:fs';
import { crc32 } from '../binlog/checksum.ts';
import { EventFlag } from '../binlog/event-header.ts';
import {
  GtidPositionSet,
  type PositionKind,
  type PositionSet,
  parsePositionSet,
} from '../binlog/position-set.ts';
import { IN_USE_OFFSET, type RelayFileHeader } from './relay-file-header.ts';

export interface RelayMark {
  /** End of a whole transaction in the relay file, and in the source's. */
  readonly offset: number;
  readonly sourceEnd: number;
  /** How many lie before it in the relay file. */
  readonly transactions: number;
  /** Which ones, since the mark before. */
  readonly delta: PositionSet;
}

export interface StoredMark extends RelayMark {
  readonly tail: number;
  /** End and check of its record: where the next one is added. */
  readonly recordEnd: number;
  readonly check: number;
}

const MAGIC = Buffer.from('MRMARKS1', 'latin1');
export const HEAD_LENGTH = MAGIC.length + 8 + 4 + 4;
const DELTA_OFFSET = 4 + 8 + 8 + 8 + 4;
const CHECK_LENGTH = 4;
/** A mark stands for some MiB: a delta that is longer than this is none of ours. */
export const DELTA_LENGTH_MAX = 4 * 1024 * 1024;
/** Thousands of times what a relay file of usual size has. */
export const MARKS_LENGTH_MAX = 64 * 1024 * 1024;
const TAIL_LENGTH = 4096;

/** Beside the relay file at `path`. */
export function relayMarksPath(path: string): string {
  return `${path}.marks`;
}

/** Removes them. That they cannot be removed is no reason to stop: without their relay file they mean nothing. */
export function removeRelayMarks(path: string): void {
  try {
    unlinkSync(relayMarksPath(path));
  } catch {
    // Not there, or left over: removed at the next recovery.
  }
}

/** Leaves the marks up to `last`, which was read from there; null: none. Like the marks themselves, no reason to stop. */
export function cutRelayMarks(path: string, last: StoredMark | null): void {
  try {
    if (last === null) removeRelayMarks(path);
    else truncateSync(relayMarksPath(path), last.recordEnd);
  } catch {
    // What is left behind it lies behind the end of the relay file, or does not fit.
  }
}

export function encodeHead(
  headerEnd: number,
  tail: number,
): { readonly head: Buffer; readonly check: number } {
  const head = Buffer.alloc(HEAD_LENGTH);
  MAGIC.copy(head);
  head.writeBigUInt64LE(BigInt(headerEnd), MAGIC.length);
  head.writeUInt32LE(tail, MAGIC.length + 8);
  return { head, check: sealRecord(head, 0) };
}

/** `before`: the check of the record before. Throws when the delta is too long to be kept. */
export function encodeMark(
  mark: RelayMark,
  tail: number,
  before: number,
): { readonly record: Buffer; readonly check: number } {
  const delta = Buffer.from(mark.delta.toString(), 'utf8');
  if (delta.length > DELTA_LENGTH_MAX) throw new Error('the transactions since the mark before are too many');
  const record = Buffer.alloc(DELTA_OFFSET + delta.length + CHECK_LENGTH);
  record.writeUInt32LE(record.length, 0);
  record.writeBigUInt64LE(BigInt(mark.offset), 4);
  record.writeBigUInt64LE(BigInt(mark.sourceEnd), 12);
  record.writeBigUInt64LE(BigInt(mark.transactions), 20);
  record.writeUInt32LE(tail, 28);
  delta.copy(record, DELTA_OFFSET);
  return { record, check: sealRecord(record, before) };
}

/**
 * The marks in `bytes` up to the first that is not sound. `header` and `tail`: of the relay file that they are asked for, to
 * which they must belong.
 */
export function decodeMarks(
  bytes: Buffer,
  header: { readonly end: number; readonly kind: PositionKind },
  tail: number,
): StoredMark[] {
  const expected = encodeHead(header.end, tail);
  if (bytes.length < HEAD_LENGTH || bytes.compare(expected.head, 0, HEAD_LENGTH, 0, HEAD_LENGTH) !== 0)
    return [];
  const marks: StoredMark[] = [];
  let before: { offset: number; transactions: number; check: number } = {
    offset: header.end,
    transactions: 0,
    check: expected.check,
  };
  for (let at = HEAD_LENGTH; at < bytes.length; ) {
    const mark = decodeMark(bytes, at, header.kind, before.check);
    if (mark === null || mark.offset <= before.offset || !countsRight(mark, before.transactions)) break;
    marks.push(mark);
    before = mark;
    at = mark.recordEnd;
  }
  return marks;
}

function decodeMark(bytes: Buffer, at: number, kind: PositionKind, before: number): StoredMark | null {
  const left = bytes.length - at;
  if (left < DELTA_OFFSET + CHECK_LENGTH) return null;
  const length = bytes.readUInt32LE(at);
  if (length < DELTA_OFFSET + CHECK_LENGTH || length > left) return null;
  if (length > DELTA_OFFSET + DELTA_LENGTH_MAX + CHECK_LENGTH) return null;
  const recordEnd = at + length;
  const check = bytes.readUInt32LE(recordEnd - CHECK_LENGTH);
  if (crc32(bytes, at, recordEnd - CHECK_LENGTH, before) !== check) return null;
  const offset = Number(bytes.readBigUInt64LE(at + 4));
  const sourceEnd = Number(bytes.readBigUInt64LE(at + 12));
  const transactions = Number(bytes.readBigUInt64LE(at + 20));
  if (![offset, sourceEnd, transactions].every(Number.isSafeInteger)) return null;
  const tail = bytes.readUInt32LE(at + 28);
  try {
    const text = bytes.toString('utf8', at + DELTA_OFFSET, recordEnd - CHECK_LENGTH);
    const delta = parsePositionSet(kind, text);
    if (delta.isEmpty()) return null;
    return { offset, sourceEnd, transactions, delta, tail, recordEnd, check };
  } catch {
    // The check fits and the text does not: not written by this version.
    return null;
  }
}

/** No transaction may be missing from a delta: a target would be led past it. */
function countsRight(mark: RelayMark, before: number): boolean {
  const added = mark.transactions - before;
  if (added <= 0) return false;
  return !(mark.delta instanceof GtidPositionSet) || mark.delta.gtids.count() === BigInt(added);
}

function sealRecord(record: Buffer, before: number): number {
  const end = record.length - CHECK_LENGTH;
  const check = crc32(record, 0, end, before);
  record.writeUInt32LE(check, end);
  return check;
}

/** Of the bytes of the relay file before `offset`; null: they are not there, or cannot be read. */
export function tailOf(fd: number, offset: number): number | null {
  const length = Math.min(TAIL_LENGTH, offset);
  const start = offset - length;
  const buf = Buffer.allocUnsafe(length);
  try {
    for (let done = 0; done < length; ) {
      const got = readSync(fd, buf, done, length - done, start + done);
      if (got === 0) return null;
      done += got;
    }
  } catch {
    return null;
  }
  const inUse = IN_USE_OFFSET - start;
  if (inUse >= 0 && inUse < length) buf[inUse]! &= ~EventFlag.IN_USE;
  return crc32(buf, 0, length);
}

/** The sound marks of the relay file that `fd` is open on, oldest first. Whether a mark's tail fits is asked with `fits`. */
export function readRelayMarks(fd: number, path: string, header: RelayFileHeader): StoredMark[] {
  const bytes = marksBytes(relayMarksPath(path));
  if (bytes === null) return [];
  const tail = tailOf(fd, header.end);
  return tail === null ? [] : decodeMarks(bytes, header, tail);
}

/** Whether the bytes before the mark are those that stood there when it was made. */
export function fits(fd: number, mark: StoredMark): boolean {
  return tailOf(fd, mark.offset) === mark.tail;
}

/** Null: there are none, or what is there is no file of marks. */
function marksBytes(path: string): Buffer | null {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile() || stat.size > MARKS_LENGTH_MAX) return null;
    return readFileSync(path);
  } catch {
    return null;
  }
}

/**
 * The newest mark up to `limit` whose transactions, and everything before the file, `executed` has in full; null: none. All that
 * `executed` lacks lies behind it. The caller knows that it has the file's Previous set.
 */
export function newestExecutedMark(
  path: string,
  header: RelayFileHeader,
  executed: PositionSet,
  limit: number,
): StoredMark | null {
  if (marksBytes(relayMarksPath(path)) === null) return null;
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    // Purged just now: whoever opens it next will say so.
    return null;
  }
  try {
    let newest: StoredMark | null = null;
    for (const mark of readRelayMarks(fd, path, header)) {
      if (mark.offset > limit || !executed.containsAll(mark.delta)) break;
      newest = mark;
    }
    return newest !== null && fits(fd, newest) ? newest : null;
  } finally {
    closeSync(fd);
  }
}
