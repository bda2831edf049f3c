/**
 * The delay under clocks that step: Millrace replicates with a delay while its wall clock is set an hour ahead and back, also
 * between two runs, while it is restarted, by signal and by kill -9, and, when asked for, while the source's clock is set too.
 *
 * The oracle is neither Millrace nor this program: the source's and the target's own binary logs tell when each transaction
 * was committed here and there, by clocks that this machine has for both. What is applied before the delay is over is early.
 *
 * Steps are made by libfaketime in the process concerned: CLOCK_REALTIME moves, CLOCK_MONOTONIC stays, as in life.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { compareServers } from '../support/equality.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { address, type ConfigMap, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { startServer, type TestServer } from '../support/test-server.ts';
import { commitTimes } from './commit-times.ts';

export interface DelayOptions {
  readonly transactions: number;
  readonly delayMs: number;
  readonly perSecond: number;
  readonly restarts: number;
  /** Of Millrace's wall clock, while it runs; one more between the two runs at each restart. */
  readonly steps: number;
  /** Of the source's wall clock. */
  readonly sourceSteps: number;
  readonly seed: number;
  readonly clients?: number;
  readonly say?: (text: string) => void;
}

export interface Lateness {
  readonly transactions: number;
  readonly medianMs: number;
  readonly p95Ms: number;
  readonly maxMs: number;
}

export interface DelayResult {
  readonly version: string;
  readonly seed: number;
  readonly seconds: number;
  readonly delayMs: number;
  readonly transactions: number;
  readonly restarts: number;
  readonly steps: number;
  readonly sourceSteps: number;
  readonly appliedEarly: number;
  /** The least of all: negative when something was early. */
  readonly leastLateMs: number;
  readonly late: Lateness;
  /** Without what came due while Millrace did not run, or in the second after it was started. */
  readonly lateWhileRunning: Lateness;
  /** Looks at the status that told a lag below the age of what surely waited then. */
  readonly lagsUntrue: number;
  readonly statusLooks: number;
  readonly waitingMax: number;
  readonly differences: readonly string[];
}

const HOUR_S = 3600;
const SETTLED_MS = 1_000;
const LAG_ERROR_MS = 100;
const LOOK_EVERY_MS = 1_000;

/** One look at the status, real time: the answer was given in between. */
interface Look {
  readonly fromMs: number;
  readonly toMs: number;
  readonly lagMs: number;
}

/** What `millrace status --json` tells of a delayed target. */
interface DelayedTarget {
  readonly lag_seconds: number | null;
  readonly waiting: { readonly transactions: number | null } | null;
}

export async function runDelay(options: DelayOptions): Promise<DelayResult> {
  const run = await DelayRun.prepare(options);
  try {
    return await run.run();
  } finally {
    await run.remove();
  }
}

class DelayRun {
  readonly #options: DelayOptions;
  readonly #random: SeededRandom;
  readonly #source: TestServer;
  readonly #target: TestServer;
  readonly #millrace: MillraceProcess;
  readonly #ours: FakeClock;
  readonly #theirs: FakeClock | null;
  /** Of the source's clock, in order. */
  readonly #sourceOffsets: number[] = [0];
  /** Real time, ms. */
  readonly #away: { readonly fromMs: number; readonly toMs: number }[] = [];
  #steps = 0;
  #restarts = 0;
  #committed = 0;
  #loading = true;
  readonly #looks: Look[] = [];
  #waitingMax = 0;

  private constructor(
    options: DelayOptions,
    servers: readonly [TestServer, TestServer],
    millrace: MillraceProcess,
    ours: FakeClock,
    theirs: FakeClock | null,
  ) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    [this.#source, this.#target] = servers;
    this.#millrace = millrace;
    this.#ours = ours;
    this.#theirs = theirs;
  }

  static async prepare(options: DelayOptions): Promise<DelayRun> {
    const ours = await FakeClock.create();
    const theirs = options.sourceSteps > 0 ? await FakeClock.create() : null;
    const servers = await Promise.all([
      startServer({ flavour: 'mysql', name: 'source', ...(theirs === null ? {} : { env: theirs.env }) }),
      startServer({ flavour: 'mysql', name: 'target' }),
    ]);
    const [source, target] = servers;
    const config: ConfigMap = channelConfig({
      source: { ...address(source), ...(await createSourceAccount(source)) },
      target: {
        ...address(target),
        ...(await createTargetAccount(target)),
        progress: 'gtid',
        delay: `${options.delayMs}ms`,
      },
    });
    return new DelayRun(options, servers, MillraceProcess.prepare([config]), ours, theirs);
  }

