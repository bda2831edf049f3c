/**
 * `npm test`: everything a fresh clone needs, then the build, the lint and the tests. Arguments go to vitest.
 *
 * The last line is "N passed, N failed"; a step that fails before the tests counts as one failure. The exit code is 0
 * only when nothing failed and something passed.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build, checkNode, installDependencies, readJson, root, run, step, tool } from './bootstrap.mjs';

checkNode();
process.on('exit', (code) => {
  if (!summarised) console.log(`0 passed, 1 failed (exit code ${code})`);
});
let summarised = false;

installDependencies();
build();

const broken = [];
step('checking types');
if (!run(process.execPath, [tool('typescript', 'bin/tsc'), '-p', 'tsconfig.json', '--noEmit']))
  broken.push('types');
step('checking style');
if (!run(process.execPath, [tool('@biomejs/biome', 'bin/biome'), 'check', '--error-on-warnings', '.']))
  broken.push('style');

step('testing');
const results = join(root, '.cache', `test-results-${process.pid}.json`);
mkdirSync(join(root, '.cache'), { recursive: true });
const vitest = run(
  process.execPath,
  [
    tool('vitest', 'vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${results}`,
    ...process.argv.slice(2),
  ],
  { ...process.env, MILLRACE_BUILT: '1' },
);

const counted = existsSync(results)
  ? readJson(results)
  : { numPassedTests: 0, numFailedTests: 0, testResults: [] };
rmSync(results, { force: true });
// A file that cannot be loaded, or whose set-up fails, has no failed test of its own.
const brokenFiles = counted.testResults.filter(
  (file) => file.status === 'failed' && !file.assertionResults.some((one) => one.status === 'failed'),
);
const skipped = (counted.numPendingTests ?? 0) + (counted.numTodoTests ?? 0);
let failed = counted.numFailedTests + brokenFiles.length + broken.length;
if (!vitest && failed === 0) failed = 1;
for (const name of broken) console.log(`failed: the check of ${name}`);
if (skipped > 0) console.log(`${skipped} not run`);
summarised = true;
console.log(`${counted.numPassedTests} passed, ${failed} failed`);
process.exitCode = failed === 0 && counted.numPassedTests > 0 ? 0 : 1;
