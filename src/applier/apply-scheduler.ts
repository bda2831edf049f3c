/**
 * Which unit of work (a transaction, or several that commit together) may run next: what it may conflict with, windows. No
 * I/O, no timers.
 *
 * A unit says what it must not overlap with in one of three ways (`Conflicts`):
 *   clock     T (last_committed, sequence_number) may start when every transaction with a sequence_number up to
 *             T.last_committed has committed (MySQL's LOGICAL_CLOCK rule, sql/rpl_mta_submode.cc); a clock that begins anew
 *             waits for everything of the clock before
 *   keys      two units that change a key in common may not overlap
 *   barrier   it runs alone (DDL, XA, statements, a transaction too large for memory)
 * Units that say it in different ways may not overlap.
 *
 * Dispatch never skips the head
 * of the queue: everything dispatched before T stands before T in the source, so looking at what is in flight decides,
 * and a head that waits can never be waited for by something behind it (no dead-lock by order).
 *
 * Windows. Inside a window independent transactions commit in any order; a window is closed by its size and the next
 * one opens only when nothing is in flight, so every window's end is a consistent prefix of the source. With nearly
 * nothing queued (few transactions, and few bytes) the window is one transaction: the source's order is kept when caught up.
 *   commit_order window → up to `windowMax`; any → no windows, the logical clock alone; source → neither, but whoever is
 *   done waits with its COMMIT until it is the first (commit-turns.ts).
 *
 * Standing alone. A transaction that failed may ask for a second try after everything before it has committed and
 * with nothing else running (`standAlone`): an error is believed only then, or when nothing ran beside it from its start
 * to its failure (`ranAlone`), since a key that exists on the target alone can make two transactions depend on each other
 * that the source's clock calls independent.
 *
 * Invariants
 *  - `lowWaterMark` counts the longest prefix, in admission order, of which every transaction is committed.
 *  - The sum of admitted, not yet committed bytes stays below `bytesMax`, or there is exactly one such transaction.
 */
import { assert } from '../base/errors.ts';
import { Fifo } from '../base/fifo.ts';

export interface ClockConflicts {
  readonly by: 'clock';
  /** Names the clock that the numbers belong to: they restart with every binary log file of the source. */
  readonly clock: number;
  readonly lastCommitted: number;
  /** Of its first and of its last transaction: one number for a single one. */
  readonly firstSequence: number;
  readonly sequenceNumber: number;
}

export interface KeyConflicts {
  readonly by: 'keys';
  /** Hashes of what it changes. */
  readonly keys: ReadonlySet<bigint>;
}

export interface Barrier {
  readonly by: 'barrier';
  readonly why: string;
}

export type Conflicts = ClockConflicts | KeyConflicts | Barrier;

export interface Schedulable {
  /** Position in admission order, counted from 0 without gaps. */
  readonly ordinal: number;
  readonly conflicts: Conflicts;
  /** Memory held until it is committed. */
  readonly bytes: number;
}

export interface SchedulerLimits {
  readonly workers: number;
  readonly commitOrder: 'source' | 'window' | 'any';
  readonly windowMax: number;
  readonly bytesMax: number;
  readonly transactionsMax: number;
}

export class ApplyScheduler<T extends Schedulable> {
  /** In flight at a time: as many as there are sessions, which may be more than workers. */
  unitsMax: number;
  readonly #limits: SchedulerLimits;
  /** Admitted, not committed; place 0 has ordinal #firstOrdinal. A committed one is null until it can leave. */
  readonly #pending = new Fifo<T | null>();
  #firstOrdinal = 0;
  /** Place in #pending of the next transaction to dispatch. */
  #next = 0;
  readonly #inFlight = new Set<T>();
  readonly #alone: T[] = [];
  /** In flight, and at some time beside another one. */
  readonly #beside = new Set<T>();
  #bytes = 0;
  #inWindow = 0;

  constructor(limits: SchedulerLimits) {
    assert(limits.workers >= 1, 'at least one worker');
    this.#limits = limits;
    this.unitsMax = limits.workers;
  }

