/**
 * From a fresh clone to something that runs: the steps that `npm test`, `npm run demo` and `npm run torture` share.
 * Plain JavaScript without dependencies, because nothing is installed yet when it begins.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const wanted = [20, 20];

/** Ends the process when this Node is too old. */
export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > wanted[0] || (major === wanted[0] && minor >= wanted[1])) return;
  console.error(
    `Millrace needs Node ${wanted.join('.')} or newer; this is ${process.versions.node} (${process.execPath})`,
  );
  process.exit(1);
}

/** `npm ci` when node_modules is missing or older than package-lock.json. */
export function installDependencies() {
  const installed = join(root, 'node_modules', '.package-lock.json');
  if (
    existsSync(installed) &&
    statSync(installed).mtimeMs >= statSync(join(root, 'package-lock.json')).mtimeMs
  )
    return;
  step('installing dependencies (npm ci)');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  mustSucceed(npm, ['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error']);
}

/** src → dist, as `npm run build` does. */
export function build() {
  step('building');
  mustSucceed(process.execPath, [tool('typescript', 'bin/tsc'), '-p', 'tsconfig.build.json']);
  mustSucceed(process.execPath, [join(root, 'bundle.js')]);
}

/** Replaces this process by a TypeScript program of this repository (node test/support/run-compiled.mjs). */
export function becomeProgram(entry, args, env = process.env) {
  become(
    process.execPath,
    [join(root, 'test', 'support', 'run-compiled.mjs'), join(root, entry), ...args],
    env,
  );
}

/** True when the command ended with 0. */
export function run(command, args, env = process.env) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', env });
  if (result.error) console.error(`${command}: ${result.error.message}`);
  return result.status === 0;
}

/** Replaces this process as far as Node can: same terminal, signals handed on, same exit code. */
function become(command, args, env = process.env) {
  const child = spawn(command, args, { cwd: root, stdio: 'inherit', env });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    // Ctrl-C reaches the child by itself; this process only has to outlive it.
    process.on(signal, () => {
      if (signal !== 'SIGINT') child.kill(signal);
    });
  }
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? 1;
    if (signal) console.error(`ended by ${signal}`);
  });
}

/** The path of a program inside a package. */
export function tool(name, path) {
  return join(root, 'node_modules', name, path);
}

export function step(text) {
  console.log(`\n── ${text}`);
}

export function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

function mustSucceed(command, args) {
  if (run(command, args)) return;
  console.error(`\nfailed: ${[command, ...args].join(' ')}`);
  process.exit(1);
}
