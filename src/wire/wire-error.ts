/**
 * Errors of the wire: what a server, a socket or the driver says, turned into one MillraceError with a remedy.
 *
 * Two questions decide: what was being done (connecting, a statement, the dump) and what came back. Of the dump's
 * error 1236 the number alone says nothing, its text does: a purged log, a lost tail and a slow network all share it.
 * Every message names the server as host:port and the user; a password never comes near this file.
 * Pure; any thread.
 */
import type { ErrorCode } from '../base/errors.ts';
import { type Action, MillraceError } from '../base/errors.ts';
import { ByteDecoder } from '../binlog/byte-decoder.ts';
import { withoutValues } from './server-text.ts';

/** Who is on the other side, for messages. */
export interface Peer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
}

/** An ERR packet, or the server's part of a driver error. */
export interface ServerError {
  readonly errno: number;
  readonly sqlState: string;
  readonly message: string;
}

/** Server error numbers that the code names. */
export const Errno = {
  TOO_MANY_CONNECTIONS: 1040,
  OUT_OF_RESOURCES: 1041,
  HOST_BLOCKED: 1129,
  HOST_NOT_ALLOWED: 1130,
  PARSE_ERROR: 1064,
  UNKNOWN_SYSTEM_VARIABLE: 1193,
  SPECIFIC_ACCESS_DENIED: 1227,
} as const;

/** The connection or the server went away; the same statement may succeed on a new connection (hazards A4). */
const TRANSPORT_ERRNOS: ReadonlySet<number> = new Set([
  1040, 1053, 1077, 1078, 1079, 1152, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1927, 2002, 2003, 2006, 2012,
  2013, 2055, 3168, 3169, 4031,
]);

/** The account cannot come in: wrong password, locked, expired, unknown host, plug-in refused. */
const ACCESS_ERRNOS: ReadonlySet<number> = new Set([
  1044, 1045, 1130, 1251, 1698, 1820, 1862, 3118, 3772, 3955, 4151,
]);

/** The account came in and may not do this. */
const PRIVILEGE_ERRNOS: ReadonlySet<number> = new Set([1142, 1143, 1227, 1370]);

/** True when the server's error says that the connection, not the statement, is the trouble. */
export function isTransportErrno(errno: number): boolean {
  return TRANSPORT_ERRNOS.has(errno);
}

/** `host:port as 'user'`; IPv6 addresses in brackets. */
export function peerName(peer: Peer): string {
  const host = peer.host.includes(':') ? `[${peer.host}]` : peer.host;
  return `${host}:${peer.port} as '${peer.user}'`;
}

/**
 * ERR packet, from its marker byte 0xFF on:
 *   0 1 0xFF | 1 2 errno | 3 1 '#' | 4 5 sqlstate | 9 … message      ('#' and state are absent before authentication)
 * @throws MALFORMED_EVENT when cut short.
 */
export function decodeErrorPacket(buf: Buffer, start: number, end: number): ServerError {
  const packet = new ByteDecoder(buf, start, end, 'error packet');
  packet.skip(1);
  const errno = packet.u16();
  let sqlState = 'HY000';
  if (packet.remaining >= 6 && buf[packet.pos] === 0x23) {
    packet.skip(1);
    sqlState = packet.latin1(5);
  }
  return { errno, sqlState, message: printable(packet.utf8(packet.remaining)) };
}

interface Verdict {
  readonly code: ErrorCode;
  readonly action?: Action;
  readonly hint?: string;
}

function build(
  verdict: Verdict,
  message: string,
  facts: Record<string, string | number> = {},
  cause?: unknown,
): MillraceError {
  return new MillraceError(verdict.code, message, {
    ...(verdict.action === undefined ? {} : { action: verdict.action }),
    hint: verdict.hint,
    facts,
    ...(cause === undefined ? {} : { cause }),
  });
}

const ACCOUNT_HINT =
  'Check user and password, the host the account is made for, and whether it demands TLS or is locked.';

