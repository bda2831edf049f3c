import { GtidSet as ZongjiGtidSet } from '@vlasky/zongji';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { GtidSet } from '../../../src/binlog/gtid-set.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '2c256447-3f0d-431b-9a25-bddf1f1f6ef6';
const GNO_MAX = 2n ** 63n - 2n;

const sid = fc.constantFrom(A, B, `${A}:blue`, `${A}:blue_2`, `${B}:_`, `${B}:z${'9'.repeat(31)}`);
/** Small numbers make intervals meet; the largest ones try the edge of 64 bits. */
const gno = fc.oneof(
  { weight: 6, arbitrary: fc.bigInt({ min: 1n, max: 40n }) },
  { weight: 1, arbitrary: fc.bigInt({ min: GNO_MAX - 12n, max: GNO_MAX }) },
);
const interval = fc.tuple(sid, gno, fc.bigInt({ min: 0n, max: 6n })).map(([s, first, more]) => {
  const last = first + more > GNO_MAX ? GNO_MAX : first + more;
  return { sid: s, first, last };
});
type Interval = { sid: string; first: bigint; last: bigint };
const intervals = fc.array(interval, { maxLength: 24 });

const textOf = (list: Interval[]): string => list.map((i) => `${i.sid}:${i.first}-${i.last}`).join(',');
const build = (list: Interval[]): GtidSet => GtidSet.parse(textOf(list));

/** The slow truth: every GTID as a string in a Set. */
const members = (list: Interval[]): Set<string> => {
  const out = new Set<string>();
  for (const i of list) for (let n = i.first; n <= i.last; n++) out.add(`${i.sid}:${n}`);
  return out;
};
const listed = (set: GtidSet): Set<string> => members([...set.intervals()]);

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    return error instanceof MillraceError ? error.code : `not typed: ${error}`;
  }
  return 'no error';
};

describe('text', () => {
  test('is printed as the server prints it: uuids in order, untagged intervals first, then the tags', () => {
    const text = `${A.toUpperCase()}:tag_b:2:1-5:8:7,\n ${B}:1-27, ${A}:11-18 : 1-5:Tag_A:1,`;
    expect(GtidSet.parse(text).toString()).toBe(`${B}:1-27,${A}:1-5:11-18:tag_a:1:tag_b:1-5:7-8`);
  });

  test('empty text and lone commas are the empty set', () => {
    expect(GtidSet.parse('').isEmpty()).toBe(true);
    expect(GtidSet.parse(' ,\n, ').toString()).toBe('');
  });

  test.each([
    A,
    `${A}:`,
    `${A}:0`,
    `${A}:5-3`,
    `${A}:1-2-3`,
    `${A}:0x10`,
    `${A}:${GNO_MAX + 1n}`,
    `${A}:${'9'.repeat(60)}`,
    `${A}:tag`,
    `${A}:tag:1:tag2`,
    `${A}:tag:tag2:1`,
    `${A}:1tag:1`,
    `${A}:${'t'.repeat(33)}:1`,
    `${A.slice(1)}:1`,
    'nonsense',
  ])('"%s" is refused with a typed error', (text) => {
    expect(codeOf(() => GtidSet.parse(text))).toBe('MALFORMED_POSITION');
  });

  test('read again, it is the same set', () => {
    fc.assert(
      fc.property(intervals, (list) => {
        const set = build(list);
        expect(GtidSet.parse(set.toString()).equals(set)).toBe(true);
        expect(listed(set)).toEqual(members(list));
      }),
    );
  });
});

