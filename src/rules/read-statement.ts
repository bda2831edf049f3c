/**
 * Reads what a statement does and to which objects. Every kind of statement that servers write to their binary logs has its
 * rule; any other is `unplaced`, and so is a statement in which something stands where the rule does not expect it. Nothing
 * is guessed: who filters or rewrites can rely on a reading.
 *
 * The text was executed by a server, so it is not checked: the rules take what they need and pass over the rest.
 */
import { ClauseScan } from './clause-scan.ts';
import {
  readAlterDatabase,
  readAlterEvent,
  readAlterRoutine,
  readCreateDatabase,
  readCreateEvent,
  readCreateRoutine,
  readCreateTrigger,
  readDropDatabase,
  readDropProgram,
  readDropView,
  readView,
} from './read-program-statement.ts';
import {
  readAlterTable,
  readCreateIndex,
  readCreateTable,
  readDropIndex,
  readDropTable,
  readRenameTable,
  readTruncate,
} from './read-table-statement.ts';
import type { StatementDialect, StatementReading } from './statement-reading.ts';
import { StatementScan, Unplaceable } from './statement-scan.ts';
import type { ChangeKind } from './target-rules.ts';

export function readStatement(sql: Buffer, dialect: StatementDialect): StatementReading {
  const scan = new StatementScan(sql, dialect);
  try {
    const kind = readVerb(scan);
    scan.expectEnd();
    return {
      is: 'read',
      kind,
      objects: scan.objects,
      databases: scan.databasesKnown ? scan.databases : null,
      ifExists: scan.ifExists,
      temporary: scan.temporary,
    };
  } catch (error) {
    if (!(error instanceof Unplaceable)) throw error;
    return { is: 'unplaced', why: error.why, at: Math.min(error.at, sql.length) };
  }
}

function readVerb(scan: StatementScan): ChangeKind {
  const verb = scan.wordAt();
  switch (verb) {
    case 'CREATE':
      scan.next();
      return readCreate(scan);
    case 'ALTER':
      scan.next();
      return readAlter(scan);
    case 'DROP':
      scan.next();
      return readDrop(scan);
    case 'RENAME':
      scan.next();
      if (scan.takeOneOf('TABLE', 'TABLES') !== null) return readRenameTable(scan);
      return readAccount(scan);
    case 'TRUNCATE':
      scan.next();
      return readTruncate(scan);
    case 'GRANT':
    case 'REVOKE':
      return readAccount(scan);
    case 'INSERT':
    case 'REPLACE':
    case 'UPDATE':
    case 'DELETE':
    case 'WITH':
    case 'CALL':
    case 'DO':
    case 'SELECT':
    case 'SET':
      return readRows(scan, verb);
    default:
      return scan.fail('the statement begins with a word that has no rule');
  }
}

const ROW_KINDS: Readonly<Record<string, ChangeKind>> = {
  INSERT: 'insert',
  REPLACE: 'insert',
  UPDATE: 'update',
  DELETE: 'delete',
};

function readRows(scan: StatementScan, verb: string): ChangeKind {
  if (verb === 'SET' && scan.isWord('PASSWORD', 'DEFAULT')) return readAccount(scan);
  new ClauseScan(scan, { body: false }).run();
  return ROW_KINDS[verb] ?? 'other';
}

function readAccount(scan: StatementScan): ChangeKind {
  scan.databasesKnown = false;
  scan.skipRest();
  return 'account';
}

const BEFORE_CREATED = ['TEMPORARY', 'ONLINE', 'OFFLINE', 'UNIQUE', 'FULLTEXT', 'SPATIAL', 'AGGREGATE'];

