/**
 * A source and a target whose GTID sets have 100,000 holes, as after many years of failovers and of transactions with GTIDs of
 * their own: starting, latency, and a burst of transactions, beside the server's own replica with the same set.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Account, createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { address, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import type { TestServer } from '../support/test-server.ts';
import type { BenchRun } from './bench-run.ts';
import { discardServer, runFolder, serverPid, startTarget } from './bench-server.ts';
import { LatencyProbe, TICKS_TABLE } from './latency-probe.ts';
import type { Column, Figures } from './measurements.ts';
import { pointReplicaAt } from './native-receiver.ts';
import { processUsage } from './process-usage.ts';
import { BENCH_SCHEMA } from './workload.ts';

const SID = '10000000-0000-4000-8000-0000000000ff';
const DEADLINE_MS = 180_000;

const COLUMNS: readonly Column[] = [
  { key: 'load', title: 'start to first transaction, s', digits: 2 },
  { key: 'p50', title: 'latency p50 ms', digits: 2 },
  { key: 'p99', title: 'latency p99 ms', digits: 2 },
  { key: 'rate', title: 'burst tx/s', digits: 0 },
  { key: 'cpu', title: 'CPU s, burst', digits: 2 },
  { key: 'peak', title: 'peak MiB', digits: 0 },
];

export async function growGtidSet(run: BenchRun): Promise<void> {
  const { quick } = run.options;
  const head = {
    section: 'growth',
    key: 'growth/gtid-set',
    title: 'growth: intervals in the GTID set',
    about:
      'Source and target have executed a set with so many intervals. CPU time and memory: of Millrace, or of the replica’s server. ' +
      'A burst is small transactions of one session of the source.',
  } as const;
  await run.table(head, async (measurements) => {
    for (const intervals of [1, 100_000]) {
      await withIntervals(intervals, async (ground) => {
        const burst = { ticks: quick ? 30 : 150, burst: quick ? 300 : 3000 };
        const suffix = `${intervals} interval${intervals === 1 ? '' : 's'}`;
        await run.attempt(measurements, 0, { name: `native, ${suffix}`, run: () => natively(ground, burst) });
        await run.attempt(measurements, 0, {
          name: `Millrace, ${suffix}`,
          run: () => withMillrace(ground, burst),
        });
      });
    }
    return { columns: COLUMNS };
  });
}

interface Amounts {
  readonly ticks: number;
  readonly burst: number;
}

interface Ground {
  readonly source: TestServer;
  readonly account: Account;
  /** One for each contender. */
  readonly targets: readonly [TestServer, TestServer];
}

async function withIntervals(intervals: number, work: (ground: Ground) => Promise<void>): Promise<void> {
  const folders = [runFolder('gtids'), runFolder('gtids'), runFolder('gtids')];
  const servers = await Promise.all(folders.map((folder) => startTarget(join(folder, 'data'), 'durable')));
  const [source, first, second] = servers as [TestServer, TestServer, TestServer];
  try {
    const account = await createSourceAccount(source);
    await createTargetAccount(second);
    const numbers = Array.from({ length: intervals }, (_, i) => 1 + 2 * i);
    for (const server of servers) {
      await server.query('RESET BINARY LOGS AND GTIDS');
      await server.query(`SET GLOBAL gtid_purged = '${SID}:${numbers.join(':')}'`);
    }
    await source.query(`CREATE DATABASE ${BENCH_SCHEMA}`);
    await source.query(TICKS_TABLE);
    await source.query(
      `CREATE TABLE ${BENCH_SCHEMA}.burst (id INT PRIMARY KEY AUTO_INCREMENT, pad VARCHAR(100))`,
    );
    await source.query(
      `CREATE PROCEDURE ${BENCH_SCHEMA}.fill (IN wanted INT) BEGIN
         DECLARE i INT DEFAULT 0;
         WHILE i < wanted DO INSERT INTO ${BENCH_SCHEMA}.burst (pad) VALUES (REPEAT('burst', 10)); SET i = i + 1; END WHILE;
       END`,
    );
    await work({ source, account, targets: [first, second] });
  } finally {
    await Promise.all(servers.map((server, index) => discardServer(server, folders[index]!)));
  }
}

async function natively({ source, account, targets }: Ground, amounts: Amounts): Promise<Figures> {
  const target = targets[0];
  await pointReplicaAt(target, { server: source, account, tls: false });
  const pid = await serverPid(target);
  const startedMs = performance.now();
  await target.query('START REPLICA');
  try {
    return await measure(source, target, pid, startedMs, amounts);
  } finally {
    await target.query('STOP REPLICA');
  }
}

async function withMillrace({ source, account, targets }: Ground, amounts: Amounts): Promise<Figures> {
  const target = targets[1];
  const tls = 'disabled';
  const millrace = MillraceProcess.prepare([
    channelConfig({
      source: { ...address(source), ...account, tls },
      target: { ...address(target), user: 'apply', password: 'apply-secret', tls },
    }),
  ]);
  const startedMs = performance.now();
  millrace.launch();
  try {
    return await measure(source, target, millrace.pid, startedMs, amounts);
  } finally {
    await millrace.stop();
    await millrace.remove();
  }
}

async function measure(
  source: TestServer,
  target: TestServer,
  pid: number,
  startedMs: number,
  { ticks, burst }: Amounts,
): Promise<Figures> {
  const probe = await LatencyProbe.open(source, target);
  try {
    await probe.tick();
    const load = (performance.now() - startedMs) / 1000;
    const latency = await probe.measure(ticks, 20);
    const before = processUsage(pid);
    const burstMs = performance.now();
    await source.query(`CALL ${BENCH_SCHEMA}.fill(${burst})`);
    await untilEqualCount(source, target);
    const rate = burst / ((performance.now() - burstMs) / 1000);
    const after = processUsage(pid);
    return { load, ...latency, rate, cpu: after.cpuSeconds - before.cpuSeconds, peak: after.rssPeakMib };
  } finally {
    probe.close();
  }
}

async function untilEqualCount(source: TestServer, target: TestServer): Promise<void> {
  const count = async (server: TestServer): Promise<string> => {
    const [row] = await server.query(`SELECT COUNT(*) AS n FROM ${BENCH_SCHEMA}.burst`);
    return String(row?.n);
  };
  const wanted = await count(source);
  const startedMs = performance.now();
  while ((await count(target)) !== wanted) {
    if (performance.now() - startedMs > DEADLINE_MS) throw new Error('the burst does not come to its end');
    await delay(5);
  }
}
