/**
 * Every real binary log, event by event: checksums, the grammar, and decoding. What is expected was read off mysqlbinlog
 * and mariadb-binlog.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { verifyEvent } from '../../../src/binlog/checksum.ts';
import { decodeEvent } from '../../../src/binlog/decode-event.ts';
import { EventType, eventTypeName } from '../../../src/binlog/event-header.ts';
import { transactionIdText } from '../../../src/binlog/position-set.ts';
import {
  type EventPlace,
  TransactionBoundary,
  type TransactionHead,
} from '../../../src/binlog/transaction-boundary.ts';
import { CONTROL_FIXTURES, type FixtureFile, readFixture } from '../../support/binlog-fixture.ts';

const U = '97000000-0000-11f0-8000-000000000001';
const A = '97000000-0000-11f0-8000-00000000000a';
const B = '97000000-0000-11f0-8000-00000000000b';

/** Per transaction: its name and how many events it has. */
const TRANSACTIONS: Record<(typeof CONTROL_FIXTURES)[number], string[]> = {
  'mysql-9.7/gtid-transactions.binlog': [
    `${U}:1 2`,
    `${U}:2 2`,
    `${U}:3 2`,
    `${U}:4 9`,
    `${U}:5 6`,
    `${U}:6 8`,
    `${U}:7 5`,
    `${U}:8 6`,
    `${A}:7 3`,
    `${U}:9 2`,
    `${U}:10 2`,
  ],
  'mysql-9.7/tagged-gtids.binlog': [
    `${U}:night:1 5`,
    `${U}:night:2 2`,
    `${U}:11 5`,
    `${B}:a_tag_of_32_characters__________:9223372036854775806 5`,
    `${B}:_:70000 5`,
    `${B}:70000 5`,
  ],
  'mysql-9.7/xa.binlog': [`${U}:12 6`, `${U}:13 5`, `${U}:14 2`, `${U}:15 6`, `${U}:16 2`, `${U}:17 6`],
  'mysql-9.7/statement-format.binlog': [
    `${U}:18 2`,
    `${U}:19 5`,
    `${U}:20 6`,
    `${U}:21 6`,
    `${U}:22 7`,
    `${U}:23 8`,
    `${U}:24 6`,
  ],
  'mysql-9.7/session-context.binlog': [`${U}:25 2`, `${U}:26 4`, `${U}:27 2`],
  'mysql-9.7/compressed.binlog': [`${U}:28 2`, `${U}:29 2`, `${U}:30 2`, `${U}:31 2`],
  'mysql-9.7/load-data.binlog': [`${U}:33 2`, `${U}:34 2`, `${U}:35 4`, `${U}:36 2`, `${U}:37 5`],
  'mysql-9.7/anonymous.binlog': ['- 5', '- 2', '- 2', '- 8', '- 5'],
  'mysql-9.7/no-checksum.binlog': ['- 5', '- 2', '- 2'],
  'mariadb-10.11/transactions.binlog': [
    '0-10-1 2',
    '0-10-2 2',
    '0-10-3 2',
    '0-10-4 11',
    '0-10-5 5',
    '0-10-6 6',
    '0-10-7 7',
    '0-10-8 4',
    '5-10-1 5',
    '0-10-9 6',
    '0-10-10 2',
    '0-10-11 6',
    '0-10-12 2',
    '0-10-13 5',
    '0-10-14 2',
    '0-10-15 2',
    '0-10-16 2',
    '0-10-17 5',
  ],
  'mariadb-10.11/statement-format.binlog': [
    '0-10-18 2',
    '0-10-19 4',
    '0-10-20 5',
    '0-10-21 5',
    '0-10-22 6',
    '0-10-23 5',
    '0-10-24 7',
    '0-10-25 4',
  ],
  'mariadb-10.11/compressed.binlog': ['0-10-26 2', '0-10-27 11', '0-10-28 3'],
  'mariadb-10.11/group-commit.binlog': ['0-10-29 5', '0-10-30 5'],
};

interface Walked {
  readonly transactions: string[];
  readonly lengths: { announced: bigint | null; found: number }[];
  readonly between: string[];
}

