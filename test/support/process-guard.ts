/**
 * Nothing outlives the tests: every server and every Millrace that a test process starts, and every temporary folder,
 * is registered here and ends with the process: by an exit hook, and when the process is killed, by a detached guard
 * process that notices the closed pipe (process-guard.mjs).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

class ProcessGuard {
  readonly #pids = new Set<number>();
  readonly #folders = new Set<string>();
  #guard: ChildProcess | null = null;

  addProcess(pid: number): void {
    this.#pids.add(pid);
    this.#tell(`+pid ${pid} ${startTime(pid)}`);
  }

  removeProcess(pid: number): void {
    this.#pids.delete(pid);
    this.#tell(`-pid ${pid}`);
  }

  addFolder(folder: string): void {
    this.#folders.add(folder);
    this.#tell(`+folder ${folder}`);
  }

  /** Removes the folder now. */
  removeFolder(folder: string): void {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 });
    this.#folders.delete(folder);
    this.#tell(`-folder ${folder}`);
  }

  #tell(line: string): void {
    if (this.#guard === null) {
      this.#guard = spawn(process.execPath, [guardScript()], {
        detached: true,
        stdio: ['pipe', 'ignore', 'inherit'],
      });
      this.#guard.unref();
      (this.#guard.stdin as unknown as { unref(): void }).unref();
      process.on('exit', () => this.#cleanUp());
    }
    this.#guard.stdin?.write(`${line}\n`);
  }

  #cleanUp(): void {
    for (const pid of this.#pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
    }
    // Folders of processes that are still dying are left to the guard, which waits for them.
    if (this.#pids.size > 0) return;
    for (const folder of this.#folders) rmSync(folder, { recursive: true, force: true });
  }
}

/** The script is plain JavaScript and never compiled: from a compiled copy of this file it is found at the root. */
function guardScript(): string {
  for (
    let folder = dirname(fileURLToPath(import.meta.url));
    folder !== dirname(folder);
    folder = dirname(folder)
  ) {
    const here = join(folder, 'process-guard.mjs');
    if (existsSync(here)) return here;
    const below = join(folder, 'test', 'support', 'process-guard.mjs');
    if (existsSync(below)) return below;
  }
  throw new Error('process-guard.mjs is missing from test/support');
}

function startTime(pid: number): string {
  try {
    return (
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[19] ?? 'ended'
    );
  } catch {
    return 'ended';
  }
}

export const processGuard = new ProcessGuard();
