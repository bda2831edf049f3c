import { deflateRawSync, deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { decompressColumn } from '../../../src/binlog/compressed-column.ts';

const plain = Buffer.alloc(1000, 'abc');
const decompress = (bytes: Buffer): Buffer => decompressColumn(bytes, 0, bytes.length);
const malformed = expect.objectContaining({ code: 'MALFORMED_EVENT' });

describe('a compressed column value', () => {
  test('inflates with and without a zlib header, or stands as it is', () => {
    expect(decompress(Buffer.concat([Buffer.from([0x8a, 0x03, 0xe8]), deflateRawSync(plain)]))).toEqual(
      plain,
    );
    expect(decompress(Buffer.concat([Buffer.from([0x82, 0x03, 0xe8]), deflateSync(plain)]))).toEqual(plain);
    expect(decompress(Buffer.from([0x00, 1, 2, 3]))).toEqual(Buffer.from([1, 2, 3]));
    expect(decompress(Buffer.alloc(0))).toEqual(Buffer.alloc(0));
  });

  test.each([
    ['holds more than it declares', Buffer.concat([Buffer.from([0x8a, 0x03, 0xe7]), deflateRawSync(plain)])],
    ['holds less than it declares', Buffer.concat([Buffer.from([0x8a, 0x03, 0xe9]), deflateRawSync(plain)])],
    [
      'holds much more than it declares',
      Buffer.concat([Buffer.from([0x89, 1]), deflateRawSync(Buffer.alloc(1 << 24))]),
    ],
    ['is cut off', Buffer.concat([Buffer.from([0x8a, 0x03, 0xe8]), deflateRawSync(plain).subarray(0, -4)])],
    ['has a method that nobody knows', Buffer.from([0x1a, 0, 1, 0])],
    ['has no room for its length', Buffer.from([0x8a, 0])],
    ['declares four gigabytes', Buffer.from([0x8c, 0xff, 0xff, 0xff, 0xff, 0])],
  ])('that %s is malformed', (_, bytes) => {
    expect(() => decompress(bytes)).toThrow(malformed);
  });
});
