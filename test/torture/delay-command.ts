/**
 * The command line of the delay proof: progress to stderr, a table and one line of JSON to stdout. Exit code 0 only when nothing
 * was early, the median is in time, no lag was untrue and both servers are equal.
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { type DelayResult, type Lateness, runDelay } from './delay.ts';

const MEDIAN_MS_MAX = 50;

const { values } = parseArgs({
  options: {
    transactions: { type: 'string', default: '10000' },
    'delay-ms': { type: 'string', default: '5000' },
    'per-second': { type: 'string', default: '120' },
    restarts: { type: 'string', default: '2' },
    steps: { type: 'string', default: '8' },
    'source-steps': { type: 'string', default: '0' },
    clients: { type: 'string', default: '3' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});

function number(name: keyof typeof values): number {
  const value = values[name] ?? '';
  if (/^\d+$/.test(value)) return Number(value);
  console.error(`--${name} is a whole number`);
  process.exit(2);
}

function text({ transactions, medianMs, p95Ms, maxMs }: Lateness): string {
  return `median ${medianMs} ms, 95 % ${p95Ms} ms, max ${maxMs} ms (of ${transactions})`;
}

function print(result: DelayResult): void {
  const table = new Table({ style: { head: [], border: [], compact: true } });
  table.push(
    ['servers', `mysql ${result.version} → mysql ${result.version}, progress gtid`],
    ['delay', `${result.delayMs} ms`],
    ['transactions', `${result.transactions} in ${result.seconds} s, seed ${result.seed}`],
    ["steps of Millrace's clock", `${result.steps} of ±1 h`],
    ["steps of the source's clock", `${result.sourceSteps} of ±1 h`],
    ['restarts', String(result.restarts)],
    ['applied early', String(result.appliedEarly)],
    ['least late', `${result.leastLateMs} ms`],
    ['late', text(result.late)],
    ['late while Millrace ran', text(result.lateWhileRunning)],
    ['lag told untrue', `${result.lagsUntrue} of ${result.statusLooks} looks`],
    ['waited at most', `${result.waitingMax} transactions`],
    ['verdict', result.differences.length === 0 ? 'equal' : `${result.differences.length} DIFFERENCES`],
  );
  console.log(table.toString());
  for (const difference of result.differences.slice(0, 20)) console.log(difference);
  console.log(JSON.stringify(result));
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));

const seed = number('seed');
console.error(`seed ${seed}`);
runDelay({
  transactions: number('transactions'),
  delayMs: number('delay-ms'),
  perSecond: number('per-second'),
  restarts: number('restarts'),
  steps: number('steps'),
  sourceSteps: number('source-steps'),
  clients: number('clients'),
  seed,
  say: (line) => console.error(line),
}).then(
  (result) => {
    print(result);
    const { appliedEarly, lagsUntrue, differences, lateWhileRunning } = result;
    const inTime = lateWhileRunning.medianMs <= MEDIAN_MS_MAX;
    process.exit(appliedEarly + lagsUntrue + differences.length === 0 && inTime ? 0 : 1);
  },
  (error: unknown) => {
    console.error(error instanceof Error ? (error.stack ?? error.message) : error);
    process.exit(1);
  },
);
