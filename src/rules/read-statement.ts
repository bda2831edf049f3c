/**
 * Reads what a statement does and to which objects. Every kind of statement that servers write to their binary logs has its
 * rule; any other is `unplaced`, and so is a statement in which something stands where the rule does not expect it. Nothing
 * is guessed: who filters or rewrites can rely on a reading.
 *
 * The text was executed by a server, so it is not checked: the rules take what they need and pass over the rest.
 */
import type { StatementReader } from './clause-scan.ts';
import { readAccount, readGrant } from './read-account-statement.ts';
import { readFlush, readServerObject, readTableMaintenance } from './read-maintenance-statement.ts';
import {
  readAlterDatabase,
  readAlterEvent,
  readAlterRoutine,
  readCreateDatabase,
  readCreateEvent,
  readCreateFunction,
  readCreateRoutine,
  readCreateTrigger,
  readDropDatabase,
  readDropProgram,
  readDropView,
  readView,
} from './read-program-statement.ts';
import { readLoad, readOther, readRows } from './read-row-statement.ts';
import {
  readAlterTable,
  readCreateIndex,
  readCreateTable,
  readDropIndex,
  readDropTable,
  readRenameTable,
  readSequence,
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
      verb: scan.verb,
      replaces: scan.replaces,
      empties: scan.empties,
      updateListIsPlain: scan.updateListIsPlain,
    };
  } catch (error) {
    if (!(error instanceof Unplaceable)) throw error;
    return { is: 'unplaced', why: error.why, at: Math.min(error.at, sql.length) };
  }
}

type Rule = (scan: StatementScan, readInner: StatementReader) => ChangeKind;
type Rules = ReadonlyMap<string, Rule>;

const rules = (entries: Readonly<Record<string, Rule>>): Rules =>
  new Map(Object.entries(entries).flatMap(([words, rule]) => words.split(' ').map((word) => [word, rule])));

const VERBS = rules({
  CREATE: readCreate,
  ALTER: readAlter,
  DROP: readDrop,
  RENAME: readRename,
  TRUNCATE: taken(readTruncate),
  'GRANT REVOKE': taken(readGrant),
  SET: readSet,
  'INSERT REPLACE UPDATE DELETE WITH CALL DO SELECT VALUES TABLE': readRows,
  LOAD: taken(readLoad),
  'ANALYZE OPTIMIZE REPAIR CHECK CHECKSUM': taken(readTableMaintenance),
  FLUSH: taken(readFlush),
  'INSTALL UNINSTALL': taken(readServerObject),
  'BEGIN START COMMIT ROLLBACK SAVEPOINT RELEASE XA': readOther,
});

const CREATE = rules({
  TABLE: readCreateTable,
  INDEX: readCreateIndex,
  VIEW: (scan) => readView(scan, 'creates'),
  TRIGGER: readCreateTrigger,
  'PROCEDURE LIBRARY': readCreateRoutine,
  FUNCTION: readCreateFunction,
  PACKAGE: (scan, readInner) => {
    scan.take('BODY');
    return readCreateRoutine(scan, readInner);
  },
  EVENT: readCreateEvent,
  'DATABASE SCHEMA': readCreateDatabase,
  SEQUENCE: (scan) => readSequence(scan, 'creates', 'create_table'),
  'USER ROLE': readAccount,
  'TABLESPACE LOGFILE SERVER RESOURCE REFERENCE': readServerObject,
});

const ALTER = rules({
  TABLE: readAlterTable,
  VIEW: (scan) => readView(scan, 'alters'),
  'PROCEDURE FUNCTION LIBRARY': readAlterRoutine,
  EVENT: readAlterEvent,
  'DATABASE SCHEMA': readAlterDatabase,
  SEQUENCE: (scan) => readSequence(scan, 'alters', 'alter_table'),
  'USER ROLE': readAccount,
  'TABLESPACE LOGFILE SERVER RESOURCE INSTANCE': readServerObject,
});

const DROP = rules({
  'TABLE TABLES': readDropTable,
  INDEX: readDropIndex,
  VIEW: readDropView,
  TRIGGER: (scan) => readDropProgram(scan, 'trigger', 'drop_trigger'),
  'PROCEDURE FUNCTION LIBRARY': (scan) => readDropProgram(scan, 'routine', 'drop_routine'),
  PACKAGE: (scan) => {
    scan.take('BODY');
    return readDropProgram(scan, 'routine', 'drop_routine');
  },
  EVENT: (scan) => readDropProgram(scan, 'event', 'drop_event'),
  'DATABASE SCHEMA': readDropDatabase,
  SEQUENCE: (scan) => readSequence(scan, 'drops', 'drop_table'),
  'USER ROLE': readAccount,
  'TABLESPACE LOGFILE SERVER RESOURCE REFERENCE': readServerObject,
});

