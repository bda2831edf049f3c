/**
 * What a crash left behind where progress is kept in a table: an open DDL intent, and branches that are prepared.
 */
import type { WireConnection } from '../wire/connection.ts';
import { intentDoneStatement, settleIntent } from './ddl-intent.ts';
import { requireFound, type TableProgress } from './table-progress.ts';
import type { TargetFacts } from './target-facts.ts';

/** A branch that is prepared and undecided, and where the relay log holds it. */
export interface PreparedRow {
  readonly xid: string;
  /** Text of the transaction that prepared it. */
  readonly id: string;
  readonly fileNumber: number;
  readonly offset: number;
}

export interface TableSettlement {
  /** The transaction whose CREATE TABLE ran and whose rows are still to come. */
  readonly createdBefore: string | null;
  readonly prepared: readonly PreparedRow[];
  /** For the log: which statement, and what was found. */
  readonly note: { readonly transaction: string; readonly statement: string; readonly ran: boolean } | null;
}

/** To be called after `takeOver`; what it writes is part of the next one. @throws DDL_UNDECIDED */
export async function settleTable(
  control: WireConnection,
  progress: TableProgress,
  facts: TargetFacts,
): Promise<TableSettlement> {
  const channel = progress.channelLiteral;
  const settled = await settleIntent(control, channel, facts);
  const prepared = await readPrepared(control, channel);
  if (settled === 'none') return { createdBefore: null, prepared, note: null };
  const note = { transaction: settled.id, statement: settled.kind, ran: settled.done };
  if (!settled.done || settled.rowsFollow) {
    // Not run: it is run again under a new intent. Created without its rows: only the rows are still to come; the intent
    // stays open until they are committed.
    if (!settled.done) requireFound(1, await control.change(intentDoneStatement(channel)));
    return { createdBefore: settled.done ? settled.id : null, prepared, note };
  }
  await progress.settleDone(settled.id);
  return { createdBefore: null, prepared, note };
}

async function readPrepared(control: WireConnection, channelLiteral: string): Promise<PreparedRow[]> {
  const rows = await control.query(
    `SELECT xid, id, relay_file, relay_offset FROM millrace.prepared WHERE channel=${channelLiteral}`,
    'look at the prepared transactions',
  );
  return rows.map(({ xid, id, relay_file, relay_offset }) => ({
    xid: xid ?? '',
    id: id ?? '',
    fileNumber: Number(relay_file),
    offset: Number(relay_offset),
  }));
}
