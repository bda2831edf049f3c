import { describe, expect, test } from 'vitest';
import { clientCharset } from '../../../src/rules/client-charset.ts';

const decode = (charset: string, ...bytes: number[]): string | null =>
  clientCharset(charset).decode(Buffer.from(bytes), 0, bytes.length);

describe('names in the character sets of clients are what the servers take them for', () => {
  test.each<[string, number[], string]>([
    ['utf8mb4', [0xf0, 0x9f, 0x98, 0x80], '😀'],
    ['utf8', [0xe8, 0xa1, 0xa8], '表'],
    ['binary', [0xe8, 0xa1, 0xa8], '表'],
    ['latin1', [0x80, 0xe9, 0xff], '€éÿ'],
    ['latin2', [0xb3, 0xbc], 'łź'],
    ['cp1251', [0xf2, 0xff], 'тя'],
    ['koi8r', [0xd4, 0xd1], 'тя'],
    ['cp850', [0x82], 'é'],
    ['gbk', [0xd5, 0x5c, 0x61], '誠a'],
    ['gb18030', [0x81, 0x39, 0xee, 0x39], '㐀'],
    ['gb2312', [0xa1, 0xa4], '・'],
    ['sjis', [0x95, 0x5c, 0xb1], '表ｱ'],
    ['sjis', [0x81, 0x60], '〜'],
    ['cp932', [0x81, 0x60, 0x87, 0x40], '～①'],
    ['ujis', [0xc9, 0xbd, 0x8f, 0xb0, 0xa1], '表丂'],
    ['big5', [0xa5, 0x5c], '功'],
    ['euckr', [0xb0, 0xa1], '가'],
  ])('%s %j', (charset, bytes, text) => {
    expect(decode(charset, ...bytes)).toBe(text);
    expect(clientCharset(charset).encode(text)).toEqual(charset === 'gb18030' ? null : Buffer.from(bytes));
  });

  test('a byte order mark is a character of the name', () => {
    expect(decode('utf8mb4', 0xef, 0xbb, 0xbf, 0x61)).toBe('\ufeffa');
  });

  test.each<[string, string, number[]]>([
    ['a half character', 'gbk', [0x61, 0xd5]],
    ['a character that the servers read otherwise, or not at all', 'big5', [0xa1, 0x5a]],
    ['a place for private use', 'gbk', [0xaa, 0xa1]],
    ['bytes that are no UTF-8', 'utf8mb4', [0xc3, 0x28]],
    ['a character set that is not known', 'klingon', [0x61, 0xe9]],
    ['the place of a letter of ASCII in swe7', 'swe7', [0x61, 0x5b]],
    ['a control character', 'latin1', [0x81]],
  ])('%s is not known', (_what, charset, bytes) => {
    expect(decode(charset, ...bytes)).toBeNull();
  });

  test('ASCII is known in all of them', () => {
    for (const charset of ['klingon', 'swe7', 'gbk', 'latin1', 'tis620']) {
      expect(decode(charset, 0x61, 0x5f, 0x39)).toBe('a_9');
    }
  });

  test('what does not exist in a character set is not written', () => {
    expect(clientCharset('latin1').encode('表')).toBeNull();
    expect(clientCharset('gbk').encode('é😀')).toBeNull();
    expect(clientCharset('klingon').encode('é')).toBeNull();
  });
});
