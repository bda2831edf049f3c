/**
 * The reader's states: a pure function from memory and input to memory and effects. It decides when to connect, how long
 * to wait, and which failure is the last; it does no I/O, reads no clock and draws no random number.
 *
 *   idle ──▶ connecting ──▶ streaming           (the goal `discover` returns to idle once the source's kind is known)
 *              ▲    │            │
 *              │    ▼            ▼
 *           backing-off ◀── a failure that may pass
 *
 *   stop, from anywhere: stopping ──▶ stopped   a failure that will not pass: stopped, with its cause
 *   pause, from anywhere: paused                no connection to the source until resume; what the relay log alone can tell
 *                                               (discover) is still told
 *
 * Network failures are retried for ever. Others have a limit, counted since the last progress (a received transaction):
 * a refused account must not be hammered (lock-out, max_connect_errors), a damaged event is asked for again only so often,
 * and two replicas with one identity throw each other out, which never ends by itself.
 */
import { assert, assertNever, type ErrorCode, type PlainError } from '../base/errors.ts';
import { backoffMs } from '../base/runtime.ts';
import type { ReaderState } from './reader-messages.ts';

/** discover: find out how the source names its transactions; stream: keep the relay log up to date. */
export type ReaderGoal = 'discover' | 'stream';

export interface ReaderPolicy {
  readonly backoffBaseMs: number;
  readonly backoffMaxMs: number;
  /** So many refusals in a row stop the reader. */
  readonly accessDeniedMax: number;
  /** A damaged or unreadable event is asked for again so many times. */
  readonly damageRetryMax: number;
  /** So many take-overs by another replica within the window stop the reader. */
  readonly duplicateMax: number;
  readonly duplicateWindowMs: number;
  /** Streaming for so long counts as progress: the next failure is a new one. */
  readonly settledMs: number;
}

export const READER_POLICY: ReaderPolicy = {
  backoffBaseMs: 500,
  backoffMaxMs: 30_000,
  accessDeniedMax: 2,
  damageRetryMax: 3,
  duplicateMax: 3,
  duplicateWindowMs: 300_000,
  settledMs: 30_000,
};

export interface ReaderMemory {
  readonly state: ReaderState;
  readonly goal: ReaderGoal;
  /** The operator wants no connection to the source. */
  readonly paused: boolean;
  /** Goal discover: the relay log does not tell, and the source may not be asked. */
  readonly parked: boolean;
  /** Failures since the last progress. */
  readonly failures: number;
  readonly refusals: number;
  readonly damages: number;
  /** When other replicas threw us out, newest last. */
  readonly duplicatesMs: readonly number[];
}

export type ReaderInput =
  /** Connect, with this goal. Only from idle. */
  | { readonly type: 'start'; readonly goal: ReaderGoal }
  /** Told to start, but something is still missing. Only while idle. */
  | { readonly type: 'wait'; readonly reason: string }
  /** Goal discover is reached: nothing to do until the channel knows what the targets have. */
  | { readonly type: 'discovered'; readonly waitingFor: string }
  /** Goal discover cannot be reached without the source, and may not be with it while paused. */
  | { readonly type: 'parked' }
  | { readonly type: 'pause' }
  | { readonly type: 'resume' }
  /** The source has accepted the dump. */
  | { readonly type: 'streaming'; readonly nowMs: number }
  /** A transaction was received on this connection (sent once per connection). */
  | { readonly type: 'progress' }
  | { readonly type: 'failed'; readonly error: PlainError; readonly nowMs: number; readonly random: number }
  | { readonly type: 'retry-due' }
  | { readonly type: 'stop' }
  /** Everything is closed: answers the effect `close`. */
  | { readonly type: 'closed' };

export type ReaderEffect =
  | { readonly type: 'connect'; readonly goal: ReaderGoal }
  /** Ends the connection, or the attempt; the relay log stays open. */
  | { readonly type: 'part' }
  /** Ends the connection and the relay log writer; the input `closed` must follow. */
  | { readonly type: 'close' }
  | { readonly type: 'retry-after'; readonly ms: number }
  | { readonly type: 'cancel-retry' }
  | { readonly type: 'report-stopped'; readonly cause: PlainError | null };

export type ReaderStep = readonly [ReaderMemory, readonly ReaderEffect[]];

export function initialReader(reason: string, paused = false): ReaderMemory {
  return {
    state: { at: 'idle', reason },
    goal: 'discover',
    paused,
    parked: false,
    failures: 0,
    refusals: 0,
    damages: 0,
    duplicatesMs: [],
  };
}

