/**
 * Notices links that are stuck and look well: the source moves and we do not, the reader hears nothing, a disk does not get
 * done, an applier has work and makes no progress, a thread does not answer. A pure fold over what is seen of a channel
 * once a second.
 *
 * An alarm needs a condition that has held for its time without a break, on the monotonic clock. Waiting that was asked for
 * (delay, pause, a guard) and work that only takes long (a big ALTER, a table without a key) are no alarms: `stuck` tells
 * of them.
 */
import type { ChannelSnapshot, TargetSnapshot } from '../channel/channel.ts';
import { spanText } from './catching-up.ts';
import { stuckOn } from './stuck.ts';

export type AlarmKind =
  | 'source_moves_reader_does_not'
  | 'reader_hears_nothing'
  | 'disk_does_not_sync'
  | 'applier_makes_no_progress'
  | 'thread_does_not_answer';

export interface Alarm {
  readonly kind: AlarmKind;
  /** Null: the reader's. */
  readonly target: string | null;
  readonly for_seconds: number;
  readonly text: string;
}

interface Watched {
  readonly sinceMs: number;
  /** What must change, or the condition goes on. */
  readonly mark: string;
}

/** Since when each condition has held without a break; by kind and target. */
export type WatchdogMemory = ReadonlyMap<string, Watched>;

export const NOTHING_WATCHED: WatchdogMemory = new Map();

const AFTER_MS: Readonly<Record<AlarmKind, number>> = {
  source_moves_reader_does_not: 10_000,
  reader_hears_nothing: 5_000,
  disk_does_not_sync: 10_000,
  applier_makes_no_progress: 30_000,
  thread_does_not_answer: 10_000,
};

interface Condition {
  readonly kind: AlarmKind;
  readonly target: string | null;
  readonly mark: string;
  readonly text: (span: string) => string;
}

export function watch(
  memory: WatchdogMemory,
  snapshot: ChannelSnapshot,
  nowMs: number,
): { readonly memory: WatchdogMemory; readonly alarms: readonly Alarm[] } {
  const next = new Map<string, Watched>();
  const alarms: Alarm[] = [];
  for (const { kind, target, mark, text } of conditions(snapshot)) {
    const key = `${kind} ${target ?? ''}`;
    const before = memory.get(key);
    const watched = before?.mark === mark ? before : { sinceMs: nowMs, mark };
    next.set(key, watched);
    const ms = nowMs - watched.sinceMs;
    if (ms < AFTER_MS[kind]) continue;
    alarms.push({ kind, target, for_seconds: Math.round(ms / 1000), text: text(spanText(ms / 1000)) });
  }
  return { memory: next, alarms };
}

function conditions(snapshot: ChannelSnapshot): Condition[] {
  const targets = snapshot.targets.flatMap((target, index) => {
    return targetConditions(target, snapshot.machine.targets[index]?.life === 'live');
  });
  return [...readerConditions(snapshot), ...targets];
}

function readerConditions({ reader, machine }: ChannelSnapshot): Condition[] {
  const { status, state } = reader;
  const found: Condition[] = [];
  const condition = (kind: AlarmKind, mark: string, text: Condition['text']): void => {
    found.push({ kind, target: null, mark, text });
  };
  if (!reader.fresh && machine.reader.life === 'live') {
    condition('thread_does_not_answer', '', (span) => `the reader thread has not answered for ${span}`);
  }
  if (!reader.fresh || status === null || state.at !== 'streaming') return found;
  if (status.missingAgeMs !== null) {
    const where = status.head?.file == null ? '' : ` (it is at ${status.head.file}:${status.head.position})`;
    condition(
      'source_moves_reader_does_not',
      // Heartbeats may come all the while: only events move it.
      `${status.sourceFile}:${status.sourcePosition} ${status.transactionsReceived}`,
      (span) => `the source has more${where}, and nothing has come from it for ${span}`,
    );
  }
  // Not between two heartbeats: the mark is when the last byte came.
  if (status.contactMs !== null && status.heartbeatMs <= AFTER_MS.reader_hears_nothing / 2) {
    condition(
      'reader_hears_nothing',
      String(status.contactMs),
      (span) => `neither an event nor a heartbeat has come from the source for ${span}`,
    );
  }
  if (status.unsynced.ageMs !== null) {
    condition(
      'disk_does_not_sync',
      String(status.transactionsReceived - status.unsynced.transactions),
      (span) => `the disk of the relay log has not finished a sync for ${span}`,
    );
  }
  return found;
}

function targetConditions(target: TargetSnapshot, live: boolean): Condition[] {
  const { status, state } = target;
  if (!target.fresh && live) {
    const text = (span: string): string =>
      `the applier thread of ${target.name} has not answered for ${span}`;
    return [{ kind: 'thread_does_not_answer', target: target.name, mark: '', text }];
  }
  if (!target.fresh || status === null || state.at !== 'running') return [];
  const stuck = stuckOn(status);
  const hasWork = status.inFlight > 0 || status.waiting !== null || (status.pendingBytes ?? 0) > 0;
  const told = stuck !== null && TOLD.has(stuck.why);
  if (!hasWork || told) return [];
  return [
    {
      kind: 'applier_makes_no_progress',
      target: target.name,
      mark: `${status.transactionsApplied} ${status.rowsApplied}`,
      text: (span) => {
        const why = stuck === null ? '' : `: ${stuck.text}`;
        return `${target.name} has work and has not committed anything for ${span}${why}`;
      },
    },
  ];
}

/** Told to wait, or at work. */
const TOLD: ReadonlySet<string> = new Set(['paused', 'until', 'guard', 'delay', 'statement', 'no_key']);
