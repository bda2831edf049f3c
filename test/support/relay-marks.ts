/**
 * What the marks of a relay log say, and a way to write one that has many.
 */
import { closeSync, openSync } from 'node:fs';
import { type RelayFileHeader, readRelayFileHeader } from '../../src/relay/relay-file-header.ts';
import type { RelayLogWriter } from '../../src/relay/relay-log-writer.ts';
import { readRelayMarks, type StoredMark } from '../../src/relay/relay-marks.ts';
import type { SourceFile } from './binlog-feed.ts';
import type { RelayDirectory } from './relay-directory.ts';

export function feed(writer: RelayLogWriter, transactions: ReturnType<SourceFile['repeated']>): void {
  for (const { bytes, head, sourceEnd } of transactions) {
    writer.append(bytes, 0, bytes.length);
    writer.endTransaction(head, sourceEnd);
  }
  writer.publish();
}

export function marksOf(relay: RelayDirectory, fileNumber: number): StoredMark[] {
  return withFile(relay, fileNumber, (fd, path) => readRelayMarks(fd, path, readRelayFileHeader(fd, path)));
}

export function headerOf(relay: RelayDirectory, fileNumber: number): RelayFileHeader {
  return withFile(relay, fileNumber, readRelayFileHeader);
}

function withFile<T>(relay: RelayDirectory, fileNumber: number, read: (fd: number, path: string) => T): T {
  const path = relay.path(fileNumber);
  const fd = openSync(path, 'r');
  try {
    return read(fd, path);
  } finally {
    closeSync(fd);
  }
}
