/**
 * `npm run bench -- receive`: Millrace's reader beside the server's own I/O thread, plain and over TLS, and beside zongji.
 *
 * After every round of Millrace its relay log is compared with the source's binary logs: every event of every transaction,
 * byte for byte; a difference fails the run. CRCs are checked on the way, and the file is synced every 100 ms.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { unlogged } from '../support/accounts.ts';
import type { TestServer } from '../support/test-server.ts';
import type { BenchRun, Contender } from './bench-run.ts';
import {
  copyFolder,
  discardServer,
  removeRunFolder,
  runFolder,
  startLoadingServer,
  startTarget,
} from './bench-server.ts';
import { compareTransactions } from './byte-equality.ts';
import { type Dataset, prepareDataset, SOURCE_ACCOUNT } from './dataset.ts';
import type { Column, Figures } from './measurements.ts';
import { receiveWithMillrace } from './millrace-receiver.ts';
import { receiveNatively } from './native-receiver.ts';
import { type WorkloadName, workload } from './workload.ts';
import { receiveWithZongji } from './zongji-receiver.ts';

const NATIVE = 'native I/O thread';
const NATIVE_TLS = 'native I/O thread, TLS';
const MILLRACE = 'Millrace';
const MILLRACE_TLS = 'Millrace, TLS';
const ZONGJI = 'zongji, decoding, no file';

const USUAL: readonly WorkloadName[] = ['small', 'bulk', 'blobs'];

const COLUMNS: readonly Column[] = [
  { key: 'seconds', title: 'seconds', digits: 2 },
  { key: 'megabytes', title: 'MB/s', digits: 0 },
  { key: 'plain', title: 'vs native', digits: 2, ratio: { of: 'seconds', baseline: NATIVE, as: 'speed' } },
  {
    key: 'tls',
    title: 'vs native TLS',
    digits: 2,
    ratio: { of: 'seconds', baseline: NATIVE_TLS, as: 'speed' },
  },
  { key: 'cpu', title: 'CPU s', digits: 2 },
  { key: 'peak', title: 'peak MiB', digits: 0 },
];

export async function benchReceive(run: BenchRun): Promise<void> {
  const { workloads, quick } = run.options;
  for (const name of USUAL) {
    if (workloads.length > 0 && !workloads.includes(name)) continue;
    await benchWorkload(run, await prepareDataset(workload(name, quick ? 'quick' : 'receive')));
  }
}

async function benchWorkload(run: BenchRun, dataset: Dataset): Promise<void> {
  const { facts, workload: load } = dataset;
  const folder = runFolder('receive');
  const source = await startLoadingServer(await copyFolder(dataset.source, join(folder, 'source')));
  const replicaFolder = runFolder('receive');
  const replica = await startTarget(join(replicaFolder, 'data'), 'durable');
  try {
    await unlogged(source, [`GRANT SELECT ON bench.* TO '${SOURCE_ACCOUNT.user}'@'%'`]);
    // Every contender finds the source's files in the page cache.
    for (const file of sourceFiles(source, dataset)) readFileSync(file);
    const head = {
      section: 'receive',
      key: `receive/${load.name}`,
      title: `receive, ${load.title}`,
      about: `${(facts.bytes / 1e6).toFixed(0)} MB of binary log, ${facts.transactions} transactions. The relay log of Millrace was compared byte for byte.`,
    } as const;
    const contenders = contendersFor(source, replica, dataset);
    await run.table(head, async (measurements) => {
      await run.rounds(measurements, () => contenders);
      return { columns: COLUMNS };
    });
  } finally {
    await discardServer(source, folder);
    await discardServer(replica, replicaFolder);
  }
}

function contendersFor(source: TestServer, replica: TestServer, dataset: Dataset): Contender[] {
  const { gtids, bytes, binlogs, transactions } = dataset.facts;
  const rated = (name: string, receive: () => Promise<Figures>): Contender => ({
    name,
    async run() {
      const figures = await receive();
      return { ...figures, megabytes: bytes / 1e6 / figures.seconds! };
    },
  });
  const natively = (tls: boolean) => () =>
    receiveNatively(replica, { server: source, account: SOURCE_ACCOUNT, tls }, gtids);
  const millrace = (tls: boolean) => () => receiveAndCompare(source, dataset, tls);
  return [
    rated(NATIVE, natively(false)),
    rated(MILLRACE, millrace(false)),
    rated(NATIVE_TLS, natively(true)),
    rated(MILLRACE_TLS, millrace(true)),
    rated(ZONGJI, () => receiveWithZongji(source, SOURCE_ACCOUNT, binlogs, transactions)),
  ];
}

async function receiveAndCompare(source: TestServer, dataset: Dataset, tls: boolean): Promise<Figures> {
  const folder = runFolder('relay');
  try {
    const figures = await receiveWithMillrace(source, SOURCE_ACCOUNT, folder, dataset.facts.gtids, tls);
    const relayFiles = readdirSync(folder)
      .filter((name) => /^relay-bin\.\d+$/.test(name))
      .sort()
      .map((name) => join(folder, name));
    compareTransactions(sourceFiles(source, dataset), relayFiles);
    return figures;
  } finally {
    removeRunFolder(folder);
  }
}

function sourceFiles(source: TestServer, dataset: Dataset): string[] {
  return dataset.facts.binlogs.map((name) => join(source.datadir, name));
}
