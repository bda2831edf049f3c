/**
 * The list of relay log files: `relay-bin.index`, one file name a line as mysqld writes it, oldest first.
 *
 * Invariants
 *  - Numbers only grow and are never used again, also after a reset: a name always means the same bytes. A reset leaves one
 *    line behind, whose file does not exist yet: the number to go on with.
 *  - The file is replaced as a whole: temporary file, fsync, rename, fsync of the directory. A kill leaves the old or the new
 *    list, never half a line.
 *  - A new file is complete on disk before its line; an old file's line goes before the file does.
 *  - Names come from our own counter, never from the source.
 */
import { closeSync, openSync, readdirSync, readFileSync, renameSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../base/errors.ts';
import { diskError, FILE_MODE, syncDirectory, syncFile, writeFully } from './durable-file.ts';
import { relayMarksPath, removeRelayMarks } from './relay-marks.ts';

const BASE_NAME = 'relay-bin';
const INDEX_NAME = `${BASE_NAME}.index`;
const FILE_NAME = /^(?:\.\/)?relay-bin\.([0-9]{6,15})$/;
const MARKS_NAME = relayMarksPath('');

export function relayFileName(fileNumber: number): string {
  return `${BASE_NAME}.${String(fileNumber).padStart(6, '0')}`;
}

export function relayFilePath(dir: string, fileNumber: number): string {
  return join(dir, relayFileName(fileNumber));
}

/** The number of a relay log file's name; null for any other name. */
export function relayFileNumber(name: string): number | null {
  const match = FILE_NAME.exec(name);
  if (match === null) return null;
  const number = Number(match[1]);
  return number > 0 && relayFileName(number) === name.replace(/^\.\//, '') ? number : null;
}

/** The numbers in the index, ascending; null when there is no index. Throws RELAY_CORRUPT when it is no such list. */
export function readRelayLogIndex(dir: string): number[] | null {
  const path = join(dir, INDEX_NAME);
  let text: string;
  try {
    text = readFileSync(path, 'latin1');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw diskError('read', path, cause);
  }
  const numbers: number[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const number = relayFileNumber(line);
    if (number === null || number <= (numbers.at(-1) ?? 0)) {
      throw new MillraceError('RELAY_CORRUPT', `${path} is damaged: a line that is no next relay log file`, {
        facts: { path, line: numbers.length + 1 },
      });
    }
    numbers.push(number);
  }
  return numbers;
}

/** Replaces the index. Throws DISK_FULL or DISK, and then the old index is still there. */
export function writeRelayLogIndex(dir: string, numbers: readonly number[]): void {
  const path = join(dir, INDEX_NAME);
  const temporary = `${path}.tmp`;
  const text = Buffer.from(numbers.map((number) => `${relayFileName(number)}\n`).join(''), 'latin1');
  try {
    const fd = openSync(temporary, 'w', FILE_MODE);
    try {
      writeFully(fd, temporary, text, 0, text.length, 0);
      syncFile(fd, temporary);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (cause) {
    removeIfThere(temporary);
    throw diskError('write', path, cause);
  }
  syncDirectory(dir);
}

/** The numbers of the relay log files that are really in the directory, ascending. */
export function listRelayFiles(dir: string): number[] {
  return listNumbers(dir, '');
}

/** The numbers of those that marks are there for. */
export function listRelayMarks(dir: string): number[] {
  return listNumbers(dir, MARKS_NAME);
}

/** Of the files whose name is a relay log file's and then `ending`. */
function listNumbers(dir: string, ending: string): number[] {
  let names: string[];
  try {
    names = readdirSync(dir);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw diskError('read', dir, cause);
  }
  const numbers: number[] = [];
  for (const name of names) {
    if (!name.endsWith(ending)) continue;
    const number = relayFileNumber(name.slice(0, name.length - ending.length));
    if (number !== null) numbers.push(number);
  }
  return numbers.sort((a, b) => a - b);
}

/** Removes a relay log file with its marks. */
export function removeRelayFile(dir: string, fileNumber: number): void {
  const path = relayFilePath(dir, fileNumber);
  removeRelayMarks(path);
  removeIfThere(path);
}

/** Unlinks a file; that it is already gone is no error. */
export function removeIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw diskError('remove', path, cause);
  }
}
