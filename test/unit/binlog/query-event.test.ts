import { describe, expect, test } from 'vitest';
import { EVENT_HEADER_LENGTH, EventType } from '../../../src/binlog/event-header.ts';
import { decodeQuery, type QueryContext, queryVerb } from '../../../src/binlog/query-event.ts';
import { buildQuery, describeFormat } from '../../support/binlog-builder.ts';
import { readFixture } from '../../support/binlog-fixture.ts';

const malformed = expect.objectContaining({ code: 'MALFORMED_EVENT' });

function queryAt(name: string, start: number) {
  const { bytes, events, fde } = readFixture(name);
  const event = events.find((each) => each.start === start)!;
  const query = decodeQuery(bytes, start + EVENT_HEADER_LENGTH, event.end, fde);
  return { ...query, sql: bytes.toString('utf8', query.sqlStart, query.sqlEnd) };
}

/** The variables that the event carries. */
const carried = (context: QueryContext): Partial<QueryContext> =>
  Object.fromEntries(Object.entries(context).filter(([, value]) => value !== null));

const DEFAULT_97 = {
  flags2: 0,
  sqlMode: 1168113696n,
  catalog: 'std',
  charset: { client: 255, connection: 255, server: 255 },
  defaultCollationForUtf8mb4: 255,
};

describe('MySQL 9.7', () => {
  test('DDL: what mysqlbinlog prints', () => {
    const query = queryAt('mysql-9.7/gtid-transactions.binlog', 235);
    expect(query).toMatchObject({
      threadId: 12,
      execTime: 0,
      errorCode: 0,
      database: 'shop',
      sql: 'CREATE DATABASE shop',
    });
    expect(carried(query.statusVars)).toEqual({
      ...DEFAULT_97,
      updatedDbNames: ['shop'],
      ddlXid: 21n,
      defaultTableEncryption: 0,
    });
  });

  test('every variable that travels', () => {
    const changed = {
      flags2: 0x0c00_4000,
      sqlMode: 0x10_0004n,
      catalog: 'std',
      autoIncrement: { increment: 3, offset: 2 },
      charset: { client: 8, connection: 8, server: 5 },
      lcTimeNames: 4,
      defaultCollationForUtf8mb4: 45,
    };
    const create = queryAt('mysql-9.7/session-context.binlog', 519);
    expect(carried(create.statusVars)).toEqual({
      ...changed,
      updatedDbNames: ['shop'],
      ddlXid: 157n,
      explicitDefaultsForTimestamp: false,
      sqlRequirePrimaryKey: 1,
    });
    const insert = queryAt('mysql-9.7/session-context.binlog', 849);
    expect(carried(insert.statusVars)).toEqual({
      ...changed,
      timeZone: '+02:00',
      updatedDbNames: ['shop'],
      microseconds: 123456,
      enableCascadeTriggers: 1,
    });
    const view = queryAt('mysql-9.7/session-context.binlog', 1093);
    expect(carried(view.statusVars)).toEqual({
      ...changed,
      invoker: { user: 'root', host: 'localhost' },
      updatedDbNames: ['shop'],
      ddlXid: 159n,
    });
    expect(view.sql).toMatch(/^CREATE ALGORITHM=UNDEFINED DEFINER="root"@"localhost" .* VIEW "seen" AS /);
  });
});

describe('MariaDB 10.11', () => {
  test('a statement with microseconds and its own variables', () => {
    const query = queryAt('mariadb-10.11/statement-format.binlog', 2393);
    expect(query).toMatchObject({ database: 'shop', sql: 'INSERT INTO counted (a, b) VALUES (1, NOW(6))' });
    expect(carried(query.statusVars)).toEqual({
      flags2: 0x0500_8000,
      sqlMode: 1411383296n,
      catalog: 'std',
      autoIncrement: { increment: 3, offset: 2 },
      charset: { client: 8, connection: 8, server: 8 },
      timeZone: '+02:00',
      lcTimeNames: 4,
      mariadbHrnow: 123456,
    });
  });

  test('the two halves of an ALTER', () => {
    const start = queryAt('mariadb-10.11/transactions.binlog', 4711);
    expect(start.statusVars).toMatchObject({
      mariadbAlter: { flags: 2, startSeqNo: null },
      mariadbXid: null,
    });
    const commit = queryAt('mariadb-10.11/transactions.binlog', 4863);
    expect(commit.statusVars).toMatchObject({ mariadbAlter: { flags: 4, startSeqNo: 14n }, mariadbXid: 50n });
  });
});

