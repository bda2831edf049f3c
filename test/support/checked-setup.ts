/**
 * A source, a target and a configuration that `millrace check` looks at, and a hand that pastes what it prints: a statement as
 * root into the server, a line into the configuration, an option into the server's start, a command into a shell.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { CheckReport } from '../../src/cli/check.ts';
import type { Finding, Remedy } from '../../src/preflight/finding.ts';
import { type Account, unlogged } from './accounts.ts';
import { printedBy } from './command-line.ts';
import { address, type ConfigMap, channelConfig } from './millrace-process.ts';
import { temporaryFolder } from './repository.ts';
import { type Flavour, startServer, type TestServer } from './test-server.ts';

/** What docs/privileges.md asks for, on the schema `shop`. */
const SCHEMA_PRIVILEGES =
  'SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES, LOCK TABLES, CREATE VIEW, SHOW VIEW, TRIGGER, EVENT, CREATE ROUTINE, ALTER ROUTINE, EXECUTE';

export const SOURCE: Account = { user: 'repl', password: 'repl-secret' };
export const TARGET: Account = { user: 'apply', password: 'apply-secret' };

export interface Checked {
  readonly code: number;
  readonly report: CheckReport;
  readonly findings: readonly Finding[];
}

type ServerArgs = Readonly<Record<'source' | 'target', readonly string[]>>;

export class CheckedSetup {
  readonly source: TestServer;
  readonly target: TestServer;
  readonly folder = temporaryFolder('check');
  readonly configFile = join(this.folder, 'config.yaml');
  readonly dataDir = join(this.folder, 'data');
  config: ConfigMap = {};
  readonly #args: ServerArgs;

  private constructor(source: TestServer, target: TestServer, args: ServerArgs) {
    this.source = source;
    this.target = target;
    this.#args = args;
    this.reset();
  }

  static async start(flavour: Flavour, args: Partial<ServerArgs> = {}): Promise<CheckedSetup> {
    const { source: sourceArgs = [], target: targetArgs = [] } = args;
    const [source, target] = await Promise.all([
      startServer({ flavour, name: 'source', args: sourceArgs }),
      startServer({ flavour, name: 'target', args: targetArgs }),
    ]);
    const setup = new CheckedSetup(source, target, { source: sourceArgs, target: targetArgs });
    await setup.createAccounts();
    const shop = ['CREATE DATABASE shop', 'CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(99))'];
    for (const server of [source, target]) await unlogged(server, shop);
    await source.query('INSERT INTO shop.orders VALUES (1, "first")');
    return setup;
  }

  /** As they are documented; what a test has granted or taken is gone. */
  async createAccounts(): Promise<void> {
    const mysql = this.source.flavour === 'mysql';
    await unlogged(this.source, [
      `DROP USER IF EXISTS '${SOURCE.user}'@'%'`,
      `CREATE USER '${SOURCE.user}'@'%' IDENTIFIED BY '${SOURCE.password}'`,
      `GRANT REPLICATION SLAVE, ${mysql ? 'REPLICATION CLIENT' : 'BINLOG MONITOR'} ON *.* TO '${SOURCE.user}'@'%'`,
      `GRANT SELECT ON shop.* TO '${SOURCE.user}'@'%'`,
    ]);
    await unlogged(this.target, [
      `DROP USER IF EXISTS '${TARGET.user}'@'%'`,
      `CREATE USER '${TARGET.user}'@'%' IDENTIFIED BY '${TARGET.password}'`,
      mysql
        ? `GRANT REPLICATION_APPLIER, SESSION_VARIABLES_ADMIN, REPLICATION CLIENT ON *.* TO '${TARGET.user}'@'%'`
        : `GRANT BINLOG REPLAY, SLAVE MONITOR ON *.* TO '${TARGET.user}'@'%'`,
      ...(mysql ? [] : [`GRANT ALL ON millrace.* TO '${TARGET.user}'@'%'`]),
      `GRANT ${SCHEMA_PRIVILEGES}${mysql ? '' : ', DELETE HISTORY'} ON shop.* TO '${TARGET.user}'@'%'`,
    ]);
  }

