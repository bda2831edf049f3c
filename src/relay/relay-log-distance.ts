/**
 * How many bytes of the relay log lie between two places, by the sizes of its files. For people: what the files' own headers
 * take is counted with.
 */
import { statSync } from 'node:fs';
import type { RelayPosition } from './published-end.ts';
import { readRelayLogIndex, relayFilePath } from './relay-log-index.ts';

/**
 * Null: a file in between is just being replaced or purged, or the index cannot be read. Whoever reads the log to apply it says what is
 * wrong with it: being asked for a number must not be what stops an applier.
 */
export function relayBytesBetween(dir: string, from: RelayPosition, to: RelayPosition): number | null {
  try {
    return bytesBetween(dir, from, to);
  } catch {
    return null;
  }
}

function bytesBetween(dir: string, from: RelayPosition, to: RelayPosition): number | null {
  let bytes = to.offset - from.offset;
  for (const fileNumber of readRelayLogIndex(dir) ?? []) {
    if (fileNumber < from.fileNumber || fileNumber >= to.fileNumber) continue;
    const size = statSync(relayFilePath(dir, fileNumber), { throwIfNoEntry: false })?.size;
    if (size === undefined) return null;
    bytes += size;
  }
  return Math.max(0, bytes);
}
