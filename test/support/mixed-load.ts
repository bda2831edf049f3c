/**
 * Mixed load: several clients that do to a source what applications do, in an order that a seed decides.
 *
 * Every transaction that changes rows also inserts one row into `<schema>.marker`, which has no key: a transaction that
 * got lost or was applied twice shows there, one by one. What can be done is in mixed-load-actions.ts.
 *
 * Statements that fail for a lawful reason (a deadlock, a duplicate key, a connection that broke because the test killed
 * the source) are counted, rolled back and forgotten; the load goes on.
 */

import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { LoadClient } from './load-client.ts';
import { ACTIONS, type ActionName, loadTables } from './mixed-load-actions.ts';
import { SeededRandom } from './seeded-random.ts';
import type { TestServer } from './test-server.ts';

export interface MixedLoadOptions {
  readonly seed?: number;
  readonly clients?: number;
  readonly schema?: string;
  /** Weight 0 switches an action off; undefined: its usual weight. */
  readonly weights?: Partial<Record<ActionName, number>>;
  /** Stops by itself after so many transactions (all clients together), or so many milliseconds. */
  readonly transactionsMax?: number;
  readonly durationMs?: number;
  /** Pause of each client between two transactions. */
  readonly pauseMs?: number;
}

export interface LoadReport {
  /** Transactions committed, DDL included. */
  readonly committed: number;
  /** Marker rows whose COMMIT was acknowledged: at least so many must be on the target. */
  readonly markers: number;
  readonly byAction: Readonly<Record<string, number>>;
  readonly refused: Readonly<Record<string, number>>;
  readonly seed: number;
}

export class MixedLoad {
  readonly seed: number;
  readonly schema: string;
  readonly #server: TestServer;
  readonly #options: MixedLoadOptions;
  readonly #byAction: Record<string, number> = {};
  readonly #refused: Record<string, number> = {};
  #markers = 0;
  #committed = 0;
  #stopping = false;
  #paused = false;
  #clients: Promise<void>[] = [];
  #failure: unknown = null;

  private constructor(server: TestServer, options: MixedLoadOptions) {
    this.#server = server;
    this.#options = options;
    this.seed = options.seed ?? 1;
    this.schema = options.schema ?? 'mixed';
  }

  /** Creates the tables on the source, or goes on with those of an earlier load; `run` starts the clients. */
  static async prepare(server: TestServer, options: MixedLoadOptions = {}): Promise<MixedLoad> {
    const load = new MixedLoad(server, options);
    const connection = await server.connect();
    const [existing] = await connection.query('SHOW DATABASES LIKE ?', [load.schema]);
    if ((existing as unknown[]).length === 0) {
      for (const statement of loadTables(load.schema)) await connection.query(statement);
    }
    await connection.end();
    return load;
  }

  get committed(): number {
    return this.#committed;
  }

  get running(): boolean {
    return this.#clients.length > 0 && !this.#stopping;
  }

  run(): void {
    const started = Date.now();
    const count = this.#options.clients ?? 3;
    this.#clients = Array.from({ length: count }, (_, index) =>
      this.#client(index + 1, started).catch((error: unknown) => {
        this.#failure ??= error;
      }),
    );
  }

  /** No new transaction begins while paused. */
  pause(on: boolean): void {
    this.#paused = on;
  }

  /** Waits until the load ended by itself (transactionsMax, durationMs). */
  async finished(): Promise<LoadReport> {
    await Promise.all(this.#clients);
    await this.#settlePrepared();
    if (this.#failure !== null) throw this.#failure;
    return this.report();
  }

  async stop(): Promise<LoadReport> {
    this.#stopping = true;
    return this.finished();
  }

  report(): LoadReport {
    return {
      committed: this.#committed,
      markers: this.#markers,
      byAction: { ...this.#byAction },
      refused: { ...this.#refused },
      seed: this.seed,
    };
  }

  #over(started: number): boolean {
    const { transactionsMax, durationMs } = this.#options;
    return (
      this.#stopping ||
      (transactionsMax !== undefined && this.#committed >= transactionsMax) ||
      (durationMs !== undefined && Date.now() - started >= durationMs)
    );
  }

  async #client(index: number, started: number): Promise<void> {
    const random = new SeededRandom(this.seed * 1000 + index);
    const weights = actionWeights(this.#server.flavour, this.#options.weights);
    let client: LoadClient | null = null;
    while (!this.#over(started)) {
      if (this.#paused) {
        await delay(10);
        continue;
      }
      const action = random.weighted(weights);
      try {
        client ??= await this.#newClient(index, random);
        const { markers, committed } = await ACTIONS[action].run(client);
        this.#markers += markers;
        this.#committed += committed;
        this.#byAction[action] = (this.#byAction[action] ?? 0) + committed;
      } catch (error) {
        client = await this.#afterError(client, action, error);
      }
      if (this.#options.pauseMs !== undefined) await delay(this.#options.pauseMs);
    }
    await client?.connection.end();
  }

  async #newClient(index: number, random: SeededRandom): Promise<LoadClient> {
    const connection = await this.#server.connect();
    await connection.query(`USE ${this.schema}`);
    await connection.query('SET time_zone = ?', [random.pick(['+00:00', '+05:30', '-03:00'])]);
    return new LoadClient(connection, random, this.schema, index, this.#server.flavour);
  }

  /** Null: the connection is gone. Unlawful errors end the load and are thrown by finished(). */
  async #afterError(client: LoadClient | null, action: string, error: unknown): Promise<LoadClient | null> {
    const { code = 'UNKNOWN', fatal, errno } = error as { code?: string; fatal?: boolean; errno?: number };
    const lawful = fatal === true || errno === undefined || ACCEPTED_ERRORS.has(errno);
    if (!lawful) {
      this.#stopping = true;
      throw new Error(`mixed load (seed ${this.seed}), action ${action}: ${String(error)}`, { cause: error });
    }
    this.#refused[code] = (this.#refused[code] ?? 0) + 1;
    client?.connection.destroy();
    if (fatal === true || errno === undefined) await delay(50);
    return null;
  }

  /** A client that broke between XA PREPARE and XA COMMIT leaves a prepared transaction: no load may end with one. */
  async #settlePrepared(): Promise<void> {
    let connection: Connection;
    try {
      connection = await this.#server.connect();
    } catch {
      return; // The test stopped the source: nothing to settle on it.
    }
    const [prepared] = await connection.query('XA RECOVER');
    for (const { data } of prepared as { data: string }[]) await connection.query(`XA ROLLBACK '${data}'`);
    await connection.end();
  }
}

/**
 * Duplicate key, deadlock, lock wait, FK refusal, a table or column that another client's DDL took away, an interrupted
 * query, shutdown in progress, and a GTID that this load has used before.
 */
const ACCEPTED_ERRORS = new Set([1053, 1062, 1205, 1213, 1317, 1412, 1451, 1452, 1020, 1614, 3101]);

function actionWeights(
  flavour: TestServer['flavour'],
  chosen: MixedLoadOptions['weights'] = {},
): Record<ActionName, number> {
  const weights = {} as Record<ActionName, number>;
  for (const name of Object.keys(ACTIONS) as ActionName[]) {
    const action = ACTIONS[name];
    const possible = action.flavours === undefined || action.flavours.includes(flavour);
    weights[name] = possible ? (chosen[name] ?? action.weight) : 0;
  }
  return weights;
}
