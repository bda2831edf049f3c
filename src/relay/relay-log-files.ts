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
   * Begins a file behind `before`, which is closed for good; when it holds no transaction, the new one takes its place (and
   * `before` waits for `discard`). Throws DISK_FULL, and may then be called again, or DISK.
   */
  begin(
    before: RelayFile | null,
    origin: RelayFileOrigin,
    fde: FormatDescription,
    buffer: Buffer,
  ): RelayFile {
    const replaced = before !== null && before.transactions === 0;
    const number = this.#highest + 1;
    if (before !== null && !replaced) before.closeForGood(number);
    const file = RelayFile.create(this.#dir, number, origin, fde, buffer, this.#markDistance);
    const numbers = [...(replaced ? this.#numbers.slice(0, -1) : this.#numbers), number];
    try {
      writeRelayLogIndex(this.#dir, numbers);
    } catch (error) {
      file.retire();
      removeIfThere(file.path);
      throw error;
    }
    this.#numbers = numbers;
    this.#highest = number;
    if (before !== null && !replaced) this.#olderBytes += before.end;
    return file;
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
