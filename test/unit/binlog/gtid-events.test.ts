import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EVENT_HEADER_LENGTH } from '../../../src/binlog/event-header.ts';
import { decodeGtid, decodeMariadbGtid, decodeTaggedGtid } from '../../../src/binlog/gtid-events.ts';
import { readFixture } from '../../support/binlog-fixture.ts';

const UUID = '97000000-0000-11f0-8000-000000000001';
const malformed = expect.objectContaining({ code: 'MALFORMED_EVENT' });

function at(name: string, start: number) {
  const { bytes, events } = readFixture(name);
  const event = events.find((each) => each.start === start)!;
  return [bytes, event.start + EVENT_HEADER_LENGTH, event.end] as const;
}

describe('GTID_LOG_EVENT', () => {
  test('of 9.7: everything mysqlbinlog prints', () => {
    expect(decodeGtid(...at('mysql-9.7/gtid-transactions.binlog', 814))).toEqual({
      flags: 0,
      sid: UUID,
      gno: 4n,
      lastCommitted: 3n,
      sequenceNumber: 4n,
      immediateCommitMicros: 1795320958400265n,
      originalCommitMicros: 1795320958400265n,
      transactionLength: 618n,
      immediateServerVersion: 90704,
      originalServerVersion: 90704,
    });
  });

  test('of a transaction that another server executed first', () => {
    expect(decodeGtid(...at('mysql-9.7/tagged-gtids.binlog', 1775))).toMatchObject({
      sid: '97000000-0000-11f0-8000-00000000000b',
      gno: 70000n,
      immediateCommitMicros: 1795320958459372n,
      originalCommitMicros: 1700000000654321n,
      transactionLength: 349n,
      immediateServerVersion: 90704,
      originalServerVersion: 80036,
    });
  });

  test('anonymous: no sid, gno 0, but a logical clock', () => {
    expect(decodeGtid(...at('mysql-9.7/anonymous.binlog', 1953))).toMatchObject({
      sid: '00000000-0000-0000-0000-000000000000',
      gno: 0n,
      lastCommitted: 4n,
      sequenceNumber: 5n,
      transactionLength: 493n,
    });
  });

  test('of 5.6, 5.7 and 8.0.1: what those did not write is null', () => {
    const [bytes, start, end] = at('mysql-9.7/gtid-transactions.binlog', 814);
    const whole = decodeGtid(bytes, start, end);
    const later = {
      immediateCommitMicros: null,
      originalCommitMicros: null,
      transactionLength: null,
      immediateServerVersion: null,
      originalServerVersion: null,
    };
    const of56 = decodeGtid(bytes, start, start + 25);
    expect(of56).toEqual({ ...whole, lastCommitted: 0n, sequenceNumber: 0n, ...later });
    expect(decodeGtid(bytes, start, start + 42)).toEqual({ ...whole, ...later });
    const of801 = decodeGtid(bytes, start, start + 49);
    expect(of801).toEqual({
      ...whole,
      ...later,
      immediateCommitMicros: whole.immediateCommitMicros,
      originalCommitMicros: whole.originalCommitMicros,
    });
  });

  test('a clock of another kind is not read', () => {
    const [bytes, start, end] = at('mysql-9.7/gtid-transactions.binlog', 814);
    const copy = Buffer.from(bytes);
    copy[start + 25] = 9;
    expect(decodeGtid(copy, start, end)).toMatchObject({
      gno: 4n,
      sequenceNumber: 0n,
      transactionLength: null,
    });
  });

  test.each([
    ['gno -1', 17, -1n],
    ['gno 2^63-1', 17, 2n ** 63n - 1n],
    ['last_committed -1', 26, -1n],
    ['sequence_number 2^53', 34, 2n ** 53n],
  ])('%s is damage', (_what, offset, value) => {
    const [bytes, start, end] = at('mysql-9.7/gtid-transactions.binlog', 814);
    const copy = Buffer.from(bytes);
    copy.writeBigInt64LE(value, start + offset);
    expect(() => decodeGtid(copy, start, end)).toThrow(malformed);
  });
});

