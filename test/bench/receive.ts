/**
 * `npm run bench -- receive`: Millrace's reader beside the server's own I/O thread, on one machine and one source.
 *
 *   --workload bulk|small   (both)    --reps N   (3)    --scale F   size of the load, 1 = 590 MB and 120 MB
 *
 * Contenders take turns in rotating order. After every round of Millrace its relay log is compared with the source's
 * binary logs: every event of every transaction, byte for byte; a difference fails the run.
 */
import { readdirSync, rmSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type Account, createSourceAccount } from '../support/accounts.ts';
import { temporaryFolder } from '../support/repository.ts';
import { startServer, type TestServer } from '../support/test-server.ts';
import { compareTransactions } from './byte-equality.ts';
import { type Measurement, Measurements } from './measurements.ts';
import { receiveWithMillrace } from './millrace-receiver.ts';
import { receiveNatively } from './native-receiver.ts';
import { runWorkload, WORKLOADS, type Workload } from './workload.ts';

const NATIVE = "MySQL's I/O thread";
const MILLRACE = 'Millrace';

/** The load must not wait for the disk: what is measured comes later. */
const FAST_LOAD = ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0', '--innodb-buffer-pool-size=512M'];

export async function benchReceive(args: readonly string[]): Promise<void> {
  const { values: options } = parseArgs({
    args: [...args],
    options: {
      workload: { type: 'string' },
      reps: { type: 'string', default: '3' },
      scale: { type: 'string', default: '1' },
    },
  });
  const workloads = WORKLOADS.filter((each) => options.workload === undefined || each === options.workload);
  for (const workload of workloads)
    await benchWorkload(workload, Number(options.reps), Number(options.scale));
}

async function benchWorkload(workload: Workload, reps: number, scale: number): Promise<void> {
  const source = await startServer({
    flavour: 'mysql',
    version: '9.7',
    name: 'bench-source',
    args: FAST_LOAD,
  });
  const replica = await startServer({
    flavour: 'mysql',
    version: '9.7',
    name: 'bench-replica',
    args: ['--server-id=77', '--relay-log-purge=ON', '--skip-replica-start'],
  });
  const account = await createSourceAccount(source);
  await runWorkload(source, workload, scale);
  await source.query('FLUSH BINARY LOGS');
  const logs = await source.query('SHOW BINARY LOGS');
  const bytes = logs.reduce((sum, log) => sum + Number(log.File_size), 0);
  const [gtids] = await source.query('SELECT @@global.gtid_executed AS executed');
  const wanted = String(gtids?.executed).replaceAll('\n', '');
  const machine = `${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}, Node ${process.versions.node}`;
  console.log(`\n${workload}: ${(bytes / 1e6).toFixed(0)} MB in ${logs.length} binary logs; ${machine}`);

  const measurements = new Measurements();
  const sourceFiles = logs.map((log) => join(source.datadir, String(log.Log_name)));
  const contenders: [string, () => Promise<Measurement>][] = [
    [NATIVE, () => receiveNatively(replica, source, account, wanted, bytes)],
    [MILLRACE, () => receiveAndCompare(source, account, wanted, bytes, sourceFiles)],
  ];
  for (let rep = 0; rep < reps; rep++) {
    for (let i = 0; i < contenders.length; i++) {
      const [name, receive] = contenders[(i + rep) % contenders.length]!;
      const measurement = await receive();
      console.log(`  ${rep + 1}. ${name}: ${measurement.seconds.toFixed(2)} s`);
      measurements.add(name, measurement);
    }
  }
  console.log(measurements.table(NATIVE));
  await Promise.all([source.stop(), replica.stop()]);
}

async function receiveAndCompare(
  source: TestServer,
  account: Account,
  wanted: string,
  bytes: number,
  sourceFiles: readonly string[],
): Promise<Measurement> {
  const relayDir = temporaryFolder('bench-relay');
  const measurement = await receiveWithMillrace(source, account, relayDir, wanted, bytes);
  const relayFiles = readdirSync(relayDir)
    .filter((name) => /^relay-bin\.\d+$/.test(name))
    .sort()
    .map((name) => join(relayDir, name));
  const equal = compareTransactions(sourceFiles, relayFiles);
  console.log(`     ${equal.events} events, ${equal.bytes} bytes are equal to the source's`);
  rmSync(relayDir, { recursive: true });
  return measurement;
}
