/**
 * `npm run fuzz`: all decoders, two processes. The coordinator hands (decoder, range of inputs) to child processes, saves
 * every finding under test/fixtures/fuzz, prints a table and ends with 1 when there was a finding.
 *
 *   --inputs N    over all decoders together (10 000 000)     --seconds T    stop after about so long
 *   --seed S      printed; same seed, same inputs        --decoder NAME only this one (repeatable)
 *   --corpus DIR  real bytes to start from (test/fixtures): any folder with binary logs
 *
 * A child that dies (memory, a crash of node) is started again from its last batch with every input written to a file
 * first, so that the input which kills it is found too.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { repositoryRoot, temporaryFolder } from '../support/repository.ts';
import { readCorpus } from './corpus.ts';
import { listDecoders } from './decoders.ts';
import { emptyStats, type Finding, type FuzzDecoder, type FuzzStats, findingName, fuzz } from './fuzzer.ts';
import { removeFuzzFolder } from './relay-decoders.ts';

const PROCESSES = 2;
const SAVED_PER_DECODER_MAX = 5;
const SILENCE_MS = 120_000;
const findingsFolder = join(repositoryRoot, 'test', 'fixtures', 'fuzz');

interface Task {
  readonly decoder: string;
  readonly corpus: string;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  readonly seconds: number | null;
  /** Write every input to this file before it runs. */
  readonly inputFile: string | null;
}

type ChildReport =
  | { readonly type: 'progress'; readonly next: number }
  | { readonly type: 'finding'; readonly decoder: string; readonly why: string; readonly input: string }
  | { readonly type: 'done'; readonly stats: FuzzStats };

function loadDecoders(corpus: string): FuzzDecoder[] {
  return listDecoders(readCorpus(corpus));
}

async function runTask(task: Task): Promise<void> {
  const decoder = loadDecoders(task.corpus).find((each) => each.name === task.decoder);
  if (decoder === undefined) throw new Error(`no decoder ${task.decoder}`);
  const { inputFile } = task;
  const send = (report: ChildReport): void => void process.send!(report);
  const stats = await fuzz(decoder, {
    seed: task.seed,
    from: task.from,
    to: task.to,
    ...(task.seconds === null ? {} : { untilMs: performance.now() + task.seconds * 1000 }),
    onBatch: (next) => send({ type: 'progress', next }),
    ...(inputFile === null ? {} : { onInput: (input: Buffer) => writeFileSync(inputFile, input) }),
    onFinding: (finding) => send({ ...finding, type: 'finding', input: finding.input.toString('base64') }),
  });
  removeFuzzFolder();
  process.send!({ type: 'done', stats } satisfies ChildReport, () => process.exit(0));
}

async function coordinate(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      inputs: { type: 'string', default: '10000000' },
      seconds: { type: 'string' },
      seed: { type: 'string' },
      decoder: { type: 'string', multiple: true },
      corpus: { type: 'string', default: join(repositoryRoot, 'test', 'fixtures') },
    },
  });
  const seed = Number(options.seed ?? Date.now() % 2 ** 31);
  const decoders = loadDecoders(options.corpus).filter(
    (each) => options.decoder?.includes(each.name) ?? true,
  );
  const weights = decoders.reduce((sum, each) => sum + each.weight, 0);
  const secondsPerWeight =
    options.seconds === undefined ? null : (Number(options.seconds) * PROCESSES) / weights;
  console.log(`seed ${seed}, ${options.inputs} inputs, ${decoders.length} decoders, ${PROCESSES} processes`);

  const findings = new FindingStore();
  const totals = new Map(decoders.map((each) => [each.name, emptyStats()]));
  const queue: Task[] = decoders.flatMap((each) => {
    const inputs = Math.ceil((Number(options.inputs) * each.weight) / weights);
    const half = Math.ceil(inputs / PROCESSES);
    const seconds = secondsPerWeight === null ? null : (secondsPerWeight * each.weight) / PROCESSES;
    const task = { decoder: each.name, corpus: options.corpus, seed, seconds, inputFile: null };
    return [
      { ...task, from: 0, to: half },
      { ...task, from: half, to: inputs },
    ];
  });
  const startedMs = performance.now();
  const lane = async (): Promise<void> => {
    for (let task = queue.shift(); task !== undefined; task = queue.shift()) {
      addStats(totals.get(task.decoder)!, await runChild(task, findings));
    }
  };
  await Promise.all(Array.from({ length: PROCESSES }, lane));
  printTable(totals, (performance.now() - startedMs) / 1000);
  findings.print();
  process.exitCode = findings.count > 0 ? 1 : 0;
}

