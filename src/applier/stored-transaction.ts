/**
 * Reads one transaction from its place in the relay log: for a large one, and for a prepared branch that is being
 * committed. Can be done as often as needed (a retry reads it again). Finds a prepared branch there.
 *
 * Memory: the cursor's block, one event, or pieces of an oversized one.
 */
import { MillraceError } from '../base/errors.ts';
import { decodeXaPrepare } from '../binlog/control-events.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import { neutralFormatDescription } from '../binlog/format-description.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import type { PublishedEnd, RelayPosition } from '../relay/published-end.ts';
import { type RelayEvent, RelayLogCursor } from '../relay/relay-log-cursor.ts';
import { fileSet, relayFiles } from '../relay/relay-log-location.ts';
import { payloadEvents } from './payload-events.ts';
import type { StoredTransaction } from './replay-context.ts';
import type { EventView } from './transaction.ts';
import { normalXid } from './xa-branch.ts';

const PIECE = 768 * 1024;

export function readStoredTransaction(
  dir: string,
  published: PublishedEnd,
  location: RelayPosition,
): StoredTransaction {
  const header = fileSet(dir, location.fileNumber);
  if (header === null) throw missing(location);
  return {
    fde: header.fde,
    formatDescription: neutralFormatDescription(header.rawFormatDescription),
    events: storedEvents(dir, published, location),
  };
}

/** True: the transaction that begins there has this id. */
export function holdsTransaction(
  dir: string,
  published: PublishedEnd,
  place: RelayPosition,
  id: string,
): boolean {
  if (fileSet(dir, place.fileNumber) === null) return false;
  const cursor = RelayLogCursor.open({ dir, published, from: place });
  try {
    // By positions a transaction's name is known with its last event only.
    for (;;) {
      const event = cursor.next();
      if (event === null) return false;
      if (event.id !== null) return transactionIdText(event.id) === id;
      if (event.place === 'end' || event.place === 'single') return false;
    }
  } catch (error) {
    if (error instanceof MillraceError) return false;
    throw error;
  } finally {
    cursor.close();
  }
}

/**
 * Where the newest transaction before `end` begins that prepared the branch `xid` (as `normalXid` spells it); null: none in the
 * relay log. Reads file after file, backwards: a branch is mostly ended soon.
 */
export function findPrepared(
  dir: string,
  published: PublishedEnd,
  xid: string,
  end: RelayPosition,
): RelayPosition | null {
  for (const fileNumber of relayFiles(dir).reverse()) {
    const found = fileNumber > end.fileNumber ? null : lastPrepared(dir, published, xid, fileNumber, end);
    if (found !== null) return found;
  }
  return null;
}

function lastPrepared(
  dir: string,
  published: PublishedEnd,
  xid: string,
  fileNumber: number,
  end: RelayPosition,
): RelayPosition | null {
  if (fileSet(dir, fileNumber) === null) return null;
  const cursor = RelayLogCursor.open({ dir, published, from: { fileNumber, offset: 0 } });
  let begin: RelayPosition | null = null;
  let found: RelayPosition | null = null;
  try {
    for (;;) {
      const event = cursor.next();
      if (event === null || event.fileNumber !== fileNumber) return found;
      if (fileNumber === end.fileNumber && event.offset >= end.offset) return found;
      if (event.place === 'begin') begin = { fileNumber, offset: event.offset };
      for (const { type, buf, start, end: after } of plainEvents(cursor, event)) {
        if (type !== EventType.XA_PREPARE_LOG_EVENT) continue;
        if (normalXid(decodeXaPrepare(buf, start + EVENT_HEADER_LENGTH, after)) === xid) found = begin;
      }
    }
  } finally {
    cursor.close();
  }
}

function plainEvents(cursor: RelayLogCursor, event: RelayEvent): Iterable<EventView> {
  return event.type === EventType.TRANSACTION_PAYLOAD_EVENT
    ? innerEvents(cursor, event)
    : [view(cursor, event)];
}

function missing(location: RelayPosition): MillraceError {
  return new MillraceError('RELAY_CORRUPT', 'the relay log no longer holds the transaction', {
    facts: { fileNumber: location.fileNumber, offset: location.offset },
  });
}

/** Opened when it is read, closed when that ends, however it ends. */
function* storedEvents(dir: string, published: PublishedEnd, location: RelayPosition): Generator<EventView> {
  const cursor = RelayLogCursor.open({ dir, published, from: location });
  try {
    for (let first = true; ; first = false) {
      const event = cursor.next();
      if (event === null || (first && event.place !== 'begin' && event.place !== 'single')) {
        throw missing(location);
      }
      yield* plainEvents(cursor, event);
      if (event.place === 'end' || event.place === 'single') return;
    }
  } finally {
    cursor.close();
  }
}

function* innerEvents(cursor: RelayLogCursor, event: RelayEvent): Generator<EventView> {
  const { events } = payloadEvents(event, (offset, length) => cursor.readOversized(event, offset, length));
  for (const buf of events()) {
    const type = buf[4]!;
    yield { type, buf, start: 0, end: buf.length, last: type === EventType.XID_EVENT, oversized: null };
  }
}

function view(cursor: RelayLogCursor, event: RelayEvent): EventView {
  const { type, buf, start, end } = event;
  const last = event.place === 'end' || event.place === 'single';
  if (!event.oversized) return { type, buf, start, end, last, oversized: null };
  const length = event.rawLength - (event.fde.checksum === 'crc32' ? 4 : 0);
  return {
    type,
    buf,
    start,
    end,
    last,
    oversized: {
      length,
      *pieces() {
        for (let at = 0; at < length; at += PIECE) {
          yield cursor.readOversized(event, at, Math.min(PIECE, length - at));
        }
      },
    },
  };
}
