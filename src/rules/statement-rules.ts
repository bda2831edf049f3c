/**
 * What becomes of a statement under a target's rules: it runs, it is left out, or the applier stops at it.
 *
 * `ddl_filter: server`, as a replica decides (filter-rules.ts has the rules themselves):
 *   1  the default database, rewritten, by do_db and ignore_db. A no is final.
 *   2  CREATE, ALTER, DROP DATABASE: by the patterns, unless do_db or ignore_db spoke (MariaDB: both speak, of the name that
 *      is written). Accounts: by the tables of schema mysql, and by the table that a GRANT names. DROP TRIGGER: by the
 *      trigger's table; of one that the target does not have: left out, whatever rule is active. DROP TEMPORARY TABLE IF EXISTS: always runs.
 *      Everything else: by the tables that it changes; a statement that names no table runs, one that names tables
 *      and changes none is left out.
 * `ddl_filter: objects`: every object that is changed must have a yes, or every one a no; else the applier stops
 * (FILTER_BORDER). A table, view or sequence goes by its name as rows do, a trigger by its table, a routine, event or
 * database by its database, accounts by mysql.user. A statement that changes no named object goes by the default database.
 *
 * Then `skip_events`, by every object that is changed, in both.
 *
 * Pure. What has to be looked up (a trigger's table) is asked for by the verdict, and given to a second call.
 * Facts: filter-rules.ts.
 */
import { beginsWith, statementStart } from '../binlog/sql-words.ts';
import type { FilterRules, TableName } from './filter-rules.ts';
import type { SkipRules } from './skip-rules.ts';
import type { NamedObject, StatementReading } from './statement-reading.ts';
import type { ChangeKind } from './target-rules.ts';

export type Verdict =
  | { readonly is: 'run' }
  | { readonly is: 'leave-out' }
  /** Judge again with the table that this trigger belongs to on the target. */
  | { readonly is: 'which-table'; readonly database: string; readonly trigger: string }
  /** Objects on both sides: what is to be done with one and not with the other. */
  | { readonly is: 'border'; readonly kept: string; readonly leftOut: string }
  | { readonly is: 'unread'; readonly why: string };

export interface StatementFacts {
  /** As the event has it; '': none. */
  readonly database: string;
  /** Of an UPDATE of several tables: which of its list it changes, by their order (table_map_for_update). */
  readonly tableMapForUpdate: bigint | null;
}

export interface StatementRulesOptions {
  readonly filter: FilterRules;
  readonly skip: SkipRules;
  readonly ddlFilter: 'server' | 'objects';
  readonly onUnparsedDdl: 'auto' | 'stop' | 'apply' | 'skip';
  readonly flavour: 'mysql' | 'mariadb';
}

const RUN: Verdict = { is: 'run' };
const LEAVE_OUT: Verdict = { is: 'leave-out' };

/** In the order in which the server looks at them. */
const GRANT_TABLES = {
  mysql: [
    'user',
    'db',
    'tables_priv',
    'columns_priv',
    'procs_priv',
    'proxies_priv',
    'role_edges',
    'default_roles',
    'global_grants',
    'password_history',
  ],
  mariadb: [
    'global_priv',
    'db',
    'tables_priv',
    'columns_priv',
    'procs_priv',
    'proxies_priv',
    'roles_mapping',
  ],
} as const;

const OF_DATABASES: ReadonlySet<ChangeKind> = new Set(['create_database', 'alter_database', 'drop_database']);
const TABLE_LIKE: ReadonlySet<string> = new Set(['table', 'view', 'sequence']);

type Reading = Extract<StatementReading, { readonly is: 'read' }>;

export class StatementRules {
  readonly #filter: FilterRules;
  readonly #skip: SkipRules;
  readonly #byObjects: boolean;
  readonly #unparsed: 'stop' | 'apply' | 'skip';
  readonly #mariadb: boolean;
  readonly #grantTables: readonly TableName[];
  /** The default database does not decide alone. */
  readonly #mustRead: boolean;

