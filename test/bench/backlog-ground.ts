/**
 * A source, a target, and a channel of Millrace with a relay log of 10 GB between them: what recovery and growth are measured
 * on. The source says that it has had all of the backlog and purged it; how much the target has is set for every measurement.
 */
import { copyFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { executedSet } from '../support/equality.ts';
import { address, type ConfigMap, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import { mustRun } from '../support/program.ts';
import type { TestServer } from '../support/test-server.ts';
import {
  type Backlog,
  type BacklogPlan,
  backlogGtids,
  makeBacklog,
  prepareForBacklog,
  setExecuted,
} from './backlog.ts';
import { discardServer, emptyFolder, removeRunFolder, runFolder, startTarget } from './bench-server.ts';

const MIB = 1024 * 1024;
const DEADLINE_MS = 120_000;
const CHANNEL = 'bench';

/** The first file is for applying, the last one is what a restart finds; the middle makes the size. */
export function backlogPlan(dir: string, quick: boolean, middleFiles?: number): BacklogPlan {
  return quick
    ? { dir, firstBytes: 8 * MIB, middleFiles: middleFiles ?? 4, middleBytes: 32 * MIB, lastBytes: 32 * MIB }
    : {
        dir,
        firstBytes: 64 * MIB,
        middleFiles: middleFiles ?? 9,
        middleBytes: 1024 * MIB,
        lastBytes: 1024 * MIB,
      };
}

export class BacklogGround {
  readonly source: TestServer;
  readonly target: TestServer;
  readonly millrace: MillraceProcess;
  readonly backlog: Backlog;
  readonly #folders: readonly string[];
  /** Index and last file as they were made. */
  readonly #pristine: string;

  private constructor(
    source: TestServer,
    target: TestServer,
    millrace: MillraceProcess,
    backlog: Backlog,
    folders: readonly string[],
  ) {
    this.source = source;
    this.target = target;
    this.millrace = millrace;
    this.backlog = backlog;
    this.#folders = folders;
    this.#pristine = folders[2]!;
  }

  static async open(plan: (dir: string) => BacklogPlan, keys: ConfigMap = {}): Promise<BacklogGround> {
    const folders = [runFolder('backlog'), runFolder('backlog'), runFolder('backlog')];
    const [source, target] = await Promise.all(
      folders.slice(0, 2).map((folder) => startTarget(join(folder, 'data'), 'durable')),
    );
    const account = await createSourceAccount(source!);
    const applier = await createTargetAccount(target!);
    const tls = 'disabled';
    const millrace = MillraceProcess.prepare([
      channelConfig({
        name: CHANNEL,
        source: { ...address(source!), ...account, tls },
        target: { ...address(target!), ...applier, tls, ...keys },
      }),
    ]);
    for (const server of [source!, target!]) await prepareForBacklog(server);
    const dir = emptyFolder(join(millrace.dataDir, CHANNEL));
    const backlog = await makeBacklog(source!, plan(dir));
    await source!.query(`SET GLOBAL gtid_purged = '${backlogGtids(backlog.transactions)}'`);
    const ground = new BacklogGround(source!, target!, millrace, backlog, folders);
    ground.#copyEnds(dir, ground.#pristine);
    await mustRun('sync', ['-f', dir]);
    return ground;
  }

  get relayDir(): string {
    return join(this.millrace.dataDir, CHANNEL);
  }

  /** The relay log as it was made, as after kill -9 while its last file was written; the target has executed so many. */
  async reset(executed: number): Promise<void> {
    if (this.millrace.running) await this.millrace.kill9();
    await this.untilDisconnected();
    const made = new Set(readdirSync(this.#pristine));
    const last = this.#lastName;
    for (const name of readdirSync(this.relayDir)) {
      if (/^relay-bin\.\d+$/.test(name) && name > last) rmSync(join(this.relayDir, name));
    }
    for (const name of made) copyFileSync(join(this.#pristine, name), join(this.relayDir, name));
    await setExecuted(this.target, executed);
  }

  get #lastName(): string {
    return this.backlog.lastFile.split('/').at(-1)!;
  }

  #copyEnds(from: string, to: string): void {
    for (const name of ['relay-bin.index', this.#lastName]) copyFileSync(join(from, name), join(to, name));
  }

  /** No session of a killed Millrace is left on the target. */
  async untilDisconnected(): Promise<void> {
    await this.#until('the old sessions end', async () => (await this.#sessions()) === 0);
  }

  async untilConnected(): Promise<void> {
    await this.#until('Millrace connects', async () => (await this.#sessions()) > 0);
  }

  async #sessions(): Promise<number> {
    const [row] = await this.target.query(
      "SELECT COUNT(*) AS n FROM performance_schema.processlist WHERE USER='apply'",
    );
    return Number(row?.n);
  }

  /** The target has executed something that it had not when this was called. */
  async untilApplying(): Promise<void> {
    const before = await executedSet(this.target);
    await this.#until('Millrace applies', async () => (await executedSet(this.target)) !== before);
  }

  async #until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const startedMs = performance.now();
    while (!(await condition())) {
      if (performance.now() - startedMs > DEADLINE_MS)
        throw new Error(`waited in vain until ${what}:\n${this.millrace.tail()}`);
      await delay(2);
    }
  }

  async close(): Promise<void> {
    await this.millrace.remove();
    await discardServer(this.source, this.#folders[0]!);
    await discardServer(this.target, this.#folders[1]!);
    removeRunFolder(this.#pristine);
  }
}
