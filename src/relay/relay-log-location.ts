/**
 * Where in the relay log a target has to go on: MySQL's rule, the newest file whose Previous set the target has in full, and in
 * that file the same rule once more: the newest mark (relay-marks.ts) before which the target has everything. All that it lacks
 * lies behind; what it has already of that is told apart transaction by transaction.
 */
import { closeSync, openSync } from 'node:fs';
import { MillraceError } from '../base/errors.ts';
import type { PositionSet } from '../binlog/position-set.ts';
import { diskError } from './durable-file.ts';
import type { PublishedEnd, RelayPosition } from './published-end.ts';
import { type RelayFileHeader, readRelayFileHeader } from './relay-file-header.ts';
import { RelayLogCursor } from './relay-log-cursor.ts';
import { readRelayLogIndex, relayFilePath } from './relay-log-index.ts';
import { newestExecutedMark } from './relay-marks.ts';

export interface LocatedPlace extends RelayPosition {
  /** Where it is in the source's file; null: at the begin of the relay file. */
  readonly sourceEnd: number | null;
}

/**
 * Null: the log has no file yet, counts by another kind of position, or even its oldest file begins after something that
 * `executed` lacks: then the log must be fetched again. Throws RELAY_CORRUPT, DISK.
 * `published`: nothing behind it is a place; left out: nothing behind the end of the file.
 */
export function locate(dir: string, executed: PositionSet, published?: PublishedEnd): LocatedPlace | null {
  for (const fileNumber of (readRelayLogIndex(dir) ?? []).reverse()) {
    const header = fileSet(dir, fileNumber);
    // Replaced or purged just now; or the mark that a reset leaves in the index.
    if (header === null) continue;
    if (header.kind !== executed.kind) return null;
    if (!executed.containsAll(header.previous)) continue;
    const end = published?.read();
    const limit = end?.fileNumber === fileNumber ? end.offset : Number.POSITIVE_INFINITY;
    const mark = newestExecutedMark(relayFilePath(dir, fileNumber), header, executed, limit);
    if (mark !== null) return { fileNumber, offset: mark.offset, sourceEnd: mark.sourceEnd };
    return { fileNumber, offset: header.end, sourceEnd: null };
  }
  return null;
}

/** A cursor at what `locate` finds; null as there. A file that is replaced or purged meanwhile is looked up anew. */
export function openLocated(
  dir: string,
  executed: PositionSet,
  published: PublishedEnd,
): RelayLogCursor | null {
  for (;;) {
    const from = locate(dir, executed, published);
    if (from === null) return null;
    try {
      return RelayLogCursor.open({ dir, published, from, sourceEnd: from.sourceEnd });
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'RELAY_CORRUPT') throw error;
      if (error.action !== 'retry') throw error;
    }
  }
}

/** What a file says of itself; null: there is no such file. Throws RELAY_CORRUPT, DISK. */
export function fileSet(dir: string, fileNumber: number): RelayFileHeader | null {
  const path = relayFilePath(dir, fileNumber);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw diskError('open', path, cause);
  }
  try {
    return readRelayFileHeader(fd, path);
  } finally {
    closeSync(fd);
  }
}

/** Numbers of the files that the log consists of now, oldest first. */
export function relayFiles(dir: string): number[] {
  return readRelayLogIndex(dir) ?? [];
}
