/**
 * Commits a transaction under its name with nothing in it: what `millrace skip` makes of it, whatever it holds.
 *
 * One thing does happen: where it would complete a prepared branch (XA COMMIT, XA ROLLBACK), the branch is rolled back.
 * Undecided it would hold its locks, or its relay file, for ever.
 */
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import { decodeQuery } from '../binlog/query-event.ts';
import { sqlVerb } from '../binlog/sql-verb.ts';
import { applyError } from '../target/apply-error.ts';
import { intentDoneStatement } from '../target/ddl-intent.ts';
import { MATCHED_ONE_ROW } from '../target/progress.ts';
import { type CommitSurroundings, commitRecorded } from './recorded-commit.ts';
import type { EventView, Transaction } from './transaction.ts';
import { branchLiteral, forgetBranchStatements, xidOfStatement } from './xa-branch.ts';

/** The target knows no such branch. */
const XAER_NOTA = 1397;
const DOING = 'an empty transaction';

/** @throws what stops or delays the transaction; the session is then rolled back by the caller. */
export async function replayEmpty(around: CommitSurroundings, events: Iterable<EventView>): Promise<void> {
  const { context, tx } = around;
  const xid = tx.ending === 'single' ? completedBranch(tx, events) : null;
  const begin = context.progress.begin(tx.id, tx.head);
  if (xid !== null && context.progress.kind === 'gtid') return rollBranchBack(around, begin, xid);
  const statements = [...begin];
  if (xid !== null && context.prepared.find(xid) !== null) {
    statements.push(...forgetBranchStatements(context.channel, xid));
  }
  // Its table was created before a crash, and its rows will not come.
  if (context.createdBefore === transactionIdText(tx.id)) {
    statements.push(intentDoneStatement(context.channel), MATCHED_ONE_ROW);
  }
  await commitRecorded(around, statements, DOING);
  if (xid !== null) context.prepared.remove(xid);
}

/** The branch that this transaction's XA COMMIT or XA ROLLBACK names; null: it is another statement. */
function completedBranch(tx: Transaction, events: Iterable<EventView>): string | null {
  for (const { type, buf, start, end, oversized } of events) {
    if (type !== EventType.QUERY_EVENT || oversized !== null) continue;
    const query = decodeQuery(buf, start + EVENT_HEADER_LENGTH, end, tx.fde);
    const verb = sqlVerb(buf, query.sqlStart, query.sqlEnd);
    if (verb !== 'xa-commit' && verb !== 'xa-rollback') continue;
    return xidOfStatement(buf.toString('latin1', query.sqlStart, query.sqlEnd));
  }
  return null;
}

async function rollBranchBack(
  around: CommitSurroundings,
  begin: readonly string[],
  xid: string,
): Promise<void> {
  const { session, facts } = around;
  const replies = await session.run([...begin, `XA ROLLBACK ${branchLiteral(xid)}`]);
  for (const reply of replies) {
    if (reply.ok) continue;
    if (reply.errno !== XAER_NOTA) throw applyError(reply, 'XA ROLLBACK', facts);
    // Its preparation was skipped as well. The transaction's name goes back with ROLLBACK, and is taken again.
    return commitRecorded(around, ['ROLLBACK', ...begin], DOING);
  }
}
