/**
 * Where the source is, whatever has come over the dump: asked once a second in a connection of its own. Each answer is held
 * against what the dump has brought (head-continuity.ts): one of another history, or of another server, proves nothing.
 *
 *   MySQL     SHOW BINARY LOG STATUS (before 8.2: SHOW MASTER STATUS)   file, position, executed set
 *             SELECT @@GLOBAL.gtid_executed                             when the account may not do that
 *   MariaDB   SHOW MASTER STATUS, SELECT @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_binlog_state
 *   both      SELECT @@GLOBAL.server_uuid (server_id)                   once a connection: is it the dump's server?
 *             SHOW BINARY LOGS                                          only when the source is files ahead
 *
 * The dump tells nothing about itself: a link that is stuck looks like a source that is idle. This one may fail in every
 * way without harm: then the head is unknown, and says why. An account that is refused is not tried again until the dump
 * runs anew, so that nothing is hammered. Thread: reader.
 */
import { MillraceError } from '../base/errors.ts';
import { type Clock, sleep } from '../base/runtime.ts';
import {
  emptyPositionSet,
  GtidPositionSet,
  type PositionKind,
  parsePositionSet,
} from '../binlog/position-set.ts';
import { openConnection, type Row, type WireConnection } from '../wire/connection.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import { Errno } from '../wire/wire-error.ts';
import { HeadContinuity } from './head-continuity.ts';
import {
  type HeadAges,
  type HeadLook,
  HeadSamples,
  type Received,
  type SourcePlace,
  splitName,
} from './head-samples.ts';
import type { HeadView } from './reader-messages.ts';
import type { SourceFacts } from './source-facts.ts';
import { gtidsOf } from './source-history.ts';

const ANSWER_MS = 5_000;
const AGAIN_MS_MAX = 30_000;
/** The sizes of the source's files are asked for so often at most. */
const SIZES_MS = 10_000;
const SIZES_MAX = 10_000;
/** The head as it was so long ago says nothing about now. */
const STALE_MS = 10_000;
/** So many new connections in a row that reach another server than the dump comes from mean that the source has moved. */
const STRANGERS_MAX = 3;

export interface SourceHeadOptions {
  readonly endpoint: EndpointOptions;
  readonly everyMs: number;
  readonly clock: Clock;
  /** What is received by now. */
  readonly received: () => Received;
  /** The dump cannot go on as if nothing had happened: the source tells of another history, or is another server. */
  readonly onBroken: (error: MillraceError) => void;
}

/** What names the server that the dump comes from. */
type SourceName = Pick<SourceFacts, 'serverUuid' | 'serverId'>;

export class SourceHead {
  readonly #options: SourceHeadOptions;
  readonly #samples = new HeadSamples();
  #kind: PositionKind | null = null;
  #source: SourceName | null = null;
  #strangers = 0;
  readonly #continuity = new HeadContinuity();
  #running: AbortController | null = null;
  #head: HeadLook | null = null;
  #unknown: string | null = 'not asked yet';
  #mayShow = true;
  #oldName = false;
  #sizes: ReadonlyMap<number, number> = new Map();
  #sizesMs = Number.NEGATIVE_INFINITY;

  constructor(options: SourceHeadOptions) {
    this.#options = options;
  }

  /** The dump runs: begins to ask, or goes on. Another server begins anew. */
  follow(kind: PositionKind, source: SourceName): void {
    this.#continuity.clear();
    if (this.#source === null || nameOf(source) !== nameOf(this.#source)) {
      this.#samples.clear();
      this.#head = null;
      this.#sizes = new Map();
    }
    this.#kind = kind;
    this.#source = source;
    if (this.#running !== null) return;
    const running = new AbortController();
    this.#running = running;
    this.#mayShow = true;
    void this.#run(running.signal).finally(() => {
      if (this.#running === running) this.#running = null;
    });
  }

  /** Until the dump runs again. `why`: what is to be said of it. */
  stop(why: string): void {
    this.#running?.abort();
    this.#running = null;
    this.#head = null;
    this.#unknown = why;
  }

  /** What the source says beside the dump speaks against it: neither is proof until it does no more. */
  get doubted(): boolean {
    return this.#samples.doubted;
  }

  /** A heartbeat of the dump has named exactly our position. */
  proven(atMs: number): void {
    this.#samples.proven(atMs);
  }

  ages(received: Received): HeadAges {
    return this.#samples.ages(received, this.#options.clock.monotonicMs());
  }

