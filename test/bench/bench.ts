/**
 * `npm run bench -- [SECTION …] [options]`: Millrace beside the server's own replica, on this machine, in one run.
 *
 *   receive · apply · latency · recovery · growth · observe · all      (all)
 *   profile           where the time goes while transactions are applied
 *   --rounds N        repeats of everything                   (5; quick: 1)
 *   --quick           small loads: to see that the bench works
 *   --workload a,b    small, bulk, blobs, keyless, big, shop
 *   --setting a,b     durable, relaxed, slow-disk
 *   --part a,b        of growth: workers, backlog, gtid-set, channels
 *   --contender TEXT  only those whose names match this regular expression
 *   --beside A=DIR    Millrace of another working copy, built, as one more contender of apply; may be repeated
 *
 * A standard run is kept in bench/history.jsonl, and docs/bench is written anew out of that history; a quick one is only
 * printed. Exit code 1 when a target was not equal to its source, or something could not finish.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { startServer } from '../support/test-server.ts';
import { benchApply } from './apply.ts';
import { SECTION_NAMES, type SectionName } from './bench-entry.ts';
import { type BenchOptions, BenchRun } from './bench-run.ts';
import { SETTINGS, useLocalServers } from './bench-server.ts';
import { benchGrowth } from './growth.ts';
import { GROWTH_PARTS } from './growth-part.ts';
import { appendHistory, readHistory } from './history.ts';
import { benchLatency } from './latency.ts';
import { commitName, machineFacts } from './machine.ts';
import { benchObserve } from './observe.ts';
import { benchProfile } from './profile.ts';
import { benchReceive } from './receive.ts';
import { benchRecovery } from './recovery.ts';
import { writeReport } from './report.ts';
import { WORKLOAD_NAMES } from './workload.ts';

const SECTIONS: Readonly<Record<SectionName, (run: BenchRun) => Promise<void>>> = {
  receive: benchReceive,
  apply: benchApply,
  latency: benchLatency,
  recovery: benchRecovery,
  growth: benchGrowth,
  observe: benchObserve,
};

const PROFILE = 'profile';

class UsageError extends Error {}

function readOptions(): {
  readonly sections: readonly SectionName[];
  readonly profile: boolean;
  readonly options: BenchOptions;
} {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rounds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      workload: { type: 'string' },
      setting: { type: 'string' },
      part: { type: 'string' },
      contender: { type: 'string' },
      beside: { type: 'string', multiple: true, default: [] },
    },
  });
  const named = positionals.flatMap((each) =>
    each === 'all' ? SECTION_NAMES : chosen(each, [...SECTION_NAMES, PROFILE]),
  );
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new UsageError('--rounds wants a whole number from 1');
  return {
    sections: named.length === 0 ? SECTION_NAMES : SECTION_NAMES.filter((name) => named.includes(name)),
    profile: named.includes(PROFILE),
    options: {
      rounds,
      quick: values.quick,
      workloads: list(values.workload, WORKLOAD_NAMES),
      settings: list(values.setting, SETTINGS),
      parts: list(values.part, GROWTH_PARTS),
      contenders: values.contender === undefined ? null : new RegExp(values.contender, 'i'),
      beside: Object.fromEntries(values.beside.map(besideOf)),
    },
  };
}

function list<T extends string>(text: string | undefined, choices: readonly T[]): T[] {
  return (text ?? '').split(',').flatMap((word) => (word.trim() === '' ? [] : chosen(word.trim(), choices)));
}

function chosen<T extends string>(word: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === word);
  if (found === undefined) throw new UsageError(`${word} is none of ${choices.join(', ')}`);
  return found;
}

function besideOf(text: string): [string, string] {
  const [, name, folder] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === undefined || folder === undefined) throw new UsageError('--beside wants NAME=FOLDER');
  return [name, resolve(folder, 'bin', 'millrace.js')];
}

/** What the servers are, asked of one. */
async function mysqlVersion(): Promise<string> {
  const server = await startServer({ flavour: 'mysql', version: '9.7', name: 'bench-version' });
  await server.stop();
  return server.version;
}

/** A run that failed, or was not whole, is told and kept nowhere. */
function keep(run: BenchRun): void {
  const { quick, contenders, beside } = run.options;
  if (quick || contenders !== null || Object.keys(beside).length > 0) return;
  if (run.failures.length > 0 || run.entries.length === 0) return;
  appendHistory(run.entries);
  const files = writeReport(readHistory());
  console.log(
    `\nkept in bench/history.jsonl; written: ${files.map((name) => `docs/bench/${name}`).join(', ')}`,
  );
}

async function main(): Promise<number> {
  const { sections, profile, options } = readOptions();
  useLocalServers();
  const run = new BenchRun(options, machineFacts(await mysqlVersion()), await commitName());
  for (const section of sections) await SECTIONS[section](run);
  if (profile) await benchProfile(run);
  keep(run);
  for (const failure of run.failures) console.error(`\nFAILED: ${failure}`);
  return run.failures.length > 0 ? 1 : 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError) && !(error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS'))
    throw error;
  console.error(`bench: ${(error as Error).message}`);
  process.exitCode = 2;
}
