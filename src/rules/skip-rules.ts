/**
 * `skip_events`: kinds of change that are left out for tables that match a pattern, whatever the filters say.
 *
 * The pattern is read as replicate_wild_do_table's is, and asked for the name that the target has (rewritten). What is no
 * table goes by its own name: a view, routine or event by `database.name`, a trigger by its table, a database by
 * `database.` (so `shop.%` names it, `shop.t%` does not), a change of accounts by `mysql.user`.
 */
import type { NameMatching, NamePattern } from './name-matching.ts';
import type { ChangeKind, SkipRule } from './target-rules.ts';

interface CompiledRule {
  readonly matches: NamePattern;
  readonly events: ReadonlySet<ChangeKind>;
}

export class SkipRules {
  readonly #names: NameMatching;
  readonly #rules: readonly CompiledRule[];

  constructor(rules: readonly SkipRule[], names: NameMatching) {
    this.#names = names;
    this.#rules = rules.map(({ table, events }) => ({
      matches: names.pattern(table),
      events: new Set(events),
    }));
  }

  get isEmpty(): boolean {
    return this.#rules.length === 0;
  }

  /** Some rule speaks of this kind of change. */
  names(kind: ChangeKind): boolean {
    return this.#rules.some((rule) => rule.events.has(kind));
  }

  skips(kind: ChangeKind, database: string, name: string): boolean {
    const key = this.#names.patternKey(`${database}.${name}`);
    return this.#rules.some((rule) => rule.events.has(kind) && rule.matches(key));
  }
}
