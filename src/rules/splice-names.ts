/**
 * Puts other names into a statement, at the places where a reading found them. Everything else stays byte for byte.
 *
 * A new name is always quoted, with backticks, which every sql_mode and charset knows; a backtick in it is doubled.
 */
import { MillraceError } from '../base/errors.ts';
import { clientCharset } from './client-charset.ts';
import type { Span, StatementDialect, StatementReading } from './statement-reading.ts';

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
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { span, name } of [...replacements].sort((a, b) => a.span.start - b.span.start)) {
    if (span.start < at || span.end < span.start || span.end > sql.length) {
      throw new MillraceError('INTERNAL', 'names to be replaced overlap, or lie outside of the statement');
    }
    pieces.push(sql.subarray(at, span.start), quotedName(name, dialect.charset));
    at = span.end;
  }
  return Buffer.concat([...pieces, sql.subarray(at)]);
}

function quotedName(name: string, charset: string): Buffer {
  const quoted = clientCharset(charset).encode(`\`${name.replaceAll('`', '``')}\``);
  if (quoted !== null && !name.includes('\0')) return quoted;
  throw new MillraceError(
    'UNSUPPORTED',
    `the name '${name}' cannot be written in the character set ${charset}`,
    {
      hint: 'Choose a name that exists in the character sets of the clients.',
    },
  );
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
