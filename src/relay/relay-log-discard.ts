/**
 * Empties a relay log that cannot be opened any more (RELAY_CORRUPT), so that it can be fetched again. What can be opened
 * is emptied by `RelayLogWriter.reset`. Numbers go on counting upwards. Reader thread, no writer open.
 */
import { MillraceError } from '../base/errors.ts';
import { syncDirectory } from './durable-file.ts';
import {
  listRelayFiles,
  listRelayMarks,
  readRelayLogIndex,
  removeRelayFile,
  writeRelayLogIndex,
} from './relay-log-index.ts';
import { indexLines } from './relay-log-recovery.ts';

/** Index first: files that it does not name are remains. Returns how many files went. Throws DISK. */
export function discardRelayLog(dir: string): number {
  const found = listRelayFiles(dir);
  const indexed = indexedNumbers(dir);
  writeRelayLogIndex(dir, indexLines([], Math.max(0, ...found, ...indexed)));
  for (const number of new Set([...found, ...listRelayMarks(dir)])) removeRelayFile(dir, number);
  syncDirectory(dir);
  return found.length;
}

/** A damaged index is part of what is thrown away: the files that are there tell the highest number. */
function indexedNumbers(dir: string): readonly number[] {
  try {
    return readRelayLogIndex(dir) ?? [];
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'RELAY_CORRUPT') return [];
    throw error;
  }
}
