/**
 * The sessions of one life of an applier: opened together, given units, closed together.
 *
 * A worker has two sessions: most of a transaction's time is its COMMIT, which waits for the disk and for those that commit with it;
 * meanwhile the worker goes on in the other. The second sessions are used when every worker has something to do.
 */
import { type Logger, systemClock } from '../base/runtime.ts';
import { TableMapCache } from '../binlog/table-map-cache.ts';
import type { PublishedEnd, RelayPosition } from '../relay/published-end.ts';
import type { TargetFilter } from '../rules/target-filter.ts';
import { ApplySession } from '../target/apply-session.ts';
import { type Collations, convertText, readCollations } from '../target/collations.ts';
import { schemaReader } from '../target/ddl-intent.ts';
import { hexLiteral } from '../target/sql-literal.ts';
import { readTriggerTable } from '../target/trigger-table.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import type { ApplyUnit } from './apply-unit.ts';
import { ApplyWorker, type WorkerActivity } from './apply-worker.ts';
import type { FilterCounters } from './filter-counters.ts';
import type { PreparedBranches, PreparedPlace } from './prepared-branches.ts';
import type { ReplayContext } from './replay-context.ts';
import { Scratch } from './scratch.ts';
import { findPrepared, holdsTransaction, readStoredTransaction } from './stored-transaction.ts';
import type { TakenTarget } from './target-takeover.ts';

const BINLOG_BYTES = 512 * 1024;
/** MySQL applies events flagged USE_SQL_FOREIGN_KEY by itself since this version. */
const SQL_FOREIGN_KEYS_SINCE = 90600;

export interface ApplyWorkersOptions {
  readonly endpoint: EndpointOptions;
  readonly relayDir: string;
  readonly channel: string;
  readonly count: number;
  readonly sessionsEach: number;
  readonly target: TakenTarget;
  readonly published: PublishedEnd;
  readonly prepared: PreparedBranches;
  readonly filtered: FilterCounters;
  readonly log: Logger;
  /** Told to stop, or broken. */
  readonly ended: AbortSignal;
  readonly broken: AbortSignal;
  /** The rules as they are now; null: no rule is active. They change only while nothing is in flight. */
  filter(): TargetFilter | null;
  stopping(): boolean;
  standAlone(unit: ApplyUnit): Promise<void>;
  turn(unit: ApplyUnit): Promise<boolean> | null;
  ranAlone(unit: ApplyUnit): boolean;
  onLost(error: unknown): void;
}

/** A worker as it is configured and shown: its sessions, and those that are in use. */
interface Desk {
  readonly sessions: ApplyWorker[];
  readonly idle: ApplyWorker[];
  readonly busy: Set<ApplyWorker>;
  /** Counts what all desks were given: the least has waited longest. */
  given: number;
}

export class ApplyWorkers {
  readonly #options: ApplyWorkersOptions;
  readonly #desks: readonly Desk[];
  #given = 0;
  readonly #tableMaps = new TableMapCache();
  #collations: Promise<Collations> | null = null;

