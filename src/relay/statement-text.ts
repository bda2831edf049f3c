/**
 * SQL text for people: one line, cut, without what a terminal would obey, and without passwords.
 *
 * Where a word that announces a secret appears (IDENTIFIED, PASSWORD, …), the text ends at the next literal. Masking only the
 * literal would need to know where it ends, and that depends on the session (NO_BACKSLASH_ESCAPES, ANSI_QUOTES, character
 * set): a wrong guess would print what it should hide. A cut never does.
 */
const SECRET_WORDS = /identified|password|passwd|secret/i;
const LITERAL = /['"]|\b0x|\b[xb](?=')/i;
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
  const word = SECRET_WORDS.exec(text);
  if (word === null) return text;
  const after = word.index + word[0].length;
  const literal = LITERAL.exec(text.slice(after));
  return literal === null ? text : text.slice(0, after + literal.index) + MASK;
}

/** Where a statement's first value could begin. */
const FIRST_VALUE = /['"(=@]|\bVALUES?\b|\bSET\b|\bSELECT\b|\b0x|\b[xb](?=')/i;
const HEAD_CHARACTERS_MAX = 120;

/** What a statement does to which object, without any value: `ALTER TABLE shop.orders ADD COLUMN note varchar`. */
export function statementHead(buf: Buffer, start: number, end: number): string {
  const text = statementText(buf, start, end, HEAD_CHARACTERS_MAX).replace(/\/\*.*?(\*\/|$)/g, ' ');
  const value = FIRST_VALUE.exec(text);
  const head = (value === null ? text : text.slice(0, value.index)).replace(/\s+/g, ' ').trim();
  return head === '' ? 'a statement' : head;
}
