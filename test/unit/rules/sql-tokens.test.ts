import { describe, expect, test } from 'vitest';
import { ANSI_QUOTES, NO_BACKSLASH_ESCAPES, SqlTokens } from '../../../src/rules/sql-tokens.ts';
import type { StatementDialect } from '../../../src/rules/statement-reading.ts';
import { MARIADB, MYSQL } from './statement-words.ts';

/** `word:a symbol:. name:b`, and at the end why reading ended, if it did. */
function tokens(sql: string | Buffer, dialect: Partial<StatementDialect> = {}): string {
  const buf = Buffer.from(sql);
  const reader = new SqlTokens(buf, { ...MYSQL, ...dialect });
  const found: string[] = [];
  for (let token = reader.next(); token.kind !== 'end'; token = reader.next()) {
    found.push(`${token.kind}:${buf.toString('latin1', token.start, token.end)}`);
  }
  if (reader.trouble !== null) found.push(`(${reader.trouble})`);
  return found.join(' ');
}

describe('names', () => {
  test.each([
    ['a b', 'word:a word:b'],
    ['a.b', 'name:a symbol:. name:b'],
    ['select.from', 'name:select symbol:. name:from'],
    ['a . select', 'word:a symbol:. word:select'],
    ['a .select', 'word:a symbol:. name:select'],
    ['a. select', 'word:a symbol:. word:select'],
    ['a.1b', 'name:a symbol:. name:1b'],
    ['a.123', 'name:a symbol:. name:123'],
    ['a.1e5', 'name:a symbol:. name:1e5'],
    ['a.b.c', 'name:a symbol:. name:b symbol:. name:c'],
    ['`a`.1b', 'name:`a` (a number stands behind the dot of a name)'],
    ['`a` .1 b', 'name:`a` number:.1 word:b'],
    ['`a`.select', 'name:`a` symbol:. name:select'],
    ['`a``b`', 'name:`a``b`'],
    ['``', 'name:``'],
    ['`a', '(a quoted name has no end)'],
    ['`a\0b`', '(a name has a zero byte in it)'],
    ['1a 2e 3e5 4e+5 5e+', 'name:1a name:2e number:3e5 number:4e+5 name:5e symbol:+'],
    ['0x1F 0x1G 0xZ 0b01 0b2 0X1', 'number:0x1F name:0x1G name:0xZ number:0b01 name:0b2 name:0X1'],
    ['1 1.5 .5 1. 1.5e-3', 'number:1 number:1.5 number:.5 number:1. number:1.5e-3'],
    ['1.5e', '(a number has no exponent)'],
    ['_utf8 $a a$1 _', 'word:_utf8 word:$a word:a$1 word:_'],
  ])('%s', (sql, expected) => {
    expect(tokens(sql)).toBe(expected);
  });

  test('a double quote begins a name with ANSI_QUOTES, and a string without', () => {
    expect(tokens('"a""b"')).toBe('string:"a""b"');
    expect(tokens('"a""b"', { sqlMode: ANSI_QUOTES })).toBe('name:"a""b"');
    expect(tokens('"a\\"', { sqlMode: ANSI_QUOTES })).toBe('name:"a\\"');
  });
});

describe('strings', () => {
  test.each([
    ["'a''b' 'c\\'d'", "string:'a''b' string:'c\\'d'"],
    ["'a\\\\' b", "string:'a\\\\' word:b"],
    [
      "N'x' x'00' b'1' n'y' X'ff' B'0'",
      "string:N'x' string:x'00' string:b'1' string:n'y' string:X'ff' string:B'0'",
    ],
    ["_utf8'x'", "word:_utf8 string:'x'"],
    ["'a", '(a string has no end)'],
    ["'a\\", '(a string has no end)'],
    ['$$ a; `b $$ c', 'string:$$ a; `b $$ word:c'],
    ['$t$ a $$ b $t$ c', 'string:$t$ a $$ b $t$ word:c'],
    ['$t$ a', '(a dollar-quoted text has no end)'],
  ])('%s', (sql, expected) => {
    expect(tokens(sql)).toBe(expected);
  });

  test('a backslash is one character with NO_BACKSLASH_ESCAPES', () => {
    expect(tokens("'a\\' b", { sqlMode: NO_BACKSLASH_ESCAPES })).toBe("string:'a\\' word:b");
  });

  test('there are no dollar quotes in MariaDB and old MySQL; where they came in is not known', () => {
    expect(tokens('$$ a', MARIADB)).toBe('word:$$ word:a');
    expect(tokens('$$ a', { versionNumber: 80033 })).toBe('word:$$ word:a');
    expect(tokens('$$ a', { versionNumber: 80100 })).toBe('(a name may be a dollar-quoted text)');
  });
});

describe('variables and hosts are one token, whatever dots they have', () => {
  test.each([
    ['@a @a.b.c', 'variable:@a variable:@a.b.c'],
    ['@\'a b\' @`c``d` @"e"', 'variable:@\'a b\' variable:@`c``d` variable:@"e"'],
    ['@@global.x @@x', 'variable:@@global.x variable:@@x'],
    ['@@`x` @@global.`x`', 'variable:@@`x` variable:@@global.`x`'],
    ['root@localhost.example', 'word:root variable:@localhost.example'],
    ["'u'@'h'", "string:'u' variable:@'h'"],
    ["@'a", '(a string has no end)'],
  ])('%s', (sql, expected) => {
    expect(tokens(sql)).toBe(expected);
  });
});

