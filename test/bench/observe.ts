/**
 * `npm run bench -- observe`: what being looked at costs. The same load is applied with and without somebody who asks as an open page does
 * (the status once a second, the history once) and scrapes /metrics once a second; and with ten scrapes a second.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { MillraceProcess } from '../support/millrace-process.ts';
import { withGround } from './apply.ts';
import { type ApplyGround, applyWithMillrace } from './apply-run.ts';
import type { BenchRun, Contender } from './bench-run.ts';
import { prepareDataset } from './dataset.ts';
import type { Column, Figures } from './measurements.ts';
import { workload } from './workload.ts';

const ALONE = 'nobody looks';
const WATCHED = 'page open, a scrape a second';
const PRESSED = 'page open, ten scrapes a second';

const COLUMNS: readonly Column[] = [
  { key: 'seconds', title: 'seconds', digits: 2 },
  { key: 'rate', title: 'tx/s', digits: 0 },
  {
    key: 'vsAlone',
    title: 'vs nobody',
    digits: 2,
    ratio: { of: 'seconds', baseline: ALONE, as: 'speed' },
  },
  { key: 'cpu', title: 'CPU s, Millrace', digits: 2 },
  { key: 'answers', title: 'answers', digits: 0 },
];

export async function benchObserve(run: BenchRun): Promise<void> {
  const dataset = await prepareDataset(workload('small', run.options.quick ? 'quick' : 'standard'));
  await withGround(dataset, async (ground) => {
    const head = {
      section: 'observe',
      key: 'observe/small',
      title: `throughput while it is looked at, ${dataset.workload.title}, durable`,
      about:
        'The page’s questions are asked by a client without a screen: what a browser spends is not counted. ' +
        'Tables and GTIDs were equal to the source’s after every run.',
    } as const;
    await run.table(head, async (measurements) => {
      const contenders: Contender[] = [
        { name: ALONE, run: () => applyWithMillrace(ground, { target: {} }) },
        { name: WATCHED, run: () => applyWatched(ground, 1000) },
        { name: PRESSED, run: () => applyWatched(ground, 100) },
      ];
      await run.rounds(measurements, () => contenders);
      return { columns: COLUMNS };
    });
  });
}

async function applyWatched(ground: ApplyGround, scrapeEveryMs: number): Promise<Figures> {
  const over = new AbortController();
  let answers = 0;
  const ask = async (url: string, everyMs: number): Promise<void> => {
    while (!over.signal.aborted) {
      const response = await fetch(url, { signal: over.signal });
      await response.text();
      if (!response.ok) throw new Error(`${url} answers ${response.status}`);
      answers += 1;
      await delay(everyMs, undefined, { signal: over.signal });
    }
  };
  const asking: Promise<unknown>[] = [];
  const figures = await applyWithMillrace(ground, {
    target: {},
    top: { http: { listen: '127.0.0.1:0' } },
    beside: async (millrace) => {
      const url = await listening(millrace);
      const channel = JSON.parse(await (await fetch(`${url}status.json`)).text()).channels[0].name;
      await (await fetch(`${url}history.json?channel=${channel}`)).text();
      asking.push(ask(`${url}status.json`, 1000), ask(`${url}metrics`, scrapeEveryMs));
    },
    look: async () => {
      over.abort();
      const ended = await Promise.allSettled(asking);
      for (const each of ended) {
        if (each.status === 'rejected' && each.reason?.name !== 'AbortError') throw each.reason;
      }
      if (answers < 2) throw new Error('nobody has looked');
    },
  });
  return { ...figures, answers };
}

async function listening(millrace: MillraceProcess): Promise<string> {
  for (let tries = 0; tries < 2000; tries++) {
    const url = /"url":"(http:[^"]+)"/.exec(millrace.output)?.[1];
    if (url !== undefined) return url;
    await delay(10);
  }
  throw new Error(`it does not listen:\n${millrace.tail()}`);
}
