import { describe, expect, test } from 'vitest';
import { config, problems } from './config-files.ts';

const RULES: readonly (readonly [what: string, text: string, line: string])[] = [
  [
    'a table rule without a dot',
    config({ target: 'filters: { replicate_do_table: [orders] }' }),
    'config.yaml:13:41: channels[0].targets[0].filters.replicate_do_table[0]: orders: expected database.table',
  ],
  [
    'a table rule without a table',
    config({ target: 'filters: { replicate_ignore_table: ["shop."] }' }),
    'config.yaml:13:45: channels[0].targets[0].filters.replicate_ignore_table[0]: shop.: expected database.table',
  ],
  [
    'a pattern without a dot',
    config({ target: 'filters: { replicate_wild_do_table: ["tmp_%"] }' }),
    'config.yaml:13:46: channels[0].targets[0].filters.replicate_wild_do_table[0]: tmp_%: expected a pattern of database and table, like "shop.tmp_%"',
  ],
  [
    'a pattern where only names are known',
    config({ target: 'filters: { replicate_do_table: ["shop.tmp%"] }' }),
    'config.yaml:13:41: channels[0].targets[0].filters.replicate_do_table[0]: shop.tmp%: tables have no patterns here; use replicate_wild_do_table or replicate_wild_ignore_table (with \\% for the character itself)',
  ],
  [
    'a pattern of databases',
    config({ target: 'filters: { replicate_ignore_db: ["tmp%"] }' }),
    'config.yaml:13:42: channels[0].targets[0].filters.replicate_ignore_db[0]: tmp%: databases have no patterns here; use replicate_wild_do_table or replicate_wild_ignore_table: "tmp%.%"',
  ],
  [
    'a table that is to be replicated and ignored',
    config({ target: 'filters: { replicate_do_table: [a.t, a.u], replicate_ignore_table: [a.x, a.u] }' }),
    'config.yaml:13:82: channels[0].targets[0].filters.replicate_ignore_table[1]: a.u stands in replicate_do_table as well; keep one of the two',
  ],
  [
    'a list of databases to ignore beside one to replicate',
    config({ target: 'filters: { replicate_do_db: [a], replicate_ignore_db: [b] }' }),
    'config.yaml:13:63: channels[0].targets[0].filters.replicate_ignore_db: has no effect beside replicate_do_db, which alone decides; remove one of the two',
  ],
  [
    'a table in a database that is not replicated',
    config({ target: 'filters: { replicate_do_db: [a], replicate_do_table: [b.t] }' }),
    'config.yaml:13:63: channels[0].targets[0].filters.replicate_do_table[0]: b.t can never match: b is not in replicate_do_db; add it there, or remove the rule',
  ],
  [
    'a pattern in a database that is ignored',
    config({
      target: 'filters: { replicate_ignore_db: [a_b], replicate_wild_ignore_table: ["a\\\\_b.t%"] }',
    }),
    'config.yaml:13:78: channels[0].targets[0].filters.replicate_wild_ignore_table[0]: a\\_b.t% can never match: a_b stands in replicate_ignore_db; remove one of the two rules',
  ],
  [
    'a filter for the name that a database has on the source alone',
    config({ target: 'replicate_rewrite_db: ["a->b"]\n        filters: { replicate_do_db: [a] }' }),
    'config.yaml:14:38: channels[0].targets[0].filters.replicate_do_db[0]: a can never match: replicate_rewrite_db renames it to b before the filters look at it; write b',
  ],
  [
    'a filter for a system schema that is left out',
    config({ target: 'filters: { replicate_wild_do_table: ["mysql.%"] }' }),
    'config.yaml:13:46: channels[0].targets[0].filters.replicate_wild_do_table[0]: mysql.% can never match: replicate_system: false leaves out all of mysql; set it to true, or remove the rule',
  ],
  [
    'a rewrite without an arrow',
    config({ target: 'replicate_rewrite_db: ["a=b"]' }),
    'config.yaml:13:32: channels[0].targets[0].replicate_rewrite_db[0]: a=b: expected the source\'s name, an arrow and the target\'s: "shop->shop_dr"',
  ],
  [
    'a rewrite to nothing',
    config({ target: 'replicate_rewrite_db: ["a->"]' }),
    'config.yaml:13:32: channels[0].targets[0].replicate_rewrite_db[0]: a->: expected the source\'s name, an arrow and the target\'s: "shop->shop_dr"',
  ],
  [
    'a database that is rewritten twice',
    config({ target: 'replicate_rewrite_db: ["a->b", "c->d", "a->e"]' }),
    'config.yaml:13:48: channels[0].targets[0].replicate_rewrite_db[2]: a is rewritten by rule 0 already; only the first one counts, remove the other',
  ],
  [
    'a rewrite to the same name',
    config({ target: 'replicate_rewrite_db: ["a -> a"]' }),
    'config.yaml:13:32: channels[0].targets[0].replicate_rewrite_db[0]: a -> a changes nothing; remove it',
  ],
  [
    'skip_events without events',
    config({ target: 'skip_events: [{ table: a.t, events: [] }]' }),
    'config.yaml:13:45: channels[0].targets[0].skip_events[0].events: is empty: nothing would be skipped; name the kinds of change, or remove the rule',
  ],
  [
    'skip_events of a table without its database',
    config({ target: 'skip_events: [{ table: "tmp_%", events: [delete] }]' }),
    'config.yaml:13:32: channels[0].targets[0].skip_events[0].table: tmp_%: expected a pattern of database and table, like "shop.tmp_%"',
  ],
  [
    'skip_events of an unknown kind',
    config({ target: 'skip_events: [{ table: a.t, events: [drop_tables] }]' }),
    'config.yaml:13:46: channels[0].targets[0].skip_events[0].events[0]: expected one of insert, update, delete, create_table, alter_table, rename_table, drop_table, truncate, create_index, drop_index, create_view, alter_view, drop_view, create_trigger, drop_trigger, create_routine, alter_routine, drop_routine, create_event, alter_event, drop_event, create_database, alter_database, drop_database, account, maintenance, other; got "drop_tables"; did you mean drop_table?',
  ],
];

const GOOD: readonly (readonly [what: string, target: string])[] = [
  [
    'every list at once',
    'filters: { replicate_do_db: [a], replicate_do_table: [a.t], replicate_wild_do_table: ["a.x%"], replicate_wild_ignore_table: ["a.y%"] }',
  ],
  [
    'a pattern over all databases',
    'filters: { replicate_do_db: [a], replicate_wild_do_table: ["%.t", "_.u"] }',
  ],
  ['a name with a dot in it', 'filters: { replicate_do_table: [a.b.c] }'],
  [
    'the new name of a database',
    'replicate_rewrite_db: ["a->b"]\n        filters: { replicate_do_db: [b], replicate_do_table: [b.t] }',
  ],
  [
    'two databases that change places',
    'replicate_rewrite_db: ["a->b", "b->a"]\n        filters: { replicate_do_db: [a, b] }',
  ],
  [
    'a system schema that is replicated',
    'replicate_system: true\n        filters: { replicate_wild_ignore_table: ["mysql.%"] }',
  ],
];

describe('rules of a target', () => {
  test.each(RULES)('%s is one error at its place', (_what, text, line) => {
    expect(problems(text)).toEqual([line]);
  });

  test.each(GOOD)('%s is no error', (_what, target) => {
    expect(problems(config({ target }))).toEqual([]);
  });
});
