/**
 * `npm run bench -- latency`: from a commit on the source to the row on the target, one transaction every 20 ms. The server's
 * own replica and Millrace take turns on one durable source; each has a durable target of its own, and rests while the other
 * is measured.
 */
import { join } from 'node:path';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { assertEqualServers } from '../support/equality.ts';
import { address, type ConfigMap, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import type { TestServer } from '../support/test-server.ts';
import { requireAccepted } from './apply-run.ts';
import type { BenchRun, Contender } from './bench-run.ts';
import { discardServer, runFolder, startTarget } from './bench-server.ts';
import { LatencyProbe, TICKS_TABLE } from './latency-probe.ts';
import type { Column, Figures } from './measurements.ts';
import { pointReplicaAt } from './native-receiver.ts';
import { processUsage } from './process-usage.ts';
import { BENCH_SCHEMA } from './workload.ts';

const NATIVE = 'native, 4 workers';
const MILLRACE = 'Millrace';
const COALESCED = 'Millrace, coalesce: 100';
const WARM_UP = 2000;

const COLUMNS: readonly Column[] = [
  { key: 'p50', title: 'p50 ms', digits: 2 },
  { key: 'p99', title: 'p99 ms', digits: 2 },
  {
    key: 'p50share',
    title: 'p50, share of native’s',
    digits: 2,
    ratio: { of: 'p50', baseline: NATIVE, as: 'share' },
  },
  {
    key: 'p99share',
    title: 'p99, share of native’s',
    digits: 2,
    ratio: { of: 'p99', baseline: NATIVE, as: 'share' },
  },
  { key: 'cpu', title: 'CPU s a 1000', digits: 2 },
  { key: 'peak', title: 'peak MiB', digits: 0 },
];

/** A server of the run and the folder it lives in. */
interface Place {
  readonly server: TestServer;
  readonly folder: string;
}

export async function benchLatency(run: BenchRun): Promise<void> {
  const ticks = run.options.quick ? 60 : 250;
  const places: Place[] = [];
  const start = async (): Promise<TestServer> => {
    const folder = runFolder('latency');
    const server = await startTarget(join(folder, 'data'), 'durable');
    places.push({ server, folder });
    return server;
  };
  try {
    const source = await start();
    const account = await createSourceAccount(source);
    await source.query('RESET BINARY LOGS AND GTIDS');
    await source.query(`CREATE DATABASE ${BENCH_SCHEMA}`);
    await source.query(TICKS_TABLE);
    const contenders = [
      nativeContender(source, await start(), account, ticks),
      millraceContender(MILLRACE, source, await start(), account, ticks, {}),
      millraceContender(COALESCED, source, await start(), account, ticks, {
        progress: 'table',
        coalesce: 100,
      }),
    ];
    const head = {
      section: 'latency',
      key: 'latency',
      title: 'latency: commit to visible, one transaction every 20 ms',
      about: `${ticks} transactions a round after ${WARM_UP} others; source and targets durable; tables equal after every round.`,
    } as const;
    await run.table(head, async (measurements) => {
      await run.rounds(measurements, () => contenders);
      return { columns: COLUMNS };
    });
  } finally {
    for (const { server, folder } of places) await discardServer(server, folder);
  }
}

type Credentials = Awaited<ReturnType<typeof createSourceAccount>>;

function nativeContender(
  source: TestServer,
  target: TestServer,
  account: Credentials,
  ticks: number,
): Contender {
  let prepared = false;
  return {
    name: NATIVE,
    async run() {
      if (!prepared) {
        await target.query('RESET BINARY LOGS AND GTIDS');
        await pointReplicaAt(target, { server: source, account, tls: false });
        prepared = true;
      }
      await target.query('START REPLICA');
      try {
        return await measure(source, target, ticks);
      } finally {
        await target.query('STOP REPLICA');
      }
    },
  };
}

function millraceContender(
  name: string,
  source: TestServer,
  target: TestServer,
  account: Credentials,
  ticks: number,
  keys: ConfigMap,
): Contender {
  let millrace: MillraceProcess | null = null;
  return {
    name,
    async run() {
      if (millrace === null) {
        await target.query('RESET BINARY LOGS AND GTIDS');
        const applier = await createTargetAccount(target);
        const tls = 'disabled';
        millrace = MillraceProcess.prepare([
          channelConfig({
            source: { ...address(source), ...account, tls },
            target: { ...address(target), ...applier, tls, ...keys },
          }),
        ]);
        await requireAccepted(millrace);
      }
      millrace.launch();
      try {
        const pid = millrace.pid;
        const before = await firstTicks(source, target, () => processUsage(pid));
        const figures = await measure(source, target, ticks);
        const after = processUsage(pid);
        const cpu = ((after.cpuSeconds - before.cpuSeconds) / (ticks + WARM_UP)) * 1000;
        return { ...figures, cpu, peak: after.rssPeakMib };
      } finally {
        await millrace.stop();
      }
    },
  };
}

/** Everything of before has come, and the program is loaded. */
async function firstTicks<T>(source: TestServer, target: TestServer, look: () => T): Promise<T> {
  const probe = await LatencyProbe.open(source, target);
  await probe.tick();
  probe.close();
  return look();
}

async function measure(source: TestServer, target: TestServer, ticks: number): Promise<Figures> {
  const probe = await LatencyProbe.open(source, target);
  try {
    const figures = await probe.measure(ticks, WARM_UP);
    await assertEqualServers(source, target, { schemas: [BENCH_SCHEMA] });
    return figures;
  } finally {
    probe.close();
  }
}
