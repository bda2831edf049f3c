/**
 * Reads one transaction from its place in the relay log: for a large one, and for a prepared branch that is being
 * committed. Can be done as often as needed (a retry reads it again).
 *
 * Memory: the cursor's block, one event, or pieces of an oversized one.
 */
import { MillraceError } from '../base/errors.ts';
import { EventType } from '../binlog/event-header.ts';
import { neutralFormatDescription } from '../binlog/format-description.ts';
import type { PublishedEnd, RelayPosition } from '../relay/published-end.ts';
import { type RelayEvent, RelayLogCursor } from '../relay/relay-log-cursor.ts';
import { payloadEvents } from './payload-events.ts';
import type { StoredTransaction } from './replay-context.ts';
import type { EventView } from './transaction.ts';

const PIECE = 768 * 1024;

export function readStoredTransaction(
  dir: string,
  published: PublishedEnd,
  location: RelayPosition,
): StoredTransaction {
  const cursor = RelayLogCursor.open({ dir, published, from: location });
  return {
    fde: cursor.header.fde,
    formatDescription: neutralFormatDescription(cursor.header.rawFormatDescription),
    events: storedEvents(cursor, location),
  };
}

function* storedEvents(cursor: RelayLogCursor, location: RelayPosition): Generator<EventView> {
  try {
    for (let first = true; ; first = false) {
      const event = cursor.next();
      if (event === null || (first && event.place !== 'begin' && event.place !== 'single')) {
        throw new MillraceError('RELAY_CORRUPT', 'the relay log no longer holds the transaction', {
          facts: { fileNumber: location.fileNumber, offset: location.offset },
        });
      }
      if (event.type === EventType.TRANSACTION_PAYLOAD_EVENT) yield* innerEvents(cursor, event);
      else yield view(cursor, event);
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
