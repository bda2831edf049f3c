/**
 * The file operations of the relay log that must not fail half-way unnoticed.
 *
 *  - `writeFully` loops on short writes. A full disk is DISK_FULL (the caller cuts the tail off and may go on later), every
 *    other failure is DISK: after a failed write or fsync the page cache may hold what the disk does not, so the log must be
 *    closed and recovered from what is really there.
 *  - A file's name is durable only when its directory was synced.
 */
import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { MillraceError } from '../base/errors.ts';

export const DIRECTORY_MODE = 0o700;
export const FILE_MODE = 0o600;

/** No space, no quota, or the limit of this process for the size of a file. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

export function diskError(action: string, path: string, cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const code = (cause as NodeJS.ErrnoException).code;
  if (code !== undefined && FULL.has(code)) {
    return new MillraceError('DISK_FULL', `no space left to ${action} ${path}`, {
      hint: 'Free space or shorten relay_log.retention; reading from the source goes on by itself.',
      facts: { path, errno: code },
      cause,
    });
  }
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError('DISK', `cannot ${action} ${path}: ${why}`, {
    hint: 'Look at the disk and at the permissions of the relay log directory.',
    facts: { path, errno: code },
    cause,
  });
}

/** Writes buf[start, end) at `position` of the file. Throws DISK_FULL or DISK. */
export function writeFully(
  fd: number,
  path: string,
  buf: Uint8Array,
  start: number,
  end: number,
  position: number,
): void {
  let at = start;
  try {
    while (at < end) at += writeSync(fd, buf, at, end - at, position + (at - start));
  } catch (cause) {
    throw diskError('write', path, cause);
  }
}

export function syncFile(fd: number, path: string): void {
  try {
    fsyncSync(fd);
  } catch (cause) {
    throw syncError(path, cause);
  }
}

/**
 * Whatever the reason: the kernel tells it once, may drop the pages, and would report success the next time. So a failed
 * fsync never counts as a full disk that can be waited out.
 */
export function syncError(path: string, cause: unknown): MillraceError {
  if (cause instanceof MillraceError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new MillraceError('DISK', `cannot sync ${path}: ${why}`, {
    hint: 'What was written last may not be on disk. Mend the disk, remove this relay log directory, and start again: it is fetched from where the targets stand.',
    facts: { path, errno: (cause as NodeJS.ErrnoException).code },
    cause,
  });
}

/**
 * Replaces the file as a whole: a kill or a power cut leaves the old bytes or the new ones. Throws DISK_FULL, DISK; the old
 * ones are then still there, except when the last step, the sync of the directory, failed.
 */
export function replaceFile(path: string, bytes: Uint8Array): void {
  const temporary = `${path}.tmp`;
  try {
    const fd = openSync(temporary, 'w', FILE_MODE);
    try {
      writeFully(fd, temporary, bytes, 0, bytes.length, 0);
      syncFile(fd, temporary);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (cause) {
    throw diskError('write', path, cause);
  }
  syncDirectory(dirname(path));
}

export function syncDirectory(dir: string): void {
  try {
    const fd = openSync(dir, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw syncError(dir, cause);
  }
}
