/**
 * Exactly once for statements that commit by themselves, where progress is kept in a table.
 *
 *   1  intent row { transaction, fingerprint of the schemas concerned }      committed
 *   2  the statement                                                         commits by itself
 *   3  intent row deleted, progress written                                  one commit
 *
 * Found at a restart, an open intent is settled by looking: schemas as they were before → the statement did not run;
 * schemas changed → it did. That decides, because DDL is atomic on the targets in question (InnoDB on MySQL 8.0, MariaDB
 * 10.6 and later) and nobody else changes these schemas. Where it cannot decide (a statement that leaves no trace and must
 * not run twice, several objects on a server without atomic multi-object DDL), the applier stops and says so; the row's
 * `verdict` column then tells it what the operator found.
 *
 * Before looking, the session that sent the statement must be gone: it may still be executing.
 *
 * The fingerprint covers the schemas whose names occur in the statement, and its default database: definitions of
 * tables, columns, indexes, constraints, partitions, views, routines, triggers, events, and accounts or privileges where
 * the statement is about those.
 */
import { createHash } from 'node:crypto';
import { MillraceError } from '../base/errors.ts';
import { type TransactionId, transactionIdText } from '../binlog/position-set.ts';
import { firstSqlWords } from '../binlog/sql-words.ts';
import type { WireConnection } from '../wire/connection.ts';
import { asciiLiteral, hexLiteral } from './sql-literal.ts';
import type { TargetFacts } from './target-facts.ts';

/** Runs one SELECT and gives its rows as text, columns in order. */
export type RowReader = (sql: string) => Promise<readonly (readonly (string | null)[])[]>;

export interface Intent {
  readonly id: string;
  /** First words of the statement: `CREATE TABLE`. */
  readonly kind: string;
  readonly statementHash: string;
  /** Words of the statement and its default database: which schemas it may concern. */
  readonly names: readonly string[];
  readonly fingerprint: string;
}

export type Settlement =
  | 'none'
  | { readonly id: string; readonly kind: string; readonly done: boolean; readonly rowsFollow: boolean };

/** Ends the kind of a CREATE TABLE whose rows belong to the same transaction. */
const WITH_ROWS = ' WITH ROWS';

const NAME_LENGTH_MAX = 64;
const NAMES_MAX = 2000;
const ACCOUNT_STATEMENT = /^(CREATE|DROP|RENAME|ALTER) (USER|ROLE)/;
const GRANT_STATEMENT = /^(GRANT|REVOKE)\b/;
const ONE_BY_ONE = /^(RENAME (TABLE|USER)|(CREATE|DROP) (USER|ROLE))/;
/** MariaDB drops several objects one by one and then says which were missing: what a second run misses is as it must be. */
const DROP_SEVERAL = /^DROP (TABLE|VIEW|SEQUENCE)/;

export async function prepareIntent(
  id: TransactionId,
  sql: string,
  databases: readonly string[],
  rowsFollow: boolean,
  read: RowReader,
): Promise<Intent> {
  const names = wordsOf(sql, databases);
  const kind = firstSqlWords(Buffer.from(sql)) + (rowsFollow ? WITH_ROWS : '');
  return {
    id: transactionIdText(id),
    kind,
    statementHash: createHash('sha256').update(sql).digest('hex'),
    names,
    fingerprint: await fingerprint(names, kind, read),
  };
}

/** The statement that writes the intent down. `channel` is a SQL literal. */
export function intentStatement(channel: string, intent: Intent, connectionId: number): string {
  return `REPLACE INTO millrace.intent (channel, id, statement_hash, statement_kind, names, fingerprint, connection_id, verdict) VALUES (${channel}, ${hexLiteral(intent.id)}, ${asciiLiteral(intent.statementHash)}, ${hexLiteral(intent.kind)}, ${hexLiteral(JSON.stringify(intent.names))}, ${asciiLiteral(intent.fingerprint)}, ${connectionId}, NULL)`;
}

export function intentDoneStatement(channel: string): string {
  return `DELETE FROM millrace.intent WHERE channel=${channel}`;
}

/**
 * Both looks are taken in control sessions: an apply session is in the time zone of the last statement, in which
 * CREATE_TIME would read differently although nothing has changed.
 */
