/**
 * How many bytes of relay log lie between two places: the sizes of the files in between, asked of the file system.
 *
 * A file that another one follows does not change any more, so its size is asked for once. Bounded: over too many files
 * nobody knows. Any thread; synchronous, one stat for each new file.
 */
import { statSync } from 'node:fs';
import type { RelayPosition } from './published-end.ts';
import { relayFilePath } from './relay-log-index.ts';

const FILES_MAX = 4096;

export class RelayLogDistance {
  readonly #dir: string;
  /** Sizes of closed files that lie between the two places. */
  readonly #sizes = new Map<number, number>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Null: not known. */
  bytes(from: RelayPosition, to: RelayPosition): number | null {
    for (const number of this.#sizes.keys()) if (number < from.fileNumber) this.#sizes.delete(number);
    if (from.fileNumber === to.fileNumber) return Math.max(0, to.offset - from.offset);
    if (from.fileNumber > to.fileNumber || to.fileNumber - from.fileNumber > FILES_MAX) return null;
    let bytes = to.offset - from.offset;
    for (let number = from.fileNumber; number < to.fileNumber; number++) bytes += this.#size(number);
    return Math.max(0, bytes);
  }

  /** A number without a file is one that was replaced while it was empty. */
  #size(number: number): number {
    const known = this.#sizes.get(number);
    if (known !== undefined) return known;
    const size = statSync(relayFilePath(this.#dir, number), { throwIfNoEntry: false })?.size ?? 0;
    this.#sizes.set(number, size);
    return size;
  }
}
