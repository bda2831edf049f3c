/**
 * What keeps tables and the server in order, and what belongs to the server and not to a database: tablespaces, servers,
 * plugins, loadable functions. The verb has been taken.
 */
import type { ObjectRole } from './statement-reading.ts';
import type { StatementScan } from './statement-scan.ts';
import type { ChangeKind } from './target-rules.ts';

/** {ANALYZE | OPTIMIZE | REPAIR | CHECK | CHECKSUM} [LOCAL] {TABLE | TABLES | VIEW} t, … options */
export function readTableMaintenance(scan: StatementScan): ChangeKind {
  scan.takeOneOf('LOCAL', 'NO_WRITE_TO_BINLOG');
  const view = scan.take('VIEW') || scan.take('VIEWS');
  if (!view && scan.takeOneOf('TABLE', 'TABLES') === null) scan.fail('TABLE is missing');
  scan.objectList(view ? 'view' : 'table', 'maintains', true);
  scan.skipRest();
  return 'maintenance';
}

/** FLUSH [LOCAL] {TABLE | TABLES} [t, …] …; FLUSH of anything else names none. */
export function readFlush(scan: StatementScan): ChangeKind {
  scan.takeOneOf('LOCAL', 'NO_WRITE_TO_BINLOG');
  const ofTables = scan.takeOneOf('TABLE', 'TABLES') !== null;
  if (ofTables && scan.isName() && !scan.isWord('WITH', 'FOR')) {
    scan.objectList('table', 'maintains', true);
  }
  scan.skipRest();
  return 'maintenance';
}

/** TABLESPACE, UNDO TABLESPACE, LOGFILE GROUP, SERVER, RESOURCE GROUP, SPATIAL REFERENCE SYSTEM, INSTANCE, PLUGIN … */
export function readServerObject(scan: StatementScan): ChangeKind {
  scan.skipRest();
  return 'maintenance';
}

/** CREATE … FUNCTION [IF NOT EXISTS] f RETURNS type SONAME 'library': null when it is none. */
export function readLoadableFunction(scan: StatementScan): ChangeKind | null {
  const at = ['IF', 'NOT', 'EXISTS'].every((word, i) => scan.wordAt(i) === word) ? 3 : 0;
  if (scan.wordAt(at + 1) !== 'RETURNS' || scan.wordAt(at + 3) !== 'SONAME') return null;
  scan.takeIfNotExists();
  noteServerObject(scan, 'creates');
  scan.skipRest();
  return 'maintenance';
}

function noteServerObject(scan: StatementScan, role: ObjectRole): void {
  const name = scan.name();
  scan.note({ database: null, name }, 'other', role, false);
}
