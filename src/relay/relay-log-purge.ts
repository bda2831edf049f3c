/**
 * Which relay log files may go: from the oldest on, those that no target needs any more and that are older than the
 * retention, up to the first that must stay. The current file always stays. What "needed" means is decided by those who
 * apply: a file is needed from the oldest transaction that is not executed, or prepared and not yet decided.
 */
import { statSync } from 'node:fs';
import { diskError } from './durable-file.ts';
import { relayFilePath } from './relay-log-index.ts';

export interface PurgeOptions {
  /** Files from this number on are needed. */
  readonly neededFrom: number;
  /** How long a file is kept after its last byte was written. */
  readonly retentionMs: number;
  /** Wall time. */
  readonly nowMs: number;
}

export function purgeableFiles(dir: string, numbers: readonly number[], options: PurgeOptions): number[] {
  const { neededFrom, retentionMs, nowMs } = options;
  const gone: number[] = [];
  for (const number of numbers.slice(0, -1)) {
    if (number >= neededFrom) break;
    const file = fileStat(dir, number);
    if (file !== null && file.mtimeMs + retentionMs > nowMs) break;
    gone.push(number);
  }
  return gone;
}

/** Size of these files; a missing one counts as empty. */
export function totalBytes(dir: string, numbers: readonly number[]): number {
  let bytes = 0;
  for (const number of numbers) bytes += fileStat(dir, number)?.size ?? 0;
  return bytes;
}

function fileStat(dir: string, number: number): { readonly mtimeMs: number; readonly size: number } | null {
  const path = relayFilePath(dir, number);
  try {
    return statSync(path, { throwIfNoEntry: false }) ?? null;
  } catch (cause) {
    throw diskError('look at', path, cause);
  }
}