describe('algebra', () => {
  test('union, subtract and intersect agree with sets of single GTIDs and leave their operands alone', () => {
    fc.assert(
      fc.property(intervals, intervals, (left, right) => {
        const [a, b] = [build(left), build(right)];
        const [inA, inB] = [members(left), members(right)];
        expect(listed(a.union(b))).toEqual(new Set([...inA, ...inB]));
        expect(listed(a.subtract(b))).toEqual(new Set([...inA].filter((id) => !inB.has(id))));
        expect(listed(a.intersect(b))).toEqual(new Set([...inA].filter((id) => inB.has(id))));
        expect(a.containsAll(b)).toBe([...inB].every((id) => inA.has(id)));
        expect(a.count()).toBe(BigInt(inA.size));
        expect(listed(a)).toEqual(inA);
        expect(listed(b)).toEqual(inB);
      }),
      { numRuns: 500 },
    );
  });

  test('laws: a\\b and a∩b partition a; union contains both; equal sets have equal text', () => {
    fc.assert(
      fc.property(intervals, intervals, (left, right) => {
        const [a, b] = [build(left), build(right)];
        expect(a.subtract(b).union(a.intersect(b)).equals(a)).toBe(true);
        expect(a.subtract(b).intersect(b).isEmpty()).toBe(true);
        expect(a.union(b).equals(b.union(a))).toBe(true);
        expect(a.union(b).containsAll(a) && a.union(b).containsAll(b)).toBe(true);
        expect(a.equals(b)).toBe(a.toString() === b.toString());
        const inPlace = a.clone();
        inPlace.addAll(b);
        expect(inPlace.equals(a.union(b))).toBe(true);
      }),
    );
  });

  test('transactions added one by one in any order make the same set as their text', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(sid, gno), { maxLength: 60 }), (ids) => {
        const set = new GtidSet();
        for (const [s, n] of ids) set.add(s, n);
        const text = ids.map(([s, n]) => `${s}:${n}`).join(',');
        expect(set.toString()).toBe(GtidSet.parse(text).toString());
        for (const [s, n] of ids) expect(set.has(s, n)).toBe(true);
        for (const [s] of ids) expect(set.has(s, 41n)).toBe(ids.some(([t, n]) => t === s && n === 41n));
      }),
    );
  });

  test('a clone does not follow its origin', () => {
    const set = GtidSet.parse(`${A}:1-5`);
    const copy = set.clone();
    set.add(A, 6n);
    copy.add(B, 1n);
    expect(set.toString()).toBe(`${A}:1-6`);
    expect(copy.toString()).toBe(`${B}:1,${A}:1-5`);
  });

  test('what is no GTID cannot be added', () => {
    const set = new GtidSet();
    expect(codeOf(() => set.add(A, 0n))).toBe('MALFORMED_POSITION');
    expect(codeOf(() => set.add(A, GNO_MAX + 1n))).toBe('MALFORMED_POSITION');
    expect(codeOf(() => set.add(A.toUpperCase(), 1n))).toBe('MALFORMED_POSITION');
    expect(codeOf(() => set.add(`${A}:`, 1n))).toBe('MALFORMED_POSITION');
    expect(codeOf(() => set.add(`${A}x`, 1n))).toBe('MALFORMED_POSITION');
    expect(set.isEmpty()).toBe(true);
    set.add(A, GNO_MAX);
    expect(set.has(A, GNO_MAX)).toBe(true);
  });
});

