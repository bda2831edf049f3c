/**
 * node test/support/run-compiled.mjs ENTRY.ts [arguments]: compiles src and test into the cache folder and runs the entry
 * there, because Node 20 runs no TypeScript. Types are not checked here: that is `npm run typecheck`.
 */
import { spawn, spawnSync } from 'node:child_process';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const [entry, ...args] = process.argv.slice(2);
if (entry === undefined || !entry.endsWith('.ts')) {
  console.error('usage: node test/support/run-compiled.mjs ENTRY.ts [arguments]');
  process.exit(2);
}

const out = join(root, '.cache', 'compiled', basename(entry, '.ts'));
const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
const options = ['--noEmit', 'false', '--noCheck', '--sourceMap', 'false', '--outDir', out];
const compiled = spawnSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.json'), ...options], {
  stdio: 'inherit',
});
if (compiled.status !== 0) process.exit(2);

const program = join(out, relative(root, resolve(entry))).replace(/\.ts$/, '.js');
const child = spawn(process.execPath, [program, ...args], { stdio: 'inherit' });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => process.exit(signal === null ? (code ?? 1) : 1));
