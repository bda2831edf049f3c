/**
 * `replicate_system: false`: changes of accounts, and of what is in the servers' own schemas, are left out. Source and
 * target have each their own: accounts with other rights, system tables of another version.
 *
 * Nearly every statement is passed by a look at its text, without being read: `suspects` says no only where nothing of the
 * kind can be meant, and `isAccountStatement` yes only where it is.
 */
import type { StatementReading } from './statement-reading.ts';

const SYSTEM_DATABASES: ReadonlySet<string> = new Set([
  'mysql',
  'sys',
  'performance_schema',
  'information_schema',
]);

const BLANK = String.raw`(?:\s|\/\*(?!M?!)[\s\S]*?\*\/|--\s[^\n]*(?:\n|$)|#[^\n]*(?:\n|$))`;
const ACCOUNT = new RegExp(
  String.raw`^${BLANK}*(?:(?:GRANT|REVOKE)\b|(?:CREATE|ALTER|DROP|RENAME)${BLANK}+(?:OR${BLANK}+REPLACE${BLANK}+)?(?:USER|ROLE)\b|SET${BLANK}+(?:PASSWORD|DEFAULT${BLANK}+ROLE)\b)`,
  'i',
);
const MENTIONS = /mysql|sys|performance_schema|information_schema|\/\*M?!/i;

export function isSystemDatabase(database: string): boolean {
  return SYSTEM_DATABASES.has(database.toLowerCase());
}

/** `text`: of a statement, a character for each byte. */
export function isAccountStatement(text: string): boolean {
  return ACCOUNT.test(text);
}

/** It may change something in a system schema, or accounts behind a version comment: it has to be read. */
export function suspects(text: string, database: string): boolean {
  return isSystemDatabase(database) || MENTIONS.test(text);
}

/** Whether the statement is about the system: only, not at all, or about other things as well. */
export function systemShare(
  reading: Extract<StatementReading, { is: 'read' }>,
  database: string,
): 'all' | 'none' | 'some' {
  if (reading.kind === 'account') return 'all';
  const changed = reading.objects.filter(({ role, updating }) => role !== 'reads' || updating);
  const own = changed.filter((each) => isSystemDatabase(each.database ?? database)).length;
  if (own === 0) return 'none';
  return own === changed.length ? 'all' : 'some';
}
