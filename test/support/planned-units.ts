/**
 * What the scheduler is given in its tests: by default a transaction that depends on the one before it.
 */
import type { Conflicts, Schedulable } from '../../src/applier/apply-scheduler.ts';

export interface Plan {
  readonly lastCommitted: number;
  readonly sequenceNumber: number;
  readonly clock: number;
  readonly barrier: string | null;
  readonly bytes: number;
  readonly keys: readonly bigint[] | null;
  readonly mayFollow: boolean;
  /** Of a unit of several transactions. */
  readonly firstSequence: number;
}

export interface Planned extends Schedulable, Plan {
  readonly name: string;
}

function conflicts(plan: Plan): Conflicts {
  if (plan.barrier !== null) return { by: 'barrier', why: plan.barrier };
  if (plan.keys !== null) return { by: 'keys', keys: new Set(plan.keys) };
  const { clock, lastCommitted, firstSequence, sequenceNumber } = plan;
  return { by: 'clock', clock, lastCommitted, firstSequence, sequenceNumber };
}

export function transaction(ordinal: number, more: Partial<Plan> = {}): Planned {
  const sequenceNumber = more.sequenceNumber ?? ordinal + 1;
  const plan: Plan = {
    lastCommitted: ordinal,
    sequenceNumber,
    firstSequence: sequenceNumber,
    clock: 1,
    barrier: null,
    bytes: 100,
    keys: null,
    mayFollow: false,
    ...more,
  };
  return { ordinal, ...plan, conflicts: conflicts(plan), name: `t${ordinal}` };
}
