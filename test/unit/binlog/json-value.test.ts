import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { decodeJsonDiffs } from '../../../src/binlog/json-diff.ts';
import { doubleText, quoteJson } from '../../../src/binlog/json-text.ts';
import { jsonText } from '../../../src/binlog/json-value.ts';
import { encodeJson, int, type JsonNode, nodeText, real } from './json-encoder.ts';
import { changesOf, insertedRows, recordedRows } from './rows-fixture.ts';

const text = (bytes: Buffer): string => jsonText(bytes, 0, bytes.length);
const hex = (bytes: string): string => text(Buffer.from(bytes.replaceAll(' ', ''), 'hex'));
const malformed = expect.objectContaining({ code: 'MALFORMED_EVENT' });

describe('binary JSON written by MySQL 9.7', () => {
  test('prints as the server prints it', () => {
    // What SELECT j FROM json.docs ORDER BY id showed on the server that wrote the log.
    const expected = readFileSync(new URL('../../fixtures/mysql-9.7/rows-json.txt', import.meta.url), 'utf8');
    const printed = insertedRows('mysql-9.7/rows-json.binlog', 'docs').map((row) => row[1]);
    expect(printed).toEqual(expected.trimEnd().split('\n'));
    expect(printed.length).toBe(43);
  });

  test('keeps kinds of numbers apart and 64 bits exact', () => {
    const printed = insertedRows('mysql-9.7/rows-json.binlog', 'docs').map((row) => row[1]);
    expect(printed.slice(3, 22)).toEqual([
      '-32768',
      '65535',
      '-2147483648',
      '4294967295',
      '-9223372036854775808',
      '18446744073709551615',
      '1.8446744073709552e19',
      '2.0',
      '-0.0',
      '0.1',
      '100000000000000.0',
      '1e15',
      '1e16',
      '1234567890123456.5',
      '0.00000000000001',
      '0.000000000000001',
      '0.00000000000000125',
      '1.7976931348623157e308',
      '5e-324',
    ]);
  });

  test('partial updates are lists of differences, the other columns whole, absent or NULL', () => {
    const pad = 'p'.repeat(200);
    const q = 'q'.repeat(200);
    const updates = recordedRows('mysql-9.7/rows-partial-json.binlog').filter((event) => event.type === 39);
    const [set, removeAndReplace, whole, minimal, onlyNumber] = updates.map((event) => changesOf(event));
    const increments = [
      { operation: 'replace', path: '$.k', value: '10' },
      { operation: 'insert', path: '$.new', value: '2.0' },
    ];
    expect(set).toEqual([
      {
        before: [1, `{"k": 1, "pad": "${pad}", "list": [1, 2, 3]}`, 1, `{"x": "${q}"}`, '[]'],
        after: [1, increments, 1, [], []],
      },
      {
        before: [2, `{"k": 2, "pad": "${pad}", "list": [4]}`, 2, null, '{}'],
        after: [2, increments, 2, null, []],
      },
    ]);
    expect(removeAndReplace!.map((change) => change.after)).toEqual([
      [
        1,
        [{ operation: 'remove', path: '$.list[0]', value: null }],
        1,
        [{ operation: 'replace', path: '$.x', value: '"12:00:00.000000"' }],
        [],
      ],
    ]);
    expect(whole!.map((change) => change.after)).toEqual([[2, [], 22, '["whole"]', []]]);
    expect(minimal).toEqual([
      {
        before: [1, undefined, undefined, undefined, undefined],
        after: [undefined, [{ operation: 'replace', path: '$.k', value: '11' }], undefined, undefined, '[1]'],
      },
    ]);
    expect(onlyNumber!.map((change) => change.after)).toEqual([
      [undefined, undefined, 3, undefined, undefined],
    ]);
  });
});

