import { describe, expect, test } from 'vitest';
import { verifyEvent } from '../../../src/binlog/checksum.ts';
import {
  decodeBinlogCheckpoint,
  decodeHeartbeat,
  decodeHeartbeatV2,
  decodeIncident,
  decodeIntvar,
  decodeMariadbGtidList,
  decodePreviousGtids,
  decodeRand,
  decodeRotate,
  decodeRowsQuery,
  decodeUserVar,
  decodeXaPrepare,
  decodeXid,
  encodeMariadbGtidList,
  encodePreviousGtids,
  encodeRotate,
  UserVarType,
} from '../../../src/binlog/control-events.ts';
import {
  EVENT_HEADER_LENGTH,
  EventFlag,
  EventType,
  readEventHeader,
} from '../../../src/binlog/event-header.ts';
import { GtidSet } from '../../../src/binlog/gtid-set.ts';
import { readFixture } from '../../support/binlog-fixture.ts';

const malformed = expect.objectContaining({ code: 'MALFORMED_EVENT' });

function bodies(name: string, type: number): (readonly [Buffer, number, number])[] {
  const { bytes, events } = readFixture(name);
  return events
    .filter((event) => event.type === type)
    .map((event) => [bytes, event.start + EVENT_HEADER_LENGTH, event.end] as const);
}

const bodyOf = (bytes: number[]): readonly [Buffer, number, number] => [Buffer.from(bytes), 0, bytes.length];

describe('events of real files', () => {
  test('ROTATE', () => {
    expect(
      bodies('mysql-9.7/xa.binlog', EventType.ROTATE_EVENT).map((each) => decodeRotate(...each)),
    ).toEqual([{ position: 4, fileName: 'binlog.000004' }]);
  });

  test('PREVIOUS_GTIDS, with tags', () => {
    const [body] = bodies('mysql-9.7/xa.binlog', EventType.PREVIOUS_GTIDS_LOG_EVENT);
    expect(decodePreviousGtids(...body!).toString()).toBe(
      '97000000-0000-11f0-8000-000000000001:1-11:night:1-2,' +
        '97000000-0000-11f0-8000-00000000000a:7,' +
        '97000000-0000-11f0-8000-00000000000b:70000:_:70000:a_tag_of_32_characters__________:9223372036854775806',
    );
  });

  test('GTID_LIST and BINLOG_CHECKPOINT', () => {
    const name = 'mariadb-10.11/group-commit.binlog';
    const [list] = bodies(name, EventType.MARIADB_GTID_LIST_EVENT);
    expect(decodeMariadbGtidList(...list!)).toEqual({
      flags: 0,
      gtids: [
        { domainId: 5, serverId: 10, seqNo: 1n },
        { domainId: 0, serverId: 10, seqNo: 28n },
      ],
    });
    const checkpoints = bodies(name, EventType.MARIADB_BINLOG_CHECKPOINT_EVENT);
    expect(checkpoints.map((each) => decodeBinlogCheckpoint(...each).fileName)).toEqual([
      'binlog.000003',
      'binlog.000004',
    ]);
  });

  test('XID', () => {
    const [xid] = bodies('mysql-9.7/anonymous.binlog', EventType.XID_EVENT);
    expect(decodeXid(...xid!)).toBe(14n);
  });

  test.each(['mysql-9.7/xa.binlog', 'mariadb-10.11/transactions.binlog'])('XA_PREPARE of %s', (name) => {
    const prepared = bodies(name, EventType.XA_PREPARE_LOG_EVENT).map((each) => decodeXaPrepare(...each));
    expect(prepared.slice(0, 2)).toEqual([
      { onePhase: false, formatId: 7, gtrid: Buffer.from('first'), bqual: Buffer.from('branch') },
      { onePhase: false, formatId: 1, gtrid: Buffer.from('00ff27', 'hex'), bqual: Buffer.alloc(0) },
    ]);
  });

  test('XA_PREPARE in one phase', () => {
    const last = bodies('mysql-9.7/xa.binlog', EventType.XA_PREPARE_LOG_EVENT)[2]!;
    expect(decodeXaPrepare(...last)).toMatchObject({ onePhase: true, gtrid: Buffer.from('one') });
  });

  test.each(['mysql-9.7/statement-format.binlog', 'mariadb-10.11/statement-format.binlog'])(
    'INTVAR, RAND and USER_VAR of %s',
    (name) => {
      const intvars = bodies(name, EventType.INTVAR_EVENT).map((each) => decodeIntvar(...each));
      expect(intvars.slice(0, 4)).toEqual([
        { variable: 'INSERT_ID', value: 1n },
        { variable: 'LAST_INSERT_ID', value: 1n },
        { variable: 'INSERT_ID', value: 2n },
        { variable: 'INSERT_ID', value: 3n },
      ]);
      const [rand] = bodies(name, EventType.RAND_EVENT);
      expect(decodeRand(...rand!)).toEqual({ seed1: 12345n, seed2: 67890n });

      const variables = bodies(name, EventType.USER_VAR_EVENT).map((each) => decodeUserVar(...each));
      const variable = (wanted: string) => variables.find((each) => each.name === wanted)!.value;
      expect(variable('text')).toMatchObject({ type: UserVarType.STRING, bytes: Buffer.from('käse') });
      expect(variable('whole')).toMatchObject({ type: UserVarType.INT, unsigned: false });
      expect(variable('whole')!.bytes.readBigInt64LE()).toBe(-5n);
      expect(variable('big')).toMatchObject({
        type: UserVarType.INT,
        unsigned: true,
        bytes: Buffer.alloc(8, 0xff),
      });
      expect(variable('real')).toMatchObject({ type: UserVarType.REAL });
      expect(variable('real')!.bytes.readDoubleLE()).toBe(1.5);
      // Precision 5, scale 3, then 12 and .345 packed.
      expect(variable('exact')).toMatchObject({
        type: UserVarType.DECIMAL,
        bytes: Buffer.from([5, 3, 0x8c, 0x01, 0x59]),
      });
      expect(variable('nothing')).toBeNull();
    },
  );

  test('ROWS_QUERY', () => {
    const [query] = bodies('mysql-9.7/gtid-transactions.binlog', EventType.ROWS_QUERY_LOG_EVENT);
    expect(decodeRowsQuery(...query!).toString()).toBe("INSERT INTO item VALUES (3, 'chain', 12)");
  });
});

