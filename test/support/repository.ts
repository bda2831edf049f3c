/**
 * Where things are in this working copy: the root, the cache, temporary folders.
 *
 * The root is found by walking up to package.json, so that the same code works as TypeScript under vitest and as
 * compiled JavaScript under the cache folder (the demo and the torture run are compiled there).
 */
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processGuard } from './process-guard.ts';

export const repositoryRoot: string = findRoot(dirname(fileURLToPath(import.meta.url)));

function findRoot(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) throw new Error(`no working copy of Millrace above ${from}`);
  }
}

/** What may be fetched or computed again: server binaries, template data directories. MILLRACE_CACHE moves it. */
export function cacheFolder(...parts: string[]): string {
  const folder = join(process.env.MILLRACE_CACHE ?? join(repositoryRoot, '.cache'), ...parts);
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** A new empty folder that disappears with this process, however it ends. */
export function temporaryFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `millrace-${name}-`));
  processGuard.addFolder(folder);
  return folder;
}
