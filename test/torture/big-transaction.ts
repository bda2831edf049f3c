/**
 * One transaction bigger than memory: how much memory does Millrace take for it, and is the target equal afterwards?
 * Prints a table and a line of JSON; exit code 0 only when equal and below the limit.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { compareServers } from '../support/equality.ts';
import { address, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import type { Flavour } from '../support/server-provider.ts';
import { startServer } from '../support/test-server.ts';

const MIB = 1024 * 1024;
const PEAK_MEMORY_MAX = 300 * MIB;

const { values } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '2048' },
    'row-kilobytes': { type: 'string', default: '16' },
    flavour: { type: 'string', default: 'mysql' },
    progress: { type: 'string' },
  },
});

const megabytes = Number(values.megabytes);
const rowBytes = Number(values['row-kilobytes']) * 1024;
const flavour = values.flavour as Flavour;
const progress = (values.progress ?? (flavour === 'mysql' ? 'gtid' : 'table')) as 'gtid' | 'table';

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

async function main(): Promise<boolean> {
  const redo = flavour === 'mysql' ? '--innodb-redo-log-capacity=1G' : '--innodb-log-file-size=512M';
  const args = [redo, '--innodb-buffer-pool-size=512M', '--max-allowed-packet=1G'];
  const [source, target] = await Promise.all([
    startServer({ flavour, name: 'source', args }),
    startServer({ flavour, name: 'target', args }),
  ]);
  const sourceAccount = await createSourceAccount(source);
  const targetAccount = await createTargetAccount(target);
  const millrace = await MillraceProcess.start([
    channelConfig({
      source: { ...address(source), ...sourceAccount },
      target: { ...address(target), ...targetAccount, progress },
    }),
  ]);
  await source.query(
    'CREATE DATABASE big; CREATE TABLE big.t (id BIGINT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)',
  );
  await waitUntilCaughtUp(source, target, { millrace, progress });
  const idle = millrace.peakMemory();

  const began = performance.now();
  const rows = Math.ceil((megabytes * MIB) / rowBytes);
  await fill(source, rows);
  const written = performance.now();
  console.error(
    `the transaction of ${megabytes} MiB was written in ${((written - began) / 1000).toFixed(1)} s`,
  );
  await waitUntilCaughtUp(source, target, { millrace, progress, timeoutMs: 1_800_000 });
  const applied = (performance.now() - written) / 1000;
  const peak = millrace.peakMemory();
  const { differences } = await compareServers(source, target);
  const equal = differences.length === 0;

  const table = new Table({ style: { head: [], border: [], compact: true } });
  table.push(
    [
      'transaction',
      `${megabytes} MiB, ${rows} rows of ${rowBytes / 1024} KiB, ${flavour}, progress ${progress}`,
    ],
    ['applied after its commit', `${applied.toFixed(1)} s`],
    ['peak memory of Millrace', `${(peak / MIB).toFixed(0)} MiB (${(idle / MIB).toFixed(0)} MiB before)`],
    ['verdict', equal && peak < PEAK_MEMORY_MAX ? 'equal, below 300 MiB' : 'FAILED'],
  );
  console.log(table.toString());
  for (const difference of differences) console.log(difference);
  console.log(
    JSON.stringify({
      megabytes,
      rows,
      flavour,
      progress,
      seconds: applied,
      peakMiB: peak / MIB,
      idleMiB: idle / MIB,
      equal,
    }),
  );
  await millrace.stop();
  await Promise.all([source.stop(), target.stop()]);
  return equal && peak < PEAK_MEMORY_MAX;
}

/** All rows in one transaction, made by the server itself. */
async function fill(source: Awaited<ReturnType<typeof startServer>>, rows: number): Promise<void> {
  const connection = await source.connect();
  await connection.query('CREATE TEMPORARY TABLE big.seq (n INT PRIMARY KEY)');
  const batch = Math.max(1, Math.floor((8 * MIB) / rowBytes));
  await connection.query('INSERT INTO big.seq VALUES ?', [
    Array.from({ length: batch }, (_, index) => [index]),
  ]);
  await connection.query('BEGIN');
  for (let done = 0; done < rows; done += batch) {
    const count = Math.min(batch, rows - done);
    const value = 'REPEAT(UNHEX(SHA2(CONCAT(?, "-", n), 256)), ?)';
    await connection.query(`INSERT INTO big.t (v) SELECT ${value} FROM big.seq WHERE n < ?`, [
      done,
      rowBytes / 32,
      count,
    ]);
  }
  await connection.query('COMMIT');
  await connection.end();
}

main().then(
  (passed) => process.exit(passed ? 0 : 1),
  (error: unknown) => {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exit(1);
  },
);
