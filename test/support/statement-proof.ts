/**
 * Proves readings against a real server: what is read in a statement must be exactly what changes when it runs; what the
 * server then writes into its binary log must read the same; and with its databases renamed it must do the same in others.
 */
import { readStatement } from '../../src/rules/read-statement.ts';
import { renameDatabases } from '../../src/rules/splice-names.ts';
import type { StatementDialect, StatementReading } from '../../src/rules/statement-reading.ts';
import { openRawSession, type RawSession } from './raw-session.ts';
import { quote, SchemaEye, type Snapshot } from './schema-snapshot.ts';
import { type StatementCase, tableStatements } from './statement-corpus.ts';
import { ClaimedEffect, objectKey, unnamedUses } from './statement-effect.ts';
import { type Flavour, startServer, type TestServer } from './test-server.ts';

export interface Proof {
  readonly verdict: 'right' | 'wrong' | 'unplaced';
  readonly kind: string;
  readonly notes: readonly string[];
  /** How it did with its databases renamed; 'unknown': the reading does not know all of them. */
  readonly renamed: 'right' | 'wrong' | 'unknown' | 'none';
  /** Statements of the binary log that were read as well. */
  readonly logged: number;
}

type Read = Extract<StatementReading, { is: 'read' }>;

const MODE_BITS: Readonly<Record<string, bigint>> = {
  ansi_quotes: 0x4n,
  no_backslash_escapes: 0x100000n,
  oracle: 0x20en,
};
const ON_THE_SERVER = new Set(['account', 'maintenance']);
/** Logged as they are, where the session says so. */
const ROWS = new Set(['insert', 'update', 'delete']);
const LEAVES = /USER|ROLE|GRANT|SERVER|TABLESPACE|REFERENCE SYSTEM/i;
/** Nothing here is kept: what costs time is what makes it durable. */
const HASTE = ['--innodb-flush-log-at-trx-commit=0', '--sync-binlog=0', '--innodb-doublewrite=0'];

export class StatementProof {
  readonly #server: TestServer;
  readonly #control: RawSession;
  #session: RawSession;
  readonly #here: SchemaEye;
  readonly #there: SchemaEye;

  private constructor(server: TestServer, control: RawSession, session: RawSession) {
    this.#server = server;
    this.#control = control;
    this.#session = session;
    this.#here = new SchemaEye(control.pipe, server.flavour, 'src');
    this.#there = new SchemaEye(control.pipe, server.flavour, 'dst');
  }

  static async start(flavour: Flavour): Promise<StatementProof> {
    const server = await startServer({
      flavour,
      args: [...HASTE, '--log-bin-trust-function-creators=1', '--event-scheduler=OFF'],
    });
    const control = await openRawSession(server);
    await control.sql("SET NAMES utf8mb4, sql_mode = '', foreign_key_checks = 0");
    return new StatementProof(server, control, await openRawSession(server));
  }

  async stop(): Promise<void> {
    this.#session.close();
    this.#control.close();
    await this.#server.stop();
  }

  async prove(statementCase: StatementCase): Promise<Proof> {
    const { statement, charset } = statementCase;
    const dialect = this.#dialect(statementCase);
    await this.#begin(statementCase, 'src1');
    this.#mayLeave ||= LEAVES.test(`${statementCase.before.join()} ${statement}`);
    const preparation = [...statementCase.tables.flatMap(tableStatements), ...statementCase.before];
    for (const sql of preparation) await this.#session.sql(await this.#encode(sql, charset));
    const sql = await this.#encode(statement, charset);
    const reading = readStatement(sql, dialect);
    if (reading.is !== 'read') {
      return proof('unplaced', '', [`${reading.why}, at ${reading.at}`]);
    }
    const notes = await this.#runAndCompare(sql, reading, statementCase);
    const renamed =
      notes.length === 0
        ? await this.#renamed(sql, preparation, reading, statementCase)
        : { how: 'none' as const, notes: [] };
    if (reading.temporary) await this.#renewSession();
    const all = [...notes, ...renamed.notes];
    return {
      ...proof(all.length === 0 ? 'right' : 'wrong', reading.kind, all),
      renamed: renamed.how,
      logged: this.#logged,
    };
  }

