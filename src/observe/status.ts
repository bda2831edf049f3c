/**
 * The status of the process as data: what `millrace status --json` prints, word for word.
 *
 * Keys here are never taken away or given another meaning; new ones may come. Composed from the channels' snapshots by
 * pure functions. A value that is not known is null, never a guess; no secret is reachable from here.
 */
import type { ApplierState } from '../applier/applier-messages.ts';
import { errorLine, type PlainError } from '../base/errors.ts';
import type { ChannelSnapshot, TargetSnapshot } from '../channel/channel.ts';
import { tooLongADelay } from '../channel/disk-room.ts';
import type { ReaderState, ReaderStatus } from '../reader/reader-messages.ts';
import { type Eta, etaOf } from './catching-up.ts';
import {
  headUnknown,
  notApplied,
  type ProvenUpTo,
  provenUpTo,
  type ReaderLags,
  readerLags,
  type SourceHeadView,
  sourceHead,
  type TargetLags,
  targetLags,
} from './freshness.ts';
import { type GuardsView, guardsView } from './guard-status.ts';
import type { ChannelHistory } from './history.ts';
import type { RecentEvent } from './recent-events.ts';
import { type Stuck, stuckOn } from './stuck.ts';
import { heldUp, type TargetWishesStatus, targetWishesStatus } from './target-wishes.ts';
import type { Alarm } from './watchdog.ts';

export interface Status {
  readonly version: string;
  readonly pid: number;
  /** Wall time, ISO 8601: when this process was started, and when this status was made. */
  readonly started_at: string;
  readonly now: string;
  readonly channels: readonly ChannelStatus[];
  /** What happened lately, newest first. */
  readonly recent: readonly RecentEvent[];
}

export type ChannelStateName = 'starting' | 'running' | 'degraded' | 'stopped';

export interface ChannelStatus {
  readonly name: string;
  readonly state: ChannelStateName;
  /** Null while running. */
  readonly reason: string | null;
  readonly source: {
    readonly host: string;
    readonly port: number;
    readonly server_uuid: string | null;
    readonly server_version: string | null;
    /** What delays and lags are counted by; null: it was not read yet. */
    readonly clock: SourceClockView | null;
    /** Where the source is, as it says itself; null: not known, and `head_unknown` says why. */
    readonly head: SourceHeadView | null;
    readonly head_unknown: string | null;
  };
  readonly reader: ReaderView;
  readonly relay_log: RelayLogView;
  readonly targets: readonly TargetStatus[];
  /** What looks well and is not. */
  readonly alarms: readonly Alarm[];
}

export interface SourceClockView {
  /** The source's wall clock minus ours, when it was last read. */
  readonly offset_seconds: number;
  readonly error_seconds: number;
  readonly age_seconds: number;
  /** How often it was set to another time while we looked. */
  readonly steps: number;
}

export interface RelayLogView {
  readonly file: string | null;
  readonly position: number;
  /** Null: nobody has looked yet. */
  readonly bytes: number | null;
  /** On the disk of data_dir; null: unknown. */
  readonly free_bytes: number | null;
  /** How fast the relay log grows, by the source's timestamps; null: it holds too little to tell. */
  readonly bytes_per_second: number | null;
  /** How long a delay the disk has room for; null: unknown. */
  readonly holds_seconds: number | null;
  /** A target's delay does not fit on the disk: a sentence; null: nothing says so. */
  readonly too_long_a_delay: string | null;
}

export interface LastError {
  /** One line: message, facts, remedy. */
  readonly last_error: string | null;
  readonly last_error_code: string | null;
  /** The same in its parts. */
  readonly last_error_detail: Pick<PlainError, 'message' | 'hint' | 'facts'> | null;
}

export interface ReaderView extends LastError {
  readonly state: 'idle' | 'connecting' | 'streaming' | 'paused' | 'backing-off' | 'stopping' | 'stopped';
  readonly reason: string | null;
  readonly retrieved_gtid_set: string | null;
  readonly source_file: string | null;
  readonly source_position: number;
  readonly transactions_received: number;
  readonly bytes_received: number;
  readonly lag: ReaderLags;
  /** Since the last byte came from the source; null: none came yet. */
  readonly contact_seconds: number | null;
  /** Over the last ten seconds; null: not known yet. */
  readonly transactions_per_second: number | null;
  readonly bytes_per_second: number | null;
}

