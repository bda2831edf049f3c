/**
 * Where a channel keeps its relay log: a folder of its name in data_dir. The configuration allows no name that could lead
 * out of it or meet one of our own files.
 */
import { join } from 'node:path';

export function relayDirectory(dataDir: string, channel: string): string {
  return join(dataDir, channel);
}
