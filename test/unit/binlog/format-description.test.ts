import { describe, expect, test } from 'vitest';
import { verifyEvent } from '../../../src/binlog/checksum.ts';
import { EventType } from '../../../src/binlog/event-header.ts';
import {
  checksumLength,
  decodeFormatDescription,
  neutralFormatDescription,
  postHeaderLength,
} from '../../../src/binlog/format-description.ts';
import { buildEvent } from '../../support/binlog-builder.ts';
import { readFixture } from '../../support/binlog-fixture.ts';

/** A format description of the version, with the post-header lengths of three types and the tail given. */
function describe3(version: string, tail: number[], binlogVersion = 4, headerLength = 19): Buffer {
  const body = Buffer.alloc(57);
  body.writeUInt16LE(binlogVersion, 0);
  body.write(version, 2, 'latin1');
  body.writeUInt32LE(1_600_000_000, 52);
  body[56] = headerLength;
  return buildEvent(
    EventType.FORMAT_DESCRIPTION_EVENT,
    Buffer.concat([body, Buffer.from([56, 13, 0, ...tail])]),
    {
      logPos: 200,
      flags: 1,
    },
  );
}

const rawOf = (name: string): Buffer => {
  const { bytes, events } = readFixture(name);
  return Buffer.from(bytes.subarray(events[0]!.start, events[0]!.next));
};

describe('a real file', () => {
  test('of MySQL 9.7', () => {
    const { fde } = readFixture('mysql-9.7/gtid-transactions.binlog');
    expect(fde).toMatchObject({
      binlogVersion: 4,
      serverVersion: '9.7.4-2',
      created: 1795320958,
      headerLength: 19,
      checksum: 'crc32',
      flavour: 'mysql',
    });
    expect(fde.postHeaderLengths).toHaveLength(42);
    expect(postHeaderLength(fde, EventType.QUERY_EVENT)).toBe(13);
    expect(postHeaderLength(fde, EventType.TABLE_MAP_EVENT)).toBe(8);
    expect(postHeaderLength(fde, EventType.WRITE_ROWS_EVENT_V1)).toBe(0);
    expect(postHeaderLength(fde, EventType.WRITE_ROWS_EVENT)).toBe(10);
    expect(postHeaderLength(fde, EventType.MARIADB_GTID_EVENT)).toBe(0);
    expect(checksumLength(fde)).toBe(4);
  });

  test('of MySQL 9.7 without checksums still has one itself', () => {
    const { fde } = readFixture('mysql-9.7/no-checksum.binlog');
    expect(fde.checksum).toBe('none');
    expect(checksumLength(fde)).toBe(0);
    const raw = rawOf('mysql-9.7/no-checksum.binlog');
    expect(verifyEvent(raw, 0, raw.length)).toBe(true);
  });

  test('of MariaDB 10.11', () => {
    const { fde } = readFixture('mariadb-10.11/transactions.binlog');
    expect(fde).toMatchObject({
      serverVersion: '10.11.18-MariaDB-0+deb12u1-log',
      checksum: 'crc32',
      flavour: 'mariadb',
    });
    expect(fde.postHeaderLengths).toHaveLength(171);
    expect(postHeaderLength(fde, EventType.MARIADB_GTID_EVENT)).toBe(19);
    expect(postHeaderLength(fde, EventType.WRITE_ROWS_EVENT_V1)).toBe(8);
  });
});

describe('whether there is a checksum is told by the version, as a number', () => {
  test.each([
    ['5.5.62-log', 'mysql', 'none'],
    ['5.6.0', 'mysql', 'none'],
    ['5.2.14-MariaDB', 'mariadb', 'none'],
  ] as const)('%s has no algorithm byte', (version, flavour, checksum) => {
    const event = describe3(version, []);
    const fde = decodeFormatDescription(event, 0, event.length);
    expect(fde).toMatchObject({ serverVersion: version, flavour, checksum });
    expect([...fde.postHeaderLengths]).toEqual([56, 13, 0]);
  });

  test.each([
    ['5.6.1', 'mysql'],
    ['5.10.0', 'mysql'],
    ['8.0.36-28', 'mysql'],
    ['26.7.0', 'mysql'],
    ['100.0', 'mysql'],
    ['5.3.0-MariaDB', 'mariadb'],
    ['5.5.68-MARIADB', 'mariadb'],
    ['12.1.2-MariaDB-log', 'mariadb'],
  ] as const)('%s has one', (version, flavour) => {
    const event = describe3(version, [1, 0, 0, 0, 0]);
    const fde = decodeFormatDescription(event, 0, event.length);
    expect(fde).toMatchObject({ serverVersion: version, flavour, checksum: 'crc32' });
    expect([...fde.postHeaderLengths]).toEqual([56, 13, 0]);
  });

  test('algorithm 255, not yet known, is none', () => {
    const event = describe3('8.0.36', [255, 0, 0, 0, 0]);
    expect(decodeFormatDescription(event, 0, event.length).checksum).toBe('none');
  });
});

describe('damage is named', () => {
  test.each([
    ['an unknown algorithm', describe3('8.0.36', [2, 0, 0, 0, 0]), 'MALFORMED_EVENT'],
    ['a version that is none', describe3('mysql', [1, 0, 0, 0, 0]), 'MALFORMED_EVENT'],
    ['other header lengths', describe3('8.0.36', [1, 0, 0, 0, 0], 4, 23), 'MALFORMED_EVENT'],
    ['a binary log before 5.0', describe3('4.1.22', [], 3), 'UNSUPPORTED'],
    ['another type', buildEvent(EventType.ROTATE_EVENT, Buffer.alloc(80)), 'MALFORMED_EVENT'],
  ])('%s', (_what, event, code) => {
    expect(() => decodeFormatDescription(event, 0, event.length)).toThrow(expect.objectContaining({ code }));
  });

  test('an event cut off anywhere', () => {
    const raw = rawOf('mysql-9.7/xa.binlog');
    for (let end = 0; end < 76; end++) {
      expect(() => decodeFormatDescription(raw, 0, end)).toThrow(
        expect.objectContaining({ code: 'MALFORMED_EVENT' }),
      );
    }
  });
});

describe('the copy for a BINLOG statement', () => {
  test('says created 0, no position, closed file and no checksums, and has a checksum itself', () => {
    const raw = rawOf('mysql-9.7/gtid-transactions.binlog');
    raw.writeUInt16LE(1, 17);
    const before = Buffer.from(raw);
    const neutral = neutralFormatDescription(raw);
    expect(raw).toEqual(before);
    expect(neutral).toHaveLength(raw.length);
    expect(neutral.readUInt32LE(0)).toBe(0);
    expect(neutral.readUInt32LE(13)).toBe(0);
    expect(neutral.readUInt16LE(17)).toBe(0);
    expect(verifyEvent(neutral, 0, neutral.length)).toBe(true);
    expect(decodeFormatDescription(neutral, 0, neutral.length)).toEqual({
      ...decodeFormatDescription(raw, 0, raw.length),
      created: 0,
      checksum: 'none',
    });
  });

  test('has no tail where the server knows none', () => {
    const raw = describe3('5.5.62', []);
    const neutral = neutralFormatDescription(raw);
    expect([...neutral.subarray(-3)]).toEqual([56, 13, 0]);
    expect(neutral.readUInt32LE(71)).toBe(0);
  });
});
