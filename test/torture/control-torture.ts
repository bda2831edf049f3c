/**
 * The control torture: operators' requests at random under load, with kill -9 of Millrace during them, after them, and while it
 * starts; then the books are balanced.
 *
 * What is promised
 *   skip    answered and confirmed: the transaction leaves nothing on the target but its name; refused as too late: it is there
 *   until   stopped where it was said, also by the next process
 *   pause   nothing moves, also in the next process (target, reader)
 *   reload  the delay of the file holds, also in the next process
 *   at the end every transaction that was not skipped is on the target once, and no name is missing
 *
 * A request whose answer the kill took is sent again until it is answered: that is what an operator would do.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { MillraceError } from '../../src/base/errors.ts';
import type { DeskAnswer } from '../../src/channel/control-desk.ts';
import type { ControlRequest } from '../../src/channel/control-requests.ts';
import { callControl } from '../../src/channel/control-socket.ts';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { executedSet } from '../support/equality.ts';
import {
  address,
  type ChannelStatus,
  type ConfigMap,
  channelConfig,
  MillraceProcess,
  type TargetStatus,
} from '../support/millrace-process.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import type { Flavour } from '../support/server-provider.ts';
import { startServer, type TestServer } from '../support/test-server.ts';
import { NamedLoad, type NamedTransaction } from './named-load.ts';

export interface ControlTortureOptions {
  readonly flavour: Flavour;
  readonly progress: 'gtid' | 'table';
  /** The run ends after so many kills. */
  readonly kills: number;
  readonly seed: number;
  readonly say?: (text: string) => void;
}

export interface ControlTortureResult {
  readonly flavour: Flavour;
  readonly progress: 'gtid' | 'table';
  readonly seed: number;
  readonly seconds: number;
  readonly kills: number;
  readonly transactions: number;
  /** Operations that were begun, by name. */
  readonly operations: Readonly<Record<string, number>>;
  readonly skipped: number;
  /** Skips that were refused because they came too late. */
  readonly tooLate: number;
  readonly lost: number;
  readonly doubled: number;
  /** Skipped, and on the target all the same. */
  readonly forgotten: number;
  /** A place where the target had to wait, and did not. */
  readonly passed: readonly string[];
  readonly gtidsEqual: boolean;
}

const CLIENTS = 2;
/** Load waits while the target is so many transactions behind. */
const BEHIND_MAX = 400;
const SETTLE_MS = 240_000;
const REFUSED = new Set(['NOT_POSSIBLE', 'CONFIG', 'MALFORMED_POSITION']);

type Operation = 'skip' | 'until' | 'pause' | 'pause-reader' | 'delay' | 'reload' | 'approve';
/** `hold` has its place here as soon as a guard holds what `drop` does: held, killed, still held, then approved or skipped. */
const OPERATIONS: readonly Operation[] = [
  'skip',
  'skip',
  'skip',
  'skip',
  'until',
  'pause',
  'pause-reader',
  'delay',
  'reload',
  'approve',
];

export async function runControlTorture(options: ControlTortureOptions): Promise<ControlTortureResult> {
  const torture = await ControlTorture.prepare(options);
  try {
    return await torture.run();
  } finally {
    await torture.remove();
  }
}

class ControlTorture {
  readonly #options: ControlTortureOptions;
  readonly #random: SeededRandom;
  readonly #source: TestServer;
  readonly #target: TestServer;
  readonly #millrace: MillraceProcess;
  readonly #load: NamedLoad;
  readonly #channel: ConfigMap;
  readonly #skipped = new Set<string>();
  readonly #operations: Record<string, number> = {};
  #tooLate = 0;
  #kills = 0;
  readonly #passed: string[] = [];

  private constructor(parts: {
    options: ControlTortureOptions;
    source: TestServer;
    target: TestServer;
    millrace: MillraceProcess;
    load: NamedLoad;
    channel: ConfigMap;
  }) {
    this.#options = parts.options;
    this.#random = new SeededRandom(parts.options.seed);
    this.#source = parts.source;
    this.#target = parts.target;
    this.#millrace = parts.millrace;
    this.#load = parts.load;
    this.#channel = parts.channel;
  }

