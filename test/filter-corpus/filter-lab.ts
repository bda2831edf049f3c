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
    await unlogged(this.source, one.givenOnSource);
    await Promise.all(replicas.map((server) => unlogged(server, one.givenOnReplicas)));
    await this.native.setFilters(one.options);
    await this.#onSource(one, one.run);
    await this.#onSource(one, one.afterwards);
    const [native, millrace] = await Promise.all([this.native.apply(), this.#applyWithMillrace(one)]);
    if (one.stops === 'native') await this.#nativeToTheEnd();
    const differences = await this.#compare();
    if (native !== null || millrace !== null) await this.#passOver(replicas);
    return { name: one.name, native, millrace, differences, unexpected: surprise(one, native) };
  }

  /** After a case that could not be run: the replicas are brought level with the source. */
  async abandon(): Promise<void> {
    await this.#passOver([this.native.server, this.rig.target]);
  }

  async #onSource({ format, charset }: CorpusCase, statements: readonly string[]): Promise<void> {
    if (statements.length === 0) return;
    const session = await this.source.connect({ charset });
    try {
      await session.query(`SET SESSION binlog_format=${format}`);
      for (const statement of statements) await session.query(statement);
    } finally {
      await session.end();
    }
  }

  /** Where Millrace goes on, the native replica is helped over each transaction that it stops at. */
  async #nativeToTheEnd(): Promise<void> {
    do await this.#passOver([this.native.server], 1);
    while ((await this.native.apply()) !== null);
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

  /** After a stop: what the replicas lack (the first `count` of it) is given to them as empty transactions. */
  async #passOver(replicas: readonly TestServer[], count = Number.POSITIVE_INFINITY): Promise<void> {
    const wanted = await executedSet(this.source);
    if (this.source.flavour === 'mariadb') {
      await this.native.moveTo(wanted);
      await this.rig.target.query(
        "UPDATE millrace.progress SET executed = IF(worker = 0, ?, ''); DELETE FROM millrace.intent",
        [wanted],
      );
      return;
    }
    for (const replica of replicas) {
      const [row] = await replica.query('SELECT GTID_SUBTRACT(?, @@global.gtid_executed) AS missing', [
        wanted,
      ]);
      const missing = [...eachGtid(String(row?.missing ?? ''))].slice(0, count);
      const connection = await replica.connect();
      for (const gtid of missing) await connection.query(`SET GTID_NEXT='${gtid}'; COMMIT`);
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
  if ((stops !== 'no') === (native !== null)) return null;
  if (native === null) return 'the native replica did not stop';
  return `the native replica stopped: ${native.errno} ${native.message}`;
}

/** Takes away what a case left. */
async function clean(server: TestServer): Promise<void> {
  const databases = await server.query(
    `SELECT schema_name AS name FROM information_schema.schemata
      WHERE schema_name NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'millrace')`,
  );
  const users = await server.query("SELECT user AS u, host AS h FROM mysql.user WHERE user LIKE 'u\\_%'");
  await unlogged(server, [
    'SET foreign_key_checks = 0',
    ...(await branches(server)).map((xid) => `XA ROLLBACK ${xid}`),
    ...databases.map(({ name }) => `DROP DATABASE \`${String(name).replaceAll('`', '``')}\``),
    // MariaDB's roles have no host.
    ...users.map(({ u, h }) => (h === '' ? `DROP ROLE '${u}'` : `DROP USER '${u}'@'${h}'`)),
  ]);
}

/** Prepared and undecided, as XA statements take them. */
async function branches(server: TestServer): Promise<string[]> {
  if (server.flavour === 'mariadb') {
    return (await server.query("XA RECOVER FORMAT='SQL'")).map(({ data }) => String(data));
  }
  return (await server.query('XA RECOVER CONVERT XID')).map((row) => {
    const hex = String(row.data).slice(2);
    const at = 2 * Number(row.gtrid_length);
    return `x'${hex.slice(0, at)}',x'${hex.slice(at)}',${row.formatID}`;
  });
}

async function accounts(server: TestServer): Promise<string> {
  const users = await server.query(
    "SELECT user AS u, host AS h FROM mysql.user WHERE user LIKE 'u\\_%' ORDER BY 1, 2",
  );
  const lines: string[] = [];
  for (const { u, h } of users) {
    const grants = await server.query(`SHOW GRANTS FOR ${h === '' ? `'${u}'` : `'${u}'@'${h}'`}`);
    lines.push(`${u}@${h}: ${grants.map((row) => Object.values(row)[0]).join('; ')}`);
  }
  return lines.join(' | ');
}
