import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { firstSqlWords, skipSqlBlanks, statementStart } from '../../../src/binlog/sql-words.ts';

const startOf = (sql: string) => statementStart(Buffer.from(sql, 'latin1'));

describe('the start of a statement', () => {
  test.each([
    ['CREATE TABLE t (a INT)', 'CREATE TABLE T'],
    ['  drop\n\ttrigger x', 'DROP TRIGGER X'],
    ['/* a *//* b */ -- c\n#d\nDROP TRIGGER x', 'DROP TRIGGER X'],
    ['DROP/**/TRIGGER--\nx', 'DROP TRIGGER X'],
    ['--\nGRANT ALL', 'GRANT ALL'],
    ['--\x01c\nGRANT ALL', 'GRANT ALL'],
    ['--GRANT ALL', ''],
    ['/* a * / b **/ GRANT ALL', 'GRANT ALL'],
    ['/*/ GRANT */ REVOKE x', 'REVOKE X'],
    ['/* a /* b */ GRANT ALL', 'GRANT ALL'],
    ['CREATE OR REPLACE TABLE t', 'CREATE TABLE T'],
    ['CREATE /* a */ OR # b\n REPLACE TEMPORARY TABLE t', 'CREATE TEMPORARY TABLE'],
    ['SET @a = 1', 'SET'],
    ['`DROP` TABLE', ''],
    ['(SELECT 1)', ''],
    ['DROP$ TABLE', 'DROP$ TABLE'],
    ['/* never closed', ''],
    ['# never ended', ''],
    ['--', ''],
    ['/*', ''],
    ['', ''],
  ])('%j has the words %j', (sql, words) => {
    expect(startOf(sql).words.join(' ')).toBe(words);
    expect(startOf(sql).veiled).toBe(false);
  });

  test.each([
    ['/*!50003 CREATE USER u */', ''],
    ['/* a */ /*M!100100 CREATE USER u */', ''],
    ['CREATE /*! TEMPORARY */ TABLE t', 'CREATE'],
    ['SET STATEMENT max_statement_time=1 FOR DROP TABLE t', 'SET STATEMENT MAX_STATEMENT_TIME'],
  ])('%j is told only by reading it', (sql, words) => {
    expect(startOf(sql)).toEqual({
      words: words === '' ? [] : words.split(' '),
      replaces: false,
      veiled: true,
    });
  });

  test('OR REPLACE is told apart', () => {
    expect(startOf('create or replace view v').replaces).toBe(true);
    expect(startOf('CREATE VIEW or_replace').replaces).toBe(false);
  });

  test('a comment that would not be worth a second look is looked at once', () => {
    const headers = ['/* a */', '-- a\n', '#\n', '/*', '/* /', '--\n'];
    for (const header of headers) {
      const sql = Buffer.from(`${header.repeat(100_000)} GRANT /* x */ ALL`);
      const beganMs = performance.now();
      statementStart(sql);
      firstSqlWords(sql);
      expect(performance.now() - beganMs).toBeLessThan(1000);
    }
  });

  test('nothing before the start and nothing behind the end is read', () => {
    const parts = fc.constantFrom(
      '/*',
      '*/',
      '!',
      'M!',
      '--',
      '#',
      '\n',
      ' ',
      'SET',
      'OR',
      'REPLACE',
      'a',
      '\0',
    );
    fc.assert(
      fc.property(fc.array(parts), fc.array(parts), (inner, after) => {
        const sql = Buffer.from(inner.join(''), 'latin1');
        const longer = Buffer.from(`--${inner.join('')}${after.join('')}`, 'latin1');
        const end = 2 + sql.length;
        expect(statementStart(longer, 2, end)).toEqual(statementStart(sql));
        expect(skipSqlBlanks(longer, 2, end) - 2).toBe(skipSqlBlanks(sql, 0, sql.length));
      }),
    );
  });
});

test.each([
  ['/* app:web */ RENAME TABLE a TO b, b TO a', 'RENAME TABLE'],
  ['/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`b`*/ TRIGGER t', 'CREATE DEFINER'],
  ['(DELETE FROM t)', 'DELETE FROM'],
  ['CREATE OR REPLACE TABLE t', 'CREATE OR'],
  ['SELECT 4711', 'SELECT'],
  ["SET PASSWORD = 'x'", 'SET PASSWORD'],
  ["SET STATEMENT sql_mode='x for \\' y', max_statement_time=10 FOR RENAME TABLE a TO b", 'RENAME TABLE'],
  ['SET STATEMENT max_statement_time=10', 'SET STATEMENT'],
  ["'x'", ''],
])('%s is called "%s"', (sql, words) => {
  expect(firstSqlWords(Buffer.from(sql))).toBe(words);
});
