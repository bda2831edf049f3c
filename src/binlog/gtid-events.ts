/**
 * The events that name a transaction: GTID_LOG_EVENT (33), ANONYMOUS_GTID_LOG_EVENT (34), GTID_TAGGED_LOG_EVENT (42) and
 * MARIADB_GTID_EVENT (162). The functions take the body: after the header, before the checksum.
 *
 * 33 and 34, little-endian; each part from "type code" on may be missing, since it came with a later version:
 *    0   1  flags                        bit 0: may hold statements
 *    1  16  sid                          uuid of the server that executed it first; zeros when anonymous
 *   17   8  gno                          i64, 1…2^63-2; 0 when anonymous
 *   25   1  type code of the clock       2, else nothing after it is read             } 5.7
 *   26   8  last_committed               i64                                          }
 *   34   8  sequence_number              i64, 1 is the first of the source's file     }
 *   42   7  immediate_commit_timestamp   µs; bit 55 set: the next field is there      } 8.0.1
 *    …   7  original_commit_timestamp    else equal to immediate                      }
 *    …   …  transaction_length           lenenc; this event up to the last, with CRCs } 8.0.2
 *    …   4  immediate_server_version     90704; bit 31 set: the next field is there   } 8.0.14
 *    …   4  original_server_version      else equal to immediate                      }
 *    …   8  commit_group_ticket          of no interest here                          } 8.0.32
 *
 * 42 holds the same fields in the format of the library mysql::serialization (its page in the MySQL documentation; checked
 * against 9.7): a message is version 1, its own length, one more than the last field id that a reader must know (0: none), then fields
 * as id and value in rising order of ids. Numbers are varints: the number of trailing one bits of the first byte tells how
 * many bytes follow it; signed ones keep the sign in bit 0 of the value. A uuid is 16 varints of one or two bytes, a string
 * is its length and its bytes.
 *   0 flags u8 · 1 uuid · 2 gno i64 · 3 tag · 4 last_committed i64 · 5 sequence_number i64 · 6 immediate_commit_timestamp
 *   u64 · 7 original_commit_timestamp u64? · 8 transaction_length u64 · 9 immediate_server_version u32 ·
 *   10 original_server_version u32? · 11 commit_group_ticket u64?
 * A field unknown to us ends the reading: its length is unknown; it is an error if the message says that it must be known.
 *
 * 162: seq_no u64 · domain_id u32 · flags u8 · commit_id u64 if FL_GROUP_COMMIT_ID · xid if FL_PREPARED_XA or
 * FL_COMPLETED_XA (format u32, gtrid length u8, bqual length u8, data) · extra flags u8 · engines u8 if
 * FL_EXTRA_MULTI_ENGINE · seq_no of the START ALTER u64 if FL_COMMIT_ALTER or FL_ROLLBACK_ALTER. Padded with zeros to 19
 * bytes, and what later versions append is passed over.
 */
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { GNO_MAX } from './gno-intervals.ts';
import { uuidText } from './gtid-set.ts';

export interface GtidEvent {
  readonly flags: number;
  /** "uuid", or "uuid:tag". */
  readonly sid: string;
  /** 0 when anonymous. */
  readonly gno: bigint;
  /** Both 0: the source has no logical clock (5.6). */
  readonly lastCommitted: bigint;
  readonly sequenceNumber: bigint;
  /** Commit time on the server we read from, µs since the epoch; null: before 8.0.1. */
  readonly immediateCommitMicros: bigint | null;
  /** Commit time on the server that executed it first. */
  readonly originalCommitMicros: bigint | null;
  /** All events of the transaction from this one on, checksums included, as they stand in the source's file. */
  readonly transactionLength: bigint | null;
  /** 90704 for 9.7.4; null: unknown. */
  readonly immediateServerVersion: number | null;
  readonly originalServerVersion: number | null;
}

/** The id of a branch of a distributed transaction. */
export interface XaId {
  readonly formatId: number;
  readonly gtrid: Buffer;
  readonly bqual: Buffer;
}

export interface MariadbGtidEvent {
  readonly domainId: number;
  readonly serverId: number;
  readonly seqNo: bigint;
  readonly flags: number;
  /** Transactions with the same commit id were committed as one group. */
  readonly commitId: bigint | null;
  /** Of the XA transaction that is prepared or completed. */
  readonly xid: XaId | null;
  readonly extraFlags: number;
  /** COMMIT ALTER and ROLLBACK ALTER: the sequence number of their START ALTER. */
  readonly startAlterSeqNo: bigint | null;
}

export const MariadbGtidFlag = {
  /** No commit event: one statement. */
  STANDALONE: 1,
  GROUP_COMMIT_ID: 2,
  TRANSACTIONAL: 4,
  ALLOW_PARALLEL: 8,
  WAITED: 16,
  DDL: 32,
  PREPARED_XA: 64,
  COMPLETED_XA: 128,
} as const;

