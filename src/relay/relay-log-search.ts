/**
 * Looks one transaction up in the relay log by its name, beside the threads that write and apply it.
 *
 * One file is read: the newest that does not say of itself that the transaction came before it. In slices, so that the caller's
 * thread keeps answering.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { MillraceError } from '../base/errors.ts';
import type { TransactionId } from '../binlog/position-set.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import type { PublishedEnd, RelayPosition } from './published-end.ts';
import { RelayLogCursor } from './relay-log-cursor.ts';
import { fileSet, relayFiles } from './relay-log-location.ts';

const SLICE_BYTES = 8 * 1024 * 1024;

/** Where the transaction begins; null: the relay log does not hold it. Throws RELAY_CORRUPT, DISK. */
export async function findTransaction(
  dir: string,
  published: PublishedEnd,
  id: TransactionId,
): Promise<RelayPosition | null> {
  const fileNumber = published.read().fileNumber === 0 ? null : fileOf(dir, id);
  if (fileNumber === null) return null;
  const cursor = RelayLogCursor.open({ dir, published, from: { fileNumber, offset: 0 } });
  const wanted = transactionIdText(id);
  let begin: RelayPosition | null = null;
  let bytes = 0;
  try {
    for (let event = cursor.next(); event !== null; event = cursor.next()) {
      if (event.fileNumber !== fileNumber) return null;
      if (event.place === 'begin' || event.place === 'single') begin = { fileNumber, offset: event.offset };
      if (event.id !== null && transactionIdText(event.id) === wanted) return begin;
      bytes += event.rawLength;
      if (bytes < SLICE_BYTES) continue;
      bytes = 0;
      await nextTurn();
    }
    return null;
  } catch (error) {
    // Cut back or thrown away while it was read.
    if (error instanceof MillraceError && error.action === 'retry') return null;
    throw error;
  } finally {
    cursor.close();
  }
}

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
