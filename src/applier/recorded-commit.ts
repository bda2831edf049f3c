/**
 * The end of every transaction: its last statements, progress, COMMIT. Data and progress are one commit.
 *
 * All of it is one packet, which the server leaves at the first statement that fails: COMMIT is not run then. What does not
 * fit into a packet together is sent before, and COMMIT only after every reply to it was good: after an error in a pipe the
 * next statements still run. With `commit_order: source` who is not the first runs its statements and waits for its turn.
 *
 * By GTID the next transaction may be sent directly behind this packet, before its replies are there (apply-worker.ts): so a chain of transactions
 * that must follow each other does not pay our way between every two. Its packet begins with the statement that takes its GTID, which fails unless
 * this one is committed (gtid-progress.ts); nothing of it runs then, nor of those behind it. With progress in a table it is made meanwhile, and sent when
 * this one is committed: a packet that a KILL QUERY has broken off leaves nothing there that what comes behind it could not overlook.
 */
import { assert, type ErrorFacts, MillraceError } from '../base/errors.ts';
import type { TransactionId } from '../binlog/position-set.ts';
import { applyError } from '../target/apply-error.ts';
import type { ApplySession } from '../target/apply-session.ts';
import { MATCHED_ONE_ROW, NOT_ONE_ROW } from '../target/progress.ts';
import type { Reply, Statement } from '../wire/command-pipe.ts';
import { rowNotFound } from './fencing.ts';
import type { ReplayContext } from './replay-context.ts';
import type { Transaction } from './transaction.ts';

/** Room for what stands around the statements in a packet: progress, COMMIT. */
const PACKET_MARGIN = 64 * 1024;

export interface CommitSurroundings {
  readonly context: ReplayContext;
  readonly session: ApplySession;
  readonly tx: Transaction;
  /** Of everything that this commits. */
  readonly ids: readonly TransactionId[];
  readonly facts: ErrorFacts;
  readonly end: CommitEnd;
}

/** Where and when a transaction's last packet is sent. */
export interface CommitEnd {
  /** Its one packet goes directly behind another transaction's in the same session: `ApplySession.sent` after that one. Null: when it likes to. */
  readonly behind: number | null;
  /** Null: it may be sent now, also unanswered behind another one. Else it waits until that one is committed; false: it is not. */
  before(): Promise<boolean> | null;
  /** Null: it may commit now. False: it must give way. */
  turn(): Promise<boolean> | null;
  /** The packet that ends it is the last that was sent, and another one may go behind it. */
  onSent(): void;
}

/** Somebody before it needs what it may hold: it is rolled back and applied again. Not an error of anything. */
export class GivesWay extends Error {}

/** Nothing of it was run: it cannot be one packet, something else was sent since, or the one before it was not committed. */
export class NotBehind extends Error {}

/**
 * `doing`: what the statements do, for an error of theirs. They are of our own making. `isOneStatement`: the last of them is one row statement, and the
 * others change nothing. With GTIDs it then needs no COMMIT: the session commits by itself. Where the target has all rows as
 * they are to be, or keeps none, the server does not, and the GTID waits for a COMMIT: a reply tells. By then it may be lost: what was sent
 * behind fails with 1790, and any failure of a statement gives the session's GTID back (seen on 9.7.4). So it is taken anew.
 */
