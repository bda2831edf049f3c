/**
 * Where the source is, whatever has come over the dump: asked once a second in a connection of its own.
 *
 *   MySQL     SHOW BINARY LOG STATUS (before 8.2: SHOW MASTER STATUS)   file, position, executed set
 *             SELECT @@GLOBAL.gtid_executed                             when the account may not do that
 *   MariaDB   SHOW MASTER STATUS, SELECT @@GLOBAL.gtid_binlog_pos
 *   both      SHOW BINARY LOGS                                          only when the source is files ahead
 *
 * The dump tells nothing about itself: a link that is stuck looks like a source that is idle. This one may fail in every
 * way without harm: then the head is unknown, and says why. An account that is refused is not tried again until the dump
 * runs anew, so that nothing is hammered. Thread: reader.
 */
import { MillraceError } from '../base/errors.ts';
import { type Clock, sleep } from '../base/runtime.ts';
import { type PositionKind, type PositionSet, parsePositionSet } from '../binlog/position-set.ts';
import { openConnection, type Row, type WireConnection } from '../wire/connection.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import { Errno } from '../wire/wire-error.ts';
import { type HeadAges, HeadSamples, type Received, type SourcePlace, splitName } from './head-samples.ts';

const ANSWER_MS = 5_000;
const AGAIN_MS_MAX = 30_000;
/** The sizes of the source's files are asked for so often at most. */
const SIZES_MS = 10_000;
const SIZES_MAX = 10_000;
/** The head as it was so long ago says nothing about now. */
const STALE_MS = 10_000;

export interface SourceHeadOptions {
  readonly endpoint: EndpointOptions;
  readonly everyMs: number;
  readonly clock: Clock;
}

export interface HeadView {
  readonly file: string | null;
  readonly position: number | null;
  readonly executed: string | null;
  readonly ageMs: number;
  /** From what is received to the head, in the source's files; null: not known. */
  readonly bytesAhead: number | null;
}

interface Head {
  readonly place: SourcePlace | null;
  readonly set: PositionSet | null;
  readonly begunMs: number;
}

export class SourceHead {
  readonly #options: SourceHeadOptions;
  readonly #samples = new HeadSamples();
  #kind: PositionKind | null = null;
  #source: string | null = null;
  #running: AbortController | null = null;
  #head: Head | null = null;
  #unknown: string | null = 'not asked yet';
  #mayShow = true;
  #oldName = false;
  #sizes: ReadonlyMap<number, number> = new Map();
  #sizesMs = Number.NEGATIVE_INFINITY;

  constructor(options: SourceHeadOptions) {
    this.#options = options;
  }

  /** The dump runs: begins to ask, or goes on. `source` names the server; another one begins anew. */
  follow(kind: PositionKind, source: string): void {
    if (source !== this.#source) {
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
      while (!signal.aborted) {
        const begunMs = clock.monotonicMs();
        const { place, set } = await this.#ask(connection);
        this.#head = { place, set, begunMs };
        this.#samples.add({ place, set, begunMs });
        this.#unknown = place === null && set === null ? grantHint(endpoint.user) : null;
        await sleep(everyMs, signal);
      }
    } finally {
      connection.close();
    }
  }

  async #ask(connection: WireConnection): Promise<Pick<Head, 'place' | 'set'>> {
    const kind = this.#kind!;
    const row = this.#mayShow ? await this.#show(connection) : null;
    const file = row?.File ?? null;
    const place = file === null ? null : { file, position: Number(row?.Position ?? 0) };
    if (kind === 'position') return { place, set: null };
    const text =
      kind === 'gtid' && row?.Executed_Gtid_Set != null
        ? row.Executed_Gtid_Set
        : await this.#selectSet(connection, kind);
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

  /** Needs no privilege. */
  async #selectSet(connection: WireConnection, kind: PositionKind): Promise<string> {
    const variable = kind === 'gtid' ? 'gtid_executed' : 'gtid_binlog_pos';
    const [row] = await connection.query(`SELECT @@GLOBAL.${variable} AS executed`, `read ${variable}`);
    return row?.executed ?? '';
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
