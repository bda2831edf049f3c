/**
 * The way of transactions from the relay log into the scheduler, past the admission; and which prefix of the log is executed.
 *
 *   assembler ──▶ (returned) ──▶ slot ── admission ──▶ units ──▶ scheduler
 *
 * One transaction at most waits in the slot for its admission, and nothing behind it is read. When the operator's wishes
 * change, what was admitted and has not started is taken back and decided upon again, in order: a wish takes effect at the
 * border of what is in flight, however much was read ahead.
 *
 * Invariants
 *  - What is admitted, executed and waiting stands in the relay log's order, without gaps.
 *  - `prefix` grows only by transactions of which all before them are committed.
 *  - Memory: what was taken back is below the scheduler's limits, and nothing is read while there is some of it.
 */
import { Fifo } from '../base/fifo.ts';
import {
  type PositionKind,
  type PositionSet,
  type TransactionId,
  transactionIdText,
} from '../binlog/position-set.ts';
import { parseTransactionIdText } from '../binlog/transaction-id.ts';
import type { RelayPosition } from '../relay/published-end.ts';
import type { Executed } from '../target/progress.ts';
import { Admission, type Gate, OPEN, reaches, untilTransaction } from './admission.ts';
import type { ApplierSettings, ExecutedIds, Lateness, LatenessQuestion } from './applier-messages.ts';
import type { ApplyScheduler } from './apply-scheduler.ts';
import { type ApplyUnit, type ClosedUnit, UnitBuilder } from './apply-unit.ts';
import type { DueClock } from './due-clock.ts';
import type { GuardScout } from './guard-scout.ts';
import type { TargetControl } from './target-control.ts';
import type { Transaction } from './transaction.ts';
import type { Assembled } from './transaction-assembler.ts';

/** Transactions passed over because they are executed; then the prefix is moved, so that they are not kept. */
const PASSED_MAX = 4096;
/** Transactions that commit together hold no more than this. */
const UNIT_BYTES = 1024 * 1024;

/** The assembler, as far as this needs it. */
export interface TransactionSource {
  next(): Assembled;
  /** The transaction is committed, and nobody reads its events any more. */
  giveBack(transaction: Transaction): void;
  /** The oldest relay file that is still being read. */
  readonly fileNumber: number;
  /** Where the transaction begins that comes next. */
  readonly place: RelayPosition;
}

export interface IntakeSurroundings {
  readonly kind: PositionKind;
  readonly scheduler: ApplyScheduler<ApplyUnit>;
  /** Transactions in one commit at most. */
  readonly coalesce: number;
  /** Units may follow each other in one session (apply-worker.ts). */
  readonly follow: boolean;
  readonly due: DueClock;
  /** Asked at each change of the settings. Null: no guard is on. */
  scout(): GuardScout | null;
}

/** An entry of what is to become part of the executed prefix: not before the first `after` units are all committed. */
interface Passed {
  readonly id: TransactionId;
  /** Units. */
  readonly after: number;
  /** How it was admitted here; else it was executed before. */
  readonly admitted: 'as it is' | 'empty' | null;
  readonly commitMicros: bigint | null;
}

type Returned = Extract<Assembled, { is: 'transaction' | 'executed' }>;

/** Why nothing more was admitted. */
export type Filled =
  /** The scheduler has enough. */
  | 'full'
  /** The published end is reached. */
  | 'end'
  /** There is more to read, after others had their turn. */
  | 'slice'
  /** A transaction waits for its admission: see `gate`. */
  | 'waiting';

export class ApplyIntake {
  /** The executed prefix: grows in the relay log's order. */
  readonly prefix: PositionSet;
  readonly #scheduler: ApplyScheduler<ApplyUnit>;
  readonly #units: UnitBuilder;
  readonly #around: IntakeSurroundings;
  readonly #executed: Executed;
  #source: TransactionSource | null = null;
  #admission: Admission;
  #slot: Transaction | null = null;
  #returned: Returned[] = [];
  readonly #passed = new Fifo<Passed>();
  /** Units that the scheduler was given. */
  #scheduled = 0;
  #atEnd = false;
  #gate: Gate = OPEN;
  /** Source commit time of the newest transaction of the prefix, as far as it was seen. */
  #prefixMicros: bigint | null = null;
  /** What `until` names, and whether it is executed or admitted: kept, since each transaction asks for it. */
  #untilId: TransactionId | null = null;
  #untilPassed = false;
  /** Told when they become part of the prefix. */
  #watched: ReadonlySet<string> = new Set();
  /** Those of them that are to be skipped. */
  #skipped: ReadonlySet<string> = new Set();
  #committed: string[] = [];
  #found: string[] = [];
  #missing: string[] = [];

  /** `executed`: what the target had when it was taken over; not changed. */
  constructor(executed: Executed, settings: ApplierSettings, around: IntakeSurroundings) {
    this.#around = around;
    this.#scheduler = around.scheduler;
    this.#units = new UnitBuilder(around.coalesce, UNIT_BYTES, around.follow);
    this.#executed = executed;
    this.prefix = executed.set.clone();
    this.#admission = this.#admissionBy(settings);
    this.#watch(settings.control);
    this.#missing = [...executed.settled].filter((id) => !this.#isExecuted(id));
  }