export async function commitRecorded(
  around: CommitSurroundings,
  statements: readonly (string | Statement)[],
  doing: string,
  isOneStatement = false,
): Promise<void> {
  const { context, session, ids, facts, end } = around;
  const { progress, worker } = context;
  const before = end.before();
  if (before !== null && !(await before)) throw new NotBehind();
  const behind = before === null ? end.behind : null;
  const record = progress.record(ids, worker);
  let body = statements;
  if (lengthOf(statements) + PACKET_MARGIN > context.facts.maxAllowedPacket) {
    if (behind !== null) throw new NotBehind();
    const kept = statements.at(-1) === MATCHED_ONE_ROW ? 2 : 0;
    const sent = statements.length - kept;
    await session.execute(statements.slice(0, sent), doing, facts);
    body = statements.slice(sent);
  }
  const waits = behind === null ? end.turn() : null;
  if (waits !== null) {
    if (body.length > 0) await runTogether(around, body, doing);
    body = [];
    if (!(await waits)) throw new GivesWay();
  }
  const mayCommitItself = isOneStatement && body.length > 0 && progress.kind === 'gtid' && session.tellsGtids;
  const byItself = mayCommitItself && (behind === null || session.commitsByItself);
  const all = byItself ? body : [...body, ...record, 'COMMIT'];
  const replies = await (behind === null
    ? sendLast(around, all, byItself)
    : sendBehind(around, behind, all, byItself));
  const last = replies.at(-1);
  assert(last !== undefined, 'every packet is answered');
  if (last.ok) {
    if (byItself && !last.committedGtid) await commitEmpty(around);
    return;
  }
  if (byItself) throw applyError(last, doing, facts);
  if (replies.length === all.length) throw commitError(applyError(last, 'COMMIT', facts), progress.kind);
  throw await refusal(around, all, replies, doing);
}

async function commitEmpty({ context, session, ids, tx, facts }: CommitSurroundings): Promise<void> {
  const begin = context.progress.begin(ids[0]!, tx.head);
  await session.execute(['ROLLBACK', ...begin, 'COMMIT'], 'COMMIT', facts);
}

function sendLast(
  { session, end }: CommitSurroundings,
  statements: readonly (string | Statement)[],
  byItself: boolean,
): Promise<Reply[]> {
  const replies = byItself ? session.runCommitting(statements) : session.runTogether(statements);
  end.onSent();
  return replies;
}

/** The first statement fails unless the transaction before it is committed. @throws NotBehind */
async function sendBehind(
  { session, end }: CommitSurroundings,
  behind: number,
  statements: readonly (string | Statement)[],
  byItself: boolean,
): Promise<Reply[]> {
  const [first, ...others] = statements;
  // Where the session commits by itself, several statements are one transaction only so.
  const begins = session.commitsByItself && !byItself;
  const sent = session.runBehind(behind, begins ? [first!, 'BEGIN', ...others] : statements);
  if (sent === null) throw new NotBehind();
  end.onSent();
  const replies = await sent;
  if (replies.length <= (begins ? 2 : 1) && !replies.at(-1)!.ok) throw new NotBehind();
  return begins ? [replies[0]!, ...replies.slice(2)] : replies;
}

async function runTogether(
  around: CommitSurroundings,
  statements: readonly (string | Statement)[],
  doing: string,
): Promise<void> {
  const replies = await around.session.runTogether(statements);
  if (!replies.at(-1)!.ok) throw await refusal(around, statements, replies, doing);
}

/** What the last reply says of its statement. */
async function refusal(
  { context, session, facts }: CommitSurroundings,
  statements: readonly (string | Statement)[],
  replies: readonly Reply[],
  doing: string,
): Promise<MillraceError> {
  const last = replies.at(-1)!;
  assert(!last.ok, 'a refusal is an error');
  if (last.errno === NOT_ONE_ROW && statements[replies.length - 1] === MATCHED_ONE_ROW) {
    return rowNotFound(context.progress, session, facts);
  }
  return applyError(last, doing, facts);
}

/** By GTID it is sent again and skipped if need be. With a table only a new look at the progress rows can tell. */
function commitError(error: MillraceError, progress: 'gtid' | 'table'): MillraceError {
  if (progress === 'gtid') return error;
  const { message, hint, facts } = error;
  return new MillraceError('PROTOCOL', message, { action: 'retry', hint, facts, cause: error });
}

function lengthOf(statements: readonly (string | Statement)[]): number {
  let bytes = 0;
  for (const each of statements) {
    if (typeof each === 'string' || Buffer.isBuffer(each)) bytes += each.length + 1;
    else for (const piece of each) bytes += piece.length + 1;
  }
  return bytes;
}
