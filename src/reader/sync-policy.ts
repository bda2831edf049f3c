/**
 * When the relay file is synced: `sync` after its oldest bytes that are not on disk at the latest, and earlier when the source is quiet, but at most twice
 * in that time.
 *
 * Why not when bytes come: then is when they are applied, and a target on the same disk would wait for our sync in its own. A
 * source that commits now and then leaves gaps, and what it has sent is on disk sooner so.
 * Pure; no I/O, no clock: times are monotonic milliseconds. Thread: reader.
 */

/** A small transaction is applied well within this. */
const QUIET_MS = 5;

export class SyncPolicy {
  readonly #syncMs: number;
  #beganMs = Number.NEGATIVE_INFINITY;
  #newestMs = 0;
  /** Of what no sync that has begun covers; null: there is none. */
  #oldestMs: number | null = null;

  constructor(syncMs: number) {
    this.#syncMs = syncMs;
  }

  received(nowMs: number): void {
    this.#newestMs = nowMs;
    this.#oldestMs ??= nowMs;
  }

  /** It covers everything that was received. */
  begins(nowMs: number): void {
    this.#beganMs = nowMs;
    this.#oldestMs = null;
  }

  /** What was received left nothing to sync, or was synced in another way. */
  allIsDurable(): void {
    this.#oldestMs = null;
  }

  /** 0 or less: now. Asked only while something is not on disk. */
  dueInMs(nowMs: number): number {
    const latestMs = (this.#oldestMs ?? nowMs) + this.#syncMs;
    const quietMs = Math.max(this.#newestMs + QUIET_MS, this.#beganMs + this.#syncMs / 2);
    return Math.min(latestMs, quietMs) - nowMs;
  }
}
