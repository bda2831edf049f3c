/**
 * CRC32 of events, as binlog_checksum=CRC32 writes it: zlib's polynomial over header and body, the value little-endian in
 * the last four bytes.
 *
 * Two facts about FORMAT_DESCRIPTION_EVENT: it carries a CRC whenever the server knows checksums at all, also with
 * binlog_checksum=NONE; and its CRC is taken with the flag IN_USE cleared, so that closing a file does not spoil it
 * (mysqld's event_checksum_test; seen on 9.7).
 *
 * Short stretches are done in JavaScript, eight bytes a step: a call into zlib costs more than that up to about 256 bytes
 * (measured on Node 20), and most events are shorter.
 */
import { crc32 as zlibCrc32 } from 'node:zlib';
import { assert } from '../base/errors.ts';
import { CHECKSUM_LENGTH, EVENT_HEADER_LENGTH, EventFlag, EventType } from './event-header.ts';

export type ChecksumAlgorithm = 'none' | 'crc32';

const NATIVE_FROM = 256;
const FLAGS_OFFSET = 17;

const [T0, T1, T2, T3, T4, T5, T6, T7] = tables();

function tables(): Int32Array[] {
  const made = Array.from({ length: 8 }, () => new Int32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    made[0]![byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let k = 1; k < 8; k++) {
      const before = made[k - 1]![byte]!;
      made[k]![byte] = (before >>> 8) ^ made[0]![before & 0xff]!;
    }
  }
  return made;
}

/** CRC32 of buf[start, end); `seed` is the CRC of what came before. The caller has checked the bounds. */
export function crc32(buf: Buffer, start: number, end: number, seed = 0): number {
  if (end - start >= NATIVE_FROM) return zlibCrc32(buf.subarray(start, end), seed);
  let crc = ~seed;
  let pos = start;
  for (; end - pos >= 8; pos += 8) {
    const low = crc ^ (buf[pos]! | (buf[pos + 1]! << 8) | (buf[pos + 2]! << 16) | (buf[pos + 3]! << 24));
    crc =
      T7![low & 0xff]! ^
      T6![(low >>> 8) & 0xff]! ^
      T5![(low >>> 16) & 0xff]! ^
      T4![low >>> 24]! ^
      T3![buf[pos + 4]!]! ^
      T2![buf[pos + 5]!]! ^
      T1![buf[pos + 6]!]! ^
      T0![buf[pos + 7]!]!;
  }
  for (; pos < end; pos++) crc = (crc >>> 8) ^ T0![(crc ^ buf[pos]!) & 0xff]!;
  return ~crc >>> 0;
}

/** Whether the last four bytes of the event buf[start, end) are its CRC32. False also for what is too short to have one. */
export function verifyEvent(buf: Buffer, start: number, end: number): boolean {
  if (start < 0 || end > buf.length || end - start < EVENT_HEADER_LENGTH + CHECKSUM_LENGTH) return false;
  return eventCrc(buf, start, end) === buf.readUInt32LE(end - CHECKSUM_LENGTH);
}

/** Writes the CRC32 of the event buf[start, end) into its last four bytes. */
export function sealEvent(buf: Buffer, start: number, end: number): void {
  assert(end - start >= EVENT_HEADER_LENGTH + CHECKSUM_LENGTH, 'a sealed event has room for its checksum');
  buf.writeUInt32LE(eventCrc(buf, start, end), end - CHECKSUM_LENGTH);
}

function eventCrc(buf: Buffer, start: number, end: number): number {
  const bodyEnd = end - CHECKSUM_LENGTH;
  const flagsAt = start + FLAGS_OFFSET;
  if (buf[start + 4] !== EventType.FORMAT_DESCRIPTION_EVENT || (buf[flagsAt]! & EventFlag.IN_USE) === 0) {
    return crc32(buf, start, bodyEnd);
  }
  const closedFlag = Buffer.of(buf[flagsAt]! & ~EventFlag.IN_USE);
  return crc32(buf, flagsAt + 1, bodyEnd, crc32(closedFlag, 0, 1, crc32(buf, start, flagsAt)));
}
