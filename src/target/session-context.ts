/**
 * The source session's variables, carried over to a session of the target before a statement runs there.
 *
 * A QUERY event carries what its statement depended on (MySQL's "Query event status variables"). `setStatement` gives
 * the SET that brings the target's session from what it has to what the event says, and remembers the result; nothing
 * leaks from one statement into the next because a variable once touched is set again whenever it differs. After an error the
 * session's state is not known: `forget`. Row events change nothing of it (tried on 9.7.4 and 10.11.18), but want a character set of their own.
 *
 * Every value is a number, or text checked against a narrow pattern: nothing from the event is pasted into SQL unchecked.
 *
 * Fact: the variables and their order are those that mysqlbinlog and mariadb-binlog print (client/mysqlbinlog.cc,
 * sql/log_event_client.cc); which of them need a privilege was tried on 9.7.4: pseudo_thread_id and
 * sql_require_primary_key want SESSION_VARIABLES_ADMIN, default_table_encryption also TABLE_ENCRYPTION_ADMIN.
 */
import { MillraceError } from '../base/errors.ts';
import type { QueryContext } from '../binlog/query-event.ts';
import { type Collations, collationNames } from './collations.ts';
import { asciiLiteral } from './sql-literal.ts';

/** OPTION_* bits of Q_FLAGS2_CODE that travel (sql/query_options.h, MariaDB sql_priv.h). */
const OPTION_AUTO_IS_NULL = 1 << 14;
const OPTION_NO_CHECK_CONSTRAINT_CHECKS = 1 << 15;
const OPTION_NO_FOREIGN_KEY_CHECKS = 1 << 26;
const OPTION_RELAXED_UNIQUE_CHECKS = 1 << 27;

/** MariaDB's per-character-set default collations, which Q_CHARACTER_SET_COLLATIONS carries. */
const CHARACTER_SET_COLLATIONS_SINCE = 110200;

/** sql_mode bits that MySQL 8.0 took away: POSTGRESQL … MYSQL40 (8–17) and NO_AUTO_CREATE_USER (28). */
const SQL_MODES_GONE_IN_8 = (0x3ffn << 8n) | (1n << 28n);

const TIME_ZONE = /^[A-Za-z0-9_+\-:/]{1,64}$/;

const CLIENT = 'character_set_client';
const ROWS_CHARSET = 'latin1';

export interface ContextTarget {
  readonly flavour: 'mysql' | 'mariadb';
  /** As 90704 for 9.7.4. */
  readonly versionNumber: number;
}

export interface StatementOrigin {
  /** The event's `when`. */
  readonly timestamp: number;
  readonly threadId: number;
  /** Default database, '' for none. */
  readonly database: string;
  /** LOG_EVENT_SUPPRESS_USE_F: the statement creates or drops its default database. */
  readonly suppressUse: boolean;
  readonly context: QueryContext;
  /** A statement that changes rows: it may depend on CONNECTION_ID(). */
  readonly dml: boolean;
}

export class SessionContext {
  readonly #target: ContextTarget;
  readonly #known = new Map<string, string>();
  /** Values that the session began with and still has, for it was never told another one. */
  readonly #untouched: Map<string, string>;
  #database: string | null = null;

  /** `initial`: variables that need a privilege to set, so that they are only set when they must differ. */
  constructor(target: ContextTarget, initial: ReadonlyMap<string, string>) {
    this.#target = target;
    this.#untouched = new Map(initial);
  }

  /** Nothing is known any more: the next statement sets everything it carries. */
  forget(): void {
    this.#known.clear();
    this.#database = null;
  }

  /** The default database may be gone (DROP DATABASE) or another one. */
  forgetDatabase(): void {
    this.#database = null;
  }

  get database(): string | null {
    return this.#database;
  }

