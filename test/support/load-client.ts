/**
 * One client of the mixed load: a connection, its own random numbers, and the marker rows that it writes.
 */
import type { Connection } from 'mysql2/promise';
import type { SeededRandom } from './seeded-random.ts';
import type { Flavour } from './server-provider.ts';

export interface ActionResult {
  readonly markers: number;
  readonly committed: number;
}

export class LoadClient {
  readonly connection: Connection;
  readonly random: SeededRandom;
  readonly schema: string;
  readonly index: number;
  readonly flavour: Flavour;
  /** Tables that only this client creates, alters and drops. */
  readonly playground: string[] = [];
  #sequence: number;
  #gno: number;

  constructor(connection: Connection, random: SeededRandom, schema: string, index: number, flavour: Flavour) {
    this.connection = connection;
    this.random = random;
    this.schema = schema;
    this.index = index;
    this.flavour = flavour;
    // A client that reconnects, and another load on the same tables, counts where no earlier one was.
    this.#sequence = Date.now() * 1000;
    this.#gno = Date.now() * 1000;
  }

  async sql(statement: string, values: readonly unknown[] = []): Promise<void> {
    await this.connection.query(statement, values as unknown[]);
  }

  next(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  /** Neighbouring numbers, so that the GTID set stays as short as that of an ordinary source. */
  nextGno(): number {
    this.#gno += 1;
    return this.#gno;
  }

  mark(what: string): Promise<void> {
    return this.sql('INSERT INTO marker (client, seq, what) VALUES (?, ?, ?)', [
      this.index,
      this.next(),
      what,
    ]);
  }
}
