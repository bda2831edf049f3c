/**
 * MariaDB's compressed events (log_bin_compress=ON): 165 is a QUERY_EVENT whose SQL text is compressed, 166 to 171 are rows
 * events whose row images are. Everything before that is as in the plain event.
 *
 *   compressed := head u8: bit 7 set, bits 4–6 algorithm (0: zlib), bits 0–2 length of the next field, 1 to 4
 *                 uncompressed length, big-endian
 *                 zlib stream
 *
 * Facts: MariaDB's log_event.cc (query_event_uncompress, row_log_event_uncompress); seen on 10.11.
 */
import { inflateSync } from 'node:zlib';
import { MillraceError } from '../base/errors.ts';
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { EVENT_HEADER_LENGTH, EventType, eventTypeName } from './event-header.ts';

const PLAIN_TWINS: ReadonlyMap<number, number> = new Map([
  [EventType.MARIADB_QUERY_COMPRESSED_EVENT, EventType.QUERY_EVENT],
  [EventType.MARIADB_WRITE_ROWS_COMPRESSED_EVENT_V1, EventType.WRITE_ROWS_EVENT_V1],
  [EventType.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1, EventType.UPDATE_ROWS_EVENT_V1],
  [EventType.MARIADB_DELETE_ROWS_COMPRESSED_EVENT_V1, EventType.DELETE_ROWS_EVENT_V1],
  [EventType.MARIADB_WRITE_ROWS_COMPRESSED_EVENT, EventType.WRITE_ROWS_EVENT],
  [EventType.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT, EventType.UPDATE_ROWS_EVENT],
  [EventType.MARIADB_DELETE_ROWS_COMPRESSED_EVENT, EventType.DELETE_ROWS_EVENT],
]);

const TYPE_OFFSET = 4;
const LENGTH_OFFSET = 9;
const QUERY_POST_HEADER_LENGTH = 13;
const ROWS_POST_HEADER_LENGTH = 8;
const ALGORITHM_ZLIB = 0;

export function isMariadbCompressed(type: number): boolean {
  return PLAIN_TWINS.has(type);
}

/** The type that the event has when it is decompressed; its own when it is not compressed. */
export function plainTwin(type: number): number {
  return PLAIN_TWINS.get(type) ?? type;
}

/**
 * The plain twin of a compressed event, header and length set right. `event` is whole, without checksum; the result has none
 * either and is at most `lengthMax` bytes long. Throws MALFORMED_EVENT; UNSUPPORTED above the limit.
 */
export function decompressMariadbEvent(event: Buffer, lengthMax: number): Buffer {
  const type = event[TYPE_OFFSET] ?? 0;
  const plainType = PLAIN_TWINS.get(type);
  if (plainType === undefined) throw malformed(eventTypeName(type), 'it is not compressed');
  const body = new ByteDecoder(
    event,
    Math.min(EVENT_HEADER_LENGTH, event.length),
    event.length,
    eventTypeName(type),
  );
  if (plainType === EventType.QUERY_EVENT) skipQueryHead(body);
  else skipRowsHead(body, plainType);

  const compressedAt = body.pos;
  const head = body.u8();
  const algorithm = (head >> 4) & 0x07;
  if ((head & 0x80) === 0 || algorithm !== ALGORITHM_ZLIB) {
    throw malformed(body.what, `compression head 0x${head.toString(16)}`);
  }
  const plainSize = bigEndian(body, head & 0x07);
  const length = compressedAt + plainSize;
  if (length > lengthMax) {
    throw new MillraceError(
      'UNSUPPORTED',
      `${body.what} holds ${plainSize} bytes: the limit is ${lengthMax}`,
    );
  }
  const plain = inflate(body, plainSize);
  const out = Buffer.allocUnsafe(length);
  event.copy(out, 0, 0, compressedAt);
  plain.copy(out, compressedAt);
  out[TYPE_OFFSET] = plainType;
  out.writeUInt32LE(length, LENGTH_OFFSET);
  return out;
}

/** Up to the SQL text. */
function skipQueryHead(body: ByteDecoder): void {
  const start = body.pos;
  body.skip(QUERY_POST_HEADER_LENGTH);
  const databaseLength = body.buf[start + 8]!;
  const statusLength = body.buf.readUInt16LE(start + 11);
  body.skip(statusLength + databaseLength + 1);
}

/** Up to the row images: table id 6, flags 2, in version 2 extra data with its length, the width, one or two bitmaps. */
function skipRowsHead(body: ByteDecoder, plainType: number): void {
  body.skip(ROWS_POST_HEADER_LENGTH);
  if (plainType >= EventType.WRITE_ROWS_EVENT) {
    const extraLength = body.u16();
    if (extraLength < 2) throw malformed(body.what, `extra data of ${extraLength} bytes`);
    body.skip(extraLength - 2);
  }
  const bitmapLength = Math.ceil(body.lenencInt() / 8);
  const update = plainType === EventType.UPDATE_ROWS_EVENT_V1 || plainType === EventType.UPDATE_ROWS_EVENT;
  body.skip(bitmapLength);
  if (update) body.skip(bitmapLength);
}

function bigEndian(body: ByteDecoder, length: number): number {
  if (length < 1 || length > 4) throw malformed(body.what, `a length field of ${length} bytes`);
  const at = body.pos;
  body.skip(length);
  return body.buf.readUIntBE(at, length);
}

function inflate(body: ByteDecoder, plainSize: number): Buffer {
  let plain: Buffer;
  try {
    // At least 1: zlib refuses a limit of 0.
    plain = inflateSync(body.bytes(body.remaining), { maxOutputLength: Math.max(1, plainSize) });
  } catch (cause) {
    throw malformed(body.what, cause instanceof Error ? cause.message : String(cause));
  }
  if (plain.length !== plainSize) throw malformed(body.what, `${plain.length} bytes, ${plainSize} declared`);
  return plain;
}
