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

export interface Progress {
  readonly kind: 'gtid' | 'table';
  /**
   * Takes the target over from whoever applied before, and returns what it has executed. `about`: ids of which it has to be known for
   * sure, as far as that can be had: a session of an earlier life may be in the middle of their commit.
   */
  takeOver(about: readonly string[]): Promise<Executed>;
  /** What must stand before the transaction's first statement. */
  begin(id: TransactionId, head: TransactionHead): readonly string[];
  /**
   * What must stand before COMMIT; null: nothing. The statement must match exactly one row, else another Millrace has
   * taken over (FENCED).
   */
  record(id: TransactionId, worker: number): string | null;
  /** A statement that matches exactly one row as long as nobody else has taken over; null: not needed. */
  guard(): string | null;
  /** The worker's transaction that carried `record` is committed. */
  recorded(id: TransactionId, worker: number): void;
  /** Everything in `executed` is a consistent prefix: may be written down as the base (throttled by the caller). */
  checkpoint(prefix: PositionSet): Promise<void>;
  close(): void;
}
