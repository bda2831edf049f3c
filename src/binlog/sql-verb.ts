/**
 * Recognises, in bytes of SQL text, the few statements that open or close a transaction.
 *
 *   BEGIN [WORK]           begin        XA START | BEGIN …    xa-start
 *   COMMIT …               commit       XA END …              xa-end
 *   ROLLBACK [WORK]        rollback     XA COMMIT …           xa-commit
 *   ROLLBACK [WORK] TO …   other        XA ROLLBACK …         xa-rollback
 *   anything else          other        (BEGIN NOT ATOMIC … is a compound statement: other)
 *
 * Servers write the left column themselves, as bare words; they compare without regard to case (mysqld's log_event.h), and
 * so do we, with blanks and plain comments before and between the words passed over (sql-words.ts). The words are ASCII in
 * every charset that a client may have. Does not allocate: called for every statement that is received.
 */
import { isSqlWordByte, skipSqlBlanks } from './sql-words.ts';

export type SqlVerb =
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'xa-start'
  | 'xa-end'
  | 'xa-commit'
  | 'xa-rollback'
  | 'other';

/** The verb of the statement buf[start, end). */
export function sqlVerb(buf: Buffer, start: number, end: number): SqlVerb {
  const at = skipSqlBlanks(buf, start, end);
  switch (upperAt(buf, at, end)) {
    case B: {
      const after = skipWord(buf, at, end, 'BEGIN');
      return after >= 0 && isBareOrWork(buf, after, end) ? 'begin' : 'other';
    }
    case C:
      return skipWord(buf, at, end, 'COMMIT') >= 0 ? 'commit' : 'other';
    case R: {
      const after = skipWord(buf, at, end, 'ROLLBACK');
      return after >= 0 && !isToSavepoint(buf, after, end) ? 'rollback' : 'other';
    }
    case X:
      return xaVerb(buf, skipWord(buf, at, end, 'XA'), end);
    default:
      return 'other';
  }
}

/**
 * The statement's first word in upper case, as far as it is letters; empty when something else comes first, a version
 * comment for one.
 */
export function firstSqlWord(buf: Buffer, start: number, end: number): string {
  const at = skipSqlBlanks(buf, start, end);
  let after = at;
  while (after < Math.min(end, at + WORD_LENGTH_MAX) && isSqlWordByte(buf[after]!)) after++;
  const word = buf.toString('latin1', at, after).toUpperCase();
  return /^[A-Z]+$/.test(word) ? word : '';
}

/** No word that begins a statement is longer. */
const WORD_LENGTH_MAX = 20;
const B = 0x42;
const C = 0x43;
const R = 0x52;
const X = 0x58;
const SEMICOLON = 0x3b;

function xaVerb(buf: Buffer, after: number, end: number): SqlVerb {
  if (after < 0) return 'other';
  const at = skipSqlBlanks(buf, after, end);
  if (skipWord(buf, at, end, 'START') >= 0 || skipWord(buf, at, end, 'BEGIN') >= 0) return 'xa-start';
  if (skipWord(buf, at, end, 'END') >= 0) return 'xa-end';
  if (skipWord(buf, at, end, 'COMMIT') >= 0) return 'xa-commit';
  if (skipWord(buf, at, end, 'ROLLBACK') >= 0) return 'xa-rollback';
  return 'other';
}

function isBareOrWork(buf: Buffer, after: number, end: number): boolean {
  const at = skipSqlBlanks(buf, after, end);
  return at >= end || buf[at] === SEMICOLON || skipWord(buf, at, end, 'WORK') >= 0;
}

function isToSavepoint(buf: Buffer, after: number, end: number): boolean {
  const at = skipSqlBlanks(buf, after, end);
  const afterWork = skipWord(buf, at, end, 'WORK');
  return skipWord(buf, afterWork < 0 ? at : skipSqlBlanks(buf, afterWork, end), end, 'TO') >= 0;
}

/** The end of `word` (upper case) when it stands at `at` and no letter, digit or underscore follows; else -1. */
function skipWord(buf: Buffer, at: number, end: number, word: string): number {
  const after = at + word.length;
  if (after > end) return -1;
  for (let i = 0; i < word.length; i++) {
    if (upperAt(buf, at + i, end) !== word.charCodeAt(i)) return -1;
  }
  return after < end && isSqlWordByte(buf[after]!) ? -1 : after;
}

function upperAt(buf: Buffer, at: number, end: number): number {
  if (at >= end) return 0;
  const byte = buf[at]!;
  return byte >= 0x61 && byte <= 0x7a ? byte - 0x20 : byte;
}
