/**
 * Ids of XA branches, in the spelling of statements and in the one the progress tables use.
 */
import { MillraceError } from '../base/errors.ts';
import type { XaId } from '../binlog/gtid-events.ts';
import { MATCHED_ONE_ROW } from '../target/progress.ts';
import { hexLiteral } from '../target/sql-literal.ts';

/** As XA statements take it, and as the servers write it into the binary log. */
export function xidLiteral({ formatId, gtrid, bqual }: XaId): string {
  return `X'${gtrid.toString('hex')}',X'${bqual.toString('hex')}',${formatId}`;
}

/** One spelling for all: `7831,,1`. */
export function normalXid({ formatId, gtrid, bqual }: XaId): string {
  return `${gtrid.toString('hex')},${bqual.toString('hex')},${formatId}`;
}

/** As XA statements take it, out of the spelling of `normalXid`. */
export function branchLiteral(xid: string): string {
  const [gtrid = '', bqual = '', formatId = ''] = xid.split(',');
  return `X'${gtrid}',X'${bqual}',${formatId}`;
}

/** Of `XA COMMIT X'7831',X'',1` and the like. */
export function xidOfStatement(sql: string): string {
  const match = /X'([0-9a-f]*)'\s*,\s*X'([0-9a-f]*)'\s*,\s*(\d+)/i.exec(sql);
  if (match === null) {
    throw new MillraceError('UNSUPPORTED', `'${sql.slice(0, 200)}' names its branch in an unknown way`, {
      hint: 'Complete that branch on the target by hand.',
    });
  }
  return `${match[1]!.toLowerCase()},${match[2]!.toLowerCase()},${match[3]}`;
}

/** Its note goes; `channel`: as SQL literal. */
export function forgetBranchStatements(channel: string, xid: string): readonly string[] {
  return [
    `DELETE FROM millrace.prepared WHERE channel=${channel} AND xid=${hexLiteral(xid)}`,
    MATCHED_ONE_ROW,
  ];
}
