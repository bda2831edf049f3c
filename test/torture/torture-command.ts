/**
 * The command line of the torture: options in, progress to stderr, a table and one line of JSON to stdout. Exit code 0
 * only when nothing was lost, doubled or different.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { type Quantiles, runTorture, type TortureResult } from './torture.ts';

const { values } = parseArgs({
  options: {
    flavour: { type: 'string', default: 'mysql' },
    progress: { type: 'string' },
    kills: { type: 'string', default: '200' },
    'target-kills': { type: 'string', default: '30' },
    cuts: { type: 'string', default: '100' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    clients: { type: 'string', default: '3' },
    'commit-order': { type: 'string', default: 'window' },
    coalesce: { type: 'string', default: '1' },
  },
});

function oneOf<T extends string>(name: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  console.error(`--${name} is one of ${choices.join(', ')}`);
  process.exit(2);
}

function number(name: string, value: string): number {
  if (/^\d+$/.test(value)) return Number(value);
  console.error(`--${name} is a whole number`);
  process.exit(2);
}

function seconds(quantiles: Quantiles | null): string {
  if (quantiles === null) return '-';
  return `median ${quantiles.median.toFixed(2)} s, 95 % ${quantiles.p95.toFixed(2)} s, max ${quantiles.max.toFixed(2)} s`;
}

function print(result: TortureResult): void {
  const table = new Table({ style: { head: [], border: [], compact: true } });
  table.push(
    [
      'servers',
      `${result.flavour} ${result.version} → ${result.flavour} ${result.version}, progress ${result.progress}`,
    ],
    ['applied', `commit_order ${result.commitOrder}, coalesce ${result.coalesce}`],
    [
      'load',
      `${result.transactions} transactions in ${result.seconds} s, ${result.rows} rows at the end, seed ${result.seed}`,
    ],
    ['kill -9 of Millrace', String(result.kills)],
    ['kill -9 of the target', String(result.targetKills)],
    ['connections cut', String(result.cuts)],
    ['rows lost', String(result.rowsLost)],
    ['rows doubled', String(result.rowsDoubled)],
    ['GTID holes', result.progress === 'gtid' ? String(result.gtidHoles) : 'not applicable'],
    ['restart to applying', seconds(result.restartToApplyingSeconds)],
    ['target back to applying', seconds(result.targetKillToApplyingSeconds)],
    ['cut to applying', seconds(result.cutToApplyingSeconds)],
    ['relay files verified', `${result.relayFilesVerified} by mysqlbinlog`],
    ['verdict', result.differences.length === 0 ? 'equal' : `${result.differences.length} DIFFERENCES`],
  );
  console.log(table.toString());
  for (const difference of result.differences.slice(0, 20)) console.log(difference);
  console.log(JSON.stringify(result));
}

const flavour = oneOf('flavour', values.flavour, ['mysql', 'mariadb']);
const progress = oneOf('progress', values.progress ?? (flavour === 'mysql' ? 'gtid' : 'table'), [
  'gtid',
  'table',
]);
const seed = number('seed', values.seed);
console.error(`seed ${seed}`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

runTorture({
  flavour,
  progress,
  kills: number('kills', values.kills),
  targetKills: number('target-kills', values['target-kills']),
  cuts: number('cuts', values.cuts),
  seconds: values.seconds === undefined ? undefined : number('seconds', values.seconds),
  clients: number('clients', values.clients),
  commitOrder: oneOf('commit-order', values['commit-order'], ['source', 'window', 'any']),
  coalesce: number('coalesce', values.coalesce),
  seed,
  say: (text) => console.error(text),
}).then(
  (result) => {
    print(result);
    const { rowsLost, rowsDoubled, gtidHoles, differences } = result;
    process.exit(rowsLost + rowsDoubled + gtidHoles + differences.length === 0 ? 0 : 1);
  },
  (error: unknown) => {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exit(1);
  },
);
