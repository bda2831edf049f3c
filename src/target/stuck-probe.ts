/**
 * Why a session of ours on the target does not get on, as far as the account may see it.
 *
 *   a row lock         MySQL performance_schema.data_lock_waits · MariaDB information_schema.INNODB_LOCK_WAITS
 *   a metadata lock    MySQL performance_schema.metadata_locks · MariaDB METADATA_LOCK_INFO, when that plug-in is there
 *   no key             information_schema.STATISTICS: each row of the table is looked for by reading all of them
 *   anything else      the session's STATE in the process list
 *
 * Only names and numbers are read, never a statement's text: ours hold rows, others' may hold secrets. Asked in a
 * connection of its own, which is opened when something is stuck and closed when nothing is any more.
 */
import { MillraceError } from '../base/errors.ts';
import type { Row, WireConnection } from '../wire/connection.ts';
import { hexLiteral } from './sql-literal.ts';

/** The session that ours waits for. */
export interface BlockingSession {
  readonly connection: number;
  readonly user: string | null;
  readonly host: string | null;
  /** `Sleep`: it has left a transaction open. */
  readonly command: string | null;
  readonly seconds: number | null;
}

export interface StuckFinding {
  readonly why: 'row-lock' | 'metadata-lock' | 'no-key' | 'state';
  /** `shop.orders`; null: not known. */
  readonly table: string | null;
  readonly blocking: BlockingSession | null;
  /** The session's state in the process list. */
  readonly state: string | null;
  /** How the target reads the table: `type=ALL, rows=1200000`. */
  readonly explain: string | null;
  /** What the account may not see, with the GRANT. */
  readonly unseen: string | null;
}

export interface Suspect {
  /** Of our session. */
  readonly connection: number;
  readonly table: { readonly database: string; readonly table: string } | null;
}

const NO_PRIVILEGE = new Set([1044, 1142, 1143, 1227]);
const UNKNOWN_TABLE = 1109;
const METADATA_LOCK = /metadata lock|global read lock|backup lock|commit lock/i;

export async function probeStuck(connection: WireConnection, suspect: Suspect): Promise<StuckFinding> {
  const asks = connection.flavour === 'mysql' ? MYSQL : MARIADB;
  const looked = new Looked(connection);
  // Everybody may see the sessions of the own account.
  const [own] = await looked.ask(
    `SELECT STATE AS state FROM information_schema.PROCESSLIST WHERE ID = ${suspect.connection}`,
  );
  const state = own?.state || null;
  const none = { table: null, blocking: null, state, explain: null, unseen: null };

  const [row] = await looked.ask(asks.rowLock(suspect.connection));
  if (row !== undefined) {
    return { ...none, why: 'row-lock', table: tableOf(row), blocking: blockingOf(row) };
  }
  const [metadata] = await looked.ask(asks.metadataLock(suspect.connection));
  if (metadata !== undefined) {
    return { ...none, why: 'metadata-lock', table: tableOf(metadata), blocking: blockingOf(metadata) };
  }
  const unseen = looked.denied ? asks.grant : null;
  if (state !== null && METADATA_LOCK.test(state)) {
    return { ...none, why: 'metadata-lock', table: suspectTable(suspect), unseen: asks.grant };
  }
  const explain = suspect.table === null ? null : await looked.readsAll(suspect.table);
  if (explain !== null) return { ...none, why: 'no-key', table: suspectTable(suspect), explain, unseen };
  return { ...none, why: 'state', table: suspectTable(suspect), unseen };
}

/** Questions that may be refused: then the answer is empty, and it is known that there was more to see. */
class Looked {
  readonly #connection: WireConnection;
  denied = false;

  constructor(connection: WireConnection) {
    this.#connection = connection;
  }

  async ask(sql: string): Promise<Row[]> {
    try {
      return await this.#connection.query(sql, 'look for what holds a transaction up');
    } catch (error) {
      const errno = error instanceof MillraceError ? error.facts.errno : undefined;
      if (typeof errno !== 'number') throw error;
      if (NO_PRIVILEGE.has(errno) || errno === UNKNOWN_TABLE) this.denied = true;
      return [];
    }
  }

  /** How the target reads a table that has no key at all; null: it has one. */
  async readsAll({ database, table }: { database: string; table: string }): Promise<string | null> {
    const [counted] = await this.ask(
      `SELECT COUNT(*) AS parts FROM information_schema.STATISTICS
        WHERE TABLE_SCHEMA = CONVERT(${hexLiteral(database)} USING utf8mb4)
          AND TABLE_NAME = CONVERT(${hexLiteral(table)} USING utf8mb4)`,
    );
    if (counted?.parts !== '0') return null;
    const [plan] = await this.ask(
      `EXPLAIN FORMAT=TRADITIONAL SELECT * FROM ${quoted(database)}.${quoted(table)}`,
    );
    return plan === undefined ? 'no key' : `type=${plan.type ?? '?'}, rows=${plan.rows ?? '?'}`;
  }
}

