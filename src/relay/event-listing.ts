/**
 * The rows of `millrace events`: what the relay log holds, like SHOW RELAYLOG EVENTS. Reads the files from outside, beside a
 * running reader or without one, up to the last whole transaction; bounded memory, row by row.
 */
import { closeSync, openSync } from 'node:fs';
import { MillraceError } from '../base/errors.ts';
import { EVENT_HEADER_LENGTH, EventType, eventTypeName } from '../binlog/event-header.ts';
import { checksumLength } from '../binlog/format-description.ts';
import {
  FilePositionSet,
  type PositionKind,
  type PositionSet,
  parsePositionSet,
  transactionIdText,
} from '../binlog/position-set.ts';
import { decodePayloadHeader, PayloadReader } from '../binlog/transaction-payload.ts';
import { diskError } from './durable-file.ts';
import { EventBlocks } from './event-blocks.ts';
import { EventInfo } from './event-info.ts';
import { MAGIC } from './relay-file-header.ts';
import { type RelayEvent, RelayLogCursor } from './relay-log-cursor.ts';
import { relayFileName, relayFileNumber, relayFilePath } from './relay-log-index.ts';
import { fileSet, relayFiles } from './relay-log-location.ts';

const PIECE_LENGTH = 256 * 1024;
const UNPACKED_EVENT_LENGTH_MAX = 64 * 1024 * 1024;

/** In the column names of SHOW RELAYLOG EVENTS, as `--json` prints it. */
export interface EventRow {
  readonly log_name: string;
  /** Where it starts in the relay file; of an event inside of a payload: where that one does. */
  readonly pos: number;
  readonly event_type: string;
  readonly server_id: number;
  /** As in the event: in the source's file, modulo 4 GiB; 0 inside of a payload and (MariaDB 11.4) of a transaction. */
  readonly end_log_pos: number;
  readonly info: string;
  /** It stands inside of the TRANSACTION_PAYLOAD_EVENT before it. */
  readonly in_payload: boolean;
}

export interface EventListingOptions {
  readonly dir: string;
  /** Only this file; null: all, from the oldest on. */
  readonly file?: string | null;
  /**
   * Begin with a transaction: a GTID ("uuid:7", "uuid:tag:7", "0-1-7"), a position in the source's file ("binlog.000003:4711"),
   * or an offset in the relay file ("1234"), which must be the begin of one; null: from the beginning.
   */
  readonly from?: string | null;
  /** At most so many rows; null: all. */
  readonly limit?: number | null;
}

/**
 * Throws CONFIG when there is no such file, place or transaction; RELAY_CORRUPT where the log is damaged (after the rows
 * before it); DISK.
 */
export function* listEvents(options: EventListingOptions): Generator<EventRow, void, undefined> {
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for (const row of rows(options)) {
    if (left-- <= 0) return;
    yield row;
  }
}

/** Where a listing begins, and whether a transaction is the one to begin with. */
interface Start {
  readonly fileNumber: number;
  readonly offset: number;
  /** `endBefore`: where in the source's file the event before it ended. */
  readonly reached: (event: RelayEvent, endBefore: number) => boolean;
}

function* rows({ dir, file = null, from = null }: EventListingOptions): Generator<EventRow, void, undefined> {
  const only = file === null ? null : fileNumberOf(dir, file);
  const first = only ?? relayFiles(dir).find((number) => fileSet(dir, number) !== null);
  if (first === undefined) return;
  const start = from === null ? null : startOf(dir, first, from);
  const { fileNumber: begin, offset } = start ?? { fileNumber: first, offset: 0 };
  const cursor = RelayLogCursor.open({ dir, published: null, from: { fileNumber: begin, offset } });
  try {
    const info = new EventInfo();
    let waiting = start !== null;
    let current = start === null ? 0 : begin;
    let endBefore = cursor.header.sourcePosition;
    for (;;) {
      const event = cursor.next();
      const { fileNumber } = cursor.position;
      if (only !== null && fileNumber !== only) break;
      if (fileNumber !== current) {
        current = fileNumber;
        endBefore = cursor.header.sourcePosition;
        if (!waiting) yield* headerRows(dir, fileNumber);
      }
      if (event === null) break;
      const begins = event.place === 'begin' || event.place === 'single';
      if (waiting && begins && start!.reached(event, endBefore)) waiting = false;
      endBefore = event.sourceEnd;
      if (!waiting) yield* eventRows(cursor, event, info);
    }
    if (waiting) throw notThere(from!);
  } finally {
    cursor.close();
  }
}

/** The events that a file begins with. */
function* headerRows(dir: string, fileNumber: number): Generator<EventRow, void, undefined> {
  const header = fileSet(dir, fileNumber);
  if (header === null) return;
  const path = relayFilePath(dir, fileNumber);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    throw diskError('open', path, cause);
  }
  try {
    const { fde } = header;
    const info = new EventInfo();
    const blocks = new EventBlocks({
      fd,
      path,
      offset: MAGIC.length,
      checksummed: fde.checksum === 'crc32',
      blockLength: header.end,
    });
    while (blocks.next(header.end) === 'event') {
      const { buf, start, offset, rawLength, type, oversized } = blocks;
      // A FORMAT_DESCRIPTION_EVENT describes its own tail.
      const end = type === EventType.FORMAT_DESCRIPTION_EVENT ? start + rawLength : blocks.end;
      yield row(
        relayFileName(fileNumber),
        offset,
        buf,
        start,
        info.describe(buf, start, end, fde, !oversized),
        false,
      );
    }
  } finally {
    closeSync(fd);
  }
}

