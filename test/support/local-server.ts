/**
 * A server process on this machine, run from an installation (programs on PATH, or unpacked packages).
 *
 * A data directory is initialised once per installation and kept as a template in the cache; a server gets a copy of
 * it, so a start takes about a second. The process and its folder end with the test process (process-guard.ts).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import { withFileLock } from './file-lock.ts';
import type { Installation } from './installation.ts';
import { processGuard } from './process-guard.ts';
import { mustRun } from './program.ts';
import { temporaryFolder } from './repository.ts';
import { ROOT_PASSWORD, ROOT_USER, RootConnections } from './root-connections.ts';
import type { Flavour, StartOptions } from './server-provider.ts';
import type { Program, Row, TestServer } from './test-server.ts';

/** Counted up when the template's content changes. */
const TEMPLATE = 'template-1';

/** These shape the data directory itself: a server that is given one is initialised afresh. */
const INITIALISE_ARGS =
  /^--(innodb[-_]page[-_]size|lower[-_]case[-_]table[-_]names|innodb[-_]data[-_]file[-_]path)\b/;

const START_TIMEOUT_MS = 90_000;
const SHUTDOWN_TIMEOUT_MS = 60_000;

export class LocalServer implements TestServer {
  readonly name: string;
  readonly flavour: Flavour;
  readonly version: string;
  readonly provider: string;
  readonly host = '127.0.0.1';
  readonly rootUser = ROOT_USER;
  readonly rootPassword = ROOT_PASSWORD;
  readonly datadir: string;
  readonly pluginDir: string | null;
  readonly #installation: Installation;
  readonly #folder: string;
  #port: number;
  #args: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  #process: ChildProcess | null = null;
  #connections: RootConnections;

  private constructor(installation: Installation, folder: string, port: number, options: StartOptions) {
    this.name = options.name;
    this.flavour = installation.flavour;
    this.version = installation.version;
    this.provider = installation.provider;
    this.pluginDir = installation.pluginDir;
    this.datadir = options.datadir ?? join(folder, 'data');
    this.#installation = installation;
    this.#folder = folder;
    this.#port = port;
    this.#args = options.args;
    this.#env = options.env ?? {};
    this.#connections = new RootConnections(this.host, port);
  }

  static async start(installation: Installation, options: StartOptions): Promise<LocalServer> {
    const folder = temporaryFolder(options.name);
    const server = new LocalServer(installation, folder, await freePort(), options);
    await fillDatadir(installation, server.datadir, folder, options.args);
    for (let attempt = 1; ; attempt++) {
      try {
        await server.#launch();
        return server;
      } catch (error) {
        if (attempt === 5 || !/address already in use/i.test(server.errorLog())) {
          processGuard.removeFolder(folder);
          throw error;
        }
        rmSync(server.#path('error.log'), { force: true });
        server.#port = await freePort();
        server.#connections = new RootConnections(server.host, server.#port);
      }
    }
  }

  get port(): number {
    return this.#port;
  }

  get running(): boolean {
    return this.#process !== null;
  }

  query(sql: string, params: readonly unknown[] = []): Promise<Row[]> {
    return this.#connections.query(sql, params);
  }

  connect(options: ConnectionOptions = {}): Promise<Connection> {
    return this.#connections.connect(options);
  }

  async shutdown(): Promise<void> {
    this.#connections.closeAll();
    await this.#end('SIGTERM');
  }

  async kill9(): Promise<void> {
    await this.#end('SIGKILL');
    this.#connections.closeAll();
  }

  async restart(args?: readonly string[]): Promise<void> {
    if (args !== undefined) this.#args = args;
    await this.shutdown();
    await this.#launch();
  }

  async stop(): Promise<void> {
    this.#connections.closeAll();
    // Nobody reads temporary data again: no need to let the server flush it.
    await this.#end(this.datadir.startsWith(this.#folder) ? 'SIGKILL' : 'SIGTERM');
    processGuard.removeFolder(this.#folder);
  }

  errorLog(): string {
    const file = this.#path('error.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  binary(program: string): Program {
    return this.#installation.binary(program);
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  async #launch(): Promise<void> {
    const { server } = this.#installation;
    mkdirSync(this.#path('tmp'), { recursive: true });
    const args = [
      ...server.args,
      ...commonArgs(this.#installation, this.datadir),
      `--socket=${this.#path('s.sock')}`,
      // A MariaDB that starts removes all temporary tables in its folder, also those of a neighbour.
      `--tmpdir=${this.#path('tmp')}`,
      `--pid-file=${this.#path('server.pid')}`,
      `--log-error=${this.#path('error.log')}`,
      '--bind-address=127.0.0.1',
      `--port=${this.#port}`,
      `--server-id=${this.#port}`,
      ...defaultArgs(this.flavour),
      ...this.#args,
    ];
    const output = openSync(this.#path('output.log'), 'a');
    const child = spawn(server.command, args, {
      detached: true,
      stdio: ['ignore', output, output],
      env: { ...process.env, ...this.#env },
    });
    closeSync(output);
    child.unref();
    const pid = child.pid;
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    if (pid === undefined) throw new Error(`${server.command} has no pid`);
    processGuard.addProcess(pid);
    this.#process = child;
    child.once('exit', () => {
      processGuard.removeProcess(pid);
      if (this.#process === child) this.#process = null;
    });
    await this.#answering();
  }

  async #answering(): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      try {
        await this.query('SELECT 1');
        return;
      } catch (error) {
        const late = Date.now() > deadline;
        if (this.running && !late) {
          await delay(40);
          continue;
        }
        await this.#end('SIGKILL');
        const output = readFileSync(this.#path('output.log'), 'utf8');
        const words = `${output}\n${this.errorLog()}`.trim().split('\n').slice(-12).join('\n');
        throw new Error(
          `${this.name}: the server ${late ? `did not answer (${error})` : 'ended'} at start:\n${words}`,
        );
      }
    }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === null) return;
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
    });
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), SHUTDOWN_TIMEOUT_MS);
    child.ref();
    await ended;
    clearTimeout(timer);
    this.#process = null;
  }
}

