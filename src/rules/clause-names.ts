/**
 * Notes the names that a clause scan comes across, by the part they have in the sentence, and settles which tables a DELETE
 * of several tables means. In the body of a stored program only the databases are noted: what it does, it does later.
 */
import type { ClauseFrames, ListRole } from './clause-frames.ts';
import type { QualifiedName, StatementScan, WrittenName } from './statement-scan.ts';

interface TableMention {
  /** In scan.objects. */
  readonly index: number;
  readonly written: QualifiedName;
  readonly alias: string | null;
}

/** MODE_ORACLE of MariaDB. */
const ORACLE_MODE = 0x200n;
const PACKAGES_EVERYWHERE_SINCE = 110400;
/** The servers join 61 tables at most. */
const DELETE_TARGETS_MAX = 64;

export class ClauseNames {
  readonly #scan: StatementScan;
  readonly #frames: ClauseFrames;
  /** Of a DELETE that names several tables. */
  #targets: readonly QualifiedName[] | null = null;
  #mentions: TableMention[] = [];

  constructor(scan: StatementScan, frames: ClauseFrames) {
    this.#scan = scan;
    this.#frames = frames;
  }

  /** A statement of a body has ended. */
  reset(): void {
    this.#targets = null;
    this.#mentions = [];
  }

  /** The name of a table stands next. */
  table(role: ListRole): void {
    this.tableAs(this.#scan.qualifiedName(), role);
  }

  tableAs(written: QualifiedName, role: ListRole, alias: string | null = null): void {
    if (this.#isCommonTable(written)) {
      this.noTable();
      return;
    }
    const { objects } = this.#scan;
    this.#scan.note(written, 'table', role === 'deletes-from' ? 'reads' : role, role === 'changes-rows');
    if (role === 'deletes-from') this.#mentions.push({ index: objects.length - 1, written, alias });
  }

  /** A query or a function stands where a table could: in the list of an UPDATE it has a place that no object shows. */
  noTable(): void {
    if (this.#frames.inUpdateList && !this.#scan.inBody) this.#scan.updateListIsPlain = false;
  }

  #isCommonTable({ database, name }: QualifiedName): boolean {
    const seen = database === null ? this.#frames.sees(name.name) : 'no';
    if (seen !== 'in case') return seen === 'yes';
    const why = "a table's name differs from a common table expression's only in case";
    return this.#scan.fail(why, name.span.start);
  }

  routine(written: QualifiedName): void {
    this.#scan.note(written, 'routine', 'reads', false);
  }

  sequence(written: QualifiedName, role: 'reads' | 'changes-rows'): void {
    this.noTable();
    this.#scan.note(written, 'sequence', role, false);
  }

  /** After CALL: r, db.r, and in MariaDB p.r and db.p.r with a package p. */
  calledRoutine(): void {
    const scan = this.#scan;
    scan.takeSymbol('.');
    const parts = [scan.name()];
    while (scan.takeSymbol('.')) parts.push(scan.name());
    if (parts.length > 3) scan.fail('a name has too many parts');
    const [first, second] = parts;
    if (second === undefined) this.routine({ database: null, name: first! });
    else if (parts.length === 2 && this.#mayBePackage()) scan.databasesKnown = false;
    else this.routine({ database: first!, name: second });
  }

  // ---- DELETE a, b FROM …

  deleteFrom(targets: readonly QualifiedName[]): void {
    if (targets.length > DELETE_TARGETS_MAX) this.#scan.fail('too many tables to delete from');
    this.#targets = targets;
    for (const { database } of targets) if (database !== null) this.#scan.databases.push(database);
  }

  /** t, db.t, t.*, db.t.* */
  deleteTarget(): QualifiedName {
    const scan = this.#scan;
    scan.takeSymbol('.');
    const parts = [scan.name()];
    while (scan.takeSymbol('.')) {
      if (scan.takeSymbol('*')) break;
      parts.push(scan.name());
    }
    if (parts.length > 2) scan.fail('a name has too many parts');
    return parts.length === 2
      ? { database: parts[0]!, name: parts[1]! }
      : { database: null, name: parts[0]! };
  }

  /** The tables of the list that are meant by the targets are the changed ones. */
  settleTargets(): void {
    if (this.#targets === null || this.#scan.inBody) return;
    const { objects } = this.#scan;
    for (const target of this.#targets) {
      const { index } = this.#meantBy(target);
      objects[index] = { ...objects[index]!, role: 'changes-rows', updating: true };
    }
  }

  /**
   * As multi_delete_table_match finds it: by the alias, which a target with a database never means; else by the name and the
   * database, which is the default one where none is written. The server has found just one. Whether capitals are a
   * difference to it is not known here: what is written the same goes first.
   */
  #meantBy(target: QualifiedName): TableMention {
    const [exact] = this.#candidates(target, exactly).sure;
    if (exact !== undefined) return exact;
    const { sure, perhaps } = this.#candidates(target, inAnyCase);
    const [found, ...others] = [...sure, ...perhaps];
    const { start } = target.name.span;
    if (found === undefined) {
      this.#scan.fail('a table to delete from is not in the list of tables', start);
    }
    if (others.length > 0) {
      this.#scan.fail(
        'which table it deletes from depends on the default database, which is not known',
        start,
      );
    }
    return found;
  }

  /** `perhaps`: if the default database, which is not known, is the one that is written. */
  #candidates(target: QualifiedName, same: SameName): Record<'sure' | 'perhaps', TableMention[]> {
    const found: Record<'sure' | 'perhaps', TableMention[]> = { sure: [], perhaps: [] };
    const fallback = this.#scan.dialect.database;
    for (const mention of this.#mentions) {
      const { written, alias } = mention;
      if (alias !== null) {
        if (target.database === null && same(alias, target.name.name)) found.sure.push(mention);
        continue;
      }
      if (!same(written.name.name, target.name.name)) continue;
      const one = written.database?.name ?? fallback;
      const other = target.database?.name ?? fallback;
      if (one === other || (one !== undefined && other !== undefined && same(one, other))) {
        found.sure.push(mention);
      } else if (one === undefined || other === undefined) found.perhaps.push(mention);
    }
    return found;
  }

