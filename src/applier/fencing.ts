/**
 * What it means that a statement of ours has not found the one row that it must find.
 *
 * Either another Millrace has taken the target over, and the rows carry its epoch; or the statement was broken off: MariaDB answers OK, with no row
 * found, to an UPDATE or a DELETE by key that a KILL QUERY has met in the optimizer (seen on 10.11.18 and 11.8.8; not on MySQL 9.7.4, not for a SELECT). So the row is looked for again, more than once, since
 * the kill of one statement does not reach the next.
 */
import { type ErrorFacts, MillraceError } from '../base/errors.ts';
import { applyError } from '../target/apply-error.ts';
import type { ApplySession } from '../target/apply-session.ts';
import type { Progress } from '../target/progress.ts';

const LOOKS = 3;

/** FENCED, or an error after which it is tried again. The session is in the middle of a transaction that the caller rolls back. */
export async function rowNotFound(
  progress: Progress,
  session: ApplySession,
  facts: ErrorFacts,
): Promise<MillraceError> {
  const guard = progress.guard();
  const replies = guard === null ? [] : await session.run(Array<string>(LOOKS).fill(guard));
  for (const reply of replies) if (!reply.ok) return applyError(reply, 'a look at the progress rows', facts);
  if (guard === null || replies.some((reply) => reply.ok && reply.affectedRows === 1)) {
    const message = 'the target has broken off a statement on its progress rows, and said nothing';
    return new MillraceError('APPLY_TRANSIENT', message, { facts });
  }
  return new MillraceError(
    'FENCED',
    'another Millrace has taken this target over: its progress rows carry a newer epoch',
    {
      hint: 'Run only one Millrace per channel and target. Nothing of this transaction was kept.',
      facts,
    },
  );
}
