/**
 * Servers in containers, through testcontainers, when a Docker daemon answers.
 *
 * The data directory is a folder of this machine, mounted, so that a test can look into it; the port is fixed, so that
 * a restarted server is found where it was. Programs such as mysqlbinlog run from PATH or from Debian's packages, since
 * the images do not hold all of them. testcontainers' own reaper removes containers whose test process died.
 */
import { mkdirSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import type { StartedTestContainer } from 'testcontainers';
import { programNames } from './installation.ts';
import { findOnPath } from './installed-servers.ts';
import { defaultArgs, freePort } from './local-server.ts';
import { processGuard } from './process-guard.ts';
import { temporaryFolder } from './repository.ts';
import { ROOT_PASSWORD, ROOT_USER, RootConnections } from './root-connections.ts';
import type { Flavour, ServerProvider, StartOptions } from './server-provider.ts';
import type { Program, Row, TestServer } from './test-server.ts';

/** What is started when a test names no version: the newest long-term releases. */
const DEFAULT_VERSION: Record<Flavour, string> = { mysql: '9.7', mariadb: '10.11' };

const START_TIMEOUT_MS = 180_000;

export const dockerServers: ServerProvider = {
  name: 'docker',
  async prepare(wish) {
    const silence = await dockerSilence();
    if (silence !== null) return { unavailable: silence };
    const version = wish.version ?? DEFAULT_VERSION[wish.flavour];
    const image = `${wish.flavour}:${version}`;
    return {
      provider: 'docker',
      version,
      start: (options) => ContainerServer.start(image, wish.flavour, version, options),
    };
  },
};

/** Null when a daemon answers GET /_ping, else why not. Takes milliseconds. */
export function dockerSilence(): Promise<string | null> {
  const named = process.env.DOCKER_HOST;
  const place = named ?? 'unix:///var/run/docker.sock';
  return new Promise((resolve) => {
    const url = URL.canParse(place) ? new URL(place) : null;
    if (url === null) return resolve(`DOCKER_HOST is not a URL: ${place}`);
    const where =
      url.protocol === 'unix:'
        ? { socketPath: url.pathname }
        : { host: url.hostname, port: url.port || 2375 };
    const ping = request({ ...where, path: '/_ping', timeout: 2000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200 ? null : `the daemon at ${place} answered ${response.statusCode}`);
    });
    ping.on('timeout', () => ping.destroy(new Error('no answer within 2 s')));
    ping.on('error', (error) =>
      resolve(`no daemon at ${place} (${error.message}); start Docker or set DOCKER_HOST`),
    );
    ping.end();
  });
}

class ContainerServer implements TestServer {
  readonly name: string;
  readonly flavour: Flavour;
  readonly version: string;
  readonly provider = 'docker';
  readonly rootUser = ROOT_USER;
  readonly rootPassword = ROOT_PASSWORD;
  readonly datadir: string;
  readonly pluginDir = null;
  readonly #image: string;
  readonly #folder: string;
  readonly #port: number;
  #args: readonly string[];
  #container: StartedTestContainer | null = null;
  #connections: RootConnections;
  #log = '';

  private constructor(
    image: string,
    flavour: Flavour,
    version: string,
    folder: string,
    port: number,
    options: StartOptions,
  ) {
    this.name = options.name;
    this.flavour = flavour;
    this.version = version;
    this.datadir = options.datadir ?? join(folder, 'data');
    this.#image = image;
    this.#folder = folder;
    this.#port = port;
    this.#args = options.args;
    this.#connections = new RootConnections('127.0.0.1', port);
  }

  static async start(
    image: string,
    flavour: Flavour,
    version: string,
    options: StartOptions,
  ): Promise<TestServer> {
    if (options.env !== undefined) throw new Error('a server in a container has no environment of ours');
    const folder = temporaryFolder(options.name);
    const server = new ContainerServer(image, flavour, version, folder, await freePort(), options);
    mkdirSync(server.datadir, { recursive: true });
    await server.#launch();
    return server;
  }

  get host(): string {
    return this.#container?.getHost() ?? '127.0.0.1';
  }

  get port(): number {
    return this.#port;
  }

  get running(): boolean {
    return this.#container !== null;
  }

  query(sql: string, params: readonly unknown[] = []): Promise<Row[]> {
    return this.#connections.query(sql, params);
  }

  connect(options: ConnectionOptions = {}): Promise<Connection> {
    return this.#connections.connect(options);
  }

  async shutdown(): Promise<void> {
    this.#connections.closeAll();
    const container = this.#container;
    this.#container = null;
    await container?.stop({ timeout: 60_000, remove: true });
  }

  async kill9(): Promise<void> {
    const container = this.#container;
    this.#container = null;
    if (container !== null) {
      const { getContainerRuntimeClient } = await import('testcontainers');
      const runtime = await getContainerRuntimeClient();
      await runtime.container.getById(container.getId()).kill({ signal: 'SIGKILL' });
      await container.stop({ remove: true });
    }
    this.#connections.closeAll();
  }

  async restart(args?: readonly string[]): Promise<void> {
    if (args !== undefined) this.#args = args;
    await this.shutdown();
    await this.#launch();
  }

  async stop(): Promise<void> {
    await this.shutdown();
    processGuard.removeFolder(this.#folder);
  }

  errorLog(): string {
    return this.#log;
  }

  binary(program: string): Program {
    for (const name of programNames(this.flavour, program)) {
      const found = findOnPath(name);
      if (found !== null) return { command: found, args: [] };
    }
    throw new Error(
      `${program} is not on PATH, and the images do not hold it; install ${this.flavour}'s client programs, ` +
        'or set MILLRACE_SERVERS=debian',
    );
  }

  async #launch(): Promise<void> {
    // Loaded late: it takes a second, and only this provider needs it.
    const { GenericContainer, Wait } = await import('testcontainers');
    const prefix = this.flavour === 'mysql' ? 'MYSQL' : 'MARIADB';
    const uid = process.getuid?.() ?? 0;
    let definition = new GenericContainer(this.#image)
      .withExposedPorts({ container: 3306, host: this.#port })
      .withEnvironment({ [`${prefix}_ROOT_PASSWORD`]: ROOT_PASSWORD, [`${prefix}_ROOT_HOST`]: '%' })
      .withBindMounts([{ source: this.datadir, target: '/var/lib/mysql' }])
      .withCommand([`--server-id=${this.#port}`, ...defaultArgs(this.flavour), ...this.#args])
      .withWaitStrategy(Wait.forListeningPorts())
      .withStartupTimeout(START_TIMEOUT_MS)
      .withLogConsumer((stream) => {
        stream.on('data', (line) => {
          this.#log += String(line);
        });
      });
    if (uid !== 0) definition = definition.withUser(`${uid}:${process.getgid?.() ?? uid}`);
    this.#container = await definition.start();
    this.#connections = new RootConnections(this.host, this.#port);
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await this.query('SELECT 1');
        return;
      } catch (error) {
        if (Date.now() > deadline) throw error;
        await delay(200);
      }
    }
  }
}
