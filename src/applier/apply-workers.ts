/**
 * The sessions of one life of an applier: given units, and closed together.
 *
 *   open    a session for each worker; work begins with the first that is there
 *   grow    all are busy: one more for each worker, up to what worker-sessions.ts says
 *
 * One is needed. The others are for speed, and a worker's second to fourth are only opened when there is work for them: most of a transaction's time is
 * its COMMIT, which waits for the disk and for those that commit with it, and meanwhile the worker goes on in another session. A
 * target that takes no more connections is applied to in those that there are.
 */
import { toPlain } from '../base/errors.ts';
import { type Logger, systemClock } from '../base/runtime.ts';
import { TableMapCache } from '../binlog/table-map-cache.ts';
import type { PublishedEnd, RelayPosition } from '../relay/published-end.ts';
import type { TargetFilter } from '../rules/target-filter.ts';
import { ApplySession } from '../target/apply-session.ts';
import { type Collations, convertText, readCollations } from '../target/collations.ts';
import { schemaReader } from '../target/ddl-intent.ts';
import { hexLiteral } from '../target/sql-literal.ts';
import { readTriggerTable } from '../target/trigger-table.ts';
import type { ApplierOptions } from './applier-messages.ts';
import type { Started } from './apply-scheduler.ts';
import type { ApplyUnit } from './apply-unit.ts';
import { ApplyWorker, type WorkerActivity } from './apply-worker.ts';
import type { FilterCounters } from './filter-counters.ts';
import type { PreparedBranches, PreparedPlace } from './prepared-branches.ts';
import type { ReplayContext } from './replay-context.ts';
import { SharedMemory } from './statement-memory.ts';
import { findPrepared, holdsTransaction, readStoredTransaction } from './stored-transaction.ts';
import type { TakenTarget } from './target-takeover.ts';
import type { Crew } from './worker-sessions.ts';

const BINLOG_BYTES = 512 * 1024;
/** MySQL applies events flagged USE_SQL_FOREIGN_KEY by itself since this version. */
const SQL_FOREIGN_KEYS_SINCE = 90600;

export interface ApplyWorkersOptions {
  readonly to: Pick<ApplierOptions, 'endpoint' | 'relayDir' | 'channel'>;
  readonly crew: Crew;
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
  /** Something may follow that could not before. */
  onCanFollow(): void;
  /** So many can be given a unit now. */
  onSessions(sessions: number): void;
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

interface Place {
  readonly desk: Desk;
  readonly worker: ApplyWorker;
}

export class ApplyWorkers {
  readonly #options: ApplyWorkersOptions;
  readonly #desks: readonly Desk[];
  #given = 0;
  /** Of what is in flight. */
  readonly #places = new Map<ApplyUnit, Place>();
  /** Of sessions that are open, or being opened. */
  #numbers = 0;
  #growing = false;
  #closed = false;
  readonly #memory = new SharedMemory();
  readonly #tableMaps = new TableMapCache();
  #collations: Promise<Collations> | null = null;

  constructor(options: ApplyWorkersOptions) {
    this.#options = options;
    this.#desks = Array.from({ length: options.crew.workers }, () => {
      return { sessions: [], idle: [], busy: new Set<ApplyWorker>(), given: 0 };
    });
  }

  /** Resolves when there is a session. @throws when there can be none. */
  async open(): Promise<void> {
    const first = this.#openMore();
    await Promise.any(first).catch(({ errors }: AggregateError) => {
      throw errors[0];
    });
  }

  /** All are busy: another session for each worker, as far as the target lets. */
  grow(): void {
    const { workers, sessionsEach } = this.#options.crew;
    if (!this.#growing && this.#numbers < workers * sessionsEach) void this.#openMore();
  }

  /** One for each worker. Nothing more is opened in this life when one of them cannot be: who connects anew may try again. */
  #openMore(): Promise<void>[] {
    const { crew, log, ended } = this.#options;
    this.#growing = true;
    const opened = Array.from({ length: crew.workers }, () => this.#openNext());
    void Promise.allSettled(opened).then((all) => {
      const failed = all.find((each) => each.status === 'rejected');
      if (failed === undefined) this.#growing = false;
      else if (!ended.aborted && this.#all.length > 0) {
        const { length: sessions } = this.#all;
        const error = toPlain(failed.reason).message;
        log.warn('the target takes no more connections; going on in those there are', { sessions, error });
      }
    });
    return opened;
  }

  async #openNext(): Promise<void> {
    const { to, target, ended, onLost, onSessions } = this.#options;
    const number = ++this.#numbers;
    const session = await ApplySession.open(to.endpoint, target.facts, ended);
    if (this.#closed) {
      session.destroy();
      return;
    }
    const worker = this.#worker(session, number);
    const desk = this.#desks[(number - 1) % this.#desks.length]!;
    desk.sessions.push(worker);
    desk.idle.push(worker);
    session.onLost(onLost);
    onSessions(this.#all.length);
  }

  #worker(session: ApplySession, number: number): ApplyWorker {
    const { target, log, broken, stopping, filtered, standAlone, turn, ranAlone, onCanFollow } =
      this.#options;
    const { facts } = target;
    return new ApplyWorker(session, this.#replayContext(number), {
      rows: {
        bytesMax: Math.min(BINLOG_BYTES, Math.floor(facts.maxAllowedPacket / 2)),
        knowsSqlForeignKeys: facts.flavour === 'mysql' && facts.versionNumber >= SQL_FOREIGN_KEYS_SINCE,
      },
      memory: this.#memory,
      log,
      signal: broken,
      stopping,
      filtered,
      standAlone,
      turn,
      ranAlone,
      onCanFollow,
    });
  }

  #replayContext(worker: number): ReplayContext {
    const { published, target, prepared, filter } = this.#options;
    const { relayDir, channel } = this.#options.to;
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

  /**
   * Where it follows no other, a session is idle: the scheduler knows how many there are. Where it does, `canFollow`. Gives the rows that were
   * changed; null: it was given up.
   */
  apply({ unit, before }: Started<ApplyUnit>): Promise<number | null> {
    if (before !== null) {
      const place = this.#places.get(before)!;
      return this.#until(unit, place, place.worker.follow(unit));
    }
    const desk = this.#freest();
    const worker = desk.idle.pop()!;
    desk.busy.add(worker);
    desk.given = ++this.#given;
    return this.#until(unit, { desk, worker }, worker.apply(unit));
  }

  /** A unit that may follow could be sent directly behind this one. */
  readonly canFollow = (unit: ApplyUnit, before: ApplyUnit): boolean =>
    this.#places.get(before)?.worker.canFollow(unit) ?? false;

  async #until(unit: ApplyUnit, place: Place, applied: Promise<number | null>): Promise<number | null> {
    this.#places.set(unit, place);
    const rows = await applied;
    this.#places.delete(unit);
    const { desk, worker } = place;
    if (worker.isIdle && desk.busy.delete(worker)) desk.idle.push(worker);
    return rows;
  }

  /** It has nothing to do; or what it was given was given first, and is the nearest to its end. */
  #freest(): Desk {
    let freest: Desk | null = null;
    for (const desk of this.#desks) {
      if (desk.idle.length === 0) continue;
      if (desk.busy.size === 0) return desk;
      if (freest === null || desk.given < freest.given) freest = desk;
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
    this.#closed = true;
    for (const { session } of this.#all) session.destroy();
  }

  async close(graceful: boolean): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#all.map(({ session }) => (graceful ? session.end() : session.destroy())));
  }
}
