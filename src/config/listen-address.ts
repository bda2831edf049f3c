/**
 * Where something listens: `127.0.0.1:9104`, `[::1]:9104`, `status.internal:9104`; a port alone means loopback.
 */
import { isIPv6 } from 'node:net';

export interface ListenAddress {
  readonly host: string;
  /** 0: one that is free. */
  readonly port: number;
}

export const LOOPBACK = '127.0.0.1';
const FORM = /^(?:\[([0-9A-Fa-f:.%\w]+)\]|([A-Za-z0-9._-]*)):(\d{1,5})$/;

/** Null: it is no such address. */
export function parseListenAddress(text: string): ListenAddress | null {
  const given = /^\d{1,5}$/.test(text) ? `:${text}` : text;
  const [, inBrackets, plain, digits] = FORM.exec(given) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) return null;
  if (inBrackets !== undefined) return isIPv6(inBrackets) ? { host: inBrackets, port } : null;
  return { host: plain === '' || plain === undefined ? LOOPBACK : plain, port };
}

/** As a URL has it. */
export function listenText({ host, port }: ListenAddress): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
