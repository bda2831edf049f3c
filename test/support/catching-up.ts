/**
 * Waiting until the target has everything that the source had at the moment of the call.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { executedSet } from './equality.ts';
import type { MillraceProcess, MillraceStatus } from './millrace-process.ts';
import type { TestServer } from './test-server.ts';

const STATUS_PERIOD_MS = 2000;

/**
 * With progress gtid the target's own gtid_executed tells; otherwise what Millrace says it has executed. Rejects with
 * both sets, and with Millrace's last words when there is one, after `timeoutMs`.
 */
export async function waitUntilCaughtUp(
  source: TestServer,
  target: TestServer,
  options: { millrace?: MillraceProcess; progress?: 'gtid' | 'table'; timeoutMs?: number } = {},
): Promise<void> {
  const { millrace, timeoutMs = 90_000 } = options;
  const progress = options.progress ?? (source.flavour === 'mysql' ? 'gtid' : 'table');
  const wanted = await executedSet(source);
  const deadline = Date.now() + timeoutMs;
  let lookAgain = Date.now() + STATUS_PERIOD_MS;
  let has = '';
  for (;;) {
    has = await executedOn(target, progress, millrace).catch(() => has);
    if (await containsAll(source, has, wanted)) return;
    if (millrace !== undefined && !millrace.running) {
      throw new Error(
        `Millrace ended before it caught up\nsource: ${wanted}\ntarget: ${has}\n${millrace.tail()}`,
      );
    }
    if (millrace !== undefined && Date.now() > lookAgain) {
      const stopped = stoppedPart(await millrace.status());
      if (stopped !== null) throw new Error(`Millrace cannot catch up: ${stopped}\n${millrace.tail()}`);
      lookAgain = Date.now() + STATUS_PERIOD_MS;
    }
    if (Date.now() > deadline) {
      const words =
        millrace === undefined
          ? ''
          : `\n${JSON.stringify(await millrace.status(), null, 1)}\n${millrace.tail()}`;
      throw new Error(`not caught up after ${timeoutMs} ms\nsource: ${wanted}\ntarget: ${has}${words}`);
    }
    await delay(50);
  }
}

/** What will not go on by itself; null: everything runs or is tried again. */
export function stoppedPart(status: MillraceStatus | null): string | null {
  const channel = status?.channels[0];
  if (channel === undefined) return null;
  if (channel.reader.state === 'stopped') return `the reader has stopped: ${channel.reader.reason}`;
  const target = channel.targets.find(({ state }) => state === 'stopped');
  return target === undefined ? null : `target ${target.name} has stopped: ${target.reason}`;
}

async function executedOn(
  target: TestServer,
  progress: 'gtid' | 'table',
  millrace: MillraceProcess | undefined,
): Promise<string> {
  if (progress === 'gtid') return executedSet(target);
  if (millrace === undefined) throw new Error('with progress table only Millrace knows what is executed');
  const status = await millrace.status();
  return status?.channels[0]?.targets[0]?.executed_gtid_set ?? '';
}

async function containsAll(server: TestServer, set: string, wanted: string): Promise<boolean> {
  if (server.flavour === 'mysql') {
    const [row] = await server.query('SELECT GTID_SUBSET(?, ?) AS subset', [wanted, set]);
    return Number(row?.subset) === 1;
  }
  const reached = mariadbSequences(set);
  return [...mariadbSequences(wanted)].every(
    ([domain, sequence]) => (reached.get(domain) ?? -1n) >= sequence,
  );
}

function mariadbSequences(set: string): Map<string, bigint> {
  const sequences = new Map<string, bigint>();
  for (const gtid of set.split(',').filter((part) => part !== '')) {
    const [domain = '', , sequence = '0'] = gtid.split('-');
    sequences.set(domain, BigInt(sequence));
  }
  return sequences;
}
