/**
 * Who may ask what over HTTP, decided by the head of the request alone. Pure.
 *
 *   Host     addresses, localhost, the name listened on, http.allowed_hosts. Another name is a foreign site whose name was
 *            pointed at us (DNS rebinding): its pages must not read ours. Without one (HTTP/1.0: health checks) nothing is
 *            told apart; browsers always send it.
 *   Origin   when it is sent at all, the same host as Host: no other site's page may ask.
 *   token    for everything that changes something: `Authorization: Bearer …`, which no form and no image of another site can
 *            send, compared in constant time.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';

export interface RequestHead {
  readonly method: string;
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly fetchSite: string | undefined;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
}

export interface GateRules {
  /** Lower case, without ports. */
  readonly hosts: ReadonlySet<string>;
  readonly token: TokenCheck | null;
}

export interface Refusal {
  readonly status: 401 | 403 | 405 | 415 | 421;
  readonly text: string;
}

/** Knows the token only as a digest. */
export class TokenCheck {
  readonly #digest: Buffer;

  constructor(token: string) {
    this.#digest = digestOf(token);
  }

  matches(given: string): boolean {
    return timingSafeEqual(this.#digest, digestOf(given));
  }
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Null: it may be answered. `changes`: it is about to change something. */
export function gate(head: RequestHead, rules: GateRules, changes: boolean): Refusal | null {
  const host = head.host === undefined ? null : hostName(head.host);
  if (head.host !== undefined && (host === null || !isOurs(host, rules.hosts))) {
    return {
      status: 421,
      text: `not served under the name ${shown(head.host)}; add it to http.allowed_hosts if it is right`,
    };
  }
  if (head.origin !== undefined && !isSameSite(head.origin, host, rules.hosts)) {
    return { status: 403, text: `pages of ${shown(head.origin)} may not ask here` };
  }
  if (!changes) return null;
  if (head.method !== 'POST') return { status: 405, text: 'POST only' };
  if (head.fetchSite !== undefined && head.fetchSite !== 'same-origin' && head.fetchSite !== 'none') {
    return { status: 403, text: 'pages of other sites may not ask here' };
  }
  return tokenRefusal(head.authorization, rules.token) ?? bodyRefusal(head.contentType);
}

function tokenRefusal(authorization: string | undefined, token: TokenCheck | null): Refusal | null {
  if (token === null) {
    return { status: 403, text: 'no token is configured: set http.token_file and start again' };
  }
  const [, given] = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? '') ?? [];
  if (given === undefined) return { status: 401, text: 'a token is needed: Authorization: Bearer …' };
  return token.matches(given) ? null : { status: 403, text: 'the token is wrong' };
}

/** A page of another site cannot send this without asking first, and is then refused. */
function bodyRefusal(contentType: string | undefined): Refusal | null {
  const json = /^application\/json\s*(;|$)/i.test(contentType ?? '');
  return json ? null : { status: 415, text: 'the body must be JSON: Content-Type: application/json' };
}

/** `Db1.Example:9104` → db1.example; `[::1]:9104` → ::1; null: it is no host. */
export function hostName(host: string): string | null {
  const [, bracketed, plain] = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9._-]+))(?::\d{1,5})?$/i.exec(host) ?? [];
  return (bracketed ?? plain ?? null)?.toLowerCase() ?? null;
}

/** An address cannot be rebound: a foreign site's name stands in Host, never the address it points at. */
function isOurs(host: string, hosts: ReadonlySet<string>): boolean {
  return isIP(host) !== 0 || host === 'localhost' || hosts.has(host);
}

function isSameSite(origin: string, host: string | null, hosts: ReadonlySet<string>): boolean {
  const [, authority] = /^https?:\/\/([^/]+)$/i.exec(origin) ?? [];
  const name = authority === undefined ? null : hostName(authority);
  return name !== null && (name === host || hosts.has(name));
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
