/**
 * `npm run bench -- apply`: what is received already is applied: Millrace beside the server's own replica and
 * `mysqlbinlog | mysql`, one after the other, every run on a fresh copy of the target.
 */
import { join } from 'node:path';
import { silentLogger } from '../../src/base/runtime.ts';
import { PublishedEnd } from '../../src/relay/published-end.ts';
import { RelayLogWriter } from '../../src/relay/relay-log-writer.ts';
import type { ConfigMap } from '../support/millrace-process.ts';
import { SourceFeed } from '../support/source-feed.ts';
import type { TestServer } from '../support/test-server.ts';
import { type ApplyGround, applyByPipe, applyNatively, applyWithMillrace } from './apply-run.ts';
import type { BenchRun, Contender } from './bench-run.ts';
import {
  copyFolder,
  discardServer,
  emptyFolder,
  runFolder,
  type Setting,
  startLoadingServer,
} from './bench-server.ts';
import { type Dataset, prepareDataset } from './dataset.ts';
import type { Column, Measurements } from './measurements.ts';
import { prepareSlowDisk, type SlowDisk } from './slow-disk.ts';
import { type Size, type WorkloadName, workload } from './workload.ts';

export const NATIVE = 'native, 4 workers';
/** What Millrace does when nothing is configured: 8 workers, windows, GTIDs kept. */
export const MILLRACE = 'Millrace';
export const MILLRACE_SOURCE = 'Millrace, commit_order: source';
export const MILLRACE_ANY = 'Millrace, commit_order: any';
export const MILLRACE_COALESCED = 'Millrace, coalesce: 100';
export const PIPE = 'mysqlbinlog | mysql';

export const COALESCED: ConfigMap = { progress: 'table', coalesce: 100 };
const OTHER_NATIVE_WORKERS = [1, 8, 16] as const;

interface Usual {
  readonly workload: WorkloadName;
  readonly settings: readonly Setting[];
  readonly roundsMax: number;
}

/** What is measured when nothing is asked for. */
const USUAL: readonly Usual[] = [
  { workload: 'small', settings: ['durable', 'relaxed', 'slow-disk'], roundsMax: 99 },
  { workload: 'bulk', settings: ['durable'], roundsMax: 99 },
  { workload: 'blobs', settings: ['durable'], roundsMax: 99 },
  { workload: 'keyless', settings: ['durable'], roundsMax: 99 },
  { workload: 'big', settings: ['durable'], roundsMax: 3 },
  { workload: 'shop', settings: ['durable'], roundsMax: 3 },
];

export const SIZE_OF_SETTING: Readonly<Record<Setting, Size>> = {
  durable: 'standard',
  relaxed: 'fast',
  'slow-disk': 'slow',
};

export async function benchApply(run: BenchRun): Promise<void> {
  const { workloads, settings, quick } = run.options;
  for (const usual of USUAL) {
    if (workloads.length > 0 && !workloads.includes(usual.workload)) continue;
    for (const setting of settings.length > 0 ? settings : usual.settings) {
      const slowDisk = setting === 'slow-disk' ? await prepareSlowDisk() : null;
      if (slowDisk !== null && 'unavailable' in slowDisk) {
        console.log(`\n── slow disk: not measured, ${slowDisk.unavailable}`);
        continue;
      }
      const size = quick ? 'quick' : SIZE_OF_SETTING[setting];
      const dataset = await prepareDataset(workload(usual.workload, size));
      const rounds = Math.min(run.options.rounds, setting === 'slow-disk' ? 3 : usual.roundsMax);
      await withGround(dataset, (ground) => benchSetting(run, { ...ground, setting, slowDisk }, rounds));
    }
  }
}

/** The source is up, and everything it has is in a relay log of Millrace. */
export async function withGround<T>(dataset: Dataset, work: (ground: ApplyGround) => Promise<T>): Promise<T> {
  const folder = runFolder('ground');
  const source = await startLoadingServer(await copyFolder(dataset.source, join(folder, 'source')));
  try {
    const relayLog = emptyFolder(join(folder, 'relay-log'));
    await fillRelayLog(source, relayLog);
    return await work({ dataset, source, relayLog, setting: 'durable', slowDisk: null });
  } finally {
    await discardServer(source, folder);
  }
}

/** As the reader writes it. */
async function fillRelayLog(source: TestServer, dir: string): Promise<void> {
  const published = PublishedEnd.create();
  const writer = await RelayLogWriter.open({ dir, maxFileSize: 2 ** 30, published, log: silentLogger });
  await new SourceFeed(source, writer, 'gtid').feed();
  await writer.close();
}

