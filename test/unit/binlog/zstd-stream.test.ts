import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../../../src/binlog/event-header.ts';
import { decodePayloadHeader } from '../../../src/binlog/transaction-payload.ts';
import { ZstdStream } from '../../../src/binlog/zstd-stream.ts';
import { readFixture } from '../../support/binlog-fixture.ts';
import {
  compressedBlock,
  frame,
  rawBlock,
  rawFrame,
  rawFrameOf,
  rleBlock,
} from '../../support/zstd-builder.ts';

const malformed = expect.objectContaining({ code: 'MALFORMED_EVENT' });
const KIB = 1024;

/** Real frames of MySQL 9.7 and the size of their content. */
const realFrames = (() => {
  const { bytes, events } = readFixture('mysql-9.7/compressed.binlog');
  return events
    .filter((event) => event.type === EventType.TRANSACTION_PAYLOAD_EVENT)
    .map(({ start, end }) => {
      const body = bytes.subarray(start + EVENT_HEADER_LENGTH, end);
      const { payloadOffset, uncompressedSize } = decodePayloadHeader(body, 0, body.length);
      return { compressed: body.subarray(payloadOffset), uncompressedSize };
    });
})();

function decompress(
  compressed: Buffer,
  pieceLengths: number[] = [compressed.length],
  contentMax = 10_000_000,
) {
  const stream = new ZstdStream(contentMax);
  const blocks: Buffer[] = [];
  let at = 0;
  for (let i = 0; at < compressed.length; i++) {
    const length = pieceLengths[i % pieceLengths.length]!;
    for (const block of stream.push(compressed.subarray(at, at + length))) blocks.push(Buffer.from(block));
    at += length;
  }
  stream.finish();
  return Buffer.concat(blocks);
}