  get canAdmit(): boolean {
    return (
      this.#pending.length === 0 ||
      (this.#bytes < this.#limits.bytesMax && this.#pending.length < this.#limits.transactionsMax)
    );
  }

  admit(transaction: T): void {
    assert(transaction.ordinal === this.#firstOrdinal + this.#pending.length, 'ordinals have no gaps');
    this.#pending.push(transaction);
    this.#bytes += transaction.bytes;
  }

  /** What was admitted and has not started, in order: as if it had never been admitted. */
  takeBack(): T[] {
    // A transaction is nulled only after it was dispatched.
    const back = this.#pending.cut(this.#next) as T[];
    for (const { bytes } of back) this.#bytes -= bytes;
    return back;
  }

  /** The next transaction that may start now, or null. The caller starts it at once. */
  takeReady(): T | null {
    const head = this.#pending.at(this.#next);
    if (head === undefined || head === null || this.#alone.length > 0) return null;
    if (!this.#mayStart(head)) return null;
    if (this.#inFlight.size === 0) this.#inWindow = 0;
    this.#next += 1;
    this.#inWindow += 1;
    this.#inFlight.add(head);
    if (this.#inFlight.size > 1) for (const running of this.#inFlight) this.#beside.add(running);
    return head;
  }

  #mayStart(head: T): boolean {
    if (this.#inFlight.size === 0) return true;
    if (this.#inFlight.size >= this.unitsMax) return false;
    if (this.#inWindow >= this.#windowSize()) return false;
    for (const running of this.#inFlight) {
      if (mustNotOverlap(running.conflicts, head.conflicts)) return false;
    }
    return true;
  }

  #windowSize(): number {
    switch (this.#limits.commitOrder) {
      case 'source':
      case 'any':
        return Number.POSITIVE_INFINITY;
      case 'window': {
        const queued = this.#pending.length - this.#next;
        if (queued >= 2 * this.#limits.workers || this.#inWindow > 1) return this.#limits.windowMax;
        // Of large transactions the queue holds few.
        let bytes = 0;
        for (let place = this.#next; place < this.#pending.length; place++) {
          bytes += this.#pending.at(place)!.bytes;
        }
        return bytes >= this.#limits.bytesMax / 2 ? this.#limits.windowMax : 1;
      }
    }
  }

  /** `transaction` is committed on the target (or was found there). */
  committed(transaction: T): void {
    assert(this.#inFlight.delete(transaction), 'only a dispatched transaction commits');
    this.#beside.delete(transaction);
    const waiting = this.#alone.indexOf(transaction);
    if (waiting >= 0) this.#alone.splice(waiting, 1);
    this.#bytes -= transaction.bytes;
    this.#pending.set(transaction.ordinal - this.#firstOrdinal, null);
    let done = 0;
    while (done < this.#next && this.#pending.at(done) === null) done += 1;
    this.#pending.drop(done);
    this.#firstOrdinal += done;
    this.#next -= done;
  }

  /** `transaction` was rolled back and is not tried again: the applier stops, and nothing is dispatched any more. */
  givenUp(transaction: T): void {
    assert(this.#inFlight.delete(transaction), 'only a dispatched transaction is given up');
    this.#beside.delete(transaction);
    const waiting = this.#alone.indexOf(transaction);
    if (waiting >= 0) this.#alone.splice(waiting, 1);
  }

  /**
   * `transaction` failed, was rolled back and holds nothing; it wants to run alone. Nothing new is dispatched until it is
   * committed. Ask `mayStandAlone` after every change.
   */
  standAlone(transaction: T): void {
    assert(this.#inFlight.has(transaction), 'only a dispatched transaction fails');
    if (!this.#alone.includes(transaction)) this.#alone.push(transaction);
  }

  /** Everything before it is committed and whatever else is in flight waits, holding nothing. */
  mayStandAlone(transaction: T): boolean {
    if (!this.isFirst(transaction)) return false;
    for (const running of this.#inFlight) if (!this.#alone.includes(running)) return false;
    return true;
  }

  /** Everything before it is committed. */
  isFirst(transaction: T): boolean {
    return transaction.ordinal === this.#firstOrdinal;
  }

  /** Everything before it was committed when it started, and nothing has started beside it. */
  ranAlone(transaction: T): boolean {
    return this.isFirst(transaction) && !this.#beside.has(transaction);
  }

  get idle(): boolean {
    return this.#pending.length === 0;
  }

  get inFlight(): number {
    return this.#inFlight.size;
  }

  /** Number of transactions, from the first admitted, that are all committed. */
  get lowWaterMark(): number {
    return this.#firstOrdinal;
  }

  /** The oldest transaction that is not committed. */
  get oldest(): T | null {
    return this.#pending.at(0) ?? null;
  }
}

/** `later` stands behind `earlier` in the source. */
function mustNotOverlap(earlier: Conflicts, later: Conflicts): boolean {
  if (earlier.by === 'clock' && later.by === 'clock') {
    return earlier.clock !== later.clock || earlier.firstSequence <= later.lastCommitted;
  }
  if (earlier.by === 'keys' && later.by === 'keys') return haveCommon(earlier.keys, later.keys);
  return true;
}

function haveCommon(one: ReadonlySet<bigint>, other: ReadonlySet<bigint>): boolean {
  const [few, many] = one.size <= other.size ? [one, other] : [other, one];
  for (const key of few) if (many.has(key)) return true;
  return false;
}
