import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { withFileLock } from '../../support/file-lock.ts';

const folder = mkdtempSync(join(tmpdir(), 'millrace-lock-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('two holders never run at the same time', async () => {
  const file = join(folder, 'one');
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    inside += 1;
    most = Math.max(most, inside);
    await new Promise((resolve) => setImmediate(resolve));
    inside -= 1;
  };
  await Promise.all([withFileLock(file, work), withFileLock(file, work), withFileLock(file, work)]);
  expect(most).toBe(1);
  expect(existsSync(file)).toBe(false);
});

test('the lock of a process that died is taken over', async () => {
  const file = join(folder, 'two');
  // Above the highest pid that Linux gives.
  writeFileSync(file, '4194999');
  expect(await withFileLock(file, async () => 'done')).toBe('done');
});

test('the lock is given back when the work fails', async () => {
  const file = join(folder, 'three');
  await expect(withFileLock(file, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(existsSync(file)).toBe(false);
});
