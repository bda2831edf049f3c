/**
 * How to reach and enter a server: what every connection is opened with. Types only.
 */

export type TlsMode = 'disabled' | 'preferred' | 'required' | 'verify_ca' | 'verify_identity';

/** PEM texts, already read from their files by the config loader. */
export interface TlsOptions {
  readonly mode: TlsMode;
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** How to reach and enter a server. The password is plain text here; it is never logged nor put into status. */
export interface EndpointOptions {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly tls: TlsOptions;
  readonly connectTimeoutMs: number;
}
