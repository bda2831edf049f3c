/**
 * The end of every transaction: its last statements, progress, COMMIT. Data and progress are one commit.
 *
 * COMMIT goes out only after every reply before it was good: after an error in a pipe the next statements still run.
 */
import { type ErrorFacts, MillraceError } from '../base/errors.ts';
import type { ApplySession } from '../target/apply-session.ts';
import type { Statement } from '../wire/command-pipe.ts';
import type { ReplayContext } from './replay-context.ts';
import type { Transaction } from './transaction.ts';

export interface CommitSurroundings {
  readonly context: ReplayContext;
  readonly session: ApplySession;
  readonly tx: Transaction;
  readonly facts: ErrorFacts;
}

/** `doing`: what the statements do, for an error of theirs. */
export async function commitRecorded(
  { context, session, tx, facts }: CommitSurroundings,
  statements: readonly (string | Statement)[],
  doing: string,
): Promise<void> {
  const record = context.progress.record(tx.id, context.worker);
  const all = record === null ? statements : [...statements, record];
  const replies = await session.execute(all, doing, facts);
  if (record !== null && replies.at(-1)?.affectedRows !== 1) {
    throw new MillraceError(
      'FENCED',
      'another Millrace has taken this target over: its progress rows carry a newer epoch',
      {
        hint: 'Run only one Millrace per channel and target. Nothing of this transaction was kept.',
        facts,
      },
    );
  }
  try {
    await session.execute(['COMMIT'], 'COMMIT', facts);
  } catch (error) {
    // By GTID it is sent again and skipped if need be. With a table only a new look at the progress rows can tell.
    if (context.progress.kind === 'gtid' || !(error instanceof MillraceError)) throw error;
    const { message, hint } = error;
    throw new MillraceError('PROTOCOL', message, { action: 'retry', hint, facts: error.facts, cause: error });
  }
}
