/**
 * Threads that are made before anyone knows what for: one for a reader, one for an applier. They load their modules while the
 * main thread still loads its own, reads the configuration and looks at the servers; then they wait (base/thread-options.ts).
 * Who needs a thread takes the spare of its entry, if there is one, and makes its own otherwise.
 *
 *   made ── loads ── waits ── taken, with its options
 *              └─ failed        └─ discarded
 *
 * A spare that failed is none: the thread that is made instead says why. Nobody waits for a spare, and none keeps the process alive.
 * Thread: main.
 */
import type { Worker } from 'node:worker_threads';
import { newSpareCell, type SpareCell, spareData, tellSpare } from '../base/thread-options.ts';
import { newThread } from './new-thread.ts';

interface Spare {
  readonly worker: Worker;
  readonly cell: SpareCell;
  readonly onGone: () => void;
}

export class SpareThreads {
  readonly #spares = new Map<string, Spare>();

  /** One for each entry. */
  constructor(entries: readonly URL[]) {
    for (const { href } of entries) this.#make(href);
  }

  /** Null: there is none, or none any more. */
  take(entry: URL, options: unknown): Worker | null {
    const spare = this.#spares.get(entry.href);
    if (spare === undefined) return null;
    tellSpare(spare.worker, spare.cell, options);
    this.#forget(entry.href, spare);
    spare.worker.ref();
    return spare.worker;
  }

  has(entry: URL): boolean {
    return this.#spares.has(entry.href);
  }

  /** Resolves when all that were not taken are gone. */
  async discard(): Promise<void> {
    const unneeded = [...this.#spares];
    for (const [href, spare] of unneeded) this.#forget(href, spare);
    await Promise.all(
      unneeded.map(([, { worker }]) => {
        worker.on('error', nobodyCares);
        return worker.terminate();
      }),
    );
  }

  #make(href: string): void {
    const cell = newSpareCell();
    let worker: Worker;
    try {
      worker = newThread(new URL(href), spareData(cell), 'spare');
    } catch {
      return;
    }
    worker.unref();
    const onGone = (): void => {
      this.#forget(href, spare);
      worker.on('error', nobodyCares);
    };
    const spare: Spare = { worker, cell, onGone };
    worker.on('error', onGone);
    worker.on('exit', onGone);
    this.#spares.set(href, spare);
  }

  #forget(href: string, { worker, onGone }: Spare): void {
    this.#spares.delete(href);
    worker.off('error', onGone);
    worker.off('exit', onGone);
  }
}

/** What a spare says that is not needed any more. */
function nobodyCares(): void {}
