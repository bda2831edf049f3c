/**
 * What every relay log file begins with, so that each file explains itself:
 *
 *   FE 'b' 'i' 'n'
 *   FORMAT_DESCRIPTION_EVENT   the source's bytes; the flag IN_USE is set while we write the file. Its CRC does not cover
 *                              that flag, so nothing else changes when the file is closed. The CRC is ours when checksums
 *                              are off: a source that sets `created` and log_pos to 0 on the way to us makes none then
 *                              (seen on 9.7), and it is what protects the header on disk
 *   PREVIOUS_GTIDS_LOG_EVENT   kind gtid: everything the log holds before this file, or that no target needs any more
 *   MARIADB_GTID_LIST_EVENT    kind mariadb: the same, one GTID per domain
 *   (neither)                  kind position: the coordinates below say it all
 *   ROTATE_EVENT               ARTIFICIAL: the source's file that the events come from, and the position they start at
 *
 * One relay log file holds bytes of one file of the source. The two or three events of our own have server_id 0, the flag
 * RELAY_LOG, the checksum algorithm of the FORMAT_DESCRIPTION_EVENT and end positions of the relay file; mysqlbinlog and
 * mariadb-binlog read and print them as those of a server's relay log (9.7, 10.11, 11.8).
 */
import { fstatSync, readSync } from 'node:fs';
import { MillraceError } from '../base/errors.ts';
import { type ChecksumAlgorithm, sealEvent, verifyEvent } from '../binlog/checksum.ts';
import {
  decodeMariadbGtidList,
  decodePreviousGtids,
  decodeRotate,
  encodeMariadbGtidList,
  encodePreviousGtids,
  encodeRotate,
} from '../binlog/control-events.ts';
import { EVENT_HEADER_LENGTH, EventFlag, EventType, eventTypeName } from '../binlog/event-header.ts';
import {
  checksumLength,
  decodeFormatDescription,
  type FormatDescription,
} from '../binlog/format-description.ts';
import {
  FilePositionSet,
  GtidPositionSet,
  MariadbPositionSet,
  type PositionKind,
  type PositionSet,
} from '../binlog/position-set.ts';
import { diskError } from './durable-file.ts';

export const MAGIC: Buffer = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);
/** Offset in the file of the byte that holds IN_USE. */
export const IN_USE_OFFSET = MAGIC.length + 17;
const LOG_POS_OFFSET = 13;
/** A Previous set of a million intervals takes 16 MB; what claims to be larger than this is damage. */
const HEADER_EVENT_LENGTH_MAX = 256 * 1024 * 1024;

export interface RelayFileOrigin {
  /** The whole event as the source sent it. */
  readonly rawFormatDescription: Buffer;
  readonly previous: PositionSet;
  readonly sourceFile: string;
  readonly sourcePosition: number;
}

export interface RelayFileHeader extends RelayFileOrigin {
  readonly fde: FormatDescription;
  readonly kind: PositionKind;
  /** Offset of the first byte after the header. */
  readonly end: number;
}

export function encodeRelayFileHeader(origin: RelayFileOrigin, fde: FormatDescription): Buffer {
  const format = Buffer.from(origin.rawFormatDescription);
  format[IN_USE_OFFSET - MAGIC.length] = flagsInUse(origin);
  if (fde.checksum === 'none' && endsWithChecksum(format, fde)) sealEvent(format, 0, format.length);
  const parts: Buffer[] = [MAGIC, format];
  let end = MAGIC.length + format.length;
  const own = ownEvent(fde.checksum, 0);
  if (origin.previous instanceof GtidPositionSet) {
    const event = encodePreviousGtids(origin.previous.gtids, own);
    end = place(event, end, fde);
    parts.push(event);
  } else if (origin.previous instanceof MariadbPositionSet) {
    const event = encodeMariadbGtidList(origin.previous.entries(), own);
    end = place(event, end, fde);
    parts.push(event);
  }
  parts.push(rotateEvent(fde, EventFlag.ARTIFICIAL, origin.sourceFile, origin.sourcePosition, end));
  return Buffer.concat(parts);
}

/** The byte at IN_USE_OFFSET of a file that is open. */
export function flagsInUse(origin: RelayFileOrigin): number {
  return origin.rawFormatDescription[IN_USE_OFFSET - MAGIC.length]! | EventFlag.IN_USE;
}

/** The last event of a closed file: names the one that follows. */
export function encodeClosingRotate(fde: FormatDescription, nextName: string, offset: number): Buffer {
  return rotateEvent(fde, 0, nextName, MAGIC.length, offset);
}

