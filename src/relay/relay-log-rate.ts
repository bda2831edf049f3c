/**
 * How fast the relay log grows, told by what is in it: its bytes over the time in which the source wrote them. By the source's
 * own timestamps, so that a backlog that was fetched in minutes does not look like a source that writes so fast.
 *
 * An estimate for people and for one question: how long a delay the disk can hold. Any thread.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { EVENT_HEADER_LENGTH } from '../binlog/event-header.ts';
import { diskError } from './durable-file.ts';
import { readRelayFileHeader } from './relay-file-header.ts';
import { readRelayLogIndex, relayFilePath } from './relay-log-index.ts';

/** Less than this tells nothing about a day. */
const SPAN_MS_MIN = 600_000;

export interface RelayLogGrowth {
  /** What the relay log takes now. */
  readonly heldBytes: number;
  /** Null: it holds too little to tell. */
  readonly bytesPerSecond: number | null;
}

/** Throws RELAY_CORRUPT, DISK. */
export function relayLogGrowth(dir: string): RelayLogGrowth {
  const files = (readRelayLogIndex(dir) ?? []).flatMap((fileNumber) => {
    const path = relayFilePath(dir, fileNumber);
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? [] : [{ path, bytes: stat.size, mtimeMs: stat.mtimeMs }];
  });
  const heldBytes = files.reduce((sum, { bytes }) => sum + bytes, 0);
  // The newest file may have begun just now, and hold nothing.
  while (files.length > 0 && firstCommitMs(files.at(-1)!.path) === null) files.pop();
  const last = files.at(-1);
  const beginMs = last === undefined ? null : firstCommitMs(files[0]!.path);
  if (last === undefined || beginMs === null) return { heldBytes, bytesPerSecond: null };
  // The last file's first transaction, or, when that is too near, when it was last written.
  const before = heldBytes - last.bytes;
  const rate =
    rateOf(before, firstCommitMs(last.path)! - beginMs) ?? rateOf(heldBytes, last.mtimeMs - beginMs);
  return { heldBytes, bytesPerSecond: rate };
}

function rateOf(bytes: number, spanMs: number): number | null {
  return spanMs < SPAN_MS_MIN ? null : (bytes * 1000) / spanMs;
}

/** Of the first transaction of a relay file, in whole seconds; null: it holds none. */
function firstCommitMs(path: string): number | null {
  try {
    const fd = openSync(path, 'r');
    try {
      const { end } = readRelayFileHeader(fd, path);
      const header = Buffer.alloc(EVENT_HEADER_LENGTH);
      if (readSync(fd, header, 0, header.length, end) < header.length) return null;
      const seconds = header.readUInt32LE(0);
      return seconds === 0 ? null : seconds * 1000;
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw diskError('read', path, cause);
  }
}
