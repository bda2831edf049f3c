/**
 * `npm run bench -- growth`: what more of everything costs: workers, a long backlog, a long GTID set, channels.
 */
import { withGround } from './apply.ts';
import { applyWithMillrace } from './apply-run.ts';
import type { BenchRun } from './bench-run.ts';
import { prepareDataset } from './dataset.ts';
import { growBacklog } from './growth-backlog.ts';
import { growChannels } from './growth-channels.ts';
import { growGtidSet } from './growth-gtid-set.ts';
import { GROWTH_PARTS, type GrowthPart } from './growth-part.ts';
import type { Column } from './measurements.ts';
import { workload } from './workload.ts';

const GROW: Readonly<Record<GrowthPart, (run: BenchRun) => Promise<void>>> = {
  workers: growWorkers,
  backlog: growBacklog,
  'gtid-set': growGtidSet,
  channels: growChannels,
};
const WORKERS = [1, 2, 4, 8, 16, 32, 64] as const;
/** Trends are wide: more repeats tell nothing new. */
const ROUNDS_MAX = 2;

const COLUMNS: readonly Column[] = [
  { key: 'seconds', title: 'seconds', digits: 2 },
  { key: 'rate', title: 'tx/s', digits: 0 },
  { key: 'cpu', title: 'CPU s, Millrace', digits: 2 },
  { key: 'serverCpu', title: 'CPU s, target', digits: 2 },
  { key: 'peak', title: 'peak MiB, Millrace', digits: 0 },
  { key: 'serverPeak', title: 'peak MiB, target', digits: 0 },
];

export async function benchGrowth(run: BenchRun): Promise<void> {
  const { parts } = run.options;
  for (const part of GROWTH_PARTS) if (parts.length === 0 || parts.includes(part)) await GROW[part](run);
}

async function growWorkers(run: BenchRun): Promise<void> {
  const dataset = await prepareDataset(workload('small', run.options.quick ? 'quick' : 'standard'));
  const head = {
    section: 'growth',
    key: 'growth/workers',
    title: 'growth: 1 to 64 workers, small OLTP, durable',
    about: `${dataset.facts.transactions} transactions, received before the clock runs.`,
  } as const;
  await withGround(dataset, (ground) =>
    run.table(head, async (measurements) => {
      const counts = run.options.quick ? [1, 8, 64] : WORKERS;
      const contenders = counts.map((workers) => ({
        name: `Millrace, ${workers} worker${workers === 1 ? '' : 's'}`,
        run: () => applyWithMillrace(ground, { target: { workers } }),
      }));
      await run.rounds(measurements, () => contenders, Math.min(run.options.rounds, ROUNDS_MAX));
      return { columns: COLUMNS };
    }),
  );
}
