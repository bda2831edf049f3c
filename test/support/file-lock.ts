/**
 * A lock between processes: a file that holds its owner's pid. The lock of a dead owner is taken over.
 */
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

/** Runs `work` while holding `file`; waits for another holder for as long as that one lives. */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const mine = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  writeFileSync(mine, String(process.pid));
  try {
    while (!tryLock(mine, file)) {
      dropIfOwnerIsDead(file);
      await delay(100);
    }
    try {
      return await work();
    } finally {
      rmSync(file, { force: true });
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** link(2) is atomic and, unlike an exclusive create, never shows a lock without its owner's pid. */
function tryLock(mine: string, file: string): boolean {
  try {
    linkSync(mine, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function dropIfOwnerIsDead(file: string): void {
  try {
    const owner = Number(readFileSync(file, 'utf8'));
    process.kill(owner, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') rmSync(file, { force: true });
  }
}
