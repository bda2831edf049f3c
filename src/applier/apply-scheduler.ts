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
 * nothing queued (few transactions, and few bytes, with those still to be read) the window is one transaction: the source's order
 * is kept when caught up.
 *   commit_order window → up to `windowMax`; any → no windows, the logical clock alone; source → neither, but short ones follow
 *   each other in one session (see chains), and others wait with their COMMIT until they are the first (commit-turns.ts).
 *
 * Chains. What must wait for others may be sent without waiting where all of them are in one session: behind the last of them, in
 * the source's order, and undone when one before it fails (apply-worker.ts). With nearly nothing queued, and with commit_order
 * source, only where everything in flight is in that session: then it is the order of commits too.
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
  /** It can be sent directly behind another one in the same session, and another one behind it. */
  readonly mayFollow: boolean;
}

export interface SchedulerLimits {
  readonly workers: number;
  readonly commitOrder: 'source' | 'window' | 'any';
  readonly windowMax: number;
  readonly bytesMax: number;
  readonly transactionsMax: number;
}

/** Takes about as long as its COMMIT: with commit_order source there is little to do side by side. */
const SHORT_BYTES = 16 * 1024;
/** On average: a thousand rows wait for the disk as well (5.56 s became 5.21 s with 16 sessions and more instead of 8, 4 rounds). */
const SHORT_FOR_DISK_BYTES = 512 * 1024;

export interface Started<T> {
  readonly unit: T;
  /** It is sent behind this one, which is in flight; null: in a session of its own. */
  readonly before: T | null;
}

/** What is in flight in one session. */
interface Chain<T> {
  last: T;
  length: number;
}

export class ApplyScheduler<T extends Schedulable> {
  /** Sessions there are, which may be more than workers: so many chains are in flight at a time. */
  sessions: number;
  /** Of what is published and not read, since reading has only paused: they count as if they were queued. */
  unreadBytes = 0;
  readonly #limits: SchedulerLimits;
  /** Admitted, not committed; place 0 has ordinal #firstOrdinal. A committed one is null until it can leave. */
  readonly #pending = new Fifo<T | null>();
  #firstOrdinal = 0;
  /** Place in #pending of the next transaction to dispatch. */
  #next = 0;
  /** Each with the chain it is in: one session's. */
  readonly #inFlight = new Map<T, Chain<T>>();
  #chains = 0;
  readonly #alone: T[] = [];
  /** In flight, and at some time beside another one. */
  readonly #beside = new Set<T>();
  #bytes = 0;
  #bytesInFlight = 0;
  #inWindow = 0;

  constructor(limits: SchedulerLimits) {
    assert(limits.workers >= 1, 'at least one worker');
    this.#limits = limits;
    this.sessions = limits.workers;
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

  /** The next transaction, if it may start now in a session of its own or behind another one. The caller starts it at once. */
  take(can: (head: T, before: T) => boolean): Started<T> | null {
    const ready = this.takeReady();
    return ready === null ? this.takeFollower(can) : { unit: ready, before: null };
  }

  /** The next transaction that may start now, or null. The caller starts it at once. */
  takeReady(): T | null {
    const head = this.#head;
    if (head === null || !this.#mayStart(head)) return null;
    if (this.#inFlight.size === 0) this.#inWindow = 0;
    this.#inWindow += 1;
    this.#chains += 1;
    this.#start(head, { last: head, length: 0 });
    return head;
  }

  /**
   * The next transaction where it may be sent behind another one, which is still in flight, or null. The caller sends it at once. `can`: asks the
   * session whether the one before is on its way there.
   */
  takeFollower(can: (head: T, before: T) => boolean): Started<T> | null {
    const head = this.#head;
    if (head === null || !head.mayFollow) return null;
    const window = this.#windowSize();
    const inOrder = this.#limits.commitOrder === 'source' || window === 1;
    if (!inOrder && this.#inWindow >= window) return null;
    const chain = inOrder ? this.#onlyChain() : this.#chainBefore(head);
    if (chain === null) return null;
    const before = chain.last;
    if (!before.mayFollow || !can(head, before)) return null;
    if (!inOrder) this.#inWindow += 1;
    this.#start(head, chain);
    return { unit: head, before };
  }

  /** The next to be dispatched; null: there is none, or one wants to stand alone. */
  get #head(): T | null {
    return this.#alone.length > 0 ? null : (this.#pending.at(this.#next) ?? null);
  }

  #start(head: T, chain: Chain<T>): void {
    this.#next += 1;
    chain.last = head;
    chain.length += 1;
    this.#inFlight.set(head, chain);
    this.#bytesInFlight += head.bytes;
    if (this.#inFlight.size === 1) return;
    this.#beside.add(head);
    // Of more than two all others are known to be.
    if (this.#inFlight.size === 2) for (const running of this.#inFlight.keys()) this.#beside.add(running);
  }

  /** It is not in flight any more. False: it was not. */
  #ended(transaction: T): boolean {
    const chain = this.#inFlight.get(transaction);
    if (chain === undefined) return false;
    chain.length -= 1;
    this.#bytesInFlight -= transaction.bytes;
    if (chain.length === 0) this.#chains -= 1;
    this.#beside.delete(transaction);
    const waiting = this.#alone.indexOf(transaction);
    if (waiting >= 0) this.#alone.splice(waiting, 1);
    return this.#inFlight.delete(transaction);
  }

  #mayStart(head: T): boolean {
    if (this.#inFlight.size === 0) return true;
    if (this.#chains >= this.sessions) return false;
    // It will follow when it can.
    if (this.#limits.commitOrder === 'source' && head.mayFollow && head.bytes <= SHORT_BYTES) return false;
    if (this.#inWindow >= this.#windowSize()) return false;
    for (const running of this.#inFlight.keys()) {
      if (mustNotOverlap(running.conflicts, head.conflicts)) return false;
    }
    return true;
  }

  /** Everything in flight is in it. */
  #onlyChain(): Chain<T> | null {
    const [chain] = this.#inFlight.values();
    return chain !== undefined && this.#chains === 1 ? chain : null;
  }

  /** Everything in flight that the transaction must not overlap with is in it. */
  #chainBefore(head: T): Chain<T> | null {
    let found: Chain<T> | null = null;
    for (const [running, chain] of this.#inFlight) {
      if (chain === found || !mustNotOverlap(running.conflicts, head.conflicts)) continue;
      if (found !== null) return null;
      found = chain;
    }
    return found;
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
        let bytes = this.unreadBytes;
        for (let place = this.#next; place < this.#pending.length; place++) {
          bytes += this.#pending.at(place)!.bytes;
        }
        return bytes >= this.#limits.bytesMax / 2 ? this.#limits.windowMax : 1;
      }
    }
  }

  /** `transaction` is committed on the target (or was found there). */
  committed(transaction: T): void {
    assert(this.#ended(transaction), 'only a dispatched transaction commits');
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
    assert(this.#ended(transaction), 'only a dispatched transaction is given up');
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
    for (const running of this.#inFlight.keys()) if (!this.#alone.includes(running)) return false;
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

  /**
   * Every session has something in flight, and most of that is short: its time is its COMMIT, and more could be done meanwhile. Of longer ones
   * more at a time would only be in each other's way.
   */
  get isFullOfShort(): boolean {
    return (
      this.#chains === this.sessions && this.#bytesInFlight <= SHORT_FOR_DISK_BYTES * this.#inFlight.size
    );
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
