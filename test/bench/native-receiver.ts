/**
 * The server's own I/O thread, measured: a second MySQL with START REPLICA IO_THREAD and no applier.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Account } from '../support/accounts.ts';
import type { TestServer } from '../support/test-server.ts';
import { serverPid } from './bench-server.ts';
import type { Figures } from './measurements.ts';
import { processUsage } from './process-usage.ts';

const POLL_MS = 4;
const DEADLINE_MS = 600_000;

export interface NativeSource {
  readonly server: TestServer;
  readonly account: Account;
  readonly tls: boolean;
}

export async function pointReplicaAt(
  replica: TestServer,
  { server, account, tls }: NativeSource,
): Promise<void> {
  await replica.query(
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST='${server.host}', SOURCE_PORT=${server.port}, SOURCE_USER='${account.user}',
     SOURCE_PASSWORD='${account.password}', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_SSL=${tls ? 1 : 0}`,
  );
}

/** Receives everything up to `wanted` into fresh relay logs. Connecting is part of the time, as it is for Millrace. */
export async function receiveNatively(
  replica: TestServer,
  source: NativeSource,
  wanted: string,
): Promise<Figures> {
  await replica.query('STOP REPLICA');
  await replica.query('RESET REPLICA ALL');
  await replica.query('RESET BINARY LOGS AND GTIDS');
  await pointReplicaAt(replica, source);
  const pid = await serverPid(replica);
  const before = processUsage(pid);
  const startedMs = performance.now();
  await replica.query('START REPLICA IO_THREAD');
  for (;;) {
    const [row] = await replica.query(
      `SELECT GTID_SUBSET(?, RECEIVED_TRANSACTION_SET) AS done, LAST_ERROR_MESSAGE AS error
         FROM performance_schema.replication_connection_status`,
      [wanted],
    );
    if (row?.done === 1) break;
    if (row?.error !== '') throw new Error(`the replica's I/O thread: ${row?.error}`);
    if (performance.now() - startedMs > DEADLINE_MS) throw new Error('the replica does not get everything');
    await delay(POLL_MS);
  }
  const seconds = (performance.now() - startedMs) / 1000;
  const after = processUsage(pid);
  await replica.query('STOP REPLICA');
  return { seconds, cpu: after.cpuSeconds - before.cpuSeconds, peak: after.rssPeakMib };
}
