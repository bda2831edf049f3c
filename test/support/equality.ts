/**
 * The oracle: are two servers equal? Schemas, definitions of every object, CHECKSUM TABLE, a hash over every value of
 * every row, and the GTID sets. What differs is returned as sentences; for rows, how many are lost and how many are
 * doubled or foreign.
 *
 * MD5 and SHA1 are gone in MySQL 9.6, so rows are hashed with CRC32 and SHA2.
 */
import type { Row, TestServer } from './test-server.ts';

const OWN_SCHEMAS = ['mysql', 'sys', 'information_schema', 'performance_schema', 'millrace'];

export interface EqualityOptions {
  /** Only these schemas. Undefined: all but the server's and Millrace's own. */
  readonly schemas?: readonly string[];
  /** Compare gtid_executed too (a MySQL target with progress gtid). */
  readonly gtid?: boolean;
}

export interface Equality {
  /** Empty: the servers are equal. */
  readonly differences: readonly string[];
  readonly tables: readonly TableFigures[];
  /** Rows that the target lacks, and rows that it has too often or should not have. */
  readonly rowsLost: number;
  readonly rowsDoubled: number;
}

export interface TableFigures {
  readonly table: string;
  readonly sourceRows: number;
  readonly targetRows: number;
  readonly equal: boolean;
}

export async function compareServers(
  source: TestServer,
  target: TestServer,
  options: EqualityOptions = {},
): Promise<Equality> {
  const differences: string[] = [];
  const [left, right] = await Promise.all([describeServer(source, options), describeServer(target, options)]);
  for (const name of new Set([...left.objects.keys(), ...right.objects.keys()])) {
    const mine = left.objects.get(name);
    const theirs = right.objects.get(name);
    if (mine === undefined) differences.push(`${name} exists only on the target`);
    else if (theirs === undefined) differences.push(`${name} is missing on the target`);
    else if (mine !== theirs) differences.push(`${name} differs:\n  source: ${mine}\n  target: ${theirs}`);
  }
  const tables: TableFigures[] = [];
  let rowsLost = 0;
  let rowsDoubled = 0;
  for (const [table, expected] of left.tables) {
    const found = right.tables.get(table);
    const equal = found !== undefined && found.hash === expected.hash && found.checksum === expected.checksum;
    tables.push({ table, sourceRows: expected.rows, targetRows: found?.rows ?? 0, equal });
    if (equal) continue;
    if (found === undefined) {
      rowsLost += expected.rows;
      continue;
    }
    const { lost, surplus } = await compareRows(source, target, table);
    rowsLost += lost;
    rowsDoubled += surplus;
    differences.push(
      `${table}: ${expected.rows} rows on the source, ${found.rows} on the target; ` +
        `${lost} lost, ${surplus} doubled or foreign (checksums ${expected.checksum} and ${found.checksum})`,
    );
  }
  if (options.gtid === true) {
    const [mine, theirs] = await Promise.all([executedSet(source), executedSet(target)]);
    if (mine !== theirs) differences.push(`gtid_executed differs:\n  source: ${mine}\n  target: ${theirs}`);
  }
  return { differences, tables, rowsLost, rowsDoubled };
}

/** Throws with every difference. */
export async function assertEqualServers(
  source: TestServer,
  target: TestServer,
  options: EqualityOptions = {},
): Promise<Equality> {
  const equality = await compareServers(source, target, options);
  if (equality.differences.length > 0) {
    throw new Error(`source and target differ:\n${equality.differences.slice(0, 20).join('\n')}`);
  }
  return equality;
}

/** gtid_executed in one line; MariaDB: the position of its binary log. */
export async function executedSet(server: TestServer): Promise<string> {
  const variable = server.flavour === 'mysql' ? '@@global.gtid_executed' : '@@global.gtid_binlog_pos';
  const [row] = await server.query(`SELECT ${variable} AS gtid_set`);
  return String(row?.gtid_set ?? '').replace(/\s+/g, '');
}

interface ServerDescription {
  /** "table shop.orders" → its definition, and so on for schemas, views, triggers, routines, events. */
  readonly objects: Map<string, string>;
  readonly tables: Map<string, { rows: number; hash: string; checksum: string }>;
}

