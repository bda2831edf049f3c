/**
 * What is asked of a target, in one connection. Rights are not only read but tried, each with a statement that the applier
 * itself sends, and nothing of it stays:
 *
 *   START TRANSACTION READ WRITE · ROLLBACK       may write although the server may be read-only
 *   SET SESSION …                                 the settings of an apply session; they end with the session
 *   a row of millrace.progress · ROLLBACK         progress in a table, where the table is there; where it is not, statements on
 *                                                 a table that cannot exist: the server looks at the right first
 *   SET GTID_NEXT = 'made-up uuid:1' · ROLLBACK   progress in GTIDs; a rollback gives the GTID back unused
 *   BINLOG '<a format description>'               row events; it changes the session only, and comes last
 */
import { randomUUID } from 'node:crypto';
import { hexLiteral } from '../target/sql-literal.ts';
import { leaseName } from '../target/target-lease.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import { AccountGrants } from './account-grants.ts';
import { formatDescriptionStatement } from './format-description-sample.ts';
import { type NativeChannel, readNativeChannels } from './native-channels.ts';
import { type Attempt, inProbeSession, type ProbeLimits, type ProbeSession } from './probe-session.ts';
import { type SchemaSurvey, surveySchemas } from './schema-survey.ts';
import { isOn, type ServerSurvey, surveyServer } from './server-survey.ts';

/** More than the sessions of 64 workers and the base have. */
const PROGRESS_ROWS_MAX = 1000;

export interface ProgressRow {
  readonly kind: string;
  readonly executed: string;
}

export interface TableProgressSurvey {
  readonly tablesExist: boolean;
  /** The first attempt that failed; else any. */
  readonly write: Attempt;
  /** Of this channel; null: they cannot be read, or are not there. */
  readonly rows: readonly ProgressRow[] | null;
}

export interface TargetSurvey extends ServerSurvey {
  readonly grants: AccountGrants | null;
  /** MySQL: gtid_executed. */
  readonly executed: string;
  readonly writable: Attempt;
  readonly rowEvents: Attempt;
  /** Null: the server keeps no GTIDs. */
  readonly gtidNext: Attempt | null;
  readonly gtidTag: Attempt | null;
  /** What an apply session sets only where it must, by variable. */
  readonly sessionSettings: ReadonlyMap<string, Attempt>;
  readonly progress: TableProgressSurvey;
  /** Who holds the lock of this channel, as the process list has it; null: nobody. */
  readonly leaseHolder: string | null;
  /** Null: the account may not ask. */
  readonly nativeChannels: readonly NativeChannel[] | null;
  /** Null: not asked. */
  readonly threadsConnected: number | null;
  /** 0: no limit. */
  readonly maxUserConnections: number;
  /** Null: not looked at. */
  readonly schemas: SchemaSurvey | null;
}

export interface TargetLook {
  readonly endpoint: EndpointOptions;
  readonly channel: string;
  readonly limits: ProbeLimits;
  readonly thorough: boolean;
  readonly concerned: (schema: string) => boolean;
  readonly wallMs: () => number;
  readonly signal: AbortSignal | undefined;
}

/** Tagged GTIDs: 8.3. */
const TAGS_SINCE = 80300;
const LOCK_WAIT_SECONDS = 1;

export async function surveyTarget(look: TargetLook): Promise<TargetSurvey> {
  const { endpoint, channel, limits, thorough, concerned, wallMs, signal } = look;
  return inProbeSession(endpoint, 'the target', limits, signal, async (session) => {
    const server = await surveyServer(session, 'target', wallMs);
    // With ANSI_QUOTES names come in other quotes, and without sql_quote_show_create in none.
    await session.attempt(
      `SET SESSION sql_mode = '', sql_quote_show_create = 1, innodb_lock_wait_timeout = ${LOCK_WAIT_SECONDS}, lock_wait_timeout = ${LOCK_WAIT_SECONDS}`,
    );
    const survey = {
      ...server,
      grants: await readGrants(session),
      ...(await readState(session, channel)),
      nativeChannels: await readNativeChannels(session),
      threadsConnected: thorough ? await readThreadsConnected(session) : null,
      schemas: thorough ? await surveySchemas(session, concerned) : null,
    };
    return {
      ...survey,
      writable: await rolledBack(session, ['START TRANSACTION READ WRITE']),
      sessionSettings: await trySettings(session, server.variables),
      progress: await tryProgressTable(session, channel, thorough),
      ...(await tryGtids(session, server.variables)),
      rowEvents: await session.attempt(
        formatDescriptionStatement(session.flavour),
        'send row events (BINLOG)',
      ),
    };
  });
}

type State = Pick<TargetSurvey, 'executed' | 'maxUserConnections' | 'leaseHolder'>;

async function readState(session: ProbeSession, channel: string): Promise<State> {
  const executed = session.flavour === 'mysql' ? '@@GLOBAL.gtid_executed' : "''";
  const rows = await session.rows(
    `SELECT ${executed} AS executed, @@max_user_connections AS connections, IS_USED_LOCK('${leaseName(channel)}') AS lease`,
  );
  const { executed: set, connections, lease } = rows?.[0] ?? {};
  return {
    executed: set ?? '',
    maxUserConnections: Number(connections ?? 0),
    leaseHolder: lease == null ? null : await readLeaseHolder(session, lease),
  };
}

/** The first failure, or the last success; whatever it was, it is taken back. */
async function rolledBack(session: ProbeSession, statements: readonly string[]): Promise<Attempt> {
  const attempt = await inOrder(session, statements);
  await session.attempt('ROLLBACK');
  return attempt;
}

