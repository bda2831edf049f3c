/**
 * Brings the relay log directory back to a state in which every file ends with a whole transaction.
 *
 *  1. Files that the index does not name are remains of a step that was cut off (a new file not yet in the index, an old one
 *     already taken out): removed. Without an index, the files themselves are the list.
 *  2. A name whose file is missing: at either end of the list it is dropped. A hole in the middle takes everything before it
 *     along, because a cursor must never step over a hole; what a target still needs of that is fetched again.
 *  3. The last file is read through (see relay-file-scan.ts), from its newest mark on where it has one, and cut to its last whole
 *     transaction. A last file whose header
 *     is torn is removed, and the one before it is the last. Earlier files were synced and closed before the next one was
 *     begun; the cursor checks them as it reads them.
 *  4. The retrieved set is the last file's Previous set and its whole transactions.
 *  5. Marks (relay-marks.ts) go with their files and with the bytes that were cut off; what was read gets those that it lacks, as
 *     soon as it is durable.
 *
 * Every step can be cut off and started again. Throws RELAY_CORRUPT (file and offset) when bytes that were good once are not
 * any more, DISK when a file operation fails. Reader thread; lets other work in between while it reads a long file.
 */
import { closeSync, fdatasyncSync, ftruncateSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError } from '../base/errors.ts';
import type { Logger } from '../base/runtime.ts';
import type { PositionSet } from '../binlog/position-set.ts';
import { DIRECTORY_MODE, diskError, syncDirectory, syncError, writeFully } from './durable-file.ts';
import { corrupt, flagsInUse, IN_USE_OFFSET, type RelayFileHeader } from './relay-file-header.ts';
import { findTransactionInTornFile, RelayFileScan } from './relay-file-scan.ts';
import {
  listRelayFiles,
  listRelayMarks,
  readRelayLogIndex,
  relayFileName,
  relayFilePath,
  removeIfThere,
  removeRelayFile,
  writeRelayLogIndex,
} from './relay-log-index.ts';
import { DEFAULT_MARK_DISTANCE, RelayMarkWriter } from './relay-mark-writer.ts';
import { cutRelayMarks, readRelayMarks, removeRelayMarks } from './relay-marks.ts';

const STEP_BYTES = 32 * 1024 * 1024;

export interface RecoveredFile {
  readonly fileNumber: number;
  /** Open for reading and writing; IN_USE is set in the file. */
  readonly fd: number;
  readonly header: RelayFileHeader;
  /** End of the last whole transaction, and of the file. */
  readonly end: number;
  readonly transactions: number;
  /** The end of the last whole transaction in the source's file. */
  readonly sourceEnd: number;
}

export interface RecoveredRelayLog {
  /** The files of the log, oldest first. */
  readonly numbers: number[];
  /** The highest number ever used. */
  readonly highest: number;
  readonly last: RecoveredFile | null;
  readonly retrieved: PositionSet | null;
}

