/**
 * Which channel a verb is about that reads the relay log's files: the one that is named, or the only one.
 */
import type { ConfigPlaces } from '../config/places.ts';
import { UsageError } from './verb.ts';

/** Throws a usage error. */
export function chosenChannel(wanted: string | undefined, { channels }: ConfigPlaces): string {
  const known = channels.join(', ');
  if (wanted !== undefined) {
    if (channels.includes(wanted)) return wanted;
    throw new UsageError(`--channel: no channel ${wanted}; known are ${known}`);
  }
  const [only, ...others] = channels;
  if (only === undefined) throw new UsageError('the configuration has no channel');
  if (others.length > 0)
    throw new UsageError(`there are several channels, give --channel; known are ${known}`);
  return only;
}
