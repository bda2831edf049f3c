/**
 * The tokens of a statement, as the servers' lexers take them from the bytes, each with its place.
 *
 *   word      an unquoted name that may be a keyword                       CREATE  orders  $x  1a
 *   name      one that cannot: quoted, after a dot, or followed by one     `a``b`  "x" (ANSI_QUOTES)  db.select: both
 *   string    quoted text, and what stands for text                        'x'  "x"  N'x'  x'00'  b'1'  $tag$ … $tag$
 *   number    1  1.5  .5  1e3  0x1F  0b1
 *   variable  with all its parts                                           @a  @'a b'  @@global.x  and the host in u@h
 *   symbol    one byte                                                     (  )  ,  .  ;  =
 *   end       nothing is left; or nothing that can be read: `trouble` says why
 *
 * Comments are passed over. A version comment that the server executes is not one: what it holds is read, and its end is
 * passed over. Which are executed:
 *
 *   MySQL     5 digits, or (since 8.1) 6 before white space: up to the server's version; without digits: always
 *   MariaDB   5 or 6 digits, up to the server's version, but in `/*!` none from 50700 to 99999, which are MySQL's
 *
 * Invariants: a token lies inside the buffer and after the one before; every byte is looked at a bounded number of times;
 * nothing is thrown, whatever the bytes are.
 * Facts: sql_lex.cc of MySQL 5.7–9.x and MariaDB 10.11, checked by running the corpus of test/fixtures/statements.
 */
import { type ClientCharset, clientCharset } from './client-charset.ts';
import type { StatementDialect } from './statement-reading.ts';

export type TokenKind = 'word' | 'name' | 'string' | 'number' | 'variable' | 'symbol' | 'end';

export interface Token {
  readonly kind: TokenKind;
  readonly start: number;
  readonly end: number;
  /** word: in upper case, empty when it can be no keyword; symbol: the character; else empty. */
  readonly text: string;
}

export const ANSI_QUOTES = 0x4n;
export const NO_BACKSLASH_ESCAPES = 0x100000n;

const MYSQL_SIX_DIGITS_SINCE = 80100;
/** Somewhere between the two they came. */
const MYSQL_WITHOUT_DOLLAR_QUOTES = 80034;
const MYSQL_WITH_DOLLAR_QUOTES = 80400;

const KEYWORD_LENGTH_MAX = 64;

const QUOTE = 0x27;
const DOUBLE_QUOTE = 0x22;
const BACKTICK = 0x60;
const BACKSLASH = 0x5c;
const DOT = 0x2e;
const AT = 0x40;
const STAR = 0x2a;
const SLASH = 0x2f;
const MINUS = 0x2d;
const HASH = 0x23;
const DOLLAR = 0x24;
const NEW_LINE = 0x0a;

export class SqlTokens {
  readonly sql: Buffer;
  readonly charset: ClientCharset;
  readonly #dialect: StatementDialect;
  readonly #ansiQuotes: boolean;
  readonly #backslashEscapes: boolean;
  #at = 0;
  #inVersionComment = false;
  /** A name must follow directly: whatever it begins with, it is one. */
  #afterDot = false;
  /** The last token was an unquoted name with a dot and a name directly behind it. */
  #dotIsSeparator = false;
  /** Where the last quoted name ended. */
  #quotedEnd = -1;
  #ahead: Token[] = [];
  #trouble: string | null = null;

  constructor(sql: Buffer, dialect: StatementDialect) {
    this.sql = sql;
    this.charset = clientCharset(dialect.charset);
    this.#dialect = dialect;
    this.#ansiQuotes = (dialect.sqlMode & ANSI_QUOTES) !== 0n;
    this.#backslashEscapes = (dialect.sqlMode & NO_BACKSLASH_ESCAPES) === 0n;
  }

  /** Why the text could not be read to its end; known once `end` has come. */
  get trouble(): string | null {
    return this.#trouble;
  }

  next(): Token {
    return this.#ahead.shift() ?? this.#read();
  }

