/**
 * Views, triggers, routines, packages, events, databases. The verb, OR REPLACE and what stands between them and the kind
 * (definer, algorithm …) have been taken.
 */
import { ClauseScan } from './clause-scan.ts';
import type { ObjectKind } from './statement-reading.ts';
import type { StatementScan } from './statement-scan.ts';
import type { ChangeKind } from './target-rules.ts';

/** {CREATE | ALTER} … VIEW v [(columns)] AS query [WITH … CHECK OPTION] */
export function readView(scan: StatementScan, role: 'creates' | 'alters'): ChangeKind {
  scan.takeIfNotExists();
  scan.object('view', role, true);
  if (scan.isSymbol('(')) scan.skipParentheses();
  scan.expect('AS');
  new ClauseScan(scan, { body: false }).run();
  return role === 'creates' ? 'create_view' : 'alter_view';
}

export function readDropView(scan: StatementScan): ChangeKind {
  scan.takeIfExists();
  scan.objectList('view', 'drops', true);
  scan.takeOneOf('RESTRICT', 'CASCADE');
  return 'drop_view';
}

/** CREATE … TRIGGER g {BEFORE | AFTER} {INSERT | UPDATE | DELETE} ON t FOR EACH ROW … */
export function readCreateTrigger(scan: StatementScan): ChangeKind {
  scan.takeIfNotExists();
  const { name, database } = scan.qualifiedName();
  scan.note({ name, database }, 'trigger', 'creates', false);
  if (scan.takeOneOf('BEFORE', 'AFTER') === null) scan.fail('the time of the trigger is missing');
  while (!scan.atEnd && !scan.isWord('ON')) scan.next();
  scan.expect('ON');
  scan.object('table', 'alters', true);
  new ClauseScan(scan, { body: true }).run();
  return 'create_trigger';
}

/** CREATE … {PROCEDURE | FUNCTION | PACKAGE [BODY]} r … */
export function readCreateRoutine(scan: StatementScan): ChangeKind {
  scan.takeIfNotExists();
  scan.object('routine', 'creates', false);
  new ClauseScan(scan, { body: true }).run();
  return 'create_routine';
}

export function readAlterRoutine(scan: StatementScan): ChangeKind {
  scan.object('routine', 'alters', false);
  scan.skipRest();
  return 'alter_routine';
}

/** CREATE … EVENT e ON SCHEDULE … DO … */
export function readCreateEvent(scan: StatementScan): ChangeKind {
  scan.takeIfNotExists();
  scan.object('event', 'creates', false);
  new ClauseScan(scan, { body: true }).run();
  return 'create_event';
}

/** ALTER … EVENT e [ON SCHEDULE …] [RENAME TO f] … [DO …] */
export function readAlterEvent(scan: StatementScan): ChangeKind {
  const at = scan.objects.length;
  scan.object('event', 'alters', false);
  let depth = 0;
  while (!scan.atEnd && !scan.isWord('DO')) {
    if (depth === 0 && scan.take('RENAME', 'TO')) {
      scan.object('event', 'renames-to', false);
      scan.objects[at] = { ...scan.objects[at]!, role: 'renames-from' };
      continue;
    }
    const { kind, text } = scan.next();
    if (kind === 'symbol' && text === '(') depth += 1;
    if (kind === 'symbol' && text === ')') depth -= 1;
  }
  new ClauseScan(scan, { body: true }).run();
  return 'alter_event';
}

/** DROP {TRIGGER | PROCEDURE | FUNCTION | PACKAGE [BODY] | EVENT} [IF EXISTS] x */
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

const DATABASE_OPTIONS = ['CHARACTER', 'CHARSET', 'COLLATE', 'DEFAULT', 'ENCRYPTION', 'READ', 'COMMENT'];

/** ALTER DATABASE [db] options; UPGRADE DATA DIRECTORY NAME. */
export function readAlterDatabase(scan: StatementScan): ChangeKind {
  if (!scan.isWord(...DATABASE_OPTIONS) || scan.isWord('CHARSET', 'ENCRYPTION', 'COMMENT')) {
    // Not reserved: a database may have such a name, then an option follows.
    const named = !scan.isWord(...DATABASE_OPTIONS) || scan.isName(1);
    if (named) scan.database('alters');
    else noDatabase(scan);
  } else noDatabase(scan);
  scan.skipRest();
  return 'alter_database';
}

function noDatabase(scan: StatementScan): void {
  scan.objects.push({
    kind: 'database',
    role: 'alters',
    database: null,
    name: '',
    databaseSpan: null,
    nameSpan: null,
    updating: false,
  });
}

export function readDropDatabase(scan: StatementScan): ChangeKind {
  scan.takeIfExists();
  scan.database('drops');
  return 'drop_database';
}
