/**
 * Progress lives in the target, in the same commit as the data: what both ways of keeping it have in common.
 *
 * gtid   the target's own gtid_executed is the progress: every transaction runs under SET GTID_NEXT.
 * table  rows in millrace.progress, written in the transaction itself; see table-progress.ts.
 *
 * Thread: applier. `begin` and `record` only build statements; the worker sends them.
 */
import type { PositionSet, TransactionId } from '../binlog/position-set.ts';
import type { TransactionHead } from '../binlog/transaction-boundary.ts';

/** What a target has: everything in `set`, and single transactions above it that were committed out of order. */
export interface Executed {
  readonly set: PositionSet;
  /** Texts of ids; only where `set` cannot have holes (MariaDB positions). */
  readonly above: ReadonlySet<string>;
  /** Texts of the ids that were asked about, but for those that another session may still be committing. */
  readonly settled: ReadonlySet<string>;
}

/**
 * Fails unless the statement before it has matched exactly one row (clients are told matched rows: CLIENT_FOUND_ROWS): there is no such
 * completion_type, and it is 0 anyway. Not a DO, since MariaDB's does not fail when its expression does (seen on 10.11.18); not a subquery that has too many
 * rows, since a KILL QUERY within it may leave it without an error (seen on 9.7.4 and 10.11.18).
 */
export const MATCHED_ONE_ROW = 'SET SESSION completion_type = IF(ROW_COUNT() = 1, 0, 99)';
/** What that fails with (ER_WRONG_VALUE_FOR_VAR): another Millrace has taken the target over, or the statement was broken off (applier/fencing.ts). */
export const NOT_ONE_ROW = 1231;

export interface Progress {
  readonly kind: 'gtid' | 'table';
  /**
   * Takes the target over from whoever applied before, and returns what it has executed. `about`: ids of which it has to be known for
   * sure, as far as that can be had: a session of an earlier life may be in the middle of their commit.
   */
  takeOver(about: readonly string[]): Promise<Executed>;
  /**
   * What must stand before the transaction's first statement. `behind`, by GTID only: it is sent behind another one that is not answered yet
   * (recorded-commit.ts), and this fails unless that one is committed.
   */
  begin(id: TransactionId, head: TransactionHead, behind?: boolean): readonly string[];
  /** What must stand before COMMIT, in the same packet: it fails (`NOT_ONE_ROW`) when another Millrace has taken over. */
  record(ids: readonly TransactionId[], worker: number): readonly string[];
  /** A statement that matches exactly one row as long as nobody else has taken over; null: not needed. */
  guard(): string | null;
  /** What carried `record` is committed. */
  recorded(ids: readonly TransactionId[], worker: number): void;
  /** Everything in `executed` is a consistent prefix: may be written down as the base (throttled by the caller). */
  checkpoint(prefix: PositionSet): Promise<void>;
  close(): void;
}