  readFrom(source: TransactionSource): void {
    this.#source = source;
  }

  /** From now on, also for what was admitted before and has not started. */
  admitBy(settings: ApplierSettings): void {
    this.takeBack();
    this.#admission = this.#admissionBy(settings);
    this.#watch(settings.control);
  }

  #admissionBy({ control, delayMs, guards }: ApplierSettings): Admission {
    const { kind, due, scout } = this.#around;
    return new Admission(
      kind,
      { control, delayMs, onGuard: guards.onGuard },
      { due, scout: scout(), isUntilPassed: () => this.#untilPassed },
    );
  }

  #watch({ approved, skipped, until }: TargetControl): void {
    this.#untilId = untilTransaction(this.#around.kind, until);
    this.#untilPassed = this.#untilId !== null && this.#isUntilPassed(this.#untilId);
    const before = this.#watched;
    this.#skipped = new Set(skipped.map(({ id }) => id));
    this.#watched = new Set([...approved, ...this.#skipped]);
    for (const id of this.#watched) if (!before.has(id) && this.#isExecuted(id)) this.#found.push(id);
  }

  /** True as long as nothing more is admitted. What was admitted and has not started is taken back, and does not count. */
  lateness({ until, about }: LatenessQuestion): Lateness {
    this.takeBack();
    const passed = about.filter((id) => this.isPassed(parseTransactionIdText(id)));
    if (until?.is === 'time') return { passed, untilPassed: this.#isTimePassed(until.ms) };
    const named = untilTransaction(this.#around.kind, until);
    return { passed, untilPassed: named !== null && this.#isUntilPassed(named) };
  }

  #isExecuted(text: string): boolean {
    const id = parseTransactionIdText(text);
    return id.kind === this.prefix.kind && (this.prefix.has(id) || this.#executed.above.has(text));
  }

  /** What the next transaction waits for, when it was last asked. */
  get gate(): Gate {
    return this.#gate;
  }

  get untilReached(): boolean {
    return this.#admission.hasReachedUntil(this.next);
  }

  /** Everything up to this end of the relay log is admitted; also while nothing is read, and the log grows. */
  isAtEnd(published: RelayPosition): boolean {
    const place = this.#source?.place ?? null;
    if (!this.#atEnd || this.next !== null || place === null) return false;
    return place.fileNumber === published.fileNumber && place.offset === published.offset;
  }

  /** The transaction that waits for its admission, or would be asked for next. */
  get next(): Transaction | null {
    if (this.#slot !== null) return this.#slot;
    for (const each of this.#returned) if (each.is === 'transaction') return each.transaction;
    return null;
  }

  /** The oldest transaction that is admitted and not known to be committed. */
  get oldest(): Transaction | null {
    return this.#scheduler.oldest?.members[0] ?? this.#units.oldest;
  }

  /** Where the transaction begins that is decided upon next; null: nothing is read yet. */
  get place(): RelayPosition | null {
    return this.next?.location ?? this.#source?.place ?? null;
  }

  /** Everything before it in the relay log is applied; null: not known yet. */
  get appliedTo(): RelayPosition | null {
    return (this.oldest ?? this.next)?.location ?? this.#source?.place ?? null;
  }

  /** The oldest relay file that is still needed; 0: not known yet. */
  get neededFile(): number {
    const oldest = this.oldest ?? this.next;
    return oldest?.location.fileNumber ?? this.#source?.fileNumber ?? 0;
  }

  /** It is executed on the target, in flight, or admitted. */
  isPassed(id: TransactionId): boolean {
    const text = transactionIdText(id);
    if (this.#isExecuted(text)) return true;
    return this.#somePassed(({ id }) => transactionIdText(id) === text);
  }

  /** Also by one behind it: the name may be a number that was never used, or a place inside a transaction. */
  #isUntilPassed(named: TransactionId): boolean {
    return this.#isExecuted(transactionIdText(named)) || this.#somePassed(({ id }) => reaches(id, named));
  }

  /** Something that the source committed at or after `ms` is. */
  #isTimePassed(ms: number): boolean {
    const micros = BigInt(ms) * 1000n;
    if (this.#prefixMicros !== null && this.#prefixMicros >= micros) return true;
    return this.#somePassed(({ commitMicros }) => commitMicros !== null && commitMicros >= micros);
  }

  /** Fills the scheduler as far as it goes. `end`: so far is published, or further by now. */
  fill(end: RelayPosition): Filled {
    this.#scheduler.unreadBytes = 0;
    while (this.#scheduler.canAdmit) {
      const next = this.#take();
      switch (next.is) {
        case 'end':
          this.#schedule(this.#units.close());
          this.#atEnd = true;
          this.#gate = this.#admission.standing();
          this.advance();
          return 'end';
        case 'slice':
          // Perhaps in the midst of a transaction, which is nowhere else to be seen yet.
          this.#atEnd = false;
          this.#scheduler.unreadBytes = bytesBefore(end, this.#source!.place);
          return 'slice';
        case 'executed':
          this.#schedule(this.#units.close());
          this.#pass(next.id, null, next.commitMicros);
          if (this.#passed.length % PASSED_MAX === 0) this.advance();
          break;
        case 'transaction':
          this.#atEnd = false;
          if (!this.#admit(next.transaction)) {
            this.#schedule(this.#units.close());
            this.advance();
            return 'waiting';
          }
          break;
      }
    }
    this.#atEnd = false;
    return 'full';
  }

  #take(): Assembled {
    const slot = this.#slot;
    if (slot !== null) {
      this.#slot = null;
      return { is: 'transaction', transaction: slot };
    }
    return this.#returned.shift() ?? this.#source!.next();
  }

  #admit(transaction: Transaction): boolean {
    const verdict = this.#admission.decide(transaction);
    if (verdict.is === 'wait') {
      this.#slot = transaction;
      this.#gate = verdict.gate;
      return false;
    }
    this.#gate = OPEN;
    const skip = verdict.is === 'skip' ? verdict.reason : null;
    this.#schedule(this.#units.add(transaction.skip === skip ? transaction : { ...transaction, skip }));
    this.#pass(transaction.id, skip === null ? 'as it is' : 'empty', transaction.commitMicros);
    return true;
  }

  #schedule(units: readonly ClosedUnit[]): void {
    for (const { conflicts, bytes, members, mayFollow } of units) {
      this.#scheduler.admit({ ordinal: this.#scheduled++, conflicts, bytes, members, mayFollow });
    }
  }

  /** The last transaction stands in the last unit, or in the one that is still open. */
  #pass(id: TransactionId, admitted: Passed['admitted'], commitMicros: bigint | null): void {
    const after = this.#scheduled + (this.#units.waiting > 0 ? 1 : 0);
    this.#passed.push({ id, after, admitted, commitMicros });
    if (this.#untilId !== null && reaches(id, this.#untilId)) this.#untilPassed = true;
  }

  /** What was admitted and has not started is decided upon again. */
  takeBack(): void {
    const units = this.#scheduler.takeBack();
    const back = [...units.flatMap(({ members }) => members), ...this.#units.takeBack()];
    if (back.length === 0) return;
    this.#scheduled -= units.length;
    const taken = this.#passed.cut(this.#countPassed(this.#scheduled));
    const returned: Returned[] = taken.map(({ id, admitted, commitMicros }) => {
      if (admitted === null) return { is: 'executed', id, commitMicros };
      return { is: 'transaction', transaction: back.shift()! };
    });
    if (this.#slot !== null) returned.push({ is: 'transaction', transaction: this.#slot });
    this.#slot = null;
    this.#returned = [...returned, ...this.#returned];
  }

  /** It is committed on the target: nobody reads its events any more. */
  committed(unit: ApplyUnit): void {
    this.#scheduler.committed(unit);
    for (const member of unit.members) this.#source!.giveBack(member);
  }

  /** Moves the executed prefix up to the scheduler's low-water mark. Returns by how many transactions. */
  advance(): number {
    const count = this.#countPassed(this.#scheduler.lowWaterMark);
    for (let place = 0; place < count; place++) {
      const { id, admitted, commitMicros } = this.#passed.at(place)!;
      this.prefix.add(id);
      if (commitMicros !== null && commitMicros > (this.#prefixMicros ?? 0n))
        this.#prefixMicros = commitMicros;
      if (admitted !== null && this.#watched.size > 0) this.#notice(transactionIdText(id), admitted);
    }
    this.#passed.drop(count);
    return count;
  }

  /** Of those in #passed, how many wait for the first `units` units at most. */
  #countPassed(units: number): number {
    let count = 0;
    for (let next = this.#passed.at(0); next !== undefined && next.after <= units; ) {
      count += 1;
      next = this.#passed.at(count);
    }
    return count;
  }

  #somePassed(is: (passed: Passed) => boolean): boolean {
    for (const passed of this.#passed) if (is(passed)) return true;
    return false;
  }

  /** A wish to skip may have come when it was in flight as it is: then it is only found executed. */
  #notice(id: string, admitted: 'as it is' | 'empty'): void {
    if (!this.#watched.has(id)) return;
    const asWished = admitted === 'empty' || !this.#skipped.has(id);
    (asWished ? this.#committed : this.#found).push(id);
  }

  /** What became of watched ids since the last call; null: nothing. */
  takeExecuted(): ExecutedIds | null {
    const ids = { committed: this.#committed, found: this.#found, missing: this.#missing };
    if (ids.committed.length + ids.found.length + ids.missing.length === 0) return null;
    this.#committed = [];
    this.#found = [];
    this.#missing = [];
    return ids;
  }
}

/** Of the relay log; of more than a file no more is known than that it is much. */
function bytesBefore(end: RelayPosition, place: RelayPosition): number {
  return end.fileNumber > place.fileNumber
    ? Number.POSITIVE_INFINITY
    : Math.max(0, end.offset - place.offset);
}
