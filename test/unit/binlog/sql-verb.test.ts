import fc from 'fast-check';
import { expect, test } from 'vitest';
import { firstSqlWord, sqlVerb } from '../../../src/binlog/sql-verb.ts';

const verbOf = (sql: string): string => {
  const buf = Buffer.from(`xx${sql}COMMIT`, 'latin1');
  return sqlVerb(buf, 2, 2 + Buffer.byteLength(sql, 'latin1'));
};

test.each([
  ['BEGIN', 'begin'],
  ['begin', 'begin'],
  ['Begin Work', 'begin'],
  [' \n\tBEGIN ;', 'begin'],
  ['/* from a tool */ BEGIN', 'begin'],
  ['BEGIN /* from a tool */', 'begin'],
  ['BEGIN NOT ATOMIC SELECT 1; END', 'other'],
  ['BEGINNING', 'other'],
  ['BEGIN_', 'other'],
  ['COMMIT', 'commit'],
  ['commit', 'commit'],
  ['COMMIT /* implicit */', 'commit'],
  ['COMMITS', 'other'],
  ['COMMI', 'other'],
  ['ROLLBACK', 'rollback'],
  ['Rollback work', 'rollback'],
  ['ROLLBACK TO `s`', 'other'],
  ['rollback to savepoint s', 'other'],
  ['ROLLBACK WORK TO s', 'other'],
  ['ROLLBACK/**/TO s', 'other'],
  ['ROLLBACK TOO', 'rollback'],
  ["XA START X'61',X'',1", 'xa-start'],
  ["xa begin 'a'", 'xa-start'],
  ["XA END X'61',X'',1", 'xa-end'],
  ["XA COMMIT X'61',X'',1", 'xa-commit'],
  ["XA /* x */ ROLLBACK X'61',X'',1", 'xa-rollback'],
  ["XA PREPARE X'61'", 'other'],
  ['XA', 'other'],
  ['XACOMMIT', 'other'],
  ['SAVEPOINT `s`', 'other'],
  ['INSERT INTO t VALUES (1)', 'other'],
  ['CREATE TABLE begin_ (a INT)', 'other'],
  ['-- from a tool\n#\nCOMMIT', 'commit'],
  ['/*!40000 COMMIT */', 'other'],
  ['/*M!100100 COMMIT */', 'other'],
  ['/* never closed COMMIT', 'other'],
  ['/*', 'other'],
  ['/', 'other'],
  ['', 'other'],
  [' ', 'other'],
])('"%s" is %s', (sql, verb) => {
  expect(verbOf(sql)).toBe(verb);
});

test.each([
  ['DROP TABLE t', 'DROP'],
  ['  /* c */ drop\ttable t', 'DROP'],
  ['insert', 'INSERT'],
  ['/*!40000 DROP TABLE t */', ''],
  ['/*M!100100 DROP TABLE t */ INSERT', ''],
  ['--\n# c\nDROP TABLE t', 'DROP'],
  ['(SELECT 1)', ''],
  ['`DROP` TABLE', ''],
  ['DROP1 TABLE', ''],
  ['DROP\xe4', ''],
  ['ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'ABCDEFGHIJKLMNOPQRST'],
  ['', ''],
])('"%s" begins with the word "%s"', (sql, word) => {
  expect(firstSqlWord(Buffer.from(sql, 'latin1'), 0, sql.length)).toBe(word);
});

test('bytes of other charsets behind a word belong to it', () => {
  expect(verbOf('COMMIT\xe4')).toBe('other');
});

test('any bytes give a verb and nothing behind the statement is read', () => {
  const words = fc.constantFrom(
    'BEGIN',
    'commit',
    'ROLLBACK',
    'TO',
    'XA',
    'start',
    'WORK',
    '/*',
    '*/',
    ' ',
    ';',
    '\0',
  );
  fc.assert(
    fc.property(fc.array(words), fc.uint8Array({ maxLength: 8 }), (parts, after) => {
      const sql = Buffer.from(parts.join(' '), 'latin1');
      const alone = sqlVerb(sql, 0, sql.length);
      expect(sqlVerb(Buffer.concat([sql, after]), 0, sql.length)).toBe(alone);
    }),
  );
});
