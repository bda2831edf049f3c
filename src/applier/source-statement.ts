/**
 * A statement of the source as it is to run on the target: its text, and the session it ran in.
 */
import { EventFlag } from '../binlog/event-header.ts';
import type { QueryContext, QueryEvent } from '../binlog/query-event.ts';
import type { EventView } from './transaction.ts';

const TIMESTAMP_OFFSET = 0;
const FLAGS_OFFSET = 17;

export interface SourceStatement {
  /** In the character set of `context`. */
  readonly sql: Buffer;
  /** `database` is the target's name. */
  readonly query: QueryEvent;
  /** The event's `when`. */
  readonly timestamp: number;
  /** It creates or drops its default database. */
  readonly suppressUse: boolean;
  /** The session's variables, with the character set that the text is in. */
  readonly context: Readonly<QueryContext>;
}

/** As the event has it. The text is a copy: it outlives the view. */
export function sourceStatement({ buf, start }: EventView, query: QueryEvent): SourceStatement {
  return {
    sql: Buffer.from(buf.subarray(query.sqlStart, query.sqlEnd)),
    query,
    timestamp: buf.readUInt32LE(start + TIMESTAMP_OFFSET),
    suppressUse: (buf.readUInt16LE(start + FLAGS_OFFSET) & EventFlag.SUPPRESS_USE) !== 0,
    context: query.statusVars,
  };
}