describe('variables that these servers do not write', () => {
  const varsOf = (bytes: number[]): Partial<QueryContext> => {
    const event = buildQuery('SELECT 1', Buffer.from(bytes));
    return carried(decodeQuery(event, EVENT_HEADER_LENGTH, event.length, describeFormat('mysql')).statusVars);
  };

  test.each<[string, number[], Partial<QueryContext>]>([
    ['the catalog with a NUL, of 5.0.3', [2, 3, 0x73, 0x74, 0x64, 0], { catalog: 'std' }],
    ['the collation of the database', [8, 33, 0], { charsetDatabase: 33 }],
    ['the tables of a multi-table update', [9, 5, 0, 0, 0, 0, 0, 0, 0], { tableMapForUpdate: 5n }],
    ['the length on the first server', [10, 1, 2, 3, 4, 7, 1, 0], { lcTimeNames: 1 }],
    ['too many databases to name', [12, 254, 7, 1, 0], { lcTimeNames: 1 }],
    ['several databases', [12, 2, 0x61, 0, 0x62, 0x63, 0], { updatedDbNames: ['a', 'bc'] }],
    [
      'collations of character sets, before a lower code',
      [131, 1, 45, 0, 46, 0, 7, 1, 0],
      {
        mariadbCollations: [[45, 46]],
        lcTimeNames: 1,
      },
    ],
  ])('%s', (_what, bytes, expected) => {
    expect(varsOf(bytes)).toEqual(expected);
  });

  test('an unknown code ends the reading and is named', () => {
    expect(varsOf([7, 1, 0, 99, 1, 2, 3])).toEqual({ lcTimeNames: 1, unknownFrom: 99 });
  });

  test.each([
    ['a number cut off', [1, 0, 0]],
    ['a text longer than the block', [5, 200, 0x61]],
    ['a database name without its NUL', [12, 1, 0x61, 0x62]],
    ['more databases than bytes', [12, 9, 0x61, 0]],
  ])('%s is damage', (_what, bytes) => {
    expect(() => varsOf(bytes)).toThrow(malformed);
  });
});

describe('lengths', () => {
  const event = buildQuery('COMMIT', Buffer.from([7, 1, 0]));
  const fde = describeFormat('mysql');

  test('a body cut off before its statement is damage; a statement cut off is only shorter', () => {
    const sqlStart = event.length - 'COMMIT'.length;
    for (let end = EVENT_HEADER_LENGTH; end < sqlStart; end++) {
      expect(() => decodeQuery(event, EVENT_HEADER_LENGTH, end, fde)).toThrow(malformed);
      expect(() => queryVerb(event, EVENT_HEADER_LENGTH, end)).toThrow(malformed);
    }
    expect(decodeQuery(event, EVENT_HEADER_LENGTH, sqlStart, fde)).toMatchObject({
      sqlStart,
      sqlEnd: sqlStart,
    });
    expect(queryVerb(event, EVENT_HEADER_LENGTH, sqlStart)).toBe('other');
    expect(queryVerb(event, EVENT_HEADER_LENGTH, event.length)).toBe('commit');
  });

  test('a longer post-header of a later version is passed over', () => {
    const postHeaderLengths = new Uint8Array(42);
    postHeaderLengths[EventType.QUERY_EVENT - 1] = 15;
    const longer = Buffer.concat([event.subarray(0, 32), Buffer.from([9, 9]), event.subarray(32)]);
    const query = decodeQuery(longer, EVENT_HEADER_LENGTH, longer.length, { ...fde, postHeaderLengths });
    expect(longer.toString('latin1', query.sqlStart, query.sqlEnd)).toBe('COMMIT');
  });

  test('a name without its NUL is damage', () => {
    const damaged = Buffer.from(event);
    damaged[EVENT_HEADER_LENGTH + 13 + 3 + 1] = 0x78;
    expect(() => decodeQuery(damaged, EVENT_HEADER_LENGTH, damaged.length, fde)).toThrow(malformed);
  });
});
