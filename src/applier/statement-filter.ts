/**
 * Judges statements by the target's rules, and gives those that run the names they have on the target.
 *
 *   accounts and system schemas   replicate_system: false leaves them out; recognised without reading nearly every other
 *   by the default database       what that decides alone is not read
 *   by what it names              read (rules/read-statement.ts), judged (rules/statement-rules.ts), names rewritten in place
 *
 * SAVEPOINT, ROLLBACK TO and XA run whatever the rules say, as on a replica.
 *
 * Thread: applier, one for each transaction. An error names the first words of a statement, never its text: that may
 * hold a password.
 */
import { type ErrorFacts, MillraceError } from '../base/errors.ts';
import { readStatement } from '../rules/read-statement.ts';
import { renameDatabases } from '../rules/splice-names.ts';
import type { NamedObject, StatementDialect, StatementReading } from '../rules/statement-reading.ts';
import {
  grantedDatabase,
  grantPattern,
  type StatementFacts,
  type Verdict,
} from '../rules/statement-rules.ts';
import { isAccountStatement, suspects, systemShare } from '../rules/system-rules.ts';
import type { TargetFilter } from '../rules/target-filter.ts';
import { collationNames } from '../target/collations.ts';
import type { ReplayContext } from './replay-context.ts';
import type { SourceStatement } from './source-statement.ts';

const OF_THE_TRANSACTION =
  /^\s*(?:\/\*(?!!)[\s\S]*?\*\/\s*)*(?:XA|SAVEPOINT|ROLLBACK\s+(?:WORK\s+)?TO|RELEASE\s+SAVEPOINT)\b/i;
const HEAD_LENGTH = 4096;

export type Judged =
  | { readonly is: 'run'; readonly statement: SourceStatement; readonly ofTheTransaction: boolean }
  | { readonly is: 'left-out'; readonly system: boolean };

export class StatementFilter {
  readonly #filter: TargetFilter;
  readonly #context: ReplayContext;
  readonly #facts: ErrorFacts;

  constructor(filter: TargetFilter, context: ReplayContext, facts: ErrorFacts) {
    this.#filter = filter;
    this.#context = context;
    this.#facts = facts;
  }

