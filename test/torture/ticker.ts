/**
 * A row on the source that counts up 50 times a second; what a reader of the target sees of it says how far the target
 * is, cheaply and only when committed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { TestServer } from '../support/test-server.ts';

const PERIOD_MS = 20;

export class Ticker {
  /** Ticks committed on the source. */
  ticks = 0;
  readonly #source: TestServer;
  #running: Promise<void> | null = null;
  #failure: unknown = null;
  #stopping = false;
  #paused = false;

  private constructor(source: TestServer) {
    this.#source = source;
  }

  static async prepare(source: TestServer): Promise<Ticker> {
    await source.query(
      'CREATE DATABASE tick; CREATE TABLE tick.tick (id INT PRIMARY KEY, n BIGINT); INSERT INTO tick.tick VALUES (1, 0)',
    );
    return new Ticker(source);
  }

  run(): void {
    this.#running = this.#tick().catch((error: unknown) => {
      this.#failure = error;
    });
  }

  pause(on: boolean): void {
    this.#paused = on;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    this.check();
  }

  /** Throws what ended the ticker: the source is never harmed on purpose. */
  check(): void {
    if (this.#failure === null) return;
    const log = this.#source.errorLog().split('\n').slice(-40).join('\n');
    const state = this.#source.running ? 'runs' : 'HAS ENDED';
    throw new Error(`the source ${state}, and does not count any more: ${this.#failure}\n${log}`, {
      cause: this.#failure,
    });
  }

  /** The tick that `server` shows; -1 while it has no such table or does not answer. */
  async on(server: TestServer): Promise<number> {
    try {
      const [row] = await server.query('SELECT n FROM tick.tick');
      return Number(row?.n ?? -1);
    } catch {
      return -1;
    }
  }

  async #tick(): Promise<void> {
    while (!this.#stopping) {
      if (!this.#paused) {
        await this.#source.query('UPDATE tick.tick SET n = n + 1');
        this.ticks += 1;
      }
      await delay(PERIOD_MS);
    }
  }
}
