/**
 * Whether the next transaction of the relay log may be applied now. Asked in the relay log's order, between assembler and
 * scheduler; what must wait holds up everything behind it, so what is admitted is always a prefix of the log.
 *
 *   paused            nothing is admitted
 *   until             reached: nothing is admitted
 *   scout             guards are on, and their scout has not looked at it yet
 *   held              a guard has found something in it, and nobody has approved it
 *   due               its time has not come
 *   skipped           admitted, and committed as an empty transaction under its own name
 *   else              admitted
 *
 * The first of these that holds is the answer. Skipping and approving answer what a guard asks, so neither is held; both
 * wait until they are due, since a delayed target shows the source as it was.
 *
 * Pure but for the clock. Decided anew as often as it is asked: nothing is remembered from one decision to the next, so that
 * a restart at any moment comes to the same result.
 */
import {
  FilePositionSet,
  type PositionKind,
  type TransactionId,
  transactionIdText,
} from '../binlog/position-set.ts';
import { parseTransactionIdText } from '../binlog/transaction-id.ts';
import type { RelayPosition } from '../relay/published-end.ts';
import type { GuardRules } from '../rules/guard-rules.ts';
import type { DueClock } from './due-clock.ts';
import type { GuardMatch, GuardScout } from './guard-scout.ts';
import type { TargetControl, Until } from './target-control.ts';

/** What the next transaction waits for. */
export type Gate =
  | { readonly is: 'open' }
  | { readonly is: 'paused' }
  | { readonly is: 'until'; readonly until: Until }
  | { readonly is: 'scout' }
  | { readonly is: 'held'; readonly match: GuardMatch }
  | { readonly is: 'due'; readonly dueInMs: number };

export const OPEN: Gate = { is: 'open' };

export type Verdict =
  | { readonly is: 'admit' }
  /** Under its own name, and with nothing in it. */
  | { readonly is: 'skip'; readonly reason: string }
  | { readonly is: 'wait'; readonly gate: Gate };

const ADMIT: Verdict = { is: 'admit' };

export interface Candidate {
  readonly id: TransactionId;
  readonly location: RelayPosition;
  readonly commitMicros: bigint | null;
}

export interface AdmissionRules {
  readonly control: TargetControl;
  /** As configured; the control's goes before it. */
  readonly delayMs: number;
  readonly onGuard: GuardRules['onGuard'];
}

export interface AdmissionSurroundings {
  readonly due: DueClock;
  /** Null: no guard is on. */
  readonly scout: GuardScout | null;
  /** What `until` names is executed on the target, or was admitted. */
  isUntilPassed(): boolean;
}

export class Admission {
  readonly #rules: AdmissionRules;
  readonly #around: AdmissionSurroundings;
  readonly #delayMs: number;
  readonly #skipped: ReadonlyMap<string, string>;
  readonly #approved: ReadonlySet<string>;
  /** Of the until that names a transaction. */
  readonly #untilId: TransactionId | null;

  constructor(kind: PositionKind, rules: AdmissionRules, around: AdmissionSurroundings) {
    const { control, delayMs } = rules;
    this.#rules = rules;
    this.#around = around;
    this.#delayMs = control.delayMs ?? delayMs;
    this.#skipped = new Map(control.skipped.map(({ id, reason }) => [id, reason]));
    this.#approved = new Set(control.approved);
    this.#untilId = untilTransaction(kind, control.until);
  }

  decide(candidate: Candidate): Verdict {
    const gate = this.#gate(candidate);
    if (gate !== null) return { is: 'wait', gate };
    if (this.#skipped.size === 0) return ADMIT;
    const reason = this.#skipped.get(transactionIdText(candidate.id));
    return reason === undefined ? ADMIT : { is: 'skip', reason };
  }

  /** Where nothing is next: what the next one would wait for in any case. */
  standing(): Gate {
    return this.#closed(null) ?? OPEN;
  }

  /** The place where the operator wants to stop is reached, paused or not. `next` null: nothing is. */
  hasReachedUntil(next: Candidate | null): boolean {
    const { until } = this.#rules.control;
    return until !== null && this.#reached(until, next);
  }

  #closed(next: Candidate | null): Gate | null {
    const { paused, until } = this.#rules.control;
    if (paused) return { is: 'paused' };
    return until !== null && this.#reached(until, next) ? { is: 'until', until } : null;
  }

  #gate(candidate: Candidate): Gate | null {
    const closed = this.#closed(candidate);
    if (closed !== null) return closed;
    const { scout, due } = this.#around;
    if (scout !== null) {
      if (!scout.hasPassed(candidate.location)) return { is: 'scout' };
      const match = this.#unanswered(scout, candidate.id);
      if (match !== null) return { is: 'held', match };
    }
    if (this.#delayMs === 0) return null;
    const dueInMs = due.dueInMs(candidate.commitMicros, this.#delayMs);
    return dueInMs > 0 ? { is: 'due', dueInMs } : null;
  }

  #unanswered(scout: GuardScout, id: TransactionId): GuardMatch | null {
    if (this.#rules.onGuard !== 'hold') return null;
    const text = transactionIdText(id);
    return this.#approved.has(text) || this.#skipped.has(text) ? null : scout.match(text);
  }

  #reached(until: Until, next: Candidate | null): boolean {
    if (until.is === 'time') {
      const micros = next?.commitMicros ?? null;
      return micros !== null && micros >= BigInt(until.ms) * 1000n;
    }
    const named = this.#untilId;
    if (named === null) return false;
    // Also before it: what is passed cannot be stopped at any more, and going on would be the worse surprise.
    if (this.#around.isUntilPassed()) return true;
    return until.is === 'before' && next !== null && reaches(next.id, named);
  }
}

/** The transaction that it names; null: none, or none that a source of this kind could have. */
export function untilTransaction(kind: PositionKind, until: Until | null): TransactionId | null {
  if (until === null || until.is === 'time') return null;
  const id = parseTransactionIdText(until.id);
  return id.kind === kind ? id : null;
}

/**
 * The transaction is the one that is named, or the first at or after that place: MariaDB's sequence numbers have holes, and
 * a position may lie inside of a transaction.
 */
export function reaches(candidate: TransactionId, named: TransactionId): boolean {
  if (candidate.kind === 'mariadb' && named.kind === 'mariadb') {
    return candidate.domainId === named.domainId && candidate.seqNo >= named.seqNo;
  }
  if (candidate.kind === 'position' && named.kind === 'position') {
    return FilePositionSet.at(candidate.file, candidate.position).has(named);
  }
  return transactionIdText(candidate) === transactionIdText(named);
}
