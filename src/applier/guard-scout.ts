/**
 * Looks ahead of a delayed target in the relay log, and tells the admission of transactions what it has found there.
 *
 * Invariant: a transaction is admitted only when the scout has passed it, so that a guard is never too late.
 */
import type { RelayPosition } from '../relay/published-end.ts';

/** A transaction that a guard has found. */
export interface GuardMatch {
  /** `uuid:n`, as transactionIdText spells it. */
  readonly id: string;
  readonly location: RelayPosition;
  /** As the configuration names it: `drop_table`, `delete_rows_over: 100000`, `alter: shop.%`. */
  readonly guard: string;
  /** For people: `DROP TABLE shop.orders`, `312,000 rows deleted from shop.orders`. No row values, no secrets. */
  readonly what: string;
  /** Source commit time, µs. */
  readonly commitMicros: bigint | null;
}

export interface GuardScout {
  /** Everything up to and including the transaction that begins there has been looked at. */
  hasPassed(location: RelayPosition): boolean;
  /** What a guard has found in this transaction; null: nothing. */
  match(id: string): GuardMatch | null;
  /** Called when the scout has moved: whoever waits for it looks again. */
  onMoved(listener: () => void): void;
}