export interface TargetStatus extends TargetWishesStatus, GuardsView, LastError {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly state: 'connecting' | 'running' | 'paused' | 'held' | 'backing-off' | 'stopped';
  readonly reason: string | null;
  /** Its thread has answered just now; else what is told here is its last words. */
  readonly answers: boolean;
  readonly mode: string;
  readonly progress: string | null;
  readonly executed_gtid_set: string | null;
  readonly workers: number;
  /** Null: unknown. */
  readonly lag_seconds: number | null;
  readonly lag_transactions: number | null;
  readonly transactions_applied: number;
  readonly rows_applied: number;
  readonly filtered: FilteredView;
  readonly lag: TargetLags;
  readonly eta: Eta;
  /** Over the last ten seconds; null: not known yet. */
  readonly transactions_per_second: number | null;
  readonly rows_per_second: number | null;
  /** What the busy workers are at; the first one is what the others wait for. */
  readonly busy: readonly BusyWorker[];
  /** Null: it gets on. */
  readonly stuck: Stuck | null;
}

/** What the target's rules have left out since this process was started; see applier/filter-counters.ts. */
export interface FilteredView {
  readonly transactions_filtered: number;
  readonly statements_filtered: number;
  readonly rows_filtered: number;
  readonly system_statements_skipped: number;
}

export interface BusyWorker {
  readonly worker: number;
  /** Of its session on the target. */
  readonly connection: number;
  readonly transaction: string;
  /** No values. */
  readonly doing: string;
  readonly for_seconds: number;
  readonly attempt: number;
}

/** What one look does not tell: kept from look to look by the observer. */
export interface ChannelMemory {
  readonly history: ChannelHistory;
  readonly alarms: readonly Alarm[];
  /** Of each target. */
  readonly proven: readonly (ProvenUpTo | null)[];
}

export interface StatusMemory {
  readonly recent: readonly RecentEvent[];
  /** By name. */
  readonly channels: ReadonlyMap<string, ChannelMemory>;
}

export const NOTHING_REMEMBERED: StatusMemory = { recent: [], channels: new Map() };

export interface StatusFacts {
  readonly version: string;
  readonly pid: number;
  readonly startedWallMs: number;
  readonly nowWallMs: number;
  /** Monotonic, at the same moment. */
  readonly nowMs: number;
}

export function composeStatus(
  channels: readonly ChannelSnapshot[],
  facts: StatusFacts,
  memory: StatusMemory = NOTHING_REMEMBERED,
): Status {
  return {
    version: facts.version,
    pid: facts.pid,
    started_at: new Date(facts.startedWallMs).toISOString(),
    now: new Date(facts.nowWallMs).toISOString(),
    channels: channels.map((channel) => {
      return composeChannel(channel, facts, memory.channels.get(channel.name));
    }),
    recent: memory.recent,
  };
}

function composeChannel(
  snapshot: ChannelSnapshot,
  facts: StatusFacts,
  memory: ChannelMemory | undefined,
): ChannelStatus {
  const nowMs = facts.nowWallMs;
  const { reader } = snapshot;
  const status = reader.status;
  const targets = snapshot.targets.map((target, index) => {
    return composeTarget(snapshot, target, index, facts, memory);
  });
  const alarms = memory?.alarms ?? [];
  const view: ReaderView = {
    state: reader.state.at,
    reason: readerReason(snapshot, nowMs),
    retrieved_gtid_set: snapshot.machine.kind === null ? null : (status?.retrieved ?? null),
    source_file: status?.sourceFile ?? null,
    source_position: status?.sourcePosition ?? 0,
    transactions_received: status?.transactionsReceived ?? 0,
    bytes_received: status?.bytesReceived ?? 0,
    lag: readerLags(snapshot, facts.nowMs),
    contact_seconds:
      status?.contactAtMs == null ? null : Math.max(0, Math.round(facts.nowMs - status.contactAtMs)) / 1000,
    transactions_per_second: memory?.history.rate((sample) => sample.transactions) ?? null,
    bytes_per_second: memory?.history.rate((sample) => sample.bytes) ?? null,
    ...errorFields(causeOf(reader.state) ?? status?.lastError ?? null),
  };
  const state = channelState(snapshot, targets, alarms);
  return {
    name: snapshot.name,
    state,
    reason: state === 'running' ? null : channelReason(snapshot, view, targets, alarms),
    source: {
      host: snapshot.host,
      port: snapshot.port,
      server_uuid: status?.source.serverUuid ?? null,
      server_version: status?.source.serverVersion ?? null,
      clock: sourceClockView(status, facts.nowMs),
      head: sourceHead(snapshot, facts.nowMs),
      head_unknown: headUnknown(snapshot),
    },
    reader: view,
    relay_log: relayLogView(snapshot, status),
    targets,
    alarms,
  };
}