describe('real frames', () => {
  test('give the same however they are cut into pieces, in blocks of at most 128 KiB', () => {
    for (const { compressed, uncompressedSize } of realFrames) {
      const whole = decompress(compressed);
      expect(whole).toHaveLength(uncompressedSize);
      fc.assert(
        fc.property(
          fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 5 }),
          (lengths) => {
            expect(decompress(compressed, lengths).equals(whole)).toBe(true);
          },
        ),
        { numRuns: 15 },
      );
    }
  });

  test('that are cut off anywhere are damage', () => {
    const { compressed } = realFrames[0]!;
    for (let end = 1; end < compressed.length; end++) {
      expect(() => decompress(compressed.subarray(0, end))).toThrow(malformed);
    }
  });

  test('with changed bytes give something or a typed error, quickly', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 5,
    });
    fc.assert(
      fc.property(fc.constantFrom(...realFrames), damage, ({ compressed }, changes) => {
        const bytes = Buffer.from(compressed);
        for (const [at, mask] of changes) bytes[at % Math.min(bytes.length, 400)]! ^= mask;
        try {
          decompress(bytes);
        } catch (error) {
          if (!(error instanceof MillraceError) || error.code !== 'MALFORMED_EVENT') throw error;
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe('frames by hand', () => {
  test('of raw blocks, and several frames in a row', () => {
    const content = Buffer.from('the quick brown fox jumps over the lazy dog');
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), (blockSize, piece) => {
        const twice = Buffer.concat([rawFrameOf(content, blockSize), rawFrameOf(content, 7)]);
        expect(decompress(twice, [piece]).toString()).toBe(`${content}${content}`);
      }),
    );
  });

  test('without content, and with every form of the content size', () => {
    expect(decompress(frame([rawBlock(Buffer.alloc(0), true)]))).toHaveLength(0);
    const five = [rawBlock(Buffer.from('12345'), true)];
    expect(decompress(rawFrame(0x20, [5], five)).toString()).toBe('12345');
    expect(decompress(rawFrame(0xa0, [5, 0, 0, 0], five)).toString()).toBe('12345');
    expect(decompress(rawFrame(0xe0, [5, 0, 0, 0, 0, 0, 0, 0], five)).toString()).toBe('12345');
    const long = Buffer.alloc(300, 'x');
    expect(decompress(rawFrame(0x60, [44, 0], [rawBlock(long, true)]))).toEqual(long);
  });

  test('the checksum of a frame is passed over, also when it comes in pieces', () => {
    const checked = Buffer.concat([
      rawFrame(0x24, [5], [rawBlock(Buffer.from('12345'), true)]),
      Buffer.alloc(4),
    ]);
    expect(decompress(checked, [1]).toString()).toBe('12345');
    expect(() => decompress(checked.subarray(0, -1))).toThrow(malformed);
  });

  test('a bomb gives a few blocks at a time, and no more than are asked for', () => {
    const blocks = Array.from({ length: 1000 }, (_, i) => rleBlock(7, 128 * KIB, i === 999));
    const stream = new ZstdStream(1000 * 128 * KIB);
    const output = stream.push(frame(blocks));
    const before = process.memoryUsage.rss();
    for (let i = 0; i < 3; i++) expect((output.next().value as Buffer).length).toBe(128 * KIB);
    expect(process.memoryUsage.rss() - before).toBeLessThan(64 * KIB * KIB);
  });

  test('a bomb of more than the content may be is refused where it passes it', () => {
    const blocks = Array.from({ length: 100 }, (_, i) => rleBlock(7, 128 * KIB, i === 99));
    const stream = new ZstdStream(300 * KIB);
    let given = 0;
    expect(() => {
      for (const block of stream.push(frame(blocks))) given += block.length;
    }).toThrow(malformed);
    expect(given).toBeLessThanOrEqual(300 * KIB);
  });

  test('many frames cannot ask for many large windows', () => {
    const empty = frame([rawBlock(Buffer.alloc(0), true)], 0x88);
    const frames = (count: number) => Buffer.concat(Array.from({ length: count }, () => empty));
    expect(decompress(frames(20), [1000], 100 * KIB)).toHaveLength(0);
    expect(() => decompress(frames(200), [1000], 100 * KIB)).toThrow(malformed);
    expect(() => decompress(frames(3), [1000], 2 ** 40)).toThrow(malformed);
  });

  test.each([
    ['another magic', Buffer.from('28b52ffe000000010000', 'hex')],
    ['a skippable frame', Buffer.from('502a4d18040000000000000000', 'hex')],
    ['a reserved bit', rawFrame(0x28, [1], [rawBlock(Buffer.from('1'), true)])],
    ['a dictionary', rawFrame(0x21, [9, 1], [rawBlock(Buffer.from('1'), true)])],
    ['a window above 128 MiB', frame([rawBlock(Buffer.from('1'), true)], 0x89)],
    ['a content above what may come', rawFrame(0xe0, [0, 0, 0, 0, 0, 1, 0, 0], [])],
    ['a block of a reserved type', Buffer.concat([frame([]), Buffer.from([7, 0, 0])])],
    ['a block of more than 128 KiB', frame([rleBlock(7, 128 * KIB + 1, true)])],
    ['a block longer than the window', frame([rleBlock(7, 2 * KIB, true)], 0x00)],
    ['an empty compressed block', frame([compressedBlock(Buffer.alloc(0), true)])],
    ['a compressed block of nothing', frame([compressedBlock(Buffer.from([0, 0]), true), Buffer.from([1])])],
  ])('%s is damage', (_what, bytes) => {
    expect(() => decompress(bytes)).toThrow(malformed);
  });
});

describe('sequences in a compressed block', () => {
  // No literals; 43 690 sequences, all tables of one symbol: literal length 0, offset code 0, match length code 52 (65539
  // bytes and 16 more bits each).
  const greedy = (bits: Buffer) => Buffer.concat([Buffer.from([0, 0xff, 0xaa, 0x2b, 0x54, 0, 0, 52]), bits]);

  test('that copy more than a block holds are refused at once', () => {
    const startedAt = performance.now();
    const block = greedy(Buffer.alloc(100_000, 0xff));
    expect(() => decompress(frame([compressedBlock(block, true)]))).toThrow(malformed);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  test.each([
    ['whose bits are missing', greedy(Buffer.from([1]))],
    ['whose bitstream has no end', greedy(Buffer.from([1, 0]))],
    ['that repeat tables of no block', Buffer.from([0, 1, 0xfc, 1])],
    ['with a code that does not exist', Buffer.from([0, 1, 0x54, 36, 0, 0, 1])],
    ['with a reserved mode bit', Buffer.from([0, 1, 1, 1])],
    ['with a table that is too fine', Buffer.from([0, 1, 0x80, 0x0f, 0, 0])],
    ['with a table that is cut off', Buffer.from([0, 1, 0x80, 0x01])],
    ['that are not there', Buffer.from([0])],
    ['with a count cut off', Buffer.from([0, 0xff, 1])],
  ])('%s are damage', (_what, block) => {
    expect(() => decompress(frame([compressedBlock(block, true)]))).toThrow(malformed);
  });
});