  constructor({ filter, skip, ddlFilter, onUnparsedDdl, flavour }: StatementRulesOptions) {
    this.#filter = filter;
    this.#skip = skip;
    this.#byObjects = ddlFilter === 'objects';
    this.#mariadb = flavour === 'mariadb';
    const active = !filter.isEmpty || !skip.isEmpty;
    this.#unparsed = onUnparsedDdl === 'auto' ? (active ? 'stop' : 'apply') : onUnparsedDdl;
    this.#grantTables = GRANT_TABLES[flavour].map((table) => ({ database: 'mysql', table }));
    // MariaDB judges CREATE DATABASE by the name that is written, which rewriting makes differ from the default database.
    const writtenName = this.#mariadb && filter.hasDatabaseRules && filter.rewrites;
    this.#mustRead =
      !skip.isEmpty || (this.#byObjects ? !filter.isEmpty : filter.hasTableRules || writtenName);
  }

  /** What the default database tells alone; null: the statement must be read. */
  judgeUnread(database: string, sql: Buffer): Verdict | null {
    if (!this.#byObjects && !this.#filter.databaseOk(this.#filter.rewrite(database))) return LEAVE_OUT;
    return this.#mustRead || mayDropTrigger(sql) ? null : RUN;
  }

  /** `triggerTable`: what `which-table` asked for; null: the target has no such trigger. */
  judge(reading: StatementReading, facts: StatementFacts, triggerTable?: TableName | null): Verdict {
    // Looked into only because it might have been a DROP TRIGGER: the default database has decided.
    if (reading.is === 'unplaced') return this.#mustRead ? this.#judgeUnplaced(reading.why) : RUN;
    if (this.#byObjects && this.#filter.rewrites && reading.databases === null) {
      const verdict = this.#judgeUnplaced(
        'it names databases, or may do so, in a place where they cannot be told from other names',
      );
      if (verdict.is !== 'run') return verdict;
    }
    if (reading.kind === 'drop_trigger' && triggerTable === undefined) {
      const trigger = reading.objects.find(({ kind }) => kind === 'trigger');
      if (trigger !== undefined) {
        return { is: 'which-table', database: this.#databaseOf(trigger, facts), trigger: trigger.name };
      }
    }
    const { tableMapForUpdate: map } = facts;
    if (map !== null && reading.kind === 'update') return this.#judgeUpdate(reading, map, facts);
    return this.#judgeRead(reading, facts, triggerTable);
  }

  /** Of the tables of its list, those count as updated that the event says. */
  #judgeUpdate(reading: Reading, map: bigint, facts: StatementFacts): Verdict {
    const listed = reading.objects.filter(({ updating }) => updating);
    const changing = (isChanged: (index: number) => boolean): Verdict => {
      const left = new Set(listed.filter((_, index) => !isChanged(index)));
      const objects = reading.objects.map(
        (each): NamedObject => (left.has(each) ? { ...each, role: 'reads', updating: false } : each),
      );
      return this.#judgeRead({ ...reading, objects }, facts, null);
    };
    if (reading.updateListIsPlain && map !== 0n && map >> BigInt(listed.length) === 0n) {
      return changing((index) => ((map >> BigInt(index)) & 1n) === 1n);
    }
    // The places are not those of the text (what stands among the tables is numbered too, and a view's own tables in its
    // place); but it may be that the rules say the same of each table that can be meant.
    const verdicts = listed.map((_, index) => changing((other) => other === index));
    const [first] = verdicts;
    if (first !== undefined && verdicts.every(({ is }) => is === first.is)) return first;
    return this.#judgeUnplaced('which of its tables it changes cannot be told');
  }

  #judgeRead(reading: Reading, facts: StatementFacts, triggerTable: TableName | null | undefined): Verdict {
    const verdict = this.#byObjects
      ? this.#judgeByObjects(reading, facts, triggerTable)
      : this.#judgeAsServer(reading, facts, triggerTable);
    return verdict.is === 'run' ? this.#judgeSkips(reading, facts, triggerTable) : verdict;
  }

