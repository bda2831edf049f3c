/**
 * The small events around rows and statements. Decoders take the body buf[start, end): after the header, before the
 * checksum; each has its layout above it (little-endian). Buffers in the results are views. All throw MALFORMED_EVENT.
 * Encoders make whole events with header and, where the file has checksums, CRC.
 *
 * Facts: the event pages of MySQL's and MariaDB's documentation; every type seen on 9.7 or 10.11 (the fixtures) but
 * INCIDENT and the heartbeats.
 */
import { assert } from '../base/errors.ts';
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { type ChecksumAlgorithm, sealEvent } from './checksum.ts';
import { CHECKSUM_LENGTH, EVENT_HEADER_LENGTH, EventType, writeEventHeader } from './event-header.ts';
import { decodeXaId, type XaId } from './gtid-events.ts';
import { GtidSet } from './gtid-set.ts';
import type { MariadbGtid } from './position-set.ts';

export interface RotateEvent {
  /** Where the next file is read from; 4 but in an artificial event. */
  readonly position: number;
  readonly fileName: string;
}

export interface HeartbeatEvent {
  readonly fileName: string;
  /** The source's position; modulo 2^32 in the first version of the event. */
  readonly position: number;
}

export interface MariadbGtidListEvent {
  /** Bit 0: until a position was reached; bit 1: skipped by a replica that ignores domains. */
  readonly flags: number;
  readonly gtids: readonly MariadbGtid[];
}

export interface XaPrepareEvent extends XaId {
  /** XA COMMIT … ONE PHASE: the transaction is committed, not prepared. */
  readonly onePhase: boolean;
}

export interface IntvarEvent {
  readonly variable: 'LAST_INSERT_ID' | 'INSERT_ID';
  readonly value: bigint;
}

export interface RandEvent {
  readonly seed1: bigint;
  readonly seed2: bigint;
}

export const UserVarType = { STRING: 0, REAL: 1, INT: 2, ROW: 3, DECIMAL: 4 } as const;

export interface UserVarEvent {
  readonly name: string;
  /** Null: the variable is NULL. */
  readonly value: {
    /** UserVarType. */
    readonly type: number;
    /** Collation id. */
    readonly charset: number;
    /** STRING as it is; REAL a double, INT a u64, DECIMAL precision, scale and the packed digits. */
    readonly bytes: Buffer;
    readonly unsigned: boolean;
  } | null;
}

export interface IncidentEvent {
  /** 1: LOST_EVENTS. */
  readonly incident: number;
  readonly message: string;
}

const FILE_NAME_LENGTH_MAX = 512;
const GTID_LIST_COUNT_MASK = 0x0fff_ffff;
const GTID_LIST_ENTRY_LENGTH = 16;
const GTID_LIST_FLAGS_SHIFT = 28;

/** position u64 · file name up to the end */
export function decodeRotate(buf: Buffer, start: number, end: number): RotateEvent {
  const body = new ByteDecoder(buf, start, end, 'ROTATE_EVENT');
  const position = body.u64AsNumber();
  return { position, fileName: fileName(body, body.remaining) };
}

/** File name up to the end; the position is the header's log_pos, which the caller passes. */
export function decodeHeartbeat(buf: Buffer, start: number, end: number, logPos: number): HeartbeatEvent {
  const body = new ByteDecoder(buf, start, end, 'HEARTBEAT_LOG_EVENT');
  return { fileName: fileName(body, body.remaining), position: logPos };
}

/** Fields of type, length and value, lenenc each: 1 file name · 2 position, a lenenc itself · 0 the end. */
export function decodeHeartbeatV2(buf: Buffer, start: number, end: number): HeartbeatEvent {
  const body = new ByteDecoder(buf, start, end, 'HEARTBEAT_LOG_EVENT_V2');
  let name: string | null = null;
  let position: number | null = null;
  while (body.remaining > 0) {
    const field = body.lenencInt();
    if (field === 0) break;
    const length = body.lenencInt();
    const valueStart = body.pos;
    body.skip(length);
    const value = new ByteDecoder(buf, valueStart, body.pos, body.what);
    if (field === 1) name = fileName(value, length);
    else if (field === 2) position = value.lenencInt();
  }
  if (name === null || position === null) throw malformed(body.what, 'file name or position is missing');
  return { fileName: name, position };
}