export const MariadbGtidExtraFlag = {
  MULTI_ENGINE: 1,
  START_ALTER: 2,
  COMMIT_ALTER: 4,
  ROLLBACK_ALTER: 8,
} as const;

/** Parts of an XID are at most this long each. */
export const XID_PART_LENGTH_MAX = 64;

const LOGICAL_CLOCK = 2;
const TIMESTAMP_HAS_ORIGINAL = 1n << 55n;
const VERSION_HAS_ORIGINAL = 0x8000_0000;
const SERIALIZATION_VERSION = 1n;
const TAG_LENGTH_MAX = 32;

/** GTID_LOG_EVENT and ANONYMOUS_GTID_LOG_EVENT. */
export function decodeGtid(buf: Buffer, start: number, end: number): GtidEvent {
  const body = new ByteDecoder(buf, start, end, 'GTID_LOG_EVENT');
  const flags = body.u8();
  const sid = sidText(body.bytes(16));
  const gno = checkedGno(body.i64(), body.what);
  let lastCommitted = 0n;
  let sequenceNumber = 0n;
  let immediateCommitMicros: bigint | null = null;
  let originalCommitMicros: bigint | null = null;
  let transactionLength: bigint | null = null;
  let immediateServerVersion: number | null = null;
  let originalServerVersion: number | null = null;
  if (body.remaining > 0 && body.u8() === LOGICAL_CLOCK) {
    lastCommitted = checkedClock(body.i64(), body.what);
    sequenceNumber = checkedClock(body.i64(), body.what);
    if (body.remaining >= 7) {
      const immediate = body.u56();
      immediateCommitMicros = immediate & ~TIMESTAMP_HAS_ORIGINAL;
      originalCommitMicros = immediate & TIMESTAMP_HAS_ORIGINAL ? body.u56() : immediateCommitMicros;
      if (body.remaining > 0) transactionLength = BigInt(body.lenencInt());
      if (body.remaining >= 4) {
        const version = body.u32();
        immediateServerVersion = knownVersion(version & ~VERSION_HAS_ORIGINAL);
        originalServerVersion =
          version & VERSION_HAS_ORIGINAL ? knownVersion(body.u32()) : immediateServerVersion;
      }
    }
  }
  return {
    flags,
    sid,
    gno,
    lastCommitted,
    sequenceNumber,
    immediateCommitMicros,
    originalCommitMicros,
    transactionLength,
    immediateServerVersion,
    originalServerVersion,
  };
}

/** GTID_TAGGED_LOG_EVENT; a transaction without a tag may also come in this form. */
export function decodeTaggedGtid(buf: Buffer, start: number, end: number): GtidEvent {
  const body = new ByteDecoder(buf, start, end, 'GTID_TAGGED_LOG_EVENT');
  const version = unsignedVarint(body);
  if (version !== SERIALIZATION_VERSION) throw malformed(body.what, `serialization version ${version}`);
  const length = unsignedVarint(body);
  if (length !== BigInt(end - start)) throw malformed(body.what, `a length of ${length} is announced`);
  const lastRequiredField = Number(unsignedVarint(body)) - 1;

  let flags = 0;
  let sid: string | null = null;
  let tag = '';
  let gno: bigint | null = null;
  let lastCommitted = 0n;
  let sequenceNumber = 0n;
  let immediateCommitMicros: bigint | null = null;
  let originalCommitMicros: bigint | null = null;
  let transactionLength: bigint | null = null;
  let immediateServerVersion: number | null = null;
  let originalServerVersion: number | null = null;
  let previousField = -1;
  fields: while (body.remaining > 0) {
    const field = Number(unsignedVarint(body));
    if (field <= previousField) throw malformed(body.what, `field ${field} follows field ${previousField}`);
    previousField = field;
    switch (field) {
      case 0:
        flags = Number(unsignedVarint(body));
        break;
      case 1:
        sid = sidText(uuidBytes(body));
        break;
      case 2:
        gno = checkedGno(signedVarint(body), body.what);
        break;
      case 3:
        tag = tagText(body);
        break;
      case 4:
        lastCommitted = checkedClock(signedVarint(body), body.what);
        break;
      case 5:
        sequenceNumber = checkedClock(signedVarint(body), body.what);
        break;
      case 6:
        immediateCommitMicros = unsignedVarint(body);
        break;
      case 7:
        originalCommitMicros = unsignedVarint(body);
        break;
      case 8:
        transactionLength = unsignedVarint(body);
        break;
      case 9:
        immediateServerVersion = knownVersion(Number(unsignedVarint(body)));
        break;
      case 10:
        originalServerVersion = knownVersion(Number(unsignedVarint(body)));
        break;
      case 11:
        unsignedVarint(body);
        break;
      default:
        if (field <= lastRequiredField) throw malformed(body.what, `field ${field} is unknown and required`);
        break fields;
    }
  }
  if (sid === null || gno === null) throw malformed(body.what, 'uuid or gno is missing');
  return {
    flags,
    sid: tag === '' ? sid : `${sid}:${tag}`,
    gno,
    lastCommitted,
    sequenceNumber,
    immediateCommitMicros,
    originalCommitMicros: originalCommitMicros ?? immediateCommitMicros,
    transactionLength,
    immediateServerVersion,
    originalServerVersion: originalServerVersion ?? immediateServerVersion,
  };
}

