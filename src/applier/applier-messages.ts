/**
 * What an applier thread is given at birth and the messages it exchanges with the main thread. Types only.
 */
import type { PlainError } from '../base/errors.ts';
import type { PositionKind } from '../binlog/position-set.ts';
import type { RelayPosition } from '../relay/published-end.ts';
import type { SourceClockSnapshot } from '../relay/source-clock.ts';
import type { GuardRules } from '../rules/guard-rules.ts';
import type { TargetRules } from '../rules/target-rules.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import type { Gate } from './admission.ts';
import type { WorkerActivity } from './apply-worker.ts';
import type { FilterCounters } from './filter-counters.ts';
import type { GuardMatch } from './guard-scout.ts';
import type { StuckTransaction } from './stuck-watch.ts';
import type { TargetControl, Until } from './target-control.ts';

export interface ApplierOptions {
  readonly channel: string;
  readonly target: string;
  readonly endpoint: EndpointOptions;
  readonly mode: 'auto' | 'binlog';
  readonly progress: 'auto' | 'gtid' | 'table';
  readonly workers: number;
  readonly commitOrder: 'source' | 'window' | 'any';
  /** Transactions in one commit at most; more than 1 needs progress in a table. */
  readonly coalesce: number;
  /** What the target is said to hold already (source.start), as a text of the source's kind; null: only what it tells itself. */
  readonly startAt: string | null;
  readonly relayDir: string;
  readonly published: SharedArrayBuffer;
  /** Names this Millrace to others on the same target: host, pid, data_dir. */
  readonly owner: string;
  readonly delayMs: number;
  readonly rules: TargetRules;
  readonly guards: GuardRules;
  readonly control: TargetControl;
  /** What is known about the source's clock. */
  readonly sourceClock: SourceClockSnapshot;
}

/** What may change while the applier lives: handed over whole, each time. */
export type ApplierSettings = Pick<ApplierOptions, 'delayMs' | 'rules' | 'guards' | 'control'>;

export type ApplierCommand =
  /** `kind`: how the source names its transactions (the reader's `source` report). Sent once the reader knows it. */
  | { readonly type: 'start'; readonly kind: PositionKind }
  /**
   * Nothing new starts until the next `settings`, so that what is answered stays true while it is written down. Answered by
   * `frozen`.
   */
  | ({ readonly type: 'freeze'; readonly revision: number } & LatenessQuestion)
  /** Answered by `taken`: at once, or, when rules or guards changed, when what was in flight under the old ones is committed. */
  | { readonly type: 'settings'; readonly revision: number; readonly settings: ApplierSettings }
  /** Something new is known about the source's clock. */
  | { readonly type: 'clock'; readonly clock: SourceClockSnapshot }
  | { readonly type: 'status'; readonly id: number }
  /** Finish the transactions in flight, then close. Answered by `stopped`. */
  | { readonly type: 'stop' };

export type ApplierState =
  | { readonly at: 'idle' }
  | { readonly at: 'connecting'; readonly attempt: number }
  /** Connected; what the target has is known; the relay log does not hold the next transaction yet. */
  | { readonly at: 'running' }
  | {
      readonly at: 'backing-off';
      readonly attempt: number;
      readonly untilMs: number;
      readonly cause: PlainError;
    }
  | { readonly at: 'stopping' }
  | { readonly at: 'stopped'; readonly cause: PlainError | null };

