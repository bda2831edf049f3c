/**
 * A load of which every transaction is numbered and its name on the source is known: what the oracle of the control torture reckons
 * with. A transaction inserts its number into a table without a key (a second time would show), or creates a table of its
 * number, or drops one that an earlier transaction has created.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { SeededRandom } from '../support/seeded-random.ts';
import type { TestServer } from '../support/test-server.ts';

export interface NamedTransaction {
  readonly n: number;
  /** As Millrace spells it. */
  readonly id: string;
  readonly what: 'row' | 'create' | 'drop';
  /** Of a `drop`: the number of the table. */
  readonly table: number | null;
}

const PAUSE_MS = 12;

export class NamedLoad {
  /** In the order of their commits on the source, as far as one client after the other tells. */
  readonly transactions: NamedTransaction[] = [];
  readonly #source: TestServer;
  readonly #random: SeededRandom;
  readonly #clients: number;
  #next = 1;
  #running: Promise<void>[] = [];
  #stopping = false;
  #paused = false;
  #failure: unknown = null;

  private constructor(source: TestServer, seed: number, clients: number) {
    this.#source = source;
    this.#random = new SeededRandom(seed);
    this.#clients = clients;
  }

  static async prepare(source: TestServer, seed: number, clients: number): Promise<NamedLoad> {
    await source.query('CREATE DATABASE ctl; CREATE TABLE ctl.done (n INT NOT NULL)');
    return new NamedLoad(source, seed, clients);
  }

  run(): void {
    this.#running = Array.from({ length: this.#clients }, (_, index) =>
      this.#client(index + 1).catch((error: unknown) => {
        this.#failure = error;
      }),
    );
  }

  pause(on: boolean): void {
    this.#paused = on;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
    this.check();
  }

  /** Throws what ended a client: the source is never harmed. */
  check(): void {
    if (this.#failure !== null) throw this.#failure;
  }

  async #client(index: number): Promise<void> {
    const connection = await this.#source.connect({ database: 'ctl' });
    const tables: number[] = [];
    for (let gno = 1; !this.#stopping; ) {
      if (!this.#paused) {
        const n = this.#next++;
        const what = this.#pick(tables.length > 0);
        const table = what === 'drop' ? tables.shift()! : null;
        if (what === 'create') tables.push(n);
        const id = await this.#commit(connection, index, gno++, statementOf(what, n, table));
        this.transactions.push({ n, id, what, table });
      }
      await delay(PAUSE_MS);
    }
    await connection.end();
  }

  #pick(mayDrop: boolean): NamedTransaction['what'] {
    const roll = this.#random.next();
    if (roll < 0.04) return 'create';
    return roll < 0.07 && mayDrop ? 'drop' : 'row';
  }

  /** On MySQL under a name that is chosen before, on MariaDB under the one that the server gives. */
  async #commit(connection: Connection, client: number, gno: number, statement: string): Promise<string> {
    if (this.#source.flavour === 'mysql') {
      const id = `c0000000-0000-4000-8000-00000000000${client}:${gno}`;
      await connection.query(`SET GTID_NEXT = '${id}'; ${statement}; SET GTID_NEXT = 'AUTOMATIC'`);
      return id;
    }
    await connection.query(statement);
    const [rows] = await connection.query('SELECT @@last_gtid AS id');
    return (rows as { id: string }[])[0]!.id;
  }
}

function statementOf(what: NamedTransaction['what'], n: number, table: number | null): string {
  if (what === 'create') return `CREATE TABLE t${n} (id INT PRIMARY KEY)`;
  if (what === 'drop') return `DROP TABLE IF EXISTS t${table}`;
  return `INSERT INTO done VALUES (${n})`;
}
