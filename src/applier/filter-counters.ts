/**
 * What a target's rules have left out, counted when the transaction is committed: a transaction that is tried again counts
 * once.
 */
export interface FilterCounters {
  /** Transactions of which nothing was left: their GTIDs are on the target, empty. */
  transactions: number;
  /** Statements, also those in statement format. */
  statements: number;
  /** Rows of row events; those of the system schemas too. An event too large for memory counts as one. */
  rows: number;
  /** Statements about accounts and system schemas (`replicate_system: false`); not counted as `statements`. */
  systemStatements: number;
}

export function noneFiltered(): FilterCounters {
  return { transactions: 0, statements: 0, rows: 0, systemStatements: 0 };
}

export function addFiltered(to: FilterCounters, more: Readonly<FilterCounters>): void {
  to.transactions += more.transactions;
  to.statements += more.statements;
  to.rows += more.rows;
  to.systemStatements += more.systemStatements;
}
