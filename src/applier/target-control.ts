/**
 * What the operator wants of a target beside its configuration: one small document per target, kept in data_dir by the main
 * thread, handed whole to the applier at its birth and with every change. Declarative: handed over twice it means the same.
 */

export type Until =
  /** Stop when everything before this transaction is applied. */
  | { readonly is: 'before'; readonly id: string }
  /** Stop when this transaction is applied. */
  | { readonly is: 'after'; readonly id: string }
  /** Stop before the first transaction that the source committed at or after this time (ms since the epoch). */
  | { readonly is: 'time'; readonly ms: number };

export interface TargetControl {
  readonly paused: boolean;
  /** `millrace delay`: in place of the configuration's; null: as configured. */
  readonly delayMs: number | null;
  readonly until: Until | null;
  /** Ids (`uuid:n`) that a guard may not hold any more. */
  readonly approved: readonly string[];
  /** Ids that are committed as empty transactions, each with the reason that the operator gave. */
  readonly skipped: readonly { readonly id: string; readonly reason: string }[];
}

export const NO_CONTROL: TargetControl = {
  paused: false,
  delayMs: null,
  until: null,
  approved: [],
  skipped: [],
};
