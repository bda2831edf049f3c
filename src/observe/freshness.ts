/**
 * The three lags as status tells them: source head → received → durable → applied, each in seconds, transactions and bytes.
 * Null wherever it is not known; 0 only on proof (lag.ts). Pure.
 */
import type { ApplierStatus } from '../applier/applier-messages.ts';
import { type PositionKind, parsePositionSet } from '../binlog/position-set.ts';
import type { ChannelSnapshot, TargetSnapshot } from '../channel/channel.ts';
import type { ReaderStatus } from '../reader/reader-messages.ts';
import { relayFileName } from '../relay/relay-log-index.ts';
import { behindAtMostSeconds, type LagFacts, lagSeconds, receivedLagSeconds } from './lag.ts';

export interface Lag {
  /** Of the oldest that is behind. */
  readonly seconds: number | null;
  readonly transactions: number | null;
  readonly bytes: number | null;
}

export interface SourceHeadView {
  readonly file: string | null;
  readonly position: number | null;
  readonly gtid_set: string | null;
  /** So long ago it was there. */
  readonly age_seconds: number;
}

export interface ReaderLags {
  /** What the source has and the relay log has not. */
  readonly received: Lag;
  /** What the relay log has and the disk has not. */
  readonly durable: Lag;
}

export interface TargetLags {
  /** What the relay log has and the target has not. */
  readonly applied: Lag;
  /** What the source has and the target has not. */
  readonly total: Lag;
  /** Everything that the source had so long ago is on the target; null: that was never proven. */
  readonly at_most_seconds: number | null;
}

const UNKNOWN: Lag = { seconds: null, transactions: null, bytes: null };
/** A head that was seen so long ago proves no 0. */
const HEAD_FRESH_MS = 2_000;

export function sourceHead({ reader }: ChannelSnapshot, nowMs: number): SourceHeadView | null {
  const head = reader.fresh && reader.status !== null ? agedReader(reader.status, nowMs).head : null;
  if (head === null) return null;
  return {
    file: head.file,
    position: head.position,
    gtid_set: head.executed,
    age_seconds: Math.round(head.ageMs) / 1000,
  };
}

export function headUnknown({ reader }: ChannelSnapshot): string | null {
  if (!reader.fresh || reader.status === null) return 'the reader thread does not answer';
  return reader.status.head === null ? (reader.status.headUnknown ?? 'not asked yet') : null;
}

export function readerLags(snapshot: ChannelSnapshot, nowMs: number): ReaderLags {
  const { reader, machine } = snapshot;
  if (!reader.fresh || reader.status === null) return { received: UNKNOWN, durable: UNKNOWN };
  const status = agedReader(reader.status, nowMs);
  const streams = reader.state.at === 'streaming';
  const { unsynced, head } = status;
  return {
    received: {
      seconds: receivedLagSeconds(status, streams, nowMs),
      transactions: provenCount(missing(machine.kind, status.retrieved, head?.executed), status),
      bytes: provenCount(head?.bytesAhead ?? null, status),
    },
    durable: {
      seconds: unsynced.ageMs === null ? 0 : Math.max(1, Math.round(unsynced.ageMs)) / 1000,
      transactions: unsynced.transactions,
      bytes: unsynced.bytes,
    },
  };
}

/** `upToMs`: the newest proof that is kept (`provenUpTo`), monotonic. */
export function targetLags(
  snapshot: ChannelSnapshot,
  target: TargetSnapshot,
  nowMs: number,
  upToMs: number | null,
): TargetLags {
  const atMost = upToMs === null ? null : Math.max(0, Math.round(nowMs - upToMs)) / 1000;
  const facts = lagFacts(snapshot, target, nowMs);
  const { status } = target;
  if (facts === null || !target.fresh || status === null) {
    return { applied: UNKNOWN, total: UNKNOWN, at_most_seconds: atMost };
  }
  const reader = agedReader(snapshot.reader.status!, nowMs);
  const ofHead = snapshot.reader.fresh ? reader.head : null;
  const kind = snapshot.machine.kind;
  const applied = notApplied(kind, status, reader);
  const ofSource = unless(
    hasPending(status),
    provenCount(missing(kind, status.executed, ofHead?.executed), reader),
  );
  return {
    applied: { seconds: appliedSeconds(facts, nowMs), transactions: applied, bytes: status.pendingBytes },
    total: {
      seconds: lagSeconds(facts, nowMs),
      // What is received since the source was asked counts as well.
      transactions: ofSource === null || applied === null ? ofSource : Math.max(ofSource, applied),
      bytes: provenCount(sum(ofHead?.bytesAhead ?? null, status.pendingBytes), reader),
    },
    at_most_seconds: atMost,
  };
}

