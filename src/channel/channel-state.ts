/**
 * What a channel knows of its threads and targets, what can happen to it and what it wants done. Types and the
 * beginning; the transitions are in channel-machine.ts.
 */
import type { PlainError } from '../base/errors.ts';
import type { PositionKind } from '../binlog/position-set.ts';

/** `reader`, or a target's index. */
export type ThreadId = 'reader' | number;

export type ChannelState =
  | { readonly at: 'idle' }
  | { readonly at: 'reaching' }
  | { readonly at: 'asking'; readonly sinceMs: number }
  | { readonly at: 'running' }
  | { readonly at: 'draining'; readonly untilMs: number }
  | { readonly at: 'stopping' }
  | { readonly at: 'stopped'; readonly cause: PlainError | null };

export interface ThreadSlot {
  /** `ending`: told to stop, not yet gone. */
  readonly life: 'none' | 'live' | 'ending';
  /** Monotonic times of recent failures. */
  readonly failures: readonly number[];
  readonly restartAtMs: number | null;
  /** Down until the operator acts. */
  readonly stopCause: PlainError | null;
}

export interface TargetSlot extends ThreadSlot {
  /** What the target had when last asked: a lower bound of what it has. */
  readonly executed: string | null;
  /** Asked since the channel began to ask. */
  readonly fresh: boolean;
  readonly neededFile: number | null;
}

export interface ChannelMachine {
  readonly state: ChannelState;
  /** How the source names its transactions; null: not known yet. */
  readonly kind: PositionKind | null;
  readonly relayHasData: boolean;
  readonly reader: ThreadSlot;
  readonly targets: readonly TargetSlot[];
  /** Why the relay log is being fetched again; null: it is not. */
  readonly resyncCause: PlainError | null;
  /** The target for whose sake it is. */
  readonly resyncTarget: number | null;
  /** Monotonic times of recent resyncs. */
  readonly resyncs: readonly number[];
  /** What the reader was last told; 0: nothing. */
  readonly releasedFile: number;
}

/** What a look before the start forbids. */
export interface Refusals {
  readonly source: PlainError | null;
  /** By index. */
  readonly targets: readonly (PlainError | null)[];
  readonly relayLogIsEmpty: boolean;
}

export type ChannelInput =
  /** `refused`: null when nobody has looked. */
  | { readonly type: 'start'; readonly refused: Refusals | null }
  | { readonly type: 'source'; readonly kind: PositionKind; readonly relayLogIsEmpty: boolean }
  | { readonly type: 'executed'; readonly target: number; readonly executed: string }
  | { readonly type: 'needed-file'; readonly target: number; readonly fileNumber: number }
  | { readonly type: 'reader-streaming' }
  /** The operator has mended what had stopped the thread. */
  | { readonly type: 'resume'; readonly thread: ThreadId }
  /** The thread is gone. `died`: without saying goodbye. */
  | {
      readonly type: 'ended';
      readonly thread: ThreadId;
      readonly cause: PlainError | null;
      readonly died: boolean;
    }
  | { readonly type: 'tick' }
  /** A step could not be taken: the channel stops, and says why. */
  | { readonly type: 'fault'; readonly cause: PlainError }
  | { readonly type: 'stop' };

export type ChannelEffect =
  /** The reader finds out the source's kind by itself; everything else waits to be started. */
  | { readonly do: 'spawn'; readonly thread: ThreadId }
  | { readonly do: 'start-applier'; readonly target: number; readonly kind: PositionKind }
  | { readonly do: 'start-reader'; readonly executed: string | null }
  | { readonly do: 'stop'; readonly thread: ThreadId }
  /** No thread runs. */
  | { readonly do: 'discard-relay-log' }
  | { readonly do: 'release-files'; readonly below: number }
  | {
      readonly do: 'log';
      readonly level: 'info' | 'warn' | 'error';
      readonly message: string;
      /** Null: the channel itself. */
      readonly thread: ThreadId | null;
      readonly cause: PlainError | null;
    };

const EMPTY_SLOT: ThreadSlot = { life: 'none', failures: [], restartAtMs: null, stopCause: null };

export function newChannelMachine(targets: number): ChannelMachine {
  return {
    state: { at: 'idle' },
    kind: null,
    relayHasData: false,
    reader: EMPTY_SLOT,
    targets: Array.from({ length: targets }, () => ({
      ...EMPTY_SLOT,
      executed: null,
      fresh: false,
      neededFile: null,
    })),
    resyncCause: null,
    resyncTarget: null,
    resyncs: [],
    releasedFile: 0,
  };
}