function sourceClockView(status: ReaderStatus | null, nowMs: number): SourceClockView | null {
  const clock = status?.sourceClock ?? null;
  if (clock === null) return null;
  return {
    offset_seconds: clock.offsetMs / 1000,
    error_seconds: Math.round(clock.errorMs * 1000) / 1e6,
    age_seconds: Math.max(0, Math.round(nowMs - clock.readAtMs)) / 1000,
    steps: clock.steps,
  };
}

function relayLogView({ room, targets }: ChannelSnapshot, status: ReaderStatus | null): RelayLogView {
  const longest = Math.max(0, ...targets.map(({ wishes, delayMs }) => wishes.delayMs ?? delayMs));
  return {
    file: status?.relayFile ?? null,
    position: status?.relayPosition ?? 0,
    bytes: status?.relayBytes ?? null,
    free_bytes: room?.freeBytes ?? null,
    bytes_per_second: room?.bytesPerSecond == null ? null : Math.round(room.bytesPerSecond),
    holds_seconds: room?.holdsMs == null ? null : Math.round(room.holdsMs / 1000),
    too_long_a_delay: tooLongADelay(room, longest),
  };
}

function composeTarget(
  snapshot: ChannelSnapshot,
  target: TargetSnapshot,
  index: number,
  facts: StatusFacts,
  memory: ChannelMemory | undefined,
): TargetStatus {
  const { status } = target;
  const proven = memory?.proven[index] ?? provenUpTo(null, snapshot, target, facts.nowMs);
  const lag = targetLags(snapshot, target, facts.nowMs, proven?.ms ?? null);
  const history = memory?.history;
  const held = target.state.at === 'running' ? heldUp(target) : null;
  const behind =
    lag.applied.transactions ?? notApplied(snapshot.machine.kind, status, snapshot.reader.status);
  return {
    name: target.name,
    host: target.host,
    port: target.port,
    state: held?.state ?? targetState(target.state),
    reason: held?.reason ?? targetReason(snapshot, target.state, facts.nowWallMs),
    answers: target.fresh && status !== null,
    mode: status?.mode ?? 'binlog',
    progress: status?.progress ?? null,
    executed_gtid_set: status?.executed ?? null,
    workers: status?.workers ?? target.workers,
    ...targetWishesStatus(target, behind),
    ...guardsView(target),
    lag_seconds: lag.total.seconds,
    lag_transactions: behind,
    transactions_applied: status?.transactionsApplied ?? 0,
    rows_applied: status?.rowsApplied ?? 0,
    lag,
    eta: etaOf({
      lagSeconds: lag.total.seconds,
      backlogBytes: lag.total.bytes ?? lag.applied.bytes,
      drainRate: history?.drainRate(index) ?? null,
      kept: held?.state ?? (status?.gate.is === 'due' ? 'delayed' : null),
    }),
    transactions_per_second: history?.rate((sample) => sample.targets[index]?.transactions) ?? null,
    rows_per_second: history?.rate((sample) => sample.targets[index]?.rows) ?? null,
    busy: target.fresh ? busyWorkers(status) : [],
    stuck: target.fresh && status !== null ? stuckOn(status) : null,
    filtered: {
      transactions_filtered: status?.filtered.transactions ?? 0,
      statements_filtered: status?.filtered.statements ?? 0,
      rows_filtered: status?.filtered.rows ?? 0,
      system_statements_skipped: status?.filtered.systemStatements ?? 0,
    },
    ...errorFields(causeOf(target.state) ?? status?.lastError ?? null),
  };
}

