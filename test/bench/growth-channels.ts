/**
 * Channels in one process: each takes one schema of one source to one target (its filter lets nothing else through), with a
 * table for its progress. The load is the same however many there are: 40 transactions a second over all schemas.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { assertEqualServers } from '../support/equality.ts';
import { address, type ConfigMap, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import type { TestServer } from '../support/test-server.ts';
import { requireAccepted } from './apply-run.ts';
import type { BenchRun } from './bench-run.ts';
import { discardServer, runFolder, startTarget } from './bench-server.ts';
import type { Column, Figures } from './measurements.ts';
import { processUsage } from './process-usage.ts';

const CHANNELS = [1, 10, 50] as const;
/** 50 channels of 8 would be more connections than a server takes by default. */
const WORKERS = 2;
const PERIOD_MS = 25;
const DEADLINE_MS = 240_000;

const COLUMNS: readonly Column[] = [
  { key: 'load', title: 'start to all streaming, s', digits: 2 },
  { key: 'idleCpu', title: 'CPU idle, % of a core', digits: 1 },
  { key: 'loadCpu', title: 'CPU under load, % of a core', digits: 1 },
  { key: 'lag', title: 'lag at the end of the load, s', digits: 2 },
  { key: 'peak', title: 'peak MiB', digits: 0 },
  { key: 'each', title: 'MiB a channel', digits: 1 },
];

export async function growChannels(run: BenchRun): Promise<void> {
  const head = {
    section: 'growth',
    key: 'growth/channels',
    title: 'growth: channels in one process',
    about: `Each channel takes one schema of one source to one target, ${WORKERS} workers each, 40 transactions a second in all.`,
  } as const;
  const folders = [runFolder('channels'), runFolder('channels')];
  const servers = await Promise.all(folders.map((folder) => startTarget(join(folder, 'data'), 'durable')));
  const [source, target] = servers as [TestServer, TestServer];
  try {
    const accounts = [await createSourceAccount(source), await createTargetAccount(target)] as const;
    await run.table(head, async (measurements) => {
      for (const channels of CHANNELS) {
        const name = `${channels} channel${channels === 1 ? '' : 's'}`;
        await run.attempt(measurements, 0, {
          name,
          run: () => measure(source, target, accounts, channels, run.options.quick ? 2 : 8),
        });
      }
      return { columns: COLUMNS };
    });
  } finally {
    await Promise.all(servers.map((server, index) => discardServer(server, folders[index]!)));
  }
}

type Accounts = readonly [
  Awaited<ReturnType<typeof createSourceAccount>>,
  Awaited<ReturnType<typeof createTargetAccount>>,
];

async function measure(
  source: TestServer,
  target: TestServer,
  [repl, apply]: Accounts,
  channels: number,
  seconds: number,
): Promise<Figures> {
  const schemas = Array.from({ length: channels }, (_, i) => `of${channels}_${String(i).padStart(2, '0')}`);
  const tls = 'disabled';
  const config = (schema: string): ConfigMap =>
    channelConfig({
      name: schema,
      source: { ...address(source), ...repl, tls },
      target: {
        ...address(target),
        ...apply,
        tls,
        workers: WORKERS,
        progress: 'table',
        filters: { replicate_wild_do_table: [`${schema}.%`] },
      },
    });
  const millrace = MillraceProcess.prepare(schemas.map(config));
  try {
    await requireAccepted(millrace);
    await source.query('RESET BINARY LOGS AND GTIDS');
    for (const schema of schemas) {
      await source.query(`CREATE DATABASE ${schema}`);
      await source.query(`CREATE TABLE ${schema}.t (id INT PRIMARY KEY, pad VARCHAR(200))`);
    }
    const startedMs = performance.now();
    millrace.launch();
    await untilCounted(target, schemas, 0);
    const load = (performance.now() - startedMs) / 1000;
    const idleCpu = await usedMeanwhile(millrace, () => delay(seconds * 500));
    let sent = 0;
    let lag = 0;
    const loadCpu = await usedMeanwhile(millrace, async () => {
      sent = await produce(source, schemas, seconds);
      const endedMs = performance.now();
      await untilCounted(target, schemas, sent);
      lag = (performance.now() - endedMs) / 1000;
    });
    await assertEqualServers(source, target, { schemas });
    const peak = processUsage(millrace.pid).rssPeakMib;
    await millrace.stop();
    return { load, idleCpu, loadCpu, lag, peak, each: peak / channels };
  } finally {
    await millrace.remove();
  }
}

/** Percent of one core. */
async function usedMeanwhile(millrace: MillraceProcess, work: () => Promise<unknown>): Promise<number> {
  const [before, startedMs] = [processUsage(millrace.pid).cpuSeconds, performance.now()];
  await work();
  const used = processUsage(millrace.pid).cpuSeconds - before;
  return (used / ((performance.now() - startedMs) / 1000)) * 100;
}

/** Returns how many transactions it sent. */
async function produce(source: TestServer, schemas: readonly string[], seconds: number): Promise<number> {
  const wanted = Math.round((seconds * 1000) / PERIOD_MS);
  const startedMs = performance.now();
  for (let i = 0; i < wanted; i++) {
    await source.query(`INSERT INTO ${schemas[i % schemas.length]}.t VALUES (${i}, REPEAT('load', 20))`);
    await delay(Math.max(0, startedMs + (i + 1) * PERIOD_MS - performance.now()));
  }
  return wanted;
}

/** All tables are there, with so many rows together. */
async function untilCounted(target: TestServer, schemas: readonly string[], rows: number): Promise<void> {
  const counts = schemas.map((schema) => `(SELECT COUNT(*) FROM ${schema}.t)`).join(' + ');
  const startedMs = performance.now();
  for (;;) {
    const [row] = await target.query(`SELECT ${counts} AS n`).catch((error: { code?: string }) => {
      if (error.code === 'ER_NO_SUCH_TABLE' || error.code === 'ER_BAD_DB_ERROR') return [];
      throw error;
    });
    if (row !== undefined && Number(row.n) >= rows) return;
    if (performance.now() - startedMs > DEADLINE_MS) throw new Error('the channels do not get everything');
    await delay(10);
  }
}
