import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import {
  emptyPositionSet,
  FilePositionSet,
  MariadbPositionSet,
  type PositionKind,
  type PositionSet,
  parsePositionSet,
  type TransactionId,
  transactionIdText,
} from '../../../src/binlog/position-set.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof MillraceError ? error.code : `not typed: ${error}`;
  }
  return 'no error';
};

const gtidId: fc.Arbitrary<TransactionId> = fc.record({
  kind: fc.constant('gtid' as const),
  sid: fc.constantFrom(UUID, `${UUID}:tag`),
  gno: fc.bigInt({ min: 1n, max: 30n }),
});
const mariadbId: fc.Arbitrary<TransactionId> = fc.record({
  kind: fc.constant('mariadb' as const),
  domainId: fc.constantFrom(0, 1, 0xffff_ffff),
  serverId: fc.constantFrom(1, 2),
  seqNo: fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }),
});
const positionId: fc.Arbitrary<TransactionId> = fc.record({
  kind: fc.constant('position' as const),
  file: fc.integer({ min: 1, max: 2_000_000 }).map((n) => `binlog.${String(n).padStart(6, '0')}`),
  position: fc.integer({ min: 4, max: Number.MAX_SAFE_INTEGER }),
});

const kinds: [PositionKind, fc.Arbitrary<TransactionId>][] = [
  ['gtid', gtidId],
  ['mariadb', mariadbId],
  ['position', positionId],
];

describe.each(kinds)('every kind keeps the same laws: %s', (kind, id) => {
  const filled = (ids: TransactionId[]): PositionSet => {
    const set = emptyPositionSet(kind);
    for (const each of ids) set.add(each);
    return set;
  };
  const ids = fc.array(id, { maxLength: 12 });

  test('what was added is there; printed and read again it is the same set', () => {
    fc.assert(
      fc.property(ids, (list) => {
        const set = filled(list);
        for (const each of list) expect(set.has(each)).toBe(true);
        expect(set.isEmpty()).toBe(list.length === 0);
        const again = parsePositionSet(kind, set.toString());
        expect(again.toString()).toBe(set.toString());
        expect(again.containsAll(set) && set.containsAll(again)).toBe(true);
      }),
    );
  });

  test('order of adding does not matter', () => {
    fc.assert(
      fc.property(fc.uniqueArray(id, { maxLength: 12, selector: markText }), (list) => {
        expect(filled(list).toString()).toBe(filled([...list].reverse()).toString());
      }),
    );
  });

  test('a join contains both, a meet is in both, and nothing is missing exactly when all is contained', () => {
    fc.assert(
      fc.property(ids, ids, (left, right) => {
        const [a, b] = [filled(left), filled(right)];
        const join = a.clone();
        join.addAll(b);
        expect(join.containsAll(a) && join.containsAll(b)).toBe(true);
        const meet = a.intersect(b);
        expect(a.containsAll(meet) && b.containsAll(meet)).toBe(true);
        for (const each of [...left, ...right]) expect(meet.has(each)).toBe(a.has(each) && b.has(each));
        expect(a.missingFrom(b) === 0n).toBe(a.containsAll(b));
        expect(a.toString()).toBe(filled(left).toString());
        expect(emptyPositionSet(kind).containsAll(a)).toBe(a.isEmpty());
        expect(a.containsAll(emptyPositionSet(kind))).toBe(true);
        expect(a.intersect(emptyPositionSet(kind)).isEmpty()).toBe(true);
      }),
    );
  });

  test('a set of another kind is our own mistake', () => {
    const other = emptyPositionSet(kind === 'gtid' ? 'mariadb' : 'gtid');
    expect(codeOf(() => emptyPositionSet(kind).addAll(other))).toBe('INTERNAL');
    expect(codeOf(() => emptyPositionSet(kind).containsAll(other))).toBe('INTERNAL');
  });
});

/** Two ids of one mark with different server ids are the same place in a MariaDB domain. */
function markText(id: TransactionId): string {
  return id.kind === 'mariadb' ? `${id.domainId}-${id.seqNo}` : transactionIdText(id);
}

