/**
 * Empties a relay log that cannot be opened any more (RELAY_CORRUPT), so that it can be fetched again. What can be opened
 * is emptied by `RelayLogWriter.reset`. Numbers go on counting upwards. Reader thread, no writer open.
 */
import { syncDirectory } from './durable-file.ts';
import {
  listRelayFiles,
  readRelayLogIndex,
  relayFilePath,
  removeIfThere,
  writeRelayLogIndex,
} from './relay-log-index.ts';
import { indexLines } from './relay-log-recovery.ts';

/** Index first: files that it does not name are remains. Returns how many files went. Throws DISK. */
export function discardRelayLog(dir: string): number {
  const found = listRelayFiles(dir);
  const indexed = readRelayLogIndex(dir) ?? [];
  writeRelayLogIndex(dir, indexLines([], Math.max(0, ...found, ...indexed)));
  for (const number of found) removeIfThere(relayFilePath(dir, number));
  syncDirectory(dir);
  return found.length;
}
