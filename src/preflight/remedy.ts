/**
 * The texts that are pasted: statements for an administrator's session, lines for the configuration.
 *
 * GRANT and ALTER USER are wrapped in sql_log_bin = 0: accounts should not travel, and on a server with GTIDs they would
 * get a GTID that the other side does not know. SET PERSIST, where there is one, outlives a restart and is not logged.
 */
import type { Flavour } from '../wire/connection.ts';
import type { Place, Remedy } from './finding.ts';

/** What a remedy must know of the server it is for. */
export interface RemedyServer {
  readonly on: 'source' | 'target';
  readonly address: string;
  readonly flavour: Flavour;
  readonly versionNumber: number;
  /** As CURRENT_USER() tells it. */
  readonly account: Account;
}

export interface Account {
  readonly user: string;
  readonly host: string;
}

const PERSIST_SINCE = 80000;

export function accountLiteral({ user, host }: Account): string {
  return `${stringLiteral(user)}@${stringLiteral(host)}`;
}

export function stringLiteral(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

export function sqlRemedy(server: RemedyServer, statements: readonly string[]): Remedy {
  const text = statements.map((statement) => `${statement};`).join('\n');
  return { on: server.on, form: 'sql', where: server.address, text };
}

/** Statements that leave no trace in the server's own binary log. */
export function unloggedRemedy(server: RemedyServer, statements: readonly string[]): Remedy {
  return sqlRemedy(server, ['SET SESSION sql_log_bin = 0', ...statements, 'SET SESSION sql_log_bin = 1']);
}

/** `schema`: quoted as it is granted on; default: everywhere. */
export function grantRemedy(server: RemedyServer, privileges: readonly string[], schema = '*'): Remedy {
  return unloggedRemedy(server, [grantStatement(server, privileges, schema)]);
}

export function grantStatement(server: RemedyServer, privileges: readonly string[], schema = '*'): string {
  return `GRANT ${privileges.join(', ')} ON ${schema}.* TO ${accountLiteral(server.account)}`;
}

export function hasPersist({ flavour, versionNumber }: RemedyServer): boolean {
  return flavour === 'mysql' && versionNumber >= PERSIST_SINCE;
}

/** Values as SQL has them: numbers, ON, quoted text. */
export function setRemedy(
  server: RemedyServer,
  ...settings: readonly (readonly [name: string, value: string])[]
): Remedy {
  const scope = hasPersist(server) ? 'PERSIST' : 'GLOBAL';
  return sqlRemedy(
    server,
    settings.map(([name, value]) => `SET ${scope} ${name} = ${value}`),
  );
}

/** What `setRemedy` cannot make last on a server without SET PERSIST. */
export function lastingAdvice(server: RemedyServer): string | null {
  return hasPersist(server) ? null : 'Set it in its option file as well, so that it outlives a restart.';
}

export function optionFileRemedy(
  server: Pick<RemedyServer, 'on' | 'address'>,
  lines: readonly string[],
): Remedy {
  return {
    on: server.on,
    form: 'option_file',
    where: server.address,
    text: ['[mysqld]', ...lines].join('\n'),
  };
}

/** `path` names the map that the lines belong into: `channels[orders].source`. */
export function yamlRemedy(path: string, ...lines: readonly string[]): Remedy {
  return { on: 'config', form: 'yaml', where: path, text: lines.join('\n') };
}

export function shellRemedy(on: Place, where: string, ...lines: readonly string[]): Remedy {
  return { on, form: 'shell', where, text: lines.join('\n') };
}

/** One word of a POSIX shell. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
