/**
 * What is asked of either server, whichever side it is on: who it is, how it is set, how it let us in, what its clock says.
 */
import { MillraceError } from '../base/errors.ts';
import type { Flavour, TlsSession } from '../wire/connection.ts';
import type { TlsMode } from '../wire/endpoint.ts';
import type { Peer } from '../wire/wire-error.ts';
import type { ProbeSession } from './probe-session.ts';
import type { RemedyServer } from './remedy.ts';

/** One SHOW GLOBAL VARIABLES reads them all; a version leaves out what it does not know. */
const VARIABLES = [
  'binlog_expire_logs_auto_purge',
  'binlog_expire_logs_seconds',
  'binlog_format',
  'binlog_row_image',
  'binlog_row_metadata',
  'binlog_transaction_compression',
  'character_set_server',
  'collation_server',
  'datadir',
  'enforce_gtid_consistency',
  'event_scheduler',
  'expire_logs_days',
  'gtid_mode',
  'hostname',
  'innodb_flush_log_at_trx_commit',
  'log_bin',
  'log_bin_trust_function_creators',
  'log_replica_updates',
  'log_slave_updates',
  'lower_case_table_names',
  'max_allowed_packet',
  'max_connections',
  'port',
  'read_only',
  'server_id',
  'server_uuid',
  'slave_run_triggers_for_rbr',
  'sql_generate_invisible_primary_key',
  'sql_mode',
  'sql_require_primary_key',
  'super_read_only',
  'sync_binlog',
  'time_zone',
];

export interface ServerSurvey extends RemedyServer {
  readonly flavour: Flavour;
  readonly version: string;
  /** For messages: `host:port as 'user'`. */
  readonly peer: Peer;
  readonly tls: TlsSession | null;
  readonly variables: ReadonlyMap<string, string>;
  /** Null: MariaDB. */
  readonly serverUuid: string | null;
  readonly serverId: number;
  /** Its clock minus ours, and how far that may be off because of the way there and back. */
  readonly clockDiffMs: number | null;
  readonly clockErrorMs: number;
  /** Named time zones can be used. */
  readonly knowsZones: boolean;
}

/** A server that was looked at, or why it could not be. */
export type Surveyed<T> =
  | { readonly ok: true; readonly is: T }
  | { readonly ok: false; readonly error: MillraceError };

export async function surveyed<T>(look: Promise<T>): Promise<Surveyed<T>> {
  try {
    return { ok: true, is: await look };
  } catch (error) {
    if (error instanceof MillraceError) return { ok: false, error };
    throw error;
  }
}

export async function surveyServer(
  session: ProbeSession,
  on: 'source' | 'target',
  wallMs: () => number,
): Promise<ServerSurvey> {
  const { connection } = session;
  const { account, knowsZones } = await readSession(session);
  const variables = await session.variables(VARIABLES);
  const clock = await readClock(session, wallMs);
  return {
    on,
    address: addressText(connection.peer),
    peer: connection.peer,
    flavour: connection.flavour,
    version: connection.serverVersion,
    versionNumber: session.versionNumber,
    account,
    tls: connection.tlsSession(),
    variables,
    serverUuid: variables.get('server_uuid')?.toLowerCase() || null,
    serverId: Number(variables.get('server_id') ?? 0),
    ...clock,
    knowsZones,
  };
}

/** The account that let us in is not always the name that we gave. */
async function readSession(session: ProbeSession): Promise<Pick<ServerSurvey, 'account' | 'knowsZones'>> {
  const rows = await session.rows(
    "SELECT CURRENT_USER() AS account, CONVERT_TZ('2025-01-01 12:00:00', 'UTC', 'Europe/Berlin') AS zone",
  );
  const account = rows?.[0]?.account ?? `${session.connection.peer.user}@%`;
  const at = account.lastIndexOf('@');
  return {
    account: { user: account.slice(0, at), host: account.slice(at + 1) },
    knowsZones: (rows?.[0]?.zone ?? null) !== null,
  };
}

/** In UTC: in the hour that a time zone repeats, NOW() names two moments. Before 5.6 there are no fractions of a second. */
async function readClock(
  session: ProbeSession,
  wallMs: () => number,
): Promise<Pick<ServerSurvey, 'clockDiffMs' | 'clockErrorMs'>> {
  await session.attempt("SET time_zone = '+00:00'");
  const beforeMs = wallMs();
  const now = await session.value('SELECT UNIX_TIMESTAMP(SYSDATE(3))');
  const afterMs = wallMs();
  const serverMs = now === null ? Number.NaN : Number(now) * 1000;
  return {
    clockDiffMs: Number.isFinite(serverMs) ? Math.round(serverMs - (beforeMs + afterMs) / 2) : null,
    clockErrorMs: Math.ceil((afterMs - beforeMs) / 2),
  };
}

export function addressText({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

export function flavourName(flavour: Flavour): string {
  return flavour === 'mysql' ? 'MySQL' : 'MariaDB';
}

export function isOn(value: string | undefined): boolean {
  return value === 'ON' || value === '1';
}

/** No other machine's wires between us and the host: who could listen there is on this machine already. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);
}

export function checksIdentity(mode: TlsMode): boolean {
  return mode === 'verify_ca' || mode === 'verify_identity';
}