  #judgeUnplaced(why: string): Verdict {
    switch (this.#unparsed) {
      case 'stop':
        return { is: 'unread', why };
      case 'apply':
        return RUN;
      case 'skip':
        return LEAVE_OUT;
    }
  }

  // ---- as the server does

  #judgeAsServer(
    reading: Reading,
    facts: StatementFacts,
    triggerTable: TableName | null | undefined,
  ): Verdict {
    const filter = this.#filter;
    const { kind, objects } = reading;
    if (OF_DATABASES.has(kind)) return verdict(this.#databaseStatementOk(objects, facts));
    if (kind === 'drop_trigger' && triggerTable === null) return LEAVE_OUT;
    if (!filter.hasTableRules) return RUN;
    if (kind === 'drop_trigger') return verdict(filter.tablesOk([triggerTable!]));
    if (kind === 'drop_table' && reading.temporary && reading.ifExists) return RUN;
    // A procedure that a GRANT names stands in the server's list of tables, too.
    const account = kind === 'account';
    const listed = objects.filter(
      (each) => TABLE_LIKE.has(each.kind) || (account && each.kind === 'routine' && each.updating),
    );
    const changed = listed.filter(({ updating }) => updating).map((each) => this.#tableName(each, facts));
    if (listed.length > 0 && !filter.tablesOk(changed)) return LEAVE_OUT;
    return verdict(!account || filter.tablesOk(this.#grantTables));
  }

  #databaseStatementOk(objects: readonly NamedObject[], facts: StatementFacts): boolean {
    const filter = this.#filter;
    if (this.#mariadb) {
      const written = objects[0]?.database ?? facts.database;
      return filter.databaseOk(written) && filter.databaseOkByPatterns(written);
    }
    return filter.hasDatabaseRules || filter.databaseOkByPatterns(filter.rewrite(facts.database));
  }

  // ---- by every object

  #judgeByObjects(
    reading: Reading,
    facts: StatementFacts,
    triggerTable: TableName | null | undefined,
  ): Verdict {
    const filter = this.#filter;
    if (reading.kind === 'account') {
      const objects = reading.objects.every((each) => this.#objectOk(each, facts));
      return verdict(objects && filter.rowsOk({ database: 'mysql', table: 'user' }));
    }
    if (reading.kind === 'drop_trigger') {
      return verdict(triggerTable !== null && triggerTable !== undefined && filter.rowsOk(triggerTable));
    }
    if (reading.kind === 'drop_table' && reading.temporary && reading.ifExists) return RUN;
    const changed = changedObjects(reading);
    if (changed.length === 0) return verdict(filter.databaseOk(filter.rewrite(facts.database)));
    return this.#allOrNone(changed, facts, (each) => this.#objectOk(each, facts));
  }

  #objectOk(object: NamedObject, facts: StatementFacts): boolean {
    if (TABLE_LIKE.has(object.kind)) return this.#filter.rowsOk(this.#tableName(object, facts));
    const database = this.#databaseOf(object, facts);
    return this.#filter.databaseOk(database) && this.#filter.databaseOkByPatterns(database);
  }

  // ---- skip_events

  #judgeSkips(reading: Reading, facts: StatementFacts, triggerTable: TableName | null | undefined): Verdict {
    const { kind } = reading;
    const skip = this.#skip;
    if (!skip.names(kind)) return RUN;
    if (kind === 'account') return verdict(!skip.skips(kind, 'mysql', 'user'));
    if (kind === 'drop_trigger' && triggerTable) {
      return verdict(!skip.skips(kind, triggerTable.database, triggerTable.table));
    }
    const changed = changedObjects(reading);
    if (changed.length === 0) return RUN;
    return this.#allOrNone(changed, facts, (each) => {
      const { database, table } = this.#tableName(each, facts);
      return !skip.skips(kind, database, table);
    });
  }

  // ---- objects

  #allOrNone(
    objects: readonly NamedObject[],
    facts: StatementFacts,
    ok: (object: NamedObject) => boolean,
  ): Verdict {
    const kept = objects.find((each) => ok(each));
    const leftOut = objects.find((each) => !ok(each));
    if (leftOut === undefined) return RUN;
    if (kept === undefined) return LEAVE_OUT;
    return { is: 'border', kept: this.#nameOf(kept, facts), leftOut: this.#nameOf(leftOut, facts) };
  }

  /** As the statement will mean it on the target: what it names in full is rewritten by `objects`, and not by a server. */
  #databaseOf(object: NamedObject, facts: StatementFacts): string {
    const { database, kind, role } = object;
    if (database === null) return this.#filter.rewrite(facts.database);
    const name = kind === 'database' && role === 'grants' ? grantedDatabase(database) : database;
    return this.#byObjects ? this.#filter.rewrite(name) : name;
  }

  #tableName(object: NamedObject, facts: StatementFacts): TableName {
    return { database: this.#databaseOf(object, facts), table: object.name };
  }

  #nameOf(object: NamedObject, facts: StatementFacts): string {
    const { database, table } = this.#tableName(object, facts);
    return table === '' ? database : `${database}.${table}`;
  }
}

/** The name in GRANT … ON `shop\_dr`.*: there `_` and `%` are wildcards, and are themselves behind a backslash. */
export function grantedDatabase(pattern: string): string {
  return pattern.replaceAll(/\\([_%])/g, '$1');
}

export function grantPattern(database: string): string {
  return database.replaceAll(/[_%]/g, '\\$&');
}

function mayDropTrigger(sql: Buffer): boolean {
  const { words, veiled } = statementStart(sql);
  return veiled || beginsWith(words, 'DROP', 'TRIGGER');
}

function verdict(ok: boolean): Verdict {
  return ok ? RUN : LEAVE_OUT;
}

/** What the statement changes. A trigger is judged by its table, which stands beside it. */
function changedObjects({ objects }: Reading): readonly NamedObject[] {
  const trigger = objects.some(({ kind }) => kind === 'trigger');
  return objects.filter(
    ({ kind, role, updating }) => (role !== 'reads' || updating) && !(trigger && kind === 'trigger'),
  );
}
