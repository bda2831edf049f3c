/**
 * What a guard says to one transaction: pure matching over what the transaction changes (change-reader.ts).
 *
 *   drop_database        DROP DATABASE, MariaDB's CREATE OR REPLACE DATABASE
 *   drop_table           DROP TABLE of base tables and sequences, also when it is one of several; what drops them by the way:
 *                        what drop_database sees, MariaDB's CREATE OR REPLACE TABLE. Temporary tables do not count
 *   truncate             TRUNCATE TABLE, and what empties a part of a table or all of it without saying DELETE: ALTER TABLE …
 *                        TRUNCATE PARTITION, DROP PARTITION, DISCARD TABLESPACE
 *   delete_rows_over     more rows deleted in the transaction, over all its tables, cascades included where the source logs
 *                        them (MySQL 9.6 and later). A DELETE that was logged as a statement does not tell how many rows it
 *                        deletes: it matches. What a statement makes triggers and functions delete, and a REPLACE, is not seen
 *                        when it is logged as a statement
 *   alter                ALTER TABLE (whatever it does), RENAME TABLE (either name), CREATE INDEX and DROP INDEX of a table that matches
 *   unreadable           added to any of them: a statement that the reader has no rule for, or bytes that cannot be decoded,
 *                        could be anything
 *
 * Names are compared without regard to case: a name that only differs in case is the same table on half of all servers, and
 * a guard rather asks once too often. The first guard that matches, in the order of the transaction, speaks for it.
 * What is said carries names and numbers, never a value or the text of a statement.
 */
import type { RowsOperation } from '../binlog/rows-event.ts';
import { firstSqlWord } from '../binlog/sql-verb.ts';
import type { TableMap } from '../binlog/table-map.ts';
import type { ChangeListener, LoggedStatement } from './change-reader.ts';
import type { Guard } from './guard-rules.ts';
import { EVERYTHING, type GuardScope } from './guard-scope.ts';
import { readStatement } from './read-statement.ts';
import type { NamedObject, StatementReading } from './statement-reading.ts';
import type { ChangeKind } from './target-rules.ts';
import { WildTable } from './wild-table.ts';

export interface GuardFinding {
  /** As the configuration names it: `drop_table`, `delete_rows_over: 100000`, `alter: shop.%`. */
  readonly guard: string;
  /** For people: `DROP TABLE shop.orders`. */
  readonly what: string;
}

export const UNREADABLE_GUARD = 'unreadable';

type ReadStatement = Extract<StatementReading, { is: 'read' }>;

/** Statements that no guard is about, told by their first word: most statements are, and reading costs. */
const HARMLESS: ReadonlySet<string> = new Set(['INSERT', 'REPLACE', 'UPDATE']);
const TOO_LONG: StatementReading = { is: 'unplaced', why: 'it is longer than 16 MiB', at: 0 };
const NAMES_SHOWN = 3;
const TABLES_COUNTED = 64;

export class GuardWatch implements ChangeListener {
  readonly operations: ReadonlySet<RowsOperation>;
  readonly #guards: readonly Guard[];
  readonly #scope: GuardScope;
  readonly #alters: readonly { readonly guard: Guard; readonly tables: WildTable }[];
  #finding: GuardFinding | null = null;
  #deleted = 0;
  /** Of the transaction at hand; names beyond the limit are counted together. */
  readonly #deletedFrom = new Map<string, number>();

