/**
 * Composes events as bytes, for streams that no server would write on demand.
 */
import { EVENT_HEADER_LENGTH, EventType, writeEventHeader } from '../../src/binlog/event-header.ts';
import type { FormatDescription } from '../../src/binlog/format-description.ts';

export interface HeaderFields {
  readonly timestamp?: number;
  readonly serverId?: number;
  readonly flags?: number;
  readonly logPos?: number;
}

/** An event without checksum. */
export function buildEvent(type: number, body: Buffer = Buffer.alloc(0), fields: HeaderFields = {}): Buffer {
  const event = Buffer.alloc(EVENT_HEADER_LENGTH + body.length);
  writeEventHeader(event, 0, {
    timestamp: fields.timestamp ?? 1_700_000_000,
    type,
    serverId: fields.serverId ?? 1,
    eventLength: event.length,
    logPos: fields.logPos ?? 0,
    flags: fields.flags ?? 0,
  });
  body.copy(event, EVENT_HEADER_LENGTH);
  return event;
}

/** A QUERY_EVENT of the statement, in database "d". */
export function buildQuery(
  sql: string,
  statusVars: Buffer = Buffer.alloc(0),
  type: number = EventType.QUERY_EVENT,
): Buffer {
  const postHeader = Buffer.alloc(13);
  postHeader.writeUInt32LE(7, 0);
  postHeader[8] = 1;
  postHeader.writeUInt16LE(statusVars.length, 11);
  return buildEvent(type, Buffer.concat([postHeader, statusVars, Buffer.from('d\0'), Buffer.from(sql)]));
}

interface GtidFields {
  readonly type?: number;
  readonly uuidByte?: number;
  readonly sequenceNumber?: bigint;
  /** The one before, when left out. */
  readonly lastCommitted?: bigint;
}

/** A GTID_LOG_EVENT as 5.7 writes it: a uuid of `uuidByte` only, and a logical clock. */
export function buildGtid(gno: bigint, fields: GtidFields = {}): Buffer {
  const sequenceNumber = fields.sequenceNumber ?? gno;
  const body = Buffer.alloc(42, fields.uuidByte ?? 0x11);
  body[0] = 1;
  body.writeBigInt64LE(gno, 17);
  body[25] = 2;
  body.writeBigInt64LE(fields.lastCommitted ?? sequenceNumber - 1n, 26);
  body.writeBigInt64LE(sequenceNumber, 34);
  return buildEvent(fields.type ?? EventType.GTID_LOG_EVENT, body);
}

export function buildMariadbGtid(seqNo: bigint, flags = 0, rest: Buffer = Buffer.alloc(6)): Buffer {
  const body = Buffer.alloc(13);
  body.writeBigUInt64LE(seqNo, 0);
  body[12] = flags;
  return buildEvent(EventType.MARIADB_GTID_EVENT, Buffer.concat([body, rest]));
}

/** A rows event without rows. */
export function buildRows(type: number, flags: number): Buffer {
  const body = Buffer.alloc(12);
  body.writeUInt16LE(flags, 6);
  return buildEvent(type, body);
}

export function buildXid(): Buffer {
  return buildEvent(EventType.XID_EVENT, Buffer.alloc(8, 1));
}

/** What a FORMAT_DESCRIPTION_EVENT of the server says, as far as decoders ask. */
export function describeFormat(flavour: 'mysql' | 'mariadb'): FormatDescription {
  const postHeaderLengths = new Uint8Array(flavour === 'mysql' ? 42 : 171);
  postHeaderLengths[EventType.QUERY_EVENT - 1] = 13;
  return {
    binlogVersion: 4,
    serverVersion: flavour === 'mysql' ? '9.7.4' : '10.11.18-MariaDB',
    created: 0,
    headerLength: 19,
    postHeaderLengths,
    checksum: 'none',
    flavour,
  };
}