/** Resolves with what the range came to, over as many children as it took. */
async function runChild(task: Task, findings: FindingStore): Promise<FuzzStats> {
  const total = emptyStats();
  for (let rest = task; ; ) {
    const end = await superviseChild(rest, findings, total);
    if (end.done) return total;
    if (rest.inputFile === null) {
      // Again, from the last whole batch, leaving each input behind before it runs.
      rest = { ...rest, from: end.next, inputFile: join(temporaryFolder('fuzz'), 'input.bin') };
      continue;
    }
    if (!existsSync(rest.inputFile))
      throw new Error(`${task.decoder}: the child ends before its first input`);
    findings.add({
      decoder: task.decoder,
      why: `kills the process (${end.why})`,
      input: readFileSync(rest.inputFile),
    });
    rmSync(rest.inputFile);
    rest = { ...rest, from: end.next + 512, inputFile: null };
  }
}

type ChildEnd =
  | { readonly done: true }
  | { readonly done: false; readonly next: number; readonly why: string };

function superviseChild(task: Task, findings: FindingStore, total: FuzzStats): Promise<ChildEnd> {
  return new Promise((resolve, reject) => {
    let next = task.from;
    let finished = false;
    const child: ChildProcess = fork(fileURLToPath(import.meta.url), ['--task', JSON.stringify(task)], {
      execArgv: ['--expose-gc', '--max-old-space-size=512', '--stack-trace-limit=6'],
    });
    const watchdog = setTimeout(() => child.kill('SIGKILL'), SILENCE_MS);
    child.on('message', (report: ChildReport) => {
      watchdog.refresh();
      if (report.type === 'progress') next = report.next;
      else if (report.type === 'finding')
        findings.add({ ...report, input: Buffer.from(report.input, 'base64') });
      else {
        finished = true;
        addStats(total, report.stats);
      }
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(watchdog);
      resolve(finished ? { done: true } : { done: false, next, why: `code ${code}, signal ${signal}` });
    });
  });
}

class FindingStore {
  count = 0;
  readonly #perDecoder = new Map<string, number>();
  readonly #lines: string[] = [];

  add(finding: Finding): void {
    this.count++;
    const before = this.#perDecoder.get(finding.decoder) ?? 0;
    this.#perDecoder.set(finding.decoder, before + 1);
    if (before >= SAVED_PER_DECODER_MAX) return;
    const name = findingName(finding);
    mkdirSync(findingsFolder, { recursive: true });
    writeFileSync(join(findingsFolder, name), finding.input);
    this.#lines.push(`${name}: ${finding.why}`);
  }

  print(): void {
    for (const line of this.#lines) console.log(`\nFINDING test/fixtures/fuzz/${line}`);
    for (const [decoder, count] of this.#perDecoder) console.log(`${decoder}: ${count} findings`);
    if (this.count === 0) console.log('no findings');
  }
}

function addStats(total: FuzzStats, more: FuzzStats): void {
  total.inputs += more.inputs;
  total.values += more.values;
  total.typedErrors += more.typedErrors;
  total.slowestMs = Math.max(total.slowestMs, more.slowestMs);
  total.rssPeakBytes = Math.max(total.rssPeakBytes, more.rssPeakBytes);
}

function printTable(totals: ReadonlyMap<string, FuzzStats>, seconds: number): void {
  const table = new Table({
    head: ['decoder', 'inputs', 'values', 'typed errors', 'slowest ms', 'peak RSS MiB'],
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right'],
    style: { head: [], border: [] },
  });
  const all = emptyStats();
  const row = (name: string, stats: FuzzStats): string[] => [
    name,
    String(stats.inputs),
    String(stats.values),
    String(stats.typedErrors),
    stats.slowestMs.toFixed(1),
    (stats.rssPeakBytes / 2 ** 20).toFixed(0),
  ];
  for (const [name, stats] of totals) {
    table.push(row(name, stats));
    addStats(all, stats);
  }
  table.push(row('all', all));
  console.log(table.toString());
  console.log(`${seconds.toFixed(0)} s, ${Math.round(all.inputs / seconds)} inputs/s`);
}

if (process.argv[2] === '--task') await runTask(JSON.parse(process.argv[3]!) as Task);
else await coordinate();