  // ---- names in expressions

  /** A name of one to three parts, and what it says by the number of its parts and by what follows. */
  chain(): void {
    const scan = this.#scan;
    const unqualified = scan.takeSymbol('.');
    const { start } = scan.peek();
    if (!scan.isName()) return;
    if (!scan.isSymbol('.', 1)) {
      scan.next();
      return;
    }
    const parts: WrittenName[] = [scan.name()];
    let star = false;
    while (!star && scan.takeSymbol('.')) {
      star = scan.takeSymbol('*');
      if (!star) parts.push(scan.name());
    }
    if (unqualified) return;
    if (parts.length > 3) scan.fail('a name has too many parts', start);
    this.#meaningOf(parts, star);
  }

  #meaningOf([first, second, third]: readonly WrittenName[], star: boolean): void {
    if (second === undefined) return;
    const scan = this.#scan;
    const written = { database: first!, name: second };
    if (third !== undefined || star) {
      if (third !== undefined && scan.isSymbol('(')) this.routine(written);
      else scan.note(written, 'table', 'reads', false);
    } else if (scan.mariadb && scan.isSymbol('%') && scan.wordAt(1) === 'ROWTYPE') {
      scan.note(written, 'table', 'reads', false);
    } else if (scan.isSymbol('(')) {
      if (this.#mayBePackage()) scan.databasesKnown = false;
      else this.routine(written);
    }
  }

  /** MariaDB: a.b() may be a routine of the package a. */
  #mayBePackage(): boolean {
    const { mariadb, dialect } = this.#scan;
    return (
      mariadb &&
      ((dialect.sqlMode & ORACLE_MODE) !== 0n || dialect.versionNumber >= PACKAGES_EVERYWHERE_SINCE)
    );
  }
}

type SameName = (one: string, other: string) => boolean;

const exactly: SameName = (one, other) => one === other;
const inAnyCase: SameName = (one, other) => one.toLowerCase() === other.toLowerCase();
