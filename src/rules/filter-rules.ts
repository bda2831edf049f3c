/**
 * The verdict of a replica's filters over names: MySQL's own, rule by rule.
 *
 *   a database   do_db: must be named there; else ignore_db: must not be; no such rule: yes. A statement without a default
 *                database has the empty name: no do_db names it.
 *   tables       of a statement's changed tables, in order, the first that a rule names decides: do_table yes, ignore_table no,
 *                wild_do_table yes, wild_ignore_table no, in this order. No rule names any: no where there is a
 *                do_table or wild_do_table, else yes. Nothing is changed: no.
 *   CREATE, ALTER, DROP DATABASE   where there is neither do_db nor ignore_db, by wild_do_table and wild_ignore_table, which
 *                are asked for `database.` (so `shop.%` names the database, `shop.t%` does not)
 *   rows         by their table: database and table must both have a yes
 *
 * Names are rewritten (replicate_rewrite_db) before they are judged; the first rule for a database counts.
 *
 * Compiled once for a target; pure. Facts: refman, "How Servers Evaluate Replication Filtering Rules"; verdicts seen on 9.7.4 and
 * 10.11.18 (test/fixtures/filters). How names are compared: name-matching.ts.
 */
import type { NameMatching, NamePattern } from './name-matching.ts';
import type { FilterLists, RewriteRule } from './target-rules.ts';

export interface TableName {
  readonly database: string;
  readonly table: string;
}

export class FilterRules {
  readonly #names: NameMatching;
  readonly #doDb: ReadonlySet<string>;
  readonly #ignoreDb: ReadonlySet<string>;
  readonly #doTable: ReadonlySet<string>;
  readonly #ignoreTable: ReadonlySet<string>;
  readonly #wildDoTable: readonly NamePattern[];
  readonly #wildIgnoreTable: readonly NamePattern[];
  readonly #rewrites: ReadonlyMap<string, string>;

  constructor(lists: FilterLists, rewrites: readonly RewriteRule[], names: NameMatching) {
    this.#names = names;
    const databases = (rules: readonly string[]): Set<string> =>
      new Set(rules.map((rule) => names.databaseRuleKey(rule)));
    const tables = (rules: readonly string[]): Set<string> =>
      new Set(rules.map((rule) => names.tableKey(rule)));
    const patterns = (rules: readonly string[]): NamePattern[] => rules.map((rule) => names.pattern(rule));
    this.#doDb = databases(lists.doDb);
    this.#ignoreDb = databases(lists.ignoreDb);
    this.#doTable = tables(lists.doTable);
    this.#ignoreTable = tables(lists.ignoreTable);
    this.#wildDoTable = patterns(lists.wildDoTable);
    this.#wildIgnoreTable = patterns(lists.wildIgnoreTable);
    const map = new Map<string, string>();
    for (const { from, to } of rewrites) {
      const key = names.databaseRuleKey(from);
      if (!map.has(key)) map.set(key, to);
    }
    this.#rewrites = map;
  }

  get hasDatabaseRules(): boolean {
    return this.#doDb.size > 0 || this.#ignoreDb.size > 0;
  }

  get hasTableRules(): boolean {
    return (
      this.#doTable.size > 0 ||
      this.#ignoreTable.size > 0 ||
      this.#wildDoTable.length > 0 ||
      this.#wildIgnoreTable.length > 0
    );
  }

  get rewrites(): boolean {
    return this.#rewrites.size > 0;
  }

  get isEmpty(): boolean {
    return !this.hasDatabaseRules && !this.hasTableRules && !this.rewrites;
  }

  /** The name that the target has for the source's database; the same string where no rule renames it. */
  rewrite(database: string): string {
    if (this.#rewrites.size === 0) return database;
    return this.#rewrites.get(this.#names.databaseKey(database)) ?? database;
  }

  /** All names below are the target's: rewritten. */
  databaseOk(database: string): boolean {
    const key = this.#names.databaseKey(database);
    if (this.#doDb.size > 0) return this.#doDb.has(key);
    return !this.#ignoreDb.has(key);
  }

  /** `changed`: the tables that a statement changes, in its order. Of use only where there are table rules. */
  tablesOk(changed: Iterable<TableName>): boolean {
    let any = false;
    for (const { database, table } of changed) {
      any = true;
      const name = `${database}.${table}`;
      const key = this.#names.tableKey(name);
      if (this.#doTable.has(key)) return true;
      if (this.#ignoreTable.has(key)) return false;
      const byPattern = this.#byPatterns(name);
      if (byPattern !== null) return byPattern;
    }
    return any && this.#doTable.size === 0 && this.#wildDoTable.length === 0;
  }

  databaseOkByPatterns(database: string): boolean {
    return this.#byPatterns(`${database}.`) ?? this.#wildDoTable.length === 0;
  }

  /** Null: none matches. */
  #byPatterns(name: string): boolean | null {
    if (this.#wildDoTable.length === 0 && this.#wildIgnoreTable.length === 0) return null;
    const key = this.#names.patternKey(name);
    if (this.#wildDoTable.some((matches) => matches(key))) return true;
    return this.#wildIgnoreTable.some((matches) => matches(key)) ? false : null;
  }

  rowsOk(name: TableName): boolean {
    return this.databaseOk(name.database) && (!this.hasTableRules || this.tablesOk([name]));
  }
}
