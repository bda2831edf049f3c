import { describe, expect, test } from 'vitest';
import { type Joining, MergedRows } from '../../../src/applier/merged-rows.ts';
import { StatementMemory } from '../../../src/applier/statement-memory.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../../../src/binlog/event-header.ts';

const TABLE_ID = Buffer.from([7, 0, 0, 0, 0, 0]);
const STMT_END = 1;
const WHOLE = 1024 * 1024;

function event(type: number, when: number, ...body: readonly Buffer[]): Buffer {
  const header = Buffer.alloc(EVENT_HEADER_LENGTH);
  const bytes = Buffer.concat([header, ...body]);
  bytes.writeUInt32LE(when, 0);
  bytes[4] = type;
  bytes.writeUInt32LE(bytes.length, 9);
  return bytes;
}

function u16(value: number): Buffer {
  return Buffer.from([value & 0xff, value >> 8]);
}

/** Of d.t, with one INT. */
function tableMap(when: number, table = 't'): Buffer {
  const names = Buffer.from(`\x01d\0\x01${table}\0`, 'latin1');
  return event(EventType.TABLE_MAP_EVENT, when, TABLE_ID, u16(1), names, Buffer.from([1, 3, 0, 0]));
}

function insert(when: number, value: number): Buffer {
  const row = Buffer.from([1, 1, 0, value, 0, 0, 0]);
  return event(EventType.WRITE_ROWS_EVENT, when, TABLE_ID, u16(STMT_END), u16(2), row);
}

function update(when: number, value: number): Buffer {
  const row = Buffer.from([1, 1, 1, 0, value, 0, 0, 0, 0, value + 1, 0, 0, 0]);
  return event(EventType.UPDATE_ROWS_EVENT, when, TABLE_ID, u16(STMT_END), u16(2), row);
}

/** What the server is given for these statements of the source: names of types, and when. */
function merged(statements: readonly (readonly Buffer[])[], joining: Joining): string[] {
  const rows = new MergedRows(
    { bytesMax: WHOLE, knowsSqlForeignKeys: true, memory: new StatementMemory() },
    joining,
  );
  for (const [map, ...events] of statements) {
    rows.addTableMap(map!, 0, map!.length);
    for (const each of events) rows.addRows(each, 0, each.length);
  }
  const bytes = Buffer.from(rows.take()[1]!.toString('latin1'), 'base64');
  const events: string[] = [];
  for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 9)) {
    const type = bytes[at + 4] === EventType.TABLE_MAP_EVENT ? 'map' : 'rows';
    events.push(`${type} ${bytes.readUInt32LE(at)}, ${bytes.readUInt32LE(at + 9)} bytes`);
  }
  return events;
}

describe('merged rows', () => {
  test('of one second are one event, behind one table map', () => {
    const inserts = [1, 2, 3].map((value) => [tableMap(1000), insert(1000, value)]);
    expect(merged(inserts, 'all but updates')).toEqual(['map 1000, 37 bytes', 'rows 1000, 46 bytes']);
    const updates = [1, 2].map((value) => [tableMap(1000), update(1000, value)]);
    expect(merged(updates, 'all')).toEqual(['map 1000, 37 bytes', 'rows 1000, 52 bytes']);
    expect(merged(updates, 'all but updates')).toHaveLength(3);
  });

  test('of two seconds are two statements: the server’s clock is that of the first event of one', () => {
    const inserts = [1000, 1007].map((when) => [tableMap(when), insert(when, 1)]);
    const wanted = ['map 1000, 37 bytes', 'rows 1000, 36 bytes', 'map 1007, 37 bytes', 'rows 1007, 36 bytes'];
    expect(merged(inserts, 'all but updates')).toEqual(wanted);
    expect(merged(inserts, 'all')).toEqual(wanted);
    const updates = [1000, 1007].map((when) => [tableMap(when), update(when, 1)]);
    expect(merged(updates, 'all').map((each) => each.split(',')[0])).toEqual([
      'map 1000',
      'rows 1000',
      'map 1007',
      'rows 1007',
    ]);
  });

  test('of a table whose number names another one now have its map again', () => {
    const both = [
      [tableMap(1000, 't'), insert(1000, 1)],
      [tableMap(1000, 'u'), insert(1000, 2)],
    ];
    expect(merged(both, 'all').map((each) => each.split(' ')[0])).toEqual(['map', 'rows', 'map', 'rows']);
  });
});