/** MARIADB_GTID_EVENT; `serverId` is that of the event's header. */
export function decodeMariadbGtid(
  buf: Buffer,
  start: number,
  end: number,
  serverId: number,
): MariadbGtidEvent {
  const body = new ByteDecoder(buf, start, end, 'MARIADB_GTID_EVENT');
  const seqNo = body.u64();
  const domainId = body.u32();
  const flags = body.u8();
  const commitId = flags & MariadbGtidFlag.GROUP_COMMIT_ID ? body.u64() : null;
  let xid: XaId | null = null;
  if (flags & (MariadbGtidFlag.PREPARED_XA | MariadbGtidFlag.COMPLETED_XA)) {
    const formatId = body.i32();
    const gtridLength = body.u8();
    xid = decodeXaId(body, formatId, gtridLength, body.u8());
  }
  const extraFlags = body.remaining > 0 ? body.u8() : 0;
  if (extraFlags & MariadbGtidExtraFlag.MULTI_ENGINE) body.u8();
  const ofAlter = MariadbGtidExtraFlag.COMMIT_ALTER | MariadbGtidExtraFlag.ROLLBACK_ALTER;
  const startAlterSeqNo = extraFlags & ofAlter ? body.u64() : null;
  return { domainId, serverId, seqNo, flags, commitId, xid, extraFlags, startAlterSeqNo };
}

/** The two parts of an XID, whose lengths the caller has read. The buffers are views. */
export function decodeXaId(
  body: ByteDecoder,
  formatId: number,
  gtridLength: number,
  bqualLength: number,
): XaId {
  if (gtridLength > XID_PART_LENGTH_MAX || bqualLength > XID_PART_LENGTH_MAX) {
    throw malformed(body.what, `an XID with parts of ${gtridLength} and ${bqualLength} bytes`);
  }
  return { formatId, gtrid: body.bytes(gtridLength), bqual: body.bytes(bqualLength) };
}

const lastSid = Buffer.alloc(16);
let lastSidText = uuidText(lastSid);

/** Almost every transaction comes from the server of the one before: its text is kept. */
function sidText(uuid: Buffer): string {
  if (!lastSid.equals(uuid)) {
    lastSidText = uuidText(uuid);
    uuid.copy(lastSid);
  }
  return lastSidText;
}

function checkedGno(gno: bigint, what: string): bigint {
  if (gno < 0n || gno > GNO_MAX) throw malformed(what, `gno ${gno}`);
  return gno;
}

function checkedClock(value: bigint, what: string): bigint {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed(what, `logical clock ${value}`);
  return value;
}

/** mysqld writes 999999 for "not known". */
function knownVersion(version: number): number | null {
  return version === 999_999 ? null : version;
}

/** 1 to 9 bytes: as many bytes follow the first as it has trailing one bits, the bits above them are the lowest of the value. */
function unsignedVarint(body: ByteDecoder): bigint {
  const first = body.u8();
  const following = trailingOnes(first);
  if (following === 8) return body.u64();
  if (following === 7) return body.u56();
  const at = body.pos;
  body.skip(following);
  const low = BigInt(first >> (following + 1));
  return following === 0 ? low : low | (BigInt(body.buf.readUIntLE(at, following)) << BigInt(7 - following));
}

function trailingOnes(byte: number): number {
  const lowestZero = (byte + 1) & -(byte + 1);
  return 31 - Math.clz32(lowestZero);
}

function signedVarint(body: ByteDecoder): bigint {
  const value = unsignedVarint(body);
  return value & 1n ? -(value >> 1n) - 1n : value >> 1n;
}

function uuidBytes(body: ByteDecoder): Buffer {
  const uuid = Buffer.alloc(16);
  for (let i = 0; i < 16; i++) {
    const byte = unsignedVarint(body);
    if (byte > 255n) throw malformed(body.what, 'a uuid with a byte above 255');
    uuid[i] = Number(byte);
  }
  return uuid;
}

function tagText(body: ByteDecoder): string {
  const length = unsignedVarint(body);
  if (length > BigInt(TAG_LENGTH_MAX)) throw malformed(body.what, `a tag of ${length} bytes`);
  const tag = body.latin1(Number(length));
  if (tag !== '' && !/^[a-z_][a-z0-9_]*$/.test(tag))
    throw malformed(body.what, 'a tag with other characters');
  return tag;
}
