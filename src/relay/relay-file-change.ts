/**
 * A change of relay log files while it lasts: the file before is whole, the next one takes in what comes, and neither is durable
 * as far as it has to be before the index may name the next one.
 *
 * Invariants
 *  - What has to be durable is all of the file before, with its closing ROTATE, and the header of the next one. What follows that
 *    header is not waited for.
 *  - Both syncs are begun when the change begins. When the thread waits as well, a failure is told to one of the two waits only (the
 *    kernel tells it once), so both have to be heard.
 * Thread: reader.
 */
import type { RelayFile } from './relay-file.ts';
import type { RelayFileOrigin } from './relay-file-header.ts';

export class FileChange {
  /** Null: the log was empty. */
  readonly before: RelayFile | null;
  readonly next: RelayFile;
  readonly origin: RelayFileOrigin;
  /** Of the next file's header. */
  readonly headerEnd: number;
  /** The writer's: the syncs, and what it makes of them. Never unhandled. */
  done: Promise<void> = Promise.resolve();

  constructor(before: RelayFile | null, next: RelayFile, origin: RelayFileOrigin) {
    this.before = before;
    this.next = next;
    this.origin = origin;
    this.headerEnd = next.end;
  }

  /** A file without a transaction is replaced by the next one: nothing of it is kept. */
  get replaces(): boolean {
    return this.before === null || this.before.transactions === 0;
  }

  /** Without holding up the thread. Rejects with DISK. */
  async sync(): Promise<void> {
    const { before, next, headerEnd } = this;
    await Promise.all([before?.sync(before.end), next.sync(headerEnd)]);
  }

  /** The thread waits. Throws DISK. */
  syncNow(): void {
    const { before, next, headerEnd } = this;
    if (before !== null && !this.replaces) before.syncNow(before.end);
    next.syncNow(headerEnd);
  }
}
