/**
 * What a statement says about itself: its kind, and the objects it touches, each with the place of its name in the text.
 *
 * Offsets count bytes in the text as it was given, so that a name can be replaced by splicing and the rest stays as it is.
 */
import type { ChangeKind } from './target-rules.ts';

/** How the text has to be read: the session that sent it. */
export interface StatementDialect {
  readonly flavour: 'mysql' | 'mariadb';
  /** sql_mode as the event carries it; ANSI_QUOTES and NO_BACKSLASH_ESCAPES matter. */
  readonly sqlMode: bigint;
  /** Character set of the client, as the server names it: 'utf8mb4', 'gbk', 'sjis', 'latin1' … */
  readonly charset: string;
  /** As 90704 for 9.7.4: decides which version comments are executed. */
  readonly versionNumber: number;
  /** The session's default database, '' for none; left out: not known, and what it alone would tell is `unplaced`. */
  readonly database?: string;
}

export interface Span {
  readonly start: number;
  /** After the last byte. */
  readonly end: number;
}

export type ObjectKind =
  | 'table'
  | 'view'
  | 'trigger'
  | 'routine'
  | 'event'
  | 'database'
  | 'sequence'
  | 'other';

/**
 * What the statement does to the object. `reads`: it is only looked at (a foreign key's parent, LIKE, SELECT); `maintains`:
 * neither its definition nor its rows change (ANALYZE, OPTIMIZE, FLUSH); `grants`: privileges on it.
 */
export type ObjectRole =
  | 'creates'
  | 'alters'
  | 'drops'
  | 'renames-from'
  | 'renames-to'
  | 'changes-rows'
  | 'maintains'
  | 'grants'
  | 'reads';

export interface NamedObject {
  readonly kind: ObjectKind;
  readonly role: ObjectRole;
  /** Null: none is written; the session's default database. Unquoted, in UTF-8. */
  readonly database: string | null;
  /** Empty for a database: its name is `database`. */
  readonly name: string;
  /** With its quotes; null where none is written. */
  readonly databaseSpan: Span | null;
  readonly nameSpan: Span | null;
  /**
   * The server marks it as a table to be updated (TABLE_LIST::updating): the table filters look at these, and at no others.
   * A view's own name is one, and a table that is only analyzed; the new name in ALTER TABLE … RENAME is not.
   */
  readonly updating: boolean;
}

/** A place where a database is written. */
export interface NamedDatabase {
  /** Unquoted, in UTF-8. */
  readonly name: string;
  readonly span: Span;
}

export type StatementReading =
  | {
      readonly is: 'read';
      readonly kind: ChangeKind;
      /** In the order of the text, each mention. The body of a routine, a trigger or an event is not looked into. */
      readonly objects: readonly NamedObject[];
      /**
       * Each place where a database is written, in the order of the text: with the objects, before columns and functions, and
       * in bodies. Null: some part has names that cannot be told from others, or statements that are text until they run.
       */
      readonly databases: readonly NamedDatabase[] | null;
      /** DROP … IF EXISTS, CREATE … IF NOT EXISTS. */
      readonly ifExists: boolean;
      readonly temporary: boolean;
      /**
       * The word that tells what it does: CREATE, ALTER, TRUNCATE …; behind SET STATEMENT … FOR where that stands before it.
       * Empty: a query in parentheses, or nothing but comments.
       */
      readonly verb: string;
      /** CREATE OR REPLACE: what is there is dropped. */
      readonly replaces: boolean;
      /** ALTER TABLE that takes the rows of a part of the table or all of it: TRUNCATE or DROP PARTITION, DISCARD … TABLESPACE. */
      readonly empties: boolean;
      /**
       * In the list of an UPDATE stand tables only, which are then the `updating` ones, in their order. False: a query or a
       * function stands among them, also in a condition, and servers number it, too.
       */
      readonly updateListIsPlain: boolean;
    }
  /** The reader has no rule for it: `why` goes into the error, `at` is the byte where reading ended. */
  | { readonly is: 'unplaced'; readonly why: string; readonly at: number };