function accountVerdict(errno: number, peer: Peer): Verdict | null {
  switch (errno) {
    case Errno.HOST_BLOCKED:
      return {
        code: 'ACCESS_DENIED',
        hint: 'The server blocks this host after too many failed connects: run TRUNCATE TABLE performance_schema.host_cache (or FLUSH HOSTS) on it.',
      };
    case Errno.HOST_NOT_ALLOWED:
      return {
        code: 'ACCESS_DENIED',
        hint: `No account of the server matches '${peer.user}' at this machine's address: CREATE USER for that host.`,
      };
    case 3118:
    case 4151:
      return { code: 'ACCESS_DENIED', hint: `Run ALTER USER '${peer.user}' ACCOUNT UNLOCK.` };
    case 1820:
    case 1862:
      return { code: 'ACCESS_DENIED', hint: `The password of '${peer.user}' has expired: set a new one.` };
    case 3159:
      return { code: 'TLS', hint: 'The server takes encrypted connections only: set tls to required.' };
    case Errno.TOO_MANY_CONNECTIONS:
      return { code: 'CONNECTION_LOST', hint: 'Raise max_connections on the server, or close idle clients.' };
    default:
      if (ACCESS_ERRNOS.has(errno)) return { code: 'ACCESS_DENIED', hint: ACCOUNT_HINT };
      return null;
  }
}

/** The privilege that the server names in its own words: "you need (at least one of) the X privilege(s)". */
export function missingPrivilege(message: string): string | null {
  const found = /need \(at least one of\) the (.+?) privilege/i.exec(message);
  return found?.[1] ?? null;
}

/** An error that a server gave for a statement. `doing` completes "cannot …", for instance "read gtid_mode". */
export function serverError(error: ServerError, peer: Peer, doing: string): MillraceError {
  const facts = { errno: error.errno, sqlState: error.sqlState };
  const message = `cannot ${doing} at ${peerName(peer)}: ${printable(error.message)}`;
  const account = accountVerdict(error.errno, peer);
  if (account !== null) return build(account, message, facts);
  if (PRIVILEGE_ERRNOS.has(error.errno)) {
    const privilege = missingPrivilege(error.message);
    const hint =
      privilege === null
        ? `Grant '${peer.user}' the privilege that the message names.`
        : `GRANT ${privilege.split(/,| or /i)[0]?.trim()} ON *.* TO '${peer.user}'`;
    return build({ code: 'PRIVILEGE_MISSING', hint }, message, facts);
  }
  if (TRANSPORT_ERRNOS.has(error.errno)) return build({ code: 'CONNECTION_LOST' }, message, facts);
  if (error.errno === Errno.OUT_OF_RESOURCES) {
    return build(
      { code: 'CONNECTION_LOST', hint: 'The server is out of memory or threads.' },
      message,
      facts,
    );
  }
  return build({ code: 'PROTOCOL', action: 'stop' }, message, facts);
}

interface DumpRule extends Verdict {
  readonly text: RegExp;
}

