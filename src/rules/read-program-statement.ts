/**
 * Views, triggers, routines, packages, libraries, events, databases. The verb, OR REPLACE and what stands between them and
 * the kind (definer, algorithm …) have been taken, and the kind too.
 *
 * A body is looked through for databases only. It may hold what no rule knows; then the statement is read all the same, and
 * what is not known are its databases.
 */
import { ClauseScan, type StatementReader } from './clause-scan.ts';
import { readLoadableFunction } from './read-maintenance-statement.ts';
import type { ObjectKind } from './statement-reading.ts';
import { type StatementScan, Unplaceable } from './statement-scan.ts';
import type { ChangeKind } from './target-rules.ts';

function readBody(scan: StatementScan, readInner: StatementReader): void {
  scan.enterBody();
  try {
    new ClauseScan(scan, { readInner }).run();
  } catch (error) {
    if (!(error instanceof Unplaceable) || scan.tokens.trouble !== null) throw error;
    scan.databasesKnown = false;
    while (scan.peek().kind !== 'end') scan.next();
  }
  scan.leaveBody();
}

/** {CREATE | ALTER} … VIEW v [(columns)] AS query [WITH … CHECK OPTION] */
export function readView(scan: StatementScan, role: 'creates' | 'alters'): ChangeKind {
  scan.takeIfNotExists();
  scan.object('view', role, true);
  if (scan.isSymbol('(')) scan.skipParentheses();
  scan.expect('AS');
  new ClauseScan(scan, { sequencesMove: 'never' }).run();
  return role === 'creates' ? 'create_view' : 'alter_view';
}

export function readDropView(scan: StatementScan): ChangeKind {
  scan.takeIfExists();
  scan.objectList('view', 'drops', true);
  scan.takeOneOf('RESTRICT', 'CASCADE');
  return 'drop_view';
}

/** CREATE … TRIGGER g {BEFORE | AFTER} {INSERT | UPDATE | DELETE} ON t FOR EACH ROW … */
export function readCreateTrigger(scan: StatementScan, readInner: StatementReader): ChangeKind {
  scan.takeIfNotExists();
  scan.object('trigger', 'creates', false);
  if (scan.takeOneOf('BEFORE', 'AFTER') === null) scan.fail('the time of the trigger is missing');
  while (!scan.atEnd && !scan.isWord('ON')) scan.next();
  scan.expect('ON');
  scan.object('table', 'alters', true);
  readBody(scan, readInner);
  return 'create_trigger';
}

export function readCreateFunction(scan: StatementScan, readInner: StatementReader): ChangeKind {
  return readLoadableFunction(scan) ?? readCreateRoutine(scan, readInner);
}

/** CREATE … {PROCEDURE | FUNCTION | PACKAGE [BODY] | LIBRARY} r … */
export function readCreateRoutine(scan: StatementScan, readInner: StatementReader): ChangeKind {
  scan.takeIfNotExists();
  scan.object('routine', 'creates', false);
  readBody(scan, readInner);
  return 'create_routine';
}

export function readAlterRoutine(scan: StatementScan): ChangeKind {
  scan.takeIfExists();
  scan.object('routine', 'alters', false);
  scan.skipRest();
  return 'alter_routine';
}

/** CREATE … EVENT e ON SCHEDULE … DO … */
export function readCreateEvent(scan: StatementScan, readInner: StatementReader): ChangeKind {
  scan.takeIfNotExists();
  scan.object('event', 'creates', false);
  readBody(scan, readInner);
  return 'create_event';
}

/** ALTER … EVENT e [ON SCHEDULE …] [RENAME TO f] … [DO …] */
export function readAlterEvent(scan: StatementScan, readInner: StatementReader): ChangeKind {
  const at = scan.objects.length;
  scan.takeIfExists();
  scan.object('event', 'alters', false);
  while (!scan.atEnd && !scan.isWord('DO')) {
    if (scan.take('RENAME', 'TO')) {
      scan.object('event', 'renames-to', false);
      scan.reassign(at, 'renames-from');
    } else if (scan.isSymbol('(')) scan.skipParentheses();
    else scan.next();
  }
  readBody(scan, readInner);
  return 'alter_event';
}

/** DROP {TRIGGER | PROCEDURE | FUNCTION | PACKAGE [BODY] | LIBRARY | EVENT} [IF EXISTS] x */
export function readDropProgram(
  scan: StatementScan,
  kind: ObjectKind,
  change: 'drop_trigger' | 'drop_routine' | 'drop_event',
): ChangeKind {
  scan.takeIfExists();
  scan.object(kind, 'drops', false);
  return change;
}

export function readCreateDatabase(scan: StatementScan): ChangeKind {
  scan.takeIfNotExists();
  scan.database('creates');
  scan.skipRest();
  return 'create_database';
}

/** What begins an option of ALTER DATABASE; those that are not reserved words can be a database's name as well. */
const DATABASE_OPTIONS = ['CHARACTER', 'COLLATE', 'DEFAULT', 'READ', 'CHARSET', 'ENCRYPTION', 'COMMENT'];
const OPTIONS_NOT_RESERVED = new Set(['CHARSET', 'ENCRYPTION', 'COMMENT']);

/** ALTER DATABASE [db] options; ALTER DATABASE db UPGRADE DATA DIRECTORY NAME */
export function readAlterDatabase(scan: StatementScan): ChangeKind {
  const word = scan.wordAt();
  const isOption = DATABASE_OPTIONS.includes(word);
  const isName = OPTIONS_NOT_RESERVED.has(word) && DATABASE_OPTIONS.includes(scan.wordAt(1));
  if (isOption && !isName) scan.noteDefaultDatabase('alters');
  else scan.database('alters');
  scan.skipRest();
  return 'alter_database';
}

export function readDropDatabase(scan: StatementScan): ChangeKind {
  scan.takeIfExists();
  scan.database('drops');
  return 'drop_database';
}
