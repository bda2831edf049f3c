/**
 * The part of a target's status that is about its guards. Pure.
 */
import type { TargetSnapshot } from '../channel/channel.ts';

export interface GuardsView {
  /** What guards have found and the target has not executed: the first of it, in the relay log's order. */
  readonly guards: readonly GuardMatchView[];
  /** All of it. */
  readonly guards_open: number;
  /** Alarms raised since this process began. */
  readonly guard_alarms: number;
}

export interface GuardMatchView {
  readonly id: string;
  readonly guard: string;
  readonly what: string;
  /** `holding`: the target is held just before it. */
  readonly state: 'waiting' | 'holding' | 'approved' | 'skipped';
  /** Source commit time, ISO 8601; null: the source does not tell. */
  readonly committed_at: string | null;
  /** 0: its time has come; null: not known. */
  readonly due_seconds: number | null;
}

export function guardsView({ status, alarms }: TargetSnapshot): GuardsView {
  const { first, open } = status?.guards ?? { first: [], open: 0 };
  return {
    guards: first.map(({ id, guard, what, state, commitMicros, dueInMs }) => ({
      id,
      guard,
      what,
      state,
      committed_at:
        commitMicros === null ? null : new Date(Number(BigInt(commitMicros) / 1000n)).toISOString(),
      due_seconds: dueInMs === null ? null : Math.round(dueInMs) / 1000,
    })),
    guards_open: open,
    guard_alarms: alarms,
  };
}
