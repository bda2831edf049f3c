/**
 * A real MySQL or MariaDB server for a test: `const source = await startServer({ flavour: 'mysql' })`.
 *
 * It listens on 127.0.0.1, writes a binary log with GTIDs, is as durable as a production server (so that kill -9 is a
 * fair test), and ends with the test process. `args` are appended, so they win over the defaults.
 */
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import { debianServers } from './debian-servers.ts';
import { dockerServers } from './docker-servers.ts';
import { installedServers } from './installed-servers.ts';
import { type Flavour, findServerBuild, type ServerBuild } from './server-provider.ts';

export type { Flavour } from './server-provider.ts';

/** How to run a program that belongs to a server: spawn(command, [...args, ...yours]). */
export interface Program {
  readonly command: string;
  readonly args: readonly string[];
}

// biome-ignore lint/suspicious/noExplicitAny: rows are whatever the test selected
export type Row = Record<string, any>;

export interface TestServer {
  readonly name: string;
  readonly flavour: Flavour;
  readonly version: string;
  readonly provider: string;
  readonly host: string;
  readonly port: number;
  readonly rootUser: string;
  readonly rootPassword: string;
  readonly datadir: string;
  /** Null when the plugins are where the server looks by itself (a container). */
  readonly pluginDir: string | null;
  /** Rows of one statement (or of the last of several) as root, on a connection that is opened again when it broke. */
  query(sql: string, params?: readonly unknown[]): Promise<Row[]>;
  /** A new connection, as root unless `options` say otherwise. Closed with the server at the latest. */
  connect(options?: ConnectionOptions): Promise<Connection>;
  /** Clean shutdown; the data stays, `restart` brings it back. */
  shutdown(): Promise<void>;
  kill9(): Promise<void>;
  /** Starts it again on the same port and data, after a clean shutdown if it runs; `args` replace the earlier ones. */
  restart(args?: readonly string[]): Promise<void>;
  /** The end: clean shutdown, temporary data removed. */
  stop(): Promise<void>;
  readonly running: boolean;
  errorLog(): string;
  /** A program of this server's version: 'mysqlbinlog', 'mysql', 'mysqldump', 'mysqladmin' (MariaDB: the same names). */
  binary(program: string): Program;
}

export interface ServerOptions {
  readonly flavour: Flavour;
  readonly version?: string;
  readonly args?: readonly string[];
  /** A data directory to use and to keep; filled when it is empty or missing. */
  readonly datadir?: string;
  readonly name?: string;
  /** Variables of the server's process beside ours; a container has none of them. */
  readonly env?: NodeJS.ProcessEnv;
}

const PROVIDERS = [dockerServers, installedServers, debianServers] as const;

const builds = new Map<string, Promise<ServerBuild>>();

export async function startServer(options: ServerOptions): Promise<TestServer> {
  const key = `${options.flavour} ${options.version ?? ''}`;
  let build = builds.get(key);
  if (build === undefined) {
    build = findServerBuild(PROVIDERS, { flavour: options.flavour, version: options.version });
    builds.set(key, build);
  }
  return (await build).start({
    args: options.args ?? [],
    datadir: options.datadir,
    env: options.env,
    name: options.name ?? options.flavour,
  });
}
