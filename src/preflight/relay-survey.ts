/**
 * What the relay log of a channel is, seen from outside: its headers are read and nothing is changed, so that this may run
 * beside the Millrace that writes it.
 */
import { statSync } from 'node:fs';
import { MillraceError } from '../base/errors.ts';
import type { PositionSet } from '../binlog/position-set.ts';
import { readRelayLogIndex, relayFilePath } from '../relay/relay-log-index.ts';
import { fileSet } from '../relay/relay-log-location.ts';

export interface RelaySurvey {
  readonly dir: string;
  readonly files: number;
  readonly bytes: number;
  /** What lies before the newest file: a lower bound of what was retrieved. Null: the log is empty. */
  readonly retrieved: PositionSet | null;
  /** Why it cannot be read; null: it can. */
  readonly error: MillraceError | null;
}

/** Headers that are read: the newest files. */
const HEADERS_MAX = 100;

export function surveyRelayLog(dir: string): RelaySurvey {
  const empty = { dir, files: 0, bytes: 0, retrieved: null, error: null };
  try {
    const numbers = readRelayLogIndex(dir) ?? [];
    let bytes = 0;
    let files = 0;
    let retrieved: PositionSet | null = null;
    for (const [index, number] of numbers.toReversed().entries()) {
      const size = statSync(relayFilePath(dir, number), { throwIfNoEntry: false })?.size;
      if (size === undefined) continue;
      files += 1;
      bytes += size;
      if (index >= HEADERS_MAX) continue;
      const header = fileSet(dir, number);
      retrieved ??= header?.previous ?? null;
    }
    return { ...empty, files, bytes, retrieved };
  } catch (error) {
    if (error instanceof MillraceError) return { ...empty, error };
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return empty;
    const message = `cannot look at the relay log in ${dir}: ${(error as Error).message}`;
    return { ...empty, error: new MillraceError('DISK', message) };
  }
}
