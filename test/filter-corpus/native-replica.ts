/**
 * A real replica of a real source, whose filters are changed between two runs: the oracle of the filter corpus.
 *
 * Its SQL thread runs only while `apply` waits for it, so that everything it executes is executed under the filters set
 * before.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { quoteIdentifier } from '../../src/target/session-context.ts';
import { executedSet } from '../support/equality.ts';
import type { TestServer } from '../support/test-server.ts';
import type { CaseOptions } from './corpus.ts';

/** Why the replica's own SQL thread stopped. */
export interface NativeStop {
  readonly errno: number;
  readonly message: string;
}

const TIMEOUT_MS = 60_000;

export class NativeReplica {
  readonly server: TestServer;
  readonly #source: TestServer;

  private constructor(server: TestServer, source: TestServer) {
    this.server = server;
    this.#source = source;
  }

  /** `server` was started with --skip-replica-start (MariaDB: --skip-slave-start). */
  static async follow(source: TestServer, server: TestServer): Promise<NativeReplica> {
    const { port, rootPassword } = source;
    const endpoint = (word: string): string =>
      `${word}_HOST='127.0.0.1', ${word}_PORT=${port}, ${word}_USER='root', ${word}_PASSWORD='${rootPassword}'`;
    if (server.flavour === 'mysql') {
      await server.query(
        `CHANGE REPLICATION SOURCE TO ${endpoint('SOURCE')}, SOURCE_AUTO_POSITION=1, SOURCE_HEARTBEAT_PERIOD=2, GET_SOURCE_PUBLIC_KEY=1`,
      );
      await server.query('START REPLICA IO_THREAD');
    } else {
      await server.query(`CHANGE MASTER TO ${endpoint('MASTER')}, MASTER_USE_GTID=slave_pos`);
      await server.query('START SLAVE IO_THREAD');
    }
    return new NativeReplica(server, source);
  }

  async setFilters(options: CaseOptions): Promise<void> {
    if (this.server.flavour === 'mariadb') return this.#setMariadbFilters(options);
    const names = (list: readonly string[] = []): string => `(${list.map(quoteIdentifier).join(', ')})`;
    const tables = (list: readonly string[] = []): string =>
      `(${list.map((each) => each.split('.')).map(([db = '', ...table]) => `${quoteIdentifier(db)}.${quoteIdentifier(table.join('.'))}`)})`;
    const patterns = (list: readonly string[] = []): string =>
      `(${list.map((each) => `'${each.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`).join(', ')})`;
    const pairs = (options.replicate_rewrite_db ?? []).map(
      (rule) => `(${rule.split('->').map((each) => quoteIdentifier(each.trim()))})`,
    );
    await this.server.query(
      `CHANGE REPLICATION FILTER REPLICATE_DO_DB=${names(options.replicate_do_db)},
        REPLICATE_IGNORE_DB=${names(options.replicate_ignore_db)},
        REPLICATE_DO_TABLE=${tables(options.replicate_do_table)},
        REPLICATE_IGNORE_TABLE=${tables(options.replicate_ignore_table)},
        REPLICATE_WILD_DO_TABLE=${patterns(options.replicate_wild_do_table)},
        REPLICATE_WILD_IGNORE_TABLE=${patterns(options.replicate_wild_ignore_table)},
        REPLICATE_REWRITE_DB=(${pairs.join(', ')})`,
    );
  }

  async #setMariadbFilters(options: CaseOptions): Promise<void> {
    await this.server.query('STOP SLAVE');
    const lists = [
      'replicate_do_db',
      'replicate_ignore_db',
      'replicate_do_table',
      'replicate_ignore_table',
      'replicate_wild_do_table',
      'replicate_wild_ignore_table',
      'replicate_rewrite_db',
    ] as const;
    for (const name of lists) {
      await this.server.query(`SET GLOBAL ${name} = ?`, [(options[name] ?? []).join(',')]);
    }
    await this.server.query('START SLAVE IO_THREAD');
  }

  /** Executes everything that the source has committed; null: it came through. */
  async apply(): Promise<NativeStop | null> {
    const wanted = await executedSet(this.#source);
    const { server } = this;
    const mysql = server.flavour === 'mysql';
    const [start, stop, status] = mysql
      ? ['START REPLICA SQL_THREAD', 'STOP REPLICA SQL_THREAD', 'SHOW REPLICA STATUS']
      : ['START SLAVE SQL_THREAD', 'STOP SLAVE SQL_THREAD', 'SHOW SLAVE STATUS'];
    await server.query(start!);
    const deadline = Date.now() + TIMEOUT_MS;
    try {
      for (;;) {
        const [done] = mysql
          ? await server.query('SELECT WAIT_FOR_EXECUTED_GTID_SET(?, 0.1) = 0 AS done', [wanted])
          : await server.query('SELECT MASTER_GTID_WAIT(?, 0.1) = 0 AS done', [wanted]);
        if (Number(done?.done) === 1) return null;
        const [row] = await server.query(status!);
        if (Number(row?.Last_SQL_Errno) !== 0) {
          return await this.#reason(Number(row?.Last_SQL_Errno), String(row?.Last_SQL_Error));
        }
        if (Number(row?.Last_IO_Errno) !== 0 || Date.now() > deadline) {
          throw new Error(`the native replica does not come on: ${row?.Last_IO_Error || 'timed out'}`);
        }
        await delay(5);
      }
    } finally {
      await server.query(stop!);
    }
  }

  /** MariaDB: everything up to `position` counts as executed. */
  async moveTo(position: string): Promise<void> {
    await this.server.query('STOP SLAVE');
    await this.server.query('SET GLOBAL gtid_slave_pos = ?', [position]);
    await this.server.query('START SLAVE IO_THREAD');
  }

  /** The worker's own words, where there are workers. */
  async #reason(errno: number, message: string): Promise<NativeStop> {
    if (this.server.flavour === 'mariadb') return { errno, message };
    const [worker] = await this.server.query(
      'SELECT LAST_ERROR_NUMBER AS errno, LAST_ERROR_MESSAGE AS message FROM performance_schema.replication_applier_status_by_worker WHERE LAST_ERROR_NUMBER <> 0',
    );
    return worker === undefined
      ? { errno, message }
      : { errno: Number(worker.errno), message: String(worker.message) };
  }
}
