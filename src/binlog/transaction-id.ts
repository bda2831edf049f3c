/**
 * Reads the name of one transaction as people write it and as `transactionIdText` spells it: `uuid:7`, `uuid:tag:7`,
 * `0-1-7`, `binlog.000003:4711`. The three kinds cannot be taken for one another.
 */
import { MillraceError } from '../base/errors.ts';
import type { TransactionId } from './position-set.ts';

const GTID =
  /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?::([a-z_][a-z0-9_]{0,31}))?:([1-9][0-9]{0,18})$/i;
const MARIADB_GTID = /^(\d{1,10})-(\d{1,10})-([1-9]\d{0,19})$/;
const POSITION = /^([^\s:/\0]{1,255}\.\d{1,15}):(\d{1,15})$/;
const GNO_MAX = 2n ** 63n - 1n;
const SEQ_NO_MAX = 2n ** 64n - 1n;
const U32_MAX = 2 ** 32 - 1;

/** In any case, as the server accepts it; the result's text is canonical. Throws MALFORMED_POSITION. */
export function parseTransactionIdText(text: string): TransactionId {
  const gtid = GTID.exec(text);
  if (gtid !== null) {
    const gno = BigInt(gtid[3]!);
    const tag = gtid[2] === undefined ? '' : `:${gtid[2].toLowerCase()}`;
    if (gno < GNO_MAX) return { kind: 'gtid', sid: `${gtid[1]!.toLowerCase()}${tag}`, gno };
  }
  const mariadb = MARIADB_GTID.exec(text);
  if (mariadb !== null) {
    const [domainId, serverId, seqNo] = [Number(mariadb[1]), Number(mariadb[2]), BigInt(mariadb[3]!)];
    if (domainId <= U32_MAX && serverId <= U32_MAX && seqNo <= SEQ_NO_MAX)
      return { kind: 'mariadb', domainId, serverId, seqNo };
  }
  const position = POSITION.exec(text);
  if (position !== null) return { kind: 'position', file: position[1]!, position: Number(position[2]) };
  throw new MillraceError('MALFORMED_POSITION', `${JSON.stringify(text.slice(0, 80))} names no transaction`, {
    hint: 'Give one GTID (uuid:7, uuid:tag:7, on MariaDB 0-1-7), or FILE:POS where the source has no GTIDs.',
  });
}
