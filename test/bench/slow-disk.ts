/**
 * A disk whose fsync takes 2 ms longer: a small library that stands before the server's calls of fsync and fdatasync, sleeps,
 * and hands them on. Nothing of the server is changed; writes are as quick as they are.
 *
 * It has to be compiled, so it needs a C compiler; without one this setting is not measured.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath } from '../support/installed-servers.ts';
import { mustRun } from '../support/program.ts';
import { cacheFolder } from '../support/repository.ts';
import type { TestServer } from '../support/test-server.ts';
import { spread } from './measurements.ts';

const DELAY_MS = 2;

const PROGRAM = `#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
#include <unistd.h>
static void before(void) { struct timespec t = { 0, ${DELAY_MS * 1_000_000} }; nanosleep(&t, 0); }
int fsync(int fd) {
  int (*next)(int) = (int (*)(int)) dlsym(RTLD_NEXT, "fsync");
  before();
  return next(fd);
}
int fdatasync(int fd) {
  int (*next)(int) = (int (*)(int)) dlsym(RTLD_NEXT, "fdatasync");
  before();
  return next(fd);
}
`;

export interface SlowDisk {
  readonly delayMs: number;
  /** For the server's process. */
  readonly env: Readonly<Record<string, string>>;
}

/** The text says why it cannot be had. */
export async function prepareSlowDisk(): Promise<SlowDisk | { readonly unavailable: string }> {
  const compiler = ['cc', 'gcc', 'clang'].find((name) => findOnPath(name) !== null);
  if (compiler === undefined) return { unavailable: 'no C compiler on this machine' };
  const folder = cacheFolder('bench', 'slow-disk');
  const library = join(folder, `slow-fsync-${DELAY_MS}ms.so`);
  const source = join(folder, 'slow-fsync.c');
  writeFileSync(source, PROGRAM);
  try {
    await mustRun(compiler, ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl']);
  } catch (error) {
    return { unavailable: String(error) };
  }
  return { delayMs: DELAY_MS, env: { LD_PRELOAD: library } };
}

/** A commit waits for at least one fsync. @throws when the delay is not there: the figures would be those of another disk. */
export async function requireSlowDisk(server: TestServer, disk: SlowDisk): Promise<void> {
  const connection = await server.connect();
  try {
    await connection.query('SET sql_log_bin = 0');
    await connection.query('CREATE TABLE mysql.bench_probe (id INT PRIMARY KEY)');
    const times: number[] = [];
    for (let id = 0; id < 7; id++) {
      const startedMs = performance.now();
      await connection.query('INSERT INTO mysql.bench_probe VALUES (?)', [id]);
      times.push(performance.now() - startedMs);
    }
    await connection.query('DROP TABLE mysql.bench_probe');
    if (spread(times)!.min < disk.delayMs) throw new Error('the slow disk is not in effect on this server');
  } finally {
    connection.destroy();
  }
}
