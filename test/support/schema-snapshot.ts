/**
 * What a server has in some databases, object by object, so that two looks show what a statement did. Tables, views and
 * sequences are one kind, as they share their names: `relation`. A table's rows belong to its description.
 */
import type { CommandPipe } from '../../src/wire/command-pipe.ts';

export interface SeenObject {
  /** Without its own name and database, so that it stays the same when it is renamed. */
  readonly description: string;
  /** Of a trigger: the key of its table. */
  readonly table: string | null;
  /** Of a table: the keys of those its foreign keys and, where the server tells, a view's query name. */
  readonly uses: readonly string[];
}

/** 'relation src1.t', 'trigger …', 'routine …', 'event …', 'database src1'. */
export type Snapshot = Map<string, SeenObject>;

type Rows = readonly (readonly (string | null)[])[];

const HIDDEN = "'mysql', 'sys', 'information_schema', 'performance_schema'";

export class SchemaEye {
  readonly #pipe: CommandPipe;
  readonly #mysql: boolean;
  /** SQL that is true for the databases to be looked at; `?` is the column. */
  readonly #where: (column: string) => string;

  constructor(pipe: CommandPipe, flavour: 'mysql' | 'mariadb', prefix: string) {
    this.#pipe = pipe;
    this.#mysql = flavour === 'mysql';
    this.#where = (column) => `${column} NOT IN (${HIDDEN}) AND ${column} LIKE '${prefix}%'`;
  }

  async rows(sql: string): Promise<Rows> {
    const reply = await this.#pipe.query(sql);
    if (!reply.ok) throw new Error(`${reply.errno} ${reply.message}: ${sql}`);
    return reply.rows;
  }

  async look(): Promise<Snapshot> {
    const seen: Snapshot = new Map();
    const [databases, tables, triggers, routines, events, keys, views] = await Promise.all([
      this.rows(
        `SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME, ${this.#mysql ? "''" : 'SCHEMA_COMMENT'} FROM information_schema.SCHEMATA WHERE ${this.#where('SCHEMA_NAME')}`,
      ),
      this.rows(
        `SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE ${this.#where('TABLE_SCHEMA')}`,
      ),
      this.rows(
        `SELECT TRIGGER_SCHEMA, TRIGGER_NAME, EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, ACTION_STATEMENT, DEFINER FROM information_schema.TRIGGERS WHERE ${this.#where('TRIGGER_SCHEMA')}`,
      ),
      this.rows(
        `SELECT ROUTINE_SCHEMA, ROUTINE_NAME, ROUTINE_TYPE, DTD_IDENTIFIER, ROUTINE_DEFINITION, SECURITY_TYPE, SQL_DATA_ACCESS, ROUTINE_COMMENT, DEFINER FROM information_schema.ROUTINES WHERE ${this.#where('ROUTINE_SCHEMA')}`,
      ),
      this.rows(
        `SELECT EVENT_SCHEMA, EVENT_NAME, EVENT_DEFINITION, INTERVAL_VALUE, INTERVAL_FIELD, EXECUTE_AT, STATUS, ON_COMPLETION, EVENT_COMMENT, DEFINER FROM information_schema.EVENTS WHERE ${this.#where('EVENT_SCHEMA')}`,
      ),
      this.rows(
        `SELECT CONSTRAINT_SCHEMA, TABLE_NAME, UNIQUE_CONSTRAINT_SCHEMA, REFERENCED_TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE ${this.#where('CONSTRAINT_SCHEMA')}`,
      ),
      this.#mysql
        ? this.rows(
            `SELECT VIEW_SCHEMA, VIEW_NAME, TABLE_SCHEMA, TABLE_NAME FROM information_schema.VIEW_TABLE_USAGE WHERE ${this.#where('VIEW_SCHEMA')}`,
          )
        : [],
    ]);
    for (const [name, ...facts] of databases) note(seen, `database ${name}`, facts);
    for (const [db, name, table, of, ...facts] of triggers) {
      note(seen, `trigger ${db}.${name}`, facts, { table: `relation ${table}.${of}` });
    }
    // A procedure and a function may have the same name.
    for (const [db, name, ...facts] of routines) note(seen, `routine ${db}.${name}`, facts);
    for (const [db, name, ...facts] of events) note(seen, `event ${db}.${name}`, facts);
    if (this.#mysql) await this.#libraries(seen);
    const uses = new Map<string, string[]>();
    for (const [db, name, otherDb, other] of [...keys, ...views]) {
      const key = `relation ${db}.${name}`;
      uses.set(key, [...(uses.get(key) ?? []), `relation ${otherDb}.${other}`]);
    }
    await Promise.all(
      tables.map(async ([db, name, type]) => {
        const key = `relation ${db}.${name}`;
        const text = await this.#definition(db ?? '', name ?? '', type ?? '');
        note(seen, key, [type ?? '', text], { uses: uses.get(key) ?? [] });
      }),
    );
    return seen;
  }

  async #libraries(seen: Snapshot): Promise<void> {
    for (const [db, name, ...facts] of await this.rows(
      `SELECT LIBRARY_SCHEMA, LIBRARY_NAME, LIBRARY_DEFINITION, LIBRARY_COMMENT FROM information_schema.LIBRARIES WHERE ${this.#where('LIBRARY_SCHEMA')}`,
    )) {
      note(seen, `routine ${db}.${name}`, facts);
    }
  }

  async #definition(db: string, name: string, type: string): Promise<string> {
    const quoted = `${quote(db)}.${quote(name)}`;
    // The rows of a system-versioned table hold the time at which they were written.
    const rows = { 'BASE TABLE': `CHECKSUM TABLE ${quoted}`, SEQUENCE: `SELECT * FROM ${quoted}` }[type];
    const [shown, sum] = await Promise.all([
      this.#pipe.query(`SHOW CREATE ${type === 'SEQUENCE' ? 'SEQUENCE' : 'TABLE'} ${quoted}`),
      rows === undefined ? null : this.#pipe.query(rows),
    ]);
    if (!shown.ok) return `${shown.errno}`;
    const text = (shown.rows[0]?.[1] ?? '')
      .replaceAll(quoted, '``')
      .replace(/^(CREATE (?:TABLE|SEQUENCE) )`(?:[^`]|``)*`/, '$1``')
      .replace(/ AUTO_INCREMENT=\d+/, '')
      .replace(/`[^`]*_(ibfk|chk)_(\d+)`/g, '`$1_$2`');
    // CHECKSUM TABLE reads the hidden columns of functional indexes without computing them.
    const stable = !/KEY .*\(\(/.test(text);
    return `${text}\n${sum?.ok && stable ? sum.rows[0]?.slice(type === 'SEQUENCE' ? 0 : 1).join() : ''}`;
  }
}

function note(
  seen: Snapshot,
  key: string,
  facts: readonly (string | null)[],
  { table = null, uses = [] }: { readonly table?: string | null; readonly uses?: readonly string[] } = {},
): void {
  const before = seen.get(key)?.description ?? '';
  seen.set(key, { description: before + JSON.stringify(facts), table, uses });
}

export function quote(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}
