/**
 * What is published in the relay log and not on disk yet: how many transactions, and since when.
 *
 * A sync covers what was published when it began; what comes meanwhile waits for the next one.
 * Pure; no I/O, no clock. Thread: reader.
 */
export class Unsynced {
  #published = 0;
  #durable = 0;
  #atSync = 0;
  /** When the oldest of what waits was published; null: nothing waits. */
  #sinceMs: number | null = null;
  /** The oldest that came after the running sync had begun. */
  #sinceSyncMs: number | null = null;

  /** `transactions`: published on this stream in all. */
  published(transactions: number, nowMs: number): void {
    if (transactions === this.#published) return;
    this.#published = transactions;
    this.#sinceMs ??= nowMs;
    this.#sinceSyncMs ??= nowMs;
  }

  syncBegins(): void {
    this.#atSync = this.#published;
    this.#sinceSyncMs = null;
  }

  synced(): void {
    this.#durable = this.#atSync;
    this.#sinceMs = this.#sinceSyncMs;
  }

  /** A file that was closed took its transactions to the disk with it. */
  allDurable(): void {
    this.syncBegins();
    this.synced();
  }

  get transactions(): number {
    return this.#published - this.#durable;
  }

  /** Null: nothing waits. */
  ageMs(nowMs: number): number | null {
    return this.#sinceMs === null ? null : Math.max(0, nowMs - this.#sinceMs);
  }
}
