/**
 * Vitest global set-up of the scenario tests: what runs is dist, so it must be what src says. `npm test` has built it
 * already; a direct call of vitest builds here.
 */
import { join } from 'node:path';
import { runProgram } from './program.ts';
import { repositoryRoot } from './repository.ts';

export default async function buildOnce(): Promise<void> {
  if (process.env.MILLRACE_BUILT === '1') return;
  const result = await runProgram(process.execPath, [join(repositoryRoot, 'bundle.js')], {
    cwd: repositoryRoot,
  });
  if (result.code !== 0) throw new Error(`the build failed:\n${result.stdout}${result.stderr}`);
}
