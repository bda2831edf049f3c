/**
 * Branches of XA transactions that are prepared and undecided, where progress is kept in a table: each stands in the relay
 * log until it is committed, so the files that hold one are still needed.
 *
 * Kept here beside millrace.prepared, so that no moment is missed: a branch counts from before its note is committed until
 * after its end is.
 */
export class PreparedBranches {
  readonly #files = new Map<string, number>();

  /** `xid` as `normalXid` spells it. */
  add(xid: string, fileNumber: number): void {
    this.#files.set(xid, fileNumber);
  }

  remove(xid: string): void {
    this.#files.delete(xid);
  }

  /** Null: there is none. */
  get oldestFile(): number | null {
    let oldest: number | null = null;
    for (const file of this.#files.values()) if (oldest === null || file < oldest) oldest = file;
    return oldest;
  }
}
