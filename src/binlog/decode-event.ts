/**
 * From bytes to a typed event: the only switch over event types. For those who want to look into any event (`millrace
 * events`, the applier, tests); what only has to know where transactions begin and end asks transaction-boundary.ts.
 *
 * Rows, table maps, payloads, load data and whatever we have no use for come as bounds of their body: rows are decoded with
 * their table map (rows-event.ts), a payload is opened by its own reader (transaction-payload.ts).
 */
import { malformed } from './byte-decoder.ts';
import {
  decodeBinlogCheckpoint,
  decodeHeartbeat,
  decodeHeartbeatV2,
  decodeIncident,
  decodeIntvar,
  decodeMariadbGtidList,
  decodePreviousGtids,
  decodeRand,
  decodeRotate,
  decodeRowsQuery,
  decodeUserVar,
  decodeXaPrepare,
  decodeXid,
  type HeartbeatEvent,
  type IncidentEvent,
  type IntvarEvent,
  type MariadbGtidListEvent,
  type RandEvent,
  type RotateEvent,
  type UserVarEvent,
  type XaPrepareEvent,
} from './control-events.ts';
import {
  EVENT_HEADER_LENGTH,
  EventFlag,
  type EventHeader,
  EventType,
  type EventTypeName,
  readEventHeader,
} from './event-header.ts';
import { checksumLength, decodeFormatDescription, type FormatDescription } from './format-description.ts';
import {
  decodeGtid,
  decodeMariadbGtid,
  decodeTaggedGtid,
  type GtidEvent,
  type MariadbGtidEvent,
} from './gtid-events.ts';
import type { GtidSet } from './gtid-set.ts';
import { decodeQuery, type QueryEvent } from './query-event.ts';
import { decodePayloadHeader, type PayloadHeader } from './transaction-payload.ts';

/** The types that come as bounds only. */
export type OpaqueTypeName = Exclude<EventTypeName, DecodedTypeName | 'UNKNOWN_EVENT'>;

type DecodedTypeName =
  | 'FORMAT_DESCRIPTION_EVENT'
  | 'ROTATE_EVENT'
  | 'QUERY_EVENT'
  | 'MARIADB_QUERY_COMPRESSED_EVENT'
  | 'GTID_LOG_EVENT'
  | 'ANONYMOUS_GTID_LOG_EVENT'
  | 'GTID_TAGGED_LOG_EVENT'
  | 'MARIADB_GTID_EVENT'
  | 'PREVIOUS_GTIDS_LOG_EVENT'
  | 'MARIADB_GTID_LIST_EVENT'
  | 'XID_EVENT'
  | 'XA_PREPARE_LOG_EVENT'
  | 'INTVAR_EVENT'
  | 'RAND_EVENT'
  | 'USER_VAR_EVENT'
  | 'ROWS_QUERY_LOG_EVENT'
  | 'MARIADB_ANNOTATE_ROWS_EVENT'
  | 'MARIADB_BINLOG_CHECKPOINT_EVENT'
  | 'HEARTBEAT_LOG_EVENT'
  | 'HEARTBEAT_LOG_EVENT_V2'
  | 'INCIDENT_EVENT'
  | 'TRANSACTION_PAYLOAD_EVENT';

export interface EventBounds {
  readonly header: EventHeader;
  /** The body is buf[bodyStart, bodyEnd): without header, without checksum. */
  readonly bodyStart: number;
  readonly bodyEnd: number;
}

export type EventContent =
  | { readonly type: 'FORMAT_DESCRIPTION_EVENT'; readonly formatDescription: FormatDescription }
  | ({ readonly type: 'ROTATE_EVENT' } & RotateEvent)
  /** In MARIADB_QUERY_COMPRESSED_EVENT the SQL text is compressed (mariadb-compression.ts). */
  | ({ readonly type: 'QUERY_EVENT' | 'MARIADB_QUERY_COMPRESSED_EVENT' } & QueryEvent)
  | ({
      readonly type: 'GTID_LOG_EVENT' | 'ANONYMOUS_GTID_LOG_EVENT' | 'GTID_TAGGED_LOG_EVENT';
    } & GtidEvent)
  | ({ readonly type: 'MARIADB_GTID_EVENT' } & MariadbGtidEvent)
  | { readonly type: 'PREVIOUS_GTIDS_LOG_EVENT'; readonly gtids: GtidSet }
  | ({ readonly type: 'MARIADB_GTID_LIST_EVENT' } & MariadbGtidListEvent)
  | { readonly type: 'XID_EVENT'; readonly xid: bigint }
  | ({ readonly type: 'XA_PREPARE_LOG_EVENT' } & XaPrepareEvent)
  | ({ readonly type: 'INTVAR_EVENT' } & IntvarEvent)
  | ({ readonly type: 'RAND_EVENT' } & RandEvent)
  | ({ readonly type: 'USER_VAR_EVENT' } & UserVarEvent)
  /** The text of the statement that made the rows after it, in the charset of its client. */
  | { readonly type: 'ROWS_QUERY_LOG_EVENT' | 'MARIADB_ANNOTATE_ROWS_EVENT'; readonly sql: Buffer }
  /** The oldest file that the source needs to recover. */
  | { readonly type: 'MARIADB_BINLOG_CHECKPOINT_EVENT'; readonly fileName: string }
  | ({ readonly type: 'HEARTBEAT_LOG_EVENT' | 'HEARTBEAT_LOG_EVENT_V2' } & HeartbeatEvent)
  | ({ readonly type: 'INCIDENT_EVENT' } & IncidentEvent)
  | ({ readonly type: 'TRANSACTION_PAYLOAD_EVENT' } & PayloadHeader)
  | { readonly type: OpaqueTypeName }
  /** `ignorable`: its flag says that whoever does not know it may pass it over. */
  | { readonly type: 'UNKNOWN_EVENT'; readonly ignorable: boolean };