describe('GTID_TAGGED_LOG_EVENT', () => {
  test('of 9.7: everything mysqlbinlog prints', () => {
    expect(decodeTaggedGtid(...at('mysql-9.7/tagged-gtids.binlog', 238))).toEqual({
      flags: 0,
      sid: `${UUID}:night`,
      gno: 1n,
      lastCommitted: 0n,
      sequenceNumber: 1n,
      immediateCommitMicros: 1795320958454764n,
      originalCommitMicros: 1795320958454764n,
      transactionLength: 318n,
      immediateServerVersion: 90704,
      originalServerVersion: 90704,
    });
  });

  test('with the longest tag and the largest number', () => {
    expect(decodeTaggedGtid(...at('mysql-9.7/tagged-gtids.binlog', 1083))).toMatchObject({
      sid: '97000000-0000-11f0-8000-00000000000b:a_tag_of_32_characters__________',
      gno: 2n ** 63n - 2n,
      lastCommitted: 2n,
      sequenceNumber: 4n,
      transactionLength: 355n,
    });
  });

  test('of a transaction that another server executed first', () => {
    expect(decodeTaggedGtid(...at('mysql-9.7/tagged-gtids.binlog', 1438))).toMatchObject({
      sid: '97000000-0000-11f0-8000-00000000000b:_',
      gno: 70000n,
      immediateCommitMicros: 1795320958459145n,
      originalCommitMicros: 1700000000123456n,
      transactionLength: 337n,
      immediateServerVersion: 90704,
      originalServerVersion: 80036,
    });
  });

  test('numbers of every width come back', () => {
    const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    const narrow = fc.tuple(u64, fc.nat(63)).map(([value, shift]) => value >> BigInt(shift));
    fc.assert(
      fc.property(narrow, narrow, fc.bigInt({ min: 1n, max: 2n ** 63n - 2n }), (length, micros, gno) => {
        const body = message([
          [0, unsigned(1n)],
          [1, Buffer.concat(Array.from({ length: 16 }, (_, i) => unsigned(BigInt(i * 17))))],
          [2, unsigned(gno << 1n)],
          [3, Buffer.concat([unsigned(2n), Buffer.from('a1')])],
          [6, unsigned(micros)],
          [8, unsigned(length)],
        ]);
        expect(decodeTaggedGtid(body, 0, body.length)).toMatchObject({
          flags: 1,
          sid: '00112233-4455-6677-8899-aabbccddeeff:a1',
          gno,
          immediateCommitMicros: micros,
          originalCommitMicros: micros,
          transactionLength: length,
        });
      }),
    );
  });

  test('a field of a later version ends the reading, unless it must be known', () => {
    const uuid = Buffer.concat(Array.from({ length: 16 }, () => unsigned(0n)));
    const fields: [number, Buffer][] = [
      [1, uuid],
      [2, unsigned(2n)],
      [11, unsigned(77n)],
      [12, Buffer.from('whatever')],
    ];
    const optional = message(fields);
    expect(decodeTaggedGtid(optional, 0, optional.length)).toMatchObject({ gno: 1n });
    const required = message(fields, 13n);
    expect(() => decodeTaggedGtid(required, 0, required.length)).toThrow(malformed);
  });

  test.each<[string, [number, Buffer][]]>([
    ['no uuid', [[2, unsigned(2n)]]],
    [
      'fields out of order',
      [
        [2, unsigned(2n)],
        [2, unsigned(2n)],
      ],
    ],
    ['a tag of 33 characters', [[3, Buffer.concat([unsigned(33n), Buffer.alloc(33, 'a')])]]],
    ['a tag with a colon', [[3, Buffer.concat([unsigned(2n), Buffer.from('a:')])]]],
    ['a uuid with a byte of 256', [[1, Buffer.concat(Array.from({ length: 16 }, () => unsigned(256n)))]]],
    ['a negative gno', [[2, unsigned(3n)]]],
  ])('%s is damage', (_what, fields) => {
    const body = message(fields);
    expect(() => decodeTaggedGtid(body, 0, body.length)).toThrow(malformed);
  });

  test('another version or another length of the message is damage', () => {
    const [bytes, start, end] = at('mysql-9.7/tagged-gtids.binlog', 238);
    for (const offset of [0, 1]) {
      const copy = Buffer.from(bytes);
      copy[start + offset]! += 2;
      expect(() => decodeTaggedGtid(copy, start, end)).toThrow(malformed);
    }
    expect(() => decodeTaggedGtid(bytes, start, end - 1)).toThrow(malformed);
  });
});

