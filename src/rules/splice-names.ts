/**
 * Puts other names into a statement, at the places where a reading found them. Everything else stays byte for byte.
 *
 * A new name is always quoted, with backticks, which every sql_mode and charset knows; a backtick in it is doubled.
 */
import { MillraceError } from '../base/errors.ts';
import { clientCharset } from './client-charset.ts';
import { endOfName, isDigit } from './sql-tokens.ts';
import type { Span, StatementDialect, StatementReading } from './statement-reading.ts';

const BACKTICK = 0x60;
const DOT = 0x2e;
const QUOTE = Buffer.from('`');
/** Two quoted names side by side would be one with a backtick in it. */
const BLANK = Buffer.from(' ');

export interface NameReplacement {
  readonly span: Span;
  /** Unquoted. */
  readonly name: string;
}

/** The replacements may come in any order and must not overlap. @throws UNSUPPORTED: a name does not exist in the charset. */
export function spliceNames(
  sql: Buffer,
  replacements: readonly NameReplacement[],
  dialect: StatementDialect,
): Buffer {
  const charset = clientCharset(dialect.charset);
  const sorted = [...replacements].sort((a, b) => a.span.start - b.span.start);
  const pieces: Buffer[] = [];
  let at = 0;
  sorted.forEach(({ span, name }, i) => {
    if (span.start < at || span.end < span.start || span.end > sql.length) {
      throw new MillraceError('INTERNAL', 'names to be replaced overlap, or lie outside of the statement');
    }
    pieces.push(sql.subarray(at, span.start));
    if (span.start > 0 && (span.start === at || sql[span.start - 1] === BACKTICK)) pieces.push(BLANK);
    pieces.push(quotedName(name, dialect));
    at = span.end;
    if (sql[at] === BACKTICK) pieces.push(BLANK);
    // Behind a quoted name `.1a` would be a number.
    while (sql[at] === DOT && isDigit(sql[at + 1]) && sorted[i + 1]?.span.start !== at + 1) {
      const end = endOfName(sql, at + 1, charset);
      pieces.push(sql.subarray(at, at + 1), QUOTE, sql.subarray(at + 1, end), QUOTE);
      at = end;
    }
  });
  return Buffer.concat([...pieces, sql.subarray(at)]);
}

function quotedName(name: string, { charset, flavour }: StatementDialect): Buffer {
  // A byte that looks like a backtick inside of a character is not doubled: so before it is encoded.
  const bytes = clientCharset(charset).encode(name.replaceAll('`', '``'));
  const taken = bytes !== null && name !== '' && !name.includes('\0');
  // MariaDB would take it for a doubled one (sql-tokens.ts).
  if (taken && (flavour === 'mysql' || countOf(bytes, BACKTICK) === 2 * (name.split('`').length - 1))) {
    return Buffer.concat([QUOTE, bytes, QUOTE]);
  }
  throw new MillraceError(
    'UNSUPPORTED',
    `the name '${name}' cannot be written in the character set ${charset}`,
    {
      hint: 'Choose a name that exists in the character sets of the clients.',
    },
  );
}

function countOf(bytes: Buffer, wanted: number): number {
  return bytes.reduce((count, byte) => count + (byte === wanted ? 1 : 0), 0);
}

/** Every database that `rename` gives another name to, wherever it is written. Null: the reading does not know all places. */
export function renameDatabases(
  sql: Buffer,
  reading: StatementReading,
  rename: (database: string) => string,
  dialect: StatementDialect,
): Buffer | null {
  if (reading.is !== 'read' || reading.databases === null) return null;
  const replacements = reading.databases
    .map(({ name, span }) => ({ span, name: rename(name), was: name }))
    .filter(({ name, was }) => name !== was);
  return spliceNames(sql, replacements, dialect);
}
