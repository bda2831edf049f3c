/**
 * Servers of the bench: processes of this machine (their CPU time and memory are read from /proc), on copies of data
 * directories that lie in the cache folder.
 */
import { constants, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { findOnPath } from '../support/installed-servers.ts';
import { processGuard } from '../support/process-guard.ts';
import { mustRun } from '../support/program.ts';
import { cacheFolder } from '../support/repository.ts';
import { startServer, type TestServer } from '../support/test-server.ts';
import type { SlowDisk } from './slow-disk.ts';

export const SETTINGS = ['durable', 'relaxed', 'slow-disk'] as const;

/**
 * durable    sync_binlog=1, innodb_flush_log_at_trx_commit=1
 * relaxed    no binary log, innodb_flush_log_at_trx_commit=2
 * slow-disk  durable, and every fsync takes 2 ms longer
 */
export type Setting = (typeof SETTINGS)[number];

/** A redo log as large as it is by default. */
const SIZE = ['--innodb-buffer-pool-size=1G', '--innodb-redo-log-capacity=100M'];

/** The load must not wait for the disk: what is measured comes later. */
const LOADING = [...SIZE, '--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0'];

const SETTING_ARGS: Readonly<Record<Setting, readonly string[]>> = {
  durable: ['--sync-binlog=1', '--innodb-flush-log-at-trx-commit=1'],
  relaxed: ['--skip-log-bin', '--innodb-flush-log-at-trx-commit=2'],
  'slow-disk': ['--sync-binlog=1', '--innodb-flush-log-at-trx-commit=1'],
};

/** A replica that keeps its relay log under a name of ours and starts nothing by itself. */
const REPLICA = ['--relay-log=relay', '--relay-log-index=relay', '--skip-replica-start'];

/** A container's processes are not ours to look at. */
export function useLocalServers(): void {
  process.env.MILLRACE_SERVERS ??=
    process.env.MYSQLD !== undefined || findOnPath('mysqld') !== null ? 'installed' : 'debian';
}

/** A new empty folder beside the data sets, gone with this process. */
export function runFolder(name: string): string {
  const folder = mkdtempSync(join(cacheFolder('bench', 'runs'), `${name}-`));
  processGuard.addFolder(folder);
  return folder;
}

export function removeRunFolder(folder: string): void {
  processGuard.removeFolder(folder);
}

/** A copy of a folder, on disk: its pages are not written while something is measured. Returns `to`. */
export async function copyFolder(from: string, to: string): Promise<string> {
  cpSync(from, to, { recursive: true, mode: constants.COPYFILE_FICLONE });
  await mustRun('sync', ['-f', to]);
  return to;
}

export function startLoadingServer(datadir: string, name = 'bench-source'): Promise<TestServer> {
  return startServer({ flavour: 'mysql', version: '9.7', name, args: LOADING, datadir });
}

/** A server that transactions are applied to, or whose I/O thread receives. */
export function startTarget(
  datadir: string | undefined,
  setting: Setting,
  slowDisk: SlowDisk | null = null,
): Promise<TestServer> {
  return startServer({
    flavour: 'mysql',
    version: '9.7',
    name: 'bench-target',
    args: [...SIZE, ...REPLICA, ...SETTING_ARGS[setting]],
    ...(datadir === undefined ? {} : { datadir }),
    ...(setting === 'slow-disk' && slowDisk !== null ? { env: slowDisk.env } : {}),
  });
}

/** Ends it without waiting for pages to be written; its folder is removed. */
export async function discardServer(server: TestServer, folder: string): Promise<void> {
  await server.kill9();
  await server.stop();
  removeRunFolder(folder);
}

export async function serverPid(server: TestServer): Promise<number> {
  const [row] = await server.query('SELECT @@pid_file AS file');
  return Number(readFileSync(String(row?.file), 'utf8'));
}

/** An own server_uuid at the next start. */
export function forgetServerUuid(datadir: string): void {
  rmSync(join(datadir, 'auto.cnf'), { force: true });
}

export function emptyFolder(folder: string): string {
  if (existsSync(folder)) rmSync(folder, { recursive: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}
