/**
 * The heads of row statements, wherever one begins: at the top, in a body, after WITH.
 *
 *   INSERT | REPLACE [options] [INTO] t
 *   UPDATE [options] list of tables SET …                     all of the list count as updated
 *   DELETE [options] FROM t …                                 one table
 *   DELETE [options] t, u.* FROM list of tables …             those of the list that are meant
 *   DELETE [options] FROM t, u.* USING list of tables …       the same
 *
 * The verb stands next. What follows the head is the clause scan's.
 */
import type { ClauseFrames } from './clause-frames.ts';
import type { ClauseNames } from './clause-names.ts';
import { beginsQuery } from './clause-words.ts';
import type { QualifiedName, StatementScan } from './statement-scan.ts';

/** False: it is a function, or says how CREATE TABLE … REPLACE SELECT treats doubles. */
export function beginsInsert(scan: StatementScan): boolean {
  return !scan.isSymbol('(', 1) && !beginsQuery(scan.wordAt(1)) && scan.wordAt(1) !== 'AS';
}

export function readInsert(scan: StatementScan, names: ClauseNames): void {
  scan.next();
  scan.takeAll('LOW_PRIORITY', 'DELAYED', 'HIGH_PRIORITY', 'IGNORE');
  scan.take('INTO');
  names.table('changes-rows');
}

export function readUpdate(scan: StatementScan, frames: ClauseFrames): void {
  scan.next();
  scan.takeAll('LOW_PRIORITY', 'IGNORE');
  frames.beginTables('changes-rows');
}

export function readDelete(scan: StatementScan, frames: ClauseFrames, names: ClauseNames): void {
  scan.next();
  scan.takeAll('LOW_PRIORITY', 'QUICK', 'IGNORE', 'HISTORY');
  const listFollows = !scan.take('FROM');
  const targets: QualifiedName[] = [];
  do targets.push(names.deleteTarget());
  while (scan.takeSymbol(','));
  if (listFollows) scan.expect('FROM');
  else if (!scan.take('USING')) {
    if (targets.length > 1) scan.fail('USING is missing');
    names.tableAs(targets[0]!, 'changes-rows');
    // An alias, PARTITION, FOR PORTION OF may follow, as in a list.
    frames.current.tables = 'reads';
    return;
  }
  names.deleteFrom(targets);
  frames.beginTables('deletes-from');
}

/** UNION = (t1, t2) of a MERGE table; the UNION of queries has nothing to be read here. */
export function readUnion(scan: StatementScan, frames: ClauseFrames, names: ClauseNames): void {
  scan.next();
  const isList = scan.takeSymbol('=') || isListOfNames(scan, frames);
  if (!isList) return;
  if (!scan.takeSymbol('(')) scan.fail('the list of UNION is missing');
  if (scan.takeSymbol(')')) return;
  do names.table('reads');
  while (scan.takeSymbol(','));
  if (!scan.takeSymbol(')')) scan.fail('the list of UNION is not closed');
}

function isListOfNames(scan: StatementScan, { current }: ClauseFrames): boolean {
  return !current.query && scan.isSymbol('(') && scan.isName(1) && !beginsQuery(scan.wordAt(1));
}