function walk({ bytes, fde, events }: FixtureFile): Walked {
  const boundary = new TransactionBoundary(fde);
  const transactions: string[] = [];
  const lengths: Walked['lengths'] = [];
  const between: string[] = [];
  let count = 0;
  let startedAt = 0;
  for (const { start, end, next, type } of events) {
    const place: EventPlace = boundary.feed(bytes, start, end);
    const head: TransactionHead | null = boundary.head;
    if (place === 'between') {
      between.push(eventTypeName(type));
      continue;
    }
    if (place === 'begin') {
      count = 0;
      startedAt = start;
    }
    count++;
    if (place !== 'end') continue;
    transactions.push(`${head!.id === null ? '-' : transactionIdText(head!.id)} ${count}`);
    lengths.push({ announced: head!.transactionLength, found: next - startedAt });
  }
  expect(boundary.open).toBe(false);
  return { transactions, lengths, between };
}

describe.each(CONTROL_FIXTURES)('%s', (name) => {
  const file = readFixture(name);

  test('every checksum holds', () => {
    if (file.fde.checksum === 'none') return;
    for (const { start, next } of file.events) expect(verifyEvent(file.bytes, start, next)).toBe(true);
  });

  test('its transactions have the names, events and lengths that the server says', () => {
    const walked = walk(file);
    expect(walked.transactions).toEqual(TRANSACTIONS[name]);
    for (const { announced, found } of walked.lengths) {
      if (announced !== null) expect(announced).toBe(BigInt(found));
    }
  });

  test('every event decodes to its own type', () => {
    for (const { start, end, type } of file.events) {
      const event = decodeEvent(file.bytes, start, end, file.fde);
      expect(event.type).toBe(eventTypeName(type));
      expect(event).toMatchObject({ header: { type }, bodyStart: start + 19, bodyEnd: end });
    }
  });
});

test('control events stand between transactions', () => {
  expect(walk(readFixture('mysql-9.7/xa.binlog')).between).toEqual([
    'FORMAT_DESCRIPTION_EVENT',
    'PREVIOUS_GTIDS_LOG_EVENT',
    'ROTATE_EVENT',
  ]);
  expect(walk(readFixture('mysql-9.7/no-checksum.binlog')).between.at(-1)).toBe('STOP_EVENT');
  expect(walk(readFixture('mariadb-10.11/group-commit.binlog')).between).toEqual([
    'FORMAT_DESCRIPTION_EVENT',
    'MARIADB_GTID_LIST_EVENT',
    'MARIADB_BINLOG_CHECKPOINT_EVENT',
    'MARIADB_BINLOG_CHECKPOINT_EVENT',
    'STOP_EVENT',
  ]);
});

test('what a type is not decoded to comes as bounds; an unknown type says whether it may be ignored', () => {
  const { bytes, fde, events } = readFixture('mysql-9.7/gtid-transactions.binlog');
  const map = events.find((event) => event.type === EventType.TABLE_MAP_EVENT)!;
  expect(decodeEvent(bytes, map.start, map.end, fde)).toEqual({
    type: 'TABLE_MAP_EVENT',
    header: expect.anything(),
    bodyStart: map.start + 19,
    bodyEnd: map.end,
  });
  const other = Buffer.from(bytes.subarray(map.start, map.end));
  other[4] = 99;
  expect(decodeEvent(other, 0, other.length, fde)).toMatchObject({ type: 'UNKNOWN_EVENT', ignorable: false });
  other[17] = 0x80;
  expect(decodeEvent(other, 0, other.length, fde)).toMatchObject({ type: 'UNKNOWN_EVENT', ignorable: true });
});

describe('damaged files', () => {
  const files = CONTROL_FIXTURES.map((name) => readFixture(name));

  test('give typed errors and nothing else, wherever bytes are changed or missing', () => {
    const file = fc.constantFrom(...files);
    const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(file, flips, fc.double({ min: 0, max: 1, noNaN: true }), (original, changes, kept) => {
        const bytes = Buffer.from(original.bytes);
        for (const [at, mask] of changes) bytes[at % bytes.length]! ^= mask;
        const boundary = new TransactionBoundary(original.fde);
        for (const { start, end } of original.events) {
          const cut = start + Math.ceil((end - start) * kept);
          typed(() => boundary.feed(bytes, start, cut));
          typed(() => decodeEvent(bytes, start, cut, original.fde));
        }
      }),
      { numRuns: 300 },
    );
  });
});

function typed(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code === 'INTERNAL') throw error;
  }
}