/** A GTID set in its wire form (gtid-set.ts). */
export function decodePreviousGtids(buf: Buffer, start: number, end: number): GtidSet {
  return GtidSet.decode(buf, start, end);
}

/** count u28 and flags u4 · per entry: domain id u32, server id u32, sequence number u64 */
export function decodeMariadbGtidList(buf: Buffer, start: number, end: number): MariadbGtidListEvent {
  const body = new ByteDecoder(buf, start, end, 'MARIADB_GTID_LIST_EVENT');
  const head = body.u32();
  const count = head & GTID_LIST_COUNT_MASK;
  if (count > body.remaining / GTID_LIST_ENTRY_LENGTH) {
    throw malformed(body.what, `${count} entries announced in ${body.remaining} bytes`);
  }
  const gtids: MariadbGtid[] = [];
  for (let i = 0; i < count; i++) {
    gtids.push({ domainId: body.u32(), serverId: body.u32(), seqNo: body.u64() });
  }
  return { flags: head >>> GTID_LIST_FLAGS_SHIFT, gtids };
}

/** length u32 · name of the oldest file that the source needs to recover */
export function decodeBinlogCheckpoint(
  buf: Buffer,
  start: number,
  end: number,
): { readonly fileName: string } {
  const body = new ByteDecoder(buf, start, end, 'MARIADB_BINLOG_CHECKPOINT_EVENT');
  return { fileName: fileName(body, body.u32()) };
}

/** xid u64, in the byte order of the source */
export function decodeXid(buf: Buffer, start: number, end: number): bigint {
  return new ByteDecoder(buf, start, end, 'XID_EVENT').u64();
}

/** one phase u8 · format id i32 · length of gtrid u32 · length of bqual u32 · both */
export function decodeXaPrepare(buf: Buffer, start: number, end: number): XaPrepareEvent {
  const body = new ByteDecoder(buf, start, end, 'XA_PREPARE_LOG_EVENT');
  const onePhase = body.u8() !== 0;
  const formatId = body.i32();
  const gtridLength = body.u32();
  return { onePhase, ...decodeXaId(body, formatId, gtridLength, body.u32()) };
}

/** which u8: 1 LAST_INSERT_ID, 2 INSERT_ID · value u64 */
export function decodeIntvar(buf: Buffer, start: number, end: number): IntvarEvent {
  const body = new ByteDecoder(buf, start, end, 'INTVAR_EVENT');
  const which = body.u8();
  if (which !== 1 && which !== 2) throw malformed(body.what, `variable ${which}`);
  return { variable: which === 1 ? 'LAST_INSERT_ID' : 'INSERT_ID', value: body.u64() };
}

/** seed1 u64 · seed2 u64 */
export function decodeRand(buf: Buffer, start: number, end: number): RandEvent {
  const body = new ByteDecoder(buf, start, end, 'RAND_EVENT');
  return { seed1: body.u64(), seed2: body.u64() };
}

/**
 * length u32 · name · is null u8 · unless null: type u8, collation u32, length u32, value, flags u8 (bit 0: unsigned; absent
 * before 5.6)
 */
export function decodeUserVar(buf: Buffer, start: number, end: number): UserVarEvent {
  const body = new ByteDecoder(buf, start, end, 'USER_VAR_EVENT');
  const name = body.utf8(body.u32());
  if (body.u8() !== 0) return { name, value: null };
  const type = body.u8();
  if (type > UserVarType.DECIMAL) throw malformed(body.what, `type ${type}`);
  const charset = body.u32();
  const bytes = body.bytes(body.u32());
  const fixed = type === UserVarType.REAL || type === UserVarType.INT;
  if (fixed && bytes.length !== 8) throw malformed(body.what, `a number of ${bytes.length} bytes`);
  const unsigned = body.remaining > 0 && (body.u8() & 1) !== 0;
  return { name, value: { type, charset, bytes, unsigned } };
}

