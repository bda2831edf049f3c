/**
 * `npm run bench -- profile`: where the time goes while small transactions are applied: Millrace's threads by function, the
 * target's statements and fsyncs, and the share of the workers' time that is spent in the server at all. The same figures of
 * the server's own replica stand beside them where it has them. Profiles are left in the cache folder.
 */
import { join } from 'node:path';
import type { ConfigMap } from '../support/millrace-process.ts';
import { cacheFolder } from '../support/repository.ts';
import type { TestServer } from '../support/test-server.ts';
import {
  COALESCED,
  MILLRACE,
  MILLRACE_ANY,
  MILLRACE_COALESCED,
  NATIVE,
  SIZE_OF_SETTING,
  withGround,
} from './apply.ts';
import { type ApplyGround, applyNatively, applyWithMillrace } from './apply-run.ts';
import type { BenchRun } from './bench-run.ts';
import { emptyFolder } from './bench-server.ts';
import { CpuProfile, type TimeSpent } from './cpu-profile.ts';
import { prepareDataset } from './dataset.ts';
import { workload } from './workload.ts';

const WORKERS = 8;
const FUNCTIONS = 30;
const PICO = 1e12;

export async function benchProfile(run: BenchRun): Promise<void> {
  const { quick, workloads, settings } = run.options;
  const name = workloads[0] ?? 'small';
  const setting = settings[0] ?? 'durable';
  const size = quick ? 'quick' : SIZE_OF_SETTING[setting];
  const dataset = await prepareDataset(workload(name, size));
  await withGround(dataset, async (ground) => {
    const there = { ...ground, setting };
    console.log(
      `\n── profile: ${dataset.workload.title}, ${there.setting}, ${dataset.facts.transactions} transactions`,
    );
    const { transactions } = dataset.facts;
    const wanted = (name: string): boolean => run.options.contenders?.test(name) ?? true;
    if (wanted(NATIVE)) {
      const native = await applyNatively(there, 4, (target, seconds) =>
        printServer(NATIVE, target, seconds, transactions, 4),
      );
      console.log(`CPU of the target ${native.serverCpu?.toFixed(2)} s`);
    }
    if (wanted(MILLRACE)) await profileMillrace(there, MILLRACE, {});
    if (wanted(MILLRACE_ANY)) await profileMillrace(there, MILLRACE_ANY, { commit_order: 'any' });
    if (wanted(MILLRACE_COALESCED)) await profileMillrace(there, MILLRACE_COALESCED, COALESCED);
    for (const [other, program] of Object.entries(run.options.beside)) {
      await profileMillrace(there, `Millrace (${other})`, {}, program);
    }
  });
}

async function profileMillrace(
  ground: ApplyGround,
  name: string,
  keys: ConfigMap,
  program?: string,
): Promise<void> {
  const folder = emptyFolder(join(cacheFolder('bench', 'profiles'), name.replaceAll(/\W+/g, '-')));
  const { transactions } = ground.dataset.facts;
  const figures = await applyWithMillrace(ground, {
    target: keys,
    nodeArgs: ['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval=500'],
    look: (target, seconds) => printServer(name, target, seconds, transactions, WORKERS),
    ...(program === undefined ? {} : { program }),
  });
  console.log(
    `CPU of the process ${figures.cpu?.toFixed(2)} s, of the target ${figures.serverCpu?.toFixed(2)} s`,
  );
  for (const profile of CpuProfile.readAll(folder)) {
    const thread = profile.has('applier/applier-run.ts')
      ? 'applier'
      : profile.has('reader/reader.ts')
        ? 'reader'
        : 'main';
    if (thread !== 'applier') continue;
    console.log(`\n${name}: ${thread} thread, ${(profile.totalMs / 1000).toFixed(2)} s in all`);
    print(profile.parts, profile.totalMs, 16);
    print(profile.functions, profile.totalMs, FUNCTIONS);
  }
}

function print(spent: readonly TimeSpent[], totalMs: number, most: number): void {
  for (const { where, ms } of spent.slice(0, most)) {
    console.log(
      `  ${ms.toFixed(0).padStart(7)} ms ${((100 * ms) / totalMs).toFixed(1).padStart(5)} %  ${where}`,
    );
  }
}

/** What the server has counted since it started: the run is nearly all of it. */
async function printServer(
  name: string,
  target: TestServer,
  seconds: number,
  transactions: number,
  workers: number,
): Promise<void> {
  console.log(`\n${name}: ${seconds.toFixed(2)} s, ${(transactions / seconds).toFixed(0)} tx/s`);
  const statements = await target.query(
    `SELECT EVENT_NAME AS name, COUNT_STAR AS n, SUM_TIMER_WAIT AS total, SUM_LOCK_TIME AS locked
       FROM performance_schema.events_statements_summary_by_account_by_event_name
      WHERE USER = 'apply' AND COUNT_STAR > 0 ORDER BY SUM_TIMER_WAIT DESC LIMIT 8`,
  );
  let inServer = 0;
  for (const row of statements) {
    const total = Number(row.total) / PICO;
    inServer += total;
    const each = ((total / Number(row.n)) * 1e6).toFixed(0);
    console.log(`  ${String(row.n).padStart(8)} × ${row.name}: ${total.toFixed(2)} s, ${each} µs each`);
  }
  if (statements.length > 0) {
    const share = (100 * inServer) / (workers * seconds);
    console.log(
      `  of ${workers} sessions' ${(workers * seconds).toFixed(1)} s, ${share.toFixed(0)} % in statements`,
    );
  }
  const files = await target.query(
    `SELECT EVENT_NAME AS name, COUNT_WRITE AS writes, SUM_TIMER_WRITE AS writing, COUNT_MISC AS syncs, SUM_TIMER_MISC AS syncing
       FROM performance_schema.file_summary_by_event_name
      WHERE COUNT_MISC > 0 ORDER BY SUM_TIMER_WAIT DESC LIMIT 6`,
  );
  for (const row of files) {
    const syncs = `${row.syncs} syncs and others ${(Number(row.syncing) / PICO).toFixed(2)} s`;
    console.log(
      `  ${row.name}: ${row.writes} writes ${(Number(row.writing) / PICO).toFixed(2)} s, ${syncs}, ${(Number(row.syncs) / transactions).toFixed(2)} a transaction`,
    );
  }
  const locks = await target.query(
    `SELECT VARIABLE_NAME AS name, VARIABLE_VALUE AS n FROM performance_schema.global_status
      WHERE VARIABLE_NAME IN ('Innodb_row_lock_waits', 'Innodb_row_lock_time')
     UNION ALL
     SELECT ERROR_NAME, SUM_ERROR_RAISED FROM performance_schema.events_errors_summary_global_by_error
      WHERE ERROR_NUMBER IN (1205, 1213, 3101) AND SUM_ERROR_RAISED > 0`,
  );
  console.log(`  ${locks.map(({ name, n }) => `${name} ${n}`).join(', ')}`);
}
