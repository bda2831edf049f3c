/**
 * Branches of XA transactions that are prepared and undecided, where progress is kept in a table: each stands in the relay
 * log until it is committed, so the files that hold one are still needed.
 *
 * The same as millrace.prepared (whoever holds the lease is the only one who writes that), kept here so that no moment is
 * missed: a branch counts from before its note is committed until after its end is.
 */
import type { RelayPosition } from '../relay/published-end.ts';

/** Where a branch's first event stands, and which transaction must begin there. */
export interface PreparedPlace extends RelayPosition {
  /** Text of its id. */
  readonly id: string;
}

export class PreparedBranches {
  readonly #places = new Map<string, PreparedPlace>();

  /** `xid` as `normalXid` spells it; `place`: where its first event stands. */
  add(xid: string, place: PreparedPlace): void {
    this.#places.set(xid, place);
  }

  find(xid: string): PreparedPlace | null {
    return this.#places.get(xid) ?? null;
  }

  remove(xid: string): void {
    this.#places.delete(xid);
  }

  /** Null: there is none. */
  get oldestFile(): number | null {
    let oldest: number | null = null;
    for (const { fileNumber } of this.#places.values()) {
      if (oldest === null || fileNumber < oldest) oldest = fileNumber;
    }
    return oldest;
  }
}
