/**
 * XA START of a branch, kept back until something of the branch is known to be kept: the servers refuse to prepare an
 * empty branch (a replica with filters stops at one, ER_XA_REPLICATION_FILTERS).
 */
import { EVENT_HEADER_LENGTH } from '../binlog/event-header.ts';
import type { FormatDescription } from '../binlog/format-description.ts';
import { decodeQuery, type QueryEvent } from '../binlog/query-event.ts';
import type { EventView } from './transaction.ts';

export class BranchStart {
  /** A copy: it outlives the view it was made from. */
  readonly event: EventView;

  constructor({ buf, start, end, type }: EventView) {
    const bytes = Buffer.from(buf.subarray(start, end));
    this.event = { type, buf: bytes, start: 0, end: bytes.length, last: false, oversized: null };
  }

  query(fde: FormatDescription): QueryEvent {
    return decodeQuery(this.event.buf, EVENT_HEADER_LENGTH, this.event.end, fde);
  }
}