  /** Null: not known; `unknown` says why. */
  view(received: SourcePlace | null): HeadView | null {
    const head = this.#head;
    const ageMs = head === null ? 0 : this.#options.clock.monotonicMs() - head.begunMs;
    if (head === null || ageMs > STALE_MS) return null;
    return {
      file: head.place?.file ?? null,
      position: head.place?.position ?? null,
      executed: head.set?.toString() ?? null,
      ageMs,
      bytesAhead: received === null || head.place === null ? null : this.#distance(received, head.place),
    };
  }

  get unknown(): string | null {
    return this.#unknown;
  }

  // -- asking --------------------------------------------------------------------------------------------------------

  /** Never rejects. */
  async #run(signal: AbortSignal): Promise<void> {
    const { clock, everyMs } = this.#options;
    for (let pauseMs = everyMs; !signal.aborted; pauseMs = Math.min(2 * pauseMs, AGAIN_MS_MAX)) {
      const begunMs = clock.monotonicMs();
      try {
        await this.#askOn(signal);
      } catch (error) {
        if (signal.aborted) break;
        this.#unknown = error instanceof Error ? error.message : String(error);
        if (error instanceof MillraceError && error.action !== 'retry') break;
      }
      if (clock.monotonicMs() - begunMs > AGAIN_MS_MAX) pauseMs = everyMs;
      await sleep(pauseMs, signal);
    }
  }

  async #askOn(signal: AbortSignal): Promise<void> {
    const { endpoint, clock, everyMs } = this.#options;
    const connection = await openConnection(endpoint, {
      purpose: 'the source',
      signal,
      queryTimeoutMs: ANSWER_MS,
    });
    try {
      await this.#mustBeTheSource(connection, signal);
      while (!signal.aborted) {
        const begunMs = clock.monotonicMs();
        const { place, set } = this.#options.received();
        const had = { place, set: set?.clone() ?? null };
        const look = { ...(await this.#ask(connection)), begunMs };
        if (signal.aborted) return;
        this.#head = look;
        this.#unknown = look.place === null && look.set === null ? grantHint(endpoint.user) : null;
        if (!this.#goesOn(look, had)) return;
        await sleep(everyMs, signal);
      }
    } finally {
      connection.close();
    }
  }

  /** False: the dump is at its end. */
  #goesOn(look: HeadLook, had: Received): boolean {
    const kind = this.#kind!;
    // Of what came through it from elsewhere a MySQL source may not have everything.
    const set = had.set instanceof GtidPositionSet ? ownPart(had.set, this.#source!.serverUuid) : had.set;
    const verdict = this.#continuity.judge(look, { place: had.place, set }, kind === 'gtid');
    if (verdict.is === 'sound') {
      this.#samples.add(look);
      return true;
    }
    this.#samples.doubt();
    if (verdict.is === 'pending') return true;
    const { host, port } = this.#options.endpoint;
    this.#break(`the source ${host}:${port} tells of another history than its dump: ${verdict.why}`);
    return false;
  }

  #break(message: string): void {
    this.#samples.doubt();
    this.#continuity.clear();
    this.#options.onBroken(new MillraceError('CONNECTION_LOST', message));
  }

  /** Behind a virtual address or a load balancer a new connection may reach another server than the dump's. */
  async #mustBeTheSource(connection: WireConnection, signal: AbortSignal): Promise<void> {
    const source = this.#source!;
    const variable = source.serverUuid === null ? 'server_id' : 'server_uuid';
    const [row] = await connection.query(`SELECT @@GLOBAL.${variable} AS name`, `read ${variable}`);
    const name = (row?.name ?? '').toLowerCase();
    if (signal.aborted) return;
    if (name === nameOf(source)) {
      this.#strangers = 0;
      return;
    }
    this.#samples.doubt();
    this.#strangers += 1;
    const { host, port } = this.#options.endpoint;
    const message = `new connections to ${host}:${port} reach another server than the dump comes from: ${variable} ${name}, not ${nameOf(source)}`;
    if (this.#strangers < STRANGERS_MAX) throw new MillraceError('CONNECTION_LOST', message);
    this.#strangers = 0;
    this.#break(message);
    throw new MillraceError('CONNECTION_LOST', message);
  }

  async #ask(connection: WireConnection): Promise<Pick<HeadLook, 'place' | 'set' | 'history'>> {
    const kind = this.#kind!;
    const row = this.#mayShow ? await this.#show(connection) : null;
    const file = row?.File ?? null;
    const place = file === null ? null : { file, position: Number(row?.Position ?? 0) };
    if (kind === 'position') return { place, set: null };
    if (kind === 'mariadb') return { place, ...(await selectDomains(connection)) };
    const text = row?.Executed_Gtid_Set ?? (await selectExecuted(connection));
    return { place, set: parsePositionSet(kind, text) };
  }

  async #show(connection: WireConnection): Promise<Row | null> {
    const old = this.#oldName || connection.flavour === 'mariadb';
    try {
      const sql = old ? 'SHOW MASTER STATUS' : 'SHOW BINARY LOG STATUS';
      const [row] = await connection.query(sql, "ask for the source's position");
      return row ?? null;
    } catch (error) {
      const errno = error instanceof MillraceError ? error.facts.errno : undefined;
      if (errno === Errno.PARSE_ERROR && !old) {
        this.#oldName = true;
        return this.#show(connection);
      }
      if (errno !== Errno.SPECIFIC_ACCESS_DENIED) throw error;
      this.#mayShow = false;
      return null;
    }
  }

  // -- bytes ---------------------------------------------------------------------------------------------------------

  /** Files in between count with their sizes, which a connection of its own turn asks for. */
  #distance(from: SourcePlace, to: SourcePlace): number | null {
    const a = splitName(from.file);
    const b = splitName(to.file);
    if (a === null || b === null || a.base !== b.base || b.number < a.number) return null;
    if (a.number === b.number) return Math.max(0, to.position - from.position);
    if (b.number - a.number > SIZES_MAX) return null;
    this.#askSizes();
    let bytes = to.position - from.position;
    for (let number = a.number; number < b.number; number++) {
      const size = this.#sizes.get(number);
      if (size === undefined) return null;
      bytes += size;
    }
    return Math.max(0, bytes);
  }

  #askSizes(): void {
    const { clock, endpoint } = this.#options;
    const signal = this.#running?.signal;
    if (!this.#mayShow || signal === undefined || clock.monotonicMs() - this.#sizesMs < SIZES_MS) return;
    this.#sizesMs = clock.monotonicMs();
    void readFileSizes(endpoint, signal).then(
      (sizes) => {
        this.#sizes = sizes;
      },
      // Not known, then.
      () => {},
    );
  }
}