  /** The token after `distance` others, without taking it. */
  peek(distance = 0): Token {
    while (this.#ahead.length <= distance) this.#ahead.push(this.#read());
    return this.#ahead[distance]!;
  }

  /** The name without quotes, in Unicode; null: it cannot be known. Only for word and name. */
  nameOf({ start, end }: Token): string | null {
    const quote = this.sql[start]!;
    if (quote !== BACKTICK && !(quote === DOUBLE_QUOTE && this.#ansiQuotes)) {
      return this.charset.decode(this.sql, start, end);
    }
    if (this.#dialect.flavour === 'mariadb') {
      const bytes = withoutDoubled(this.sql.subarray(start + 1, end - 1), quote);
      return this.charset.decode(bytes, 0, bytes.length);
    }
    const mark = String.fromCharCode(quote);
    return this.charset.decode(this.sql, start + 1, end - 1)?.replaceAll(mark + mark, mark) ?? null;
  }

  // ---- one token

  #read(): Token {
    if (this.#trouble !== null) return this.#token('end', this.sql.length);
    if (!this.#afterDot) this.#skipBlanks();
    const at = this.#at;
    if (at >= this.sql.length) {
      if (this.#inVersionComment) this.#trouble = 'a version comment has no end';
      return this.#token('end', at);
    }
    const byte = this.sql[at]!;
    if (this.#afterDot) {
      this.#afterDot = false;
      return this.#nameAfterDot();
    }
    if (byte === DOT) return this.#dot();
    this.#dotIsSeparator = false;
    if (byte === BACKTICK || (byte === DOUBLE_QUOTE && this.#ansiQuotes)) return this.#quotedName(byte);
    if (byte === QUOTE || byte === DOUBLE_QUOTE) return this.#string(at, byte);
    if (byte === AT) return this.#variable();
    if (isDigit(byte)) return this.#numberOrName();
    if (byte === DOLLAR && this.#dialect.flavour === 'mysql') return this.#dollar();
    if (this.sql[at + 1] === QUOTE && isOneOf(byte, 'NnXxBb')) return this.#string(at + 1, QUOTE);
    if (this.#isNameByteAt(at)) return this.#unquotedName();
    if (byte >= 0x80) return this.#fail('a byte that is no letter stands outside of quotes');
    return this.#symbol();
  }

  #token(kind: TokenKind, end: number, text = ''): Token {
    const start = Math.min(this.#at, end);
    this.#at = end;
    return { kind, start, end, text };
  }

  #fail(why: string): Token {
    this.#trouble ??= why;
    return { kind: 'end', start: this.#at, end: this.#at, text: '' };
  }

  #symbol(): Token {
    return this.#token('symbol', this.#at + 1, String.fromCharCode(this.sql[this.#at]!));
  }

  #dot(): Token {
    const next = this.#at + 1;
    if (!this.#dotIsSeparator && isDigit(this.sql[next])) {
      if (this.#quotedEnd === this.#at) return this.#fail('a number stands behind the dot of a name');
      return this.#real(next);
    }
    this.#dotIsSeparator = false;
    this.#afterDot = this.#isNameByteAt(next);
    return this.#symbol();
  }

  #nameAfterDot(): Token {
    const end = this.#endOfName(this.#at);
    this.#dotIsSeparator = this.#separatesAt(end);
    return this.#token('name', end);
  }

  #unquotedName(): Token {
    const end = this.#endOfName(this.#at);
    if (this.#separatesAt(end)) {
      this.#dotIsSeparator = true;
      return this.#token('name', end);
    }
    return this.#token('word', end, keyword(this.sql, this.#at, end));
  }

  #quotedName(quote: number): Token {
    let at = this.#at + 1;
    const { length } = this.sql;
    while (at < length) {
      const byte = this.sql[at]!;
      if (byte === 0) return this.#fail('a name has a zero byte in it');
      if (byte === quote) {
        if (this.sql[at + 1] !== quote) {
          this.#quotedEnd = at + 1;
          return this.#token('name', at + 1);
        }
        at += 2;
      } else at += this.charset.charLength(this.sql, at, length);
    }
    return this.#fail('a quoted name has no end');
  }

  #string(open: number, quote: number): Token {
    let at = open + 1;
    const { length } = this.sql;
    while (at < length) {
      const byte = this.sql[at]!;
      if (byte === quote) {
        if (this.sql[at + 1] !== quote) return this.#token('string', at + 1);
        at += 2;
      } else if (byte === BACKSLASH && this.#backslashEscapes) at += 2;
      else at += byte < 0x80 ? 1 : this.charset.charLength(this.sql, at, length);
    }
    return this.#fail('a string has no end');
  }

  #variable(): Token {
    const { sql } = this;
    let at = this.#at + 1;
    const system = sql[at] === AT;
    if (system) at += 1;
    const quote = sql[at];
    if (quote === BACKTICK || quote === DOUBLE_QUOTE || quote === QUOTE) {
      const start = this.#at;
      this.#at = at;
      const quoted = quote === BACKTICK || (quote === DOUBLE_QUOTE && this.#ansiQuotes);
      const { kind, end } = quoted ? this.#quotedName(quote) : this.#string(at, quote);
      if (kind === 'end') return this.#fail('a variable has no end');
      return { kind: 'variable', start, end, text: '' };
    }
    while (at < sql.length && (this.#isNameByteAt(at) || sql[at] === DOT)) {
      at += this.charset.charLength(sql, at, sql.length);
    }
    // @@global.`x`
    if (system && sql[at - 1] === DOT && sql[at] === BACKTICK) {
      const start = this.#at;
      this.#at = at;
      const { kind, end } = this.#quotedName(BACKTICK);
      if (kind === 'end') return this.#fail('a variable has no end');
      return { kind: 'variable', start, end, text: '' };
    }
    return this.#token('variable', at);
  }

  #numberOrName(): Token {
    const { sql } = this;
    const start = this.#at;
    let at = start;
    if (sql[at] === 0x30 && (sql[at + 1] === 0x78 || sql[at + 1] === 0x62)) {
      const digits = sql[at + 1] === 0x78 ? isHexDigit : isBinaryDigit;
      at += 2;
      while (digits(sql[at])) at++;
      const isNumber = at - start >= 3 && !this.#isNameByteAt(at);
      return isNumber ? this.#token('number', at) : this.#nameFromDigit();
    }
    while (isDigit(sql[at])) at++;
    if (!this.#isNameByteAt(at)) return sql[at] === DOT ? this.#real(at + 1) : this.#token('number', at);
    if (sql[at] === 0x65 || sql[at] === 0x45) {
      const sign = sql[at + 1] === 0x2b || sql[at + 1] === MINUS ? 1 : 0;
      let exponent = at + 1 + sign;
      if (isDigit(sql[exponent])) {
        while (isDigit(sql[exponent])) exponent++;
        return this.#token('number', exponent);
      }
    }
    return this.#nameFromDigit();
  }

  /** It begins with digits, so it is no keyword. */
  #nameFromDigit(): Token {
    const end = this.#endOfName(this.#at);
    this.#dotIsSeparator = this.#separatesAt(end);
    return this.#token('name', end);
  }

  #real(from: number): Token {
    const { sql } = this;
    let at = from;
    while (isDigit(sql[at])) at++;
    if (sql[at] === 0x65 || sql[at] === 0x45) {
      let exponent = at + 1;
      if (sql[exponent] === 0x2b || sql[exponent] === MINUS) exponent++;
      if (!isDigit(sql[exponent])) return this.#fail('a number has no exponent');
      at = exponent;
      while (isDigit(sql[at])) at++;
    }
    return this.#token('number', at);
  }

  /** $tag$ … $tag$ is text; without the second $ it is a name. */
  #dollar(): Token {
    const { versionNumber } = this.#dialect;
    if (versionNumber < MYSQL_WITHOUT_DOLLAR_QUOTES) return this.#unquotedName();
    const { sql } = this;
    let at = this.#at + 1;
    while (sql[at] !== DOLLAR && this.#isNameByteAt(at)) at += this.charset.charLength(sql, at, sql.length);
    if (sql[at] !== DOLLAR) return this.#unquotedName();
    if (versionNumber < MYSQL_WITH_DOLLAR_QUOTES) return this.#fail('a name may be a dollar-quoted text');
    const tag = sql.subarray(this.#at, at + 1);
    const close = sql.indexOf(tag, at + 1);
    return close < 0
      ? this.#fail('a dollar-quoted text has no end')
      : this.#token('string', close + tag.length);
  }

  // ---- names

  #isNameByteAt(at: number): boolean {
    return isNameByteAt(this.sql, at, this.charset);
  }

  #endOfName(from: number): number {
    return endOfName(this.sql, from, this.charset);
  }

  #separatesAt(at: number): boolean {
    return this.sql[at] === DOT && this.#isNameByteAt(at + 1);
  }

  // ---- what is passed over

  #skipBlanks(): void {
    const { sql } = this;
    for (;;) {
      const byte = sql[this.#at];
      if (byte === undefined) return;
      if (isSpace(byte)) this.#at++;
      else if (
        byte === HASH ||
        (byte === MINUS && sql[this.#at + 1] === MINUS && endsDashes(sql[this.#at + 2]))
      ) {
        this.#skipLine();
      } else if (byte === SLASH && sql[this.#at + 1] === STAR) {
        if (!this.#skipComment()) return;
      } else if (byte === STAR && sql[this.#at + 1] === SLASH && this.#inVersionComment) {
        this.#inVersionComment = false;
        this.#at += 2;
      } else return;
    }
  }

  /** A zero byte ends the line too. */
  #skipLine(): void {
    const { sql } = this;
    while (this.#at < sql.length && sql[this.#at] !== NEW_LINE && sql[this.#at] !== 0) this.#at++;
  }

  #skipComment(): boolean {
    const { sql } = this;
    const body = this.#versionCommentBody();
    if (body === null) return this.#skipTo(closeOf(sql, this.#at + 2, 0));
    if (body.executed) {
      this.#inVersionComment = true;
      this.#at = body.at;
      return true;
    }
    return this.#skipTo(closeOf(sql, body.at, 1));
  }

  #skipTo(close: number): boolean {
    if (close < 0) {
      this.#trouble ??= 'a comment has no end';
      this.#at = this.sql.length;
      return false;
    }
    this.#at = close;
    return true;
  }

  /** Null: a plain comment stands here. */
  #versionCommentBody(): { readonly executed: boolean; readonly at: number } | null {
    const { sql } = this;
    const { flavour, versionNumber } = this.#dialect;
    const ofMariadb = flavour === 'mariadb' && sql[this.#at + 2] === 0x4d && sql[this.#at + 3] === 0x21;
    if (!ofMariadb && sql[this.#at + 2] !== 0x21) return null;
    const at = this.#at + (ofMariadb ? 4 : 3);
    for (let i = 0; i < 5; i++) if (!isDigit(sql[at + i])) return { executed: true, at };
    const six =
      isDigit(sql[at + 5]) &&
      (flavour === 'mariadb' || (versionNumber >= MYSQL_SIX_DIGITS_SINCE && isSpace(sql[at + 6])));
    const length = six ? 6 : 5;
    const version = Number(sql.toString('latin1', at, at + length));
    const foreign = flavour === 'mariadb' && !ofMariadb && version >= 50700 && version <= 99999;
    return {
      executed: version <= versionNumber && !foreign,
      at: at + (version <= versionNumber && !foreign ? length : 0),
    };
  }
}

/** Outside of quotes. */
function isNameByteAt(sql: Buffer, at: number, charset: ClientCharset): boolean {
  const byte = sql[at];
  if (byte === undefined) return false;
  return byte < 0x80 ? isAsciiNameByte(byte) : charset.isNameByte(sql, at, sql.length) === true;
}

/** After the unquoted name that begins at `from`. */
export function endOfName(sql: Buffer, from: number, charset: ClientCharset): number {
  let at = from;
  while (isNameByteAt(sql, at, charset)) at += charset.charLength(sql, at, sql.length);
  return at;
}

/** After the comment's end, -1: it has none. `nesting`: that many levels of plain comments may stand in it. */
function closeOf(sql: Buffer, from: number, nesting: number): number {
  let at = from;
  let depth = 0;
  while (at + 1 < sql.length) {
    if (sql[at] === STAR && sql[at + 1] === SLASH) {
      at += 2;
      if (depth === 0) return at;
      depth -= 1;
    } else if (depth < nesting && sql[at] === SLASH && sql[at + 1] === STAR) {
      depth += 1;
      at += 2;
    } else at += 1;
  }
  return -1;
}

/**
 * MariaDB takes a doubled quote apart by bytes: behind any byte that looks like one, even inside of a character, it passes
 * over the next (THD::quote_unescape; seen on 10.11.18 with sjis).
 */
function withoutDoubled(name: Buffer, quote: number): Buffer {
  if (!name.includes(quote)) return name;
  const bytes: number[] = [];
  for (let i = 0; i < name.length; i++) {
    bytes.push(name[i]!);
    if (name[i] === quote) i++;
  }
  return Buffer.from(bytes);
}

/** In upper case; empty when not all of it is ASCII, as every keyword is. */
function keyword(sql: Buffer, start: number, end: number): string {
  if (end - start > KEYWORD_LENGTH_MAX) return '';
  for (let i = start; i < end; i++) if (sql[i]! >= 0x80) return '';
  return sql.toString('latin1', start, end).toUpperCase();
}

export function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

function isHexDigit(byte: number | undefined): boolean {
  return isDigit(byte) || (byte !== undefined && (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);
}

function isBinaryDigit(byte: number | undefined): boolean {
  return byte === 0x30 || byte === 0x31;
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** `--` is a comment before white space, a control character or the end. */
function endsDashes(byte: number | undefined): boolean {
  return byte === undefined || byte <= 0x20 || byte === 0x7f;
}

function isAsciiNameByte(byte: number): boolean {
  const letter = byte | 0x20;
  return (letter >= 0x61 && letter <= 0x7a) || isDigit(byte) || byte === 0x5f || byte === DOLLAR;
}

function isOneOf(byte: number, letters: string): boolean {
  return letters.includes(String.fromCharCode(byte));
}
