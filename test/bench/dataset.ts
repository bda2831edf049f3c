/**
 * A workload carried out once and kept: the data directories that every run begins with, and what must be there at the end.
 *
 * <cache>/bench/<workload>-<size>-<hash>/
 *   base/        every target's beginning: tables and first rows, no GTIDs
 *   source/      the source, with its binary logs
 *   replica/     base, with the source's binary log received into the server's own relay log (not for size `receive`)
 *   facts.json   DatasetFacts
 *
 * The hash is over everything that shaped it, so a changed workload is carried out anew. The folder appears by rename: it is
 * whole or absent.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Account, createSourceAccount } from '../support/accounts.ts';
import { executedSet } from '../support/equality.ts';
import { withFileLock } from '../support/file-lock.ts';
import { cacheFolder } from '../support/repository.ts';
import type { TestServer } from '../support/test-server.ts';
import {
  copyFolder,
  emptyFolder,
  forgetServerUuid,
  startLoadingServer,
  startTarget,
} from './bench-server.ts';
import { receiveNatively } from './native-receiver.ts';
import { readTables, type TableContents } from './table-checksums.ts';
import type { Workload } from './workload.ts';

/** Counted up when what is kept changes its form. */
const FORM = 4;

/** On every source of a data set. */
export const SOURCE_ACCOUNT: Account = { user: 'repl', password: 'repl-secret' };

export interface DatasetFacts {
  readonly transactions: number;
  /** Of the binary logs. */
  readonly bytes: number;
  readonly binlogs: readonly string[];
  readonly gtids: string;
  readonly tables: TableContents;
}

export interface Dataset {
  readonly workload: Workload;
  readonly facts: DatasetFacts;
  readonly base: string;
  readonly source: string;
  readonly replica: string;
}

export async function prepareDataset(workload: Workload): Promise<Dataset> {
  const hash = createHash('sha256')
    .update(JSON.stringify([FORM, workload]))
    .digest('hex');
  const parent = cacheFolder('bench');
  const folder = join(parent, `${workload.name}-${workload.size}-${hash.slice(0, 12)}`);
  if (!existsSync(folder)) {
    await withFileLock(`${folder}.lock`, async () => {
      if (!existsSync(folder)) await makeDataset(workload, folder);
    });
  }
  return {
    workload,
    facts: JSON.parse(readFileSync(join(folder, 'facts.json'), 'utf8')) as DatasetFacts,
    base: join(folder, 'base'),
    source: join(folder, 'source'),
    replica: join(folder, 'replica'),
  };
}

async function makeDataset(workload: Workload, folder: string): Promise<void> {
  const startedMs = performance.now();
  const making = emptyFolder(`${folder}.making`);
  const datadir = join(making, 'source');
  const source = await startLoadingServer(datadir);
  try {
    await runStatements(source, workload.base);
    await createSourceAccount(source);
    await source.query('RESET BINARY LOGS AND GTIDS');
    await source.shutdown();
    forgetServerUuid(await copyFolder(datadir, join(making, 'base')));
    await source.restart();

    await Promise.all(workload.clients.map((statements) => runStatements(source, statements)));
    await source.query('FLUSH BINARY LOGS');
    const facts = await readFacts(source);
    writeFileSync(join(making, 'facts.json'), JSON.stringify(facts));
    if (workload.size !== 'receive') await makeReplica(source, making, facts);
  } finally {
    await source.stop();
  }
  renameSync(making, folder);
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
  process.stderr.write(`bench: made the data set ${workload.name} (${workload.size}) in ${seconds} s\n`);
}

/** The server's own receiver has done its part; what is measured later is applying alone. */
async function makeReplica(source: TestServer, making: string, facts: DatasetFacts): Promise<void> {
  const server = await startTarget(
    await copyFolder(join(making, 'base'), join(making, 'replica')),
    'durable',
  );
  try {
    await receiveNatively(server, { server: source, account: SOURCE_ACCOUNT, tls: false }, facts.gtids);
  } finally {
    await server.stop();
  }
}

async function runStatements(server: TestServer, statements: readonly string[]): Promise<void> {
  const connection = await server.connect({ multipleStatements: false });
  try {
    for (const statement of statements) await connection.query(statement);
  } finally {
    await connection.end();
  }
}

async function readFacts(source: TestServer): Promise<DatasetFacts> {
  const logs = await source.query('SHOW BINARY LOGS');
  const full = logs.slice(0, -1);
  const gtids = await executedSet(source);
  return {
    transactions: Number(/:1-(\d+)$/.exec(gtids)?.[1] ?? 1),
    bytes: full.reduce((sum, log) => sum + Number(log.File_size), 0),
    binlogs: full.map((log) => String(log.Log_name)),
    gtids,
    tables: await readTables(source),
  };
}
