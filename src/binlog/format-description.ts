/**
 * FORMAT_DESCRIPTION_EVENT (15): the first event of every file; says who wrote it and how to read the rest. Body:
 *
 *    0   2  binlog version          4 for every server since 5.0; others are refused
 *    2  50  server version          text, padded with NULs
 *   52   4  created                 seconds; 0: not the first file after a start of the server
 *   56   1  header length           19
 *   57   …  post-header lengths     one byte per event type, from type 1 on
 *    …   1  checksum algorithm      0 none, 1 CRC32, 255 undefined (none)   } only from MySQL 5.6.1 and MariaDB 5.3 on,
 *    …   4  CRC32 of this event     always present, whatever the algorithm  } and then always
 *
 * Facts: MySQL's Format_description_event page; MariaDB's FORMAT_DESCRIPTION_EVENT page. Versions are compared as numbers
 * and know no upper bound: after 9.7 come calendar versions.
 */
import { MillraceError } from '../base/errors.ts';
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { type ChecksumAlgorithm, sealEvent } from './checksum.ts';
import {
  CHECKSUM_LENGTH,
  EVENT_HEADER_LENGTH,
  EventFlag,
  EventType,
  readEventHeader,
} from './event-header.ts';

export type Flavour = 'mysql' | 'mariadb';

export interface FormatDescription {
  readonly binlogVersion: number;
  /** As the server writes it, "9.7.4-2" or "10.11.18-MariaDB-log". */
  readonly serverVersion: string;
  readonly created: number;
  readonly headerLength: number;
  /** Index: event type - 1. */
  readonly postHeaderLengths: Uint8Array;
  readonly checksum: ChecksumAlgorithm;
  readonly flavour: Flavour;
}

const WHAT = 'FORMAT_DESCRIPTION_EVENT';
const SERVER_VERSION_LENGTH = 50;
const CREATED_OFFSET = EVENT_HEADER_LENGTH + 52;
const TIMESTAMP_OFFSET = 0;
const LOG_POS_OFFSET = 13;
const FLAGS_OFFSET = 17;
/** Algorithm byte and CRC. */
const TAIL_LENGTH = 1 + CHECKSUM_LENGTH;

/** Major version. */
const BINLOG_4_SINCE = 5;
const HAS_CHECKSUM = { mysql: [5, 6, 1], mariadb: [5, 3, 0] } as const;

/**
 * `buf[start, end)` is the whole event with its header and, where the server writes one, its CRC (which is not verified
 * here: `verifyEvent`). Throws MALFORMED_EVENT; UNSUPPORTED for a binary log older than MySQL 5.0.
 */
export function decodeFormatDescription(buf: Buffer, start: number, end: number): FormatDescription {
  if (end - start < EVENT_HEADER_LENGTH) throw malformed(WHAT, `${end - start} bytes`);
  const header = readEventHeader(buf, start);
  if (header.type !== EventType.FORMAT_DESCRIPTION_EVENT) throw malformed(WHAT, `it has type ${header.type}`);
  const body = new ByteDecoder(buf, start + EVENT_HEADER_LENGTH, end, WHAT);
  const binlogVersion = body.u16();
  if (binlogVersion !== 4) {
    throw new MillraceError('UNSUPPORTED', `binary log version ${binlogVersion} is not supported`, {
      hint: 'Binary logs of MySQL 5.0 and later, and of MariaDB, have version 4.',
    });
  }
  const padded = body.latin1(SERVER_VERSION_LENGTH);
  const nul = padded.indexOf('\0');
  const serverVersion = nul < 0 ? padded : padded.slice(0, nul);
  const flavour = flavourOf(serverVersion);
  const created = body.u32();
  const headerLength = body.u8();
  if (headerLength !== EVENT_HEADER_LENGTH)
    throw malformed(WHAT, `it announces headers of ${headerLength} bytes`);

  const tail = hasChecksumTail(serverVersion, flavour) ? TAIL_LENGTH : 0;
  if (body.remaining < tail) throw malformed(WHAT, 'its checksum algorithm is missing');
  const postHeaderLengths = Uint8Array.from(body.bytes(body.remaining - tail));
  const checksum = tail === 0 ? 'none' : checksumAlgorithm(body.u8());
  return { binlogVersion, serverVersion, created, headerLength, postHeaderLengths, checksum, flavour };
}

/**
 * A copy for a BINLOG statement: created 0 and no log_pos, so that the server takes it for no restart of the source; IN_USE
 * cleared; algorithm none, since the events that follow it are sent without CRC; its own CRC made anew. No timestamp: the
 * copies of all files of one source are equal.
 */
export function neutralFormatDescription(rawEvent: Buffer): Buffer {
  const { serverVersion, flavour } = decodeFormatDescription(rawEvent, 0, rawEvent.length);
  const event = Buffer.from(rawEvent);
  event.writeUInt32LE(0, TIMESTAMP_OFFSET);
  event.writeUInt32LE(0, CREATED_OFFSET);
  event.writeUInt32LE(0, LOG_POS_OFFSET);
  event[FLAGS_OFFSET] = event[FLAGS_OFFSET]! & ~EventFlag.IN_USE;
  if (hasChecksumTail(serverVersion, flavour)) {
    event[event.length - TAIL_LENGTH] = 0;
    sealEvent(event, 0, event.length);
  }
  return event;
}

/** Length of the fixed part of a type's body; 0: none, or a type the server does not know. */
export function postHeaderLength(fde: FormatDescription, type: number): number {
  return fde.postHeaderLengths[type - 1] ?? 0;
}

/** How many bytes of CRC every event but the FORMAT_DESCRIPTION_EVENT ends with. */
export function checksumLength(fde: FormatDescription): number {
  return fde.checksum === 'crc32' ? CHECKSUM_LENGTH : 0;
}

export function flavourOf(serverVersion: string): Flavour {
  return /mariadb/i.test(serverVersion) ? 'mariadb' : 'mysql';
}

function hasChecksumTail(serverVersion: string, flavour: Flavour): boolean {
  const found = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(serverVersion);
  if (!found) throw malformed(WHAT, `"${serverVersion}" is no server version`);
  // Where versions decide, a damaged one may say that there is no CRC to find the damage by.
  if (Number(found[1]) < BINLOG_4_SINCE) {
    throw malformed(WHAT, `version ${serverVersion} writes no binary logs of version 4`);
  }
  const since = HAS_CHECKSUM[flavour];
  for (let part = 0; part < 3; part++) {
    const difference = Number(found[part + 1] ?? 0) - since[part]!;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

function checksumAlgorithm(code: number): ChecksumAlgorithm {
  switch (code) {
    case 0:
    case 255:
      return 'none';
    case 1:
      return 'crc32';
    default:
      throw malformed(WHAT, `checksum algorithm ${code} is unknown`);
  }
}
