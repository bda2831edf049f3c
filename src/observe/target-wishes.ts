/**
 * The part of a target's status that is about what operators want of it: whether it is paused or held, what it waits for, and how
 * long. Pure.
 */
import type { Gate } from '../applier/admission.ts';
import type { Until } from '../applier/target-control.ts';
import type { TargetSnapshot } from '../channel/channel.ts';
import { pending } from '../channel/control-document.ts';
import { untilText } from '../channel/control-words.ts';

export interface TargetWishesStatus {
  /** Configured, or set by `millrace delay`. */
  readonly delay_seconds: number;
  readonly until: UntilStatus | null;
  /** Null: nothing waits in front of the target. */
  readonly waiting: WaitingStatus | null;
  /** The transaction that a guard holds. */
  readonly hold: HoldStatus | null;
  /** Transactions that are to be committed as empty ones. */
  readonly skips_pending: number;
  /** Transactions that no guard may hold, and that are not executed yet. */
  readonly approvals: number;
}

/** One of the three is not null. */
export interface UntilStatus {
  readonly before: string | null;
  readonly after: string | null;
  readonly time: string | null;
  /** The target has stopped there. */
  readonly reached: boolean;
}

export interface WaitingStatus {
  /** Null: unknown. */
  readonly transactions: number | null;
  /** In the relay log; null: unknown. */
  readonly bytes: number | null;
  readonly next_id: string;
  /** Null: its time is not what it waits for. */
  readonly next_due_seconds: number | null;
}

export interface HoldStatus {
  readonly id: string;
  readonly guard: string;
  readonly what: string;
}

/** `lagTransactions`: what the relay log holds and the target does not have. */
export function targetWishesStatus(
  { status, wishes, delayMs }: TargetSnapshot,
  lagTransactions: number | null,
): TargetWishesStatus {
  const gate = status?.gate ?? null;
  const hasStopped = status !== null && status.untilReached && status.inFlight === 0;
  return {
    delay_seconds: (wishes.delayMs ?? delayMs) / 1000,
    until: wishes.until === null ? null : untilStatus(wishes.until, hasStopped),
    waiting: waitingStatus(status, lagTransactions),
    hold: gate?.is === 'held' ? holdStatus(gate) : null,
    skips_pending: pending(wishes.skipped).length,
    approvals: pending(wishes.approved).length,
  };
}

function untilStatus(until: Until, reached: boolean): UntilStatus {
  return {
    before: until.is === 'before' ? until.id : null,
    after: until.is === 'after' ? until.id : null,
    time: until.is === 'time' ? new Date(until.ms).toISOString() : null,
    reached,
  };
}

function waitingStatus(
  status: TargetSnapshot['status'],
  lagTransactions: number | null,
): WaitingStatus | null {
  if (status === null || status.waiting === null || status.gate.is === 'open') return null;
  const { nextId, nextDueInMs, bytes } = status.waiting;
  return {
    transactions: lagTransactions === null ? null : Math.max(1, lagTransactions - status.inFlight),
    bytes,
    next_id: nextId,
    next_due_seconds: nextDueInMs === null ? null : nextDueInMs / 1000,
  };
}

function holdStatus({ match: { id, guard, what } }: Extract<Gate, { is: 'held' }>): HoldStatus {
  return { id, guard, what };
}

/** What a connected target is kept from applying by, with the way on; null: by nothing. */
export function heldUp({ name, status, wishes }: TargetSnapshot): {
  readonly state: 'paused' | 'held';
  readonly reason: string;
} | null {
  const gate = status?.gate ?? null;
  const inFlight = status?.inFlight ?? 0;
  if (wishes.paused) {
    const after = inFlight === 0 ? '' : `, ${inFlight} transactions in flight are finished first`;
    return { state: 'paused', reason: `paused${after}; millrace resume ${name} goes on` };
  }
  // What is in flight before the place is still being applied.
  if (inFlight > 0) return null;
  if (gate?.is === 'until') {
    return {
      state: 'paused',
      reason: `stopped ${untilText(gate.until)}, as it was told; millrace resume ${name} goes on`,
    };
  }
  if (gate?.is !== 'held') return null;
  const { id, guard, what } = gate.match;
  return {
    state: 'held',
    reason: `held, guard ${guard}: ${what} in ${id}; millrace approve ${id} or millrace skip ${id} --reason "…"`,
  };
}