export function schemaReader(control: WireConnection): RowReader {
  return async (sql) => (await control.query(sql, 'look at the schemas')).map((row) => Object.values(row));
}

/** Looks for an open intent and decides. @throws DDL_UNDECIDED; retry while the old session still runs. */
export async function settleIntent(
  control: WireConnection,
  channel: string,
  facts: TargetFacts,
): Promise<Settlement> {
  const rows = await control.query(
    `SELECT id, statement_kind, names, fingerprint, connection_id, verdict FROM millrace.intent WHERE channel=${channel}`,
  );
  const row = rows[0];
  if (row === undefined) return 'none';
  const id = row.id ?? '';
  const kind = row.statement_kind ?? '';
  await endSession(control, Number(row.connection_id), kind);
  const rowsFollow = kind.endsWith(WITH_ROWS);
  if (row.verdict === 'done' || row.verdict === 'run') {
    return { id, kind, done: row.verdict === 'done', rowsFollow };
  }
  const names = JSON.parse(row.names ?? '[]') as string[];
  const changed = (await fingerprint(names, kind, schemaReader(control))) !== row.fingerprint;
  if (facts.flavour === 'mariadb' && DROP_SEVERAL.test(kind) && names.includes(',')) {
    return { id, kind, done: false, rowsFollow };
  }
  const doubt = doubtAbout(kind, names, changed, facts);
  if (doubt !== null) {
    throw new MillraceError('DDL_UNDECIDED', `'${kind} …' was cut off, and ${doubt}`, {
      hint: `See on the target whether it ran, then UPDATE millrace.intent SET verdict='done' (or 'run') for this channel and start again.`,
      facts: { transaction: id },
    });
  }
  return { id, kind, done: changed, rowsFollow };
}

function doubtAbout(
  kind: string,
  names: readonly string[],
  changed: boolean,
  facts: TargetFacts,
): string | null {
  if (!changed) {
    if (kind.startsWith('RENAME TABLE')) return 'exchanging two tables of one form leaves no trace';
    if (names.includes('exchange')) return 'exchanging a partition leaves no trace';
    if (ACCOUNT_STATEMENT.test(kind)) return 'the accounts that can be seen do not tell whether it ran';
    return null;
  }
  const atomic = facts.flavour === 'mysql' ? facts.versionNumber >= 80000 : facts.versionNumber >= 100601;
  if (!atomic) return `DDL is not atomic on ${facts.version}: it may have run half`;
  if (facts.flavour === 'mariadb' && ONE_BY_ONE.test(kind) && names.includes(',')) {
    return 'MariaDB does so with several of them one by one: it may have run half';
  }
  return null;
}

/** Kills the session that sent the statement, and waits until it is gone. */
async function endSession(control: WireConnection, id: number, kind: string): Promise<void> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const rows = await control.query(
      `SELECT ID AS id FROM information_schema.PROCESSLIST WHERE ID=${id} AND ID<>CONNECTION_ID() AND USER=SUBSTRING_INDEX(USER(),'@',1)`,
    );
    if (rows.length === 0) return;
    // It may end between the look and the KILL.
    await control.query(`KILL ${id}`).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new MillraceError(
    'APPLY_TRANSIENT',
    `the session ${id} that runs '${kind} …' on the target has not ended yet`,
  );
}

/** Every word or quoted name of the statement, lower case; `,` when it has a comma outside of parentheses. */
function wordsOf(sql: string, databases: readonly string[]): string[] {
  const words = new Set<string>(databases.filter((name) => name !== '').map((name) => name.toLowerCase()));
  for (const match of sql.slice(0, 1 << 20).matchAll(/`((?:[^`]|``)+)`|"((?:[^"]|"")+)"|[\p{L}\p{N}_$]+/gu)) {
    const name = (
      match[1]?.replaceAll('``', '`') ??
      match[2]?.replaceAll('""', '"') ??
      match[0]
    ).toLowerCase();
    if (name.length <= NAME_LENGTH_MAX && words.size < NAMES_MAX) words.add(name);
  }
  if (sql.replace(/\([^()]*\)/g, '').includes(',')) words.add(',');
  return [...words];
}

