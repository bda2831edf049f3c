/**
 * SQL text for people: one line, cut, without what a terminal would obey, and without passwords.
 *
 * Where a word that announces a secret appears (IDENTIFIED, PASSWORD, CONNECTION, …), the text ends at the next literal; where the
 * word itself stands in a literal (OPTION_LIST='user=u,password=p'), at the beginning of that. Masking only the literal would need to
 * know where it ends, and that depends on the session (NO_BACKSLASH_ESCAPES, ANSI_QUOTES, character set): a wrong guess would print
 * what it should hide. A cut never does. Where a literal may have begun is asked of both ways of reading a backslash.
 */
const SECRET_WORDS = /identified|password|passwd|secret|\bconnection\b/i;
const LITERAL = /['"]|\b0x|\b[xb](?=')/i;
/** A value that follows a secret word without a quote: it stands in a literal, whatever that began with. */
const BARE_VALUE = /^=(?=[^\s'"(])/;
/** `mysql://user:` of a URL with a password; what ends it is near. */
const URL_USER = /[a-z][a-z0-9+.-]{0,30}:\/\/[^\s'"/:@]{0,255}:(?=.{0,255}@)/is;
/** So much is looked at; what is shown is less. */
const LOOKED_AT_BYTES = 16 * 1024;

export const MASK = "'***' …";

/** At most `charactersMax` characters of the statement buf[start, end). */
export function statementText(buf: Buffer, start: number, end: number, charactersMax: number): string {
  const lookedAt = Math.min(end, start + LOOKED_AT_BYTES);
  const text = masked(buf.toString('utf8', start, lookedAt));
  const line = text.replace(/[\s\p{Cc}\p{Cf}\u2028\u2029]+/gu, ' ').trim();
  if (line.length > charactersMax) return `${line.slice(0, charactersMax)}…`;
  return lookedAt < end && !line.endsWith('…') ? `${line}…` : line;
}

/** The whole statement buf[start, end) as it may be searched: without its secrets, so that a search cannot guess them. */
export function searchableText(buf: Buffer, start: number, end: number): string {
  return masked(buf.toString('utf8', start, end));
}

function masked(text: string): string {
  const cuts = [secretBegin(text), urlSecretBegin(text)].filter((at) => at !== null);
  return cuts.length === 0 ? text : text.slice(0, Math.min(...cuts)) + MASK;
}

/** Null: nothing announces one, or no literal follows. */
function secretBegin(text: string): number | null {
  const word = SECRET_WORDS.exec(text);
  if (word === null) return null;
  const open = [true, false]
    .map((backslashEscapes) => openLiteral(text, word.index, backslashEscapes))
    .filter((at) => at !== null);
  if (open.length > 0) return Math.min(...open);
  const after = word.index + word[0].length;
  const rest = text.slice(after);
  if (BARE_VALUE.test(rest)) return after + 1;
  const literal = LITERAL.exec(rest);
  return literal === null ? null : after + literal.index;
}

function urlSecretBegin(text: string): number | null {
  const user = URL_USER.exec(text);
  return user === null ? null : user.index + user[0].length;
}

/** What ends by itself: a comment (not one that is executed), or a name. Else a quote, which has to be looked for. */
const PASSED_OVER = /\/\*(?!M?!).*?(?:\*\/|$)|(?:#|--(?=\s|$))[^\n]*|`[^`]*(?:`|$)|['"]/gs;
const LITERAL_END = {
  '"': { escaped: /\\.|"/gs, plain: /"/g },
  "'": { escaped: /\\.|'/gs, plain: /'/g },
} as const;

/** Where the literal begins that stands open at `end`; null: none does. A doubled quote ends one literal and begins another. */
function openLiteral(text: string, end: number, backslashEscapes: boolean): number | null {
  const passedOver = new RegExp(PASSED_OVER);
  for (;;) {
    const found = passedOver.exec(text);
    if (found === null || found.index >= end) return null;
    const quote = found[0];
    if (quote !== "'" && quote !== '"') continue;
    const ends = new RegExp(LITERAL_END[quote][backslashEscapes ? 'escaped' : 'plain']);
    ends.lastIndex = passedOver.lastIndex;
    let close = ends.exec(text);
    while (close !== null && close[0] !== quote) close = ends.exec(text);
    if (close === null || close.index >= end) return found.index;
    passedOver.lastIndex = ends.lastIndex;
  }
}

/** Where a statement's first value could begin, or a name, which has none. */
const NAME_OR_VALUE =
  /(`[^`]*`)|['"(=<>@]|\b(?:VALUES?|SET|SELECT|WHERE|HAVING|LIMIT|BETWEEN)\b|\b[xb](?=')|(?<![\w$])[-+]?\.?\d/gi;
const HEAD_CHARACTERS_MAX = 120;

/** What a statement does to which object, without any value: `ALTER TABLE shop.orders ADD COLUMN note varchar`. */
export function statementHead(buf: Buffer, start: number, end: number): string {
  const text = statementText(buf, start, end, HEAD_CHARACTERS_MAX).replace(/\/\*.*?(\*\/|$)/g, ' ');
  const head = text.slice(0, valueBegin(text)).replace(/\s+/g, ' ').trim();
  return head === '' ? 'a statement' : head;
}

function valueBegin(text: string): number | undefined {
  for (const { index, 1: name } of text.matchAll(NAME_OR_VALUE)) if (name === undefined) return index;
  return undefined;
}
