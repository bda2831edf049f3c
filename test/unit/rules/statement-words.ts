/**
 * A reading in one line, for tests: `alter_table alters table a.t! reads table b.u | a b`. `!` marks what the server counts as
 * updated; after the bar stand the databases that are written, in order; `?`: not all are known.
 */
import { readStatement } from '../../../src/rules/read-statement.ts';
import type { StatementDialect } from '../../../src/rules/statement-reading.ts';

export const MYSQL: StatementDialect = {
  flavour: 'mysql',
  sqlMode: 0n,
  charset: 'utf8mb4',
  versionNumber: 90704,
};
export const MARIADB: StatementDialect = { ...MYSQL, flavour: 'mariadb', versionNumber: 101118 };

export function inWords(sql: string | Buffer, dialect: StatementDialect = MYSQL): string {
  const reading = readStatement(Buffer.from(sql), dialect);
  if (reading.is === 'unplaced') return `unplaced: ${reading.why}, at ${reading.at}`;
  const objects = reading.objects.map(({ role, kind, database, name, updating }) => {
    const full =
      kind === 'database' ? (database ?? '(default)') : `${database === null ? '' : `${database}.`}${name}`;
    return ` ${role} ${kind} ${full}${updating ? '!' : ''}`;
  });
  const databases = reading.databases === null ? '?' : reading.databases.map(({ name }) => name).join(' ');
  const marks = `${reading.ifExists ? ' if' : ''}${reading.temporary ? ' temporary' : ''}`;
  return `${reading.kind}${marks}${objects.join(',')} | ${databases}`.trim();
}
