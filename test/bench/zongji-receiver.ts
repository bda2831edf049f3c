/**
 * @vlasky/zongji, measured in a process of its own: it decodes every event and keeps nothing. It neither verifies checksums
 * nor writes a file, so it does less than a receiver must.
 *
 * Run as a program it is that process: one argument, the task as JSON; one message to the parent, the figures.
 */
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import ZongJi from '@vlasky/zongji';
import type { Account } from '../support/accounts.ts';
import type { TestServer } from '../support/test-server.ts';
import type { Figures } from './measurements.ts';

interface Task {
  readonly host: string;
  readonly port: number;
  readonly account: Account;
  readonly binlogs: readonly string[];
  readonly transactions: number;
}

const DEADLINE_MS = 600_000;

/** `account` may also read information_schema of the tables concerned. */
export function receiveWithZongji(
  source: TestServer,
  account: Account,
  binlogs: readonly string[],
  transactions: number,
): Promise<Figures> {
  const task: Task = { host: source.host, port: source.port, account, binlogs, transactions };
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(task)]);
    child.on('message', (figures: Figures) => resolve(figures));
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`zongji ended with code ${code}`)));
  });
}

async function runTask(task: Task): Promise<void> {
  const zongji = new ZongJi({ host: task.host, port: task.port, ...task.account });
  const deadline = setTimeout(() => {
    throw new Error('zongji does not get everything');
  }, DEADLINE_MS);
  const before = process.cpuUsage();
  const startedMs = performance.now();
  let seen = 0;
  await new Promise<void>((resolve, reject) => {
    zongji.on('error', reject);
    zongji.on('binlog', (event: { getEventName(): string }) => {
      if (event.getEventName() !== 'xid') return;
      seen += 1;
      if (seen === task.transactions) resolve();
    });
    zongji.start({ filename: task.binlogs[0]!, position: 4, serverId: 4711 });
  });
  const seconds = (performance.now() - startedMs) / 1000;
  const used = process.cpuUsage(before);
  clearTimeout(deadline);
  zongji.stop();
  const figures: Figures = {
    seconds,
    cpu: (used.user + used.system) / 1e6,
    peak: process.resourceUsage().maxRSS / 1024,
  };
  process.send!(figures, () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await runTask(JSON.parse(process.argv[2]!) as Task);