async function benchSetting(run: BenchRun, ground: ApplyGround, rounds: number): Promise<void> {
  const { workload: load, facts } = ground.dataset;
  const { setting } = ground;
  const head = {
    section: 'apply',
    key: `apply/${load.name}/${setting}`,
    title: `apply, ${load.title}, ${settingText(setting, ground.slowDisk)}`,
    about:
      `${facts.transactions} transactions, ${(facts.bytes / 1e6).toFixed(0)} MB of binary log, received before the clock runs. ` +
      'Tables and GTIDs were equal to the source’s after every run.',
  } as const;
  await run.table(head, async (measurements) => {
    const others = (run.options.quick ? [16] : OTHER_NATIVE_WORKERS).map((workers) =>
      native(ground, workers),
    );
    const fixed = [
      native(ground, 4),
      ...millraceContenders(ground, run.options.beside),
      ...pipeContenders(ground),
    ];
    let best: Contender | null = null;
    await run.rounds(
      measurements,
      (round) => {
        if (round === 0) return [...fixed, ...others];
        best ??= quickest(others, measurements);
        return best === null ? fixed : [...fixed, best];
      },
      rounds,
    );
    best ??= quickest(others, measurements);
    const candidates = [native(ground, 4), ...(best === null ? [] : [best])];
    const bestName = quickest(candidates, measurements)?.name ?? NATIVE;
    return { columns: columns(bestName), notes: [`Best native: ${bestName}.`] };
  });
}

function settingText(setting: Setting, slowDisk: SlowDisk | null): string {
  return slowDisk === null ? setting : `durable, fsync ${slowDisk.delayMs} ms slower`;
}

function native(ground: ApplyGround, workers: number): Contender {
  return {
    name: workers === 4 ? NATIVE : `native, ${workers} worker${workers === 1 ? '' : 's'}`,
    run: () => applyNatively(ground, workers),
  };
}

/** Each as this working copy does it, then as the others do. */
function millraceContenders(ground: ApplyGround, beside: Readonly<Record<string, string>>): Contender[] {
  const { name } = ground.dataset.workload;
  const wishes: [string, ConfigMap][] = [[MILLRACE, {}]];
  if (name === 'small' && ground.setting !== 'relaxed') {
    wishes.push([MILLRACE_SOURCE, { commit_order: 'source' }], [MILLRACE_ANY, { commit_order: 'any' }]);
  }
  if (name === 'small' || name === 'keyless') wishes.push([MILLRACE_COALESCED, COALESCED]);
  return wishes.flatMap(([title, target]) => [
    { name: title, run: () => applyWithMillrace(ground, { target }) },
    ...Object.entries(beside).map(
      ([other, program]): Contender => ({
        name: `${title} (${other})`,
        run: () => applyWithMillrace(ground, { target, program }),
      }),
    ),
  ]);
}

/** Several times slower than all others, so once is enough. */
function pipeContenders(ground: ApplyGround): Contender[] {
  const { name } = ground.dataset.workload;
  if (ground.setting !== 'durable' || (name !== 'small' && name !== 'bulk')) return [];
  return [{ name: PIPE, rounds: 1, run: () => applyByPipe(ground) }];
}

function quickest(contenders: readonly Contender[], measurements: Measurements): Contender | null {
  let best: Contender | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const contender of contenders) {
    const seconds = measurements.median(contender.name, 'seconds');
    if (seconds < least) [best, least] = [contender, seconds];
  }
  return best;
}

function columns(best: string): Column[] {
  const speed = { of: 'seconds', as: 'speed' } as const;
  return [
    { key: 'seconds', title: 'seconds', digits: 2 },
    { key: 'rate', title: 'tx/s', digits: 0 },
    { key: 'megabytes', title: 'MB/s', digits: 1 },
    { key: 'vsNative', title: 'vs native 4', digits: 2, ratio: { ...speed, baseline: NATIVE } },
    { key: 'vsBest', title: 'vs best native', digits: 2, ratio: { ...speed, baseline: best } },
    { key: 'cpu', title: 'CPU s, applier', digits: 2 },
    { key: 'serverCpu', title: 'CPU s, target', digits: 2 },
    { key: 'peak', title: 'peak MiB, applier', digits: 0 },
    { key: 'serverPeak', title: 'peak MiB, target', digits: 0 },
    { key: 'load', title: 'program start s', digits: 2 },
  ];
}
