/**
 * Where a statement's first words stand, behind blanks and comments, without reading the statement.
 *
 *   passed over   white space     # … end of the line     -- … end of the line     / * … * /, which does not nest
 *   seen          / *! … and / *M! …: what a version comment holds may be executed, so it is never passed over
 *
 * The one place for it: whoever asks what a statement begins with asks here, and no regular expression looks at comments. One
 * that does (`\/\*[\s\S]*?\*\/`) can be led past the end of a comment to the end of a later one, takes the words there for
 * the statement's, and needs exponential time for a header of thirty comments.
 *
 * The words are ASCII in every charset that a client may have, and no byte of a comment's marks is part of a longer character.
 * Linear: each byte is looked at once. Rules of comments: sql_lex.cc (rules/sql-tokens.ts reads whole statements by them).
 */

const STAR = 0x2a;
const SLASH = 0x2f;
const EXCLAMATION = 0x21;
const CAPITAL_M = 0x4d;
const HASH = 0x23;
const MINUS = 0x2d;
const NEW_LINE = 0x0a;
const DOLLAR = 0x24;
const PARENTHESIS = 0x28;
const BACKSLASH = 0x5c;
const BACKTICK = 0x60;
const QUOTES: ReadonlySet<number> = new Set([0x27, 0x22, BACKTICK]);

/** A longer one is no keyword. */
const WORD_LENGTH_MAX = 64;
const WORDS = 3;

export interface StatementStart {
  /** The first words in upper case, three at most, without OR REPLACE. They end before anything that is no word. */
  readonly words: readonly string[];
  /** OR REPLACE stands behind the first. */
  readonly replaces: boolean;
  /**
   * What the statement does stands where words alone do not tell it: a version comment is among them, or it is MariaDB's
   * SET STATEMENT … FOR. Who has to know must read it.
   */
  readonly veiled: boolean;
}

export function statementStart(sql: Buffer, start = 0, end = sql.length): StatementStart {
  const words: string[] = [];
  let replaces = false;
  let at = skipSqlBlanks(sql, start, end);
  while (words.length < WORDS) {
    const after = endOfWord(sql, at, end);
    if (after === at || after - at > WORD_LENGTH_MAX) break;
    words.push(sql.toString('latin1', at, after).toUpperCase());
    at = skipSqlBlanks(sql, after, end);
    if (words.length === 3 && words[1] === 'OR' && words[2] === 'REPLACE') {
      words.length = 1;
      replaces = true;
    }
  }
  const unfinished = words.length < WORDS && isVersionComment(sql, at, end);
  return { words, replaces, veiled: unfinished || beginsWith(words, 'SET', 'STATEMENT') };
}

export function beginsWith(words: readonly string[], ...expected: readonly string[]): boolean {
  return expected.every((word, index) => words[index] === word);
}

/**
 * The first two words, for people and for what is remembered of a statement: those in a version comment too, and of SET
 * STATEMENT … FOR those behind it. Never a value; empty where no word stands.
 */
export function firstSqlWords(sql: Buffer): string {
  let at = intoVersionComments(sql, 0);
  while (sql[at] === PARENTHESIS) at = intoVersionComments(sql, at + 1);
  const words = twoWords(sql, at);
  if (!beginsWith(words, 'SET', 'STATEMENT')) return words.join(' ');
  const inner = twoWords(sql, intoVersionComments(sql, behindFor(sql, at)));
  return (inner.length === 0 ? words : inner).join(' ');
}

function twoWords(sql: Buffer, from: number): string[] {
  const words: string[] = [];
  for (let at = from; words.length < 2; ) {
    const after = endOfWord(sql, at, Math.min(sql.length, at + WORD_LENGTH_MAX));
    const word = sql.toString('latin1', at, after).toUpperCase();
    if (!/^[A-Z_]+$/.test(word)) break;
    words.push(word);
    at = intoVersionComments(sql, after);
  }
  return words;
}

/** Passes over the marks of version comments as well. */
function intoVersionComments(sql: Buffer, from: number): number {
  const end = sql.length;
  for (let at = from; ; ) {
    at = skipSqlBlanks(sql, at, end);
    if (isVersionComment(sql, at, end)) {
      at += sql[at + 2] === CAPITAL_M ? 4 : 3;
      while (at < end && isDigit(sql[at]!)) at++;
    } else if (sql[at] === STAR && sql[at + 1] === SLASH) at += 2;
    else return at;
  }
}

/** Behind the word FOR, outside of quotes; the end where there is none. */
function behindFor(sql: Buffer, from: number): number {
  const end = sql.length;
  for (let at = from; ; ) {
    at = intoVersionComments(sql, at);
    if (at >= end) return end;
    const after = endOfWord(sql, at, end);
    if (after - at === 3 && sql.toString('latin1', at, after).toUpperCase() === 'FOR') return after;
    if (after > at) at = after;
    else at = QUOTES.has(sql[at]!) ? endOfQuoted(sql, at) : at + 1;
  }
}

function endOfQuoted(sql: Buffer, from: number): number {
  const quote = sql[from]!;
  let at = from + 1;
  while (at < sql.length && sql[at] !== quote) at += sql[at] === BACKSLASH && quote !== BACKTICK ? 2 : 1;
  return at + 1;
}

/** Behind white space and plain comments; `end` where a comment has no end. Does not allocate. */
export function skipSqlBlanks(buf: Buffer, start: number, end: number): number {
  let at = start;
  while (at < end) {
    const byte = buf[at]!;
    if (isSpace(byte)) at++;
    else if (byte === HASH || isDashes(buf, at, end)) at = endOfLine(buf, at, end);
    else if (byte === SLASH && at + 1 < end && buf[at + 1] === STAR && !isVersionComment(buf, at, end)) {
      at = endOfComment(buf, at + 2, end);
    } else break;
  }
  return at;
}

export function isVersionComment(buf: Buffer, at: number, end: number): boolean {
  if (at + 2 >= end || buf[at] !== SLASH || buf[at + 1] !== STAR) return false;
  return (
    buf[at + 2] === EXCLAMATION || (at + 3 < end && buf[at + 2] === CAPITAL_M && buf[at + 3] === EXCLAMATION)
  );
}

/** `--` begins a comment before white space, a control character, or the end. */
function isDashes(buf: Buffer, at: number, end: number): boolean {
  if (buf[at] !== MINUS || at + 1 >= end || buf[at + 1] !== MINUS) return false;
  return at + 2 >= end || buf[at + 2]! <= 0x20 || buf[at + 2] === 0x7f;
}

/** A zero byte ends a line too. */
function endOfLine(buf: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && buf[at] !== NEW_LINE && buf[at] !== 0) at++;
  return at;
}

function endOfComment(buf: Buffer, from: number, end: number): number {
  for (let at = from; at + 1 < end; at++) if (buf[at] === STAR && buf[at + 1] === SLASH) return at + 2;
  return end;
}

function endOfWord(buf: Buffer, from: number, end: number): number {
  let at = from;
  while (at < end && isSqlWordByte(buf[at]!)) at++;
  return at;
}

/** Of an unquoted name, as bytes: those of other characters than ASCII are taken for letters. */
export function isSqlWordByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (
    (letter >= 0x61 && letter <= 0x7a) || isDigit(byte) || byte === 0x5f || byte === DOLLAR || byte >= 0x80
  );
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);
}
