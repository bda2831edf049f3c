/**
 * One run of one contender: a fresh copy of the target, everything already received, applied until the target has it all,
 * compared with the source.
 *
 * The clock runs from START REPLICA, or from Millrace's first connection to the target, to the moment the target has
 * everything; both find their relay log complete on disk. Loading the program (mysqld, Node) comes before and is told apart.
 * The source is up and has nothing more to send.
 */
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createTargetAccount } from '../support/accounts.ts';
import { address, type ConfigMap, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import { mustRun } from '../support/program.ts';
import type { TestServer } from '../support/test-server.ts';
import {
  copyFolder,
  discardServer,
  runFolder,
  type Setting,
  serverPid,
  startTarget,
} from './bench-server.ts';
import { type Dataset, SOURCE_ACCOUNT } from './dataset.ts';
import type { Figures } from './measurements.ts';
import { type ProcessUsage, processUsage } from './process-usage.ts';
import { RefusedError } from './refused-error.ts';
import { requireSlowDisk, type SlowDisk } from './slow-disk.ts';
import { requireEqual } from './table-checksums.ts';

/** Asked every 5 ms, the bench itself took 6.5 % of a machine with 2 cores. */
const POLL_MS = 20;
/** To see the first connection early. */
const FIRST_POLL_MS = 2;
const DEADLINE_MS = 600_000;
/** As test/support/accounts.ts makes it. */
const APPLY_USER = 'apply';
const CHANNEL = 'bench';

export interface ApplyGround {
  readonly dataset: Dataset;
  readonly source: TestServer;
  /** A folder with the relay log of a channel of Millrace, whole. */
  readonly relayLog: string;
  readonly setting: Setting;
  readonly slowDisk: SlowDisk | null;
}

/** Runs with a fresh target whose data directory is a copy of `from`. */
async function withTarget<T>(
  ground: ApplyGround,
  from: string,
  work: (target: TestServer, folder: string) => Promise<T>,
): Promise<T> {
  const folder = runFolder('apply');
  const datadir = await copyFolder(from, join(folder, 'data'));
  const target = await startTarget(datadir, ground.setting, ground.slowDisk);
  try {
    if (ground.setting === 'slow-disk') await requireSlowDisk(target, ground.slowDisk!);
    return await work(target, folder);
  } finally {
    await discardServer(target, folder);
  }
}

/** The server's own replica with so many workers; the order of commits is kept, as it is by default. */
export function applyNatively(ground: ApplyGround, workers: number, look?: Look): Promise<Figures> {
  const { facts, replica } = ground.dataset;
  return withTarget(ground, replica, async (target) => {
    await target.query(`SET GLOBAL replica_parallel_workers = ${workers}`);
    const pid = await serverPid(target);
    const before = processUsage(pid);
    const startedMs = performance.now();
    await target.query('START REPLICA SQL_THREAD');
    await untilExecuted(target, 'gtid', facts.gtids, async () => {
      const failed = await target.query(
        `SELECT LAST_ERROR_MESSAGE AS error FROM performance_schema.replication_applier_status_by_worker
          WHERE LAST_ERROR_NUMBER <> 0 LIMIT 1`,
      );
      return failed[0] === undefined ? null : String(failed[0].error);
    });
    const seconds = (performance.now() - startedMs) / 1000;
    const server = since(before, processUsage(pid));
    await look?.(target, seconds);
    await requireEqual(facts.tables, target, facts.gtids);
    return figures(ground, seconds, { server });
  });
}

/** Called when everything is applied, while all still runs. */
export type Look = (target: TestServer, seconds: number) => Promise<void>;

/** Configurations that were accepted once. */
const accepted = new Set<string>();

export interface MillraceWish {
  /** Keys of the target in the configuration. */
  readonly target: ConfigMap;
  /** Keys beside the channels. */
  readonly top?: ConfigMap;
  readonly nodeArgs?: readonly string[];
  /** Begun when the process is launched; awaited before everything is looked at. */
  readonly beside?: (millrace: MillraceProcess) => Promise<void>;
  /** bin/millrace.js of another working copy. */
  readonly program?: string;
  readonly look?: Look;
}

/** The program as its users run it. @throws RefusedError when this version refuses the configuration. */
export function applyWithMillrace(ground: ApplyGround, wish: MillraceWish): Promise<Figures> {
  const { facts, base } = ground.dataset;
  const progress = wish.target.progress === 'table' ? 'table' : 'gtid';
  return withTarget(ground, base, async (target) => {
    const account = await createTargetAccount(target, APPLY_USER);
    const channel = channelConfig({
      name: CHANNEL,
      source: { ...address(ground.source), ...SOURCE_ACCOUNT, tls: 'disabled' },
      target: { ...address(target), ...account, tls: 'disabled', ...wish.target },
    });
    const millrace = MillraceProcess.prepare([channel], wish.top, wish.program);
    try {
      const known = JSON.stringify([wish.target, wish.program]);
      if (!accepted.has(known)) await requireAccepted(millrace);
      accepted.add(known);
      await copyFolder(ground.relayLog, join(millrace.dataDir, CHANNEL));
      const serverId = await serverPid(target);
      const launchedMs = performance.now();
      millrace.launch({}, wish.nodeArgs);
      const beside = wish.beside?.(millrace);
      beside?.catch(() => {});
      await untilConnected(target, millrace);
      const startedMs = performance.now();
      const before = { server: processUsage(serverId), consumer: processUsage(millrace.pid) };
      await untilExecuted(target, progress, facts.gtids, () => Promise.resolve(trouble(millrace)));
      const seconds = (performance.now() - startedMs) / 1000;
      const server = since(before.server, processUsage(serverId));
      const consumer = since(before.consumer, processUsage(millrace.pid));
      await beside;
      await wish.look?.(target, seconds);
      const { code } = await millrace.stop();
      if (code !== 0) throw new Error(`Millrace ended with code ${code}:\n${millrace.tail()}`);
      await requireEqual(facts.tables, target, progress === 'gtid' ? facts.gtids : null);
      return figures(ground, seconds, { server, consumer, load: (startedMs - launchedMs) / 1000 });
    } finally {
      await millrace.remove();
    }
  });
}

/** `mysqlbinlog FILES | mysql`, which needs no relay log: it reads the source's files. */
export function applyByPipe(ground: ApplyGround): Promise<Figures> {
  const { facts, base } = ground.dataset;
  return withTarget(ground, base, async (target) => {
    const files = facts.binlogs.map((name) => join(ground.source.datadir, name));
    const reader = target.binary('mysqlbinlog');
    const client = target.binary('mysql');
    const commands = [
      [reader.command, ...reader.args, '--no-defaults', ...files],
      [client.command, ...client.args, '--no-defaults', '--binary-mode', '--protocol=TCP'],
    ].map((words) => words.map((word) => `'${word}'`).join(' '));
    const connect = `--host=${target.host} --port=${target.port} --user=${target.rootUser}`;
    const pid = await serverPid(target);
    const before = processUsage(pid);
    const startedMs = performance.now();
    // The shell's `times` tells what its two children have used.
    const spent = await mustRun('sh', ['-c', `${commands[0]} | ${commands[1]} ${connect} || exit 1; times`], {
      env: { ...process.env, MYSQL_PWD: target.rootPassword },
      timeoutMs: DEADLINE_MS,
    });
    const seconds = (performance.now() - startedMs) / 1000;
    const server = since(before, processUsage(pid));
    await requireEqual(facts.tables, target, facts.gtids);
    return { ...figures(ground, seconds, { server }), cpu: childrenSeconds(spent) };
  });
}

// ---- waiting

async function untilConnected(target: TestServer, millrace: MillraceProcess): Promise<void> {
  const startedMs = performance.now();
  for (;;) {
    const [row] = await target.query(
      `SELECT COUNT(*) AS n FROM performance_schema.processlist WHERE USER='${APPLY_USER}'`,
    );
    if (Number(row?.n) > 0) return;
    const words = trouble(millrace);
    if (words !== null) throw new Error(words);
    if (performance.now() - startedMs > DEADLINE_MS) throw new Error('Millrace does not connect');
    await delay(FIRST_POLL_MS);
  }
}

/** `trouble` is asked about once a second: what keeps the applier from going on, or null. */
async function untilExecuted(
  target: TestServer,
  progress: 'gtid' | 'table',
  wanted: string,
  trouble: () => Promise<string | null>,
): Promise<void> {
  const executed =
    progress === 'gtid'
      ? 'SELECT GTID_SUBSET(?, @@global.gtid_executed) AS done'
      : `SELECT GTID_SUBSET(?, COALESCE(GROUP_CONCAT(NULLIF(executed, '')), '')) AS done FROM millrace.progress`;
  const startedMs = performance.now();
  if (progress === 'table') await target.query('SET SESSION group_concat_max_len = 1000000000');
  for (let polls = 1; ; polls++) {
    const [row] = await target.query(executed, [wanted]).catch((error: { code?: string }) => {
      // Millrace makes the table with its first connection.
      if (error.code === 'ER_NO_SUCH_TABLE' || error.code === 'ER_BAD_DB_ERROR') return [];
      throw error;
    });
    if (Number(row?.done) === 1) return;
    if (polls % Math.ceil(1000 / POLL_MS) === 0) {
      const words = await trouble();
      if (words !== null) throw new Error(words);
    }
    if (performance.now() - startedMs > DEADLINE_MS) throw new Error('the target does not get everything');
    await delay(POLL_MS);
  }
}

function trouble(millrace: MillraceProcess): string | null {
  if (!millrace.running) return `Millrace has ended:\n${millrace.tail()}`;
  return /"level":"?(error|50)/.test(millrace.output)
    ? `Millrace reports an error:\n${millrace.tail()}`
    : null;
}

/** `millrace check` says at once what this version does not do. */
export async function requireAccepted(millrace: MillraceProcess): Promise<void> {
  const { code, stdout, stderr } = await millrace.command('check');
  if (code === 0) return;
  const words = `${stdout}${stderr}`.trim();
  if (/not in this version/.test(words)) throw new RefusedError(refusalIn(words));
  throw new Error(`the configuration is not accepted:\n${words}`);
}

function refusalIn(words: string): string {
  return /[^:\n]*not in this version/.exec(words)?.[0].trim() ?? words;
}

// ---- figures

function since(before: ProcessUsage, after: ProcessUsage): ProcessUsage {
  return { cpuSeconds: after.cpuSeconds - before.cpuSeconds, rssPeakMib: after.rssPeakMib };
}

function figures(
  ground: ApplyGround,
  seconds: number,
  used: { server: ProcessUsage; consumer?: ProcessUsage; load?: number },
): Figures {
  const { transactions, bytes } = ground.dataset.facts;
  return {
    seconds,
    rate: transactions / seconds,
    megabytes: bytes / 1e6 / seconds,
    serverCpu: used.server.cpuSeconds,
    serverPeak: used.server.rssPeakMib,
    ...(used.consumer === undefined ? {} : { cpu: used.consumer.cpuSeconds, peak: used.consumer.rssPeakMib }),
    ...(used.load === undefined ? {} : { load: used.load }),
  };
}

/** The second line of `times`: user and system time of all children, as 0m1.23s 0m0.45s. */
function childrenSeconds(times: string): number {
  const lines = times.trim().split('\n');
  let seconds = 0;
  for (const [, minutes, rest] of (lines.at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)) {
    seconds += Number(minutes) * 60 + Number(rest);
  }
  return seconds;
}
