/**
 * The 19 bytes before every event, and the numbers of the event types.
 *
 *   0  4  timestamp     seconds since the epoch, source clock ("when")
 *   4  1  type          EventType
 *   5  4  server_id     the server that executed it first
 *   9  4  event_length  header, body and checksum
 *  13  4  log_pos       end position in the source's file, modulo 2^32; 0: unknown or artificial
 *  17  2  flags         EventFlag
 *
 * Facts: MySQL's "Binlog Event Header" and MariaDB's "2-Binlog Event Header" pages.
 */
import { malformed } from './byte-decoder.ts';

export const EVENT_HEADER_LENGTH = 19;
export const CHECKSUM_LENGTH = 4;

/** MySQL's names; numbers of 160 and above are MariaDB's own. */
export const EventType = {
  UNKNOWN_EVENT: 0,
  START_EVENT_V3: 1,
  QUERY_EVENT: 2,
  STOP_EVENT: 3,
  ROTATE_EVENT: 4,
  INTVAR_EVENT: 5,
  LOAD_EVENT: 6,
  SLAVE_EVENT: 7,
  CREATE_FILE_EVENT: 8,
  APPEND_BLOCK_EVENT: 9,
  EXEC_LOAD_EVENT: 10,
  DELETE_FILE_EVENT: 11,
  NEW_LOAD_EVENT: 12,
  RAND_EVENT: 13,
  USER_VAR_EVENT: 14,
  FORMAT_DESCRIPTION_EVENT: 15,
  XID_EVENT: 16,
  BEGIN_LOAD_QUERY_EVENT: 17,
  EXECUTE_LOAD_QUERY_EVENT: 18,
  TABLE_MAP_EVENT: 19,
  WRITE_ROWS_EVENT_V0: 20,
  UPDATE_ROWS_EVENT_V0: 21,
  DELETE_ROWS_EVENT_V0: 22,
  WRITE_ROWS_EVENT_V1: 23,
  UPDATE_ROWS_EVENT_V1: 24,
  DELETE_ROWS_EVENT_V1: 25,
  INCIDENT_EVENT: 26,
  HEARTBEAT_LOG_EVENT: 27,
  IGNORABLE_LOG_EVENT: 28,
  ROWS_QUERY_LOG_EVENT: 29,
  WRITE_ROWS_EVENT: 30,
  UPDATE_ROWS_EVENT: 31,
  DELETE_ROWS_EVENT: 32,
  GTID_LOG_EVENT: 33,
  ANONYMOUS_GTID_LOG_EVENT: 34,
  PREVIOUS_GTIDS_LOG_EVENT: 35,
  TRANSACTION_CONTEXT_EVENT: 36,
  VIEW_CHANGE_EVENT: 37,
  XA_PREPARE_LOG_EVENT: 38,
  PARTIAL_UPDATE_ROWS_EVENT: 39,
  TRANSACTION_PAYLOAD_EVENT: 40,
  HEARTBEAT_LOG_EVENT_V2: 41,
  GTID_TAGGED_LOG_EVENT: 42,
  MARIADB_ANNOTATE_ROWS_EVENT: 160,
  MARIADB_BINLOG_CHECKPOINT_EVENT: 161,
  MARIADB_GTID_EVENT: 162,
  MARIADB_GTID_LIST_EVENT: 163,
  MARIADB_START_ENCRYPTION_EVENT: 164,
  MARIADB_QUERY_COMPRESSED_EVENT: 165,
  MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1: 166,
  MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1: 167,
  MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1: 168,
  MARIADB_WRITE_ROWS_COMPRESSED_EVENT: 169,
  MARIADB_UPDATE_ROWS_COMPRESSED_EVENT: 170,
  MARIADB_DELETE_ROWS_COMPRESSED_EVENT: 171,
} as const;

export type EventTypeName = keyof typeof EventType;

const NAMES = new Map<number, string>(Object.entries(EventType).map(([name, type]) => [type, name]));

export function eventTypeName(type: number): string {
  return NAMES.get(type) ?? `event type ${type}`;
}

export const EventFlag = {
  /** Only in a FORMAT_DESCRIPTION_EVENT: the file is open for writing (or was not closed cleanly). */
  IN_USE: 0x01,
  THREAD_SPECIFIC: 0x04,
  SUPPRESS_USE: 0x08,
  /** Made up by the sender; not in the source's file. */
  ARTIFICIAL: 0x20,
  RELAY_LOG: 0x40,
  /** Whoever does not know the type may pass it over. */
  IGNORABLE: 0x80,
  /** MariaDB: @@skip_replication was set. */
  SKIP_REPLICATION: 0x8000,
} as const;

export interface EventHeader {
  timestamp: number;
  type: number;
  serverId: number;
  eventLength: number;
  logPos: number;
  flags: number;
}

/** Throws MALFORMED_EVENT when 19 bytes are not there or the length is smaller than a header. */
export function readEventHeader(buf: Buffer, start: number): EventHeader {
  if (start < 0 || buf.length - start < EVENT_HEADER_LENGTH) {
    throw malformed('event header', `${EVENT_HEADER_LENGTH} bytes wanted, ${buf.length - start} are left`);
  }
  const eventLength = buf.readUInt32LE(start + 9);
  if (eventLength < EVENT_HEADER_LENGTH) {
    throw malformed('event header', `an event length of ${eventLength} is shorter than the header`);
  }
  return {
    timestamp: buf.readUInt32LE(start),
    type: buf[start + 4]!,
    serverId: buf.readUInt32LE(start + 5),
    eventLength,
    logPos: buf.readUInt32LE(start + 13),
    flags: buf.readUInt16LE(start + 17),
  };
}

export function writeEventHeader(buf: Buffer, start: number, header: EventHeader): void {
  buf.writeUInt32LE(header.timestamp, start);
  buf[start + 4] = header.type;
  buf.writeUInt32LE(header.serverId, start + 5);
  buf.writeUInt32LE(header.eventLength, start + 9);
  buf.writeUInt32LE(header.logPos % 0x1_0000_0000, start + 13);
  buf.writeUInt16LE(header.flags, start + 17);
}