export type BinlogEvent = EventBounds & EventContent;

/**
 * Decodes the event buf[start, end): with header, without checksum (but with the tail of a FORMAT_DESCRIPTION_EVENT, which
 * describes itself). Buffers in the result are views. Throws MALFORMED_EVENT; unknown types do not throw.
 */
export function decodeEvent(buf: Buffer, start: number, end: number, fde: FormatDescription): BinlogEvent {
  const bodyStart = start + EVENT_HEADER_LENGTH;
  if (end > buf.length || end < bodyStart) throw malformed('event', `${end - start} bytes are no event`);
  const header = readEventHeader(buf, start);
  const content = decodeContent(header, buf, bodyStart, end, fde);
  return { header, bodyStart, bodyEnd: end, ...content };
}

function decodeContent(
  header: EventHeader,
  buf: Buffer,
  start: number,
  end: number,
  fde: FormatDescription,
): EventContent {
  switch (header.type) {
    case EventType.FORMAT_DESCRIPTION_EVENT: {
      const formatDescription = decodeFormatDescription(buf, start - EVENT_HEADER_LENGTH, end);
      return { type: 'FORMAT_DESCRIPTION_EVENT', formatDescription };
    }
    case EventType.ROTATE_EVENT:
      return { type: 'ROTATE_EVENT', ...decodeRotate(buf, start, end) };
    case EventType.QUERY_EVENT:
      return { type: 'QUERY_EVENT', ...decodeQuery(buf, start, end, fde) };
    case EventType.MARIADB_QUERY_COMPRESSED_EVENT:
      return { type: 'MARIADB_QUERY_COMPRESSED_EVENT', ...decodeQuery(buf, start, end, fde) };
    case EventType.GTID_LOG_EVENT:
      return { type: 'GTID_LOG_EVENT', ...decodeGtid(buf, start, end) };
    case EventType.ANONYMOUS_GTID_LOG_EVENT:
      return { type: 'ANONYMOUS_GTID_LOG_EVENT', ...decodeGtid(buf, start, end) };
    case EventType.GTID_TAGGED_LOG_EVENT:
      return { type: 'GTID_TAGGED_LOG_EVENT', ...decodeTaggedGtid(buf, start, end) };
    case EventType.MARIADB_GTID_EVENT:
      return { type: 'MARIADB_GTID_EVENT', ...decodeMariadbGtid(buf, start, end, header.serverId) };
    case EventType.PREVIOUS_GTIDS_LOG_EVENT:
      return { type: 'PREVIOUS_GTIDS_LOG_EVENT', gtids: decodePreviousGtids(buf, start, end) };
    case EventType.MARIADB_GTID_LIST_EVENT:
      return { type: 'MARIADB_GTID_LIST_EVENT', ...decodeMariadbGtidList(buf, start, end) };
    case EventType.XID_EVENT:
      return { type: 'XID_EVENT', xid: decodeXid(buf, start, end) };
    case EventType.XA_PREPARE_LOG_EVENT:
      return { type: 'XA_PREPARE_LOG_EVENT', ...decodeXaPrepare(buf, start, end) };
    case EventType.INTVAR_EVENT:
      return { type: 'INTVAR_EVENT', ...decodeIntvar(buf, start, end) };
    case EventType.RAND_EVENT:
      return { type: 'RAND_EVENT', ...decodeRand(buf, start, end) };
    case EventType.USER_VAR_EVENT:
      return { type: 'USER_VAR_EVENT', ...decodeUserVar(buf, start, end) };
    case EventType.ROWS_QUERY_LOG_EVENT:
      return { type: 'ROWS_QUERY_LOG_EVENT', sql: decodeRowsQuery(buf, start, end) };
    case EventType.MARIADB_ANNOTATE_ROWS_EVENT:
      return { type: 'MARIADB_ANNOTATE_ROWS_EVENT', sql: buf.subarray(start, end) };
    case EventType.MARIADB_BINLOG_CHECKPOINT_EVENT:
      return { type: 'MARIADB_BINLOG_CHECKPOINT_EVENT', ...decodeBinlogCheckpoint(buf, start, end) };
    case EventType.HEARTBEAT_LOG_EVENT:
      return { type: 'HEARTBEAT_LOG_EVENT', ...decodeHeartbeat(buf, start, end, header.logPos) };
    case EventType.HEARTBEAT_LOG_EVENT_V2:
      return { type: 'HEARTBEAT_LOG_EVENT_V2', ...decodeHeartbeatV2(buf, start, end) };
    case EventType.INCIDENT_EVENT:
      return { type: 'INCIDENT_EVENT', ...decodeIncident(buf, start, end) };
    case EventType.TRANSACTION_PAYLOAD_EVENT: {
      const bodyLength = header.eventLength - EVENT_HEADER_LENGTH - checksumLength(fde);
      return { type: 'TRANSACTION_PAYLOAD_EVENT', ...decodePayloadHeader(buf, start, end, bodyLength) };
    }
    default:
      return opaque(header);
  }
}

const OPAQUE_NAMES = new Map(
  Object.entries(EventType)
    .filter(([, type]) => type !== EventType.UNKNOWN_EVENT)
    .map(([name, type]) => [type as number, name as OpaqueTypeName]),
);

function opaque({ type, flags }: EventHeader): EventContent {
  const name = OPAQUE_NAMES.get(type);
  if (name !== undefined) return { type: name };
  return { type: 'UNKNOWN_EVENT', ignorable: (flags & EventFlag.IGNORABLE) !== 0 };
}