/** Null: one of the two threads has never answered. */
export function lagFacts(snapshot: ChannelSnapshot, target: TargetSnapshot, nowMs: number): LagFacts | null {
  const { reader } = snapshot;
  if (target.status === null || reader.status === null) return null;
  const observed = target.fresh && reader.fresh && reader.state.at === 'streaming';
  const applied = agedTarget(target.status, nowMs);
  const held = holds(snapshot.machine.kind, applied, reader.status);
  return {
    ...applied,
    ...agedReader(reader.status, nowMs),
    observed,
    holdsReceived: held && !hasPending(applied),
  };
}

/** By positions it is not known whether anything lies between two of them: then the place in the relay log tells. */
function holds(
  kind: PositionKind | null,
  applied: ApplierStatus,
  { retrieved, ...reader }: ReaderStatus,
): boolean {
  if (kind !== 'position') return missing(kind, applied.executed, retrieved) === 0;
  const { appliedTo } = applied;
  if (appliedTo === null || reader.relayFile === null) return applied.executed === retrieved;
  const file = relayFileName(appliedTo.fileNumber);
  return file === reader.relayFile && appliedTo.offset >= reader.relayPosition;
}

/** Everything that the source had at `ms` (monotonic) is on the target, which then had `executed`. */
export interface ProvenUpTo {
  readonly ms: number;
  readonly executed: string | null;
}

/**
 * The newest proof for a target, kept from look to look: it stays true while a thread hangs or is gone, and only gets older. What
 * the last words of an applier that does not answer would prove together with a newer word of the reader is not asked: it is
 * not known to be at work. A target that went back to an older state has no proof.
 */
export function provenUpTo(
  before: ProvenUpTo | null,
  snapshot: ChannelSnapshot,
  target: TargetSnapshot,
  nowMs: number,
): ProvenUpTo | null {
  const { status } = target;
  const facts = lagFacts(snapshot, target, nowMs);
  if (!target.fresh || status === null || facts === null) return before;
  const executed = status.executed ?? before?.executed ?? null;
  const wentBack = before !== null && missing(snapshot.machine.kind, status.executed, before.executed) !== 0;
  const kept = before === null || (wentBack && status.executed !== null) ? null : before.ms;
  const behind = behindAtMostSeconds(facts, nowMs);
  const now = behind === null ? null : nowMs - behind * 1000;
  if (kept === null && now === null) return null;
  return { ms: Math.max(kept ?? Number.NEGATIVE_INFINITY, now ?? Number.NEGATIVE_INFINITY), executed };
}

/** As it is by now: what a thread said a while ago has become older since. */
function agedReader(status: ReaderStatus, nowMs: number): ReaderStatus {
  const sinceMs = Math.max(0, nowMs - status.takenAtMs);
  const { head } = status;
  return {
    ...status,
    proofAgeMs: older(status.proofAgeMs, sinceMs),
    missingAgeMs: older(status.missingAgeMs, sinceMs),
    head: head === null ? null : { ...head, ageMs: head.ageMs + sinceMs },
  };
}

function agedTarget(status: ApplierStatus, nowMs: number): ApplierStatus {
  return { ...status, pendingAgeMs: older(status.pendingAgeMs, Math.max(0, nowMs - status.takenAtMs)) };
}

function older(ageMs: number | null, sinceMs: number): number | null {
  return ageMs === null ? null : ageMs + sinceMs;
}

function appliedSeconds(facts: LagFacts, nowMs: number): number | null {
  // Nothing of the source is needed for it: what is received is the measure.
  const received: LagFacts = { ...facts, observed: true, missingAgeMs: null };
  if (facts.pendingCommitMicros !== null) return lagSeconds(received, nowMs);
  return facts.caughtUpWithRelay && facts.holdsReceived ? 0 : null;
}

/** Transactions of `there` that are not in `here`; null: unknown. */
export function missing(
  kind: PositionKind | null,
  here: string | null | undefined,
  there: string | null | undefined,
): number | null {
  if (kind === null || here == null || there == null) return null;
  if (here === there) return 0;
  const count = parsePositionSet(kind, here).missingFrom(parsePositionSet(kind, there));
  return count === null ? null : Number(count);
}

/** A head of a while ago proves that something is missing, not that nothing is. */
function provenCount(count: number | null, { head }: Pick<ReaderStatus, 'head'>): number | null {
  return count === 0 && (head === null || head.ageMs > HEAD_FRESH_MS) ? null : count;
}

/** Transactions that are received and not applied; null: unknown, or the applier has seen more than the reader had told of. */
export function notApplied(
  kind: PositionKind | null,
  applied: ApplierStatus | null,
  reader: ReaderStatus | null,
): number | null {
  if (applied === null) return null;
  return unless(hasPending(applied), missing(kind, applied.executed, reader?.retrieved));
}

function hasPending({ pendingBytes }: ApplierStatus): boolean {
  return (pendingBytes ?? 0) > 0;
}

/** No 0 while it is known to be untrue. */
function unless(untrue: boolean, count: number | null): number | null {
  return count === 0 && untrue ? null : count;
}

function sum(a: number | null, b: ApplierStatus['pendingBytes']): number | null {
  return a === null || b === null ? null : a + b;
}
