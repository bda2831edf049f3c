import { describe, expect, test } from 'vitest';
import { config, problems, warnings } from './config-files.ts';

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
    'config.yaml:13:63: channels[0].targets[0].filters.replicate_do_table[0]: b.t matches no rows, and no other rule lets any in: b is not in replicate_do_db; add it there, or remove the rule',
  ],
  [
    'a table to be ignored in a database that is not replicated, by objects',
    config({
      target: 'ddl_filter: objects\n        filters: { replicate_do_db: [a], replicate_ignore_table: [b.t] }',
    }),
    'config.yaml:14:67: channels[0].targets[0].filters.replicate_ignore_table[0]: b.t can never match: b is not in replicate_do_db; add it there, or remove the rule',
  ],
  [
    'a table rule for the name that a database has on the source alone, by objects',
    config({
      target:
        'ddl_filter: objects\n        replicate_rewrite_db: ["a->b"]\n        filters: { replicate_ignore_table: [a.t] }',
    }),
    'config.yaml:15:45: channels[0].targets[0].filters.replicate_ignore_table[0]: a.t can never match: replicate_rewrite_db renames it to b before the filters look at it; write b',
  ],
  [
    'a pattern in a database that is ignored, by objects',
    config({
      target:
        'ddl_filter: objects\n        filters: { replicate_ignore_db: [a_b], replicate_wild_ignore_table: ["a\\\\_b.t%"] }',
    }),
    'config.yaml:14:78: channels[0].targets[0].filters.replicate_wild_ignore_table[0]: a\\_b.t% can never match: a_b stands in replicate_ignore_db; remove one of the two rules',
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
    'skip_events of rows by the name that a database has on the source alone',
    config({
      target: 'replicate_rewrite_db: ["a->b"]\n        skip_events: [{ table: "a.%", events: [delete] }]',
    }),
    'config.yaml:14:32: channels[0].targets[0].skip_events[0].table: a.% matches no rows, only statements that name it in full: replicate_rewrite_db renames it to b before the filters look at it; write b',
  ],
  [
    'skip_events by the name that a database has on the source alone, by objects',
    config({
      target:
        'ddl_filter: objects\n        replicate_rewrite_db: ["a->b"]\n        skip_events: [{ table: "a.%", events: [drop_table] }]',
    }),
    'config.yaml:15:32: channels[0].targets[0].skip_events[0].table: a.% can never match: replicate_rewrite_db renames it to b before the filters look at it; write b',
  ],
  [
    'skip_events of a database by the pattern of some tables',
    config({ target: 'skip_events: [{ table: "a.tmp_%", events: [drop_table, drop_database] }]' }),
    'config.yaml:13:64: channels[0].targets[0].skip_events[0].events[1]: drop_database can never match a.tmp_%: a database goes by the pattern of all its tables; write "a.%", in a rule of its own',
  ],
  [
    'skip_events of accounts by the pattern of other tables',
    config({
      target: 'replicate_system: true\n        skip_events: [{ table: "a.%", events: [account] }]',
    }),
    'config.yaml:14:48: channels[0].targets[0].skip_events[0].events[0]: account can never match a.%: accounts go by mysql.user; write "mysql.%", in a rule of its own',
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
    'skip_events of whole databases and of accounts',
    'replicate_system: true\n        skip_events: [{ table: "a.%", events: [drop_database, delete] }, { table: "mysql.%", events: [account] }]',
  ],
  [
    'a system schema that is replicated',
    'replicate_system: true\n        filters: { replicate_wild_ignore_table: ["mysql.%"] }',
  ],
];

const ONLY_IN_FULL = 'matches no rows, only statements that name it in full';

/** A native replica takes them, and does something by them. */
const WARNED: readonly (readonly [what: string, target: string, line: string])[] = [
  [
    'a table to be ignored in a database that is not replicated',
    'filters: { replicate_do_db: [a], replicate_ignore_table: [b.t] }',
    `config.yaml:13:67: channels[0].targets[0].filters.replicate_ignore_table[0]: b.t ${ONLY_IN_FULL}: b is not in replicate_do_db; add it there, or remove the rule`,
  ],
  [
    'a pattern in a database that is ignored',
    'filters: { replicate_ignore_db: [a_b], replicate_wild_ignore_table: ["a\\\\_b.t%"] }',
    `config.yaml:13:78: channels[0].targets[0].filters.replicate_wild_ignore_table[0]: a\\_b.t% ${ONLY_IN_FULL}: a_b stands in replicate_ignore_db; remove one of the two rules`,
  ],
  [
    'a table under its old and its new name',
    'replicate_rewrite_db: ["a->b"]\n        filters: { replicate_do_table: [b.t, a.t] }',
    `config.yaml:14:46: channels[0].targets[0].filters.replicate_do_table[1]: a.t ${ONLY_IN_FULL}: replicate_rewrite_db renames it to b before the filters look at it; write b`,
  ],
  [
    'a table of a database that do_db writes with a capital',
    'ddl_filter: objects\n        filters: { replicate_do_db: [Shop], replicate_do_table: [shop.orders] }',
    "config.yaml:14:66: channels[0].targets[0].filters.replicate_do_table[0]: shop.orders: replicate_do_db has Shop, which is the same only where the target's lower_case_table_names is not 0; write both the same",
  ],
  [
    'a system schema to be ignored that is left out anyhow',
    'filters: { replicate_ignore_db: [mysql] }',
    'config.yaml:13:42: channels[0].targets[0].filters.replicate_ignore_db[0]: mysql needs no rule: replicate_system: false leaves out all of mysql; set it to true, or remove the rule',
  ],
  [
    'skip_events of rows under the old and the new name of a database',
    'replicate_rewrite_db: ["a->b"]\n        skip_events: [{ table: "a.%", events: [delete] }, { table: "b.%", events: [delete] }]',
    `config.yaml:14:32: channels[0].targets[0].skip_events[0].table: a.% ${ONLY_IN_FULL}: replicate_rewrite_db renames it to b before the filters look at it; write b`,
  ],
  [
    'skip_events of DDL under the old name of a database',
    'replicate_rewrite_db: ["a->b"]\n        skip_events: [{ table: "a.%", events: [drop_table] }]',
    `config.yaml:14:32: channels[0].targets[0].skip_events[0].table: a.% ${ONLY_IN_FULL}: replicate_rewrite_db renames it to b before the filters look at it; write b`,
  ],
];

describe('rules of a target', () => {
  test.each(RULES)('%s is one error at its place', (_what, text, line) => {
    expect(problems(text)).toEqual([line]);
  });

  test.each(GOOD)('%s is no error', (_what, target) => {
    expect(problems(config({ target }))).toEqual([]);
    expect(warnings(config({ target }))).toEqual([]);
  });

  test.each(WARNED)('%s is one warning at its place', (_what, target, line) => {
    expect(warnings(config({ target }))).toEqual([line]);
  });
});
