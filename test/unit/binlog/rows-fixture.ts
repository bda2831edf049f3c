/**
 * Reads the rows out of a recorded binary log, in the order in which they were written.
 */
import { readFileSync } from 'node:fs';
import { type TableDecoder, tableDecoder } from '../../../src/binlog/column-values.ts';
import { EVENT_HEADER_LENGTH, EventType, readEventHeader } from '../../../src/binlog/event-header.ts';
import {
  checksumLength,
  decodeFormatDescription,
  type FormatDescription,
} from '../../../src/binlog/format-description.ts';
import { decodeRows, type RowChange } from '../../../src/binlog/row-values.ts';
import { isRowsEvent } from '../../../src/binlog/rows-event.ts';
import { decodeTableMap } from '../../../src/binlog/table-map.ts';

const FIXTURES = new URL('../../fixtures/', import.meta.url);

export interface RecordedEvent {
  readonly buf: Buffer;
  readonly type: number;
  /** The body: behind the header, before the checksum. */
  readonly start: number;
  readonly end: number;
  readonly fde: FormatDescription;
}

export interface RecordedRows extends RecordedEvent {
  readonly table: TableDecoder;
  readonly name: string;
  readonly mapStart: number;
  readonly mapEnd: number;
}

export function recordedEvents(file: string): RecordedEvent[] {
  const buf = readFileSync(new URL(file, FIXTURES));
  const events: RecordedEvent[] = [];
  let fde: FormatDescription | null = null;
  for (let at = 4; at < buf.length; ) {
    const { type, eventLength } = readEventHeader(buf, at);
    if (type === EventType.FORMAT_DESCRIPTION_EVENT) fde = decodeFormatDescription(buf, at, at + eventLength);
    const end = at + eventLength - checksumLength(fde!);
    events.push({ buf, type, start: at + EVENT_HEADER_LENGTH, end, fde: fde! });
    at += eventLength;
  }
  return events;
}

/** Every rows event of the file with the decoder of its table. */
export function recordedRows(file: string): RecordedRows[] {
  const found: RecordedRows[] = [];
  let map: RecordedEvent | null = null;
  for (const event of recordedEvents(file)) {
    if (event.type === EventType.TABLE_MAP_EVENT) map = event;
    if (!isRowsEvent(event.type)) continue;
    const { buf, start, end, fde } = map!;
    const table = tableDecoder(decodeTableMap(buf, start, end), fde.flavour, { fractionDigits: () => 0 });
    found.push({ ...event, table, name: table.map.table, mapStart: start, mapEnd: end });
  }
  return found;
}

export function changesOf(event: RecordedRows): RowChange[] {
  return [
    ...decodeRows(event.table, event.buf, event.start, event.end, event.type, event.fde.postHeaderLengths),
  ];
}

/** The changes of one table in order, one list over all its events. */
export function changesOfTable(file: string, name: string): RowChange[] {
  return recordedRows(file)
    .filter((event) => event.name === name)
    .flatMap(changesOf);
}

/** The rows that were inserted into a table. */
export function insertedRows(file: string, name: string): unknown[][] {
  return changesOfTable(file, name)
    .filter((change) => change.before === null)
    .map((change) => [...change.after!]);
}

/** The table's decoder as its n-th rows event (from 0) has it. */
export function tableOf(file: string, name: string, n = 0): TableDecoder {
  return recordedRows(file).filter((event) => event.name === name)[n]!.table;
}
