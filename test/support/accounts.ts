/**
 * The accounts that Millrace needs on a source and on a target, with the privileges that the documentation asks for.
 */
import type { TestServer } from './test-server.ts';

export interface Account {
  readonly user: string;
  readonly password: string;
}

/** What a replica may: read the binary log and ask where it is. */
export async function createSourceAccount(server: TestServer, user = 'repl'): Promise<Account> {
  const account = { user, password: `${user}-secret` };
  const grants =
    server.flavour === 'mysql'
      ? 'REPLICATION SLAVE, REPLICATION CLIENT'
      : 'REPLICATION SLAVE, REPLICATION CLIENT, BINLOG MONITOR';
  await unlogged(server, [
    `CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${account.password}'`,
    `GRANT ${grants} ON *.* TO '${user}'@'%'`,
  ]);
  return account;
}

/** What an applier may: everything that the source's users may have done. */
export async function createTargetAccount(server: TestServer, user = 'apply'): Promise<Account> {
  const account = { user, password: `${user}-secret` };
  await unlogged(server, [
    `CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${account.password}'`,
    `GRANT ALL ON *.* TO '${user}'@'%' WITH GRANT OPTION`,
  ]);
  return account;
}

/** Runs statements on the server without a trace in its binary log, so that they have no GTID there. */
export async function unlogged(server: TestServer, statements: readonly string[]): Promise<void> {
  const connection = await server.connect();
  try {
    await connection.query('SET sql_log_bin = 0');
    for (const statement of statements) await connection.query(statement);
  } finally {
    connection.destroy();
  }
}
