/**
 * Millrace's reader thread into its relay log, measured in a process of its own that does nothing else.
 *
 * Run as a program it is that process: one argument, the task as JSON; one message to the parent, the measurement.
 */
import { fork } from 'node:child_process';
import { extname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { errorLine } from '../../src/base/errors.ts';
import { GtidSet } from '../../src/binlog/gtid-set.ts';
import { ThreadHost } from '../../src/channel/thread-host.ts';
import type {
  ReaderCommand,
  ReaderOptions,
  ReaderReport,
  ReaderStatus,
} from '../../src/reader/reader-messages.ts';
import { PublishedEnd } from '../../src/relay/published-end.ts';
import type { Account } from '../support/accounts.ts';
import type { TestServer } from '../support/test-server.ts';
import type { Figures } from './measurements.ts';

const POLL_MS = 4;
const DEADLINE_MS = 300_000;

interface Task {
  readonly host: string;
  readonly port: number;
  readonly account: Account;
  readonly relayDir: string;
  readonly wanted: string;
  readonly tls: boolean;
}

/** Receives everything up to `wanted` into the empty folder `relayDir`. Connecting is part of the time. */
export function receiveWithMillrace(
  source: TestServer,
  account: Account,
  relayDir: string,
  wanted: string,
  tls = false,
): Promise<Figures> {
  const task: Task = { host: source.host, port: source.port, account, relayDir, wanted, tls };
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(task)]);
    child.on('message', (figures: Figures) => resolve(figures));
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`the receiver ended with code ${code}`)));
  });
}

async function runTask(task: Task): Promise<void> {
  const options: ReaderOptions = {
    channel: 'bench',
    endpoint: {
      host: task.host,
      port: task.port,
      user: task.account.user,
      password: task.account.password,
      tls: { mode: task.tls ? 'required' : 'disabled' },
      connectTimeoutMs: 10_000,
    },
    serverId: 4242,
    replicaUuid: 'c0ffee00-0000-4000-8000-000000004242',
    start: { at: 'auto' },
    heartbeatMs: 10_000,
    headEveryMs: 1_000,
    relayDir: task.relayDir,
    maxFileSize: 1024 ** 3,
    syncMs: 100,
    paused: false,
    retentionMs: 24 * 3600 * 1000,
    published: PublishedEnd.create().buffer,
  };
  let ended: string | null = null;
  const reader = new ThreadHost<ReaderCommand, ReaderReport, ReaderStatus>({
    entry: new URL(`../../src/reader/reader-thread${extname(import.meta.url)}`, import.meta.url),
    name: 'reader',
    workerData: options,
    onReport: (report) => {
      if (report.type === 'log' && report.level === 'error') console.error(report.message, report.facts);
    },
    onEnded: (cause) => {
      ended = cause === null ? 'stopped' : errorLine(cause);
    },
  });
  // The thread answers once it has loaded; only then does the clock run, as mysqld is up as well before it is asked.
  await reader.status(10_000);
  const wanted = GtidSet.parse(task.wanted);
  const before = process.cpuUsage();
  const startedMs = performance.now();
  reader.post({ type: 'start', executed: '', reset: false });
  for (;;) {
    const status = await reader.status(10_000);
    if (status !== null && GtidSet.parse(status.retrieved).containsAll(wanted)) break;
    if (ended !== null) throw new Error(`the reader ended: ${ended}`);
    if (performance.now() - startedMs > DEADLINE_MS) throw new Error('the reader does not get everything');
    await delay(POLL_MS);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const used = process.cpuUsage(before);
  const figures: Figures = {
    seconds,
    cpu: (used.user + used.system) / 1e6,
    peak: process.resourceUsage().maxRSS / 1024,
  };
  reader.post({ type: 'stop' });
  while (ended === null) await delay(POLL_MS);
  process.send!(figures, () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runTask(JSON.parse(process.argv[2]!) as Task);
