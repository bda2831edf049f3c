/**
 * What a configuration file says, parsed: numbers in bytes and milliseconds, paths absolute, secrets wrapped, the
 * whole object frozen. Only channel and cli see it; the layers below get small option objects made from it.
 */
import type { GuardRules } from '../rules/guard-rules.ts';
import type { TargetRules } from '../rules/target-rules.ts';
import type { ListenAddress } from './listen-address.ts';
import type { Secret } from './secret.ts';

export type TlsMode = 'disabled' | 'preferred' | 'required' | 'verify_ca' | 'verify_identity';

export interface TlsConfig {
  readonly mode: TlsMode;
  /** PEM texts. */
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: Secret | undefined;
}

export interface EndpointConfig {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: Secret;
  readonly tls: TlsConfig;
  readonly connectTimeoutMs: number;
}

/** Where reading begins when neither the relay log nor a target has anything. */
export type StartConfig =
  | { readonly at: 'auto' }
  | { readonly at: 'gtid_set'; readonly gtidSet: string }
  | { readonly at: 'position'; readonly file: string; readonly position: number };

export interface SourceConfig {
  readonly endpoint: EndpointConfig;
  /** Null: derived from the identity of data_dir. */
  readonly serverId: number | null;
  readonly start: StartConfig;
  readonly heartbeatMs: number;
}

export interface RelayLogConfig {
  /** Soft limit, bytes: a file is closed after the transaction that passes it. */
  readonly maxFileSize: number;
  /** 0: after every received batch that ends a transaction. */
  readonly syncMs: number;
  readonly retentionMs: number;
}

export interface TargetConfig {
  readonly name: string;
  readonly endpoint: EndpointConfig;
  readonly mode: 'auto' | 'binlog';
  readonly progress: 'auto' | 'gtid' | 'table';
  readonly workers: number;
  readonly commitOrder: 'source' | 'window' | 'any';
  /** Transactions in one commit at most. */
  readonly coalesce: number;
  readonly delayMs: number;
  readonly rules: TargetRules;
  readonly guards: GuardRules;
}

export interface ChannelConfig {
  readonly name: string;
  /** Servers are looked at before the channel starts. */
  readonly preflight: boolean;
  readonly source: SourceConfig;
  readonly relayLog: RelayLogConfig;
  readonly targets: readonly TargetConfig[];
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogConfig {
  readonly level: LogLevel;
  /** Null: pretty on a terminal, json elsewhere. */
  readonly format: 'json' | 'pretty' | null;
}

export interface HttpConfig {
  readonly listen: ListenAddress;
  /** What the page's buttons and POST requests must show; null: they are off. */
  readonly token: Secret | null;
  /** Names beside addresses and localhost by which it may be called. */
  readonly allowedHosts: readonly string[];
}

export interface Config {
  /** The file as it was named. */
  readonly file: string;
  /** Absolute. */
  readonly dataDir: string;
  readonly log: LogConfig;
  /** Null: off. */
  readonly http: HttpConfig | null;
  readonly channels: readonly ChannelConfig[];
  /** Things that work and should not be so, each with its place in the file. */
  readonly warnings: readonly string[];
}

/** Keys and indices from the top of the file. */
export type ConfigPath = readonly (string | number)[];

/** What is wrong, and where. Lines and columns count from 1. */
export interface ConfigProblem {
  readonly code: 'CONFIG' | 'NOT_IN_THIS_VERSION';
  readonly line: number;
  readonly column: number;
  /** `channels[0].targets[1].delay`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}