function commonArgs(installation: Installation, datadir: string): string[] {
  const root = process.getuid?.() === 0 ? ['--user=root'] : [];
  return ['--no-defaults', ...root, `--datadir=${datadir}`, ...installation.serverArgs];
}

/** Durable like production, small like a test, a binary log with GTIDs. */
export function defaultArgs(flavour: Flavour): string[] {
  const both = [
    '--log-bin=binlog',
    '--sync-binlog=1',
    '--innodb-flush-log-at-trx-commit=1',
    '--innodb-buffer-pool-size=64M',
    '--secure-file-priv=',
    '--max-connections=300',
  ];
  if (flavour === 'mariadb')
    return [...both, '--binlog-format=ROW', '--log-slave-updates=ON', '--innodb-log-file-size=48M'];
  return [
    ...both,
    '--gtid-mode=ON',
    '--enforce-gtid-consistency=ON',
    '--mysqlx=OFF',
    '--innodb-redo-log-capacity=64M',
    '--table-open-cache=400',
  ];
}

async function fillDatadir(
  installation: Installation,
  datadir: string,
  folder: string,
  args: readonly string[],
): Promise<void> {
  if (existsSync(datadir) && readdirSync(datadir).length > 0) return;
  const special = args.filter((arg) => INITIALISE_ARGS.test(arg));
  if (special.length > 0) return initialise(installation, datadir, folder, special);
  const template = join(installation.cache, TEMPLATE);
  if (!existsSync(template)) {
    await withFileLock(join(installation.cache, 'template.lock'), async () => {
      if (existsSync(template)) return;
      const unfinished = `${template}.unfinished`;
      rmSync(unfinished, { recursive: true, force: true });
      await initialise(installation, unfinished, folder, []);
      renameSync(unfinished, template);
    });
  }
  cpSync(template, datadir, { recursive: true });
}

/** Creates a data directory whose only account is root with ROOT_PASSWORD, from anywhere. */
async function initialise(
  installation: Installation,
  datadir: string,
  folder: string,
  special: readonly string[],
): Promise<void> {
  mkdirSync(datadir, { recursive: true });
  const { server } = installation;
  const base = [...server.args, ...commonArgs(installation, datadir), ...special];
  const accounts = [
    `ALTER USER root@localhost IDENTIFIED BY '${ROOT_PASSWORD}';`,
    `CREATE USER root@'%' IDENTIFIED BY '${ROOT_PASSWORD}';`,
    `GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;`,
  ];
  if (installation.flavour === 'mysql') {
    const script = join(folder, 'accounts.sql');
    writeFileSync(script, `${accounts.join('\n')}\n`);
    const log = join(folder, 'initialise.log');
    const args = [
      '--initialize-insecure',
      `--init-file=${script}`,
      '--mysqlx=OFF',
      '--innodb-redo-log-capacity=64M',
    ];
    await mustRun(server.command, [...base, ...args, `--log-error=${log}`]).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${existsSync(log) ? readFileSync(log, 'utf8').slice(-2000) : ''}`);
    });
    rmSync(join(datadir, 'auto.cnf'), { force: true });
    return;
  }
  const scripts = installation.bootstrapFolder;
  if (scripts === null) throw new Error(`no system table scripts were found for ${server.command}`);
  const prefix = existsSync(join(scripts, 'mariadb_system_tables.sql')) ? 'mariadb' : 'mysql';
  const read = (name: string): string => readFileSync(join(scripts, name), 'utf8');
  for (const schema of ['mysql', 'sys']) mkdirSync(join(datadir, schema), { recursive: true });
  const input = [
    'use mysql;',
    read(`${prefix}_system_tables.sql`),
    read(`${prefix}_performance_tables.sql`),
    read(`${prefix}_system_tables_data.sql`),
    'use mysql;',
    read(`${prefix}_sys_schema.sql`),
    'use mysql;',
    "DELETE FROM global_priv WHERE User <> 'mariadb.sys' AND (User <> 'root' OR Host <> 'localhost');",
    'FLUSH PRIVILEGES;',
    ...accounts,
  ].join('\n');
  // As in #launch: a neighbour that is initialised at the same time would remove this one's temporary tables.
  const tmpdir = join(folder, 'initialise-tmp');
  mkdirSync(tmpdir, { recursive: true });
  const args = [
    '--bootstrap',
    `--tmpdir=${tmpdir}`,
    '--innodb-flush-log-at-trx-commit=0',
    '--max-allowed-packet=16M',
    '--net-buffer-length=16K',
  ];
  await mustRun(server.command, [...base, ...args, '--innodb-log-file-size=48M'], { input });
}

/** A port that nobody listens on, below the range that outgoing connections are given. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = 18_000 + Math.floor(Math.random() * 14_000);
    const free = await new Promise<boolean>((resolve) => {
      const probe = createServer();
      probe.once('error', () => resolve(false));
      probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}
