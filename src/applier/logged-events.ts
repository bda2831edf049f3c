/**
 * The events of the relay log as those take them who ask what a transaction changes (rules/change-reader.ts): a large one with
 * a way to its bytes, the inner ones of a compressed transaction in its place.
 */
import { EventType } from '../binlog/event-header.ts';
import { checksumLength } from '../binlog/format-description.ts';
import type { RelayEvent, RelayLogCursor } from '../relay/relay-log-cursor.ts';
import type { LoggedEvent } from '../rules/change-reader.ts';
import { payloadEvents } from './payload-events.ts';

export function isPayload({ type }: RelayEvent): boolean {
  return type === EventType.TRANSACTION_PAYLOAD_EVENT;
}

/** A view, valid until the cursor moves on. */
export function loggedEvent(cursor: RelayLogCursor, event: RelayEvent): LoggedEvent {
  const { buf, start, end, type, fde } = event;
  if (!event.oversized) return { buf, start, end, type, fde, oversized: null };
  const length = event.rawLength - checksumLength(fde);
  const read = (offset: number, wanted: number): Buffer => cursor.readOversized(event, offset, wanted);
  return { buf, start, end, type, fde, oversized: { length, read } };
}

/**
 * The events inside of a payload, each a view that is valid until the next one. Throws MALFORMED_EVENT, UNSUPPORTED for what
 * the payload is; RELAY_CORRUPT, DISK for what cannot be read.
 */
export function* unpackedEvents(cursor: RelayLogCursor, payload: RelayEvent): Generator<LoggedEvent> {
  const { fde } = payload;
  const { events } = payloadEvents(payload, (offset, length) =>
    cursor.readOversized(payload, offset, length),
  );
  for (const buf of events()) {
    yield { buf, start: 0, end: buf.length, type: buf[4]!, fde, oversized: null };
  }
}
