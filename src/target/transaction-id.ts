/**
 * Reads back the text of a transaction id (`transactionIdText`), as the progress and prepared tables hold it.
 */
import { MillraceError } from '../base/errors.ts';
import type { PositionKind, TransactionId } from '../binlog/position-set.ts';

export function parseTransactionId(kind: PositionKind, text: string): TransactionId {
  switch (kind) {
    case 'gtid': {
      const match = /^([0-9a-f-]{36}(?::[a-z_][a-z0-9_]{0,31})?):(\d+)$/.exec(text);
      if (match) return { kind, sid: match[1]!, gno: BigInt(match[2]!) };
      break;
    }
    case 'mariadb': {
      const match = /^(\d+)-(\d+)-(\d+)$/.exec(text);
      if (match) {
        return { kind, domainId: Number(match[1]), serverId: Number(match[2]), seqNo: BigInt(match[3]!) };
      }
      break;
    }
    case 'position': {
      const match = /^(.+):(\d+)$/.exec(text);
      if (match) return { kind, file: match[1]!, position: Number(match[2]) };
      break;
    }
  }
  throw new MillraceError(
    'TARGET_CONFIG',
    `millrace.progress holds ${JSON.stringify(text.slice(0, 80))}, which is no ${kind} id`,
    {
      hint: 'The table was changed by hand: restore it, or delete the channel’s rows and set source.start.',
    },
  );
}
