/**
 * CREATE, ALTER, DROP, RENAME and TRUNCATE TABLE, CREATE and DROP INDEX, and MariaDB's sequences. The verb and, where there
 * is one, OR REPLACE have been taken.
 */
import { ClauseScan } from './clause-scan.ts';
import type { StatementScan } from './statement-scan.ts';
import type { ChangeKind } from './target-rules.ts';

/** CREATE [TEMPORARY] TABLE … */
export function readCreateTable(scan: StatementScan): ChangeKind {
  scan.takeIfNotExists();
  scan.object('table', 'creates', true);
  if (scan.take('LIKE')) {
    scan.object('table', 'reads', false);
    return 'create_table';
  }
  if (scan.isSymbol('(') && scan.wordAt(1) === 'LIKE') {
    scan.next();
    scan.next();
    scan.object('table', 'reads', false);
    if (!scan.takeSymbol(')')) scan.fail('a parenthesis is not closed');
    return 'create_table';
  }
  new ClauseScan(scan).run();
  return 'create_table';
}

/** ALTER [ONLINE] [IGNORE] TABLE … */
export function readAlterTable(scan: StatementScan): ChangeKind {
  scan.takeIfExists();
  const at = scan.objects.length;
  scan.object('table', 'alters', true);
  scan.takeLockWait();
  const clauses = new AlterClauses(scan);
  clauses.run();
  if (clauses.renames) scan.reassign(at, 'renames-from');
  if (clauses.kind === 'maintenance') scan.reassign(at, 'maintains');
  if (clauses.kind === 'truncate') scan.reassign(at, 'changes-rows');
  return clauses.kind;
}

/** The clauses of ALTER TABLE, of which few name an object; the others are looked through for columns and functions. */
class AlterClauses {
  kind: ChangeKind = 'alter_table';
  renames = false;
  readonly #scan: StatementScan;

  constructor(scan: StatementScan) {
    this.#scan = scan;
  }

  run(): void {
    const scan = this.#scan;
    while (!scan.atEnd) {
      if (!this.#named()) new ClauseScan(scan, { untilComma: true }).run();
      // Options of the table may follow without a comma.
      scan.takeSymbol(',');
    }
  }

  #named(): boolean {
    const scan = this.#scan;
    switch (scan.wordAt()) {
      case 'RENAME':
        return this.#rename();
      case 'EXCHANGE':
        if (scan.wordAt(1) !== 'PARTITION') return false;
        scan.expect('EXCHANGE', 'PARTITION');
        scan.name();
        scan.expect('WITH', 'TABLE');
        scan.object('table', 'alters', true);
        return true;
      case 'CONVERT':
        return this.#convert();
      case 'TRUNCATE':
        if (scan.wordAt(1) === 'PARTITION') this.kind = 'truncate';
        this.#noteEmptying('PARTITION');
        return false;
      case 'DROP':
        this.#noteEmptying('PARTITION');
        return false;
      case 'DISCARD':
        this.#noteEmptying('PARTITION', 'TABLESPACE');
        return false;
      case 'ANALYZE':
      case 'CHECK':
      case 'OPTIMIZE':
      case 'REPAIR':
        if (scan.wordAt(1) === 'PARTITION') this.kind = 'maintenance';
        return false;
      default:
        return false;
    }
  }

  /** The clause does so to one of these: to the rows in it. */
  #noteEmptying(...what: readonly string[]): void {
    if (!this.#scan.inBody && what.includes(this.#scan.wordAt(1))) this.#scan.empties = true;
  }

  /** RENAME [TO | AS | =] name; RENAME COLUMN, INDEX and KEY name no table. */
  #rename(): boolean {
    const scan = this.#scan;
    if (['COLUMN', 'INDEX', 'KEY'].includes(scan.wordAt(1))) return false;
    scan.next();
    if (!scan.takeSymbol('=')) scan.takeOneOf('TO', 'AS');
    scan.object('table', 'renames-to', false);
    this.renames = true;
    return true;
  }

  /** CONVERT PARTITION p TO TABLE t, CONVERT TABLE t TO PARTITION p … (MariaDB); CONVERT TO CHARACTER SET. */
  #convert(): boolean {
    const scan = this.#scan;
    if (scan.take('CONVERT', 'PARTITION')) {
      scan.name();
      scan.expect('TO', 'TABLE');
      scan.object('table', 'creates', false);
      return true;
    }
    if (!scan.take('CONVERT', 'TABLE')) return false;
    scan.object('table', 'drops', false);
    return true;
  }
}

/** DROP [TEMPORARY] TABLE … */
export function readDropTable(scan: StatementScan): ChangeKind {
  scan.takeIfExists();
  scan.objectList('table', 'drops', true);
  scan.takeLockWait();
  scan.takeOneOf('RESTRICT', 'CASCADE');
  return 'drop_table';
}

/** RENAME {TABLE | TABLES} a TO b, … */
export function readRenameTable(scan: StatementScan): ChangeKind {
  scan.takeIfExists();
  do {
    scan.object('table', 'renames-from', true);
    scan.takeLockWait();
    scan.expect('TO');
    scan.object('table', 'renames-to', true);
  } while (scan.takeSymbol(','));
  return 'rename_table';
}

/** TRUNCATE [TABLE] t */
export function readTruncate(scan: StatementScan): ChangeKind {
  scan.take('TABLE');
  scan.object('table', 'changes-rows', true);
  scan.takeLockWait();
  return 'truncate';
}

/** CREATE [ONLINE | OFFLINE] [UNIQUE | FULLTEXT | SPATIAL | VECTOR] INDEX i [USING x] ON t (…) … */
export function readCreateIndex(scan: StatementScan): ChangeKind {
  scan.takeIfNotExists();
  scan.name();
  if (scan.takeOneOf('USING', 'TYPE') !== null) scan.name();
  scan.expect('ON');
  scan.object('table', 'alters', true);
  scan.takeLockWait();
  new ClauseScan(scan).run();
  return 'create_index';
}

/** DROP [ONLINE | OFFLINE] INDEX i ON t … */
export function readDropIndex(scan: StatementScan): ChangeKind {
  scan.takeIfExists();
  scan.name();
  scan.expect('ON');
  scan.object('table', 'alters', true);
  scan.skipRest();
  return 'drop_index';
}

/** {CREATE | ALTER | DROP} [TEMPORARY] SEQUENCE, which MariaDB keeps as a table. */
export function readSequence(
  scan: StatementScan,
  role: 'creates' | 'alters' | 'drops',
  change: 'create_table' | 'alter_table' | 'drop_table',
): ChangeKind {
  scan.takeIfNotExists();
  scan.takeIfExists();
  scan.objectList('sequence', role, true);
  scan.skipRest();
  return change;
}