interface Questions {
  rowLock(connection: number): string;
  metadataLock(connection: number): string;
  readonly grant: string;
}

const BLOCKER = `b.PROCESSLIST_ID AS connection, b.PROCESSLIST_USER AS user, b.PROCESSLIST_HOST AS host,
  b.PROCESSLIST_COMMAND AS command, b.PROCESSLIST_TIME AS seconds`;

const MYSQL: Questions = {
  rowLock: (id) => `SELECT ${BLOCKER}, l.OBJECT_SCHEMA AS db, l.OBJECT_NAME AS tbl
    FROM performance_schema.data_lock_waits w
    JOIN performance_schema.threads r ON r.THREAD_ID = w.REQUESTING_THREAD_ID
    JOIN performance_schema.threads b ON b.THREAD_ID = w.BLOCKING_THREAD_ID
    JOIN performance_schema.data_locks l ON l.ENGINE_LOCK_ID = w.REQUESTING_ENGINE_LOCK_ID
    WHERE r.PROCESSLIST_ID = ${id} LIMIT 1`,
  metadataLock: (id) => `SELECT ${BLOCKER}, p.OBJECT_SCHEMA AS db, p.OBJECT_NAME AS tbl
    FROM performance_schema.metadata_locks p
    JOIN performance_schema.threads r ON r.THREAD_ID = p.OWNER_THREAD_ID
    JOIN performance_schema.metadata_locks g ON g.OBJECT_TYPE = p.OBJECT_TYPE
      AND g.OBJECT_SCHEMA <=> p.OBJECT_SCHEMA AND g.OBJECT_NAME <=> p.OBJECT_NAME
      AND g.LOCK_STATUS = 'GRANTED' AND g.OWNER_THREAD_ID <> p.OWNER_THREAD_ID
    JOIN performance_schema.threads b ON b.THREAD_ID = g.OWNER_THREAD_ID
    WHERE p.LOCK_STATUS = 'PENDING' AND r.PROCESSLIST_ID = ${id} LIMIT 1`,
  grant: 'GRANT SELECT ON performance_schema.* to the apply account shows who holds the lock',
};

const MARIADB: Questions = {
  rowLock: (
    id,
  ) => `SELECT p.ID AS connection, p.USER AS user, p.HOST AS host, p.COMMAND AS command, p.TIME AS seconds,
      l.lock_table AS qualified
    FROM information_schema.INNODB_LOCK_WAITS w
    JOIN information_schema.INNODB_TRX r ON r.trx_id = w.requesting_trx_id
    JOIN information_schema.INNODB_TRX b ON b.trx_id = w.blocking_trx_id
    JOIN information_schema.INNODB_LOCKS l ON l.lock_id = w.requested_lock_id
    LEFT JOIN information_schema.PROCESSLIST p ON p.ID = b.trx_mysql_thread_id
    WHERE r.trx_mysql_thread_id = ${id} LIMIT 1`,
  metadataLock: (
    id,
  ) => `SELECT p.ID AS connection, p.USER AS user, p.HOST AS host, p.COMMAND AS command, p.TIME AS seconds,
      m.TABLE_SCHEMA AS db, m.TABLE_NAME AS tbl
    FROM information_schema.PROCESSLIST o
    JOIN information_schema.METADATA_LOCK_INFO m ON m.THREAD_ID <> o.ID AND m.TABLE_NAME <> ''
    JOIN information_schema.PROCESSLIST p ON p.ID = m.THREAD_ID
    WHERE o.ID = ${id} AND o.STATE LIKE 'Waiting for table metadata lock%' LIMIT 1`,
  grant:
    'GRANT PROCESS ON *.* to the apply account (and INSTALL SONAME metadata_lock_info, for locks of DDL) shows who holds the lock',
};

function blockingOf(row: Row): BlockingSession | null {
  if (row.connection == null) return null;
  return {
    connection: Number(row.connection),
    user: row.user ?? null,
    // Without the port, which MariaDB adds.
    host: row.host?.replace(/:\d+$/, '') ?? null,
    command: row.command ?? null,
    seconds: row.seconds == null ? null : Number(row.seconds),
  };
}

function tableOf(row: Row): string | null {
  if (row.qualified != null) return row.qualified.replaceAll('`', '');
  return row.db == null || row.tbl == null ? null : `${row.db}.${row.tbl}`;
}

function suspectTable({ table }: Suspect): string | null {
  return table === null ? null : `${table.database}.${table.table}`;
}

function quoted(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
