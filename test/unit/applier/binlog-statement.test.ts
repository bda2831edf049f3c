import { describe, expect, test } from 'vitest';
import { BinlogStatement } from '../../../src/applier/binlog-statement.ts';
import { StatementMemory } from '../../../src/applier/statement-memory.ts';
import { EVENT_HEADER_LENGTH, EventType, writeEventHeader } from '../../../src/binlog/event-header.ts';

const STMT_END = 1;

function event(type: number, tableId: number, flags: number, padding = 0): Buffer {
  const buf = Buffer.alloc(EVENT_HEADER_LENGTH + 16 + padding);
  writeEventHeader(buf, 0, { timestamp: 0, type, serverId: 1, eventLength: buf.length, logPos: 0, flags: 0 });
  buf.writeUIntLE(tableId, EVENT_HEADER_LENGTH, 6);
  buf.writeUInt16LE(flags, EVENT_HEADER_LENGTH + 6);
  return buf;
}

class Builder {
  readonly statement = new BinlogStatement({
    bytesMax: 200,
    knowsSqlForeignKeys: true,
    memory: new StatementMemory(),
  });

  map(tableId: number): this {
    const buf = event(EventType.TABLE_MAP_EVENT, tableId, 0);
    this.statement.addTableMap(buf, 0, buf.length);
    return this;
  }

  rows(tableId: number, flags = 0, padding = 0): this {
    const buf = event(EventType.WRITE_ROWS_EVENT, tableId, flags, padding);
    this.statement.addRows(buf, 0, buf.length);
    return this;
  }

  /** 'map 1', 'rows 2', 'rows 2 END' … */
  take(): string[] {
    const text = Buffer.concat(this.statement.take()).toString('latin1');
    const bytes = Buffer.from(text.slice("BINLOG '".length, -1), 'base64');
    const events: string[] = [];
    for (let at = 0; at < bytes.length; at += bytes.readUInt32LE(at + 9)) {
      const id = bytes.readUIntLE(at + EVENT_HEADER_LENGTH, 6);
      const end = bytes.readUInt16LE(at + EVENT_HEADER_LENGTH + 6) & STMT_END;
      const map = bytes[at + 4] === EventType.TABLE_MAP_EVENT;
      events.push(map ? `map ${id}` : `rows ${id}${end ? ' END' : ''}`);
    }
    return events;
  }
}

describe('a row statement whose last event is left out', () => {
  test('ends with the last event that is kept', () => {
    const builder = new Builder().map(1).rows(1).rows(1);
    builder.statement.endRowStatement();
    builder.map(2).rows(2, STMT_END);
    expect(builder.take()).toEqual(['map 1', 'rows 1', 'rows 1 END', 'map 2', 'rows 2 END']);
  });

  test('leaves no table maps behind when none of its events is kept', () => {
    const builder = new Builder().map(1).rows(1, STMT_END).map(2).map(3);
    builder.statement.endRowStatement();
    expect(builder.statement.inRowStatement).toBe(false);
    builder.map(4).rows(4, STMT_END);
    expect(builder.take()).toEqual(['map 1', 'rows 1 END', 'map 4', 'rows 4 END']);
  });

  test('is over when what was kept of it was sent before', () => {
    const builder = new Builder().map(1).rows(1, 0, 200);
    expect(builder.take()).toEqual(['map 1', 'rows 1 END']);
    builder.statement.endRowStatement();
    expect(builder.statement.isEmpty).toBe(true);
    builder.map(2).rows(2, STMT_END);
    expect(builder.take()).toEqual(['map 2', 'rows 2 END']);
  });

  test('goes on with its maps after a part was sent, and ends there', () => {
    const builder = new Builder().map(1).map(2).rows(1, 0, 200);
    expect(builder.take()).toEqual(['map 1', 'map 2', 'rows 1 END']);
    builder.rows(2);
    builder.statement.endRowStatement();
    expect(builder.take()).toEqual(['map 1', 'map 2', 'rows 2 END']);
  });

  test('is nothing where no statement is open', () => {
    const builder = new Builder().map(1).rows(1, STMT_END);
    builder.statement.endRowStatement();
    expect(builder.take()).toEqual(['map 1', 'rows 1 END']);
  });
});