describe('wire form', () => {
  test('classic layout, byte by byte', () => {
    const expected = `0100000000000000${A.replaceAll('-', '')}0200000000000000${
      '0100000000000000' + '0600000000000000'
    }${'0800000000000000' + '0900000000000000'}`;
    expect(GtidSet.parse(`${A}:1-5:8`).encode().toString('hex')).toBe(expected);
  });

  test('a tag anywhere switches the whole set to the tagged layout', () => {
    const uuid = A.replaceAll('-', '');
    const one = '0100000000000000' + '0100000000000000' + '0200000000000000';
    const expected = `0102000000000001${uuid}00${one}${uuid}04${Buffer.from('ab').toString('hex')}${one}`;
    expect(GtidSet.parse(`${A}:1:ab:1`).encode().toString('hex')).toBe(expected);
  });

  test('decoded, it is the same set', () => {
    fc.assert(
      fc.property(intervals, (list) => {
        const set = build(list);
        const wire = Buffer.concat([Buffer.from('pad'), set.encode(), Buffer.from('pad')]);
        expect(GtidSet.decode(wire, 3, wire.length - 3).equals(set)).toBe(true);
      }),
    );
  });

  const le = (...values: bigint[]): Buffer => {
    const out = Buffer.alloc(values.length * 8);
    values.forEach((value, i) => void out.writeBigUInt64LE(value, i * 8));
    return out;
  };
  const uuid = Buffer.from(A.replaceAll('-', ''), 'hex');
  const tagged = (entries: bigint): Buffer => le((1n << 56n) | (entries << 8n) | 1n);
  const hostile: [string, Buffer][] = [
    ['too short for a head', Buffer.alloc(7)],
    ['more sids than bytes', le(1n)],
    ['2^55 sids', le(1n << 55n)],
    ['an unknown format', le(2n << 56n)],
    ['a tagged format with one mark', le(1n << 56n)],
    ['more intervals than bytes', Buffer.concat([le(1n), uuid, le(2n, 1n, 2n)])],
    ['2^64 - 1 intervals', Buffer.concat([le(1n), uuid, le(2n ** 64n - 1n, 1n, 2n)])],
    ['an empty interval', Buffer.concat([le(1n), uuid, le(1n, 2n, 2n)])],
    ['an interval from 0', Buffer.concat([le(1n), uuid, le(1n, 0n, 2n)])],
    ['an interval past 2^63', Buffer.concat([le(1n), uuid, le(1n, 1n, 2n ** 63n)])],
    ['overlapping intervals', Buffer.concat([le(1n), uuid, le(2n, 1n, 5n, 4n, 6n)])],
    ['descending intervals', Buffer.concat([le(1n), uuid, le(2n, 7n, 8n, 1n, 2n)])],
    ['trailing bytes', Buffer.concat([le(1n), uuid, le(1n, 1n, 2n), Buffer.alloc(1)])],
    ['the same sid twice', Buffer.concat([le(2n), uuid, le(1n, 1n, 2n), uuid, le(1n, 3n, 4n)])],
    [
      'a tag of 33 bytes',
      Buffer.concat([tagged(1n), uuid, Buffer.from([66]), Buffer.alloc(33, 'a'), le(1n, 1n, 2n)]),
    ],
    ['a tag length in two bytes', Buffer.concat([tagged(1n), uuid, Buffer.from([3, 0]), le(1n, 1n, 2n)])],
    ['a tag of other characters', Buffer.concat([tagged(1n), uuid, Buffer.from([2, 0x2c]), le(1n, 1n, 2n)])],
  ];
  test.each(hostile)('%s: a typed error', (_what, bytes) => {
    expect(codeOf(() => GtidSet.decode(bytes, 0, bytes.length))).toBe('MALFORMED_EVENT');
  });

  test('any bytes end in a set or a typed error, and a set encodes to what the decoder takes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 120 }),
        fc.bigInt({ min: 0n, max: 3n }),
        fc.boolean(),
        (raw, n, tag) => {
          const bytes = Buffer.concat([tag ? tagged(n) : le(n), raw]);
          let set: GtidSet;
          try {
            set = GtidSet.decode(bytes, 0, bytes.length);
          } catch (error) {
            expect(error).toBeInstanceOf(MillraceError);
            return;
          }
          const wire = set.encode();
          expect(GtidSet.decode(wire, 0, wire.length).equals(set)).toBe(true);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('second opinion: zongji', () => {
  test('text, wire form and membership agree', () => {
    fc.assert(
      fc.property(intervals, fc.array(fc.tuple(sid, gno), { maxLength: 10 }), (list, probes) => {
        const ours = build(list);
        const theirs = ZongjiGtidSet.parse(textOf(list)) as ZongjiGtidSet & { encode(): Buffer };
        expect(ours.toString()).toBe(theirs.toString());
        expect(ours.encode().equals(theirs.encode())).toBe(true);
        for (const [s, n] of probes) {
          expect(ours.has(s, n)).toBe(theirs.contains(`${s}:${n}`));
          ours.add(s, n);
          theirs.add(`${s}:${n}`);
        }
        expect(ours.toString()).toBe(theirs.toString());
      }),
      { numRuns: 300 },
    );
  });
});

describe('size', () => {
  /** 1-1, 3-3, 5-5 …: the worst set for its length. */
  const holes = (intervalCount: number, first = 1): string => {
    const parts = [A];
    for (let i = 0; i < intervalCount; i++) parts.push(String(first + i * 2));
    return parts.join(':');
  };

  test('a million intervals are parsed, joined, subtracted and encoded in seconds, not minutes', {
    timeout: 60_000,
  }, () => {
    const startedMs = performance.now();
    const odd = GtidSet.parse(holes(1_000_000));
    const even = GtidSet.parse(holes(1_000_000, 2));
    const all = odd.union(even);
    expect(all.toString()).toBe(`${A}:1-2000000`);
    expect(all.subtract(odd).equals(even)).toBe(true);
    expect(odd.intersect(even).isEmpty()).toBe(true);
    expect(all.containsAll(odd)).toBe(true);
    const wire = odd.encode();
    expect(GtidSet.decode(wire, 0, wire.length).equals(odd)).toBe(true);
    expect(GtidSet.parse(odd.toString()).count()).toBe(1_000_000n);
    expect(performance.now() - startedMs).toBeLessThan(20_000);
  });

  test('numbers in descending order cost no more than ascending ones', () => {
    const numbers = Array.from({ length: 200_000 }, (_, i) => (200_000 - i) * 2);
    const startedMs = performance.now();
    expect(GtidSet.parse(`${A}:${numbers.join(':')}`).count()).toBe(200_000n);
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });

  test('the next number of a set with many holes is added in constant time', () => {
    const set = GtidSet.parse(holes(100_000));
    const startedMs = performance.now();
    for (let gno = 200_001n; gno < 500_001n; gno++) set.add(A, gno);
    expect(performance.now() - startedMs).toBeLessThan(3000);
    expect(set.count()).toBe(400_000n);
  });
});