export function stepReader(memory: ReaderMemory, input: ReaderInput, policy: ReaderPolicy): ReaderStep {
  const { state } = memory;
  switch (input.type) {
    case 'start':
      assert(state.at === 'idle', `start while ${state.at}`);
      return connect({ ...memory, goal: input.goal });
    case 'wait':
      assert(state.at === 'idle', `wait while ${state.at}`);
      return [{ ...memory, state: { at: 'idle', reason: input.reason } }, []];
    case 'discovered':
      assert(state.at === 'connecting' && memory.goal === 'discover', `discovered while ${state.at}`);
      return [
        idle({ ...initialReader(input.waitingFor, memory.paused), duplicatesMs: memory.duplicatesMs }),
        [],
      ];
    case 'parked':
      assert(state.at === 'connecting' && memory.goal === 'discover', `parked while ${state.at}`);
      if (!memory.paused) return connect(memory);
      return [{ ...memory, parked: true, state: { at: 'paused' } }, []];
    case 'pause':
      return pause(memory);
    case 'resume':
      return resume(memory);
    case 'streaming':
      // A stop may have crossed it.
      if (state.at !== 'connecting') return [memory, []];
      return [{ ...memory, state: { at: 'streaming', sinceMs: input.nowMs } }, []];
    case 'progress':
      if (state.at !== 'streaming') return [memory, []];
      return [{ ...memory, failures: 0, refusals: 0, damages: 0 }, []];
    case 'failed':
      return failed(memory, input.error, input.nowMs, input.random, policy);
    case 'retry-due':
      return state.at === 'backing-off' ? connect(memory) : [memory, []];
    case 'stop':
      if (state.at === 'stopping') return [memory, []];
      if (state.at === 'stopped') return [memory, [{ type: 'report-stopped', cause: state.cause }]];
      return [
        { ...memory, state: { at: 'stopping', cause: null } },
        [{ type: 'cancel-retry' }, { type: 'close' }],
      ];
    case 'closed':
      assert(state.at === 'stopping', `closed while ${state.at}`);
      return [
        { ...memory, state: { at: 'stopped', cause: state.cause } },
        [{ type: 'report-stopped', cause: state.cause }],
      ];
    default:
      return assertNever(input);
  }
}

function pause(before: ReaderMemory): ReaderStep {
  const { state } = before;
  if (before.paused || state.at === 'stopping' || state.at === 'stopped') return [before, []];
  const memory = { ...before, paused: true, failures: 0, refusals: 0 };
  if (state.at === 'idle' || state.at === 'paused') return [idle(memory), []];
  const [next, effects] = connect(memory);
  return [next, [{ type: state.at === 'backing-off' ? 'cancel-retry' : 'part' }, ...effects]];
}

function resume(before: ReaderMemory): ReaderStep {
  if (!before.paused) return [before, []];
  const memory = { ...before, paused: false, parked: false, failures: 0, refusals: 0 };
  if (before.state.at !== 'paused') return [memory, []];
  if (before.parked || before.goal === 'stream') return connect(memory);
  return [{ ...memory, state: { at: 'idle', reason: 'waiting for the target' } }, []];
}

/** Nothing to do for now: with the state that says why. */
function idle(memory: ReaderMemory): ReaderMemory {
  return memory.paused ? { ...memory, state: { at: 'paused' } } : memory;
}

function connect(memory: ReaderMemory): ReaderStep {
  if (memory.paused && memory.goal === 'stream') return [idle(memory), []];
  const next: ReaderMemory = { ...memory, state: { at: 'connecting', attempt: memory.failures + 1 } };
  return [next, [{ type: 'connect', goal: memory.goal }]];
}

function failed(
  before: ReaderMemory,
  error: PlainError,
  nowMs: number,
  random: number,
  policy: ReaderPolicy,
): ReaderStep {
  // What fails while everything is being closed is no news.
  if (before.state.at === 'stopping' || before.state.at === 'stopped') return [before, []];
  const settled = before.state.at === 'streaming' && nowMs - before.state.sinceMs >= policy.settledMs;
  const memory = count(settled ? { ...before, failures: 0, refusals: 0 } : before, error.code, nowMs, policy);
  const last = lastFailure(memory, error, policy);
  if (last !== null) return [{ ...memory, state: { at: 'stopping', cause: last } }, [{ type: 'close' }]];
  const ms = backoffMs(memory.failures, random, policy.backoffBaseMs, policy.backoffMaxMs);
  return [
    {
      ...memory,
      state: { at: 'backing-off', attempt: memory.failures, untilMs: nowMs + ms, cause: error },
    },
    [{ type: 'retry-after', ms }],
  ];
}

function count(memory: ReaderMemory, code: ErrorCode, nowMs: number, policy: ReaderPolicy): ReaderMemory {
  const recent = memory.duplicatesMs.filter((atMs) => nowMs - atMs < policy.duplicateWindowMs);
  return {
    ...memory,
    failures: memory.failures + 1,
    refusals: isRefusal(code) ? memory.refusals + 1 : 0,
    damages: memory.damages + (isDamage(code) ? 1 : 0),
    duplicatesMs: code === 'DUPLICATE_IDENTITY' ? [...recent, nowMs] : recent,
  };
}

/** The error to stop with; null: try again. */
function lastFailure(memory: ReaderMemory, error: PlainError, policy: ReaderPolicy): PlainError | null {
  if (isRefusal(error.code)) return memory.refusals >= policy.accessDeniedMax ? error : null;
  if (error.action !== 'retry') return error;
  if (isDamage(error.code) && memory.damages > policy.damageRetryMax) {
    return {
      ...error,
      code: 'SOURCE_DAMAGED',
      action: 'stop',
      message: `asked for ${memory.damages} times, the same place fails: ${error.message}`,
      hint:
        error.hint ?? "The source's binary log is damaged there: look at it with mysqlbinlog on the source.",
    };
  }
  if (error.code === 'DUPLICATE_IDENTITY' && memory.duplicatesMs.length >= policy.duplicateMax) {
    return {
      ...error,
      action: 'stop',
      message: `two replicas with one identity throw each other out: ${error.message}`,
      hint: 'Find the other one in SHOW REPLICAS on the source: a copied data_dir, a second Millrace, or a server with the same server_id.',
    };
  }
  return null;
}

function isRefusal(code: ErrorCode): boolean {
  return code === 'ACCESS_DENIED' || code === 'PRIVILEGE_MISSING';
}

function isDamage(code: ErrorCode): boolean {
  return code === 'CHECKSUM_MISMATCH' || code === 'SOURCE_DAMAGED';
}
