/**
 * A real source, a real target, and between them a relay log and the applier of this tree, in this process: a test says
 * what the source does, when the relay log gets it, and when and how the applier runs.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ApplierOptions, ExecutedIds } from '../../src/applier/applier-messages.ts';
import { ApplierRun, type RunCounters } from '../../src/applier/applier-run.ts';
import { NO_CONTROL } from '../../src/applier/target-control.ts';
import { type MillraceError, toPlain } from '../../src/base/errors.ts';
import { type LogFacts, silentLogger } from '../../src/base/runtime.ts';
import { type PositionKind, type PositionSet, parsePositionSet } from '../../src/binlog/position-set.ts';
import type { RelayLogWriter } from '../../src/relay/relay-log-writer.ts';
import { NO_GUARDS } from '../../src/rules/guard-rules.ts';
import { ALL_IS_REPLICATED } from '../../src/rules/target-rules.ts';
import type { EndpointOptions } from '../../src/wire/endpoint.ts';
import { executedSet } from './equality.ts';
import { RelayDirectory } from './relay-directory.ts';
import { SourceFeed } from './source-feed.ts';
import type { TestServer } from './test-server.ts';

export interface RigOptions {
  readonly progress?: 'auto' | 'gtid' | 'table';
  readonly workers?: number;
  readonly commitOrder?: ApplierOptions['commitOrder'];
  readonly channel?: string;
  readonly kind?: PositionKind;
  readonly account?: { readonly user: string; readonly password: string };
  readonly maxFileSize?: number;
  /** Begins after what the source has now; default: with the source's first transaction. */
  readonly fromNow?: boolean;
}

/** One life of an applier. */
export class AppliedLife {
  readonly run: ApplierRun;
  /** Resolves with what ended it; null: it was told to stop. */
  readonly ended: Promise<MillraceError | null>;

  constructor(run: ApplierRun, ended: Promise<MillraceError | null>) {
    this.run = run;
    this.ended = ended;
  }

  /** As SIGTERM does it. */
  async stop(): Promise<MillraceError | null> {
    this.run.stop();
    return this.ended;
  }
}

export class ApplierRig {
  readonly source: TestServer;
  readonly target: TestServer;
  readonly relay: RelayDirectory;
  readonly counters: RunCounters = {
    transactionsApplied: 0,
    rowsApplied: 0,
    lastCommitMicros: null,
    lastAppliedWallMs: null,
  };
  readonly logged: { readonly message: string; readonly facts: LogFacts | undefined }[] = [];
  readonly #feed: SourceFeed;
  readonly #writer: RelayLogWriter;
  readonly #options: RigOptions;
  readonly #kind: PositionKind;

  private constructor(
    source: TestServer,
    target: TestServer,
    relay: RelayDirectory,
    writer: RelayLogWriter,
    feed: SourceFeed,
    kind: PositionKind,
    options: RigOptions,
  ) {
    this.source = source;
    this.target = target;
    this.relay = relay;
    this.#writer = writer;
    this.#feed = feed;
    this.#kind = kind;
    this.#options = options;
  }

  static async create(source: TestServer, target: TestServer, options: RigOptions = {}): Promise<ApplierRig> {
    const kind = options.kind ?? (source.flavour === 'mysql' ? 'gtid' : 'mariadb');
    const relay = new RelayDirectory();
    const writer = await relay.openWriter({ maxFileSize: options.maxFileSize ?? 2 ** 30 });
    const base = options.fromNow === true ? parsePositionSet(kind, await executedSet(source)) : kind;
    return new ApplierRig(source, target, relay, writer, new SourceFeed(source, writer, base), kind, options);
  }

  get progress(): 'auto' | 'gtid' | 'table' {
    return this.#options.progress ?? 'auto';
  }

  get endpoint(): EndpointOptions {
    const { host, port, rootUser, rootPassword } = this.target;
    const { user = rootUser, password = rootPassword } = this.#options.account ?? {};
    return { host, port, user, password, tls: { mode: 'disabled' }, connectTimeoutMs: 10_000 };
  }

  /** Everything that the source has committed goes into the relay log. */
  feed(): Promise<void> {
    return this.#feed.feed();
  }

