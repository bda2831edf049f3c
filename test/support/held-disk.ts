/**
 * A disk whose syncs in the background take as long as a test wants, or fail. The test file replaces node:fs by
 * `vi.mock('node:fs', (original) => withHeldDisk(original))`.
 */
import type * as fs from 'node:fs';

type Done = (error: NodeJS.ErrnoException | null) => void;

class HeldDisk {
  #waiting: (() => void)[] | null = null;
  #failing = false;

  /** From now on syncs begin and do not end. */
  hold(): void {
    this.#waiting ??= [];
  }

  /** How many wait. */
  get waiting(): number {
    return this.#waiting?.length ?? 0;
  }

  /** Those that wait are done, and those that come. */
  release(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    this.#failing = false;
    for (const go of waiting) go();
  }

  /** They fail instead. */
  fail(): void {
    const waiting = this.#waiting ?? [];
    this.#waiting = null;
    this.#failing = true;
    for (const go of waiting) go();
  }

  sync(really: (done: Done) => void, done: Done): void {
    const go = () => {
      if (this.#failing) setImmediate(done, Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }));
      else really(done);
    };
    if (this.#waiting === null) go();
    else this.#waiting.push(go);
  }
}

export const heldDisk: HeldDisk = new HeldDisk();

export async function withHeldDisk(original: () => Promise<unknown>): Promise<typeof fs> {
  const real = (await original()) as typeof fs;
  const fdatasync = (fd: number, done: Done): void => heldDisk.sync((then) => real.fdatasync(fd, then), done);
  return { ...real, fdatasync: fdatasync as typeof real.fdatasync };
}