  constructor(options: ApplyWorkersOptions) {
    this.#options = options;
    this.#desks = Array.from({ length: options.count }, () => {
      return { sessions: [], idle: [], busy: new Set<ApplyWorker>(), given: 0 };
    });
  }

  /** Rejects with the first that cannot be opened; those that are open are closed by `close`. */
  async open(): Promise<void> {
    const { endpoint, target, count, sessionsEach, ended } = this.#options;
    const { facts } = target;
    const opened = await Promise.allSettled(
      Array.from({ length: count * sessionsEach }, () => ApplySession.open(endpoint, facts, ended)),
    );
    for (const [index, each] of opened.entries()) {
      if (each.status === 'fulfilled') this.#add(each.value, index + 1);
    }
    const failed = opened.find((each) => each.status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  #add(session: ApplySession, number: number): void {
    session.onLost(this.#options.onLost);
    const worker = this.#worker(session, number);
    const desk = this.#desks[(number - 1) % this.#desks.length]!;
    desk.sessions.push(worker);
    desk.idle.push(worker);
  }

  #worker(session: ApplySession, number: number): ApplyWorker {
    const { target, log, broken, stopping, filtered, standAlone, turn, ranAlone } = this.#options;
    const { facts } = target;
    return new ApplyWorker(session, this.#replayContext(number), {
      rows: {
        bytesMax: Math.min(BINLOG_BYTES, Math.floor(facts.maxAllowedPacket / 2)),
        knowsSqlForeignKeys: facts.flavour === 'mysql' && facts.versionNumber >= SQL_FOREIGN_KEYS_SINCE,
        scratch: [new Scratch(), new Scratch()],
      },
      log,
      signal: broken,
      stopping,
      filtered,
      standAlone,
      turn,
      ranAlone,
    });
  }

  #replayContext(worker: number): ReplayContext {
    const { relayDir, channel, published, target, prepared, filter } = this.#options;
    const { facts, progress, createdBefore, control } = target;
    return {
      facts,
      progress,
      worker,
      channel: hexLiteral(channel),
      createdBefore,
      tableMaps: this.#tableMaps,
      get filter() {
        return filter();
      },
      prepared,
      collations: () => (this.#collations ??= readCollations(control, facts)),
      convert: (utf8: Buffer, charset: string) => convertText(control, utf8, charset),
      readSchemas: schemaReader(control),
      triggerTable: (database: string, trigger: string) => readTriggerTable(control, database, trigger),
      findPrepared: (xid: string, end: RelayPosition) => findPrepared(relayDir, published, xid, end),
      readTransaction: (location: RelayPosition) => readStoredTransaction(relayDir, published, location),
      holdsTransaction: (place: PreparedPlace) => holdsTransaction(relayDir, published, place, place.id),
    };
  }

  /** What the workers are doing, each the older of its units; the one first that stands first in the relay log. */
  get activity(): readonly WorkerActivity[] {
    const nowMs = systemClock.monotonicMs();
    const oldest = this.#desks.flatMap(({ busy }, at) => {
      const all = [...busy].map((worker) => worker.activity(nowMs)).filter((each) => each !== null);
      return all
        .sort((a, b) => a.ordinal - b.ordinal)
        .slice(0, 1)
        .map((each) => ({ ...each, worker: at + 1 }));
    });
    return oldest.sort((a, b) => a.ordinal - b.ordinal);
  }

  /** One of them is idle: the scheduler knows how many there are. Gives the rows that were changed; null: it was given up. */
  async apply(unit: ApplyUnit): Promise<number | null> {
    const desk = this.#freest();
    const worker = desk.idle.pop()!;
    desk.busy.add(worker);
    desk.given = ++this.#given;
    const rows = await worker.apply(unit);
    desk.busy.delete(worker);
    desk.idle.push(worker);
    return rows;
  }

  /** It has nothing to do; or what it was given was given first, and is the nearest to its end. */
  #freest(): Desk {
    let freest: Desk | null = null;
    for (const desk of this.#desks) {
      if (desk.busy.size === 0) return desk;
      if (desk.idle.length > 0 && (freest === null || desk.given < freest.given)) freest = desk;
    }
    return freest!;
  }

  /** Of all sessions that nothing is sent in, also where a worker waits. */
  async ping(): Promise<void> {
    const quiet = this.#all.filter(({ isQuiet }) => isQuiet);
    await Promise.all(quiet.map(({ session }) => session.ping()));
  }

  get #all(): ApplyWorker[] {
    return this.#desks.flatMap(({ sessions }) => sessions);
  }

  /** At once: the server rolls back what was in flight. */
  destroy(): void {
    for (const { session } of this.#all) session.destroy();
  }

  async close(graceful: boolean): Promise<void> {
    await Promise.all(this.#all.map(({ session }) => (graceful ? session.end() : session.destroy())));
  }
}
