/**
 * The time from a commit's reply on the source until the row can be read on the target, one transaction every 20 ms.
 *
 * The target looks for the row itself, in a procedure that sleeps 0.1 ms between two looks: no round trips of ours, and the same
 * for everyone who applies. It costs about a sixth of a core.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection } from 'mysql2/promise';
import { unlogged } from '../support/accounts.ts';
import type { TestServer } from '../support/test-server.ts';
import { type Figures, percentile } from './measurements.ts';
import { BENCH_SCHEMA } from './workload.ts';

const PERIOD_MS = 20;
const LOOKS_MAX = 300_000;
const PROBE_SCHEMA = 'bench_probe';

export const TICKS_TABLE = `CREATE TABLE ${BENCH_SCHEMA}.ticks (id INT PRIMARY KEY, pad VARCHAR(200), KEY (pad))`;

export class LatencyProbe {
  readonly #source: Connection;
  readonly #target: Connection;
  #next: number;

  private constructor(source: Connection, target: Connection, next: number) {
    this.#source = source;
    this.#target = target;
    this.#next = next;
  }

  /** The source has the table of ticks, and nobody else writes it; the target has it at the latest with the first tick. */
  static async open(source: TestServer, target: TestServer): Promise<LatencyProbe> {
    await unlogged(target, [
      `CREATE DATABASE IF NOT EXISTS ${PROBE_SCHEMA}`,
      `CREATE PROCEDURE IF NOT EXISTS ${PROBE_SCHEMA}.wait_for (IN wanted INT)
       BEGIN
         DECLARE there, looks INT DEFAULT 0;
         DECLARE CONTINUE HANDLER FOR 1146, 1049 SET there = 0;
         WHILE there = 0 AND looks < ${LOOKS_MAX} DO
           SELECT COUNT(*) INTO there FROM ${BENCH_SCHEMA}.ticks WHERE id = wanted;
           IF there = 0 THEN DO SLEEP(0.0001); END IF;
           SET looks = looks + 1;
         END WHILE;
         IF there = 0 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the row did not come'; END IF;
       END`,
    ]);
    const [last] = await source.query(`SELECT COALESCE(MAX(id), 0) AS id FROM ${BENCH_SCHEMA}.ticks`);
    const connections = await Promise.all([source.connect(), target.connect()]);
    await connections[1].query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    return new LatencyProbe(...connections, Number(last?.id) + 1);
  }

  /** Ms from the reply to the commit until the row is there. */
  async tick(): Promise<number> {
    const id = this.#next++;
    const seen = this.#target.query(`CALL ${PROBE_SCHEMA}.wait_for(${id})`);
    // Looked at below; a source that fails first must not leave it unhandled.
    seen.catch(() => {});
    await this.#source.query(`INSERT INTO ${BENCH_SCHEMA}.ticks VALUES (${id}, REPEAT('tick ${id} ', 10))`);
    const committedMs = performance.now();
    await seen;
    return performance.now() - committedMs;
  }

  /** p50 and p99 of so many ticks, after `warmUp` others. */
  async measure(ticks: number, warmUp: number): Promise<Figures> {
    const times: number[] = [];
    for (let i = -warmUp; i < ticks; i++) {
      const startedMs = performance.now();
      const ms = await this.tick();
      if (i < 0) continue;
      times.push(ms);
      await delay(Math.max(0, PERIOD_MS - (performance.now() - startedMs)));
    }
    return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
  }

  close(): void {
    this.#source.destroy();
    this.#target.destroy();
  }
}