  async run(): Promise<DelayResult> {
    const began = performance.now();
    await this.#source.query(
      'CREATE DATABASE d; CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, at TIMESTAMP(6) NOT NULL)',
    );
    await this.#millrace.start(this.#ours.env);
    await this.#millrace.waitFor('streaming', ({ reader }) => reader.state === 'streaming');
    const watching = this.#watch();
    const [loaded] = await Promise.allSettled([this.#load(), this.#disturb()]).then((ended) => {
      this.#loading = false;
      for (const each of ended) if (each.status === 'rejected') throw each.reason;
      return [performance.now()];
    });
    await watching;
    this.#say(`${this.#committed} transactions in ${((loaded! - began) / 1000).toFixed(0)} s, all written`);
    await waitUntilCaughtUp(this.#source, this.#target, {
      millrace: this.#millrace,
      timeoutMs: this.#options.delayMs + 120_000,
    });
    return this.#judge((performance.now() - began) / 1000);
  }

  async remove(): Promise<void> {
    await this.#millrace.remove();
    await Promise.all([this.#source.stop(), this.#target.stop()]);
  }

  #say(text: string): void {
    this.#options.say?.(text);
  }

  // ---- load

  async #load(): Promise<void> {
    const { transactions, perSecond, clients = 3 } = this.#options;
    const began = performance.now();
    let begun = 0;
    const client = async (): Promise<void> => {
      const connection = await this.#source.connect();
      try {
        while (begun < transactions) {
          const dueMs = (begun++ * 1000) / perSecond;
          await delay(Math.max(0, began + dueMs - performance.now()));
          await connection.query('INSERT INTO d.t (at) VALUES (NOW(6))');
          this.#committed += 1;
        }
      } finally {
        connection.destroy();
      }
    };
    await Promise.all(Array.from({ length: clients }, client));
  }

  // ---- faults

  async #disturb(): Promise<void> {
    const { transactions, restarts, steps, sourceSteps } = this.#options;
    const all = [
      ...spread('restart', restarts, transactions),
      ...spread('step', steps, transactions),
      ...spread('source-step', sourceSteps, transactions),
    ].sort((a, b) => a.at - b.at);
    for (const { what, at } of all) {
      while (this.#committed < at) await delay(10);
      await delay(this.#random.between(0, 300));
      if (what === 'restart') await this.#restart();
      else if (what === 'step') await this.#stepOurs();
      else this.#stepTheirs();
    }
  }

  /** Ahead, home, back, home, …: every step is one of an hour. */
  #nextOffset(offset: number, index: number): number {
    if (offset !== 0) return 0;
    return index % 4 < 2 ? HOUR_S : -HOUR_S;
  }

  async #stepOurs(): Promise<void> {
    this.#ours.set(this.#nextOffset(this.#ours.offsetSeconds, this.#steps));
    this.#steps += 1;
    this.#say(`Millrace's clock is ${this.#ours.offsetSeconds} s off`);
    if (!this.#millrace.running) return;
    const status = await this.#millrace.status();
    if (status === null) throw new Error(`no status:\n${this.#millrace.tail()}`);
    const now = (status as unknown as { now: string }).now;
    const seen = (Date.parse(now) - Date.now()) / 1000;
    // A clock that does not step proves nothing.
    if (Math.abs(seen - this.#ours.offsetSeconds) > 60) {
      throw new Error(`Millrace's clock was set ${this.#ours.offsetSeconds} s off, and shows ${now}`);
    }
  }

  #stepTheirs(): void {
    const clock = this.#theirs!;
    clock.set(this.#nextOffset(clock.offsetSeconds, this.#sourceOffsets.length - 1));
    this.#sourceOffsets.push(clock.offsetSeconds);
    this.#say(`the source's clock is ${clock.offsetSeconds} s off`);
  }

  /** In turn by signal and by kill -9; the clock is set while nothing runs. */
  async #restart(): Promise<void> {
    const fromMs = Date.now();
    if (this.#restarts % 2 === 0) await this.#millrace.stop();
    else await this.#millrace.kill9();
    this.#restarts += 1;
    await this.#stepOurs();
    await delay(this.#random.between(0, 1000));
    await this.#millrace.start(this.#ours.env);
    await this.#millrace.waitFor('running again', ({ state }) => state === 'running');
    this.#away.push({ fromMs, toMs: Date.now() + SETTLED_MS });
    this.#say(`restarted after ${Date.now() - fromMs} ms`);
  }

  // ---- what the status says meanwhile

  async #watch(): Promise<void> {
    while (this.#loading) {
      await delay(LOOK_EVERY_MS);
      const fromMs = Date.now();
      const status = this.#millrace.running ? await this.#millrace.status() : null;
      const target = status?.channels[0]?.targets[0] as unknown as DelayedTarget | undefined;
      if (target === undefined) continue;
      this.#waitingMax = Math.max(this.#waitingMax, target.waiting?.transactions ?? 0);
      if (target.lag_seconds === null) continue;
      this.#looks.push({ fromMs, toMs: Date.now(), lagMs: target.lag_seconds * 1000 });
    }
  }

  // ---- the verdict

  async #judge(seconds: number): Promise<DelayResult> {
    const { delayMs, seed } = this.#options;
    const [here, there] = await Promise.all([commitTimes(this.#source), commitTimes(this.#target)]);
    const late: number[] = [];
    const lateWhileRunning: number[] = [];
    const lives: Life[] = [];
    for (const [gtid, committed] of this.#unstepped(here)) {
      const applied = there.get(gtid);
      if (applied === undefined) throw new Error(`the target's binary log has no ${gtid}`);
      lives.push({ committedMs: committed / 1000, appliedMs: applied / 1000 });
      const dueMs = committed / 1000 + delayMs;
      const lateMs = applied / 1000 - dueMs;
      late.push(lateMs);
      if (!this.#away.some(({ fromMs, toMs }) => dueMs >= fromMs && dueMs <= toMs))
        lateWhileRunning.push(lateMs);
    }
    const { differences } = await compareServers(this.#source, this.#target, { gtid: true });
    return {
      version: this.#source.version,
      seed,
      seconds: Math.round(seconds),
      delayMs,
      transactions: late.length,
      restarts: this.#restarts,
      steps: this.#steps,
      sourceSteps: this.#sourceOffsets.length - 1,
      appliedEarly: late.filter((ms) => ms < 0).length,
      leastLateMs: round(Math.min(...late)),
      late: lateness(late),
      lateWhileRunning: lateness(lateWhileRunning),
      lagsUntrue: this.#looks.filter((look) => isUntrue(look, lives)).length,
      statusLooks: this.#looks.length,
      waitingMax: this.#waitingMax,
      differences,
    };
  }

  /** The source's timestamps as if its clock had never been set: each step shows as a jump of an hour. */
  #unstepped(times: ReadonlyMap<string, number>): Map<string, number> {
    const real = new Map<string, number>();
    let step = 0;
    let before = Number.NaN;
    for (const [gtid, micros] of times) {
      if (Math.abs(micros - before) > (HOUR_S / 2) * 1e6) step += 1;
      before = micros;
      real.set(gtid, micros - (this.#sourceOffsets[step] ?? Number.NaN) * 1e6);
    }
    if (step !== this.#sourceOffsets.length - 1) {
      throw new Error(
        `${step} jumps in the source's binary log, ${this.#sourceOffsets.length - 1} steps made`,
      );
    }
    return real;
  }
}

interface Life {
  readonly committedMs: number;
  readonly appliedMs: number;
}

/** What was committed before the look began, and applied after it had ended, was pending all the time. */
function isUntrue({ fromMs, toMs, lagMs }: Look, lives: readonly Life[]): boolean {
  return lives.some(({ committedMs, appliedMs }) => {
    return appliedMs > toMs && lagMs < fromMs - committedMs - LAG_ERROR_MS;
  });
}

/** Evenly over the load, the first one not at its begin. */
function spread<T>(what: T, count: number, transactions: number): { what: T; at: number }[] {
  return Array.from({ length: count }, (_, index) => ({
    what,
    at: Math.floor((transactions * (index + 0.7)) / count) - Math.floor(transactions * 0.05),
  }));
}

function lateness(values: readonly number[]): Lateness {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number =>
    round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN);
  return { transactions: sorted.length, medianMs: at(0.5), p95Ms: at(0.95), maxMs: at(1) };
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
