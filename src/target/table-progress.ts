/**
 * Progress mode `table`: rows of millrace.progress on the target, written in the same transaction as the data.
 *
 *   worker 0   everything up to here (a set of GTIDs, a MariaDB position, a file position): the base
 *   worker n   transactions above the base that worker n has committed: a GTID set, or MariaDB ids separated by commas
 *
 * What is executed is the base and all the workers' ids (a MariaDB position cannot have holes: there the ids above the
 * base stay a list until the base has passed them). Each worker writes its own row, so workers do not wait for each
 * other's row lock. The base moves up (`checkpoint`) only to what is committed; a worker forgets ids below the base with its
 * next write.
 *
 * Fencing. Each row carries an epoch. Whoever takes over locks all rows (which waits for transactions still in flight from
 * a session that was cut off), raises the epoch and folds the workers' ids into the base, in one transaction. A writer
 * with an older epoch then matches no row, and stops. A second Millrace does not come this far: it finds the lock of
 * target-lease.ts taken.
 *
 * Statements contain numbers, hex and checked ids only.
 */
import { assert, MillraceError } from '../base/errors.ts';
import {
  emptyPositionSet,
  type PositionKind,
  type PositionSet,
  parsePositionSet,
  type TransactionId,
  transactionIdText,
} from '../binlog/position-set.ts';
import type { WireConnection } from '../wire/connection.ts';
import { type Executed, MATCHED_ONE_ROW, type Progress } from './progress.ts';
import { asciiLiteral, hexLiteral } from './sql-literal.ts';
import { parseTransactionId } from './transaction-id.ts';

export const PROGRESS_SCHEMA = [
  'CREATE DATABASE IF NOT EXISTS millrace',
  `CREATE TABLE IF NOT EXISTS millrace.progress (
  channel VARBINARY(255) NOT NULL,
  worker SMALLINT UNSIGNED NOT NULL COMMENT '0: everything up to here; others: done above it',
  epoch BIGINT UNSIGNED NOT NULL COMMENT 'raised by every Millrace that takes over',
  kind VARCHAR(10) CHARACTER SET ascii NOT NULL,
  executed LONGTEXT CHARACTER SET ascii NOT NULL,
  owner VARCHAR(255) CHARACTER SET utf8mb4 NOT NULL,
  PRIMARY KEY (channel, worker)
) ENGINE=InnoDB`,
  `CREATE TABLE IF NOT EXISTS millrace.intent (
  channel VARBINARY(255) NOT NULL,
  id VARCHAR(255) CHARACTER SET ascii NOT NULL,
  statement_hash CHAR(64) CHARACTER SET ascii NOT NULL,
  statement_kind VARCHAR(40) CHARACTER SET ascii NOT NULL,
  names LONGTEXT CHARACTER SET utf8mb4 NOT NULL,
  fingerprint CHAR(64) CHARACTER SET ascii NOT NULL,
  connection_id BIGINT UNSIGNED NOT NULL,
  verdict VARCHAR(10) CHARACTER SET ascii NULL COMMENT 'set to done or run to settle by hand',
  PRIMARY KEY (channel)
) ENGINE=InnoDB`,
  `CREATE TABLE IF NOT EXISTS millrace.prepared (
  channel VARBINARY(255) NOT NULL,
  xid VARBINARY(300) NOT NULL,
  id VARCHAR(255) CHARACTER SET ascii NOT NULL,
  relay_file BIGINT UNSIGNED NOT NULL,
  relay_offset BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (channel, xid)
) ENGINE=InnoDB`,
] as const;

export interface TableProgressOptions {
  readonly channel: string;
  readonly kind: PositionKind;
  readonly workers: number;
  readonly owner: string;
  /** Where a target without a row begins: what it is said to hold already. */
  readonly startAt: PositionSet | null;
}

export class TableProgress implements Progress {
  readonly kind = 'table';
  readonly #control: WireConnection;
  readonly #options: TableProgressOptions;
  readonly #channel: string;
  #epoch = 0n;
  #base: PositionSet;
  /** Per worker: ids committed (or being committed) and not known to be below the base on disk. */
  readonly #above: TransactionId[][];