/** Needs no privilege. */
async function selectExecuted(connection: WireConnection): Promise<string> {
  const [row] = await connection.query('SELECT @@GLOBAL.gtid_executed AS executed', 'read gtid_executed');
  return row?.executed ?? '';
}

/** Nor does this. A domain's last GTID need not be its greatest: which one it has had, only the state tells. */
async function selectDomains(
  connection: WireConnection,
): Promise<Required<Pick<HeadLook, 'set' | 'history'>>> {
  const [row] = await connection.query(
    'SELECT @@GLOBAL.gtid_binlog_pos AS pos, @@GLOBAL.gtid_binlog_state AS state',
    'read gtid_binlog_pos and gtid_binlog_state',
  );
  const history = emptyPositionSet('mariadb');
  for (const gtid of (row?.state ?? '').split(',')) {
    if (gtid.trim() !== '') history.addAll(parsePositionSet('mariadb', gtid));
  }
  return { set: parsePositionSet('mariadb', row?.pos ?? ''), history };
}

function ownPart(set: GtidPositionSet, uuid: string | null): GtidPositionSet {
  return new GtidPositionSet(gtidsOf(set.gtids, uuid));
}

function nameOf({ serverUuid, serverId }: SourceName): string {
  return serverUuid ?? String(serverId);
}

async function readFileSizes(endpoint: EndpointOptions, signal: AbortSignal): Promise<Map<number, number>> {
  const connection = await openConnection(endpoint, {
    purpose: 'the source',
    signal,
    queryTimeoutMs: ANSWER_MS,
  });
  try {
    const sizes = new Map<number, number>();
    for (const row of await connection.query('SHOW BINARY LOGS', "list the source's binary logs")) {
      const name = splitName(row.Log_name ?? '');
      if (name !== null) sizes.set(name.number, Number(row.File_size ?? 0));
    }
    return sizes;
  } finally {
    connection.close();
  }
}

function grantHint(user: string): string {
  return `'${user}' may not ask the source where it is: GRANT REPLICATION CLIENT ON *.* to it`;
}