describe('MariaDB positions', () => {
  test('everything up to the number is covered, whichever server wrote it; other domains are not', () => {
    const set = parsePositionSet('mariadb', '1-3-45, 0-1-1234');
    expect(set.toString()).toBe('0-1-1234,1-3-45');
    expect(set.has({ kind: 'mariadb', domainId: 0, serverId: 2, seqNo: 1234n })).toBe(true);
    expect(set.has({ kind: 'mariadb', domainId: 0, serverId: 1, seqNo: 1235n })).toBe(false);
    expect(set.has({ kind: 'mariadb', domainId: 2, serverId: 1, seqNo: 1n })).toBe(false);
  });

  test('intersection takes the smaller number of the domains that both have', () => {
    const meet = parsePositionSet('mariadb', '0-1-10,1-1-5').intersect(
      parsePositionSet('mariadb', '0-2-7,2-1-9'),
    );
    expect(meet.toString()).toBe('0-2-7');
  });

  test('what is missing is counted in sequence numbers', () => {
    const ours = parsePositionSet('mariadb', '0-1-10');
    expect(ours.missingFrom(parsePositionSet('mariadb', '0-1-13,7-1-1'))).toBe(4n);
  });

  test('number 0 names no transaction', () => {
    expect(parsePositionSet('mariadb', '0-1-0').isEmpty()).toBe(true);
  });

  test('entries come by domain, for a GTID list', () => {
    const set = MariadbPositionSet.parse('9-1-18446744073709551615,2-1-1');
    expect(set.entries()).toEqual([
      { domainId: 2, serverId: 1, seqNo: 1n },
      { domainId: 9, serverId: 1, seqNo: 18446744073709551615n },
    ]);
  });

  test.each(['0-1', '0-1-2-3', '0-1-x', '0-1-1,0-2-2', '4294967296-1-1', '0-1-18446744073709551616'])(
    '"%s" is refused with a typed error',
    (text) => {
      expect(codeOf(() => parsePositionSet('mariadb', text))).toBe('MALFORMED_POSITION');
    },
  );
});

describe('file positions', () => {
  test('files are ordered by their number, not by their letters', () => {
    const set = FilePositionSet.at('binlog.1000000', 4);
    expect(set.has({ kind: 'position', file: 'binlog.999999', position: 99_999_999_999 })).toBe(true);
    expect(set.has({ kind: 'position', file: 'binlog.1000000', position: 5 })).toBe(false);
    set.add({ kind: 'position', file: 'binlog.999999', position: 7 });
    expect(set.toString()).toBe('binlog.1000000:4');
  });

  test('how much is missing cannot be told', () => {
    const set = FilePositionSet.at('binlog.000002', 100);
    expect(set.missingFrom(FilePositionSet.at('binlog.000002', 100))).toBe(0n);
    expect(set.missingFrom(FilePositionSet.at('binlog.000002', 101))).toBeNull();
  });

  test('another base name has no order with ours: a typed error, never a guess', () => {
    const set = FilePositionSet.at('db1-bin.000009', 4);
    expect(codeOf(() => set.add({ kind: 'position', file: 'db2-bin.000001', position: 4 }))).toBe(
      'SOURCE_POSITION',
    );
    expect(codeOf(() => set.has({ kind: 'position', file: 'db2-bin.000001', position: 4 }))).toBe(
      'SOURCE_POSITION',
    );
    expect(codeOf(() => set.intersect(FilePositionSet.at('db2-bin.000001', 4)))).toBe('SOURCE_POSITION');
    expect(codeOf(() => set.add({ kind: 'position', file: 'no-number', position: 4 }))).toBe(
      'SOURCE_POSITION',
    );
    expect(set.toString()).toBe('db1-bin.000009:4');
  });

  test('a file name may hold dots and colons', () => {
    const set = parsePositionSet('position', 'a:b.c.000012:345');
    expect(set.toString()).toBe('a:b.c.000012:345');
    expect((set as FilePositionSet).file).toBe('a:b.c.000012');
    expect((set as FilePositionSet).position).toBe(345);
  });

  test.each([
    'binlog.000001',
    'binlog.000001:',
    'binlog:4',
    ':4',
    'binlog.000001:-4',
    'binlog.000001:9007199254740993',
  ])('"%s" is refused with a typed error', (text) => {
    expect(codeOf(() => parsePositionSet('position', text))).toBe('MALFORMED_POSITION');
  });
});

describe('one transaction in words', () => {
  test('each kind prints as its server would', () => {
    expect(transactionIdText({ kind: 'gtid', sid: `${UUID}:tag`, gno: 7n })).toBe(`${UUID}:tag:7`);
    expect(transactionIdText({ kind: 'mariadb', domainId: 0, serverId: 1, seqNo: 9n })).toBe('0-1-9');
    expect(transactionIdText({ kind: 'position', file: 'b.1', position: 4 })).toBe('b.1:4');
  });
});