  constructor(control: WireConnection, options: TableProgressOptions) {
    this.#control = control;
    this.#options = options;
    this.#channel = hexLiteral(options.channel);
    this.#base = emptyPositionSet(options.kind);
    this.#above = Array.from({ length: options.workers + 1 }, () => []);
  }

  get epoch(): bigint {
    return this.#epoch;
  }

  get channelLiteral(): string {
    return this.#channel;
  }

  async takeOver(about: readonly string[]): Promise<Executed> {
    const control = this.#control;
    const { kind, startAt } = this.#options;
    await control.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
    await control.query('START TRANSACTION');
    try {
      const rows = await control.query(
        `SELECT worker, epoch, kind, executed FROM millrace.progress WHERE channel=${this.#channel} ORDER BY worker FOR UPDATE`,
        'lock the progress rows on the target',
      );
      let epoch = 0n;
      const executed = emptyPositionSet(kind);
      if (rows.length === 0 && startAt !== null) executed.addAll(startAt);
      for (const row of rows) {
        const rowEpoch = BigInt(row.epoch ?? '0');
        if (rowEpoch > epoch) epoch = rowEpoch;
        this.#checkKind(row.kind ?? '');
        const text = row.executed ?? '';
        if (row.worker === '0') executed.addAll(parsePositionSet(kind, text));
      }
      const above: TransactionId[] = [];
      for (const row of rows) {
        if (row.worker === '0') continue;
        if (kind === 'gtid') {
          executed.addAll(parsePositionSet(kind, row.executed ?? ''));
          continue;
        }
        // A GTID set can have holes; a MariaDB position cannot, and must not claim what stands in one.
        for (const text of (row.executed ?? '').split(',')) {
          const id = text === '' ? null : parseTransactionId(kind, text);
          if (id !== null && !executed.has(id)) above.push(id);
        }
      }
      this.#epoch = epoch + 1n;
      await this.#rewriteRows(rows.length, executed, above);
      await control.query('COMMIT');
      this.#base = executed.clone();
      for (const list of this.#above) list.length = 0;
      this.#above[1] = above;
      // Whoever was in the middle of a commit held one of the locked rows.
      return {
        set: executed,
        above: new Set(above.map(transactionIdText)),
        settled: new Set(about),
      };
    } catch (error) {
      await control.query('ROLLBACK').catch(() => {});
      throw error;
    }
  }

  async #rewriteRows(found: number, executed: PositionSet, above: readonly TransactionId[]): Promise<void> {
    const { kind, workers } = this.#options;
    const owner = hexLiteral(this.#options.owner.slice(0, 250));
    const values = [`(${this.#channel},0,${this.#epoch},'${kind}','${executed}',${owner})`];
    for (let worker = 1; worker <= workers; worker++) {
      const ids = worker === 1 ? idsText(above) : '';
      values.push(`(${this.#channel},${worker},${this.#epoch},'${kind}','${ids}',${owner})`);
    }
    const deleted = await this.#control.change(
      `DELETE FROM millrace.progress WHERE channel=${this.#channel}`,
    );
    requireFound(found, deleted);
    await this.#control.query(
      `INSERT INTO millrace.progress (channel, worker, epoch, kind, executed, owner) VALUES ${values.join(', ')}`,
      'write the progress rows on the target',
    );
  }

  #checkKind(found: string): void {
    if (found === this.#options.kind) return;
    throw new MillraceError(
      'TARGET_CONFIG',
      `the target keeps its progress as ${found}, and the source now names its transactions as ${this.#options.kind}`,
      {
        hint: 'Go back to the source as it was, or delete the rows of this channel in millrace.progress and set source.start to where the target stands.',
        facts: { channel: this.#options.channel },
      },
    );
  }

  /** Schema and tables, where they are missing. */
  async createTables(): Promise<void> {
    const there = await this.#control.query(
      "SELECT COUNT(*) AS n FROM information_schema.TABLES WHERE TABLE_SCHEMA='millrace' AND TABLE_NAME IN ('progress','intent','prepared')",
    );
    if (there[0]?.n === '3') return;
    for (const statement of PROGRESS_SCHEMA) {
      await this.#control.query(statement, 'create the progress tables in schema millrace on the target');
    }
  }

  /** Before `takeOver`: the transaction whose statement was cut off is done, and its intent is closed with that. */
  async settleDone(id: string): Promise<void> {
    const text = checked(id);
    const row = `channel=${this.#channel}`;
    const control = this.#control;
    await control.query('START TRANSACTION');
    const found = await control.change(
      this.#options.kind === 'position'
        ? `UPDATE millrace.progress SET executed='${text}' WHERE ${row} AND worker=0`
        : `UPDATE millrace.progress SET executed=IF(executed='', '${text}', CONCAT(executed, ',${text}')) WHERE ${row} AND worker=1`,
    );
    requireFound(1, found);
    requireFound(1, await control.change(`DELETE FROM millrace.intent WHERE ${row}`));
    await control.query('COMMIT');
  }

  begin(): readonly string[] {
    return [];
  }

  record(ids: readonly TransactionId[], worker: number): readonly string[] {
    return [this.#recordStatement(ids, worker), MATCHED_ONE_ROW];
  }

  #recordStatement(ids: readonly TransactionId[], worker: number): string {
    const where = `channel=${this.#channel} AND epoch=${this.#epoch}`;
    const last = ids.at(-1);
    assert(last !== undefined, 'something is recorded');
    if (last.kind === 'position') {
      // One after the other: the base itself is the position.
      return `UPDATE millrace.progress SET executed=${asciiLiteral(checked(transactionIdText(last)))} WHERE ${where} AND worker=0`;
    }
    const list = this.#above[worker] ?? [];
    const kept = list.filter((done) => !this.#base.has(done));
    this.#above[worker] = kept;
    const text = idsText([...kept, ...ids]);
    return `UPDATE millrace.progress SET executed=${asciiLiteral(text)} WHERE ${where} AND worker=${worker}`;
  }

  guard(): string {
    return `UPDATE millrace.progress SET epoch=epoch WHERE channel=${this.#channel} AND epoch=${this.#epoch} AND worker=0`;
  }

  recorded(ids: readonly TransactionId[], worker: number): void {
    if (this.#options.kind !== 'position') this.#above[worker]?.push(...ids);
  }

  async checkpoint(prefix: PositionSet): Promise<void> {
    if (this.#options.kind === 'position') return;
    const base = prefix.clone();
    const text = base.toString();
    const where = `channel=${this.#channel} AND worker=0 AND epoch=${this.#epoch}`;
    const found = await this.#control.change(
      `UPDATE millrace.progress SET executed='${text}' WHERE ${where}`,
      'move the progress base',
    );
    // Workers forget what is below the base: it has to be there. Where it is not, the next record tells why.
    if (found === 1) this.#base = base;
  }

  close(): void {}
}

/** A statement that a KILL QUERY has met may find nothing and say OK (applier/fencing.ts). */
export function requireFound(expected: number, found: number): void {
  if (found === expected) return;
  const message = `the target found ${found} of ${expected} progress rows: it has broken a statement off, or somebody else writes them`;
  throw new MillraceError('APPLY_TRANSIENT', message);
}

/** GTIDs as a set, which is short for what a worker did in a row; other ids as a list. */
function idsText(ids: readonly TransactionId[]): string {
  if (ids[0]?.kind !== 'gtid') return ids.map((id) => checked(transactionIdText(id))).join(',');
  const set = emptyPositionSet('gtid');
  for (const id of ids) set.add(id);
  return set.toString();
}

/** Ids are made of parsed parts; a source's file name is the only free text in one. */
function checked(text: string): string {
  if (/^[A-Za-z0-9_.:+-]+$/.test(text)) return text;
  throw new MillraceError(
    'MALFORMED_EVENT',
    `the transaction id ${JSON.stringify(text)} contains unusual characters`,
  );
}
