/**
 * The clock that the scheduler reads: MySQL's last_committed and sequence_number as they are, MariaDB's made from its
 * group commits.
 *
 * MySQL's numbers restart with every binary log file; a relay file holds events of one source file, so its number names
 * the clock. A source without the numbers (both 0) gets a clock that says: one after the other.
 *
 * MariaDB: transactions with one commit id were committed together on the source, so none of them waited for a lock of
 * another: they may run together. Everything else comes one after the other, and so do domains (a DBA uses them to
 * promise independence; keeping the order of the binary log is the safe reading of it).
 */
import type { TransactionHead } from '../binlog/transaction-boundary.ts';

export interface ClockReading {
  readonly lastCommitted: number;
  readonly sequenceNumber: number;
  readonly clock: number;
}

export class LogicalClock {
  #counter = 0;
  #commitId: bigint | null = null;
  #domainId = -1;
  /** Counter of the last transaction before the current group commit. */
  #beforeGroup = 0;

  read(head: TransactionHead, fileNumber: number): ClockReading {
    if (head.mariadb === null && head.sequenceNumber !== 0) {
      return { lastCommitted: head.lastCommitted, sequenceNumber: head.sequenceNumber, clock: fileNumber };
    }
    this.#counter += 1;
    const commitId = head.mariadb?.commitId ?? null;
    const domainId = head.mariadb?.domainId ?? -1;
    const sameGroup = commitId !== null && commitId === this.#commitId && domainId === this.#domainId;
    if (!sameGroup) this.#beforeGroup = this.#counter - 1;
    this.#commitId = commitId;
    this.#domainId = domainId;
    return { lastCommitted: this.#beforeGroup, sequenceNumber: this.#counter, clock: 0 };
  }
}
