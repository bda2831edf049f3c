/**
 * Why the relay log does not take what the source sends: each would break what the log promises to those who read it.
 */
import { MillraceError } from '../base/errors.ts';
import { type PositionKind, type TransactionId, transactionIdText } from '../binlog/position-set.ts';
import type { TransactionHead } from '../binlog/transaction-boundary.ts';

export function otherKind(dir: string, ours: PositionKind, theirs: PositionKind): MillraceError {
  return new MillraceError('RELAY_CORRUPT', `the relay log counts by ${ours}, the source now by ${theirs}`, {
    hint: 'The relay log is fetched again from the position of the target.',
    facts: { dir },
  });
}

export function unnamed(head: TransactionHead | null, kind: PositionKind): MillraceError {
  const what =
    head?.id == null ? 'a transaction without a GTID' : `transaction ${transactionIdText(head.id)}`;
  return new MillraceError('UNEXPECTED_EVENT', `${what} came in a stream that is read by ${kind} positions`, {
    hint: "The source's gtid_mode changed: it has to be ON while it is read by GTID.",
  });
}

export function seenBefore(id: TransactionId): MillraceError {
  const hint =
    id.kind === 'mariadb'
      ? 'Sequence numbers of a domain must grow: set gtid_strict_mode=ON and give each writing server its gtid_domain_id.'
      : 'Another source with the same history may stand behind this address: compare the servers.';
  return new MillraceError(
    'UNEXPECTED_EVENT',
    `the source sent transaction ${transactionIdText(id)}, which the relay log has already`,
    { hint },
  );
}
