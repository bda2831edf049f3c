/**
 * The torture: Millrace replicates a mixed load through a proxy on either side, while faults come one after the other in
 * an order and at moments that a seed decides. At the end nothing may be lost, nothing doubled, no GTID missing.
 *
 * The faults
 *   kill         kill -9 of Millrace; every fourth one comes while it is still starting
 *   target-kill  kill -9 of the target server, which is started again a moment later
 *   cut          a connection to the source or to the target is cut behind a random byte
 *
 * A ticker counts up one row on the source, 50 times a second. The first new value that a reader sees on the target
 * after a fault is the moment from which Millrace applies again.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { stoppedPart, waitUntilCaughtUp } from '../support/catching-up.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { compareServers, executedSet } from '../support/equality.ts';
import { address, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import { MixedLoad } from '../support/mixed-load.ts';
import { runProgram } from '../support/program.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import type { Flavour } from '../support/server-provider.ts';
import { startServer, type TestServer } from '../support/test-server.ts';
import { Ticker } from './ticker.ts';

export type CommitOrder = 'source' | 'window' | 'any';

export interface TortureOptions {
  readonly flavour: Flavour;
  readonly progress: 'gtid' | 'table';
  readonly kills: number;
  readonly targetKills: number;
  readonly cuts: number;
  readonly seed: number;
  /** No new fault after so many seconds. Undefined: until all are done. */
  readonly seconds?: number | undefined;
  readonly clients?: number;
  readonly commitOrder?: CommitOrder;
  readonly coalesce?: number;
  readonly say?: (text: string) => void;
}

export interface TortureResult {
  readonly flavour: Flavour;
  readonly version: string;
  readonly progress: 'gtid' | 'table';
  readonly commitOrder: CommitOrder;
  readonly coalesce: number;
  readonly seed: number;
  readonly seconds: number;
  readonly transactions: number;
  readonly rows: number;
  readonly kills: number;
  readonly targetKills: number;
  readonly cuts: number;
  readonly rowsLost: number;
  readonly rowsDoubled: number;
  readonly gtidHoles: number;
  /** From the start of the process to the first new transaction on the target. Null: none measured. */
  readonly restartToApplyingSeconds: Quantiles | null;
  /** From the restart of the target server, and from the cut, to the same. */
  readonly targetKillToApplyingSeconds: Quantiles | null;
  readonly cutToApplyingSeconds: Quantiles | null;
  readonly relayFilesVerified: number;
  readonly differences: readonly string[];
}

export interface Quantiles {
  readonly median: number;
  readonly p95: number;
  readonly max: number;
}

type Fault = 'kill' | 'target-kill' | 'cut';

/** A millrace that does not apply again within this time after a fault has failed. */
const APPLYING_TIMEOUT_MS = 90_000;

/** Load stops while the target is so many ticks behind, so that the run ends some time. */
const TICKS_BEHIND_MAX = 1500;

export async function runTorture(options: TortureOptions): Promise<TortureResult> {
  const torture = await Torture.prepare(options);
  try {
    return await torture.run();
  } finally {
    await torture.remove();
  }
}

class Torture {
  readonly #options: TortureOptions;
  readonly #random: SeededRandom;
  readonly #source: TestServer;
  readonly #target: TestServer;
  readonly #sourceProxy: CuttingProxy;
  readonly #targetProxy: CuttingProxy;
  readonly #millrace: MillraceProcess;
  readonly #load: MixedLoad;
  readonly #ticker: Ticker;
  readonly #times: Record<Fault, number[]> = { kill: [], 'target-kill': [], cut: [] };
  readonly #done: Record<Fault, number> = { kill: 0, 'target-kill': 0, cut: 0 };