  #logged = 0;
  /** A case before may have left what belongs to no database. */
  #mayLeave = true;
  /** What there was when the last statement had run. */
  #after: Snapshot = new Map();

  // ---- where it is written

  async #runAndCompare(
    sql: Buffer,
    reading: Read,
    { quiet, follows, charset }: StatementCase,
  ): Promise<string[]> {
    const onServer =
      ON_THE_SERVER.has(reading.kind) && reading.objects.every(({ role }) => role === 'grants');
    const [before, serverBefore, logStart] = [
      await this.#here.look(),
      onServer ? await this.#serverState() : '',
      await this.#logPosition(),
    ];
    const temporaryBefore = await this.#temporary(reading);
    const rows = ROWS.has(reading.kind);
    if (rows) await this.#session.sql("SET SESSION binlog_format = 'MIXED'");
    const reply = await this.#session.reply(sql);
    if (rows) await this.#session.sql("SET SESSION binlog_format = 'ROW'");
    if (!reply.ok) return [`the server refuses it: ${reply.errno} ${reply.message}`];
    const after = await this.#here.look();
    this.#after = after;
    const claimed = new ClaimedEffect(before);
    claimed.apply(reading, 'src1');
    const keys = follows.map((name) => `relation src1.${name}`);
    const wrong = [
      ...claimed.compare(after, { quiet, follows: keys }),
      ...unnamedUses(reading, before, after, 'src1'),
    ];
    wrong.push(...temporaryWrongs(reading, temporaryBefore, await this.#temporary(reading)));
    if (reading.kind === 'account' && serverBefore === (await this.#serverState()) && !quiet) {
      wrong.push('it was read as changing accounts, and none changed');
    }
    if (!ON_THE_SERVER.has(reading.kind) && charset === 'utf8mb4') {
      wrong.push(...(await this.#loggedWrongs(logStart, before, after, { quiet, follows: keys }, reading)));
    }
    return wrong;
  }

  /** What the server wrote into its log is read and carried out on what was there before. */
  async #loggedWrongs(
    [file, position]: readonly [string, string],
    before: Snapshot,
    after: Snapshot,
    allowed: { quiet: boolean; follows: readonly string[] },
    original: Read,
  ): Promise<string[]> {
    this.#logged = 0;
    const events = await this.#here.rows(`SHOW BINLOG EVENTS IN '${file}' FROM ${position}`);
    const claimed = new ClaimedEffect(before);
    const wrong: string[] = [];
    for (const [, , type, , , info] of events) {
      if (type !== 'Query' || info === null || info === undefined) continue;
      const use = /^use `((?:[^`]|``)*)`; /.exec(info);
      const text = info.slice(use?.[0].length ?? 0);
      const reading = readStatement(Buffer.from(text), this.#currentDialect);
      if (reading.is !== 'read') {
        wrong.push(`logged as ${text}: unplaced, ${reading.why}, at ${reading.at}`);
        continue;
      }
      this.#logged += 1;
      // ALTER DATABASE without a name has it in the event, which is not shown.
      claimed.apply(reading, use?.[1]?.replaceAll('``', '`') ?? 'src1');
    }
    if (this.#logged === 0 || original.temporary) return wrong;
    // Rows may have been logged as rows, beside the statement.
    const rows = original.objects.filter(({ role }) => role === 'changes-rows');
    const follows = [...allowed.follows, ...rows.map((object) => objectKey(object, 'src1') ?? '')];
    return [
      ...wrong,
      ...claimed.compare(after, { ...allowed, follows }).map((each) => `as it was logged: ${each}`),
    ];
  }

  // ---- in other databases

  async #renamed(
    sql: Buffer,
    preparation: readonly string[],
    reading: Read,
    statementCase: StatementCase,
  ): Promise<{ readonly how: Proof['renamed']; readonly notes: string[] }> {
    const dialect = this.#currentDialect;
    const elsewhere = (bytes: Buffer): Buffer | null =>
      renameDatabases(bytes, readStatement(bytes, dialect), (name) => name.replace(/^src/, 'dst'), dialect);
    const spliced = elsewhere(sql);
    if (spliced === null) return { how: 'unknown', notes: [] };
    if (ON_THE_SERVER.has(reading.kind) && spliced.equals(sql)) return { how: 'none', notes: [] };
    await this.#begin(statementCase, 'dst1', false);
    for (const each of preparation) {
      const bytes = await this.#encode(each, statementCase.charset);
      const moved = elsewhere(bytes);
      if (moved === null) return { how: 'unknown', notes: [] };
      const account = ON_THE_SERVER.has(kindOf(bytes, dialect));
      if (!account || !moved.equals(bytes)) await this.#session.sql(moved);
    }
    const reply = await this.#session.reply(spliced);
    if (!reply.ok)
      return { how: 'wrong', notes: [`renamed, it fails: ${reply.message}: ${spliced.toString()}`] };
    const [sourceAfter, target] = [await this.#here.look(), await this.#there.look()];
    const notes = [
      ...differences(this.#after, sourceAfter).map((each) => `renamed, it touches ${each}`),
      ...differences(folded(sourceAfter), folded(target)).map((each) => `renamed, it differs: ${each}`),
    ];
    return { how: notes.length === 0 ? 'right' : 'wrong', notes };
  }

  // ---- the server

  #currentDialect: StatementDialect = { flavour: 'mysql', sqlMode: 0n, charset: 'utf8mb4', versionNumber: 0 };

  #dialect({ modes, charset }: StatementCase): StatementDialect {
    const [major = 0, minor = 0, patch = 0] = this.#server.version.split(/[.-]/).map(Number);
    this.#currentDialect = {
      flavour: this.#server.flavour,
      sqlMode: modes.reduce((bits, mode) => bits | MODE_BITS[mode]!, 0n),
      charset,
      versionNumber: major * 10000 + minor * 100 + patch,
    };
    return this.#currentDialect;
  }

  /** `clean`: with nothing left of the case before. */
  async #begin({ modes, charset }: StatementCase, database: string, clean = true): Promise<void> {
    const { reply, sql } = this.#session;
    await reply('UNLOCK TABLES');
    if (clean) await this.#clean();
    await reply('SET NAMES utf8mb4');
    await sql(`USE ${database}`);
    await sql(`SET sql_mode = '${modes.join(',')}'`);
    await sql(`SET NAMES ${charset}`);
  }

  async #clean(): Promise<void> {
    const names = await this.#here.rows(
      "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'src%' OR SCHEMA_NAME LIKE 'dst%'",
    );
    const statements = names.map(([name]) => `DROP DATABASE ${quote(name ?? '')}`);
    for (const name of ['src1', 'src2', 'dst1', 'dst2']) {
      statements.push(`CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
    }
    for (const sql of statements) await this.#control.sql(sql);
    if (!this.#mayLeave) return;
    for (const sql of await this.#serverLeftovers()) await this.#control.sql(sql);
    this.#mayLeave = false;
  }

  /** What a case may leave that belongs to no database. */
  async #serverLeftovers(): Promise<string[]> {
    const mysql = this.#server.flavour === 'mysql';
    const dropping = (what: string, select: string): Promise<string[]> =>
      this.#here.rows(select).then((rows) => rows.map((row) => `DROP ${what} ${row[0]}`));
    const isRole = mysql ? '0' : "is_role = 'Y'";
    const account = "CONCAT('''', User, '''@''', Host, '''')";
    const lists = await Promise.all([
      dropping('USER', `SELECT ${account} FROM mysql.user WHERE User LIKE 'src%' AND NOT ${isRole}`),
      dropping('ROLE', `SELECT User FROM mysql.user WHERE User LIKE 'src%' AND ${isRole}`),
      dropping('SERVER', 'SELECT Server_name FROM mysql.servers'),
      ...(mysql
        ? [
            dropping(
              'TABLESPACE',
              "SELECT NAME FROM information_schema.INNODB_TABLESPACES WHERE NAME LIKE 'src\\_ts%' AND SPACE_TYPE = 'General'",
            ),
            dropping(
              'SPATIAL REFERENCE SYSTEM',
              'SELECT SRS_ID FROM information_schema.ST_SPATIAL_REFERENCE_SYSTEMS WHERE SRS_ID = 990001',
            ),
          ]
        : []),
    ]);
    return lists.flat();
  }

  async #renewSession(): Promise<void> {
    this.#session.close();
    this.#session = await openRawSession(this.#server);
  }

  async #encode(text: string, charset: string): Promise<Buffer> {
    if (charset === 'utf8mb4') return Buffer.from(text);
    const rows = await this.#here.rows(
      `SELECT HEX(CONVERT(CONVERT(x'${Buffer.from(text).toString('hex')}' USING utf8mb4) USING ${charset}))`,
    );
    return Buffer.from(rows[0]?.[0] ?? '', 'hex');
  }

  async #logPosition(): Promise<readonly [string, string]> {
    const sql = this.#server.flavour === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS';
    const [row] = await this.#here.rows(sql);
    return [row?.[0] ?? '', row?.[1] ?? ''];
  }

  /** Accounts and privileges, as one text. */
  async #serverState(): Promise<string> {
    const tables =
      this.#server.flavour === 'mysql'
        ? [
            'user',
            'db',
            'tables_priv',
            'columns_priv',
            'procs_priv',
            'role_edges',
            'default_roles',
            'global_grants',
            'proxies_priv',
          ]
        : ['global_priv', 'db', 'tables_priv', 'columns_priv', 'procs_priv', 'roles_mapping', 'proxies_priv'];
    const parts = await Promise.all(tables.map((table) => this.#here.rows(`SELECT * FROM mysql.${table}`)));
    return JSON.stringify(parts);
  }

  /** Which of the temporary tables that a reading names there are. */
  async #temporary({ temporary, objects }: Read): Promise<Map<string, boolean>> {
    const found = new Map<string, boolean>();
    if (!temporary) return found;
    for (const { database, name, role } of objects) {
      if (role === 'reads') continue;
      const table = `${quote(database ?? 'src1')}.${quote(name)}`;
      const reply = await this.#session.pipe.query(`SHOW CREATE TABLE ${table}`);
      found.set(table, reply.ok && /^CREATE TEMPORARY/.test(reply.rows[0]?.[1] ?? ''));
    }
    return found;
  }
}

function proof(verdict: Proof['verdict'], kind: string, notes: readonly string[]): Proof {
  return { verdict, kind, notes, renamed: 'none', logged: 0 };
}

function kindOf(sql: Buffer, dialect: StatementDialect): string {
  const reading = readStatement(sql, dialect);
  return reading.is === 'read' ? reading.kind : '';
}

function temporaryWrongs(
  { objects, ifExists }: Read,
  before: ReadonlyMap<string, boolean>,
  after: ReadonlyMap<string, boolean>,
): string[] {
  const wrong: string[] = [];
  for (const { role, name, database } of objects) {
    const key = `${quote(database ?? 'src1')}.${quote(name)}`;
    if (!after.has(key)) continue;
    if (role === 'creates' && !after.get(key)) wrong.push(`the temporary table ${key} was not made`);
    if (role === 'drops' && (after.get(key) || (!before.get(key) && !ifExists))) {
      wrong.push(`the temporary table ${key} was not dropped`);
    }
  }
  return wrong;
}

/** Names of databases are the same, and quotes, which a spliced name has and the original need not. */
function folded(snapshot: Snapshot): Snapshot {
  const plain = (text: string): string => text.replaceAll('dst', 'src').replace(/[`"\\]/g, '');
  return new Map(
    [...snapshot].map(([key, seen]) => [
      key.replaceAll('dst', 'src'),
      { ...seen, description: plain(seen.description) },
    ]),
  );
}

function differences(one: Snapshot, other: Snapshot): string[] {
  const found: string[] = [];
  for (const [key, { description }] of one) {
    const theirs = other.get(key);
    if (theirs === undefined) found.push(`${key} is missing`);
    else if (theirs.description !== description) found.push(`${key}:\n${description}\n${theirs.description}`);
  }
  for (const key of other.keys()) if (!one.has(key)) found.push(`${key} is new`);
  return found;
}
