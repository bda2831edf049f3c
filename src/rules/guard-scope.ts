/**
 * What of a transaction a target gets, as far as guards are concerned: what its rules leave out is not seen by them. The same
 * verdicts as the applier's own (applier/statement-filter.ts), but for what that stops at: guards see it.
 *
 * Names are the source's, also where replicate_rewrite_db gives them others.
 */
import type { TableMap } from '../binlog/table-map.ts';
import type { LoggedStatement } from './change-reader.ts';
import type { StatementReading } from './statement-reading.ts';
import { isAccountStatement } from './system-rules.ts';
import type { TargetFilter } from './target-filter.ts';

export interface GuardScope {
  /** Rows that are deleted from this table are deleted on the target. */
  hasDeletes(map: TableMap): boolean;
  hasStatement(statement: LoggedStatement, reading: StatementReading): boolean;
}

export const EVERYTHING: GuardScope = { hasDeletes: () => true, hasStatement: () => true };

/** `filter` null: no rule is active. */
export function guardScope(filter: TargetFilter | null): GuardScope {
  if (filter === null) return EVERYTHING;
  return {
    hasDeletes: (map) => filter.rows(map).delete,
    hasStatement: (statement, reading) => {
      if (!filter.replicateSystem && isOfTheSystem(filter, statement, reading)) return false;
      if (filter.onlySystem) return true;
      const { database, tableMapForUpdate } = statement;
      const { statements } = filter;
      const verdict =
        statements.judgeUnread(database, textOf(statement)) ??
        statements.judge(reading, { database, tableMapForUpdate });
      return verdict.is !== 'leave-out';
    },
  };
}

function isOfTheSystem(
  { system }: TargetFilter,
  statement: LoggedStatement,
  reading: StatementReading,
): boolean {
  const sql = textOf(statement);
  const { database } = statement;
  if (isAccountStatement(sql)) return true;
  return reading.is === 'read' && system.suspects(sql, database) && system.share(reading, database) === 'all';
}

function textOf({ buf, start, end }: LoggedStatement): Buffer {
  return buf.subarray(start, end);
}
