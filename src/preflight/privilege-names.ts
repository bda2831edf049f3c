/**
 * What a privilege is called on a server: versions have split SUPER and REPLICATION CLIENT into finer ones, and a GRANT of a name that
 * is not there yet is a syntax error.
 */
import type { RemedyServer } from './remedy.ts';

type Server = Pick<RemedyServer, 'flavour' | 'versionNumber'>;

/** MariaDB 10.5 took SUPER and REPLICATION CLIENT apart. */
const MARIADB_FINE_SINCE = 100500;

function mariadb({ versionNumber }: Server, fine: string, before: string): string {
  return versionNumber >= MARIADB_FINE_SINCE ? fine : before;
}

/** The newest that the version has; SUPER before there were dynamic ones. */
function mysql(
  { versionNumber }: Server,
  ...since: readonly (readonly [version: number, name: string])[]
): string {
  return since.find(([version]) => versionNumber >= version)?.[1] ?? 'SUPER';
}

/** SHOW BINARY LOGS, SHOW BINARY LOG STATUS. */
export function binlogMonitorPrivilege(server: Server): string {
  return server.flavour === 'mariadb'
    ? mariadb(server, 'BINLOG MONITOR', 'REPLICATION CLIENT')
    : 'REPLICATION CLIENT';
}

/** SHOW REPLICA STATUS. */
export function replicaMonitorPrivilege(server: Server): string {
  return server.flavour === 'mariadb'
    ? mariadb(server, 'SLAVE MONITOR', 'REPLICATION CLIENT')
    : 'REPLICATION CLIENT';
}

/** Lets an account write while read_only is ON. */
export function readOnlyBypassPrivilege(server: Server): string {
  return server.flavour === 'mariadb'
    ? mariadb(server, 'READ_ONLY ADMIN', 'SUPER')
    : mysql(server, [80000, 'CONNECTION_ADMIN']);
}

/** BINLOG statements. */
export function rowEventsPrivilege(server: Server): string {
  return server.flavour === 'mariadb'
    ? mariadb(server, 'BINLOG REPLAY', 'SUPER')
    : mysql(server, [80018, 'REPLICATION_APPLIER'], [80000, 'BINLOG_ADMIN']);
}

/** What the source's statements ran under: pseudo_thread_id and others that not everybody may set. */
export function sessionSettingsPrivilege(server: Server): string {
  return server.flavour === 'mariadb'
    ? mariadb(server, 'BINLOG REPLAY', 'SUPER')
    : mysql(server, [80014, 'SESSION_VARIABLES_ADMIN'], [80000, 'SYSTEM_VARIABLES_ADMIN']);
}

/** binlog_format of a session. */
export function binlogFormatPrivilege(server: Server): string {
  return server.flavour === 'mariadb'
    ? mariadb(server, 'BINLOG ADMIN', 'SUPER')
    : sessionSettingsPrivilege(server);
}

/** Making things in the name of others. SET_ANY_DEFINER takes the place of SET_USER_ID. */
export function definerPrivileges(server: Server): readonly string[] {
  if (server.flavour === 'mariadb') return [mariadb(server, 'SET USER', 'SUPER')];
  if (server.versionNumber >= 80200) return ['SET_ANY_DEFINER', 'ALLOW_NONEXISTENT_DEFINER'];
  return [mysql(server, [80000, 'SET_USER_ID'])];
}
