/**
 * A program in TypeScript as one file that Node can run: for what a test has to start as a process of its own, to kill it.
 */
import { basename, join } from 'node:path';
import { rolldown } from 'rolldown';
import { repositoryRoot } from './repository.ts';

/** `entry`: below the repository's root. Returns the path of the file: inside of the repository, so that it finds packages. */
export async function bundled(entry: string): Promise<string> {
  const bundle = await rolldown({ input: join(repositoryRoot, entry), platform: 'node', external: /^[^./]/ });
  const file = join(repositoryRoot, '.cache', 'bundled', `${basename(entry, '.ts')}.mjs`);
  await bundle.write({ file, format: 'esm' });
  await bundle.close();
  return file;
}