  applierOptions(more: Partial<ApplierOptions> = {}): ApplierOptions {
    const { channel = 'orders', progress = 'auto', workers = 4, commitOrder = 'window' } = this.#options;
    return {
      channel,
      target: 'standby',
      endpoint: this.endpoint,
      mode: 'auto',
      progress,
      workers,
      commitOrder,
      startAt: null,
      relayDir: this.relay.dir,
      published: this.relay.published.buffer,
      owner: 'test',
      delayMs: 0,
      rules: ALL_IS_REPLICATED,
      guards: NO_GUARDS,
      control: NO_CONTROL,
      ...more,
    };
  }

  /** Connects and takes over; rejects when that fails. */
  async begin(
    more: Partial<ApplierOptions> = {},
    onExecuted: (ids: ExecutedIds) => void = () => {},
  ): Promise<AppliedLife> {
    const say = (message: string, facts?: LogFacts): void => void this.logged.push({ message, facts });
    const log = { ...silentLogger, debug: say, info: say, warn: say };
    const run = new ApplierRun(this.applierOptions(more), this.#kind, this.counters, log, onExecuted);
    try {
      await run.start();
    } catch (error) {
      await run.close();
      throw error;
    }
    const ended = run
      .run()
      .then(
        () => null,
        (error: unknown) => error as MillraceError,
      )
      .then(async (error) => {
        await run.close();
        return error;
      });
    return new AppliedLife(run, ended);
  }

  /** Applies everything that is in the relay log, then does `work` while the applier lives on; stops it in any case. */
  async whileApplying<T>(
    work: (life: AppliedLife) => Promise<T>,
    more: Partial<ApplierOptions> = {},
  ): Promise<T> {
    await this.feed();
    const life = await this.begin(more);
    try {
      await this.untilCaughtUp(life);
      return await work(life);
    } finally {
      await life.stop();
    }
  }

  /** Feeds, applies until everything is applied, stops. Rejects with what stopped the applier. */
  async catchUp(more: Partial<ApplierOptions> = {}): Promise<void> {
    await this.feed();
    const life = await this.begin(more);
    const failure = await this.untilCaughtUp(life).catch((error: unknown) => error);
    const error = await life.stop();
    if (failure !== undefined) throw failure;
    if (error !== null) throw error;
  }

  /** Rejects with what ended the life first. */
  async untilCaughtUp(life: AppliedLife, timeoutMs = 60_000): Promise<void> {
    let over: MillraceError | null | undefined;
    void life.ended.then((error) => {
      over = error;
    });
    const deadline = Date.now() + timeoutMs;
    while (!life.run.caughtUpWithRelay || !this.#hasAll(life.run)) {
      if (over !== undefined) throw over ?? new Error('the applier stopped before it had caught up');
      if (Date.now() > deadline) throw new Error(`not caught up after ${timeoutMs} ms`);
      await delay(5);
    }
  }

  #hasAll(run: ApplierRun): boolean {
    const retrieved = this.#writer.retrieved;
    if (retrieved === null) return true;
    const text = run.executedText;
    return text !== null && parsePositionSet(this.#kind, text).containsAll(retrieved);
  }

  /** Feeds and applies what must not be applicable; gives the reason. */
  async refusal(more: Partial<ApplierOptions> = {}): Promise<MillraceError> {
    await this.feed();
    const life = await this.begin(more);
    const error = await Promise.race([life.ended, this.untilCaughtUp(life).then(() => null)]).catch(
      (reason: unknown) => reason as MillraceError,
    );
    await life.stop();
    if (error === null) throw new Error('the applier applied everything');
    return error;
  }

  /**
   * As the applier's thread does it: a life after the other, as long as the error says `retry`, until all is applied. Returns
   * the number of lives.
   */
  async persist(more: Partial<ApplierOptions> = {}, livesMax = 100): Promise<number> {
    await this.feed();
    for (let lives = 1; ; lives++) {
      try {
        await this.catchUp(more);
        return lives;
      } catch (error) {
        if (toPlain(error).action !== 'retry' || lives >= livesMax) throw error;
        await delay(20);
      }
    }
  }

  executed(): Promise<PositionSet> {
    return executedSet(this.target).then((text) => parsePositionSet(this.#kind, text));
  }

  async remove(): Promise<void> {
    await this.relay.remove();
  }
}
