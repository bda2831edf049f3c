/**
 * The worker sessions of one life of an applier: opened together, given units, closed together.
 *
 * A session has one lane, or two: then a second unit is given to it while the first is not answered, and the server goes from one to
 * the other by itself (session-lane.ts). The second lanes are used when every session has something to do.
 */
import { type Logger, systemClock } from '../base/runtime.ts';
import { TableMapCache } from '../binlog/table-map-cache.ts';
import type { PublishedEnd, RelayPosition } from '../relay/published-end.ts';
import type { TargetFilter } from '../rules/target-filter.ts';
import { ApplySession } from '../target/apply-session.ts';
import { type Collations, convertText, readCollations } from '../target/collations.ts';
import { schemaReader } from '../target/ddl-intent.ts';
import { SessionLane } from '../target/session-lane.ts';
import { hexLiteral } from '../target/table-progress.ts';
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

/** Units that a session is given at a time. */
export const LANES_MAX = 2;
const BINLOG_BYTES = 512 * 1024;
/** MySQL applies events flagged USE_SQL_FOREIGN_KEY by itself since this version. */
const SQL_FOREIGN_KEYS_SINCE = 90600;

export interface ApplyWorkersOptions {
  readonly endpoint: EndpointOptions;
  readonly relayDir: string;
  readonly channel: string;
  /** Sessions. */
  readonly count: number;
  /** Units that a session is given at a time: 1 or 2. */
  readonly lanes: number;
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

/** A session, and who works in it. */
interface Desk {
  readonly session: ApplySession;
  /** Any of its lanes. */
  readonly lane: SessionLane;
  readonly idle: ApplyWorker[];
  readonly busy: Set<ApplyWorker>;
  /** Counts what all desks were given: the least has waited longest. */
  given: number;
}

export class ApplyWorkers {
  readonly #options: ApplyWorkersOptions;
  readonly #desks: Desk[] = [];
  #given = 0;
  readonly #tableMaps = new TableMapCache();
  #collations: Promise<Collations> | null = null;

  constructor(options: ApplyWorkersOptions) {
    this.#options = options;
  }

  /** Rejects with the first that cannot be opened; those that are open are closed by `close`. */
  async open(): Promise<void> {
    const { endpoint, target, count, ended } = this.#options;
    const { facts } = target;
    const opened = await Promise.allSettled(
      Array.from({ length: count }, () => ApplySession.open(endpoint, facts, ended)),
    );
    for (const [index, each] of opened.entries()) {
      if (each.status === 'fulfilled') this.#add(each.value, index + 1);
    }
    const failed = opened.find((each) => each.status === 'rejected');
    if (failed?.status === 'rejected') throw failed.reason;
  }

  #add(session: ApplySession, number: number): void {
    const { lanes, count, onLost } = this.#options;
    const all = SessionLane.of(session, lanes);
    const idle = all.map((lane, at) => this.#worker(lane, number + at * count));
    session.onLost(onLost);
    this.#desks.push({ session, lane: all[0]!, idle: idle.reverse(), busy: new Set(), given: 0 });
  }

  #worker(lane: SessionLane, number: number): ApplyWorker {
    const { target, log, broken, stopping, filtered, standAlone, turn, ranAlone } = this.#options;
    const { facts } = target;
    return new ApplyWorker(lane, this.#replayContext(number), {
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

  /**
   * What the sessions are doing; the one first that stands first in the relay log. What stands behind another in its session has
   * not begun.
   */
  get activity(): readonly WorkerActivity[] {
    const nowMs = systemClock.monotonicMs();
    const begun = this.#desks.flatMap(({ busy }, at) => {
      const current = [...busy].find(({ session }) => session.isCurrent) ?? [...busy][0];
      const activity = current?.activity(nowMs) ?? null;
      return activity === null ? [] : [{ ...activity, worker: at + 1 }];
    });
    return begun.sort((a, b) => a.ordinal - b.ordinal);
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

  /** Nobody works there; or what was given to it was given first, and will be done first. */
  #freest(): Desk {
    let freest: Desk | null = null;
    for (const desk of this.#desks) {
      if (desk.busy.size === 0) return desk;
      if (desk.idle.length > 0 && (freest === null || desk.given < freest.given)) freest = desk;
    }
    return freest!;
  }

  /** Of all sessions that nothing is sent in, also where a worker waits without holding anything. */
  async ping(): Promise<void> {
    const idle = this.#desks.filter(({ lane }) => lane.isIdle);
    await Promise.all(idle.map(({ session }) => session.ping()));
  }

  /** At once: the server rolls back what was in flight. */
  destroy(): void {
    for (const { session } of this.#desks) session.destroy();
  }

  async close(graceful: boolean): Promise<void> {
    await Promise.all(this.#desks.map(({ session }) => (graceful ? session.end() : session.destroy())));
  }
}
