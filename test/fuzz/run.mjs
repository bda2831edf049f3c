/**
 * Compiles src and test/fuzz into the cache folder and starts the fuzzer from there (Node 20 runs no TypeScript).
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const out = join(root, '.cache', 'fuzz');
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const compiled = spawnSync(
  process.execPath,
  [compiler, '-p', join(root, 'test', 'fuzz', 'tsconfig.json'), '--outDir', out],
  { stdio: 'inherit' },
);
if (compiled.status !== 0 || !existsSync(join(out, 'test', 'fuzz', 'fuzz.js'))) process.exit(2);

const run = spawnSync(process.execPath, [join(out, 'test', 'fuzz', 'fuzz.js'), ...process.argv.slice(2)], {
  stdio: 'inherit',
});
process.exit(run.status ?? 1);
