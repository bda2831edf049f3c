/**
 * Runs one decoder over inputs from … to - 1 of a seeded sequence and judges each: it must end in a value or in a
 * MillraceError that does not blame Millrace itself (INTERNAL), within 50 ms, in bounded memory, and the outcome must
 * not depend on the bytes that follow the input. Everything else is a finding.
 */
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Script } from 'node:vm';
import { MillraceError } from '../../src/base/errors.ts';
import { mutate } from './mutator.ts';
import { Random } from './random.ts';

export interface FuzzDecoder {
  readonly name: string;
  /** Its share of all inputs: 1 for a decoder of one event, less where an input costs files or many events. */
  readonly weight: number;
  readonly seeds: readonly Buffer[];
  /** What one input may take; left out: SLOW_MS. More only for those that work on files. */
  readonly slowMs?: number;
  /** How its inputs are made; left out: `mutate` of mutator.ts. */
  mutate?(random: Random, seeds: readonly Buffer[]): Buffer;
  /** Decodes start … end of `buf` to the last byte; what it returns is compared with deep equality. */
  run?(buf: Buffer, start: number, end: number): unknown;
  /** Instead of `run`. Its bounds are not judged, and a hang is only noticed from outside. */
  runAsync?(buf: Buffer, start: number, end: number): Promise<unknown>;
}

export interface Finding {
  readonly decoder: string;
  readonly why: string;
  readonly input: Buffer;
}

export interface FuzzStats {
  inputs: number;
  values: number;
  typedErrors: number;
  slowestMs: number;
  rssPeakBytes: number;
}

export interface FuzzPlan {
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** Stop after this time, wherever the sequence is. */
  readonly untilMs?: number;
  /** Called between batches with the index of the next input. */
  readonly onBatch?: (next: number) => void;
  /** Called before every input: a run that may die leaves its input behind. */
  readonly onInput?: (input: Buffer, index: number) => void;
  readonly onFinding: (finding: Finding) => void;
}

export const SLOW_MS = 50;
/** A run that takes this part of what it may is timed again. */
const AGAIN_FROM = 0.1;
const HANG_MS = 20_000;
const BATCH = 512;
/** A decoder that is wrong this often needs no more inputs. */
const FINDINGS_MAX = 50;
/** What the process may hold at most; a decoder of 64 KiB inputs needs a fraction. */
const RSS_BYTES_MAX = 640 * 1024 * 1024;
/** What one input may add, measured alone. */
const RSS_PER_INPUT_BYTES_MAX = 64 * 1024 * 1024;

export function emptyStats(): FuzzStats {
  return { inputs: 0, values: 0, typedErrors: 0, slowestMs: 0, rssPeakBytes: 0 };
}

/** Input number `index` of a decoder's sequence. */
export function inputAt(decoder: FuzzDecoder, seed: number, index: number): Buffer {
  const random = new Random(seed, streamOf(decoder.name), index);
  return decoder.mutate?.(random, decoder.seeds) ?? mutate(random, decoder.seeds);
}

export async function fuzz(decoder: FuzzDecoder, given: FuzzPlan): Promise<FuzzStats> {
  const stats = emptyStats();
  let findings = 0;
  const onFinding = (finding: Finding): void => {
    findings++;
    given.onFinding(finding);
  };
  const plan: FuzzPlan = { ...given, onFinding };
  const batch = new GuardedBatch(decoder, plan, stats);
  for (let next = plan.from; next < plan.to && findings < FINDINGS_MAX; ) {
    const end = Math.min(plan.to, next + BATCH);
    const isAsync = decoder.runAsync !== undefined;
    next = isAsync ? await asyncBatch(decoder, plan, stats, next, end) : batch.run(next, end);
    const rss = process.memoryUsage.rss();
    if (rss > stats.rssPeakBytes) stats.rssPeakBytes = rss;
    if (rss > RSS_BYTES_MAX) blameForMemory(decoder, plan, next);
    plan.onBatch?.(next);
    // zlib gives its memory back only when the event loop turns.
    await nextTurn();
    if (plan.untilMs !== undefined && performance.now() > plan.untilMs) break;
  }
  return stats;
}

async function asyncBatch(
  decoder: FuzzDecoder,
  plan: FuzzPlan,
  stats: FuzzStats,
  from: number,
  end: number,
): Promise<number> {
  for (let index = from; index < end; index++) {
    const input = inputAt(decoder, plan.seed, index);
    plan.onInput?.(input, index);
    const why = await judgeAsync(decoder, input, stats);
    if (why !== null) plan.onFinding({ decoder: decoder.name, why, input });
  }
  return end;
}

/** Runs one input and tells what is wrong with it; null: nothing. */
export function judge(decoder: FuzzDecoder, input: Buffer, stats: FuzzStats): string | null {
  const startedMs = performance.now();
  const outcome = attempt(decoder, input, input.length);
  let tookMs = performance.now() - startedMs;
  // The machine may have been busy with something else: only a time that comes again counts.
  for (let again = 0; tookMs > limitMs(decoder) * AGAIN_FROM && again < 4; again++) {
    const againMs = performance.now();
    attempt(decoder, input, input.length);
    tookMs = Math.min(tookMs, performance.now() - againMs);
  }
  return verdict(decoder, outcome, tookMs, stats);
}