function busyWorkers(status: TargetSnapshot['status']): BusyWorker[] {
  return (status?.activity ?? []).map(({ worker, connection, transaction, doing, ageMs, attempt }) => {
    return { worker, connection, transaction, doing, for_seconds: Math.round(ageMs) / 1000, attempt };
  });
}

function channelState(
  snapshot: ChannelSnapshot,
  views: readonly TargetStatus[],
  alarms: readonly Alarm[],
): ChannelStateName {
  const { machine, reader, targets } = snapshot;
  const states = [reader.state, ...targets.map((target) => target.state)];
  if (machine.state.at === 'stopped' || states.every((state) => state.at === 'stopped')) return 'stopped';
  const kept = views.some(({ state }) => state === 'paused' || state === 'held');
  if (machine.resyncCause !== null || kept || states.some((state) => isTrouble(state))) return 'degraded';
  if (alarms.length > 0) return 'degraded';
  const running = reader.state.at === 'streaming' && targets.every((target) => target.state.at === 'running');
  return running ? 'running' : 'starting';
}

function isTrouble(state: ReaderState | ApplierState): boolean {
  return (
    state.at === 'backing-off' ||
    state.at === 'paused' ||
    state.at === 'stopping' ||
    state.at === 'stopped' ||
    (state.at === 'connecting' && state.attempt > 1)
  );
}

/** The first part that is not well speaks for the channel. */
function channelReason(
  snapshot: ChannelSnapshot,
  reader: ReaderView,
  targets: readonly TargetStatus[],
  alarms: readonly Alarm[],
): string | null {
  const { resyncCause } = snapshot.machine;
  if (resyncCause !== null) return `fetching the relay log again: ${errorLine(resyncCause)}`;
  if (reader.state !== 'streaming' && reader.reason !== null) return `reader: ${reader.reason}`;
  const target = targets.find(({ state, reason }) => state !== 'running' && reason !== null);
  if (target !== undefined) return `target ${target.name}: ${target.reason}`;
  return alarms[0]?.text ?? null;
}

function readerReason(snapshot: ChannelSnapshot, nowMs: number): string | null {
  const { reader, targets, machine } = snapshot;
  if (reader.state.at === 'idle') {
    if (machine.state.at !== 'asking') return reader.state.reason;
    const unknown = targets.filter((_, index) => {
      const slot = machine.targets[index]!;
      return slot.stopCause === null && !slot.fresh;
    });
    return `waiting to hear what ${unknown.map(({ name }) => name).join(', ')} has`;
  }
  return stateReason(reader.state, nowMs);
}

function targetReason(snapshot: ChannelSnapshot, state: ApplierState, nowMs: number): string | null {
  if (state.at !== 'idle') return stateReason(state, nowMs);
  return snapshot.machine.kind === null ? 'waiting for the reader to reach the source' : 'starting';
}

/** `backing-off, attempt 3, source closed the connection, retry in 4 s` */
export function stateReason(state: ReaderState | ApplierState, nowMs: number): string | null {
  switch (state.at) {
    case 'connecting':
      return state.attempt > 1 ? `connecting, attempt ${state.attempt}` : 'connecting';
    case 'backing-off': {
      const seconds = Math.max(0, Math.ceil((state.untilMs - nowMs) / 1000));
      return `backing-off, attempt ${state.attempt}, ${state.cause.message}, retry in ${seconds} s`;
    }
    case 'paused':
      return 'paused; millrace resume reader goes on';
    case 'stopping':
      return 'stopping';
    case 'stopped':
      return state.cause === null ? 'stopped' : `stopped, ${errorLine(state.cause)}`;
    default:
      return null;
  }
}

function targetState(state: ApplierState): TargetStatus['state'] {
  switch (state.at) {
    case 'idle':
      return 'connecting';
    case 'stopping':
      return 'stopped';
    default:
      return state.at;
  }
}

function causeOf(state: ReaderState | ApplierState): PlainError | null {
  return state.at === 'backing-off' || state.at === 'stopped' ? state.cause : null;
}

function errorFields(error: PlainError | null): LastError {
  return {
    last_error: error === null ? null : errorLine(error),
    last_error_code: error?.code ?? null,
    last_error_detail:
      error === null ? null : { message: error.message, hint: error.hint, facts: error.facts },
  };
}
