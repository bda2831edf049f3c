import { describe, expect, test } from 'vitest';
import { tableDecoder } from '../../../src/binlog/column-values.ts';
import { hasKnownLengths } from '../../../src/binlog/row-images.ts';
import { decodeTableMap } from '../../../src/binlog/table-map.ts';
import { changesOf, changesOfTable, insertedRows, recordedRows, tableOf } from './rows-fixture.ts';

const MYSQL = 'mysql-9.7/rows-types.binlog';
const IMAGES = 'mysql-9.7/rows-images.binlog';
const MARIADB = 'mariadb-10.11/rows-types.binlog';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const utf8 = (text: string): Buffer => Buffer.from(text, 'utf8');
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

describe('values written by MySQL 9.7', () => {
  test('integers keep their sign and every bit', () => {
    expect(insertedRows(MYSQL, 'integers')).toEqual([
      [1, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808n, 0n, 0, 0],
      [
        2,
        127,
        255,
        32767,
        65535,
        8388607,
        16777215,
        2147483647,
        4294967295,
        9223372036854775807n,
        18446744073709551615n,
        1,
        2155,
      ],
      [3, -1, 128, -1, 32768, -1, 8388608, -1, 2147483648, -1n, 9223372036854775808n, 2, 1901],
      [4, ...new Array<null>(12).fill(null)],
    ]);
  });

  test('reals, decimals of 65 digits and bit fields', () => {
    const nines = '9'.repeat(65);
    expect(insertedRows(MYSQL, 'numbers')).toEqual([
      [
        1,
        Math.fround(0.1),
        0.1,
        1.5,
        '-12345678901234567890123456789012345.123456789012345678901234567891',
        '9999999999',
        '0.0001',
        '-123456789.987654321',
        nines,
        1n,
        0b10000001n,
        0b10000000000000001n,
        0xffff_ffff_ffff_ffffn,
      ],
      [
        2,
        Math.fround(-3.4028234e38),
        1.7976931348623157e308,
        0,
        `0.${'0'.repeat(30)}`,
        '0',
        '0.0000',
        '0.000000000',
        '-1',
        0n,
        0n,
        0n,
        0n,
      ],
      [
        3,
        Math.fround(1.17549435e-38),
        -5e-324,
        16777216,
        `-0.${'0'.repeat(29)}1`,
        '-1',
        '-0.9999',
        '0.000000001',
        `-${nines}`,
        1n,
        255n,
        131071n,
        0x8000_0000_0000_0000n,
      ],
      [4, ...new Array<null>(12).fill(null)],
    ]);
  });

  test('dates and times keep their fractions, zeros, signs and impossible days', () => {
    const rows = insertedRows(MYSQL, 'temporals');
    const withDigits = (text: string, fractions: readonly string[]): string[] => [
      text,
      ...fractions.map((f) => `${text}.${f}`),
    ];
    const zeros = ['0', '00', '000', '0000', '00000', '000000'];
    const digits = ['1', '12', '123', '1235', '12346', '123456'];
    expect(rows[0]).toEqual([
      1,
      '2024-02-29',
      ...withDigits('12:34:56', digits),
      ...withDigits('2024-02-29 12:34:56', digits),
      ...withDigits('2024-02-29 12:34:56', digits),
    ]);
    expect(rows[1]).toEqual([
      2,
      '0000-00-00',
      '00:00:00',
      ...['1', '10', '100', '1000', '10000', '100001'].map((f) => `-00:00:00.${f}`),
      ...withDigits('0000-00-00 00:00:00', zeros),
      ...withDigits('0000-00-00 00:00:00', zeros),
    ]);
    const nearlyZero = zeros.with(5, '000001');
    expect(rows[2]).toEqual([
      3,
      '9999-12-31',
      ...withDigits('-838:59:59', zeros.slice(0, 5)),
      '-838:59:58.999999',
      ...withDigits('9999-12-31 23:59:59', nearlyZero),
      ...withDigits('2038-01-19 03:14:07', nearlyZero),
    ]);
    expect(rows[3]).toEqual([
      4,
      '1000-01-01',
      ...withDigits('838:59:59', zeros),
      ...withDigits('1000-01-01 00:00:00', zeros),
      ...withDigits('1970-01-01 00:00:01', zeros),
    ]);
    const halves = ['5', '50', '500', '5000', '50000', '500000'];
    expect(rows[4]).toEqual([
      5,
      '2024-02-31',
      '-12:34:57',
      ...halves.map((f) => `-12:34:56.${f}`),
      ...withDigits('0000-00-00 00:00:00', zeros.slice(0, 5)),
      '2024-00-00 00:00:00.999999',
      '2001-01-01 00:00:00',
      ...halves.map((f) => `2000-12-31 23:59:59.${f}`),
    ]);
    expect(rows[5]).toEqual([6, ...new Array<null>(22).fill(null)]);
  });

  test('strings are the bytes of the column, also beyond 255 bytes of CHAR', () => {
    const rows = insertedRows(MYSQL, 'strings');
    expect(rows[0]).toEqual([
      1,
      utf8('añ€😀'),
      utf8('😀'.repeat(255)),
      hex('010203'),
      latin1('café'),
      latin1('v'.repeat(300)),
      hex('00ff'),
      2,
      0b101n,
      utf8('tiny'),
      utf8('text'),
      utf8('medium'),
      utf8('long'),
      hex('00'),
      hex('0000'),
      hex('000000'),
      hex('00000000'),
    ]);
    expect(rows[1]).toEqual([
      2,
      ...new Array(6).fill(Buffer.alloc(0)),
      3,
      0n,
      ...new Array(8).fill(Buffer.alloc(0)),
    ]);
    expect(rows[2]).toEqual([
      3,
      utf8('trail'),
      utf8('x'),
      ...new Array(4).fill(hex('20')),
      1,
      2n,
      ...new Array(8).fill(null),
    ]);
    expect(rows[3]).toEqual([4, ...new Array(16).fill(null)]);
  });

  test('an update has both images', () => {
    const [update] = changesOfTable(MYSQL, 'strings').slice(-1);
    expect(update!.before![14]).toEqual(Buffer.alloc(0));
    expect(update!.after![14]).toEqual(Buffer.alloc(300, 0xab));
    expect(update!.after![15]).toEqual(Buffer.alloc(3000, 0xcd));
  });

  test('an ENUM of 300 and a SET of 64 members are numbers', () => {
    expect(insertedRows(MYSQL, 'members')).toEqual([
      [1, 300, (1n << 63n) | (1n << 32n) | 1n, 1n << 8n],
      [2, 1, 0n, (1n << 8n) | 1n],
      [3, null, null, null],
    ]);
    const [, e, s] = tableOf(MYSQL, 'members').columns;
    expect(e!.members![299]!.toString()).toBe('m300');
    expect(s!.members!.length).toBe(64);
  });

  test('GEOMETRY is SRID and WKB, VECTOR is float32, JSON is text', () => {
    expect(insertedRows(MYSQL, 'others')).toEqual([
      [
        1,
        hex(
          '00000000010200000002000000000000000000000000000000000000000000000000 00f03f0000000000000040'.replace(
            ' ',
            '',
          ),
        ),
        hex('e61000000101000000000000000000f03f0000000000000040'),
        '{"a": 1}',
        hex('0000803f000020c07684df50'),
      ],
      [2, null, null, null, null],
    ]);
    const [deleted] = changesOfTable(MYSQL, 'others').slice(-1);
    expect(deleted).toEqual({ before: [2, null, null, null, null], after: null });
  });

  test('a column that is not in the image is undefined, and NULL is null', () => {
    const t = utf8('five');
    const absent = undefined;
    expect(recordedRows(IMAGES).map((event) => changesOf(event).map((c) => [c.before, c.after]))).toEqual([
      [
        [null, [1, 10, utf8('one'), utf8('eins'), 4000000000, 1]],
        [null, [2, 20, utf8('two'), utf8('zwei'), 2, 2]],
        [null, [3, null, null, null, null, null]],
      ],
      [
        [
          [1, 10, utf8('one'), utf8('eins'), 4000000000, 1],
          [1, 11, utf8('one'), utf8('eins'), 4000000000, 1],
        ],
        [
          [2, 20, utf8('two'), utf8('zwei'), 2, 2],
          [2, 21, utf8('two'), utf8('zwei'), 2, 2],
        ],
      ],
      [[[3, null, null, null, null, null], null]],
      [[null, [4, 40, absent, absent, absent, absent]]],
      [
        [
          [1, absent, absent, absent, absent, absent],
          [absent, null, absent, absent, absent, absent],
        ],
      ],
      [
        [
          [1, absent, absent, absent, absent, absent],
          [absent, absent, utf8('ONE'), absent, absent, absent],
        ],
      ],
      [[[2, absent, absent, absent, absent, absent], null]],
      [[null, [1, utf8('a')]]],
      [
        [
          [1, utf8('a')],
          [2, absent],
        ],
      ],
      [[null, [absent]]],
      [[null, [5, 50, t, utf8('fünf'), 5, 5]]],
      [
        [
          [5, 50, absent, utf8('fünf'), 5, 5],
          [5, 51, absent, utf8('fünf'), 5, 5],
        ],
      ],
      [
        [
          [5, 51, absent, utf8('fünf'), 5, 5],
          [5, 51, utf8('FIVE'), utf8('fünf'), 5, 5],
        ],
      ],
      [[[5, 51, absent, utf8('fünf'), 5, 5], null]],
    ]);
  });
});

