import { describe, expect, test } from 'vitest';
import { EventFlag, EventType } from '../../../src/binlog/event-header.ts';
import { MariadbGtidFlag } from '../../../src/binlog/gtid-events.ts';
import { type EventPlace, TransactionBoundary } from '../../../src/binlog/transaction-boundary.ts';
import {
  buildEvent,
  buildGtid,
  buildMariadbGtid,
  buildQuery,
  buildRows,
  buildXid,
  describeFormat,
} from '../../support/binlog-builder.ts';

const T = EventType;
const SID = '11111111-1111-1111-1111-111111111111';

function placesOf(events: Buffer[], flavour: 'mysql' | 'mariadb' = 'mysql'): EventPlace[] {
  const boundary = new TransactionBoundary(describeFormat(flavour));
  return events.map((event) => boundary.feed(event, 0, event.length));
}

const gtid = buildGtid(5n);
const begin = buildQuery('BEGIN');
const commit = buildQuery('COMMIT');
const insert = buildQuery('INSERT INTO t VALUES (1)');
const xaStart = buildQuery("XA START X'61',X'',1");
const xaEnd = buildQuery("XA END X'61',X'',1");
const tableMap = buildEvent(T.TABLE_MAP_EVENT, Buffer.alloc(20));
const rows = buildRows(T.WRITE_ROWS_EVENT, 1);
const xid = buildXid();
const xaPrepare = buildEvent(T.XA_PREPARE_LOG_EVENT, Buffer.alloc(13));
const payload = buildEvent(T.TRANSACTION_PAYLOAD_EVENT, Buffer.alloc(9));
const intvar = buildEvent(T.INTVAR_EVENT, Buffer.alloc(9));
const rowsQuery = buildEvent(T.ROWS_QUERY_LOG_EVENT, Buffer.from('x'));
const anonymous = buildGtid(0n, { type: T.ANONYMOUS_GTID_LOG_EVENT, uuidByte: 0, sequenceNumber: 3n });
const rotate = buildEvent(T.ROTATE_EVENT, Buffer.alloc(12));
const unknown = (flags: number) => buildEvent(77, Buffer.alloc(3), { flags });

describe('MySQL', () => {
  test.each<[string, Buffer[], string]>([
    ['rows', [gtid, begin, tableMap, rows, xid], 'begin inside inside inside end'],
    ['nothing', [gtid, begin, commit], 'begin inside end'],
    ['a DDL statement', [gtid, buildQuery('CREATE TABLE t (a INT)')], 'begin end'],
    [
      'a table created and filled',
      [gtid, begin, buildQuery('CREATE TABLE t (a INT) START TRANSACTION'), tableMap, rows, xid],
      'begin inside inside inside inside end',
    ],
    ['a statement and its context', [gtid, begin, intvar, insert, xid], 'begin inside inside inside end'],
    [
      'context before the statement that is all',
      [gtid, intvar, rowsQuery, insert],
      'begin inside inside end',
    ],
    ['another engine', [gtid, begin, insert, commit], 'begin inside inside end'],
    ['changes rolled back', [gtid, begin, insert, buildQuery('rollback')], 'begin inside inside end'],
    [
      'a part rolled back',
      [gtid, begin, buildQuery('SAVEPOINT `s`'), insert, buildQuery('ROLLBACK TO `s`'), xid],
      'begin inside inside inside inside end',
    ],
    ['a compressed transaction', [gtid, payload], 'begin end'],
    [
      'an XA transaction, prepared',
      [gtid, xaStart, tableMap, rows, xaEnd, xaPrepare],
      'begin inside inside inside inside end',
    ],
    ['its commit', [gtid, buildQuery("XA COMMIT X'61',X'',1")], 'begin end'],
    ['its rollback', [gtid, buildQuery("XA ROLLBACK X'61',X'',1")], 'begin end'],
    [
      'an XA transaction rolled back before it was prepared',
      [gtid, xaStart, insert, xaEnd, buildQuery("XA ROLLBACK X'61',X'',1")],
      'begin inside inside inside end',
    ],
    [
      'a file loaded',
      [
        gtid,
        begin,
        buildEvent(T.BEGIN_LOAD_QUERY_EVENT),
        buildEvent(T.APPEND_BLOCK_EVENT),
        buildEvent(T.EXECUTE_LOAD_QUERY_EVENT),
        xid,
      ],
      'begin inside inside inside inside end',
    ],
    [
      'a change of group members',
      [gtid, begin, buildEvent(T.VIEW_CHANGE_EVENT), commit],
      'begin inside inside end',
    ],
    ['anonymous', [anonymous, begin, rows, xid, anonymous, insert], 'begin inside inside end begin end'],
    [
      'what may be ignored',
      [gtid, unknown(EventFlag.IGNORABLE), begin, unknown(EventFlag.IGNORABLE), xid],
      'begin inside inside inside end',
    ],
  ])('a transaction of %s', (_what, events, places) => {
    expect(placesOf(events).join(' ')).toBe(places);
  });

  test('two transactions with control events around them', () => {
    const control = [
      T.FORMAT_DESCRIPTION_EVENT,
      T.PREVIOUS_GTIDS_LOG_EVENT,
      T.STOP_EVENT,
      T.HEARTBEAT_LOG_EVENT_V2,
    ];
    const between = control.map((type) => buildEvent(type));
    const stream = [...between, gtid, insert, rotate, unknown(EventFlag.IGNORABLE), gtid, begin, xid];
    expect(placesOf(stream).join(' ')).toBe(
      'between between between between begin end between between begin inside end',
    );
  });
});