/** What may stand between the verb and the kind, besides the attributes of views and programs. */
const CREATE_MODIFIERS = words(
  'TEMPORARY ONLINE OFFLINE UNIQUE FULLTEXT SPATIAL VECTOR AGGREGATE UNDO JSON RELATIONAL DUALITY MATERIALIZED EXTERNAL',
);
const ALTER_MODIFIERS = words('ONLINE OFFLINE IGNORE UNDO JSON RELATIONAL DUALITY MATERIALIZED');
const DROP_MODIFIERS = words('TEMPORARY ONLINE OFFLINE SPATIAL UNDO JSON RELATIONAL DUALITY MATERIALIZED');

function words(list: string): readonly string[] {
  return list.split(' ');
}

/** A rule that begins after the verb. */
function taken(rule: (scan: StatementScan) => ChangeKind): Rule {
  return (scan) => {
    scan.next();
    return rule(scan);
  };
}

function readVerb(scan: StatementScan): ChangeKind {
  // A query in parentheses.
  if (scan.isSymbol('(')) return readRows(scan);
  // Nothing but comments, as MariaDB puts in the place of events that a replica does not know.
  if (scan.atEnd) return 'other';
  const verb = scan.wordAt();
  const rule = VERBS.get(verb);
  if (!scan.inBody) scan.verb = verb;
  if (rule === undefined) scan.fail('the statement begins with something that has no rule');
  return rule(scan, readVerb);
}

function readKind(scan: StatementScan, verb: string, kinds: Rules, modifiers: readonly string[]): ChangeKind {
  skipAttributes(scan);
  for (let word = scan.takeOneOf(...modifiers); word !== null; word = scan.takeOneOf(...modifiers)) {
    if (word === 'TEMPORARY' && !scan.inBody) scan.temporary = true;
  }
  const rule = kinds.get(scan.wordAt());
  if (rule === undefined) scan.fail(`${verb} of something that has no rule`);
  scan.next();
  return rule(scan, readVerb);
}

function readCreate(scan: StatementScan): ChangeKind {
  scan.next();
  if (scan.take('OR', 'REPLACE') && !scan.inBody) scan.replaces = true;
  return readKind(scan, 'CREATE', CREATE, CREATE_MODIFIERS);
}

function readAlter(scan: StatementScan): ChangeKind {
  scan.next();
  return readKind(scan, 'ALTER', ALTER, ALTER_MODIFIERS);
}

function readDrop(scan: StatementScan): ChangeKind {
  scan.next();
  return readKind(scan, 'DROP', DROP, DROP_MODIFIERS);
}

function readRename(scan: StatementScan): ChangeKind {
  scan.next();
  if (scan.takeOneOf('TABLE', 'TABLES') !== null) return readRenameTable(scan);
  if (!scan.isWord('USER')) scan.fail('RENAME of something that has no rule');
  return readAccount(scan);
}

/** SET PASSWORD, SET DEFAULT ROLE; SET STATEMENT variables FOR statement (MariaDB). */
function readSet(scan: StatementScan): ChangeKind {
  if (scan.wordAt(1) === 'PASSWORD' || (scan.wordAt(1) === 'DEFAULT' && scan.wordAt(2) === 'ROLE')) {
    return readAccount(scan);
  }
  if (!scan.mariadb || !scan.take('SET', 'STATEMENT')) return readRows(scan);
  while (!scan.atEnd && !scan.isWord('FOR')) {
    if (scan.isSymbol('(')) scan.skipParentheses();
    else scan.next();
  }
  scan.expect('FOR');
  if (scan.isWord('SET')) scan.fail('SET STATEMENT of a SET');
  return readVerb(scan);
}

/** ALGORITHM = x DEFINER = account SQL SECURITY x, in any order. */
function skipAttributes(scan: StatementScan): void {
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

/** 'u'@'h', u@h, `u`, CURRENT_USER[()], CURRENT_ROLE[()] */
function skipAccount(scan: StatementScan): void {
  scan.next();
  if (scan.peek().kind === 'variable') scan.next();
  else if (scan.isSymbol('(')) scan.skipParentheses();
}