async function inOrder(session: ProbeSession, statements: readonly string[]): Promise<Attempt> {
  let last: Attempt = { ok: true, rows: [] };
  for (const statement of statements) {
    last = await session.attempt(statement);
    if (!last.ok) return last;
  }
  return last;
}

async function readGrants(session: ProbeSession): Promise<AccountGrants | null> {
  const rows = await session.rows('SHOW GRANTS');
  return rows === null ? null : AccountGrants.parse(rows.map((row) => Object.values(row)[0] ?? ''));
}

async function readLeaseHolder(session: ProbeSession, id: string): Promise<string> {
  const rows = await session.rows(
    `SELECT USER AS u, HOST AS h FROM information_schema.PROCESSLIST WHERE ID = ${Number(id) || 0}`,
  );
  const holder = rows?.[0];
  return holder === undefined ? `connection ${id}` : `connection ${id}, ${holder.u}@${holder.h}`;
}

async function readThreadsConnected(session: ProbeSession): Promise<number | null> {
  const [row] = (await session.rows("SHOW GLOBAL STATUS LIKE 'Threads_connected'")) ?? [];
  return row === undefined ? null : Number(row.Value);
}

/** What ApplySession sets when the server's own default is in its way, and what statements of the source ask for. */
async function trySettings(
  session: ProbeSession,
  variables: ReadonlyMap<string, string>,
): Promise<ReadonlyMap<string, Attempt>> {
  const tried = new Map<string, Attempt>();
  const wanted: [name: string, value: string][] = [['pseudo_thread_id', 'CONNECTION_ID()']];
  if (variables.get('binlog_format')?.toUpperCase() === 'STATEMENT') wanted.push(['binlog_format', "'ROW'"]);
  if (isOn(variables.get('sql_generate_invisible_primary_key'))) {
    wanted.push(['sql_generate_invisible_primary_key', 'OFF']);
  }
  if (variables.has('sql_require_primary_key')) wanted.push(['sql_require_primary_key', 'OFF']);
  for (const [name, value] of wanted)
    tried.set(name, await session.attempt(`SET SESSION ${name} = ${value}`));
  return tried;
}

/** `thorough`: each right that the account needs there, and not only the first. */
async function tryProgressTable(
  session: ProbeSession,
  channel: string,
  thorough: boolean,
): Promise<TableProgressSurvey> {
  const there = await session.value(
    "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'millrace' AND TABLE_NAME = 'progress'",
  );
  if (there !== '1') {
    const statements = [
      'CREATE TABLE millrace.millrace_probe LIKE millrace.millrace_nothing',
      'SELECT 1 FROM millrace.millrace_nothing',
      'INSERT INTO millrace.millrace_nothing VALUES (1)',
      'UPDATE millrace.millrace_nothing SET nothing = 1',
      'DELETE FROM millrace.millrace_nothing',
    ];
    const write = await inOrderGranted(session, thorough ? statements : statements.slice(0, 1));
    return { tablesExist: false, write, rows: null };
  }
  const name = hexLiteral(`millrace probe ${randomUUID()}`);
  const write = await rolledBack(session, [
    'START TRANSACTION',
    `INSERT INTO millrace.progress (channel, worker, epoch, kind, executed, owner) VALUES (${name}, 0, 0, 'gtid', '', '')`,
    `UPDATE millrace.progress SET epoch = 1 WHERE channel = ${name}`,
    `DELETE FROM millrace.progress WHERE channel = ${name}`,
  ]);
  const rows = await session.rows(
    `SELECT kind, executed FROM millrace.progress WHERE channel = ${hexLiteral(channel)} ORDER BY worker LIMIT ${PROGRESS_ROWS_MAX}`,
  );
  return {
    tablesExist: true,
    write,
    rows: rows?.map((row) => ({ kind: row.kind ?? '', executed: row.executed ?? '' })) ?? null,
  };
}

/** As `inOrder`, for statements on a table that is not there: only another error than that is one. */
async function inOrderGranted(session: ProbeSession, statements: readonly string[]): Promise<Attempt> {
  for (const statement of statements) {
    const attempt = await session.attempt(statement);
    if (!attempt.ok && !NOTHING_THERE.has(attempt.errno)) return attempt;
  }
  return { ok: true, rows: [] };
}

/** ER_BAD_DB_ERROR, ER_NO_SUCH_TABLE. */
const NOTHING_THERE: ReadonlySet<number> = new Set([1049, 1146]);

async function tryGtids(
  session: ProbeSession,
  variables: ReadonlyMap<string, string>,
): Promise<Pick<TargetSurvey, 'gtidNext' | 'gtidTag'>> {
  if (session.flavour !== 'mysql' || variables.get('gtid_mode') !== 'ON')
    return { gtidNext: null, gtidTag: null };
  const next = async (gtid: string): Promise<Attempt> => {
    const attempt = await session.attempt(`SET GTID_NEXT = '${gtid}'`, 'name a transaction (GTID_NEXT)');
    if (attempt.ok) {
      await session.attempt('ROLLBACK');
      await session.attempt("SET GTID_NEXT = 'AUTOMATIC'");
    }
    return attempt;
  };
  if (session.versionNumber < TAGS_SINCE) return { gtidNext: await next(`${randomUUID()}:1`), gtidTag: null };
  // Who may set one with a tag may set one without.
  const gtidTag = await next(`${randomUUID()}:millrace_probe:1`);
  return { gtidNext: gtidTag.ok ? gtidTag : await next(`${randomUUID()}:1`), gtidTag };
}