/** Throws RELAY_CORRUPT, naming file and offset, when the file does not begin as it must. */
export function readRelayFileHeader(fd: number, path: string): RelayFileHeader {
  const file = new HeaderFile(fd, path);
  if (file.size < MAGIC.length || !file.read(0, MAGIC.length).equals(MAGIC)) {
    throw corrupt(path, 0, 'it does not begin as a binary log does');
  }
  let offset = MAGIC.length;
  const rawFormatDescription = file.event(offset, 0);
  const fde = file.decode(offset, () => formatDescription(rawFormatDescription));
  offset += rawFormatDescription.length;

  const tail = checksumLength(fde);
  let previous: PositionSet | null = null;
  let event = file.event(offset, tail);
  if (event[4] === EventType.PREVIOUS_GTIDS_LOG_EVENT || event[4] === EventType.MARIADB_GTID_LIST_EVENT) {
    const gtids = event;
    previous = file.decode(offset, () => previousSet(gtids, tail));
    offset += event.length;
    event = file.event(offset, tail);
  }
  if (event[4] !== EventType.ROTATE_EVENT) {
    throw corrupt(path, offset, `it holds ${eventTypeName(event[4]!)} where its origin must stand`);
  }
  const rotate = event;
  const { fileName, position } = file.decode(offset, () => {
    return decodeRotate(rotate, EVENT_HEADER_LENGTH, rotate.length - tail);
  });
  const marked = previous ?? file.decode(offset, () => FilePositionSet.at(fileName, position));
  return {
    rawFormatDescription,
    fde,
    kind: marked.kind,
    previous: marked,
    sourceFile: fileName,
    sourcePosition: position,
    end: offset + event.length,
  };
}

function formatDescription(raw: Buffer): FormatDescription {
  const fde = decodeFormatDescription(raw, 0, raw.length);
  if (endsWithChecksum(raw, fde) && !verifyEvent(raw, 0, raw.length)) {
    throw new Error('its checksum does not match its bytes');
  }
  return fde;
}

/** Not before 5.6.1; since then always, also with checksums off. */
function endsWithChecksum(raw: Buffer, fde: FormatDescription): boolean {
  return raw.length > EVENT_HEADER_LENGTH + 57 + fde.postHeaderLengths.length;
}

function previousSet(event: Buffer, tail: number): PositionSet {
  const end = event.length - tail;
  if (event[4] === EventType.PREVIOUS_GTIDS_LOG_EVENT) {
    return new GtidPositionSet(decodePreviousGtids(event, EVENT_HEADER_LENGTH, end));
  }
  const set = new MariadbPositionSet();
  for (const gtid of decodeMariadbGtidList(event, EVENT_HEADER_LENGTH, end).gtids) {
    set.add({ kind: 'mariadb', ...gtid });
  }
  return set;
}

function rotateEvent(
  fde: FormatDescription,
  flags: number,
  fileName: string,
  position: number,
  offset: number,
): Buffer {
  const event = encodeRotate({ ...ownEvent(fde.checksum, flags), fileName, position });
  place(event, offset, fde);
  return event;
}

function ownEvent(checksum: ChecksumAlgorithm, flags: number) {
  return { serverId: 0, timestamp: 0, flags: flags | EventFlag.RELAY_LOG, checksum, logPos: 0 };
}

/** Gives an event of our own its end position in the relay file; returns that. */
function place(event: Buffer, offset: number, fde: FormatDescription): number {
  const end = offset + event.length;
  event.writeUInt32LE(end % 0x1_0000_0000, LOG_POS_OFFSET);
  if (fde.checksum === 'crc32') sealEvent(event, 0, event.length);
  return end;
}

/** Reads single events of the header; every failure names file and offset. */
class HeaderFile {
  readonly size: number;
  readonly #fd: number;
  readonly #path: string;

  constructor(fd: number, path: string) {
    this.#fd = fd;
    this.#path = path;
    this.size = fstatSync(fd).size;
  }

  read(offset: number, length: number): Buffer {
    const buf = Buffer.alloc(length);
    let done = 0;
    while (done < length) {
      let got: number;
      try {
        got = readSync(this.#fd, buf, done, length - done, offset + done);
      } catch (cause) {
        throw diskError('read', this.#path, cause);
      }
      if (got === 0) throw corrupt(this.#path, offset, 'it ends inside its header');
      done += got;
    }
    return buf;
  }

  /** The whole event at `offset`; its CRC is verified when it has one (`tail` bytes). */
  event(offset: number, tail: number): Buffer {
    const length = this.read(offset, EVENT_HEADER_LENGTH).readUInt32LE(9);
    if (length < EVENT_HEADER_LENGTH + tail || length > HEADER_EVENT_LENGTH_MAX) {
      throw corrupt(this.#path, offset, `an event length of ${length} in its header`);
    }
    if (offset + length > this.size) throw corrupt(this.#path, offset, 'it ends inside its header');
    const event = this.read(offset, length);
    if (tail > 0 && !verifyEvent(event, 0, length)) {
      throw corrupt(this.#path, offset, 'a checksum in its header does not match');
    }
    return event;
  }

  decode<T>(offset: number, decode: () => T): T {
    try {
      return decode();
    } catch (cause) {
      throw corrupt(this.#path, offset, cause instanceof Error ? cause.message : String(cause), cause);
    }
  }
}

export function corrupt(path: string, offset: number, why: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'RELAY_CORRUPT',
    `the relay log file ${path} is damaged at offset ${offset}: ${why}`,
    {
      hint: 'The relay log is fetched again from the position of the target.',
      facts: { file: path, offset },
      cause,
    },
  );
}
