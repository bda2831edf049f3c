import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { readStatement } from '../../../src/rules/read-statement.ts';
import { renameDatabases, spliceNames } from '../../../src/rules/splice-names.ts';
import type { StatementDialect } from '../../../src/rules/statement-reading.ts';
import { MARIADB, MYSQL } from './statement-words.ts';

function renamed(sql: string | Buffer, dialect: StatementDialect = MYSQL): string | null {
  const bytes = Buffer.from(sql);
  const rename = (name: string): string => (name === 'a' ? 'x`y' : name);
  return renameDatabases(bytes, readStatement(bytes, dialect), rename, dialect)?.toString('latin1') ?? null;
}

function named(sql: Buffer, name: string, dialect: StatementDialect): Buffer {
  const reading = readStatement(sql, dialect);
  if (reading.is !== 'read') throw new Error(reading.why);
  return spliceNames(sql, [{ span: reading.objects[0]!.nameSpan!, name }], dialect);
}

describe('databases are renamed wherever they are written, and nothing else changes', () => {
  test.each([
    ['DROP TABLE a.t, b.t , `a`.`t`', 'DROP TABLE `x``y`.t, b.t , `x``y`.`t`'],
    ['DROP TABLE a . t -- a.t', 'DROP TABLE `x``y` . t -- a.t'],
    ['DROP TABLE t', 'DROP TABLE t'],
    ['DROP DATABASE a', 'DROP DATABASE `x``y`'],
    ['CREATE TABLE a.1t (c INT)', 'CREATE TABLE `x``y`.`1t` (c INT)'],
    ['SELECT a.0.1x FROM a.0', 'SELECT `x``y`.`0`.`1x` FROM `x``y`.`0`'],
    ['CREATE TABLE a.select (c INT)', 'CREATE TABLE `x``y`.select (c INT)'],
    [
      'CREATE VIEW v AS SELECT a.t.c, a.f(t.a), "a.t" FROM a.t',
      'CREATE VIEW v AS SELECT `x``y`.t.c, `x``y`.f(t.a), "a.t" FROM `x``y`.t',
    ],
    [
      'CREATE PROCEDURE p() DELETE a, a.t FROM a.t, a',
      'CREATE PROCEDURE p() DELETE a, `x``y`.t FROM `x``y`.t, a',
    ],
    ['GRANT SELECT ON a.* TO a@a', 'GRANT SELECT ON `x``y`.* TO a@a'],
  ])('%s', (sql, expected) => {
    expect(renamed(sql)).toBe(expected);
  });

  test('a reading that does not know all of them renames none', () => {
    expect(renamed('CREATE PROCEDURE p() SHOW TABLES FROM a')).toBeNull();
    expect(renamed('NONSENSE')).toBeNull();
  });

  test('with ANSI_QUOTES backticks are written all the same', () => {
    expect(renamed('DROP TABLE "a"."t"', { ...MYSQL, sqlMode: 4n })).toBe('DROP TABLE `x``y`."t"');
  });
});

describe('names', () => {
  test('two quoted names are kept apart', () => {
    expect(named(Buffer.from('INSERT t`x` VALUES (1)'), 'n', MYSQL).toString()).toBe(
      'INSERT `n` `x` VALUES (1)',
    );
    expect(named(Buffer.from('TRUNCATE t'), 'n', MYSQL).toString()).toBe('TRUNCATE `n`');
  });

  test('are written in the character set of the statement', () => {
    const gbk = { ...MYSQL, charset: 'gbk' };
    expect(named(Buffer.from('DROP TABLE t'), '誠', gbk)).toEqual(
      Buffer.concat([Buffer.from('DROP TABLE `'), Buffer.from([0xd5, 0x5c]), Buffer.from('`')]),
    );
    expect(() => named(Buffer.from('DROP TABLE t'), '😀', gbk)).toThrow(MillraceError);
  });

  test('a backtick inside of a character is not doubled; MariaDB could not read it', () => {
    const name = Buffer.from([0x83, 0x60]);
    const sjis = { ...MYSQL, charset: 'sjis' };
    expect(named(Buffer.from('DROP TABLE t'), 'チ', sjis)).toEqual(
      Buffer.concat([Buffer.from('DROP TABLE `'), name, Buffer.from('`')]),
    );
    expect(() => named(Buffer.from('DROP TABLE t'), 'チ', { ...MARIADB, charset: 'sjis' })).toThrow(
      "the name 'チ' cannot be written in the character set sjis",
    );
    expect(named(Buffer.from('DROP TABLE t'), '表`', { ...MARIADB, charset: 'sjis' })).toEqual(
      Buffer.concat([Buffer.from('DROP TABLE `'), Buffer.from([0x95, 0x5c]), Buffer.from('```')]),
    );
  });

  test('a name with a zero byte, or none, is not written', () => {
    expect(() => named(Buffer.from('DROP TABLE t'), 'a\0b', MYSQL)).toThrow(MillraceError);
    expect(() => named(Buffer.from('DROP TABLE t'), '', MYSQL)).toThrow(MillraceError);
  });
});
