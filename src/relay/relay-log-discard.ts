/**
 * Throws a relay log away while no thread works on it: what a damaged log, or one that lacks what a target needs, ends
 * in. It looks at names alone, so that no damage in a file or in the index can stand in the way.
 *
 * The index first, then the files: a kill in between leaves files that the next recovery removes. Numbers go on.
 */
import { existsSync } from 'node:fs';
import { syncDirectory } from './durable-file.ts';
import {
  listRelayFiles,
  readRelayLogIndex,
  relayFilePath,
  removeIfThere,
  writeRelayLogIndex,
} from './relay-log-index.ts';
import { indexLines } from './relay-log-recovery.ts';

/** How many files went. Throws DISK, DISK_FULL. */
export function discardRelayLog(dir: string): number {
  if (!existsSync(dir)) return 0;
  const found = listRelayFiles(dir);
  const highest = Math.max(0, ...found.slice(-1), ...indexedNumbers(dir).slice(-1));
  if (highest === 0) return 0;
  writeRelayLogIndex(dir, indexLines([], highest));
  for (const number of found) removeIfThere(relayFilePath(dir, number));
  syncDirectory(dir);
  return found.length;
}

/** A damaged index tells nothing; the files' own names do. */
function indexedNumbers(dir: string): readonly number[] {
  try {
    return readRelayLogIndex(dir) ?? [];
  } catch {
    return [];
  }
}