async function describeServer(server: TestServer, options: EqualityOptions): Promise<ServerDescription> {
  const objects = new Map<string, string>();
  const tables: ServerDescription['tables'] = new Map();
  const schemas = await server.query(
    `SELECT schema_name AS name, default_character_set_name AS charset, default_collation_name AS collation_name
       FROM information_schema.schemata WHERE schema_name NOT IN (?)`,
    [OWN_SCHEMAS],
  );
  const chosen = schemas.filter(
    ({ name }) => options.schemas === undefined || options.schemas.includes(name),
  );
  for (const schema of chosen)
    objects.set(`schema ${schema.name}`, `${schema.charset} ${schema.collation_name}`);
  if (chosen.length === 0) return { objects, tables };
  const names = [chosen.map(({ name }) => name)];

  for (const { table_schema, table_name, table_type } of await server.query(
    `SELECT table_schema AS table_schema, table_name AS table_name, table_type AS table_type
       FROM information_schema.tables WHERE table_schema IN (?) ORDER BY 1, 2`,
    names,
  )) {
    const quoted = `${quote(table_schema)}.${quote(table_name)}`;
    const [definition] = await server.query(`SHOW CREATE TABLE ${quoted}`);
    const text = String(definition?.['Create Table'] ?? definition?.['Create View'] ?? '');
    const kind = table_type === 'VIEW' ? 'view' : 'table';
    objects.set(`${kind} ${table_schema}.${table_name}`, text.replace(/ AUTO_INCREMENT=\d+/, ''));
    if (table_type === 'BASE TABLE') tables.set(quoted, await tableHash(server, table_schema, table_name));
  }
  for (const row of await server.query(
    `SELECT trigger_schema AS s, trigger_name AS n, CONCAT_WS(' ', action_timing, event_manipulation, event_object_table,
            action_statement, sql_mode, definer, character_set_client, collation_connection, action_order) AS text
       FROM information_schema.triggers WHERE trigger_schema IN (?)`,
    names,
  )) {
    objects.set(`trigger ${row.s}.${row.n}`, row.text);
  }
  for (const row of await server.query(
    `SELECT routine_schema AS s, routine_name AS n, routine_type AS t, CONCAT_WS(' ', dtd_identifier, routine_definition,
            sql_mode, definer, security_type, sql_data_access, character_set_client, collation_connection) AS text
       FROM information_schema.routines WHERE routine_schema IN (?)`,
    names,
  )) {
    objects.set(`${String(row.t).toLowerCase()} ${row.s}.${row.n}`, row.text);
  }
  for (const row of await server.query(
    `SELECT event_schema AS s, event_name AS n, CONCAT_WS(' ', event_definition, interval_value, interval_field,
            execute_at, sql_mode, definer) AS text
       FROM information_schema.events WHERE event_schema IN (?)`,
    names,
  )) {
    objects.set(`event ${row.s}.${row.n}`, row.text);
  }
  return { objects, tables };
}

async function tableHash(
  server: TestServer,
  schema: string,
  table: string,
): Promise<{ rows: number; hash: string; checksum: string }> {
  const name = `${quote(schema)}.${quote(table)}`;
  const row = await rowExpression(server, schema, table);
  const [sums] = await server.query(
    `SELECT COUNT(*) AS row_count, COALESCE(SUM(CRC32(${row})), 0) AS crcs,
            COALESCE(SUM(CAST(CONV(LEFT(SHA2(${row}, 256), 12), 16, 10) AS UNSIGNED)), 0) AS shas FROM ${name}`,
  );
  return {
    rows: Number(sums?.row_count),
    hash: `${sums?.crcs}-${sums?.shas}`,
    checksum: await tableChecksum(server, schema, table),
  };
}

async function tableChecksum(server: TestServer, schema: string, table: string): Promise<string> {
  if (server.flavour === 'mysql') {
    const [hidden] = await server.query(
      `SELECT 1 FROM information_schema.statistics
        WHERE table_schema = ? AND table_name = ? AND expression IS NOT NULL LIMIT 1`,
      [schema, table],
    );
    // CHECKSUM TABLE reads the hidden columns of functional indexes without computing them: it differs from call to call.
    if (hidden !== undefined) return 'none';
  }
  const [checksum] = await server.query(`CHECKSUM TABLE ${quote(schema)}.${quote(table)}`);
  return String(checksum?.Checksum);
}

/** How many rows of the source the target lacks, and how many it has beyond the source's: by row, with repetition. */
async function compareRows(
  source: TestServer,
  target: TestServer,
  quotedTable: string,
): Promise<{ lost: number; surplus: number }> {
  const balance = new Map<string, number>();
  for (const [server, sign] of [
    [source, 1],
    [target, -1],
  ] as const) {
    const [schema, table] = quotedTable.slice(1, -1).split('`.`') as [string, string];
    const row = await rowExpression(server, schema, table);
    for (const { h, n } of await server.query(
      `SELECT SHA2(${row}, 256) AS h, COUNT(*) AS n FROM ${quotedTable} GROUP BY h`,
    )) {
      balance.set(h, (balance.get(h) ?? 0) + sign * Number(n));
    }
  }
  let lost = 0;
  let surplus = 0;
  for (const difference of balance.values()) {
    if (difference > 0) lost += difference;
    else surplus -= difference;
  }
  return { lost, surplus };
}

/** SQL for all values of a row as one unambiguous string. */
async function rowExpression(server: TestServer, schema: string, table: string): Promise<string> {
  const columns = await server.query(
    `SELECT column_name AS name, data_type AS type FROM information_schema.columns
      WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position`,
    [schema, table],
  );
  return `CONCAT_WS(',', ${columns.map((column) => `IFNULL(${valueExpression(column)}, '-')`).join(', ')})`;
}

function valueExpression({ name, type }: Row): string {
  const column = quote(name);
  if (
    [
      'geometry',
      'point',
      'linestring',
      'polygon',
      'multipoint',
      'geomcollection',
      'geometrycollection',
    ].includes(type)
  ) {
    return `HEX(${column})`;
  }
  if (type === 'json') return `HEX(CAST(${column} AS CHAR))`;
  return `HEX(CAST(${column} AS BINARY))`;
}

function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
