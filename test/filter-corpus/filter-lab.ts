/**
 * One source and two replicas of it that must come to the same: a native one, and one that Millrace applies to. A case is
 * run with everything as new: the common tables on all three, none of it in a binary log.
 */
import type { MillraceError } from '../../src/base/errors.ts';
import { unlogged } from '../support/accounts.ts';
import { ApplierRig } from '../support/applier-rig.ts';
import { compareServers, executedSet } from '../support/equality.ts';
import { startServer, type TestServer } from '../support/test-server.ts';
import { type CorpusCase, rulesOf } from './corpus.ts';
import { NativeReplica, type NativeStop } from './native-replica.ts';

/** What every case begins with. */
const COMMON: readonly string[] = [
  'CREATE DATABASE shop',
  'CREATE DATABASE crm',
  'CREATE TABLE shop.orders (id INT PRIMARY KEY, v VARCHAR(40))',
  'CREATE TABLE shop.items (id INT PRIMARY KEY, v VARCHAR(40))',
  'CREATE TABLE shop.tmp_1 (id INT PRIMARY KEY, v VARCHAR(40))',
  'CREATE TABLE shop.tmpx1 (id INT PRIMARY KEY, v VARCHAR(40))',
  'CREATE TABLE crm.leads (id INT PRIMARY KEY, v VARCHAR(40))',
  'CREATE TABLE crm.orders (id INT PRIMARY KEY, v VARCHAR(40))',
  "INSERT INTO shop.orders VALUES (1, 'a'), (2, 'b')",
  "INSERT INTO shop.items VALUES (1, 'a'), (2, 'b')",
  "INSERT INTO shop.tmp_1 VALUES (1, 'a')",
  "INSERT INTO shop.tmpx1 VALUES (1, 'a')",
  "INSERT INTO crm.leads VALUES (1, 'a'), (2, 'b')",
  "INSERT INTO crm.orders VALUES (1, 'a')",
];

/** Not durable: nobody kills these servers, and a case makes and drops many tables. */
const FAST = ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=0'];
const FAST_MYSQL = [
  '--replica-parallel-workers=1',
  '--log-bin-trust-function-creators=ON',
  '--skip-replica-start',
];
const FAST_MARIADB = ['--log-bin-trust-function-creators=ON', '--skip-slave-start'];

export interface Outcome {
  readonly name: string;
  readonly native: NativeStop | null;
  readonly millrace: MillraceError | null;
  /** Empty: the two replicas are equal. */
  readonly differences: readonly string[];
  /** The native replica did not come to what the case says. */
  readonly unexpected: string | null;
}

export class FilterLab {
  readonly source: TestServer;
  readonly native: NativeReplica;
  readonly rig: ApplierRig;

  private constructor(source: TestServer, native: NativeReplica, rig: ApplierRig) {
    this.source = source;
    this.native = native;
    this.rig = rig;
  }

  static async open(flavour: 'mysql' | 'mariadb', lowerCaseTableNames: 0 | 1): Promise<FilterLab> {
    const args = [...FAST, ...(flavour === 'mysql' ? FAST_MYSQL : FAST_MARIADB)];
    const replica =
      lowerCaseTableNames === 0 ? args : [...args, `--lower-case-table-names=${lowerCaseTableNames}`];
    const [source, one, two] = await Promise.all([
      startServer({ flavour, name: 'source', args }),
      startServer({ flavour, name: 'native', args: replica }),
      startServer({ flavour, name: 'target', args: replica }),
    ]);
    const rig = await ApplierRig.create(source, two, {
      workers: 1,
      progress: flavour === 'mysql' ? 'gtid' : 'table',
    });
    return new FilterLab(source, await NativeReplica.follow(source, one), rig);
  }

  get servers(): readonly TestServer[] {
    return [this.source, this.native.server, this.rig.target];
  }

  async close(): Promise<void> {
    await this.rig.remove();
    await Promise.all(this.servers.map((server) => server.stop()));
  }

