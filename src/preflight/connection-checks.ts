/**
 * Whether a server lets us in, and through what kind of line.
 */
import type { ErrorCode, MillraceError } from '../base/errors.ts';
import type { TlsSession } from '../wire/connection.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import type { Findings, Mending } from './finding.ts';
import { unloggedRemedy, yamlRemedy } from './remedy.ts';
import { addressText, checksIdentity, flavourName, isLoopback, type ServerSurvey } from './server-survey.ts';

const DAY_MS = 86_400_000;
/** Time enough to make a new certificate. */
const CERTIFICATE_MS_MIN = 30 * DAY_MS;

/** What may go wrong on the way in. Anything else is an answer that was not understood, and keeps nobody from trying again. */
const ENTERING: ReadonlySet<ErrorCode> = new Set(['CONNECTION_LOST', 'ACCESS_DENIED', 'TLS', 'PROTOCOL']);

/** `path`: where the endpoint stands in the configuration. */
export function checkUnreachable(
  found: Findings,
  on: 'source' | 'target',
  path: string,
  endpoint: EndpointOptions,
  error: MillraceError,
): void {
  const code = ENTERING.has(error.code) ? error.code : 'PROTOCOL';
  const mending = { advice: error.hint ?? null, ...remedyOf(on, path, endpoint, error) };
  found.error('reachable', code, error.message, mending);
}

function remedyOf(
  on: 'source' | 'target',
  path: string,
  endpoint: EndpointOptions,
  { code, message, facts }: MillraceError,
): Mending {
  if (facts.errno === 3159) return { remedy: yamlRemedy(path, 'tls: required') };
  if (facts.errno === 3118 || facts.errno === 4151) {
    // Only MySQL's number tells the flavour, and an account that is refused does not tell its host.
    const server = {
      on,
      address: addressText(endpoint),
      flavour: facts.errno === 3118 ? ('mysql' as const) : ('mariadb' as const),
      versionNumber: 0,
      account: { user: endpoint.user, host: '%' },
    };
    return { remedy: unloggedRemedy(server, [`ALTER USER '${endpoint.user}'@'%' ACCOUNT UNLOCK`]) };
  }
  if (code !== 'TLS') return {};
  if (/does not offer TLS/.test(message)) {
    return {
      remedy: yamlRemedy(path, 'tls: preferred'),
      advice: 'Better: give the server a certificate (ssl_cert, ssl_key) and leave tls as it is.',
    };
  }
  if (endpoint.tls.mode === 'verify_identity' && /altnames|does not match/i.test(message)) {
    return {
      remedy: yamlRemedy(`${path}.tls`, 'mode: verify_ca'),
      advice: 'Better: give the server a certificate for the name that the configuration calls it by.',
    };
  }
  return {};
}

export function checkConnection(
  found: Findings,
  path: string,
  endpoint: EndpointOptions,
  server: ServerSurvey,
  nowMs: number,
): void {
  const { account, flavour, version, address } = server;
  const number = /^[\d.]+/.exec(version)?.[0] ?? version;
  found.ok(
    'reachable',
    `${flavourName(flavour)} ${number} at ${address}, as ${account.user}@${account.host}`,
  );
  checkTls(found, path, endpoint, server.tls);
  if (server.tls !== null) checkCertificate(found, server, server.tls, nowMs);
}

export function checkTls(
  found: Findings,
  path: string,
  endpoint: EndpointOptions,
  tls: TlsSession | null,
): void {
  const { mode } = endpoint.tls;
  if (isLoopback(endpoint.host)) {
    found.ok('tls', tls === null ? 'no TLS, within this machine' : `${tls.protocol}, within this machine`);
  } else if (tls === null) {
    const remedy = mode === 'disabled' ? yamlRemedy(path, 'tls: required') : null;
    const advice = mode === 'disabled' ? null : 'Give the server a certificate, then set tls: required.';
    found.warning(
      'tls',
      `the connection to ${endpoint.host} is not encrypted: rows go over the line in clear`,
      {
        remedy,
        advice,
      },
    );
  } else if (mode === 'preferred') {
    found.warning(
      'tls',
      `${tls.protocol}, but with tls: preferred whoever sits in between can have the encryption left out`,
      { remedy: yamlRemedy(path, 'tls: required') },
    );
  } else {
    found.ok(
      'tls',
      `${tls.protocol}, certificate ${checksIdentity(mode) ? `checked (${mode})` : 'not checked'}`,
    );
  }
}

function checkCertificate(
  found: Findings,
  { on, address, flavour }: ServerSurvey,
  { certificateEndsMs }: TlsSession,
  nowMs: number,
): void {
  if (certificateEndsMs === null) return;
  const day = new Date(certificateEndsMs).toISOString().slice(0, 10);
  const left = certificateEndsMs - nowMs;
  if (left > CERTIFICATE_MS_MIN) {
    found.ok('certificate', `valid until ${day}`);
    return;
  }
  const when = left <= 0 ? `ended on ${day}` : `ends on ${day}, in ${Math.floor(left / DAY_MS)} days`;
  found.warning('certificate', `the server's certificate ${when}`, {
    advice: 'Put a new certificate in the place of the old files, then:',
    remedy: {
      on,
      form: 'sql',
      where: address,
      text: flavour === 'mysql' ? 'ALTER INSTANCE RELOAD TLS;' : 'FLUSH SSL;',
    },
  });
}
