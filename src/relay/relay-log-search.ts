/**
 * Looks transactions up in the relay log, beside the threads that write and apply it: one by its name, and the youngest of those
 * that a target has.
 *
 * A file or two are read, in slices, so that the caller's thread keeps answering. Before anything is published, what is on the disk
 * counts.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError } from '../base/errors.ts';
import { type PositionSet, type TransactionId, transactionIdText } from '../binlog/position-set.ts';
import { commitMicros } from '../binlog/transaction-boundary.ts';
import type { PublishedEnd, RelayPosition } from './published-end.ts';
import { type RelayEvent, RelayLogCursor } from './relay-log-cursor.ts';
import { fileSet, locate, relayFiles } from './relay-log-location.ts';

const SLICE_BYTES = 8 * 1024 * 1024;

export interface SearchedLog {
  readonly dir: string;
  readonly published: PublishedEnd;
}

/** Where the transaction begins; null: the relay log does not hold it. Throws RELAY_CORRUPT, DISK. */
export async function findTransaction(log: SearchedLog, id: TransactionId): Promise<RelayPosition | null> {
  const wanted = transactionIdText(id);
  const fileNumber = fileOf(log.dir, id);
  if (fileNumber === null) return null;
  let begin = 0;
  let found: RelayPosition | null = null;
  await scan(log, fileNumber, (event) => {
    if (event.place === 'begin' || event.place === 'single') begin = event.offset;
    if (event.id !== null && transactionIdText(event.id) === wanted) found = { fileNumber, offset: begin };
    return found === null;
  });
  return found;
}

/**
 * When the source committed the youngest of the transactions that a target has, as far as the relay log still holds one of them: µs
 * since the epoch. Throws RELAY_CORRUPT, DISK.
 */
export async function newestCommit(log: SearchedLog, executed: PositionSet): Promise<bigint | null> {
  const last = locate(log.dir, executed)?.fileNumber ?? 0;
  let newest: bigint | null = null;
  for (const fileNumber of relayFiles(log.dir).reverse()) {
    if (fileNumber > last) continue;
    await scan(log, fileNumber, ({ place, id, head }) => {
      if ((place === 'end' || place === 'single') && id !== null && head !== null && executed.has(id)) {
        const micros = commitMicros(head);
        if (newest === null || micros > newest) newest = micros;
      }
      return true;
    });
    if (newest !== null) return newest;
  }
  return null;
}

/** The newest file that does not say of itself that the transaction came before it. */
function fileOf(dir: string, id: TransactionId): number | null {
  for (const fileNumber of relayFiles(dir).reverse()) {
    const header = fileSet(dir, fileNumber);
    // Replaced or purged just now.
    if (header === null) continue;
    if (header.kind !== id.kind) return null;
    if (!header.previous.has(id)) return fileNumber;
  }
  return null;
}

/** Shows the events of one file, until `look` says false. */
async function scan(
  { dir, published }: SearchedLog,
  fileNumber: number,
  look: (event: RelayEvent) => boolean,
): Promise<void> {
  const end = published.read().fileNumber === 0 ? null : published;
  let cursor: RelayLogCursor | null = null;
  let bytes = 0;
  try {
    cursor = RelayLogCursor.open({ dir, published: end, from: { fileNumber, offset: 0 } });
    for (let event = cursor.next(); event !== null; event = cursor.next()) {
      if (event.fileNumber !== fileNumber || !look(event)) return;
      bytes += event.rawLength;
      if (bytes < SLICE_BYTES) continue;
      bytes = 0;
      await nextTurn();
    }
  } catch (error) {
    // Cut back or thrown away while it was read: it holds nothing of it any more.
    if (!(error instanceof MillraceError) || error.action !== 'retry') throw error;
  } finally {
    cursor?.close();
  }
}
