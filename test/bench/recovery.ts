/**
 * `npm run bench -- recovery`: the time from starting a killed Millrace again until it applies, with a relay log of 10 GB.
 *
 *   behind       kill -9 while it applies, far from the log's end
 *   caught up    as killed while the last file of 1 GiB was written: recovery reads what follows its last mark, and the applier begins
 *                at the last one before which its target has everything; the source has committed one transaction meanwhile
 */
import { unlogged } from '../support/accounts.ts';
import { BacklogGround, backlogPlan } from './backlog-ground.ts';
import type { BenchRun, Contender } from './bench-run.ts';
import type { Column } from './measurements.ts';
import { processUsage } from './process-usage.ts';
import { BENCH_SCHEMA } from './workload.ts';

const COLUMNS: readonly Column[] = [
  { key: 'seconds', title: 'start to applying, s', digits: 2 },
  { key: 'load', title: 'of that until connected, s', digits: 2 },
  { key: 'cpu', title: 'CPU s', digits: 2 },
  { key: 'peak', title: 'peak MiB', digits: 0 },
];

export async function benchRecovery(run: BenchRun): Promise<void> {
  const ground = await BacklogGround.open((dir) => backlogPlan(dir, run.options.quick));
  try {
    const head = {
      section: 'recovery',
      key: 'recovery',
      title: `recovery: kill -9, then start to applying again, relay log of ${(ground.backlog.bytes / 1e9).toFixed(1)} GB`,
      about: 'The clock runs from the start of the process to the first new transaction on the target.',
    } as const;
    await run.table(head, async (measurements) => {
      await run.rounds(measurements, () => [behind(ground), caughtUp(ground)]);
      return { columns: COLUMNS };
    });
  } finally {
    await ground.close();
  }
}

function behind(ground: BacklogGround): Contender {
  return {
    name: 'killed while applying, far behind',
    async run() {
      await ground.reset(Math.floor(ground.backlog.firstTransactions / 2));
      ground.millrace.launch();
      await ground.untilApplying();
      await ground.millrace.kill9();
      await ground.untilDisconnected();
      return restart(ground);
    },
  };
}

function caughtUp(ground: BacklogGround): Contender {
  let id = 0;
  return {
    name: 'killed when caught up, last file of 1 GiB',
    async run() {
      await ground.reset(ground.backlog.transactions);
      id -= 1;
      await unlogged(ground.source, [`DELETE FROM ${BENCH_SCHEMA}.backlog`]);
      await ground.source.query(
        `INSERT INTO ${BENCH_SCHEMA}.backlog VALUES (${id}, 'committed while Millrace was down')`,
      );
      return restart(ground);
    },
  };
}

async function restart(ground: BacklogGround) {
  const { millrace } = ground;
  const startedMs = performance.now();
  millrace.launch();
  const applying = ground.untilApplying();
  await ground.untilConnected();
  const connectedMs = performance.now();
  await applying;
  const seconds = (performance.now() - startedMs) / 1000;
  const used = processUsage(millrace.pid);
  await millrace.kill9();
  return { seconds, load: (connectedMs - startedMs) / 1000, cpu: used.cpuSeconds, peak: used.rssPeakMib };
}