  /** @throws FILTER_BORDER, STATEMENT_UNREAD */
  async judge(statement: SourceStatement): Promise<Judged> {
    const { sql, query } = statement;
    if (OF_THE_TRANSACTION.test(headOf(sql))) {
      return { is: 'run', statement: this.#underDatabase(statement), ofTheTransaction: true };
    }
    let reading: StatementReading | null = null;
    if (!this.#filter.replicateSystem) {
      const text = sql.toString('latin1');
      if (isAccountStatement(text)) return { is: 'left-out', system: true };
      if (suspects(text, query.database)) {
        reading = await this.#read(statement);
        if (this.#isSystem(reading, statement)) return { is: 'left-out', system: true };
      }
      if (this.#filter.onlySystem) return { is: 'run', statement, ofTheTransaction: false };
    }
    return this.#judgeByRules(statement, reading);
  }

  #isSystem(reading: StatementReading, { query, sql }: SourceStatement): boolean {
    if (reading.is === 'unplaced') return false;
    const share = systemShare(reading, query.database);
    if (share !== 'some') return share === 'all';
    throw new MillraceError(
      'FILTER_BORDER',
      `the statement '${firstWords(sql)} …' changes things in the system's schemas and others at once`,
      {
        hint: 'Set replicate_system: true for this target; or do its part on the target by hand, and pass this transaction over with `millrace skip`.',
        facts: this.#facts,
      },
    );
  }

  async #judgeByRules(statement: SourceStatement, known: StatementReading | null): Promise<Judged> {
    const { database, statusVars } = statement.query;
    const { statements } = this.#filter;
    let verdict = statements.judgeUnread(database, headOf(statement.sql));
    let reading = known;
    if (verdict === null) {
      reading ??= await this.#read(statement);
      const facts: StatementFacts = { database, tableMapForUpdate: statusVars.tableMapForUpdate };
      verdict = statements.judge(reading, facts);
      if (verdict.is === 'which-table') {
        const { database: schema, trigger } = verdict;
        const table = await this.#context.triggerTable(schema, trigger);
        verdict = statements.judge(reading, facts, table === null ? null : { database: schema, table });
      }
    }
    switch (verdict.is) {
      case 'leave-out':
        return { is: 'left-out', system: false };
      case 'run':
        return { is: 'run', statement: await this.#rewritten(statement, reading), ofTheTransaction: false };
      default:
        throw this.#stop(verdict, statement);
    }
  }

  /** With the names that its databases have on the target. */
  async #rewritten(statement: SourceStatement, reading: StatementReading | null): Promise<SourceStatement> {
    const moved = this.#underDatabase(statement);
    if (!this.#filter.rewritesStatements || reading === null) return moved;
    const dialect = await this.#dialect(statement);
    try {
      const sql = renameDatabases(moved.sql, reading, this.#rename(reading), dialect);
      return sql === null ? moved : { ...moved, sql };
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      throw new MillraceError(error.code, error.message, { hint: error.hint, facts: this.#facts });
    }
  }

  #rename(reading: StatementReading): (name: string) => string {
    const rewrite = (name: string): string => this.#filter.rewrite(name);
    const pattern = reading.is === 'read' && reading.objects.some(isGrantedDatabase);
    if (!pattern) return rewrite;
    return (name) => {
      const database = grantedDatabase(name);
      const renamed = rewrite(database);
      return renamed === database ? name : grantPattern(renamed);
    };
  }

  #underDatabase(statement: SourceStatement): SourceStatement {
    const { query } = statement;
    const database = this.#filter.rewrite(query.database);
    return database === query.database ? statement : { ...statement, query: { ...query, database } };
  }

  async #read(statement: SourceStatement): Promise<StatementReading> {
    return readStatement(statement.sql, await this.#dialect(statement));
  }

  async #dialect({ query, context: { charset, sqlMode } }: SourceStatement): Promise<StatementDialect> {
    const { flavour, versionNumber } = this.#context.facts;
    const collations = await this.#context.collations();
    return {
      flavour,
      versionNumber,
      database: query.database,
      sqlMode: sqlMode ?? 0n,
      charset:
        charset === null ? 'utf8mb4' : collationNames(collations, charset.client, 'a statement').charset,
    };
  }

  #stop(verdict: Exclude<Verdict, { is: 'run' | 'leave-out' }>, { sql }: SourceStatement): MillraceError {
    const what = `the statement '${firstWords(sql)} …'`;
    if (verdict.is === 'border') {
      return new MillraceError(
        'FILTER_BORDER',
        `${what} concerns ${verdict.kept}, which is replicated, and ${verdict.leftOut}, which the rules leave out`,
        {
          hint: 'Change the rules of this target so that both are on one side; or do its part on the target by hand, and pass this transaction over with `millrace skip`.',
          facts: this.#facts,
        },
      );
    }
    const why = verdict.is === 'unread' ? verdict.why : 'its trigger was looked up twice';
    return new MillraceError(
      'STATEMENT_UNREAD',
      `${what} cannot be judged by the rules of this target: ${why}`,
      {
        hint: 'Set on_unparsed_ddl: apply (or skip) for this target and start again; or do its part on the target by hand, and pass this transaction over with `millrace skip`.',
        facts: this.#facts,
      },
    );
  }
}

function headOf(sql: Buffer): string {
  return sql.toString('latin1', 0, HEAD_LENGTH);
}

function isGrantedDatabase({ kind, role }: NamedObject): boolean {
  return kind === 'database' && role === 'grants';
}

/** The first two words, for people: `ALTER TABLE`. */
export function firstWords(sql: Buffer): string {
  const text = headOf(sql)
    .replace(/\/\*(?!M?!)[\s\S]*?\*\//g, ' ')
    .replace(/\/\*M?!\d*|\*\//g, ' ');
  return (/^[\s(]*([A-Za-z_]+)(?:\s+([A-Za-z_]+))?/.exec(text)?.slice(1) ?? ['?'])
    .filter((word) => word !== undefined)
    .join(' ')
    .toUpperCase();
}
