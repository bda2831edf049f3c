/**
 * All the rules of one target, compiled for the server it is: what the applier asks for rows and statements.
 *
 * Invariant: where no rule is active there is no TargetFilter (`compileRules` gives null), and nothing is looked at.
 */
import type { TableMap } from '../binlog/table-map.ts';
import { FilterRules } from './filter-rules.ts';
import { type NameDialect, nameMatching } from './name-matching.ts';
import { SkipRules } from './skip-rules.ts';
import { StatementRules } from './statement-rules.ts';
import { SystemSchemas } from './system-rules.ts';
import type { TargetRules } from './target-rules.ts';

export type RowsOperation = 'insert' | 'update' | 'delete';

/** What becomes of the rows of one table. */
export interface TableVerdict {
  readonly insert: boolean;
  readonly update: boolean;
  readonly delete: boolean;
  /** Any of the three is applied. */
  readonly kept: boolean;
  /** The database's name on the target; null: the same. */
  readonly database: string | null;
}

export class TargetFilter {
  readonly statements: StatementRules;
  /** Nothing but the system's own is left out. */
  readonly onlySystem: boolean;
  readonly replicateSystem: boolean;
  readonly system: SystemSchemas;
  /** Qualified names in statements are rewritten. */
  readonly rewritesStatements: boolean;
  readonly #filter: FilterRules;
  readonly #skip: SkipRules;
  readonly #tables = new WeakMap<TableMap, TableVerdict>();

  constructor(rules: TargetRules, dialect: NameDialect) {
    const names = nameMatching(dialect);
    this.#filter = new FilterRules(rules.filters, rules.rewriteDb, names);
    this.#skip = new SkipRules(rules.skipEvents, names);
    this.onlySystem = this.#filter.isEmpty && this.#skip.isEmpty;
    this.replicateSystem = rules.replicateSystem;
    this.system = new SystemSchemas(dialect);
    this.rewritesStatements = rules.ddlFilter === 'objects' && this.#filter.rewrites;
    this.statements = new StatementRules({
      filter: this.#filter,
      skip: this.#skip,
      ddlFilter: rules.ddlFilter,
      onUnparsedDdl: rules.onUnparsedDdl,
      flavour: dialect.flavour,
    });
  }

  /** The same string where no rule renames it. */
  rewrite(database: string): string {
    return this.#filter.rewrite(database);
  }

  /** Remembered for a map object, which TableMapCache gives out again for the same bytes. */
  rows(map: TableMap): TableVerdict {
    const known = this.#tables.get(map);
    if (known !== undefined) return known;
    const verdict = this.#judge(map);
    this.#tables.set(map, verdict);
    return verdict;
  }

  #judge({ database: written, table }: TableMap): TableVerdict {
    const database = this.rewrite(written);
    const ok =
      (this.replicateSystem || !this.system.has(written)) && this.#filter.rowsOk({ database, table });
    const keeps = (operation: RowsOperation): boolean => ok && !this.#skip.skips(operation, database, table);
    const verdict = { insert: keeps('insert'), update: keeps('update'), delete: keeps('delete') };
    return {
      ...verdict,
      kept: verdict.insert || verdict.update || verdict.delete,
      database: database === written ? null : database,
    };
  }
}

/** Null: everything is replicated as it is. */
export function compileRules(rules: TargetRules, dialect: NameDialect): TargetFilter | null {
  const filter = new TargetFilter(rules, dialect);
  return filter.onlySystem && filter.replicateSystem ? null : filter;
}
