/**
 * What can be wrong with a target's rules that no single value tells: patterns without a dot, rules that contradict each
 * other, and rules that can never match anything.
 *
 * Whether the target takes capitals for small letters is not known here: nothing is refused that could be right for one that
 * does. And with `ddl_filter: server` a statement that names a table in full meets rules that no row of it does: its database
 * is not rewritten, and do_db and ignore_db are asked for the default one. Such rules are refused only where they leave the
 * target nothing of what they seem to say, else warned of.
 */
import { WildTable } from '../rules/wild-table.ts';
import type { ConfigPath } from './config.ts';
import type { RawTarget } from './schema.ts';

type Report = (path: ConfigPath, message: string) => void;

export interface Reports {
  readonly wrong: Report;
  readonly warn: Report;
}

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

export function checkRules(target: RawTarget, path: ConfigPath, reports: Reports): void {
  const { wrong } = reports;
  checkRewrites(target, path, wrong);
  checkSkips(target, path, reports);
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
  checkReach(target, at, reports);
}

/** Why a rule meets nothing; `sure`: whatever the target's lower_case_table_names is. */
interface Obstacle {
  readonly why: string;
  readonly sure: boolean;
}

/** Rules about a database that never comes up, or that another rule has shut out already. */
function checkReach(
  target: RawTarget,
  at: (name: ListName, index: number) => ConfigPath,
  { wrong, warn }: Reports,
): void {
  const lists = target.filters!;
  for (const name of DATABASE_LISTS) {
    for (const [index, rule] of lists[name].entries()) {
      const to = renamedTo(rule, target);
      const system = ofSystem(rule, target);
      if (to !== null) wrong(at(name, index), `${rule} can never match: ${renamed(to)}`);
      // What it asks for is done; and it still keeps out statements under USE mysql.
      else if (system !== null && name === 'replicate_ignore_db') {
        warn(at(name, index), `${rule} needs no rule: ${system}`);
      } else if (system !== null) wrong(at(name, index), `${rule} can never match: ${system}`);
    }
  }
  const obstacle = (name: ListName, rule: string): Obstacle | null => {
    const database = databaseOfRule(rule, name.includes('wild'));
    if (database === null) return null;
    const to = renamedTo(database, target);
    return to === null ? shutOut(database, target) : { why: renamed(to), sure: true };
  };
  const wanted = DO_TABLES.flatMap((name) => lists[name].map((rule) => obstacle(name, rule)));
  const noRows = wanted.length > 0 && wanted.every((each) => each?.sure === true);
  for (const name of [...TABLE_LISTS, ...PATTERN_LISTS]) {
    for (const [index, rule] of lists[name].entries()) {
      const where = at(name, index);
      const system = ofSystem(databaseOfRule(rule, name.includes('wild')), target);
      const found = obstacle(name, rule);
      if (system !== null) wrong(where, `${rule} can never match: ${system}`);
      else if (found === null) continue;
      else if (!found.sure) warn(where, `${rule}: ${found.why}`);
      else if (target.ddl_filter === 'objects') wrong(where, `${rule} can never match: ${found.why}`);
      else if (noRows && DO_TABLES.some((each) => each === name)) {
        wrong(where, `${rule} matches no rows, and no other rule lets any in: ${found.why}`);
      } else warn(where, `${rule} ${ONLY_IN_FULL}: ${found.why}`);
    }
  }
}

const DO_TABLES = ['replicate_do_table', 'replicate_wild_do_table'] as const;
const ONLY_IN_FULL = 'matches no rows, only statements that name it in full';

/** The name that the rules see in its place; null: they see the name itself, too. */
function renamedTo(database: string, { replicate_rewrite_db: rules }: RawTarget): string | null {
  const rewrites = rules.map(splitRewrite);
  if (rewrites.some(([, to]) => same(to, database))) return null;
  return rewrites.find(([from]) => from === database)?.[1] ?? null;
}

function renamed(to: string): string {
  return `replicate_rewrite_db renames it to ${to} before the filters look at it; write ${to}`;
}

function ofSystem(database: string | null, { replicate_system: replicated }: RawTarget): string | null {
  if (database === null || !SYSTEM.has(database) || replicated) return null;
  return `replicate_system: false leaves out all of ${database}; set it to true, or remove the rule`;
}

function shutOut(database: string, { filters }: RawTarget): Obstacle | null {
  const { replicate_do_db: does, replicate_ignore_db: ignores } = filters!;
  if (does.length > 0 && !does.includes(database)) {
    const twin = does.find((each) => same(each, database));
    if (twin === undefined) {
      return { why: `${database} is not in replicate_do_db; add it there, or remove the rule`, sure: true };
    }
    return {
      why: `replicate_do_db has ${twin}, which is the same only where the target's lower_case_table_names is not 0; write both the same`,
      sure: false,
    };
  }
  if (does.length === 0 && ignores.includes(database)) {
    return { why: `${database} stands in replicate_ignore_db; remove one of the two rules`, sure: true };
  }
  return null;
}

function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
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

const OF_DATABASES: ReadonlySet<string> = new Set(['create_database', 'alter_database', 'drop_database']);
const OF_ROWS: ReadonlySet<string> = new Set(['insert', 'update', 'delete']);

function checkSkips(target: RawTarget, path: ConfigPath, reports: Reports): void {
  const { wrong } = reports;
  for (const [index, rule] of target.skip_events.entries()) {
    const { table, events } = rule;
    const where = [...path, 'skip_events', index];
    if (events.length === 0)
      wrong(
        [...where, 'events'],
        'is empty: nothing would be skipped; name the kinds of change, or remove the rule',
      );
    if (!hasDot(table)) {
      wrong([...where, 'table'], `${table}: expected a pattern of database and table, like "shop.tmp_%"`);
      continue;
    }
    checkRenamedSkip(target, rule, [...where, 'table'], reports);
    for (const [number, event] of events.entries()) {
      const why = neverOfKind(event, table);
      if (why !== null) wrong([...where, 'events', number], `${event} can never match ${table}: ${why}`);
    }
  }
}

/** Names are the target's: what stands for the source's name lets through what it seems to skip. */
function checkRenamedSkip(
  target: RawTarget,
  rule: RawTarget['skip_events'][number],
  where: ConfigPath,
  { wrong, warn }: Reports,
): void {
  const { table, events } = rule;
  const database = databaseOfRule(table, true);
  const to = database === null ? null : renamedTo(database, target);
  if (to === null) return;
  if (target.ddl_filter === 'objects') {
    wrong(where, `${table} can never match: ${renamed(to)}`);
    return;
  }
  const newNameToo = target.skip_events.some(
    (other) => other !== rule && hasDot(other.table) && new WildTable(other.table).matchesDatabase(to),
  );
  const rows = events.some((event) => OF_ROWS.has(event));
  const report = rows && !newNameToo ? wrong : warn;
  report(where, `${table} ${ONLY_IN_FULL}: ${renamed(to)}`);
}

/** What is no table goes by a name of its own (rules/skip-rules.ts), which the pattern must be able to match. */
function neverOfKind(event: string, table: string): string | null {
  if (OF_DATABASES.has(event) && !/\.%+$/.test(table)) {
    const database = table.slice(0, table.indexOf('.'));
    return `a database goes by the pattern of all its tables; write "${database}.%", in a rule of its own`;
  }
  if (event === 'account' && !new WildTable(table).matches('mysql', 'user')) {
    return 'accounts go by mysql.user; write "mysql.%", in a rule of its own';
  }
  return null;
}

function hasDot(rule: string): boolean {
  return /^[^.]+\../s.test(rule);
}
