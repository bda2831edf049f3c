/**
 * The command line of the control torture: options in, progress to stderr, a table and one line of JSON to stdout. Exit code 0 only
 * when nothing was lost, doubled, forgotten or passed.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { type ControlTortureResult, runControlTorture } from './control-torture.ts';

const { values } = parseArgs({
  options: {
    flavour: { type: 'string', default: 'mysql' },
    progress: { type: 'string' },
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
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

function isWell({ lost, doubled, forgotten, passed, gtidsEqual }: ControlTortureResult): boolean {
  return lost + doubled + forgotten + passed.length === 0 && gtidsEqual;
}

function print(result: ControlTortureResult): void {
  const operations = Object.entries(result.operations).map(([name, count]) => `${name} ${count}`);
  const table = new Table({ style: { head: [], border: [], compact: true } });
  table.push(
    ['servers', `${result.flavour}, progress ${result.progress}`],
    ['load', `${result.transactions} transactions in ${result.seconds} s, seed ${result.seed}`],
    ['kill -9 of Millrace', String(result.kills)],
    ['operations', operations.join(', ')],
    ['transactions skipped', `${result.skipped} (${result.tooLate} refused: too late)`],
    ['transactions lost', String(result.lost)],
    ['transactions doubled', String(result.doubled)],
    ['skips forgotten', String(result.forgotten)],
    ['stops passed', String(result.passed.length)],
    ['verdict', isWell(result) ? 'the books balance' : 'FAILED'],
  );
  console.log(table.toString());
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

runControlTorture({
  flavour,
  progress,
  kills: number('kills', values.kills),
  seed,
  say: (text) => console.error(text),
}).then(
  (result) => {
    print(result);
    process.exit(isWell(result) ? 0 : 1);
  },
  (error: unknown) => {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exit(1);
  },
);