describe('without GTID events', () => {
  test.each<[string, Buffer[], string]>([
    ['rows', [begin, tableMap, rows, xid], 'begin inside inside end'],
    ['a lone statement', [insert, insert], 'single single'],
    ['a lone statement with its context', [intvar, intvar, insert], 'begin inside end'],
    ['an XA transaction', [xaStart, insert, xaEnd, xaPrepare], 'begin inside inside end'],
  ])('a transaction of %s', (_what, events, places) => {
    expect(placesOf(events).join(' ')).toBe(places);
  });

  test('once a GTID event was seen, every transaction has one', () => {
    for (const nameless of [insert, begin, intvar]) {
      expect(() => placesOf([gtid, insert, nameless])).toThrow(
        expect.objectContaining({ code: 'UNEXPECTED_EVENT' }),
      );
    }
  });
});

describe('MariaDB', () => {
  const plain = buildMariadbGtid(1n, MariadbGtidFlag.TRANSACTIONAL);
  const standalone = buildMariadbGtid(1n, MariadbGtidFlag.STANDALONE);
  const annotate = buildEvent(T.MARIADB_ANNOTATE_ROWS_EVENT);
  const rowsV1 = (flags: number) => buildRows(T.WRITE_ROWS_EVENT_V1, flags);
  const noXid = Buffer.alloc(6);

  test.each<[string, Buffer[], string]>([
    ['rows', [plain, annotate, tableMap, rowsV1(1), xid], 'begin inside inside inside end'],
    ['statements', [plain, insert, insert, commit], 'begin inside inside end'],
    ['a statement by itself', [standalone, intvar, insert], 'begin inside end'],
    [
      'a compressed statement by itself',
      [standalone, buildQuery('…', Buffer.alloc(0), T.MARIADB_QUERY_COMPRESSED_EVENT)],
      'begin end',
    ],
    [
      'a compressed statement among others',
      [plain, buildQuery('…', Buffer.alloc(0), T.MARIADB_QUERY_COMPRESSED_EVENT), xid],
      'begin inside end',
    ],
    ['rows by themselves', [standalone, tableMap, rowsV1(0), rowsV1(1)], 'begin inside inside end'],
    [
      'a file loaded by itself',
      [standalone, buildEvent(T.BEGIN_LOAD_QUERY_EVENT), buildEvent(T.EXECUTE_LOAD_QUERY_EVENT)],
      'begin inside end',
    ],
    [
      'an XA transaction, prepared',
      [buildMariadbGtid(1n, MariadbGtidFlag.PREPARED_XA, noXid), insert, xaEnd, xaPrepare],
      'begin inside inside end',
    ],
    [
      'its commit',
      [buildMariadbGtid(1n, MariadbGtidFlag.COMPLETED_XA, noXid), buildQuery("XA COMMIT X'61',X'',1")],
      'begin end',
    ],
  ])('a transaction of %s', (_what, events, places) => {
    expect(placesOf(events, 'mariadb').join(' ')).toBe(places);
  });

  test('its head names domain, server and number, and keeps what scheduling needs', () => {
    const boundary = new TransactionBoundary(describeFormat('mariadb'));
    const commitId = Buffer.alloc(8);
    commitId.writeBigUInt64LE(99n);
    const event = buildMariadbGtid(77n, MariadbGtidFlag.GROUP_COMMIT_ID, commitId);
    event.writeUInt32LE(10, 5);
    event.writeUInt32LE(3, 19 + 8);
    boundary.feed(event, 0, event.length);
    expect(boundary.head).toMatchObject({
      id: { kind: 'mariadb', domainId: 3, serverId: 10, seqNo: 77n },
      lastCommitted: 0,
      sequenceNumber: 0,
      immediateCommitMicros: null,
      mariadb: { domainId: 3, flags: 2, extraFlags: 0, commitId: 99n },
      timestamp: 1_700_000_000,
    });
  });
});

