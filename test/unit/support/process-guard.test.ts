import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { repositoryRoot } from '../../support/repository.ts';

async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain for: ${what}`);
    await delay(10);
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('a process and a folder end with the test process, also when that one is killed', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-guard-'));
  const guarded = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' });
  const pid = guarded.pid ?? 0;
  // The guard as a test process starts it: its standard input is the pipe that closes when the test process dies.
  const guard = join(repositoryRoot, 'test', 'support', 'process-guard.mjs');
  const owner = spawn(
    process.execPath,
    [
      '-e',
      `const { spawn } = require('node:child_process');
       const guard = spawn(process.execPath, [process.argv[1]], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] });
       const started = require('node:fs').readFileSync('/proc/${pid}/stat', 'utf8').replace(/^.*\\) /s, '').split(' ')[19];
       guard.stdin.write('+pid ${pid} ' + started + '\\n+folder ${folder}\\n', () => console.log('registered'));
       setInterval(() => {}, 1000);`,
      guard,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  await new Promise((resolve) => owner.stdout.once('data', resolve));
  expect(lives(pid)).toBe(true);
  owner.kill('SIGKILL');
  await until('the guarded process ends', () => !lives(pid));
  await until('the folder disappears', () => !existsSync(folder));
  rmSync(folder, { recursive: true, force: true });
});
