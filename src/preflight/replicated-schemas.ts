/**
 * Whether a schema is replicated at all, as far as its name alone tells: what the lists of databases let through. Rules about
 * tables are not asked: a schema of which one table is replicated is looked at as a whole.
 */
import type { FilterLists, RewriteRule } from '../rules/target-rules.ts';

/** With `rewritten`: the schema is named as it is on the target. */
export function concernsSchema(
  { doDb, ignoreDb }: Pick<FilterLists, 'doDb' | 'ignoreDb'>,
  schema: string,
  rewritten: readonly RewriteRule[] = [],
): boolean {
  const name = rewritten.find(({ to }) => to === schema)?.from ?? schema;
  if (doDb.length > 0) return doDb.includes(name);
  return !ignoreDb.includes(name);
}