export async function recoverRelayLog(
  dir: string,
  log: Logger,
  markDistance = DEFAULT_MARK_DISTANCE,
): Promise<RecoveredRelayLog> {
  try {
    mkdirSync(dir, { recursive: true, mode: DIRECTORY_MODE });
  } catch (cause) {
    throw diskError('create', dir, cause);
  }
  const found = listRelayFiles(dir);
  const indexed = readRelayLogIndex(dir);
  const highest = Math.max(0, ...found.slice(-1), ...(indexed ?? []).slice(-1));
  const numbers = indexed === null ? found : withoutHoles(indexed, new Set(found), log);
  saveIndex(dir, numbers, highest, indexed);
  removeOthers(dir, found, numbers, log);

  for (;;) {
    const fileNumber = numbers.at(-1);
    if (fileNumber === undefined) return { numbers, highest, last: null, retrieved: null };
    const path = relayFilePath(dir, fileNumber);
    const fd = openForRepair(path);
    try {
      const scan = openScan(fd, path);
      if (scan !== null) {
        await readThrough(fd, scan, log, markDistance);
        const { header, wholeEnd: end, transactions, sourceEnd } = scan;
        const last = { fileNumber, fd, header, end, transactions, sourceEnd };
        return { numbers, highest, last, retrieved: scan.retrieved };
      }
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    closeSync(fd);
    log.warn('relay log file with a torn header removed', { file: relayFileName(fileNumber) });
    numbers.pop();
    writeRelayLogIndex(dir, indexLines(numbers, highest));
    removeRelayFile(dir, fileNumber);
    syncDirectory(dir);
  }
}

/** To its end, then cuts it to its last whole transaction. */
async function readThrough(
  fd: number,
  scan: RelayFileScan,
  log: Logger,
  markDistance: number,
): Promise<void> {
  const { path, header } = scan;
  const stored = readRelayMarks(fd, path, header);
  const after = scan.resumeAt(stored);
  const from = { kind: header.kind, headerEnd: header.end, distance: markDistance, after };
  const marks = new RelayMarkWriter({ fd, path, ...from });
  scan.onTransaction = (id, end, sourceEnd) => marks.passed(id, end, sourceEnd);
  while (!scan.step(STEP_BYTES)) await nextTurn();
  cutRelayMarks(path, after);
  cut(fd, scan, log);
  marks.syncBegins();
  marks.durable(scan.wholeEnd);
}

/**
 * What the index file says: the files, or, when there is none, the highest number used so far, whose file does not exist.
 * So numbers are not used twice.
 */
export function indexLines(numbers: readonly number[], highest: number): readonly number[] {
  return numbers.length > 0 || highest === 0 ? numbers : [highest];
}

function saveIndex(
  dir: string,
  numbers: readonly number[],
  highest: number,
  before: readonly number[] | null,
): void {
  const lines = indexLines(numbers, highest);
  if (before !== null && lines.length === before.length && lines.every((line, at) => line === before[at]))
    return;
  if (before === null && lines.length === 0) return;
  writeRelayLogIndex(dir, lines);
}

/** The part of the list that follows the last hole. */
function withoutHoles(indexed: readonly number[], found: ReadonlySet<number>, log: Logger): number[] {
  const there = indexed.filter((number) => found.has(number));
  const last = there.at(-1);
  if (last === undefined) return [];
  const hole = indexed.findLast((number) => number < last && !found.has(number));
  if (hole === undefined || hole < there[0]!) return there;
  const kept = there.filter((number) => number > hole);
  log.warn('relay log file is missing: the files before it are removed', {
    missing: relayFileName(hole),
    removed: there.length - kept.length,
  });
  return kept;
}

function removeOthers(dir: string, found: readonly number[], kept: readonly number[], log: Logger): void {
  const keep = new Set(kept);
  const others = found.filter((number) => !keep.has(number));
  for (const number of listRelayMarks(dir)) {
    if (!keep.has(number)) removeRelayMarks(relayFilePath(dir, number));
  }
  for (const number of others) {
    removeRelayFile(dir, number);
    log.info('relay log file that is not in the index removed', { file: relayFileName(number) });
  }
  removeIfThere(join(dir, 'relay-bin.index.tmp'));
  if (others.length > 0) syncDirectory(dir);
}

function openForRepair(path: string): number {
  try {
    return openSync(path, 'r+');
  } catch (cause) {
    throw diskError('open', path, cause);
  }
}

/** Null: the header is torn and no transaction follows it. */
function openScan(fd: number, path: string): RelayFileScan | null {
  try {
    return new RelayFileScan(fd, path);
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'RELAY_CORRUPT') throw error;
    const later = findTransactionInTornFile(fd, path);
    if (later === null) return null;
    const offset = Number(error.facts.offset);
    throw corrupt(
      path,
      offset,
      `its header cannot be read, and transactions follow at offset ${later}`,
      error,
    );
  }
}

/** Cuts the file to its last whole transaction and opens it again (IN_USE): our closing ROTATE goes, too. */
function cut(fd: number, scan: RelayFileScan, log: Logger): void {
  const { path, wholeEnd, size, header } = scan;
  try {
    writeFully(fd, path, Buffer.of(flagsInUse(header)), 0, 1, IN_USE_OFFSET);
    if (size > wholeEnd) ftruncateSync(fd, wholeEnd);
  } catch (cause) {
    throw diskError('cut', path, cause);
  }
  try {
    fdatasyncSync(fd);
  } catch (cause) {
    throw syncError(path, cause);
  }
  if (scan.tornBy !== null) {
    log.warn('unfinished transaction truncated', {
      file: path,
      offset: wholeEnd,
      bytes: size - wholeEnd,
      reason: scan.tornBy,
    });
  }
}
