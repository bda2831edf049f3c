/**
 * The truth about a target's lag, taken from both servers around a status, and what the status said.
 *
 *   source: a row every few ms, with the time of its transaction        target: the same rows, later
 *
 *   before   what the source has, what the target has        ┐ nothing but rows being added can happen in between, so
 *   status   what Millrace says                              │ the truth at the moment of the status lies between
 *   after    what the source has, what the target has        ┘ what was seen before and after
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import type { Json } from './http-run.ts';
import type { TestServer } from './test-server.ts';

export interface TruthSample {
  readonly phase: string;
  /** Seconds that the oldest missing row is old: at least, at most. */
  readonly trueSeconds: readonly [number, number];
  readonly trueTransactions: readonly [number, number];
  readonly saidSeconds: number | null;
  readonly saidAtMost: number | null;
  readonly saidTransactions: number | null;
}

interface Seen {
  readonly source: number;
  readonly target: number;
}

export class LagTruth {
  readonly #source: Connection;
  readonly #sourceLook: Connection;
  readonly #targetLook: Connection;
  readonly samples: TruthSample[] = [];
  /** When the transaction of a row was begun, by row: our clock. */
  readonly #begunMs: number[] = [0];
  #writing: Promise<void> | null = null;
  #stop = false;

  private constructor(source: Connection, sourceLook: Connection, targetLook: Connection) {
    this.#source = source;
    this.#sourceLook = sourceLook;
    this.#targetLook = targetLook;
  }

  static async start(source: TestServer, target: TestServer): Promise<LagTruth> {
    const [writer, sourceLook, targetLook] = await Promise.all([
      source.connect(),
      source.connect(),
      target.connect(),
    ]);
    await writer.query('CREATE DATABASE truth');
    await writer.query('CREATE TABLE truth.tick (seq INT PRIMARY KEY)');
    return new LagTruth(writer, sourceLook, targetLook);
  }

  /** One transaction every `everyMs`. */
  startLoad(everyMs: number): void {
    this.#stop = false;
    this.#writing = (async () => {
      while (!this.#stop) {
        const seq = this.#begunMs.length;
        this.#begunMs.push(Date.now());
        await this.#source.query(`INSERT INTO truth.tick VALUES (${seq})`);
        await delay(everyMs);
      }
    })();
  }

  async stopLoad(): Promise<void> {
    this.#stop = true;
    await this.#writing;
  }

  /** Once a second, for so long. */
  async watch(phase: string, seconds: number, status: () => Promise<Json>): Promise<void> {
    const end = performance.now() + seconds * 1000;
    for (let next = performance.now(); next < end; next += 1000) {
      await delay(Math.max(0, next - performance.now()));
      this.samples.push(await this.#sample(phase, status));
    }
  }

  async #sample(phase: string, status: () => Promise<Json>): Promise<TruthSample> {
    const before = await this.#look();
    const askedMs = Date.now();
    const channel = (await status()).channels[0];
    const answeredMs = Date.now();
    const after = await this.#look();
    const target = channel.targets[0];
    return {
      phase,
      trueSeconds: [
        this.#age(before.source, after.target, askedMs),
        this.#age(after.source, before.target, answeredMs),
      ],
      trueTransactions: [
        Math.max(0, before.source - after.target),
        Math.max(0, after.source - before.target),
      ],
      saidSeconds: target.lag_seconds,
      saidAtMost: target.lag.at_most_seconds,
      saidTransactions: target.lag.total.transactions,
    };
  }

  async #look(): Promise<Seen> {
    const [source, target] = await Promise.all([last(this.#sourceLook), last(this.#targetLook)]);
    return { source, target };
  }

  /** Of the oldest row that the source has and the target has not. */
  #age(source: number, target: number, nowMs: number): number {
    if (source <= target) return 0;
    return Math.max(0, nowMs - this.#begunMs[target + 1]!) / 1000;
  }

  async close(): Promise<void> {
    await this.stopLoad();
    for (const connection of [this.#source, this.#sourceLook, this.#targetLook]) connection.destroy();
  }
}

/** A table that is locked against writes can still be read. */
async function last(connection: Connection): Promise<number> {
  const [rows] = await connection
    .query('SELECT COALESCE(MAX(seq), 0) AS seq FROM truth.tick')
    .catch((error: unknown) => {
      // Not there yet on the target.
      if ((error as { errno?: number }).errno === 1146 || (error as { errno?: number }).errno === 1049)
        return [[]];
      throw error;
    });
  return Number((rows as { seq: number }[])[0]?.seq ?? 0);
}

export interface TruthVerdict {
  readonly samples: number;
  readonly unknown: number;
  readonly zeros: number;
  /** A 0, though something older than the proof may be was missing. */
  readonly untrueZeros: number;
  /** A number below the truth, or above what it was at the look before, give or take the tolerance. */
  readonly wrong: number;
  /** The bound was below the truth. */
  readonly boundBroken: number;
}

/** `proofSeconds`: how old what proves a 0 may be. */
export function judge(
  samples: readonly TruthSample[],
  proofSeconds: number,
  tolerance: number,
): TruthVerdict {
  const verdict = { samples: samples.length, unknown: 0, zeros: 0, untrueZeros: 0, wrong: 0, boundBroken: 0 };
  for (const [index, sample] of samples.entries()) {
    const { trueSeconds, trueTransactions, saidSeconds, saidAtMost, saidTransactions } = sample;
    const least = trueSeconds[0];
    // While a target catches up, what a busy thread said a second ago is late and more than the truth, never less.
    const most = Math.max(trueSeconds[1], samples[index - 1]?.trueSeconds[1] ?? 0);
    if (saidSeconds === null) verdict.unknown += 1;
    if (saidSeconds === 0) {
      verdict.zeros += 1;
      if (least > proofSeconds) verdict.untrueZeros += 1;
    } else if (saidSeconds !== null && (saidSeconds < least - tolerance || saidSeconds > most + tolerance)) {
      verdict.wrong += 1;
    }
    if (saidTransactions === 0 && trueTransactions[0] > 0 && least > proofSeconds) verdict.untrueZeros += 1;
    if (saidAtMost !== null && saidAtMost < least - 0.25) verdict.boundBroken += 1;
  }
  return verdict;
}
