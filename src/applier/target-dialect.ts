/**
 * How the target reads a statement of the source: in the character set and sql_mode of the session that sent it, as the
 * target's version understands them. Thread: applier.
 */
import { readStatement } from '../rules/read-statement.ts';
import type { StatementDialect, StatementReading } from '../rules/statement-reading.ts';
import { collationNames } from '../target/collations.ts';
import type { ReplayContext } from './replay-context.ts';
import type { SourceStatement } from './source-statement.ts';

type Target = Pick<ReplayContext, 'facts' | 'collations'>;

export async function targetDialect(
  { query, context: { charset, sqlMode } }: SourceStatement,
  target: Target,
): Promise<StatementDialect> {
  const { flavour, versionNumber } = target.facts;
  const collations = await target.collations();
  return {
    flavour,
    versionNumber,
    database: query.database,
    sqlMode: sqlMode ?? 0n,
    charset: charset === null ? 'utf8mb4' : collationNames(collations, charset.client, 'a statement').charset,
  };
}

export async function readForTarget(statement: SourceStatement, target: Target): Promise<StatementReading> {
  return readStatement(statement.sql, await targetDialect(statement, target));
}