/** `judge` for a decoder with `runAsync`. */
export async function judgeAsync(
  decoder: FuzzDecoder,
  input: Buffer,
  stats: FuzzStats,
): Promise<string | null> {
  let outcome: Outcome | null = null;
  let tookMs = Number.POSITIVE_INFINITY;
  for (let again = 0; tookMs > limitMs(decoder) * AGAIN_FROM && again < 5; again++) {
    const startedMs = performance.now();
    const run = await decoder.runAsync!(input, 0, input.length).then(valued, failed);
    tookMs = Math.min(tookMs, performance.now() - startedMs);
    outcome ??= run;
  }
  return verdict(decoder, outcome!, tookMs, stats);
}

function limitMs(decoder: FuzzDecoder): number {
  return decoder.slowMs ?? SLOW_MS;
}

function verdict(decoder: FuzzDecoder, outcome: Outcome, tookMs: number, stats: FuzzStats): string | null {
  stats.inputs++;
  if (outcome.error === null) stats.values++;
  else if (outcome.typed) stats.typedErrors++;
  if (tookMs > stats.slowestMs) stats.slowestMs = tookMs;
  if (outcome.error !== null && !outcome.typed) return outcome.error;
  if (tookMs > limitMs(decoder)) return `took ${tookMs.toFixed(0)} ms`;
  return null;
}

/** The same bytes with others behind them must come to the same end. */
export function judgeBounds(decoder: FuzzDecoder, input: Buffer): string | null {
  const padded = Buffer.concat([input, Buffer.alloc(64, 0x31)]);
  const alone = attempt(decoder, input, input.length);
  const followed = attempt(decoder, padded, input.length);
  if (alone.error !== followed.error) return `reads past its end: ${alone.error} became ${followed.error}`;
  if (!isDeepStrictEqual(alone.value, followed.value)) return 'reads past its end: the value changed';
  return null;
}

export function findingName(finding: Finding): string {
  return `${finding.decoder}-${createHash('sha256').update(finding.input).digest('hex').slice(0, 12)}.bin`;
}

interface Outcome {
  readonly value: unknown;
  /** Null: a value. */
  readonly error: string | null;
  readonly typed: boolean;
}

function attempt(decoder: FuzzDecoder, buf: Buffer, end: number): Outcome {
  try {
    return valued(decoder.run!(buf, 0, end));
  } catch (error) {
    return failed(error);
  }
}

function valued(value: unknown): Outcome {
  return { value, error: null, typed: true };
}

function failed(error: unknown): Outcome {
  if (error instanceof MillraceError && error.code !== 'INTERNAL') {
    return { value: null, error: `${error.code} ${error.message}`, typed: true };
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { value: null, error: text, typed: false };
}

/**
 * A batch inside vm's time limit: an endless loop in a decoder is cut off and becomes a finding. The script only calls
 * back into this module; setting the limit up costs more than an input, hence one limit for many.
 */
class GuardedBatch {
  readonly #decoder: FuzzDecoder;
  readonly #plan: FuzzPlan;
  readonly #stats: FuzzStats;
  readonly #script = new Script('millraceFuzzBatch()');
  #current = Buffer.alloc(0);
  #next = 0;
  #end = 0;

  constructor(decoder: FuzzDecoder, plan: FuzzPlan, stats: FuzzStats) {
    this.#decoder = decoder;
    this.#plan = plan;
    this.#stats = stats;
    Object.assign(globalThis, { millraceFuzzBatch: () => this.#inputs() });
  }

  /** Returns the index of the next input to run. */
  run(from: number, end: number): number {
    this.#next = from;
    this.#end = end;
    try {
      this.#script.runInThisContext({ timeout: HANG_MS });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
      this.#find(`did not end within ${HANG_MS} ms`);
    }
    return this.#next;
  }

  #inputs(): void {
    while (this.#next < this.#end) {
      const index = this.#next++;
      this.#current = inputAt(this.#decoder, this.#plan.seed, index) as Buffer<ArrayBuffer>;
      this.#plan.onInput?.(this.#current, index);
      let why = judge(this.#decoder, this.#current, this.#stats);
      if (why === null && (index & 7) === 0) why = judgeBounds(this.#decoder, this.#current);
      if (why !== null) this.#find(why);
    }
  }

  #find(why: string): void {
    this.#plan.onFinding({ decoder: this.#decoder.name, why, input: this.#current });
  }
}

/** The process holds too much: runs the last batch again, one input at a time, and names those that take too much. */
function blameForMemory(decoder: FuzzDecoder, plan: FuzzPlan, end: number): void {
  const collect = (globalThis as { gc?: () => void }).gc;
  if (collect === undefined) return; // only `npm run fuzz` exposes it
  collect();
  let found = false;
  for (let index = Math.max(plan.from, end - BATCH); index < end; index++) {
    const input = inputAt(decoder, plan.seed, index);
    const before = process.memoryUsage.rss();
    if (decoder.run !== undefined) attempt(decoder, input, input.length);
    const added = process.memoryUsage.rss() - before;
    if (added <= RSS_PER_INPUT_BYTES_MAX) continue;
    found = true;
    plan.onFinding({
      decoder: decoder.name,
      why: `took ${(added / 2 ** 20).toFixed(0)} MiB of memory`,
      input,
    });
    collect();
  }
  collect();
  if (!found && process.memoryUsage.rss() > RSS_BYTES_MAX) {
    throw new Error(
      `${decoder.name}: the process holds ${process.memoryUsage.rss()} bytes and no input is to blame`,
    );
  }
}

function streamOf(name: string): number {
  return createHash('sha256').update(name).digest().readInt32LE(0);
}
