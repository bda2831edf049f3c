/**
 * The end of every transaction: its last statements, progress, COMMIT. Data and progress are one commit.
 *
 * All of it is one packet, which the server leaves at the first statement that fails: COMMIT is not run then. What does not
 * fit into a packet together is sent before, and COMMIT only after every reply to it was good: after an error in a pipe the
 * next statements still run. With `commit_order: source` who is not the first runs its statements and waits for its turn.
 */
import { type ErrorFacts, MillraceError } from '../base/errors.ts';
import type { TransactionId } from '../binlog/position-set.ts';
import { applyError } from '../target/apply-error.ts';
import type { ApplySession } from '../target/apply-session.ts';
import { NOT_ONE_ROW } from '../target/progress.ts';
import type { Statement } from '../wire/command-pipe.ts';
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
  /** Null: it may commit now. False: it must give way. */
  turn(): Promise<boolean> | null;
}

/** Somebody before it needs what it may hold: it is rolled back and applied again. Not an error of anything. */
export class GivesWay extends Error {}

/**
 * `doing`: what the statements do, for an error of theirs. They are of our own making. `isOneStatement`: the last of them is one row statement, and the
 * others change nothing. With GTIDs it then needs no COMMIT: the session commits by itself. Where the target has all rows as
 * they are to be, or keeps none, the server does not, and the GTID waits for a COMMIT: a reply tells.
 */
export async function commitRecorded(
  { context, session, ids, facts, turn }: CommitSurroundings,
  statements: readonly (string | Statement)[],
  doing: string,
  isOneStatement = false,
): Promise<void> {
  const { progress, worker } = context;
  const record = progress.record(ids, worker);
  let before = statements;
  if (lengthOf(statements) + PACKET_MARGIN > context.facts.maxAllowedPacket) {
    await session.execute(statements, doing, facts);
    before = [];
  }
  const waits = turn();
  if (waits !== null) {
    if (before.length > 0) await runTogether(session, before, doing, facts);
    before = [];
    if (!(await waits)) throw new GivesWay();
  }
  if (isOneStatement && before.length > 0 && progress.kind === 'gtid' && session.tellsGtids) {
    const reply = (await session.runCommitting(before)).at(-1);
    if (reply !== undefined && !reply.ok) throw applyError(reply, doing, facts);
    if (reply?.committedGtid === false) await session.execute(['COMMIT'], 'COMMIT', facts);
    return;
  }
  const all = [...before, ...record, 'COMMIT'];
  const replies = await session.runTogether(all);
  const last = replies.at(-1);
  if (last === undefined || last.ok) return;
  const notRun = all.length - replies.length;
  if (notRun === 0) throw commitError(applyError(last, 'COMMIT', facts), progress.kind);
  if (record.length > 0 && notRun === 1 && last.errno === NOT_ONE_ROW) {
    throw new MillraceError(
      'FENCED',
      'another Millrace has taken this target over: its progress rows carry a newer epoch',
      {
        hint: 'Run only one Millrace per channel and target. Nothing of this transaction was kept.',
        facts,
      },
    );
  }
  throw applyError(last, doing, facts);
}

async function runTogether(
  session: ApplySession,
  statements: readonly (string | Statement)[],
  doing: string,
  facts: ErrorFacts,
): Promise<void> {
  const last = (await session.runTogether(statements)).at(-1);
  if (last !== undefined && !last.ok) throw applyError(last, doing, facts);
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