describe('comments', () => {
  test.each([
    ['a /* b */ c', 'word:a word:c'],
    ['a/**/b', 'word:a word:b'],
    ['a # b\nc', 'word:a word:c'],
    ['a -- b\nc', 'word:a word:c'],
    ['a --\nc', 'word:a word:c'],
    ['a --b', 'word:a symbol:- symbol:- word:b'],
    ['a --', 'word:a'],
    ['a /*+ BKA(x) */ b', 'word:a word:b'],
    ['a /* b', 'word:a (a comment has no end)'],
    ['a /*/ b */ c', 'word:a word:c'],
    ['a */ b', 'word:a symbol:* symbol:/ word:b'],
    ["a /* ' */ b", 'word:a word:b'],
    ['a /* x /* y */ z */', 'word:a word:z symbol:* symbol:/'],
  ])('%s', (sql, expected) => {
    expect(tokens(sql)).toBe(expected);
  });
});

describe('version comments', () => {
  const MYSQL_57 = { ...MYSQL, versionNumber: 50744 };
  test.each<[string, Partial<StatementDialect>, string]>([
    ['/*! a */ b', MYSQL, 'word:a word:b'],
    ['/*!50000 a */ b', MYSQL, 'word:a word:b'],
    ['/*!90704 a */ b', MYSQL, 'word:a word:b'],
    ['/*!90705 a */ b', MYSQL, 'word:b'],
    ['/*!99999 a /* c */ d */ b', MYSQL, 'word:b'],
    ['/*!090704 a */ b', MYSQL, 'word:a word:b'],
    ['/*!090705 a */ b', MYSQL, 'word:b'],
    ['/*!0907041 a */ b', MYSQL, 'number:41 word:a word:b'],
    ['/*!50000a */ b', MYSQL, 'word:a word:b'],
    ['/*!080000t*/', MYSQL, 'name:0t'],
    ['/*!100000 a */', MYSQL_57, 'number:0 word:a'],
    ['/*!50000 a /* c */ d */ b', MYSQL, 'word:a word:d word:b'],
    ['/*!50000 a', MYSQL, 'word:a (a version comment has no end)'],
    ['/*!99999 a', MYSQL, '(a comment has no end)'],
    ['/*M! a */ b', MYSQL, 'word:b'],
    ['/*M! a */ b', MARIADB, 'word:a word:b'],
    ['/*M!100100 a */ b', MARIADB, 'word:a word:b'],
    ['/*M!110000 a */ b', MARIADB, 'word:b'],
    ['/*!100100 a */ b', MARIADB, 'word:a word:b'],
    ['/*!101119 a */ b', MARIADB, 'word:b'],
    ['/*!50700 a */ b', MARIADB, 'word:b'],
    ['/*!80000 a */ b', MARIADB, 'word:b'],
    ['/*!50699 a */ b', MARIADB, 'word:a word:b'],
    ['/*M!50700 a */ b', MARIADB, 'word:a word:b'],
  ])('%s', (sql, dialect, expected) => {
    expect(tokens(sql, dialect)).toBe(expected);
  });
});

describe('characters of several bytes', () => {
  test.each<[string, number[], string]>([
    ['gbk', [0xd5, 0x5c], 'a backslash'],
    ['gbk', [0x81, 0x60], 'a backtick'],
    ['sjis', [0x95, 0x5c], 'a backslash'],
    ['sjis', [0x83, 0x60], 'a backtick'],
    ['cp932', [0x95, 0x5c], 'a backslash'],
    ['big5', [0xa5, 0x5c], 'a backslash'],
    ['gb18030', [0xd5, 0x5c], 'a backslash'],
    ['gb18030', [0x81, 0x39, 0xef, 0x30], 'digits'],
  ])('%s %j has %s inside', (charset, bytes) => {
    const char = Buffer.from(bytes);
    const text = char.toString('latin1');
    const quoted = Buffer.concat([Buffer.from("'"), char, Buffer.from("' b")]);
    expect(tokens(quoted, { charset })).toBe(`string:'${text}' word:b`);
    const named = Buffer.concat([Buffer.from('`'), char, Buffer.from('` b')]);
    expect(tokens(named, { charset })).toBe(`name:\`${text}\` word:b`);
    const bare = Buffer.concat([char, Buffer.from(' b')]);
    expect(tokens(bare, { charset })).toBe(`word:${text} word:b`);
  });

  test('the same bytes are other things in another character set', () => {
    const sql = Buffer.from([0x27, 0xd5, 0x5c, 0x27, 0x20, 0x27]);
    expect(tokens(sql, { charset: 'gbk' })).toMatch(/^string:.{4} \(a string has no end\)$/);
    expect(tokens(sql, { charset: 'latin1' })).toMatch(/^string:.{6}$/);
  });

  test('a byte that is no letter outside of quotes cannot be placed', () => {
    expect(tokens(Buffer.from([0x61, 0x20, 0xa0]), { charset: 'latin1' })).toBe(
      'word:a (a byte that is no letter stands outside of quotes)',
    );
    expect(tokens(Buffer.from([0xff]))).toBe('(a byte that is no letter stands outside of quotes)');
  });
});
