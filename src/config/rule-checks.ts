/**
 * What can be wrong with a target's rules that no single value tells: patterns without a dot, rules that contradict each
 * other, and rules that can never match anything.
 *
 * Names are compared as they are written: whether the target takes capitals for small letters is not known here.
 */
import type { ConfigPath } from './config.ts';
import type { RawTarget } from './schema.ts';

type Report = (path: ConfigPath, message: string) => void;

const SYSTEM = new Set(['mysql', 'sys', 'performance_schema', 'information_schema']);

const DATABASE_LISTS = ['replicate_do_db', 'replicate_ignore_db'] as const;
const TABLE_LISTS = ['replicate_do_table', 'replicate_ignore_table'] as const;
const PATTERN_LISTS = ['replicate_wild_do_table', 'replicate_wild_ignore_table'] as const;
const OPPOSITES = [
  ['replicate_do_db', 'replicate_ignore_db'],
  ['replicate_do_table', 'replicate_ignore_table'],
  ['replicate_wild_do_table', 'replicate_wild_ignore_table'],
] as const;

type ListName = keyof NonNullable<RawTarget['filters']>;

export function checkRules(target: RawTarget, path: ConfigPath, wrong: Report): void {
  checkRewrites(target, path, wrong);
  checkSkips(target, path, wrong);
  if (target.filters === undefined) return;
  const lists = target.filters;
  const at = (name: ListName, index: number): ConfigPath => [...path, 'filters', name, index];
  const each = (names: readonly ListName[], check: (rule: string, where: ConfigPath) => void): void => {
    for (const name of names) for (const [index, rule] of lists[name].entries()) check(rule, at(name, index));
  };
  each(DATABASE_LISTS, (rule, where) => {
    if (rule.includes('%')) {
      wrong(
        where,
        `${rule}: databases have no patterns here; use replicate_wild_do_table or replicate_wild_ignore_table: "${rule}.%"`,
      );
    }
  });
  each(TABLE_LISTS, (rule, where) => {
    if (!hasDot(rule)) wrong(where, `${rule}: expected database.table`);
    else if (rule.includes('%')) {
      wrong(
        where,
        `${rule}: tables have no patterns here; use replicate_wild_do_table or replicate_wild_ignore_table (with \\% for the character itself)`,
      );
    }
  });
  each(PATTERN_LISTS, (rule, where) => {
    if (!hasDot(rule)) wrong(where, `${rule}: expected a pattern of database and table, like "shop.tmp_%"`);
  });
  for (const [does, ignores] of OPPOSITES) {
    for (const [index, rule] of lists[ignores].entries()) {
      if (lists[does].includes(rule))
        wrong(at(ignores, index), `${rule} stands in ${does} as well; keep one of the two`);
    }
  }
  if (lists.replicate_do_db.length > 0 && lists.replicate_ignore_db.length > 0) {
    wrong(
      [...path, 'filters', 'replicate_ignore_db'],
      'has no effect beside replicate_do_db, which alone decides; remove one of the two',
    );
  }
  checkReach(target, at, wrong);
}

/** Rules about a database that never comes up, or that another rule has shut out already. */
function checkReach(
  target: RawTarget,
  at: (name: ListName, index: number) => ConfigPath,
  wrong: Report,
): void {
  const lists = target.filters!;
  const renamed = new Map(target.replicate_rewrite_db.map(splitRewrite));
  const names = new Set(renamed.values());
  const obstacle = (database: string): string | null => {
    const to = renamed.get(database);
    if (to !== undefined && !names.has(database)) {
      return `replicate_rewrite_db renames it to ${to} before the filters look at it; write ${to}`;
    }
    if (SYSTEM.has(database) && !target.replicate_system) {
      return `replicate_system: false leaves out all of ${database}; set it to true, or remove the rule`;
    }
    return null;
  };
  for (const name of DATABASE_LISTS) {
    for (const [index, rule] of lists[name].entries()) {
      const why = obstacle(rule);
      if (why !== null) wrong(at(name, index), `${rule} can never match: ${why}`);
    }
  }
  for (const name of [...TABLE_LISTS, ...PATTERN_LISTS]) {
    for (const [index, rule] of lists[name].entries()) {
      const database = databaseOfRule(rule, name.includes('wild'));
      const why = database === null ? null : (obstacle(database) ?? shutOut(database, target));
      if (why !== null) wrong(at(name, index), `${rule} can never match: ${why}`);
    }
  }
}

function shutOut(database: string, { filters }: RawTarget): string | null {
  const { replicate_do_db: does, replicate_ignore_db: ignores } = filters!;
  if (does.length > 0 && !does.includes(database))
    return `${database} is not in replicate_do_db; add it there, or remove the rule`;
  if (does.length === 0 && ignores.includes(database))
    return `${database} stands in replicate_ignore_db; remove one of the two rules`;
  return null;
}

/** Null: it has none, or a pattern for it. */
function databaseOfRule(rule: string, wild: boolean): string | null {
  if (!hasDot(rule)) return null;
  const database = rule.slice(0, rule.indexOf('.'));
  if (!wild) return database;
  if (/(?<!\\)[%_]/.test(database)) return null;
  return database.replaceAll(/\\(.)/g, '$1');
}

function checkRewrites(target: RawTarget, path: ConfigPath, wrong: Report): void {
  const seen = new Map<string, number>();
  for (const [index, rule] of target.replicate_rewrite_db.entries()) {
    const where = [...path, 'replicate_rewrite_db', index];
    const [from, to] = splitRewrite(rule);
    if (rule.split('->').length !== 2 || from === '' || to === '') {
      wrong(where, `${rule}: expected the source's name, an arrow and the target's: "shop->shop_dr"`);
      continue;
    }
    const earlier = seen.get(from);
    if (earlier !== undefined)
      wrong(
        where,
        `${from} is rewritten by rule ${earlier} already; only the first one counts, remove the other`,
      );
    else if (from === to) wrong(where, `${rule} changes nothing; remove it`);
    if (!seen.has(from)) seen.set(from, index);
  }
}

function splitRewrite(rule: string): [from: string, to: string] {
  const [from = '', to = ''] = rule.split('->').map((part) => part.trim());
  return [from, to];
}

function checkSkips(target: RawTarget, path: ConfigPath, wrong: Report): void {
  for (const [index, { table, events }] of target.skip_events.entries()) {
    const where = [...path, 'skip_events', index];
    if (!hasDot(table))
      wrong([...where, 'table'], `${table}: expected a pattern of database and table, like "shop.tmp_%"`);
    if (events.length === 0)
      wrong(
        [...where, 'events'],
        'is empty: nothing would be skipped; name the kinds of change, or remove the rule',
      );
  }
}

function hasDot(rule: string): boolean {
  return /^[^.]+\../s.test(rule);
}