const SCHEMA_QUERIES = [
  'SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE LOWER(SCHEMA_NAME) IN (?)',
  'SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, ENGINE, ROW_FORMAT, TABLE_COLLATION, CREATE_OPTIONS, TABLE_COMMENT, CREATE_TIME FROM information_schema.TABLES WHERE LOWER(TABLE_SCHEMA) IN (?)',
  'SELECT TABLE_SCHEMA, TABLE_NAME, ORDINAL_POSITION, COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, CHARACTER_SET_NAME, COLLATION_NAME, EXTRA, COLUMN_COMMENT FROM information_schema.COLUMNS WHERE LOWER(TABLE_SCHEMA) IN (?)',
  'SELECT TABLE_SCHEMA, TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, NON_UNIQUE, SUB_PART, INDEX_TYPE, INDEX_COMMENT FROM information_schema.STATISTICS WHERE LOWER(TABLE_SCHEMA) IN (?)',
  'SELECT CONSTRAINT_SCHEMA, TABLE_NAME, CONSTRAINT_NAME, CONSTRAINT_TYPE FROM information_schema.TABLE_CONSTRAINTS WHERE LOWER(CONSTRAINT_SCHEMA) IN (?)',
  'SELECT TABLE_SCHEMA, TABLE_NAME, PARTITION_NAME, PARTITION_METHOD, PARTITION_EXPRESSION, PARTITION_DESCRIPTION FROM information_schema.PARTITIONS WHERE PARTITION_NAME IS NOT NULL AND LOWER(TABLE_SCHEMA) IN (?)',
  'SELECT TABLE_SCHEMA, TABLE_NAME, VIEW_DEFINITION, DEFINER, SECURITY_TYPE, CHECK_OPTION FROM information_schema.VIEWS WHERE LOWER(TABLE_SCHEMA) IN (?)',
  'SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, ROUTINE_DEFINITION, LAST_ALTERED, CREATED, DEFINER FROM information_schema.ROUTINES WHERE LOWER(ROUTINE_SCHEMA) IN (?)',
  'SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_MANIPULATION, EVENT_OBJECT_TABLE, ACTION_ORDER, ACTION_STATEMENT, CREATED FROM information_schema.TRIGGERS WHERE LOWER(TRIGGER_SCHEMA) IN (?)',
  'SELECT EVENT_SCHEMA, EVENT_NAME, EVENT_DEFINITION, STATUS, LAST_ALTERED, INTERVAL_VALUE, INTERVAL_FIELD FROM information_schema.EVENTS WHERE LOWER(EVENT_SCHEMA) IN (?)',
];

/** Of other accounts they tell only whom may read schema mysql; then a GRANT that ran leaves no trace, and runs again. */
const GRANT_QUERIES = [
  'SELECT GRANTEE, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.USER_PRIVILEGES',
  'SELECT GRANTEE, TABLE_SCHEMA, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.SCHEMA_PRIVILEGES',
  'SELECT GRANTEE, TABLE_SCHEMA, TABLE_NAME, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.TABLE_PRIVILEGES',
  'SELECT GRANTEE, TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.COLUMN_PRIVILEGES',
];

async function fingerprint(names: readonly string[], kind: string, read: RowReader): Promise<string> {
  const hash = createHash('sha256');
  const list = names
    .filter((name) => name !== ',')
    .map((name) => `CONVERT(${hexLiteral(name)} USING utf8mb4)`);
  const inList = list.length > 0 ? list.join(', ') : "''";
  for (const template of SCHEMA_QUERIES) {
    const rows = await read(template.replace('(?)', `(${inList})`));
    hashRows(hash, rows);
  }
  if (ACCOUNT_STATEMENT.test(kind)) {
    hashRows(hash, await read('SELECT DISTINCT GRANTEE FROM information_schema.USER_PRIVILEGES'));
  }
  if (GRANT_STATEMENT.test(kind)) for (const query of GRANT_QUERIES) hashRows(hash, await read(query));
  return hash.digest('hex');
}

function hashRows(hash: ReturnType<typeof createHash>, rows: readonly (readonly (string | null)[])[]): void {
  const lines = rows.map((row) => JSON.stringify(row)).sort();
  hash.update(`${lines.length}\n`);
  for (const line of lines) hash.update(`${line}\n`);
}
