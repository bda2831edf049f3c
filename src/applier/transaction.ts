/**
 * A whole transaction on its way from the relay log to a worker.
 *
 * A small one carries its events in one slab: whole events without their CRC, one after the other, each header's
 * event_length corrected to what stands in the slab. A compressed transaction is unpacked into the slab. A large one
 * carries only its place in the relay log: the worker reads it from there, chunk by chunk, and may do so again.
 */
import type { FormatDescription } from '../binlog/format-description.ts';
import type { TransactionId } from '../binlog/position-set.ts';
import type { TransactionHead } from '../binlog/transaction-boundary.ts';
import type { RelayPosition } from '../relay/published-end.ts';
import type { Conflicts } from './apply-scheduler.ts';
import type { Joining } from './merged-rows.ts';

/** How the transaction ends, which decides how it is applied. */
export type Ending =
  /** XID_EVENT: a transactional engine committed it. */
  | 'xid'
  /** QUERY COMMIT: without an XID, at least one engine in it is not transactional. */
  | 'commit'
  | 'rollback'
  /** One statement that commits by itself: DDL, accounts, administration, XA COMMIT and XA ROLLBACK. */
  | 'single'
  | 'xa-prepare'
  | 'xa-one-phase';

export interface Transaction {
  readonly conflicts: Conflicts;
  /** Memory held until it is committed. */
  readonly bytes: number;
  readonly id: TransactionId;
  readonly head: TransactionHead;
  readonly ending: Ending;
  /** Of a prepared branch, as `normalXid` spells it. */
  readonly xid: string | null;
  /** Where its first event stands in the relay log. */
  readonly location: RelayPosition;
  /** Null: too large for memory, read it from the relay log. */
  readonly events: Buffer | null;
  readonly fde: FormatDescription;
  /** The FORMAT_DESCRIPTION_EVENT its events belong to, made neutral for BINLOG statements. */
  readonly formatDescription: Buffer;
  /** Source commit time, µs; null: the source does not tell. */
  readonly commitMicros: bigint | null;
  /** It is the time of the commit itself; else of its statement's begin, in whole seconds. */
  readonly commitIsExact: boolean;
  /** Why the operator has it committed with nothing in it; null: it is applied. */
  readonly skip: string | null;
}

/** One event as a worker sees it: a view, valid until the next one is asked for. */
export interface EventView {
  readonly type: number;
  readonly buf: Buffer;
  /** First byte of the header. */
  readonly start: number;
  /** After the body, without CRC. */
  readonly end: number;
  /** It is the transaction's last event. */
  readonly last: boolean;
  /**
   * An event too large to be held: `buf` has only its beginning, `pieces` gives the whole event (header first, no CRC) in order.
   */
  readonly oversized: { readonly length: number; pieces(): Iterable<Buffer> } | null;
}

/** Above, what is gained by opening tables once is lost by moving the rows together. */
const MERGED_BYTES_MAX = 64 * 1024;

/**
 * How the row events of what commits together are made few statements for the target (merged-rows.ts). Of a transaction that stands alone only
 * where nothing but row events is in it, and few: what it fails with is believed.
 */
export function joining(members: readonly Transaction[]): Joining | 'nothing' {
  if (members.length > 1) return 'all';
  const { ending, events, conflicts } = members[0]!;
  const isSmall = events !== null && events.length <= MERGED_BYTES_MAX;
  return ending === 'xid' && isSmall && conflicts.by !== 'barrier' ? 'all but updates' : 'nothing';
}
