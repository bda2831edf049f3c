/**
 * `replicate_system: false`: changes of accounts, and of what is in the servers' own schemas, are left out. Source and
 * target have each their own: accounts with other rights, system tables of another version.
 *
 * Nearly every statement is passed by a look at its text, without being read: `suspects` says no only where nothing of the
 * kind can be meant, and `isAccountStatement` yes only where it is.
 *
 * A database SYS is another than sys where the target tells them apart (lower_case_table_names=0); information_schema and
 * performance_schema are the server's in any case (is_infoschema_db, is_perfschema_db).
 */
import { beginsWith, statementStart } from '../binlog/sql-words.ts';
import type { NameDialect } from './name-matching.ts';
import type { StatementReading } from './statement-reading.ts';

const STORED: ReadonlySet<string> = new Set(['mysql', 'sys']);
const COMPUTED: ReadonlySet<string> = new Set(['performance_schema', 'information_schema']);

const MENTIONS = /mysql|sys|performance_schema|information_schema|\/\*M?!/i;

const ACCOUNT_VERBS: ReadonlySet<string> = new Set(['CREATE', 'ALTER', 'DROP', 'RENAME']);

export function isAccountStatement(sql: Buffer): boolean {
  const { words } = statementStart(sql);
  const [verb = '', kind = ''] = words;
  if (verb === 'GRANT' || verb === 'REVOKE') return true;
  if (ACCOUNT_VERBS.has(verb)) return kind === 'USER' || kind === 'ROLE';
  return beginsWith(words, 'SET', 'PASSWORD') || beginsWith(words, 'SET', 'DEFAULT', 'ROLE');
}

/** The servers' own schemas, as the target tells names apart. */
export class SystemSchemas {
  readonly #exact: boolean;

  constructor({ lowerCaseTableNames }: Pick<NameDialect, 'lowerCaseTableNames'>) {
    this.#exact = lowerCaseTableNames === 0;
  }

  has(database: string): boolean {
    const lower = database.toLowerCase();
    return COMPUTED.has(lower) || STORED.has(this.#exact ? database : lower);
  }

  /** It may change something in a system schema, or accounts where words do not tell: it has to be read. */
  suspects(sql: Buffer, database: string): boolean {
    return this.has(database) || statementStart(sql).veiled || MENTIONS.test(sql.toString('latin1'));
  }

  /** Whether the statement is about the system: only, not at all, or about other things as well. */
  share(reading: Extract<StatementReading, { is: 'read' }>, database: string): 'all' | 'none' | 'some' {
    if (reading.kind === 'account') return 'all';
    const changed = reading.objects.filter(({ role, updating }) => role !== 'reads' || updating);
    const own = changed.filter((each) => this.has(each.database ?? database)).length;
    if (own === 0) return 'none';
    return own === changed.length ? 'all' : 'some';
  }
}
