/**
 * Statements about rows: INSERT, REPLACE, UPDATE, DELETE, LOAD, with or without WITH; and what may stand beside them in a
 * binary log and names tables at most to read them: CALL, DO, SELECT, SET, SAVEPOINT, XA.
 *
 * In an UPDATE all tables of its list are marked as updated: which of them are cannot be told by the text. The server has
 * noted it in the event (table_map_for_update).
 */
import { ClauseScan } from './clause-scan.ts';
import type { StatementScan } from './statement-scan.ts';
import type { ChangeKind } from './target-rules.ts';

/** The verb has not been taken. */
export function readRows(scan: StatementScan): ChangeKind {
  const clauses = new ClauseScan(scan, { sequencesMove: 'always' });
  clauses.run();
  return clauses.change ?? 'other';
}

/** LOAD {DATA | XML} … INFILE 'f' … INTO TABLE t … The verb has been taken. */
export function readLoad(scan: StatementScan): ChangeKind {
  if (scan.takeOneOf('DATA', 'XML') === null) scan.fail('LOAD of something that has no rule');
  while (!scan.atEnd && !scan.isWord('INTO')) scan.next();
  scan.expect('INTO', 'TABLE');
  scan.object('table', 'changes-rows', true);
  new ClauseScan(scan, { sequencesMove: 'always' }).run();
  return 'insert';
}

export function readOther(scan: StatementScan): ChangeKind {
  scan.skipRest();
  return 'other';
}