  private constructor(parts: {
    options: TortureOptions;
    servers: readonly [TestServer, TestServer];
    proxies: readonly [CuttingProxy, CuttingProxy];
    millrace: MillraceProcess;
    load: MixedLoad;
    ticker: Ticker;
  }) {
    this.#options = parts.options;
    this.#random = new SeededRandom(parts.options.seed);
    [this.#source, this.#target] = parts.servers;
    [this.#sourceProxy, this.#targetProxy] = parts.proxies;
    this.#millrace = parts.millrace;
    this.#load = parts.load;
    this.#ticker = parts.ticker;
  }

  static async prepare(options: TortureOptions): Promise<Torture> {
    const { flavour, seed, progress } = options;
    const servers = await Promise.all([
      startServer({ flavour, name: 'source' }),
      startServer({ flavour, name: 'target' }),
    ]);
    const [source, target] = servers;
    const proxies = await Promise.all([
      CuttingProxy.start({ ...address(source), seed: seed + 1 }),
      CuttingProxy.start({ ...address(target), seed: seed + 2 }),
    ]);
    const sourceAccount = await createSourceAccount(source);
    const targetAccount = await createTargetAccount(target);
    const load = await MixedLoad.prepare(source, { seed, clients: options.clients ?? 3, pauseMs: 8 });
    const ticker = await Ticker.prepare(source);
    const millrace = MillraceProcess.prepare([
      channelConfig({
        source: { ...address(proxies[0]), ...sourceAccount },
        target: {
          ...address(proxies[1]),
          ...targetAccount,
          progress,
          commit_order: options.commitOrder ?? 'window',
          coalesce: options.coalesce ?? 1,
        },
        relayLog: { max_file_size: '4MiB' },
      }),
    ]);
    return new Torture({ options, servers, proxies, millrace, load, ticker });
  }

  async run(): Promise<TortureResult> {
    const started = performance.now();
    await this.#millrace.start();
    this.#load.run();
    this.#ticker.run();
    await this.#applying(-1);

    const faults = this.#faults();
    const end =
      this.#options.seconds === undefined ? Number.POSITIVE_INFINITY : started + this.#options.seconds * 1000;
    for (const [index, fault] of faults.entries()) {
      if (performance.now() > end) break;
      await this.#strike(fault).catch((error: unknown) => {
        throw new Error(
          `fault ${index + 1} of ${faults.length} (${fault}), seed ${this.#options.seed}: ${String(error)}`,
        );
      });
      this.#done[fault] += 1;
      if ((index + 1) % 10 === 0)
        this.#say(`${index + 1} of ${faults.length} faults, ${this.#load.committed} transactions`);
      await this.#holdLoadBack();
    }

    await this.#ticker.stop();
    const report = await this.#load.stop();
    const { progress } = this.#options;
    await waitUntilCaughtUp(this.#source, this.#target, {
      millrace: this.#millrace,
      progress,
      timeoutMs: 300_000,
    });
    return this.#judge(report.committed, (performance.now() - started) / 1000);
  }

  async remove(): Promise<void> {
    await this.#millrace.remove();
    await Promise.all([this.#sourceProxy.stop(), this.#targetProxy.stop()]);
    await Promise.all([this.#source.stop(), this.#target.stop()]);
  }

  #say(text: string): void {
    this.#options.say?.(text);
  }

  /** All faults, shuffled. */
  #faults(): Fault[] {
    const { kills, targetKills, cuts } = this.#options;
    const faults: Fault[] = [
      ...Array<Fault>(kills).fill('kill'),
      ...Array<Fault>(targetKills).fill('target-kill'),
      ...Array<Fault>(cuts).fill('cut'),
    ];
    for (let i = faults.length - 1; i > 0; i--) {
      const j = this.#random.between(0, i);
      [faults[i], faults[j]] = [faults[j] as Fault, faults[i] as Fault];
    }
    return faults;
  }

  async #strike(fault: Fault): Promise<void> {
    await delay(this.#random.between(0, 700));
    switch (fault) {
      case 'kill': {
        await this.#millrace.kill9();
        if (this.#random.chance(0.25)) {
          this.#millrace.launch();
          await delay(this.#random.between(0, 500));
          await this.#millrace.kill9();
        }
        const tick = await this.#ticker.on(this.#target);
        const began = performance.now();
        this.#millrace.launch();
        await this.#applying(tick);
        this.#times.kill.push((performance.now() - began) / 1000);
        return;
      }
      case 'target-kill': {
        await this.#target.kill9();
        await delay(this.#random.between(0, 500));
        await this.#target.restart();
        const began = performance.now();
        await this.#applying(await this.#ticker.on(this.#target));
        this.#times['target-kill'].push((performance.now() - began) / 1000);
        return;
      }
      case 'cut': {
        const proxy = this.#random.pick([this.#sourceProxy, this.#targetProxy]);
        const cut = proxy.cutSomewhere(this.#random.pick([200, 20_000, 300_000]));
        // When there is not enough traffic for the armed byte, cut where it is.
        const impatient = setTimeout(() => {
          proxy.disarm();
          proxy.cutAll();
        }, 15_000);
        await cut;
        clearTimeout(impatient);
        const began = performance.now();
        await this.#applying(await this.#ticker.on(this.#target));
        this.#times.cut.push((performance.now() - began) / 1000);
        return;
      }
    }
  }

  /** Waits until the target shows a later tick than `tick`. */
  async #applying(tick: number): Promise<void> {
    const began = performance.now();
    let lookAt = began + 5000;
    while ((await this.#ticker.on(this.#target)) <= tick) {
      this.#ticker.check();
      const now = performance.now();
      if (!this.#millrace.running) throw new Error(`Millrace ended by itself:\n${this.#millrace.tail()}`);
      if (now > lookAt) {
        const status = await this.#millrace.status();
        const stopped = stoppedPart(status);
        if (stopped !== null || now - began > APPLYING_TIMEOUT_MS) {
          const waited = Math.round(now - began);
          const state = stopped ?? JSON.stringify(status, null, 1);
          throw new Error(`nothing was applied for ${waited} ms: ${state}\n${this.#millrace.tail()}`);
        }
        lookAt = now + 5000;
      }
      await delay(5);
    }
  }

  async #holdLoadBack(): Promise<void> {
    const behind = async (): Promise<number> => this.#ticker.ticks - (await this.#ticker.on(this.#target));
    if ((await behind()) < TICKS_BEHIND_MAX) return;
    this.#load.pause(true);
    this.#ticker.pause(true);
    const deadline = performance.now() + 10 * APPLYING_TIMEOUT_MS;
    while ((await behind()) > 10) {
      if (performance.now() > deadline)
        throw new Error(`the target does not catch up:\n${this.#millrace.tail()}`);
      await delay(100);
    }
    this.#load.pause(false);
    this.#ticker.pause(false);
  }

  async #judge(transactions: number, seconds: number): Promise<TortureResult> {
    const { flavour, progress, seed } = this.#options;
    const equality = await compareServers(this.#source, this.#target, { gtid: progress === 'gtid' });
    const relayFilesVerified = await this.#verifyRelayFiles();
    return {
      flavour,
      version: this.#source.version,
      progress,
      commitOrder: this.#options.commitOrder ?? 'window',
      coalesce: this.#options.coalesce ?? 1,
      seed,
      seconds: Math.round(seconds),
      transactions: transactions + this.#ticker.ticks,
      rows: equality.tables.reduce((sum, table) => sum + table.sourceRows, 0),
      kills: this.#done.kill,
      targetKills: this.#done['target-kill'],
      cuts: this.#done.cut,
      rowsLost: equality.rowsLost,
      rowsDoubled: equality.rowsDoubled,
      gtidHoles: progress === 'gtid' ? await this.#gtidHoles() : 0,
      restartToApplyingSeconds: quantiles(this.#times.kill),
      targetKillToApplyingSeconds: quantiles(this.#times['target-kill']),
      cutToApplyingSeconds: quantiles(this.#times.cut),
      relayFilesVerified,
      differences: equality.differences,
    };
  }

  /** Transactions of the source that the target does not have, plus those that only the target has. */
  async #gtidHoles(): Promise<number> {
    const [mine, theirs] = await Promise.all([executedSet(this.#source), executedSet(this.#target)]);
    const [row] = await this.#source.query(
      'SELECT GTID_SUBTRACT(?, ?) AS lacking, GTID_SUBTRACT(?, ?) AS foreign_ones',
      [mine, theirs, theirs, mine],
    );
    return countGtids(row?.lacking ?? '') + countGtids(row?.foreign_ones ?? '');
  }

  /** The server's own reader checks every relay file that is left. */
  async #verifyRelayFiles(): Promise<number> {
    await this.#millrace.stop();
    const reader = this.#source.binary('mysqlbinlog');
    const files = readdirSync(this.#millrace.dataDir, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /relay-bin\.\d{6,}$/.test(name),
    );
    for (const name of files) {
      const args = [
        ...reader.args,
        '--no-defaults',
        '--verify-binlog-checksum',
        join(this.#millrace.dataDir, name),
      ];
      const result = await runProgram(reader.command, args);
      if (result.code !== 0) throw new Error(`mysqlbinlog refuses ${name}: ${result.stderr}`);
    }
    return files.length;
  }
}

export function countGtids(set: string): number {
  let count = 0;
  for (const part of set.replace(/\s/g, '').split(/[,:]/)) {
    const interval = /^(\d+)(?:-(\d+))?$/.exec(part);
    if (interval !== null) count += Number(interval[2] ?? interval[1]) - Number(interval[1]) + 1;
  }
  return count;
}

function quantiles(values: readonly number[]): Quantiles | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): number => {
    const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
    return Math.round(value * 1000) / 1000;
  };
  return { median: at(0.5), p95: at(0.95), max: at(1) };
}