  /**
   * What makes the session read BINLOG statements fast; null: it does already. In a multi-byte character set the server's lexer looks at
   * every byte of a literal as the possible beginning of a character: of a row of 1 MiB that takes as long as to insert it.
   * What is sent beside rows is ASCII. Not `binary`: literals of progress would be taken for whatever collation_connection says
   * an earlier statement was written in, unconverted.
   */
  rowsStatement(): string | null {
    if (this.#known.get(CLIENT) === ROWS_CHARSET) return null;
    this.#untouched.delete(CLIENT);
    this.#known.set(CLIENT, ROWS_CHARSET);
    return `SET @@session.${CLIENT}=${ROWS_CHARSET}`;
  }

  /** `USE` for the statement, or null when it is in place or must not be sent. */
  useStatement(origin: StatementOrigin): string | null {
    if (origin.database === '' || origin.suppressUse || origin.database === this.#database) return null;
    this.#database = origin.database;
    // USE makes it the database's own.
    this.#known.delete('collation_database');
    return `USE ${quoteIdentifier(origin.database)}`;
  }

  /**
   * One SET statement with all that differs (TIMESTAMP always), in the order the server's own tools use. `collations`: the
   * target's, for MariaDB. @throws UNSUPPORTED when the target lacks a collation.
   */
  setStatement(origin: StatementOrigin, collations: Collations): string {
    const { context } = origin;
    const mysql = this.#target.flavour === 'mysql';
    const sets: string[] = [`TIMESTAMP=${timestampLiteral(origin)}`];
    const put = (name: string, value: string): void => {
      if (this.#known.get(name) === value || this.#untouched.get(name) === value) return;
      this.#untouched.delete(name);
      this.#known.set(name, value);
      sets.push(`@@session.${name}=${value}`);
    };
    if (origin.dml) put('pseudo_thread_id', String(origin.threadId));
    if (context.flags2 !== null) {
      const flags = context.flags2;
      put('foreign_key_checks', flags & OPTION_NO_FOREIGN_KEY_CHECKS ? '0' : '1');
      put('sql_auto_is_null', flags & OPTION_AUTO_IS_NULL ? '1' : '0');
      put('unique_checks', flags & OPTION_RELAXED_UNIQUE_CHECKS ? '0' : '1');
      if (!mysql) put('check_constraint_checks', flags & OPTION_NO_CHECK_CONSTRAINT_CHECKS ? '0' : '1');
    }
    if (context.sqlMode !== null) put('sql_mode', String(this.#sqlMode(context.sqlMode)));
    put('auto_increment_increment', String(context.autoIncrement?.increment ?? 1));
    put('auto_increment_offset', String(context.autoIncrement?.offset ?? 1));
    if (context.charset !== null) {
      // MariaDB takes the id of a character set's default collation only, but any of its names.
      const names = mysql ? null : collationNames(collations, context.charset.client, 'a statement');
      put(CLIENT, names?.charset ?? String(context.charset.client));
      put('collation_connection', String(context.charset.connection));
      put('collation_server', String(context.charset.server));
    } else {
      for (const name of [CLIENT, 'collation_connection', 'collation_server']) put(name, 'DEFAULT');
    }
    if (context.timeZone !== null) put('time_zone', timeZoneLiteral(context.timeZone));
    put('lc_time_names', String(context.lcTimeNames ?? 0));
    put('collation_database', context.charsetDatabase ? String(context.charsetDatabase) : 'DEFAULT');
    if (context.explicitDefaultsForTimestamp !== null) {
      put('explicit_defaults_for_timestamp', context.explicitDefaultsForTimestamp ? '1' : '0');
    }
    if (mysql && this.#target.versionNumber >= 80011 && context.defaultCollationForUtf8mb4 !== null) {
      put('default_collation_for_utf8mb4', String(context.defaultCollationForUtf8mb4));
    }
    if (mysql && this.#target.versionNumber >= 80013 && context.sqlRequirePrimaryKey !== null) {
      put('sql_require_primary_key', context.sqlRequirePrimaryKey ? '1' : '0');
    }
    if (mysql && this.#target.versionNumber >= 80016 && context.defaultTableEncryption !== null) {
      put('default_table_encryption', context.defaultTableEncryption ? '1' : '0');
    }
    if (mysql && this.#target.versionNumber >= 90700 && context.enableCascadeTriggers !== null) {
      put('enable_cascade_triggers', context.enableCascadeTriggers ? '1' : '0');
    }
    if (!mysql && this.#target.versionNumber >= CHARACTER_SET_COLLATIONS_SINCE) {
      put('character_set_collations', characterSetCollations(context, collations));
    }
    return `SET ${sets.join(', ')}`;
  }

  #sqlMode(mode: bigint): bigint {
    if (this.#target.flavour === 'mysql' && this.#target.versionNumber >= 80000)
      return mode & ~SQL_MODES_GONE_IN_8;
    return mode;
  }
}

function characterSetCollations({ mariadbCollations }: QueryContext, collations: Collations): string {
  const pairs = (mariadbCollations ?? []).map(([charset, collation]) => {
    const of = 'the character_set_collations of a statement';
    return `${collationNames(collations, charset, of).charset}=${collationNames(collations, collation, of).collation}`;
  });
  return asciiLiteral(pairs.join(','));
}

function timestampLiteral(origin: StatementOrigin): string {
  const micros = origin.context.microseconds ?? origin.context.mariadbHrnow;
  return micros ? `${origin.timestamp}.${String(micros).padStart(6, '0')}` : String(origin.timestamp);
}

function timeZoneLiteral(zone: string): string {
  if (!TIME_ZONE.test(zone)) {
    throw new MillraceError(
      'MALFORMED_EVENT',
      `a statement carries the time zone '${zone.slice(0, 70)}', which is no zone name`,
    );
  }
  return asciiLiteral(zone);
}

/** A backtick-quoted identifier; NUL cannot be part of one. */
export function quoteIdentifier(name: string): string {
  if (name.includes('\0'))
    throw new MillraceError('MALFORMED_EVENT', 'an identifier contains a NUL character');
  return `\`${name.replaceAll('`', '``')}\``;
}
