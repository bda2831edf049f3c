/**
 * What stands in a server's schemas, as far as the account may see it: tables whose rows are found only by a scan, tables that
 * cannot take part in a transaction, and everything that acts by itself.
 *
 * Bounded: so many names are kept, so long a read may take; what took too long is null. Reads only.
 */
import type { ProbeSession } from './probe-session.ts';

/** Names that are kept of each list: a message shows the first few. */
const NAMES_MAX = 1000;

const SYSTEM = "('mysql', 'sys', 'information_schema', 'performance_schema', 'ndbinfo', 'millrace')";

export interface TableName {
  readonly schema: string;
  readonly table: string;
}

export interface NamedTable extends TableName {
  readonly engine: string;
}

export interface SchemaSurvey {
  /** Without the system's own. */
  readonly schemas: readonly string[];
  readonly withoutTransactions: readonly NamedTable[] | null;
  readonly withoutKey: readonly TableName[] | null;
  /** Events that would run. */
  readonly enabledEvents: readonly TableName[] | null;
  readonly triggers: readonly TableName[] | null;
  readonly functions: readonly TableName[] | null;
  /** `user@host` of everything that has a definer. */
  readonly definers: readonly string[] | null;
}

/** `concerned`: whether the schema is replicated at all. */
export async function surveySchemas(
  session: ProbeSession,
  concerned: (schema: string) => boolean,
): Promise<SchemaSurvey | null> {
  const names = await session.read(
    `SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME NOT IN ${SYSTEM} ORDER BY 1`,
  );
  if (names === null) return null;
  const schemas = names.map((row) => row.name ?? '').filter(concerned);
  const known = new Set(schemas);
  const list = async (sql: string): Promise<NamedTable[] | null> => {
    const rows = await session.read(`${sql} ORDER BY 1, 2 LIMIT ${NAMES_MAX}`);
    if (rows === null) return null;
    return rows
      .map((row) => ({ schema: row.s ?? '', table: row.t ?? '', engine: row.e ?? '' }))
      .filter(({ schema }) => known.has(schema));
  };
  return {
    schemas,
    withoutTransactions: await list(WITHOUT_TRANSACTIONS),
    withoutKey: await list(WITHOUT_KEY),
    enabledEvents: await list(
      `SELECT EVENT_SCHEMA AS s, EVENT_NAME AS t FROM information_schema.EVENTS WHERE STATUS = 'ENABLED' AND EVENT_SCHEMA NOT IN ${SYSTEM}`,
    ),
    triggers: await list(
      `SELECT TRIGGER_SCHEMA AS s, TRIGGER_NAME AS t FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA NOT IN ${SYSTEM}`,
    ),
    functions: await list(
      `SELECT ROUTINE_SCHEMA AS s, ROUTINE_NAME AS t FROM information_schema.ROUTINES WHERE ROUTINE_TYPE = 'FUNCTION' AND ROUTINE_SCHEMA NOT IN ${SYSTEM}`,
    ),
    definers: await definers(session),
  };
}

const TABLES = `information_schema.TABLES AS tables WHERE tables.TABLE_TYPE = 'BASE TABLE' AND tables.TABLE_SCHEMA NOT IN ${SYSTEM}`;

/** An engine that the server does not list is not one of its own: nothing is said of it. */
const WITHOUT_TRANSACTIONS = `SELECT tables.TABLE_SCHEMA AS s, tables.TABLE_NAME AS t, tables.ENGINE AS e FROM ${TABLES}
  AND tables.ENGINE IN (SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'NO')`;

/** A key that names one row: unique, and none of its columns may be NULL. */
const WITHOUT_KEY = `SELECT tables.TABLE_SCHEMA AS s, tables.TABLE_NAME AS t FROM ${TABLES}
  AND tables.ENGINE <> 'BLACKHOLE'
  AND NOT EXISTS (SELECT 1 FROM information_schema.STATISTICS AS parts
    WHERE parts.TABLE_SCHEMA = tables.TABLE_SCHEMA AND parts.TABLE_NAME = tables.TABLE_NAME AND parts.NON_UNIQUE = 0
    GROUP BY parts.INDEX_NAME HAVING SUM(parts.NULLABLE = 'YES') = 0)`;

async function definers(session: ProbeSession): Promise<string[] | null> {
  const sources = [
    ['TRIGGERS', 'TRIGGER_SCHEMA'],
    ['EVENTS', 'EVENT_SCHEMA'],
    ['ROUTINES', 'ROUTINE_SCHEMA'],
    ['VIEWS', 'TABLE_SCHEMA'],
  ];
  const rows = await session.read(
    `${sources
      .map(
        ([table, schema]) =>
          `SELECT DEFINER AS d FROM information_schema.${table} WHERE ${schema} NOT IN ${SYSTEM}`,
      )
      .join(' UNION ')} LIMIT ${NAMES_MAX}`,
  );
  return rows === null ? null : rows.map((row) => row.d ?? '').filter((definer) => definer !== '');
}