  constructor(guards: readonly Guard[], scope: GuardScope = EVERYTHING) {
    this.#guards = guards;
    this.#scope = scope;
    this.operations = new Set(guards.some(({ is }) => is === 'delete_rows_over') ? ['delete'] : []);
    this.#alters = guards.flatMap((guard) =>
      guard.is === 'alter' ? [{ guard, tables: new WildTable(guard.table) }] : [],
    );
  }

  /** A transaction begins: what was seen of another is forgotten. */
  begin(): void {
    this.#finding = null;
    this.#deleted = 0;
    this.#deletedFrom.clear();
  }

  /** The transaction has ended. Null: no guard has anything against it. */
  end(): GuardFinding | null {
    return this.#finding ?? this.#deletedTooMany();
  }

  rows(_operation: RowsOperation, map: TableMap, rows: number | null): void {
    if (!this.#scope.hasDeletes(map)) return;
    const name = shown(map.database, map.table);
    if (rows === null) {
      const guard = this.#guards.find(({ is }) => is === 'delete_rows_over')!;
      this.#found(guardText(guard), `rows deleted from ${name} that cannot be counted`);
      return;
    }
    this.#deleted += rows;
    const known = this.#deletedFrom.get(name);
    if (known !== undefined || this.#deletedFrom.size < TABLES_COUNTED) {
      this.#deletedFrom.set(name, (known ?? 0) + rows);
    }
  }

  statement(statement: LoggedStatement): void {
    if (this.#finding !== null) return;
    const word = firstSqlWord(statement.buf, statement.start, statement.end);
    if (HARMLESS.has(word)) return;
    const sql = statement.buf.subarray(statement.start, statement.end);
    const reading = statement.whole ? readStatement(sql, statement.dialect) : TOO_LONG;
    if (!this.#scope.hasStatement(statement, reading)) return;
    if (reading.is === 'unplaced') {
      this.unreadable(`${word === '' ? 'a' : word} statement: ${reading.why}`);
      return;
    }
    const guard = this.#guards.find((each) => this.#matches(each, reading, statement));
    if (guard === undefined) return;
    const text = statementText(reading, statement);
    this.#found(guardText(guard), reading.empties ? `${text}, which empties it or a part of it` : text);
  }

  text(): void {}

  unreadable(why: string): void {
    this.#found(UNREADABLE_GUARD, printable(why));
  }

  #found(guard: string, what: string): void {
    this.#finding ??= { guard, what };
  }

  #deletedTooMany(): GuardFinding | null {
    if (this.#deleted === 0) return null;
    const guard = this.#guards.find((each) => each.is === 'delete_rows_over' && this.#deleted > each.rows);
    if (guard === undefined) return null;
    const tables = [...this.#deletedFrom].sort(([, a], [, b]) => b - a).map(([name]) => name);
    const count = this.#deleted.toLocaleString('en-US');
    return {
      guard: guardText(guard),
      what: `${count} ${this.#deleted === 1 ? 'row' : 'rows'} deleted from ${listed(tables)}`,
    };
  }

  #matches(guard: Guard, reading: ReadStatement, { database }: LoggedStatement): boolean {
    const { kind, temporary, replaces } = reading;
    const dropsDatabase = kind === 'drop_database' || (kind === 'create_database' && replaces);
    switch (guard.is) {
      case 'drop_database':
        return dropsDatabase;
      case 'drop_table':
        if (dropsDatabase) return true;
        if (temporary) return false;
        return kind === 'drop_table' || (kind === 'create_table' && replaces);
      case 'truncate':
        return kind === 'truncate' || reading.empties;
      case 'delete_rows_over':
        return kind === 'delete';
      case 'alter': {
        if (temporary || !(ALTERING.has(kind) || isAlterTable(reading))) return false;
        const { tables } = this.#alters.find((each) => each.guard === guard)!;
        return changedTables(reading).some((table) => tables.matches(table.database ?? database, table.name));
      }
    }
  }
}

const ALTERING: ReadonlySet<ChangeKind> = new Set([
  'alter_table',
  'rename_table',
  'create_index',
  'drop_index',
]);

/** As the configuration has it. */
export function guardText(guard: Guard): string {
  switch (guard.is) {
    case 'delete_rows_over':
      return `delete_rows_over: ${guard.rows}`;
    case 'alter':
      return `alter: ${guard.table}`;
    default:
      return guard.is;
  }
}

function changedTables({ objects }: ReadStatement): NamedObject[] {
  return objects.filter(({ kind, role }) => kind === 'table' && role !== 'reads');
}

/** Also one that only empties or maintains a partition: it says ALTER TABLE, and means a table that is guarded. */
function isAlterTable({ verb, kind }: ReadStatement): boolean {
  return verb === 'ALTER' && (kind === 'alter_table' || kind === 'truncate' || kind === 'maintenance');
}

/** `DROP TABLE shop.orders, shop.lines` */
function statementText(reading: ReadStatement, { database }: LoggedStatement): string {
  const { kind, objects } = reading;
  const verb = kind.replaceAll('_', ' ').toUpperCase();
  if (kind === 'drop_database' || kind === 'create_database') {
    const names = listed(objects.map((each) => printable(each.database ?? each.name)));
    return `${kind === 'drop_database' ? verb : 'CREATE OR REPLACE DATABASE'} ${names}`;
  }
  const tables = changedTables(reading);
  const changed = tables.length > 0 ? tables : objects.filter((each) => each.kind === 'sequence');
  const noun = tables.length > 0 ? 'TABLE' : 'SEQUENCE';
  const names = listed([...new Set(changed.map((each) => shown(each.database ?? database, each.name)))]);
  if (isAlterTable(reading)) return `ALTER TABLE ${names}`;
  switch (kind) {
    case 'truncate':
      return `TRUNCATE TABLE ${names}`;
    case 'delete':
      return `DELETE from ${names}, logged as a statement: its rows cannot be counted`;
    case 'create_table':
      return `CREATE OR REPLACE ${noun} ${names}`;
    case 'drop_table':
      return `DROP ${noun} ${names}`;
    case 'create_index':
    case 'drop_index':
      return `${verb} on ${names}`;
    default:
      return `${verb} ${names}`;
  }
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMES_SHOWN;
  const some = names.slice(0, NAMES_SHOWN).join(', ');
  return more > 0 ? `${some} and ${more} more` : some;
}

function shown(database: string, table: string): string {
  return printable(`${database}.${table}`);
}

/** Names come from the source: what a terminal would obey is replaced. */
function printable(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
}
