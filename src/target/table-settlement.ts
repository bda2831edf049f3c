/**
 * What a crash left behind where progress is kept in a table: an open DDL intent, and branches that are prepared.
 */
import type { WireConnection } from '../wire/connection.ts';
import { intentDoneStatement, settleIntent } from './ddl-intent.ts';
import { hexLiteral, type TableProgress } from './table-progress.ts';
import type { TargetFacts } from './target-facts.ts';

export interface TableSettlement {
  /** The transaction whose CREATE TABLE ran and whose rows are still to come. */
  readonly createdBefore: string | null;
  /** The oldest relay file that holds a prepared branch. */
  readonly preparedFile: number | null;
  /** For the log: which statement, and what was found. */
  readonly note: { readonly transaction: string; readonly statement: string; readonly ran: boolean } | null;
}

/** To be called with the lease held, before `takeOver`. @throws DDL_UNDECIDED */
export async function settleTable(
  control: WireConnection,
  progress: TableProgress,
  facts: TargetFacts,
): Promise<TableSettlement> {
  const channel = progress.channelLiteral;
  const settled = await settleIntent(control, channel, facts);
  const preparedFile = await oldestFile(control, channel);
  if (settled === 'none') return { createdBefore: null, preparedFile, note: null };
  const note = { transaction: settled.id, statement: settled.kind, ran: settled.done };
  if (!settled.done || settled.rowsFollow) {
    // Not run: it is run again under a new intent. Created without its rows: only the rows are still to come; the intent
    // stays open until they are committed.
    if (!settled.done) await control.query(intentDoneStatement(channel));
    return { createdBefore: settled.done ? settled.id : null, preparedFile, note };
  }
  await progress.settleDone(settled.id);
  return { createdBefore: null, preparedFile, note };
}

/** The oldest relay file with a branch that is prepared and undecided; null: none. */
export function oldestPreparedFile(control: WireConnection, channel: string): Promise<number | null> {
  return oldestFile(control, hexLiteral(channel));
}

async function oldestFile(control: WireConnection, channelLiteral: string): Promise<number | null> {
  const rows = await control.query(
    `SELECT MIN(relay_file) AS file FROM millrace.prepared WHERE channel=${channelLiteral}`,
  );
  const file = rows[0]?.file ?? null;
  return file === null ? null : Number(file);
}