describe('events by hand', () => {
  test('INCIDENT with and without a message', () => {
    expect(decodeIncident(...bodyOf([1, 0, 3, 0x61, 0x62, 0x63]))).toEqual({ incident: 1, message: 'abc' });
    expect(decodeIncident(...bodyOf([1, 0]))).toEqual({ incident: 1, message: '' });
    expect(() => decodeIncident(...bodyOf([1, 0, 9, 0x61]))).toThrow(malformed);
  });

  test('a heartbeat names the file; its first version has the position in the header', () => {
    const body = Buffer.from('binlog.000007');
    expect(decodeHeartbeat(body, 0, body.length, 1234)).toEqual({
      fileName: 'binlog.000007',
      position: 1234,
    });
  });

  test('a heartbeat of version 2 holds a position past 4 GiB, and fields we do not know', () => {
    const name = Buffer.from('b.1');
    const position = [0xfe, 0, 0, 0, 0, 2, 0, 0, 0];
    const body = Buffer.from([9, 2, 0, 0, 1, name.length, ...name, 2, position.length, ...position, 0]);
    expect(decodeHeartbeatV2(body, 0, body.length)).toEqual({ fileName: 'b.1', position: 2 ** 33 });
  });

  test.each([
    ['no position', [1, 1, 0x61, 0]],
    ['no name', [2, 1, 4, 0]],
    ['a field longer than the body', [1, 200, 0x61]],
    ['a position that does not fill its field', [2, 0, 1, 1, 0x61, 0]],
    ['a name with a slash', [1, 3, 0x2e, 0x2f, 0x61, 2, 1, 4, 0]],
  ])('a heartbeat with %s is damage', (_what, body) => {
    expect(() => decodeHeartbeatV2(...bodyOf(body))).toThrow(malformed);
  });

  test.each([
    ['no name', Buffer.alloc(0)],
    ['a path', Buffer.from('../../etc/passwd')],
    ['a NUL in the name', Buffer.from('binlog\0.1')],
    ['a name of 513 bytes', Buffer.alloc(513, 'a')],
  ])('a ROTATE with %s is damage', (_what, name) => {
    const body = Buffer.concat([Buffer.alloc(8), name]);
    expect(() => decodeRotate(body, 0, body.length)).toThrow(malformed);
  });

  test('a ROTATE to a position past 2^53 is damage', () => {
    expect(() => decodeRotate(Buffer.from('\xff\xff\xff\xff\xff\xff\xff\xffa', 'latin1'), 0, 9)).toThrow(
      malformed,
    );
  });

  test('a GTID_LIST that announces more than it holds is damage, and its flags are not part of the count', () => {
    expect(() => decodeMariadbGtidList(...bodyOf([255, 255, 255, 0x0f]))).toThrow(malformed);
    expect(decodeMariadbGtidList(...bodyOf([0, 0, 0, 0x10]))).toEqual({ flags: 1, gtids: [] });
  });

  test.each([
    ['INTVAR of a third kind', () => decodeIntvar(...bodyOf([3, 0, 0, 0, 0, 0, 0, 0, 0]))],
    ['USER_VAR with a name longer than itself', () => decodeUserVar(...bodyOf([255, 255, 255, 255, 0x61]))],
    [
      'USER_VAR of a sixth type',
      () => decodeUserVar(...bodyOf([1, 0, 0, 0, 0x61, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0])),
    ],
    [
      'USER_VAR with a number of one byte',
      () => decodeUserVar(...bodyOf([1, 0, 0, 0, 0x61, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 7, 0])),
    ],
    [
      'XA_PREPARE with a part of 65 bytes',
      () => decodeXaPrepare(...bodyOf([0, 1, 0, 0, 0, 65, 0, 0, 0, 0, 0, 0, 0, ...Buffer.alloc(65)])),
    ],
    ['ROWS_QUERY without a length', () => decodeRowsQuery(...bodyOf([]))],
  ])('%s is damage', (_what, decode) => {
    expect(decode).toThrow(malformed);
  });
});