describe('values written by MariaDB 10.11', () => {
  test('v1 rows of every type, the INET and UUID types without their trailing zeros', () => {
    const [first, second] = insertedRows(MARIADB, 'mixed');
    expect(first).toEqual([
      1,
      255,
      2024,
      257n,
      '123456789012345.54321',
      Math.fround(0.1),
      -9223372036854775808n,
      hex('000000000101000000000000000000f03f0000000000000040'),
      hex('00000000010100000000000000000008400000000000001040'),
      hex('00ff'),
      latin1('café'),
      utf8('ü'.repeat(255)),
      2,
      3n,
      utf8('{"a": 1.0}'),
      hex('00112233445566778899aabbccddee'),
      hex('0001'),
      hex('0a'),
      '-00:00:00.001',
      '2024-02-29 12:34:56.123456',
      '2038-01-19 03:14:07.99',
      42,
    ]);
    expect(second).toEqual([2, ...new Array(21).fill(null)]);
    const lengths = tableOf(MARIADB, 'mixed')
      .columns.slice(15, 18)
      .map((column) => column.length);
    expect(lengths).toEqual([16, 16, 4]);
  });

  test('compressed columns come out plain, with and without a zlib header', () => {
    expect(insertedRows(MARIADB, 'packed')).toEqual([
      [1, latin1('a'.repeat(500)), utf8('b'.repeat(5000))],
      [2, Buffer.alloc(0), Buffer.alloc(0)],
      [3, latin1('short'), utf8('short')],
      [4, null, null],
      [5, latin1('a'.repeat(500)), utf8('b'.repeat(60000))],
      [6, latin1('no metadata'), undefined],
    ]);
  });

  test('the temporal types of MySQL 5.5 that mysql56_temporal_format=OFF still writes', () => {
    expect(insertedRows(MARIADB, 'old_temporals')).toEqual([
      [1, '-838:59:59', '9999-12-31 23:59:59', '2038-01-19 03:14:07'],
      [2, '00:00:00', '0000-00-00 00:00:00', null],
      [3, '12:34:56', '2024-02-29 12:34:56', '1970-01-01 00:00:01'],
    ]);
  });
});