/** Texts of error 1236 (and MariaDB's 4052), first match wins (hazards A4; MySQL rpl_binlog_sender.cc, MariaDB sql_repl.cc). */
const DUMP_RULES: readonly DumpRule[] = [
  {
    text: /purged required binary logs|purged binary logs containing GTIDs|old binary log without GTIDs|could not find GTID state requested by slave in any binlog/i,
    code: 'SOURCE_PURGED',
    hint: 'The source has deleted binary logs that are still needed: take a new copy of its data, or read from a source that has them.',
  },
  {
    text: /could not find first log file name in binary log index/i,
    code: 'SOURCE_PURGED',
    hint: 'The binary log file to continue from is not on the source (deleted, or its binary logs were reset): take a new copy of its data.',
  },
  {
    text: /has more GTIDs than the (source|master)/i,
    code: 'SOURCE_BEHIND',
    hint: 'The source lacks transactions that we hold: it lost its tail, or the target was written to. Compare the GTID sets before doing anything.',
  },
  {
    text: /which is not in the master's binlog|connecting slave requested to start from GTID/i,
    code: 'SOURCE_BEHIND',
    hint: 'This server does not hold the GTID to continue after: it is another server, or it has lost transactions.',
  },
  {
    text: /position > file size|impossible position|client requested (source|master) to start replication from position|position < 4/i,
    code: 'SOURCE_POSITION',
    hint: 'The position does not exist in that binary log file: the source lost its end (sync_binlog), or the file was replaced.',
  },
  {
    text: /(slave|replica) with the same server_(uuid|id)/i,
    code: 'DUPLICATE_IDENTITY',
    hint: 'Another replica has the same server_id or server_uuid.',
  },
  {
    text: /bogus data|crc check|checksum|truncated in the middle|log event entry exceeded max_allowed_packet|corrupt|failed reading log event/i,
    code: 'SOURCE_DAMAGED',
    hint: 'The source cannot read its own binary log there: look at its error log and its disk, or at its max_allowed_packet.',
  },
  {
    text: /binary log is not open|misconfigured (source|master)|server_id is 0|gtid_mode|ANONYMOUS|AUTO_POSITION/i,
    code: 'SOURCE_CONFIG',
    hint: 'Correct the configuration of the source that the message names.',
  },
  { text: /my_net_write|dump thread|killed/i, code: 'CONNECTION_LOST' },
];

/** What carries such a text: 1236; 1789 and 13114 where it was passed on; 4052, MariaDB's same id. */
const DUMP_ERRNOS: ReadonlySet<number> = new Set([1236, 1789, 4052, 13114]);

/** Old servers deny a checksum-aware dump with this text: ours to set, so a fault of the handshake. */
const CHECKSUM_UNAWARE = /can not handle replication events with the checksum/i;

/** An ERR packet that ended (or refused) the dump. */
export function dumpError(error: ServerError, peer: Peer): MillraceError {
  const facts = { errno: error.errno, sqlState: error.sqlState };
  const message = `the source ${peerName(peer)} ended the dump: ${printable(error.message)}`;
  if (error.errno === Errno.SPECIFIC_ACCESS_DENIED || PRIVILEGE_ERRNOS.has(error.errno)) {
    const hint = `GRANT REPLICATION SLAVE ON *.* TO '${peer.user}'`;
    return build({ code: 'PRIVILEGE_MISSING', hint }, message, facts);
  }
  if (DUMP_ERRNOS.has(error.errno)) {
    if (CHECKSUM_UNAWARE.test(error.message)) return build({ code: 'PROTOCOL' }, message, facts);
    const rule = DUMP_RULES.find((candidate) => candidate.text.test(error.message));
    if (rule !== undefined) return build(rule, message, facts);
    return build({ code: 'SOURCE_DAMAGED' }, message, facts);
  }
  return serverError(error, peer, 'read the binary log');
}

/** What the driver and Node put on their errors. */
interface DriverError {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly sqlState?: unknown;
  readonly sqlMessage?: unknown;
  readonly message?: unknown;
}

/** OpenSSL and Node codes that mean: the certificate, not the connection. */
const CERTIFICATE_CODES =
  /^(CERT_|ERR_TLS_|DEPTH_ZERO_SELF_SIGNED|SELF_SIGNED|UNABLE_TO_|ERR_SSL_|ERR_OSSL_|HOSTNAME_MISMATCH|INVALID_CA|EPROTO$)/;

const SOCKET_REASONS: Readonly<Record<string, readonly [string, string?]>> = {
  ECONNREFUSED: ['connection refused', 'Is the server running, and is this its port?'],
  ENOTFOUND: ['no such host', 'Check the host name.'],
  EAI_AGAIN: ['the host name cannot be resolved now', 'Check the name server of this machine.'],
  ETIMEDOUT: ['timed out', 'Check address, port and firewall.'],
  EHOSTUNREACH: ['host unreachable', 'Check the route and the firewall.'],
  ENETUNREACH: ['network unreachable', 'Check the route and the firewall.'],
  ECONNRESET: ['the server closed the connection'],
  EPIPE: ['the server closed the connection'],
  PROTOCOL_CONNECTION_LOST: ['the server closed the connection'],
  ABORT_ERR: ['cancelled'],
};