  async run(one: CorpusCase): Promise<Outcome> {
    const replicas = [this.native.server, this.rig.target];
    await Promise.all(this.servers.map((server) => clean(server)));
    await Promise.all(this.servers.map((server) => unlogged(server, [...COMMON, ...one.given])));
    await Promise.all(replicas.map((server) => unlogged(server, one.givenOnReplicas)));
    await this.native.setFilters(one.options);
    await this.#onSource(one.run, one.format);
    await this.#onSource(one.afterwards, one.format);
    const [native, millrace] = await Promise.all([this.native.apply(), this.#applyWithMillrace(one)]);
    const differences = await this.#compare();
    if (native !== null || millrace !== null) await this.#passOver();
    return { name: one.name, native, millrace, differences, unexpected: surprise(one, native) };
  }

  async #onSource(statements: readonly string[], format: string): Promise<void> {
    if (statements.length === 0) return;
    const session = await this.source.connect();
    try {
      await session.query(`SET SESSION binlog_format=${format}`);
      for (const statement of statements) await session.query(statement);
    } finally {
      await session.end();
    }
  }

  async #applyWithMillrace(one: CorpusCase): Promise<MillraceError | null> {
    try {
      await this.rig.catchUp({ rules: rulesOf(one.options) });
      return null;
    } catch (error) {
      return error as MillraceError;
    }
  }

  async #compare(): Promise<string[]> {
    const { server } = this.native;
    const { target } = this.rig;
    const { differences } = await compareServers(server, target, { gtid: server.flavour === 'mysql' });
    const [mine, theirs] = await Promise.all([accounts(server), accounts(target)]);
    return mine === theirs
      ? [...differences]
      : [...differences, `accounts differ:\n  native: ${mine}\n  Millrace: ${theirs}`];
  }

  /** After a stop: what the replicas lack is given to them as empty transactions. */
  async #passOver(): Promise<void> {
    const wanted = await executedSet(this.source);
    for (const replica of [this.native.server, this.rig.target]) {
      const [row] = await replica.query('SELECT GTID_SUBTRACT(?, @@global.gtid_executed) AS missing', [
        wanted,
      ]);
      const connection = await replica.connect();
      for (const gtid of eachGtid(String(row?.missing ?? ''))) {
        await connection.query(`SET GTID_NEXT='${gtid}'; COMMIT; SET GTID_NEXT='AUTOMATIC'`);
      }
      await connection.end();
    }
  }
}

function* eachGtid(set: string): Generator<string> {
  for (const part of set.replaceAll(/\s/g, '').split(',')) {
    const [uuid, ...intervals] = part.split(':');
    for (const interval of intervals) {
      const [first, last = first] = interval.split('-').map(Number);
      for (let n = first!; n <= last!; n++) yield `${uuid}:${n}`;
    }
  }
}

function surprise({ stops }: CorpusCase, native: NativeStop | null): string | null {
  if (stops === (native !== null)) return null;
  return native === null
    ? 'the native replica did not stop'
    : `the native replica stopped: ${native.errno} ${native.message}`;
}

/** Takes away what a case left. */
async function clean(server: TestServer): Promise<void> {
  const databases = await server.query(
    `SELECT schema_name AS name FROM information_schema.schemata
      WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'millrace')`,
  );
  const users = await server.query("SELECT user AS u, host AS h FROM mysql.user WHERE user LIKE 'u\\_%'");
  const branches = await server.query('XA RECOVER CONVERT XID');
  await unlogged(server, [
    ...branches.map((row) => `XA ROLLBACK ${row.data},'',1`),
    ...databases.map(({ name }) => `DROP DATABASE \`${String(name).replaceAll('`', '``')}\``),
    ...users.map(({ u, h }) => `DROP USER '${u}'@'${h}'`),
  ]);
}

async function accounts(server: TestServer): Promise<string> {
  const users = await server.query(
    "SELECT user AS u, host AS h FROM mysql.user WHERE user LIKE 'u\\_%' ORDER BY 1, 2",
  );
  const lines: string[] = [];
  for (const { u, h } of users) {
    const grants = await server.query(`SHOW GRANTS FOR '${u}'@'${h}'`);
    lines.push(`${u}@${h}: ${grants.map((row) => Object.values(row)[0]).join('; ')}`);
  }
  return lines.join(' | ');
}