describe('the head', () => {
  test('is that of the event fed last: from the first event of a transaction to its last, null between', () => {
    const boundary = new TransactionBoundary(describeFormat('mysql'));
    const feed = (event: Buffer) => {
      boundary.feed(event, 0, event.length);
      return boundary.head;
    };
    expect(boundary.head).toBeNull();
    expect(feed(rotate)).toBeNull();
    const head = feed(gtid);
    expect(head).toEqual({
      id: { kind: 'gtid', sid: SID, gno: 5n },
      lastCommitted: 4,
      sequenceNumber: 5,
      immediateCommitMicros: null,
      originalCommitMicros: null,
      transactionLength: null,
      immediateServerVersion: null,
      originalServerVersion: null,
      mariadb: null,
      timestamp: 1_700_000_000,
    });
    for (const event of [begin, tableMap, rows, xid]) expect(feed(event)).toBe(head);
    expect(boundary.open).toBe(false);
    expect(feed(rotate)).toBeNull();
  });

  test('of an anonymous transaction has a clock but no id', () => {
    const boundary = new TransactionBoundary(describeFormat('mysql'));
    boundary.feed(anonymous, 0, anonymous.length);
    expect(boundary.head).toMatchObject({ id: null, lastCommitted: 2, sequenceNumber: 3 });
  });
});

describe('what breaks the order', () => {
  test.each<[string, Buffer[]]>([
    ['a GTID inside of a transaction', [gtid, begin, gtid]],
    ['two GTIDs', [gtid, gtid]],
    ['BEGIN inside of a transaction', [gtid, begin, begin]],
    ['XA START inside of a transaction', [gtid, begin, xaStart]],
    ['rows without BEGIN', [gtid, tableMap]],
    ['rows outside', [rows]],
    ['an XID outside', [xid]],
    ['an XID without BEGIN', [gtid, xid]],
    ['COMMIT outside', [commit]],
    ['COMMIT without BEGIN', [gtid, commit]],
    ['XA END without XA START', [gtid, xaEnd]],
    ['a payload outside', [payload]],
    ['a payload inside of a group', [gtid, begin, payload]],
    ['the text of a statement outside', [rowsQuery]],
    ['a ROTATE inside of a transaction', [gtid, begin, rotate]],
    ['a STOP inside of a transaction', [gtid, buildEvent(T.STOP_EVENT)]],
    ['a heartbeat inside of a transaction', [gtid, begin, buildEvent(T.HEARTBEAT_LOG_EVENT)]],
    ['LOAD DATA without BEGIN', [gtid, buildEvent(T.EXECUTE_LOAD_QUERY_EVENT)]],
  ])('%s', (_what, events) => {
    expect(() => placesOf(events)).toThrow(expect.objectContaining({ code: 'UNEXPECTED_EVENT' }));
  });

  test('an unknown type, inside and outside', () => {
    for (const before of [[], [gtid, begin]]) {
      expect(() => placesOf([...before, unknown(0)])).toThrow(
        expect.objectContaining({ code: 'UNKNOWN_EVENT', message: expect.stringContaining('event type 77') }),
      );
    }
  });

  test('an incident, with its message', () => {
    const event = buildEvent(T.INCIDENT_EVENT, Buffer.from([1, 0, 4, ...Buffer.from('lost')]));
    expect(() => placesOf([gtid, event])).toThrow(
      expect.objectContaining({ code: 'SOURCE_INCIDENT', message: expect.stringContaining('lost') }),
    );
  });

  test('a GTID with number 0 and an event shorter than a header', () => {
    expect(() => placesOf([buildGtid(0n, { sequenceNumber: 1n })])).toThrow(
      expect.objectContaining({ code: 'MALFORMED_EVENT' }),
    );
    expect(() => placesOf([Buffer.alloc(18)])).toThrow(expect.objectContaining({ code: 'MALFORMED_EVENT' }));
  });

  test('leaves the boundary where it was', () => {
    const boundary = new TransactionBoundary(describeFormat('mysql'));
    boundary.feed(gtid, 0, gtid.length);
    boundary.feed(begin, 0, begin.length);
    expect(() => boundary.feed(gtid, 0, gtid.length)).toThrow();
    expect(boundary.open).toBe(true);
    expect(boundary.feed(xid, 0, xid.length)).toBe('end');
  });
});

test('restart forgets an unfinished transaction', () => {
  const boundary = new TransactionBoundary(describeFormat('mysql'));
  boundary.feed(gtid, 0, gtid.length);
  boundary.restart(describeFormat('mysql'));
  expect(boundary.open).toBe(false);
  expect(boundary.head).toBeNull();
  expect(boundary.feed(insert, 0, insert.length)).toBe('single');
});

test('of a large event its beginning is enough', () => {
  const large = buildQuery(`COMMIT ${'x'.repeat(200_000)}`, Buffer.alloc(0));
  const boundary = new TransactionBoundary(describeFormat('mysql'));
  boundary.feed(gtid, 0, gtid.length);
  boundary.feed(begin, 0, begin.length);
  expect(boundary.feed(large, 0, 1024)).toBe('inside');
  const longVars = buildQuery('INSERT', Buffer.alloc(5000));
  longVars.writeUInt32LE(300_000, 9);
  expect(boundary.feed(longVars, 0, 1024)).toBe('inside');
});