describe('MARIADB_GTID_EVENT', () => {
  test('of one statement', () => {
    expect(decodeMariadbGtid(...at('mariadb-10.11/transactions.binlog', 325), 10)).toEqual({
      domainId: 0,
      serverId: 10,
      seqNo: 1n,
      flags: 0x29,
      commitId: null,
      xid: null,
      extraFlags: 0,
      startAlterSeqNo: null,
    });
  });

  test('in another domain, transactional', () => {
    const event = decodeMariadbGtid(...at('mariadb-10.11/transactions.binlog', 3144), 10);
    expect(event).toMatchObject({ domainId: 5, seqNo: 1n, flags: 0x0c });
  });

  test('committed as one group', () => {
    const group = [395, 634].map((start) =>
      decodeMariadbGtid(...at('mariadb-10.11/group-commit.binlog', start), 10),
    );
    expect(group).toMatchObject([
      { seqNo: 29n, commitId: 99n, flags: 0x0e },
      { seqNo: 30n, commitId: 99n },
    ]);
  });

  test('of an XA transaction, prepared and completed', () => {
    const xid = { formatId: 7, gtrid: Buffer.from('first'), bqual: Buffer.from('branch') };
    const prepared = decodeMariadbGtid(...at('mariadb-10.11/transactions.binlog', 3393), 10);
    expect(prepared).toMatchObject({ flags: 0x4c, xid });
    const completed = decodeMariadbGtid(...at('mariadb-10.11/transactions.binlog', 3771), 10);
    expect(completed).toMatchObject({ flags: 0x8d, xid });
  });

  test('of the two halves of an ALTER', () => {
    const start = decodeMariadbGtid(...at('mariadb-10.11/transactions.binlog', 4669), 10);
    expect(start).toMatchObject({ seqNo: 14n, extraFlags: 2, startAlterSeqNo: null });
    const commit = decodeMariadbGtid(...at('mariadb-10.11/transactions.binlog', 4818), 10);
    expect(commit).toMatchObject({ seqNo: 15n, extraFlags: 4, startAlterSeqNo: 14n });
  });

  test('an XID part of more than 64 bytes is damage', () => {
    const body = Buffer.alloc(120);
    body[12] = 64;
    body[17] = 65;
    expect(() => decodeMariadbGtid(body, 0, body.length, 1)).toThrow(malformed);
  });
});

/** mysql::serialization, as its page describes it. */
function unsigned(value: bigint): Buffer {
  const bits = value === 0n ? 1 : value.toString(2).length;
  if (bits > 56) {
    const out = Buffer.alloc(9, 0xff);
    out.writeBigUInt64LE(value, 1);
    return out;
  }
  const length = Math.ceil(bits / 7);
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE((value << BigInt(length)) | ((1n << BigInt(length - 1)) - 1n));
  return out.subarray(0, length);
}

function message(fields: [number, Buffer][], required = 0n): Buffer {
  const content = Buffer.concat([
    unsigned(required),
    ...fields.flatMap(([id, value]) => [unsigned(BigInt(id)), value]),
  ]);
  // The length counts itself, in one or two bytes.
  const length = content.length + 2 < 128 ? content.length + 2 : content.length + 3;
  return Buffer.concat([unsigned(1n), unsigned(BigInt(length)), content]);
}
