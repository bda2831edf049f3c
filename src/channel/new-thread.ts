/**
 * Makes a worker thread. Thread: main.
 *
 * The young generation is small (semi-spaces of 4 MiB instead of 16): what a transaction leaves is dead within milliseconds, and a small
 * space that stays in the processor's cache is swept faster than a large one that does not (performance.md).
 */
import { Worker } from 'node:worker_threads';

const YOUNG_GENERATION_MB = 12;

/** `name` is shown by debuggers. @throws when the system has no room for another thread. */
export function newThread(entry: URL, workerData: unknown, name: string): Worker {
  const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB };
  return new Worker(entry, { workerData, name, resourceLimits });
}