/** incident u16 · length u8 · message; the last two may be missing */
export function decodeIncident(buf: Buffer, start: number, end: number): IncidentEvent {
  const body = new ByteDecoder(buf, start, end, 'INCIDENT_EVENT');
  const incident = body.u16();
  const message = body.remaining > 0 ? body.utf8(body.u8()) : '';
  return { incident, message };
}

/** length u8, of no use: longer statements are cut in it · text up to the end, in the charset of the client */
export function decodeRowsQuery(buf: Buffer, start: number, end: number): Buffer {
  const body = new ByteDecoder(buf, start, end, 'ROWS_QUERY_LOG_EVENT');
  body.skip(1);
  return body.bytes(body.remaining);
}

/** What an event of our own says in its header. */
export interface OwnEvent {
  readonly serverId: number;
  /** Seconds since the epoch. */
  readonly timestamp: number;
  /** EventFlag. */
  readonly flags: number;
  /** End position in the file it goes to. */
  readonly logPos: number;
  /** Of that file. */
  readonly checksum: ChecksumAlgorithm;
}

export function encodeRotate(rotate: OwnEvent & RotateEvent): Buffer {
  const name = Buffer.from(rotate.fileName, 'utf8');
  assert(name.length > 0 && name.length <= FILE_NAME_LENGTH_MAX, 'a ROTATE_EVENT names a file');
  const body = Buffer.alloc(8);
  body.writeBigUInt64LE(BigInt(rotate.position));
  return ownEvent(EventType.ROTATE_EVENT, rotate, Buffer.concat([body, name]));
}

export function encodePreviousGtids(set: GtidSet, own: OwnEvent): Buffer {
  return ownEvent(EventType.PREVIOUS_GTIDS_LOG_EVENT, own, set.encode());
}

export function encodeMariadbGtidList(gtids: Iterable<MariadbGtid>, own: OwnEvent): Buffer {
  const list = [...gtids];
  assert(list.length <= GTID_LIST_COUNT_MASK, 'a MARIADB_GTID_LIST_EVENT counts its entries in 28 bits');
  const body = Buffer.alloc(4 + list.length * GTID_LIST_ENTRY_LENGTH);
  let pos = body.writeUInt32LE(list.length, 0);
  for (const { domainId, serverId, seqNo } of list) {
    pos = body.writeUInt32LE(domainId, pos);
    pos = body.writeUInt32LE(serverId, pos);
    pos = body.writeBigUInt64LE(seqNo, pos);
  }
  return ownEvent(EventType.MARIADB_GTID_LIST_EVENT, own, body);
}

function ownEvent(type: number, own: OwnEvent, body: Buffer): Buffer {
  const tail = own.checksum === 'crc32' ? CHECKSUM_LENGTH : 0;
  const event = Buffer.alloc(EVENT_HEADER_LENGTH + body.length + tail);
  writeEventHeader(event, 0, {
    timestamp: own.timestamp,
    type,
    serverId: own.serverId,
    eventLength: event.length,
    logPos: own.logPos,
    flags: own.flags,
  });
  body.copy(event, EVENT_HEADER_LENGTH);
  if (tail > 0) sealEvent(event, 0, event.length);
  return event;
}

/** A name from the other side is only ever shown and sent back; still it must be the bare name of one file. */
function fileName(body: ByteDecoder, length: number): string {
  if (length === 0 || length > FILE_NAME_LENGTH_MAX)
    throw malformed(body.what, `a file name of ${length} bytes`);
  const name = body.utf8(length);
  if (/[\0/]/.test(name)) throw malformed(body.what, 'a file name with a NUL or a slash');
  return name;
}
