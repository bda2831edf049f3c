/**
 * A target far behind a short and a long relay log: the rate of applying, CPU time and memory must not depend on what is
 * still to come.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BacklogGround, backlogPlan } from './backlog-ground.ts';
import type { BenchRun } from './bench-run.ts';
import type { Column, Figures } from './measurements.ts';
import { processUsage } from './process-usage.ts';

const COLUMNS: readonly Column[] = [
  { key: 'rate', title: 'tx/s', digits: 0 },
  { key: 'cpu', title: 'CPU s a 1000', digits: 3 },
  { key: 'peak', title: 'peak MiB', digits: 0 },
  { key: 'lag', title: 'transactions behind', digits: 0 },
];

export async function growBacklog(run: BenchRun): Promise<void> {
  const { quick } = run.options;
  const head = {
    section: 'growth',
    key: 'growth/backlog',
    title: 'growth: how much is still to be applied',
    about:
      'Transactions of one small row; the target begins at the start of the relay log and is looked at while it applies.',
  } as const;
  await run.table(head, async (measurements) => {
    for (const middleFiles of quick ? [0, 4] : [0, 9]) {
      const ground = await BacklogGround.open((dir) => {
        const plan = backlogPlan(dir, quick, middleFiles);
        return middleFiles === 0 ? { ...plan, lastBytes: plan.firstBytes / 2 } : plan;
      });
      try {
        const name = `${(ground.backlog.bytes / 1e9).toFixed(2)} GB behind`;
        await run.attempt(measurements, 0, { name, run: () => applyForAWhile(ground, quick ? 3 : 10) });
      } finally {
        await ground.close();
      }
    }
    return { columns: COLUMNS };
  });
}

async function applyForAWhile(ground: BacklogGround, seconds: number): Promise<Figures> {
  const { millrace } = ground;
  await ground.reset(0);
  millrace.launch();
  await ground.untilApplying();
  const [beforeRows, before] = [await rowsApplied(ground), processUsage(millrace.pid)];
  const startedMs = performance.now();
  await delay(seconds * 1000);
  const [afterRows, after] = [await rowsApplied(ground), processUsage(millrace.pid)];
  const took = (performance.now() - startedMs) / 1000;
  const lag = (await millrace.channel()).targets[0]?.lag_transactions;
  await millrace.kill9();
  return {
    rate: (afterRows - beforeRows) / took,
    cpu: ((after.cpuSeconds - before.cpuSeconds) / (afterRows - beforeRows)) * 1000,
    peak: after.rssPeakMib,
    ...(typeof lag === 'number' ? { lag } : {}),
  };
}

/** One row a transaction, ids counted up: with windows they are dense but for the last few. */
async function rowsApplied(ground: BacklogGround): Promise<number> {
  const [row] = await ground.target.query('SELECT COALESCE(MAX(id), 0) AS n FROM bench.backlog');
  return Number(row?.n);
}