  /** The configuration as it was, with these keys more. */
  reset(change: { source?: ConfigMap; target?: ConfigMap; channel?: ConfigMap } = {}): void {
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 });
    chmodSync(this.dataDir, 0o700);
    const channel = channelConfig({
      source: { ...address(this.source), ...SOURCE, ...change.source },
      target: { ...address(this.target), ...TARGET, ...change.target },
    });
    this.config = { data_dir: this.dataDir, channels: [{ ...channel, ...change.channel }] };
    this.#write();
  }

  #write(): void {
    writeFileSync(this.configFile, stringify(this.config), { mode: 0o600 });
  }

  async check(): Promise<Checked> {
    const { code, out, err } = await printedBy(['check', '--json', '-c', this.configFile]);
    if (code === 2) throw new Error(`the configuration is wrong: ${out}${err}`);
    const report = JSON.parse(out) as CheckReport;
    for (const { password } of [SOURCE, TARGET]) {
      if (out.includes(password)) throw new Error(`a password stands in the report:\n${out}`);
    }
    return {
      code,
      report,
      findings: [...report.host, ...report.channels.flatMap(({ findings }) => findings)],
    };
  }

  /** As given; nothing is added to it. */
  async paste(remedy: Remedy): Promise<void> {
    switch (remedy.form) {
      case 'sql':
        await this.#server(remedy).query(remedy.text);
        return;
      case 'option_file':
        await this.#server(remedy).restart([...this.#argsOf(remedy), ...optionFileArgs(remedy.text)]);
        return;
      case 'yaml':
        Object.assign(this.#mapAt(remedy.where), parse(remedy.text));
        this.#write();
        return;
      case 'shell':
        execFileSync('sh', ['-c', remedy.text], {
          env: { ...process.env, PATH: `${this.#programs()}:${process.env.PATH}`, MYSQL_PWD: 'root' },
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        return;
    }
  }

  /** `channels[orders].targets[standby]` in the configuration; lists are looked into by name. */
  #mapAt(path: string): ConfigMap {
    if (path === 'top level') return this.config;
    let at: ConfigMap = this.config;
    for (const [, key = '', name] of path.matchAll(/([a-z_]+)(?:\[([^\]]+)\])?/g)) {
      if (name === undefined) {
        if (typeof at[key] !== 'object') at[key] = {};
        at = at[key];
      } else {
        at = at[key].find((entry: ConfigMap) => entry.name === name);
      }
    }
    return at;
  }

  #server({ on, where }: Remedy): TestServer {
    const server = on === 'source' ? this.source : this.target;
    if (where !== `${server.host}:${server.port}`) throw new Error(`the ${on} is not at ${where}`);
    return server;
  }

  #argsOf({ on }: Remedy): readonly string[] {
    return this.#args[on === 'source' ? 'source' : 'target'];
  }

  /** The servers' own programs by their names. Who pastes `-p` types a password: here it comes from the environment. */
  #programs(): string {
    const folder = join(this.folder, 'bin');
    mkdirSync(folder, { recursive: true });
    const names =
      this.target.flavour === 'mysql'
        ? ['mysql', 'mysql_tzinfo_to_sql']
        : ['mariadb', 'mariadb-tzinfo-to-sql'];
    for (const name of names) {
      const { command, args } = this.target.binary(name);
      const quoted = [command, ...args].map((part) => `'${part}'`).join(' ');
      const script = `#!/bin/sh\nfor arg do shift; [ "$arg" = -p ] || set -- "$@" "$arg"; done\nexec ${quoted} "$@"\n`;
      writeFileSync(join(folder, name), script, { mode: 0o755 });
    }
    return folder;
  }

  async stop(): Promise<void> {
    await Promise.all([this.source.stop(), this.target.stop()]);
  }
}

/** Of lines below [mysqld]. */
export function optionFileArgs(text: string): string[] {
  const [section, ...lines] = text.split('\n');
  if (section !== '[mysqld]') throw new Error(`not for the server: ${text}`);
  return lines.map((line) => `--${line.replace(/\s*=\s*/, '=')}`);
}

/** What is not as it should be, as `subject id level`. */
export function wrongOnes({ findings }: Checked): string[] {
  return findings
    .filter(({ level }) => level !== 'ok')
    .map(({ subject, id, level }) => `${subject} ${id} ${level}`);
}
