/**
 * Compares what a receiver wrote with what the source wrote: every event of every transaction, byte for byte and in
 * order. What belongs to a file and not to a transaction is passed over on both sides.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { EVENT_HEADER_LENGTH, EventType, eventTypeName } from '../../src/binlog/event-header.ts';

const MAGIC_LENGTH = 4;
const BLOCK_BYTES = 8 * 1024 * 1024;

const OF_THE_FILE: ReadonlySet<number> = new Set([
  EventType.FORMAT_DESCRIPTION_EVENT,
  EventType.PREVIOUS_GTIDS_LOG_EVENT,
  EventType.ROTATE_EVENT,
  EventType.STOP_EVENT,
  EventType.MARIADB_GTID_LIST_EVENT,
  EventType.MARIADB_BINLOG_CHECKPOINT_EVENT,
]);

export interface Equality {
  readonly events: number;
  readonly bytes: number;
}

/** Throws at the first difference, naming both places. */
export function compareTransactions(sourceFiles: readonly string[], relayFiles: readonly string[]): Equality {
  const theirs = transactionEvents(sourceFiles);
  const ours = transactionEvents(relayFiles);
  let events = 0;
  let bytes = 0;
  for (;;) {
    const expected = theirs.next().value;
    const found = ours.next().value;
    if (!expected && !found) return { events, bytes };
    if (!expected) throw new Error(`the source has nothing like ${found?.place}`);
    if (!found) throw new Error(`the relay log ends before ${expected.place}`);
    if (!expected.event.equals(found.event)) throw new Error(`${found.place} differs from ${expected.place}`);
    events++;
    bytes += expected.event.length;
  }
}

interface PlacedEvent {
  /** A view that the next step overwrites. */
  readonly event: Buffer;
  readonly place: string;
}

function* transactionEvents(files: readonly string[]): Generator<PlacedEvent, void> {
  for (const file of files) {
    const fd = openSync(file, 'r');
    try {
      for (const { event, offset } of eventsOf(fd, fstatSync(fd).size)) {
        const type = event[4]!;
        if (!OF_THE_FILE.has(type)) yield { event, place: `${eventTypeName(type)} at ${file}:${offset}` };
      }
    } finally {
      closeSync(fd);
    }
  }
}

function* eventsOf(fd: number, size: number): Generator<{ event: Buffer; offset: number }, void> {
  let block = Buffer.alloc(BLOCK_BYTES);
  let blockStart = 0;
  let filled = 0;
  for (let offset = MAGIC_LENGTH; offset < size; ) {
    const need = (length: number): void => {
      if (offset + length <= blockStart + filled) return;
      if (length > block.length) block = Buffer.alloc(length);
      blockStart = offset;
      filled = 0;
      while (filled < length) {
        const got = readSync(fd, block, filled, block.length - filled, blockStart + filled);
        if (got === 0) throw new Error(`the file ends inside of the event at ${offset}`);
        filled += got;
      }
    };
    need(EVENT_HEADER_LENGTH);
    const length = block.readUInt32LE(offset - blockStart + 9);
    need(length);
    yield { event: block.subarray(offset - blockStart, offset - blockStart + length), offset };
    offset += length;
  }
}
