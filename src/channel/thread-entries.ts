/**
 * What runs as reader and applier, and the threads that are ready for it. Loads nothing of what these do.
 */
import { extname } from 'node:path';
import { SpareThreads } from './spare-threads.ts';

export interface ThreadEntries {
  readonly reader: URL;
  readonly applier: URL;
  readonly spares?: SpareThreads;
}

/** The threads' own files; spares of both begin to load at once. */
export function readyThreads(): ThreadEntries & { readonly spares: SpareThreads } {
  const reader = threadEntry('../reader/reader-thread');
  const applier = threadEntry('../applier/applier-thread');
  return { reader, applier, spares: new SpareThreads([reader, applier]) };
}

/** The file beside this one in the tree: `.ts` in the sources, `.js` when built. */
export function threadEntry(relativeWithoutExtension: string): URL {
  return new URL(`${relativeWithoutExtension}${extname(new URL(import.meta.url).pathname)}`, import.meta.url);
}