describe('the layout of a document', () => {
  test('no bytes at all are the document null', () => {
    expect(text(Buffer.alloc(0))).toBe('null');
  });

  test('a large array of large offsets reads as a small one does', () => {
    const node: JsonNode = {
      kind: 'array',
      items: [int(70000n), int(1n), real(2), { kind: 'string', text: 'ä' }],
    };
    expect(text(encodeJson(node, 'large'))).toBe('[70000, 1, 2.0, "ä"]');
    expect(text(encodeJson(node, 'small'))).toBe('[70000, 1, 2.0, "ä"]');
  });

  test.each([
    ['an unknown type', '10'],
    ['an unknown literal', '04 03'],
    ['an integer that is cut off', '07 0000'],
    ['a double that is no number', '0b 000000000000f87f'],
    ['a string that is longer than the document', '0c 05 61'],
    ['a length that never ends', '0c ffffffffff'],
    ['a string that is not UTF-8', '0c 01 ff'],
    ['an array that is longer than the document', '02 0100 ff00 05 0100'],
    ['more elements than there are bytes', '02 ff00 0800 05 0100'],
    ['an array whose size does not hold its entries', '02 0100 0400 05 0100'],
    ['an offset that points into the entries', '02 0100 0900 0c 0400 0161'],
    ['an offset behind the end', '02 0100 0900 0c 0a00 0161'],
    ['a key that points into the entries', '00 0100 0c00 0400 0100 04 0100 61'],
    ['an opaque decimal that is no decimal', '0f f6 02 4200'],
    ['an opaque date of seven bytes', '0f 0a 07 00000000000000'],
  ])('%s is malformed', (_, bytes) => {
    expect(() => hex(bytes)).toThrow(malformed);
  });

  test('a hundred arrays may be nested, not one more', () => {
    const nested = (depth: number): JsonNode =>
      depth === 0 ? { kind: 'array', items: [] } : { kind: 'array', items: [nested(depth - 1)] };
    expect(text(encodeJson(nested(99), 'small'))).toBe('['.repeat(100) + ']'.repeat(100));
    expect(() => text(encodeJson(nested(100), 'small'))).toThrow(/deeper than 100/);
  });

  test('offsets that share their bytes end in an error, not in a bomb', () => {
    // Every level is an array of two elements that both point at the next level: 2^60 elements in 600 bytes.
    const level = Buffer.from('02000a00020a00020a00'.replaceAll(' ', ''), 'hex');
    const levels: Buffer[] = [];
    for (let i = 0; i < 60; i++) {
      const body = Buffer.from(level);
      body.writeUInt16LE(2, 0);
      body.writeUInt16LE(10 * (60 - i) + 4, 2);
      body.writeUInt16LE(10, 5);
      body.writeUInt16LE(10, 8);
      levels.push(body);
    }
    const bomb = Buffer.concat([Buffer.from([2]), ...levels, Buffer.from([0, 0, 4, 0])]);
    expect(() => text(bomb)).toThrow(/its parts overlap/);
  });
});

describe('how MySQL writes', () => {
  test('strings with their control characters escaped and nothing else', () => {
    expect(quoteJson('a"\\/\b\f\n\r\t\u0001\u001f\u007fé😀')).toBe(
      '"a\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\u007fé😀"',
    );
  });

  test('a double so that it reads back as the same double, and never as an integer', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const written = doubleText(value);
        expect(Object.is(Number(written), value)).toBe(true);
        expect(written).toMatch(/[.e]/);
      }),
    );
  });
});

describe('any document', () => {
  const scalar: fc.Arbitrary<JsonNode> = fc.oneof(
    fc.constantFrom<JsonNode>({ kind: 'literal', value: null }, { kind: 'literal', value: true }),
    fc.bigInt(-(1n << 63n), (1n << 64n) - 1n).map(int),
    fc.integer({ min: -100_000, max: 100_000 }).map((value) => int(BigInt(value))),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map(real),
    fc
      .string({ unit: 'grapheme', maxLength: 200 })
      .map((value): JsonNode => ({ kind: 'string', text: value })),
    fc
      .uint8Array({ maxLength: 100 })
      .map((bytes): JsonNode => ({ kind: 'opaque', type: 15, bytes: Buffer.from(bytes) })),
  );
  const { document } = fc.letrec<{ document: JsonNode }>((tie) => ({
    document: fc.oneof(
      { maxDepth: 5 },
      scalar,
      fc.array(tie('document'), { maxLength: 6 }).map((items): JsonNode => ({ kind: 'array', items })),
      fc
        .array(fc.tuple(fc.string({ unit: 'grapheme', maxLength: 20 }), tie('document')), { maxLength: 6 })
        .map((members): JsonNode => ({ kind: 'object', members })),
    ),
  }));

  test('reads back as it was encoded, in small and in large form', () => {
    fc.assert(
      fc.property(document, fc.constantFrom('small' as const, 'large' as const), (node, size) => {
        expect(text(encodeJson(node, size))).toBe(nodeText(node));
      }),
      { numRuns: 200 },
    );
  });

  test('damaged gives a MillraceError or a text, quickly', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(
        document,
        fc.constantFrom('small' as const, 'large' as const),
        damage,
        fc.nat(),
        (node, size, hits, cut) => {
          const bytes = encodeJson(node, size);
          for (const [at, value] of hits) bytes[at % bytes.length] = value;
          const end = cut % 4 === 0 ? cut % bytes.length : bytes.length;
          for (const read of [jsonText, decodeJsonDiffs]) {
            try {
              read(bytes, 0, end);
            } catch (error) {
              expect(error).toBeInstanceOf(MillraceError);
            }
          }
        },
      ),
      { numRuns: 600 },
    );
  });
});

describe('differences', () => {
  test('no bytes are no differences', () => {
    expect(decodeJsonDiffs(Buffer.alloc(4), 2, 2)).toEqual([]);
  });

  test.each([
    ['an unknown operation', [3, 1, 0x24]],
    ['a path that is cut off', [2, 9, 0x24]],
    ['a value that is cut off', [0, 1, 0x24, 9, 5, 1, 0]],
    ['a value that is no document', [0, 1, 0x24, 1, 0x55]],
  ])('with %s are malformed', (_, bytes) => {
    expect(() => decodeJsonDiffs(Buffer.from(bytes), 0, bytes.length)).toThrow(malformed);
  });
});