  static async prepare(options: ControlTortureOptions): Promise<ControlTorture> {
    const { flavour, progress, seed } = options;
    const [source, target] = await Promise.all([
      startServer({ flavour, name: 'source' }),
      startServer({ flavour, name: 'target' }),
    ]);
    const from = await createSourceAccount(source);
    const to = await createTargetAccount(target);
    const channel = channelConfig({
      source: { ...address(source), ...from },
      target: { ...address(target), ...to, progress, workers: 4, delay: '300ms' },
      relayLog: { max_file_size: '256KiB' },
    });
    const millrace = MillraceProcess.prepare([channel]);
    const load = await NamedLoad.prepare(source, seed, CLIENTS);
    return new ControlTorture({ options, source, target, millrace, load, channel });
  }

  async run(): Promise<ControlTortureResult> {
    const began = performance.now();
    await this.#millrace.start();
    this.#load.run();
    await this.#until('something is applied', (each) => (targetOf(each)?.transactions_applied ?? 0) > 20);
    let told = 0;
    while (this.#kills < this.#options.kills) {
      this.#load.check();
      const operation = this.#random.pick(OPERATIONS);
      this.#operations[operation] = (this.#operations[operation] ?? 0) + 1;
      await this.#operate(operation).catch((error: unknown) => {
        const where = `${operation}, kill ${this.#kills}, seed ${this.#options.seed}`;
        throw new Error(
          `${where}: ${error instanceof Error ? error.stack : error}\n${this.#millrace.tail(40)}`,
        );
      });
      if (this.#kills - told >= 10) {
        told = this.#kills;
        this.#options.say?.(
          `${told} kills, ${this.#load.transactions.length} transactions, ${this.#skipped.size} skipped`,
        );
      }
      await this.#holdLoadBack();
    }
    return this.#judge(began);
  }

  async remove(): Promise<void> {
    await this.#millrace.remove();
    await Promise.all([this.#source.stop(), this.#target.stop()]);
  }

  // ---- operations

  #operate(operation: Operation): Promise<void> {
    switch (operation) {
      case 'skip':
        return this.#skip();
      case 'until':
        return this.#stopSomewhere();
      case 'pause':
        return this.#pauseTarget();
      case 'pause-reader':
        return this.#pauseReader();
      case 'delay':
        return this.#delay();
      case 'reload':
        return this.#reload();
      case 'approve':
        return this.#approve();
    }
  }

  async #skip(): Promise<void> {
    const count = this.#random.between(1, 3);
    for (let i = 0; i < count; i++) {
      const { id } = this.#recent();
      if (this.#skipped.has(id)) continue;
      const reason = `torture ${this.#kills}`;
      const answer = await this.#ask({ do: 'skip', channel: null, target: null, id, reason, by: null });
      if (answer === null) this.#tooLate += 1;
      else this.#skipped.add(id);
    }
  }

  /** No guard is on: it must change nothing about what is applied. */
  async #approve(): Promise<void> {
    const { id } = this.#recent();
    const answer = await this.#ask({ do: 'approve', channel: null, target: null, id, by: null });
    // The last word about a transaction counts.
    if (answer !== null) this.#skipped.delete(id);
  }

  async #stopSomewhere(): Promise<void> {
    const named = this.#recent();
    const is = this.#random.pick(['before', 'after'] as const);
    const request = {
      do: 'until',
      channel: null,
      target: null,
      until: { is, id: named.id },
      by: null,
    } as const;
    if ((await this.#ask(request)) === null) return this.#goOn();
    await this.#until('it stops there', (each) => targetOf(each)?.until?.reached === true && isQuiet(each));
    const before = await this.#counted();
    await this.#checkStop(named, is);
    await this.#kill();
    await this.#until(
      'it stops there again',
      (each) => targetOf(each)?.until?.reached === true && isQuiet(each),
    );
    await this.#mustBe(before, `until ${is} ${named.id}`);
    await this.#checkStop(named, is);
    await this.#goOn();
  }

  async #goOn(): Promise<void> {
    await this.#ask({ do: 'resume', channel: null, part: 'standby', by: null });
    // One that was killed as it answered may not have known that it was reached.
    await this.#ask({ do: 'until', channel: null, target: null, until: null, by: null });
  }

  async #checkStop({ n, id, what }: NamedTransaction, is: 'before' | 'after'): Promise<void> {
    if (what !== 'row') return;
    const [row] = await this.#target.query(`SELECT COUNT(*) AS n FROM ctl.done WHERE n = ${n}`);
    const wanted = is === 'before' || this.#skipped.has(id) ? 0 : 1;
    if (Number(row?.n) !== wanted) this.#passed.push(`${row?.n} of row ${n}, ${id}, until ${is} it`);
  }

  async #pauseTarget(): Promise<void> {
    await this.#ask({ do: 'pause', channel: null, part: 'standby', by: null });
    await this.#until('it is paused', (each) => targetOf(each)?.state === 'paused' && isQuiet(each));
    const before = await this.#counted();
    await this.#kill();
    await this.#until('it is paused again', (each) => targetOf(each)?.state === 'paused' && isQuiet(each));
    await delay(this.#random.between(0, 300));
    await this.#mustBe(before, 'paused');
    if (this.#random.chance(0.5)) await this.#skip();
    await this.#ask({ do: 'resume', channel: null, part: 'standby', by: null });
  }

  async #pauseReader(): Promise<void> {
    await this.#ask({ do: 'pause', channel: null, part: 'reader', by: null });
    const { reader } = await this.#until('it is paused', (each) => each.reader.state === 'paused');
    await this.#kill();
    await this.#until('it is paused again', (each) => each.reader.state === 'paused');
    await delay(this.#random.between(0, 300));
    const again = await this.#until('it is paused still', (each) => each.reader.state === 'paused');
    const [was, is] = [reader.retrieved_gtid_set, again.reader.retrieved_gtid_set];
    if (was !== is) this.#passed.push(`reader paused: ${was}, then ${is}`);
    await this.#ask({ do: 'resume', channel: null, part: 'reader', by: null });
  }

  async #delay(): Promise<void> {
    const ms = this.#random.pick([0, 200, 1_500, null]);
    await this.#ask({ do: 'delay', channel: null, target: 'standby', ms, by: null });
    if (ms !== null)
      await this.#until('it is delayed', (each) => targetOf(each)?.delay_seconds === ms / 1000);
  }

  async #reload(): Promise<void> {
    await this.#ask({ do: 'delay', channel: null, target: 'standby', ms: null, by: null });
    const ms = this.#random.pick([0, 150, 300, 900]);
    const retention = this.#random.pick(['0s', '10m']);
    const target = {
      ...this.#channel.targets[0],
      delay: `${ms}ms`,
      replicate_system: this.#random.chance(0.5),
    };
    this.#millrace.configure({
      data_dir: this.#millrace.dataDir,
      log: { level: this.#random.pick(['info', 'debug']), format: 'json' },
      channels: [
        { ...this.#channel, relay_log: { ...this.#channel.relay_log, retention }, targets: [target] },
      ],
    });
    await this.#ask({ do: 'reload', by: null });
    await this.#until('the delay of the file holds', (each) => targetOf(each)?.delay_seconds === ms / 1000);
  }

  // ---- asking and killing

  /** Sends the request, with a kill at some moment, until it is answered for good. Null: it is refused. */
  async #ask(request: ControlRequest): Promise<DeskAnswer | null> {
    const deadline = Date.now() + SETTLE_MS;
    const killAfterMs = this.#random.chance(0.5) ? this.#random.between(0, 60) : null;
    let kill = killAfterMs === null ? null : delay(killAfterMs).then(() => this.#kill());
    let mayKill = killAfterMs === null && this.#random.chance(0.6);
    for (;;) {
      const answer = await this.#send(request);
      await kill;
      kill = null;
      if (answer === 'refused') return null;
      if (answer !== null) {
        if (mayKill) await this.#kill();
        mayKill = false;
        if (answer.confirmed !== false) return answer;
      }
      if (Date.now() > deadline)
        throw new Error(`no answer for ${JSON.stringify(request)}: ${JSON.stringify(answer)}`);
      await delay(50);
    }
  }

  /** Null: no answer, or not this time. */
  async #send(request: ControlRequest): Promise<DeskAnswer | 'refused' | null> {
    try {
      return (await callControl(this.#millrace.dataDir, request, 60_000)) as DeskAnswer;
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      // The load is ahead of the reader.
      if (/is not in the relay log/.test(error.message)) return null;
      if (REFUSED.has(error.code)) return 'refused';
      if (error.code === 'NOT_RUNNING' || error.code === 'CONNECTION_LOST') return null;
      throw error;
    }
  }

  /** kill -9 and a new start; every fourth time once more while it starts. */
  async #kill(): Promise<void> {
    await this.#millrace.kill9();
    this.#kills += 1;
    if (this.#random.chance(0.25)) {
      this.#millrace.launch();
      await delay(this.#random.between(0, 600));
      await this.#millrace.kill9();
      this.#kills += 1;
    }
    await this.#millrace.start();
  }

  #recent(): NamedTransaction {
    const { transactions } = this.#load;
    const back = this.#random.between(1, Math.min(40, transactions.length));
    return transactions.at(-back)!;
  }

  async #mustBe(before: string, why: string): Promise<void> {
    const now = await this.#counted();
    if (now !== before) this.#passed.push(`${why}: ${before}, then ${now}`);
  }

  /** What the target shows: rows and tables. */
  async #counted(): Promise<string> {
    const [row] = await this.#target.query(
      "SELECT (SELECT COUNT(*) FROM ctl.done) AS n, (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'ctl') AS tables",
    );
    return `${row?.n} rows, ${row?.tables} tables`;
  }

  async #until(what: string, condition: (channel: ChannelStatus) => boolean): Promise<ChannelStatus> {
    const deadline = Date.now() + SETTLE_MS;
    let last: ChannelStatus | undefined;
    for (;;) {
      last = (await this.#millrace.status())?.channels[0] ?? last;
      if (last !== undefined && condition(last)) return last;
      if (Date.now() > deadline) throw new Error(`waited for: ${what}\n${JSON.stringify(last, null, 1)}`);
      await delay(20);
    }
  }

  async #holdLoadBack(): Promise<void> {
    const behind = (each: ChannelStatus): number => Number(targetOf(each)?.lag_transactions ?? 0);
    const status = (await this.#millrace.status())?.channels[0];
    if (status === undefined || behind(status) < BEHIND_MAX) return;
    this.#load.pause(true);
    await this.#until('it catches up', (each) => behind(each) < BEHIND_MAX / 8);
    this.#load.pause(false);
  }

  // ---- the books

  async #judge(began: number): Promise<ControlTortureResult> {
    const { flavour, progress, seed } = this.#options;
    await this.#load.stop();
    await this.#ask({ do: 'delay', channel: null, target: 'standby', ms: 0, by: null });
    await waitUntilCaughtUp(this.#source, this.#target, {
      millrace: this.#millrace,
      progress,
      timeoutMs: 180_000,
    });
    const rows = await this.#target.query('SELECT n, COUNT(*) AS times FROM ctl.done GROUP BY n');
    const times = new Map(rows.map((row) => [Number(row.n), Number(row.times)]));
    const tables = await this.#target.query(
      "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'ctl'",
    );
    const there = new Set(tables.map((row) => String(row.name)));
    const balance = { lost: 0, doubled: 0, forgotten: 0 };
    const dropped = new Map<number, boolean>();
    for (const { id, what, table } of this.#load.transactions) {
      if (what === 'drop') dropped.set(table!, !this.#skipped.has(id));
    }
    for (const { n, id, what } of this.#load.transactions) {
      if (what === 'drop') continue;
      const isSkipped = this.#skipped.has(id);
      const isThere = what === 'row' ? (times.get(n) ?? 0) > 0 : there.has(`t${n}`);
      const wanted = !isSkipped && !(what === 'create' && dropped.get(n) === true);
      if ((times.get(n) ?? 0) > 1) balance.doubled += 1;
      if (isThere && !wanted) balance.forgotten += 1;
      if (!isThere && wanted) balance.lost += 1;
    }
    const [mine, theirs] = await Promise.all([executedSet(this.#source), executedSet(this.#target)]);
    this.#checkAudit();
    return {
      flavour,
      progress,
      seed,
      seconds: Math.round((performance.now() - began) / 1000),
      kills: this.#kills,
      transactions: this.#load.transactions.length,
      operations: this.#operations,
      skipped: this.#skipped.size,
      tooLate: this.#tooLate,
      ...balance,
      passed: this.#passed,
      gtidsEqual: progress === 'table' || mine === theirs,
    };
  }

  /** Whoever was told that something is skipped finds it in the audit log. */
  #checkAudit(): void {
    const audit = readFileSync(join(this.#millrace.dataDir, 'millrace.audit.log'), 'utf8');
    for (const id of this.#skipped) {
      if (!audit.includes(`"id":"${id}"`))
        throw new Error(`the audit log does not know that ${id} was skipped`);
    }
  }
}

function targetOf(channel: ChannelStatus): TargetStatus | undefined {
  return channel.targets[0];
}

/** Nothing is in flight any more. */
function isQuiet(channel: ChannelStatus): boolean {
  return !/in flight/.test(targetOf(channel)?.reason ?? '');
}
