/**
 * What a worker applies and the scheduler schedules: one transaction, or several neighbours that commit together.
 *
 * Neighbours may depend on each other in any way: inside a unit they keep the source's order. From outside the unit waits for
 * whatever any of its members waits for, and is waited for by whoever waits for any of them.
 */
import type { ClockConflicts, Conflicts, Schedulable } from './apply-scheduler.ts';
import type { Transaction } from './transaction.ts';

export interface ApplyUnit extends Schedulable {
  /** At least one, in the source's order. */
  readonly members: readonly Transaction[];
}

/** A unit that has no place in the scheduler's order yet. */
export type ClosedUnit = Omit<ApplyUnit, 'ordinal'>;

/** All of it fits into one packet. */
const FOLLOWER_BYTES_MAX = 256 * 1024;

/** Makes units. */
export class UnitBuilder {
  readonly #membersMax: number;
  readonly #bytesMax: number;
  readonly #follow: boolean;
  #open: Transaction[] = [];
  #openBytes = 0;

  /** `membersMax` 1: every transaction is its own unit. `follow`: the target's progress lets them follow each other unanswered. */
  constructor(membersMax: number, bytesMax: number, follow: boolean) {
    this.#membersMax = membersMax;
    this.#bytesMax = bytesMax;
    this.#follow = follow;
  }

  /** Members that wait for a unit to be closed. */
  get waiting(): number {
    return this.#open.length;
  }

  /** Oldest member that waits. */
  get oldest(): Transaction | null {
    return this.#open[0] ?? null;
  }

  /** The units that are complete now, in order. */
  add(transaction: Transaction): readonly ClosedUnit[] {
    const closed: ClosedUnit[] = [];
    if (!this.#fits(transaction)) closed.push(...this.close());
    this.#open.push(transaction);
    this.#openBytes += transaction.bytes;
    const full = this.#open.length >= this.#membersMax || this.#openBytes >= this.#bytesMax;
    if (full || !mayShare(transaction)) closed.push(...this.close());
    return closed;
  }

  /** What waits, as if it had never been added. */
  takeBack(): readonly Transaction[] {
    const open = this.#open;
    this.#open = [];
    this.#openBytes = 0;
    return open;
  }

  /** Nothing more comes for now, or what comes next must not stand in the same unit. */
  close(): readonly ClosedUnit[] {
    const members = this.#open;
    const bytes = this.#openBytes;
    const [first] = members;
    if (first === undefined) return [];
    this.#open = [];
    this.#openBytes = 0;
    const mayFollow = this.#follow && bytes <= FOLLOWER_BYTES_MAX && members.every(mayShare);
    return [{ conflicts: conflictsOf(members), bytes, members, mayFollow }];
  }

  #fits(transaction: Transaction): boolean {
    const [first] = this.#open;
    if (first === undefined) return true;
    if (!mayShare(transaction) || !mayShare(first)) return false;
    // One BINLOG takes events of one format, and one clock orders them.
    const one = first.conflicts as ClockConflicts;
    const other = transaction.conflicts as ClockConflicts;
    return one.clock === other.clock && first.formatDescription.equals(transaction.formatDescription);
  }
}

/** Rows alone, in memory, ended by the commit of a transactional engine. */
function mayShare(transaction: Transaction): boolean {
  const { conflicts, ending, events, skip } = transaction;
  return conflicts.by === 'clock' && ending === 'xid' && events !== null && skip === null;
}

function conflictsOf(members: readonly Transaction[]): Conflicts {
  const first = members[0]!.conflicts;
  if (members.length === 1 || first.by !== 'clock') return first;
  const before = first.firstSequence - 1;
  let lastCommitted = 0;
  let { sequenceNumber } = first;
  for (const { conflicts } of members) {
    if (conflicts.by !== 'clock') continue;
    lastCommitted = Math.max(lastCommitted, Math.min(conflicts.lastCommitted, before));
    sequenceNumber = conflicts.sequenceNumber;
  }
  return { ...first, lastCommitted, sequenceNumber };
}
