/**
 * What a target's configuration says about which events it gets and under which names. Plain data: it crosses into the
 * applier's thread, and a reload replaces it whole.
 *
 * The options carry MySQL's names and have MySQL's verdict (refman, "How Servers Evaluate Replication Filtering Rules").
 */

/** The six lists, as they were written: `shop`, `shop.orders`, `shop.tmp\_%`. */
export interface FilterLists {
  readonly doDb: readonly string[];
  readonly ignoreDb: readonly string[];
  readonly doTable: readonly string[];
  readonly ignoreTable: readonly string[];
  readonly wildDoTable: readonly string[];
  readonly wildIgnoreTable: readonly string[];
}

export interface RewriteRule {
  readonly from: string;
  readonly to: string;
}

/** Kinds of change that `skip_events` and `millrace find` name. */
export const CHANGE_KINDS = [
  'insert',
  'update',
  'delete',
  'create_table',
  'alter_table',
  'rename_table',
  'drop_table',
  'truncate',
  'create_index',
  'drop_index',
  'create_view',
  'alter_view',
  'drop_view',
  'create_trigger',
  'drop_trigger',
  'create_routine',
  'alter_routine',
  'drop_routine',
  'create_event',
  'alter_event',
  'drop_event',
  'create_database',
  'alter_database',
  'drop_database',
  'account',
  'maintenance',
  'other',
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** Changes of these kinds to tables that match the pattern (as replicate_wild_do_table has them) are left out. */
export interface SkipRule {
  readonly table: string;
  readonly events: readonly ChangeKind[];
}

export interface TargetRules {
  readonly filters: FilterLists;
  readonly rewriteDb: readonly RewriteRule[];
  /** `server`: statements by MySQL's rules; `objects`: by every object they name. */
  readonly ddlFilter: 'server' | 'objects';
  /** What a statement follows that cannot be read. `auto`: stop while a filter or a rewriting is active, else apply. */
  readonly onUnparsedDdl: 'auto' | 'stop' | 'apply' | 'skip';
  /** Changes of accounts, and rows of the system schemas, are applied. */
  readonly replicateSystem: boolean;
  readonly skipEvents: readonly SkipRule[];
}

export const NO_FILTERS: FilterLists = {
  doDb: [],
  ignoreDb: [],
  doTable: [],
  ignoreTable: [],
  wildDoTable: [],
  wildIgnoreTable: [],
};

/** Everything is replicated, accounts too: what a test asks for that is not about rules. */
export const ALL_IS_REPLICATED: TargetRules = {
  filters: NO_FILTERS,
  rewriteDb: [],
  ddlFilter: 'server',
  onUnparsedDdl: 'auto',
  replicateSystem: true,
  skipEvents: [],
};