describe('events of our own', () => {
  const own = { serverId: 7, timestamp: 0, flags: EventFlag.ARTIFICIAL, logPos: 5_000_000_000 };

  test.each(['crc32', 'none'] as const)('are read back as they were meant, checksum %s', (checksum) => {
    const set = GtidSet.parse('97000000-0000-11f0-8000-000000000001:1-11:night:1-2');
    const gtids = [{ domainId: 3, serverId: 4, seqNo: 2n ** 63n }];
    const rotate = encodeRotate({ ...own, checksum, position: 2 ** 40, fileName: 'binlog.000004' });
    const previous = encodePreviousGtids(set, { ...own, checksum });
    const list = encodeMariadbGtidList(gtids, { ...own, checksum });
    const tail = checksum === 'crc32' ? 4 : 0;
    for (const [event, type] of [
      [rotate, EventType.ROTATE_EVENT],
      [previous, EventType.PREVIOUS_GTIDS_LOG_EVENT],
      [list, EventType.MARIADB_GTID_LIST_EVENT],
    ] as const) {
      expect(readEventHeader(event, 0)).toEqual({
        timestamp: 0,
        type,
        serverId: 7,
        eventLength: event.length,
        logPos: 5_000_000_000 % 2 ** 32,
        flags: EventFlag.ARTIFICIAL,
      });
      expect(verifyEvent(event, 0, event.length)).toBe(checksum === 'crc32');
    }
    expect(decodeRotate(rotate, EVENT_HEADER_LENGTH, rotate.length - tail)).toEqual({
      position: 2 ** 40,
      fileName: 'binlog.000004',
    });
    const readSet = decodePreviousGtids(previous, EVENT_HEADER_LENGTH, previous.length - tail);
    expect(readSet.toString()).toBe(set.toString());
    expect(decodeMariadbGtidList(list, EVENT_HEADER_LENGTH, list.length - tail)).toEqual({ flags: 0, gtids });
  });

  test('are the bytes of the server where that one wrote the same', () => {
    const { bytes, events } = readFixture('mysql-9.7/xa.binlog');
    const last = events.at(-1)!;
    const { timestamp, serverId, flags, logPos } = readEventHeader(bytes, last.start);
    const header = { timestamp, serverId, flags, logPos, checksum: 'crc32' } as const;
    expect(encodeRotate({ ...header, position: 4, fileName: 'binlog.000004' })).toEqual(
      bytes.subarray(last.start, last.next),
    );
  });
});