describe('what the event does not tell', () => {
  test('an integer whose signedness is unknown says so, and a caller who knows can answer', () => {
    const event = recordedRows(MARIADB)
      .filter((rows) => rows.name === 'packed')
      .at(-1)!;
    expect(event.table.columns[0]!.unsigned).toBeNull();
    const map = decodeTableMap(event.buf, event.mapStart, event.mapEnd);
    expect(tableDecoder(map, 'mariadb', { unsigned: () => true }).columns[0]!.unsigned).toBe(true);
  });

  test("MariaDB's old temporal types may hide a fraction: only a definition without one is trusted", () => {
    const { map } = tableOf(MARIADB, 'old_temporals');
    expect(() => tableDecoder(map, 'mariadb')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
    expect(() => tableDecoder(map, 'mariadb', { fractionDigits: () => 3 })).toThrow(/TIME/);
    expect(tableDecoder(map, 'mysql').columns.map((column) => column.kind)).toEqual([
      'integer',
      'time',
      'datetime',
      'timestamp',
    ]);
    expect([hasKnownLengths(map, 'mariadb'), hasKnownLengths(map, 'mysql')]).toEqual([false, true]);
    expect(hasKnownLengths(tableOf(MARIADB, 'mixed').map, 'mariadb')).toBe(true);
  });

  test('a type whose values have no known form is refused with its column', () => {
    const { map } = tableOf(MYSQL, 'others');
    const types = Uint8Array.from(map.columnTypes);
    types[2] = 20;
    const broken = { ...map, columnTypes: types, optionalMetadata: Buffer.alloc(0) };
    expect(() => tableDecoder(broken, 'mysql')).toThrow(/TYPED_ARRAY/);
  });
});