function* eventRows(
  cursor: RelayLogCursor,
  event: RelayEvent,
  info: EventInfo,
): Generator<EventRow, void, undefined> {
  const { buf, start, end, fde, offset, oversized } = event;
  const name = relayFileName(event.fileNumber);
  yield row(name, offset, buf, start, info.describe(buf, start, end, fde, !oversized), false);
  if (event.type !== EventType.TRANSACTION_PAYLOAD_EVENT) return;
  const inner = new EventInfo();
  try {
    for (const each of payloadEvents(cursor, event)) {
      yield row(name, offset, each, 0, inner.describe(each, 0, each.length, fde), true);
    }
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code === 'RELAY_CORRUPT' || error.code === 'DISK')
      throw error;
    yield row(name, offset, buf, start, `cannot be unpacked: ${error.message}`, true);
  }
}

function* payloadEvents(cursor: RelayLogCursor, event: RelayEvent): Generator<Buffer, void, undefined> {
  const { buf, start, end, rawLength, fde, oversized } = event;
  const length = rawLength - checksumLength(fde);
  const header = decodePayloadHeader(buf, start + EVENT_HEADER_LENGTH, end, length - EVENT_HEADER_LENGTH);
  const reader = new PayloadReader(header, {
    uncompressedSizeMax: Number.MAX_SAFE_INTEGER,
    eventLengthMax: UNPACKED_EVENT_LENGTH_MAX,
  });
  for (let at = EVENT_HEADER_LENGTH + header.payloadOffset; at < length; at += PIECE_LENGTH) {
    const piece = Math.min(PIECE_LENGTH, length - at);
    yield* reader.push(
      oversized ? cursor.readOversized(event, at, piece) : buf.subarray(start + at, start + at + piece),
    );
  }
  reader.finish();
}

function row(
  name: string,
  offset: number,
  buf: Buffer,
  start: number,
  info: string,
  inPayload: boolean,
): EventRow {
  return {
    log_name: name,
    pos: offset,
    event_type: eventTypeName(buf[start + 4]!),
    server_id: buf.readUInt32LE(start + 5),
    end_log_pos: buf.readUInt32LE(start + 13),
    info,
    in_payload: inPayload,
  };
}

function fileNumberOf(dir: string, file: string): number {
  const number = relayFileNumber(file);
  if (number !== null && fileSet(dir, number) !== null) return number;
  const files = relayFiles(dir);
  const hint =
    files.length === 0
      ? 'The relay log is empty.'
      : `It has ${relayFileName(files[0]!)} to ${relayFileName(files.at(-1)!)}.`;
  throw new MillraceError('CONFIG', `there is no relay log file ${file} in ${dir}`, { hint });
}

function startOf(dir: string, first: number, from: string): Start {
  const wanted = from.trim();
  if (/^[0-9]+$/.test(wanted)) {
    const offset = Number(wanted);
    if (!isTransactionStart(dir, first, offset)) throw notThere(from);
    return { fileNumber: first, offset, reached: () => true };
  }
  const header = fileSet(dir, first)!;
  if (header.kind === 'mariadb') {
    const set = wantedSet('mariadb', wanted, from);
    const reached = ({ id }: RelayEvent): boolean => id !== null && transactionIdText(id) === wanted;
    return { ...newestWithout(dir, first, set), reached };
  }
  if (header.kind === 'gtid') {
    const set = wantedSet('gtid', wanted, from);
    const reached = ({ id }: RelayEvent): boolean => id !== null && set.has(id);
    return { ...newestWithout(dir, first, set), reached };
  }
  const set = wantedSet('position', wanted, from);
  return {
    fileNumber: first,
    offset: 0,
    reached: (event, endBefore) => FilePositionSet.at(event.sourceFile, endBefore).containsAll(set),
  };
}

function wantedSet(kind: PositionKind, text: string, from: string): PositionSet {
  try {
    const set = parsePositionSet(kind, text);
    if (!set.isEmpty()) return set;
  } catch (cause) {
    throw notThere(from, cause instanceof Error ? cause.message : undefined);
  }
  throw notThere(from);
}

/**
 * The newest file, from `first` on, that does not say of itself that something of `set` came before it. A MariaDB set is one
 * GTID, and covers all before it in its domain.
 */
function newestWithout(dir: string, first: number, set: PositionSet): { fileNumber: number; offset: number } {
  let found = first;
  for (const fileNumber of relayFiles(dir)) {
    if (fileNumber < first) continue;
    const header = fileSet(dir, fileNumber);
    if (header === null || header.kind !== set.kind) break;
    const { previous } = header;
    if (set.kind === 'gtid' ? !previous.intersect(set).isEmpty() : previous.containsAll(set)) break;
    found = fileNumber;
  }
  return { fileNumber: found, offset: 0 };
}

/** Asked of a few files at most, and only for people: the file is read up to there. */
function isTransactionStart(dir: string, fileNumber: number, offset: number): boolean {
  const cursor = RelayLogCursor.open({ dir, published: null, from: { fileNumber, offset: 0 } });
  try {
    for (let event = cursor.next(); event !== null; event = cursor.next()) {
      if (event.fileNumber !== fileNumber || event.offset > offset) return false;
      if (event.offset === offset) return event.place === 'begin' || event.place === 'single';
    }
    return false;
  } finally {
    cursor.close();
  }
}

function notThere(
  from: string,
  why = 'the relay log holds no transaction of that name or at that place',
): MillraceError {
  return new MillraceError('CONFIG', `cannot begin at ${from}: ${why}`, {
    hint: 'A GTID, a position in the file of the source (binlog.000003:4711) or an offset in the relay log file is expected.',
  });
}