function readCreate(scan: StatementScan): ChangeKind {
  scan.take('OR', 'REPLACE');
  skipViewAttributes(scan);
  scan.temporary = scan.isWord('TEMPORARY');
  scan.takeAll(...BEFORE_CREATED);
  const word = scan.takeOneOf(
    'TABLE',
    'INDEX',
    'VIEW',
    'TRIGGER',
    'PROCEDURE',
    'FUNCTION',
    'EVENT',
    'DATABASE',
    'SCHEMA',
    'USER',
    'ROLE',
  );
  switch (word) {
    case 'TABLE':
      return readCreateTable(scan);
    case 'INDEX':
      return readCreateIndex(scan);
    case 'VIEW':
      return readView(scan, 'creates');
    case 'TRIGGER':
      return readCreateTrigger(scan);
    case 'PROCEDURE':
    case 'FUNCTION':
      return readCreateRoutine(scan);
    case 'EVENT':
      return readCreateEvent(scan);
    case 'DATABASE':
    case 'SCHEMA':
      return readCreateDatabase(scan);
    case 'USER':
    case 'ROLE':
      return readAccount(scan);
    default:
      return scan.fail('CREATE of something that has no rule');
  }
}

function readAlter(scan: StatementScan): ChangeKind {
  skipViewAttributes(scan);
  scan.takeAll('ONLINE', 'OFFLINE', 'IGNORE');
  switch (scan.takeOneOf('TABLE', 'VIEW', 'PROCEDURE', 'FUNCTION', 'EVENT', 'DATABASE', 'SCHEMA', 'USER')) {
    case 'TABLE':
      return readAlterTable(scan);
    case 'VIEW':
      return readView(scan, 'alters');
    case 'PROCEDURE':
    case 'FUNCTION':
      return readAlterRoutine(scan);
    case 'EVENT':
      return readAlterEvent(scan);
    case 'DATABASE':
    case 'SCHEMA':
      return readAlterDatabase(scan);
    case 'USER':
      return readAccount(scan);
    default:
      return scan.fail('ALTER of something that has no rule');
  }
}

function readDrop(scan: StatementScan): ChangeKind {
  scan.temporary = scan.isWord('TEMPORARY');
  scan.takeAll('TEMPORARY', 'ONLINE', 'OFFLINE');
  const word = scan.takeOneOf(
    'TABLE',
    'TABLES',
    'INDEX',
    'VIEW',
    'TRIGGER',
    'PROCEDURE',
    'FUNCTION',
    'EVENT',
    'DATABASE',
    'SCHEMA',
    'USER',
    'ROLE',
  );
  switch (word) {
    case 'TABLE':
    case 'TABLES':
      return readDropTable(scan);
    case 'INDEX':
      return readDropIndex(scan);
    case 'VIEW':
      return readDropView(scan);
    case 'TRIGGER':
      return readDropProgram(scan, 'trigger', 'drop_trigger');
    case 'PROCEDURE':
    case 'FUNCTION':
      return readDropProgram(scan, 'routine', 'drop_routine');
    case 'EVENT':
      return readDropProgram(scan, 'event', 'drop_event');
    case 'DATABASE':
    case 'SCHEMA':
      return readDropDatabase(scan);
    case 'USER':
    case 'ROLE':
      return readAccount(scan);
    default:
      return scan.fail('DROP of something that has no rule');
  }
}

/** ALGORITHM = x DEFINER = account SQL SECURITY x, in any order. */
function skipViewAttributes(scan: StatementScan): void {
  for (;;) {
    if (scan.take('ALGORITHM')) {
      scan.takeSymbol('=');
      scan.next();
    } else if (scan.take('DEFINER')) {
      scan.takeSymbol('=');
      skipAccount(scan);
    } else if (scan.take('SQL', 'SECURITY')) {
      scan.next();
    } else return;
  }
}

/** 'u'@'h', u@h, `u`, CURRENT_USER[()], CURRENT_ROLE */
function skipAccount(scan: StatementScan): void {
  scan.next();
  if (scan.peek().kind === 'variable') scan.next();
  else if (scan.isSymbol('(')) scan.skipParentheses();
}
