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
import type { ClockConflicts } from './apply-scheduler.ts';

/** In place of a file's number: the clock is made here, and goes on through files. */
const OWN_CLOCK = -2;

export class LogicalClock {
  /** Names the clock: another one with every source file, and whenever numbers do not rise as they must. */
  #clock = 0;
  #file = -1;
  #last = 0;
  /** Of a clock of our own. */
  #counter = 0;
  #commitId: bigint | null = null;
  #domainId = -1;
  /** Counter of the last transaction before the current group commit. */
  #beforeGroup = 0;

  read(head: TransactionHead, fileNumber: number): ClockConflicts {
    if (head.mariadb === null && head.sequenceNumber !== 0) {
      const { lastCommitted, sequenceNumber } = head;
      // mysqld calls the second case an error of the source; what is sure is that nothing is known of what came before.
      if (fileNumber !== this.#file || sequenceNumber <= this.#last) this.#begin(fileNumber);
      this.#last = sequenceNumber;
      return {
        by: 'clock',
        clock: this.#clock,
        lastCommitted: Math.min(lastCommitted, sequenceNumber - 1),
        firstSequence: sequenceNumber,
        sequenceNumber,
      };
    }
    if (this.#file !== OWN_CLOCK) this.#begin(OWN_CLOCK);
    this.#counter += 1;
    const commitId = head.mariadb?.commitId ?? null;
    const domainId = head.mariadb?.domainId ?? -1;
    const sameGroup = commitId !== null && commitId === this.#commitId && domainId === this.#domainId;
    if (!sameGroup) this.#beforeGroup = this.#counter - 1;
    this.#commitId = commitId;
    this.#domainId = domainId;
    return {
      by: 'clock',
      clock: this.#clock,
      lastCommitted: this.#beforeGroup,
      firstSequence: this.#counter,
      sequenceNumber: this.#counter,
    };
  }

  #begin(file: number): void {
    this.#clock += 1;
    this.#file = file;
    this.#last = 0;
  }
}