/** Anything that failed while a connection was made, or that the driver raised later; `doing` completes "cannot …". */
export function driverError(error: unknown, peer: Peer, doing: string): MillraceError {
  if (error instanceof MillraceError) return error;
  const { code, errno, sqlState, sqlMessage, message } = (error ?? {}) as DriverError;
  const text = typeof message === 'string' ? printable(message) : printable(String(error));
  if (
    typeof errno === 'number' &&
    errno > 0 &&
    (typeof sqlMessage === 'string' || typeof sqlState === 'string')
  ) {
    const state = typeof sqlState === 'string' ? sqlState : 'HY000';
    // The driver puts the statement on its error: not kept as the cause, since statements may hold values.
    return serverError({ errno, sqlState: state, message: String(sqlMessage ?? text) }, peer, doing);
  }
  const name = typeof code === 'string' ? code : '';
  const told = `cannot ${doing} at ${peerName(peer)}: `;
  if (name === 'HANDSHAKE_NO_SSL_SUPPORT') {
    const hint = 'Enable TLS on the server, or set tls to preferred or disabled.';
    return build({ code: 'TLS', hint }, `${told}the server does not offer TLS`, {}, error);
  }
  if (name === 'HANDSHAKE_SSL_ERROR' || CERTIFICATE_CODES.test(name)) {
    // A connection that dies inside the TLS handshake is a network matter, not a certificate.
    if (/socket disconnected|ECONNRESET|EPIPE/i.test(text)) {
      return build(
        { code: 'CONNECTION_LOST' },
        `${told}the connection was lost in the TLS handshake`,
        {},
        error,
      );
    }
    const hint =
      'Check ca, the certificate of the server and its names, or choose a tls mode that checks less.';
    return build({ code: 'TLS', hint }, `${told}${text}`, {}, error);
  }
  if (name === 'AUTH_SWITCH_PLUGIN_ERROR' || name === 'MYSQL_CLEAR_PASSWORD_NOT_ENABLED') {
    const plugin = /plugin (\w+)/.exec(text)?.[1];
    const what = plugin === undefined ? text : `the account uses the authentication plugin ${plugin}`;
    const hint = 'Use an account with caching_sha2_password (MySQL) or mysql_native_password (MariaDB).';
    return build({ code: 'ACCESS_DENIED', hint }, `${told}${what}`, {}, error);
  }
  const reason = SOCKET_REASONS[name];
  if (reason !== undefined) {
    const verdict: Verdict = {
      code: 'CONNECTION_LOST',
      ...(reason[1] === undefined ? {} : { hint: reason[1] }),
    };
    return build(verdict, `${told}${reason[0]}`, { reason: name }, error);
  }
  if (name.startsWith('PROTOCOL_') || name.startsWith('HANDSHAKE_') || /packet/i.test(text)) {
    const hint = 'Is this a MySQL or MariaDB server?';
    return build({ code: 'PROTOCOL', hint }, `${told}${text}`, {}, error);
  }
  const facts: Record<string, string> = name === '' ? {} : { reason: name };
  return build({ code: 'CONNECTION_LOST' }, `${told}${text}`, facts, error);
}

/** A socket that was taken over has broken or was closed by the other side. */
export function connectionLost(peer: Peer, reason: string, cause?: unknown): MillraceError {
  return build(
    { code: 'CONNECTION_LOST' },
    `the connection to ${peerName(peer)} is lost: ${reason}`,
    {},
    cause,
  );
}

/** Server texts reach terminals and logs: no control characters, bounded. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is removed
  const clean = text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ').trim();
  const shown = withoutValues(clean);
  return shown.length > 600 ? `${shown.slice(0, 600)}…` : shown;
}
