/**
 * Guards: what is looked for in the relay log ahead of a delayed target. Plain data, as it crosses into the applier's
 * thread.
 */

export type Guard =
  | { readonly is: 'drop_database' }
  | { readonly is: 'drop_table' }
  | { readonly is: 'truncate' }
  /** A transaction that deletes more rows than this. */
  | { readonly is: 'delete_rows_over'; readonly rows: number }
  /** ALTER of a table that matches the pattern (as replicate_wild_do_table has them). */
  | { readonly is: 'alter'; readonly table: string };

export interface GuardRules {
  readonly guards: readonly Guard[];
  /** `hold`: the target stops just before a match until it is approved or skipped; `warn`: the alarm alone. */
  readonly onGuard: 'hold' | 'warn';
  /** Where an alarm is posted as JSON; null: nowhere. */
  readonly webhook: string | null;
}

export const NO_GUARDS: GuardRules = { guards: [], onGuard: 'hold', webhook: null };
