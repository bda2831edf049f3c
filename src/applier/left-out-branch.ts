/**
 * Was a prepared branch left out whole by the target's rules? Asked when its XA COMMIT or XA ROLLBACK finds no such branch on
 * the target: then the branch is looked up in the relay log, and judged again.
 *
 * Invariant: only a branch that is found, and of which the rules keep nothing, is passed over. One that was lost or ended
 * by hand, or that the rules left out before they were changed, is an error as it is without rules.
 */
import type { ErrorFacts } from '../base/errors.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import { decodeQuery } from '../binlog/query-event.ts';
import { isRowsEvent, rowsOperation } from '../binlog/rows-event.ts';
import { sqlVerb } from '../binlog/sql-verb.ts';
import type { RelayPosition } from '../relay/published-end.ts';
import type { TableVerdict, TargetFilter } from '../rules/target-filter.ts';
import type { ReplayContext } from './replay-context.ts';
import { sourceStatement } from './source-statement.ts';
import { StatementFilter } from './statement-filter.ts';

const TABLE_ID_LENGTH = 6;

/** `end`: where the transaction that ends the branch begins. @throws what the rules stop at, RELAY_CORRUPT */
export async function isLeftOut(
  context: ReplayContext,
  filter: TargetFilter,
  xid: string,
  end: RelayPosition,
  facts: ErrorFacts,
): Promise<boolean> {
  const place = context.findPrepared(xid, end);
  if (place === null) return false;
  const { events, fde } = context.readTransaction(place);
  const statements = new StatementFilter(filter, context, facts);
  const tables = new Map<number, TableVerdict>();
  for (const event of events) {
    const { type, buf, start, end: after } = event;
    const body = start + EVENT_HEADER_LENGTH;
    if (type === EventType.TABLE_MAP_EVENT) {
      const map = context.tableMaps.get(buf, body, after);
      tables.set(map.tableId, filter.rows(map));
    } else if (isRowsEvent(type)) {
      const verdict = tables.get(buf.readUIntLE(body, TABLE_ID_LENGTH));
      if (verdict?.[rowsOperation(type)]) return false;
    } else if (type === EventType.QUERY_EVENT) {
      const query = decodeQuery(buf, body, after, fde);
      if (sqlVerb(buf, query.sqlStart, query.sqlEnd) !== 'other') continue;
      const judged = await statements.judge(sourceStatement(event, query));
      if (judged.is === 'run' && !judged.ofTheTransaction) return false;
    }
  }
  return true;
}