export interface ApplierStatus {
  /** Monotonic: every age in it is as of then. */
  readonly takenAtMs: number;
  readonly state: ApplierState;
  readonly lastError: PlainError | null;
  readonly mode: 'binlog';
  readonly progress: 'gtid' | 'table' | null;
  readonly executed: string | null;
  readonly workers: number;
  readonly transactionsApplied: number;
  readonly rowsApplied: number;
  readonly filtered: Readonly<FilterCounters>;
  /** Everything published in the relay log is executed on the target. */
  readonly caughtUpWithRelay: boolean;
  /** Source commit time (µs since the epoch, source clock) of the oldest transaction not yet executed; null: none known. */
  readonly pendingCommitMicros: string | null;
  /** How long ago that was; null: nothing is known to be pending, or its age is not known. */
  readonly pendingAgeMs: number | null;
  /** Source commit time (µs) of the last executed transaction. */
  readonly lastCommitMicros: string | null;
  /** How long ago that was when it was executed (null: not known), and monotonic time of that moment. */
  readonly lastAgeMs: number | null;
  readonly lastAppliedAtMs: number | null;
  /** The oldest relay file that this target still needs. */
  readonly neededFile: number;
  /** Everything before it in the relay log is applied; null: not known. */
  readonly appliedTo: RelayPosition | null;
  /** Relay log bytes that are published and not applied; null: not known. */
  readonly pendingBytes: number | null;
  /** What the busy workers are doing; the one first that the others wait for. */
  readonly activity: readonly WorkerActivity[];
  /** What the target says holds up the first of them; null: nothing is held up, or it was not asked yet. */
  readonly stuck: StuckTransaction | null;
  /** What the next transaction waits for. */
  readonly gate: Gate;
  /** The place where the operator wants to stop is reached, paused or not. */
  readonly untilReached: boolean;
  /** Null: nothing waits for its admission. */
  readonly waiting: Waiting | null;
  /** Transactions that have been started and are not committed. */
  readonly inFlight: number;
  readonly guards: GuardsStatus;
}

/** What guards have found and the target has not executed. */
export interface GuardsStatus {
  readonly open: number;
  /** The first of it, in the relay log's order. */
  readonly first: readonly GuardView[];
}

export interface GuardView extends Pick<GuardMatch, 'id' | 'guard' | 'what'> {
  /** `holding`: the target is held just before it. */
  readonly state: 'waiting' | 'holding' | 'approved' | 'skipped';
  /** Source commit time, µs. */
  readonly commitMicros: string | null;
  /** 0: its time has come; null: not known. */
  readonly dueInMs: number | null;
}

/** What waits in the relay log before the gate. */
export interface Waiting {
  /** The first of it. */
  readonly nextId: string;
  /** Null: its time is not what it waits for. */
  readonly nextDueInMs: number | null;
  /** In the relay log, from the first of it to the published end; null: unknown. */
  readonly bytes: number | null;
  /** The source's clock is not known: what waits for its time may be late. */
  readonly blind: boolean;
}

/** Transactions that the operator has said something about, and that are executed. */
export interface ExecutedIds {
  /** Here, as the operator said. */
  readonly committed: readonly string[];
  /** The target had them when it was asked: by us before a crash, or by somebody else. */
  readonly found: readonly string[];
  /** The target did not have them when it was taken over, and nobody was committing them. */
  readonly missing: readonly string[];
}

/** Do wishes about these come too late? */
export interface LatenessQuestion {
  readonly about: readonly string[];
  readonly until: Until | null;
}

export interface Lateness {
  /** Of the ids that were asked about: executed, or in flight. */
  readonly passed: readonly string[];
  /** Where `until` says to stop is executed or in flight already. */
  readonly untilPassed: boolean;
}

export type ApplierReport =
  | { readonly type: 'state'; readonly state: ApplierState }
  | {
      readonly type: 'log';
      readonly level: 'debug' | 'info' | 'warn' | 'error';
      readonly message: string;
      readonly facts: Record<string, unknown>;
    }
  /** Sent once per successful connect, before anything is applied: text of what the target has. */
  | { readonly type: 'executed'; readonly executed: string }
  | { readonly type: 'needed-file'; readonly fileNumber: number }
  /** A guard has found this, now or (after a start) again. */
  | { readonly type: 'guard'; readonly match: GuardMatch; readonly dueInMs: number | null }
  /** `lateness` null: the target is not connected, nobody can tell. */
  | { readonly type: 'frozen'; readonly revision: number; readonly lateness: Lateness | null }
  | { readonly type: 'taken'; readonly revision: number }
  /** Transactions of the control document that are executed on the target. */
  | ({ readonly type: 'control-executed' } & ExecutedIds)
  | { readonly type: 'status'; readonly id: number; readonly status: ApplierStatus }
  | { readonly type: 'stopped'; readonly cause: PlainError | null };
