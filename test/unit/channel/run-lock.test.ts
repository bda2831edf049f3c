import { spawn } from 'node:child_process';
import { existsSync, linkSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { controlSocketPath } from '../../../src/channel/control-socket.ts';
import { isRunning, markText, ownMark, parseMark } from '../../../src/channel/process-mark.ts';
import { RunLock, runningProcess } from '../../../src/channel/run-lock.ts';
import { temporaryFolder } from '../../support/repository.ts';

const locks: RunLock[] = [];
afterEach(() => {
  for (const lock of locks.splice(0)) lock.release();
});

async function acquire(folder: string): Promise<RunLock> {
  const lock = await RunLock.acquire(folder);
  locks.push(lock);
  return lock;
}

/** A process that only lives. */
async function otherProcess(): Promise<{ pid: number; mark: string; end: () => Promise<void> }> {
  const child = spawn(process.execPath, ['-e', 'console.log("up"); setInterval(() => {}, 1e9)'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const pid = child.pid!;
  const startTime = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ')[19]!;
  return {
    pid,
    mark: markText({ pid, startTime, bootId: ownMark().bootId }),
    end: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.kill('SIGKILL');
      }),
  };
}

describe('the lock on data_dir', () => {
  test('makes the folder for its owner alone, and a pid file that people can read', async () => {
    const folder = join(temporaryFolder('lock'), 'a', 'b');
    const lock = await acquire(folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(folder, 'millrace.pid'), 'utf8').split('\n')[0]).toBe(String(process.pid));
    expect(runningProcess(folder)?.pid).toBe(process.pid);
    lock.release();
    locks.length = 0;
    expect(existsSync(join(folder, 'millrace.pid'))).toBe(false);
    expect(runningProcess(folder)).toBeNull();
  });

  test('is refused a second time, also by another name of the folder', async () => {
    const folder = temporaryFolder('lock');
    await acquire(folder);
    const alias = join(temporaryFolder('lock'), 'alias');
    symlinkSync(folder, alias);
    for (const name of [folder, alias]) {
      await expect(RunLock.acquire(name)).rejects.toMatchObject({
        code: 'ALREADY_RUNNING',
        message: `another Millrace, pid ${process.pid}, runs on data_dir ${name}`,
      });
    }
  });

  test('can be taken again after its release', async () => {
    const folder = temporaryFolder('lock');
    (await RunLock.acquire(folder)).release();
    await acquire(folder);
  });

  test('of several at once exactly one gets it', async () => {
    const folder = temporaryFolder('lock');
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => acquire(folder)));
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  test('is refused while the process in the pid file lives, and taken over when it is dead', async () => {
    const folder = temporaryFolder('lock');
    const other = await otherProcess();
    writeFileSync(join(folder, 'millrace.pid'), other.mark);
    await expect(RunLock.acquire(folder)).rejects.toMatchObject({
      code: 'ALREADY_RUNNING',
      message: expect.stringContaining(`pid ${other.pid}`),
    });
    await other.end();
    await acquire(folder);
    expect(runningProcess(folder)?.pid).toBe(process.pid);
  });

  test('a pid that now belongs to somebody else is no reason to refuse', async () => {
    const folder = temporaryFolder('lock');
    const other = await otherProcess();
    const mark = parseMark(other.mark)!;
    writeFileSync(join(folder, 'millrace.pid'), markText({ ...mark, startTime: '1' }));
    await acquire(folder);
    await other.end();
  });

  test('a pid from before the last boot is no reason to refuse', async () => {
    const folder = temporaryFolder('lock');
    const other = await otherProcess();
    writeFileSync(join(folder, 'millrace.pid'), markText({ ...parseMark(other.mark)!, bootId: 'another' }));
    await acquire(folder);
    await other.end();
  });

  test.each(['', 'garbage\n', '-5\n', '99999999999999\n', '\0\0\0\0'])(
    'a pid file that holds %j is taken over',
    async (text) => {
      const folder = temporaryFolder('lock');
      writeFileSync(join(folder, 'millrace.pid'), text);
      await acquire(folder);
    },
  );

  test('is refused while somebody listens on the control socket, even without an answer', async () => {
    const folder = temporaryFolder('lock');
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(controlSocketPath(folder), resolve));
    await expect(RunLock.acquire(folder)).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    await new Promise((resolve) => server.close(resolve));
    await acquire(folder);
  });

  test('a socket file of a dead process is no reason to refuse', async () => {
    const folder = temporaryFolder('lock');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(folder, 'live'), resolve));
    linkSync(join(folder, 'live'), controlSocketPath(folder));
    await new Promise((resolve) => server.close(resolve));
    await acquire(folder);
  });

  test('a refused one leaves no lock behind', async () => {
    const folder = temporaryFolder('lock');
    const other = await otherProcess();
    writeFileSync(join(folder, 'millrace.pid'), other.mark);
    await expect(RunLock.acquire(folder)).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    await other.end();
    await acquire(folder);
  });

  test('a data_dir that cannot be made is a typed error with the path', async () => {
    const folder = temporaryFolder('lock');
    writeFileSync(join(folder, 'file'), '');
    await expect(RunLock.acquire(join(folder, 'file', 'data'))).rejects.toMatchObject({
      code: 'DISK',
      message: expect.stringContaining(join(folder, 'file', 'data')),
    });
  });
});

describe('the mark of a process', () => {
  test('knows itself', () => {
    expect(isRunning(ownMark())).toBe(true);
    expect(parseMark(markText(ownMark()))).toEqual(ownMark());
  });

  test('without start time and boot, the pid alone counts', () => {
    expect(isRunning({ pid: process.pid, startTime: '', bootId: '' })).toBe(true);
    expect(isRunning({ pid: 2 ** 22 + 1, startTime: '', bootId: '' })).toBe(false);
  });
});
