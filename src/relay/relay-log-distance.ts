/**
 * How many bytes of the relay log lie between two places, by the sizes of its files. For people: what the files' own headers
 * take is counted with.
 */
import { statSync } from 'node:fs';
import type { RelayPosition } from './published-end.ts';
import { readRelayLogIndex, relayFilePath } from './relay-log-index.ts';

/** Null: a file in between is just being replaced or purged. Throws RELAY_CORRUPT, DISK when the index cannot be read. */
export function relayBytesBetween(dir: string, from: RelayPosition, to: RelayPosition): number | null {
  let bytes = to.offset - from.offset;
  for (const fileNumber of readRelayLogIndex(dir) ?? []) {
    if (fileNumber < from.fileNumber || fileNumber >= to.fileNumber) continue;
    const size = statSync(relayFilePath(dir, fileNumber), { throwIfNoEntry: false })?.size;
    if (size === undefined) return null;
    bytes += size;
  }
  return Math.max(0, bytes);
}
