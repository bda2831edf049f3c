/**
 * A connection that looks and tries, and leaves nothing behind: what a server answers with an error is a value here,
 * because a right that is lacking or a variable that is unknown is what is being asked.
 *
 * Bounded: a statement that takes longer than `statementMs`, or a look that takes longer than `totalMs`, loses the
 * connection, which is an error of the whole look (CONNECTION_LOST). Reads of information_schema are bounded by the server as
 * well, so that one slow of them costs only itself.
 */
import { MillraceError } from '../base/errors.ts';
import { versionNumber } from '../target/target-facts.ts';
import { type Flavour, openConnection, type Row, type WireConnection } from '../wire/connection.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import { peerName } from '../wire/wire-error.ts';

export interface ProbeLimits {
  readonly connectMs: number;
  readonly statementMs: number;
  readonly totalMs: number;
  /** For reads of information_schema. */
  readonly readMs: number;
}

export type Attempt =
  | { readonly ok: true; readonly rows: readonly Row[] }
  | { readonly ok: false; readonly errno: number; readonly message: string };

/** Errors that say: the account may not. */
const DENIED: ReadonlySet<number> = new Set([1044, 1045, 1142, 1143, 1227, 1370, 6038]);

/** What a server says of a thing that is not there: the account was allowed to ask. */
const NOTHING_THERE: ReadonlySet<number> = new Set([1008, 1049, 1051, 1091, 1146]);

export type Proof = 'granted' | 'denied' | 'unknown';

/** What an attempt proves about a right. `unknown`: it failed for another reason (read-only, a lock). */
export function proofOf(attempt: Attempt): Proof {
  if (attempt.ok || NOTHING_THERE.has(attempt.errno)) return 'granted';
  return DENIED.has(attempt.errno) ? 'denied' : 'unknown';
}

export function isDenied(attempt: Attempt): boolean {
  return !attempt.ok && DENIED.has(attempt.errno);
}

/**
 * Opens a session, does `work` in it, closes it. @throws what opening throws, and CONNECTION_LOST when the connection breaks
 * or the time is over.
 */
export async function inProbeSession<T>(
  endpoint: EndpointOptions,
  purpose: string,
  limits: ProbeLimits,
  signal: AbortSignal | undefined,
  work: (session: ProbeSession) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  let late = false;
  const onAbort = (): void => abort.abort();
  if (signal?.aborted) onAbort();
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(() => {
    late = true;
    onAbort();
  }, limits.totalMs);
  let connection: WireConnection | null = null;
  try {
    connection = await openConnection(
      { ...endpoint, connectTimeoutMs: Math.min(endpoint.connectTimeoutMs, limits.connectMs) },
      { purpose, signal: abort.signal, queryTimeoutMs: limits.statementMs },
    );
    return await work(new ProbeSession(connection, limits));
  } catch (error) {
    if (!late || !(error instanceof MillraceError)) throw error;
    const { host, port, user } = endpoint;
    throw new MillraceError(
      'CONNECTION_LOST',
      `${purpose} at ${peerName({ host, port, user })} has not answered everything within ${limits.totalMs / 1000} s`,
      { hint: 'Is it overloaded, or the line slow?' },
    );
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    connection?.close();
  }
}

export class ProbeSession {
  readonly connection: WireConnection;
  readonly flavour: Flavour;
  readonly versionNumber: number;
  readonly #limits: ProbeLimits;
  #readsBounded = false;

  constructor(connection: WireConnection, limits: ProbeLimits) {
    this.connection = connection;
    this.flavour = connection.flavour;
    this.versionNumber = versionNumber(connection.serverVersion);
    this.#limits = limits;
  }

  /** `doing` completes "cannot …" in the message of a failure. @throws only when the connection is lost. */
  async attempt(sql: string, doing?: string): Promise<Attempt> {
    return attempted(async () => ({ ok: true, rows: await this.connection.query(sql, doing) }));
  }

  /** A framed command packet. @throws only when the connection is lost. */
  async command(packet: Buffer, doing: string): Promise<Attempt> {
    return attempted(async () => {
      await this.connection.command(packet, doing);
      return { ok: true, rows: [] };
    });
  }

  /** Null: the server said no. */
  async rows(sql: string): Promise<readonly Row[] | null> {
    const attempt = await this.attempt(sql);
    return attempt.ok ? attempt.rows : null;
  }

  /** The first column of the first row; null also when the server said no. */
  async value(sql: string): Promise<string | null> {
    const row = (await this.rows(sql))?.[0];
    return row === undefined ? null : (Object.values(row)[0] ?? null);
  }

  /** A read of information_schema, which may be slow where there are many tables. Null: denied, or it took too long. */
  async read(sql: string): Promise<readonly Row[] | null> {
    if (!this.#readsBounded) {
      const ms = this.#limits.readMs;
      await this.attempt(
        this.flavour === 'mysql'
          ? `SET SESSION max_execution_time = ${ms}`
          : `SET SESSION max_statement_time = ${ms / 1000}`,
      );
      this.#readsBounded = true;
    }
    return this.rows(sql);
  }

  /** SHOW GLOBAL VARIABLES of these names, lower case; what the version does not know is not there. */
  async variables(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const list = names.map((name) => `'${name}'`).join(', ');
    const rows = await this.connection.query(
      `SHOW GLOBAL VARIABLES WHERE Variable_name IN (${list})`,
      "read the server's variables",
    );
    return new Map(rows.map((row) => [(row.Variable_name ?? '').toLowerCase(), row.Value ?? '']));
  }
}

async function attempted(run: () => Promise<Attempt>): Promise<Attempt> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code === 'CONNECTION_LOST') throw error;
    const { errno } = error.facts;
    if (typeof errno !== 'number') throw error;
    return { ok: false, errno, message: error.message };
  }
}
