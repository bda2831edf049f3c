/**
 * The files that the relay log consists of, kept in step with the index on disk: a file begins, one takes its place, old ones
 * go, each with its marks. The writer's; everyone else reads the index.
 *
 * Invariants
 *  - A file is durable with its header before the index names it, the file before it with all its bytes before that.
 *  - Old files leave the index first, then the directory. Only when the disk is too full even for a new index the files go
 *    first: a name at the begin of the index whose file is missing is dropped at recovery.
 *  - Numbers only grow.
 */
import { MillraceError } from '../base/errors.ts';
import type { FormatDescription } from '../binlog/format-description.ts';
import { syncDirectory } from './durable-file.ts';
import { RelayFile } from './relay-file.ts';
import type { RelayFileOrigin } from './relay-file-header.ts';
import { removeIfThere, removeRelayFile, writeRelayLogIndex } from './relay-log-index.ts';
import { type PurgeOptions, purgeableFiles, totalBytes } from './relay-log-purge.ts';
import { indexLines } from './relay-log-recovery.ts';

export class RelayLogFiles {
  readonly #dir: string;
  readonly #markDistance: number;
  #numbers: readonly number[];
  #highest: number;
  #olderBytes: number;

  constructor(dir: string, numbers: readonly number[], highest: number, markDistance: number) {
    this.#dir = dir;
    this.#markDistance = markDistance;
    this.#numbers = numbers;
    this.#highest = highest;
    this.#olderBytes = totalBytes(dir, numbers.slice(0, -1));
  }

  /** Size of all files but the last. */
  get olderBytes(): number {
    return this.#olderBytes;
  }

  /**
   * Begins a file behind `before`, which is concluded; when it holds no transaction, the new one takes its place (and `before`
   * waits for `discard`). Nothing is synced, and the index names it only after `enter`. Throws DISK_FULL or DISK; no new file
   * is left behind then.
   */
  begin(
    before: RelayFile | null,
    origin: RelayFileOrigin,
    fde: FormatDescription,
    buffer: Buffer,
  ): RelayFile {
    const number = this.#highest + 1;
    // It is closed already when an earlier attempt got as far as the index.
    if (isFollowed(before) && !before.closed) before.conclude(number);
    return RelayFile.create(this.#dir, number, origin, fde, buffer, this.#markDistance);
  }

  /**
   * The index names `file`, behind `before` or in its place. All that either holds up to the new file's header must be durable.
   * Throws DISK_FULL or DISK; `file` is gone then.
   */
  enter(before: RelayFile | null, file: RelayFile): void {
    const followed = isFollowed(before);
    const numbers = [
      ...(before === null || followed ? this.#numbers : this.#numbers.slice(0, -1)),
      file.number,
    ];
    try {
      if (followed) before.clearInUse();
      syncDirectory(this.#dir);
      writeRelayLogIndex(this.#dir, numbers);
    } catch (error) {
      this.drop(file);
      throw error;
    }
    this.#numbers = numbers;
    this.#highest = file.number;
    if (followed) this.#olderBytes += before.end;
  }

  /** Removes a file that was begun and not entered. */
  drop(file: RelayFile): void {
    file.retire();
    removeIfThere(file.path);
  }

  /** Removes what the index does not name any more. Throws DISK. */
  discard(numbers: readonly number[]): void {
    for (const number of numbers) removeRelayFile(this.#dir, number);
    syncDirectory(this.#dir);
  }

  /** Removes what may go (see relay-log-purge.ts), oldest first; returns the numbers. Throws DISK_FULL or DISK. */
  purge(options: PurgeOptions): number[] {
    const gone = purgeableFiles(this.#dir, this.#numbers, options);
    if (gone.length === 0) return gone;
    const kept = this.#numbers.slice(gone.length);
    try {
      writeRelayLogIndex(this.#dir, kept);
      this.discard(gone);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'DISK_FULL') throw error;
      this.discard(gone);
      writeRelayLogIndex(this.#dir, kept);
    }
    this.#numbers = kept;
    this.#olderBytes = totalBytes(this.#dir, kept.slice(0, -1));
    return gone;
  }

  /** Empties the index; returns the numbers to `discard`. */
  clear(): readonly number[] {
    writeRelayLogIndex(this.#dir, indexLines([], this.#highest));
    const gone = this.#numbers;
    this.#numbers = [];
    this.#olderBytes = 0;
    return gone;
  }
}

/** One without a transaction is not followed by the next, but replaced. */
function isFollowed(before: RelayFile | null): before is RelayFile {
  return before !== null && before.transactions > 0;
}
