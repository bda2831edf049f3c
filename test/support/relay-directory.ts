/**
 * A relay log directory for one test, in memory where the machine has /dev/shm, gone afterwards; with the writer, cursor and
 * published end that belong to it.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LogFacts, silentLogger } from '../../src/base/runtime.ts';
import type { TransactionId } from '../../src/binlog/position-set.ts';
import { PublishedEnd } from '../../src/relay/published-end.ts';
import { RelayLogCursor, type RelayLogCursorOptions } from '../../src/relay/relay-log-cursor.ts';
import { readRelayLogIndex, relayFileName } from '../../src/relay/relay-log-index.ts';
import { RelayLogWriter, type RelayLogWriterOptions } from '../../src/relay/relay-log-writer.ts';

const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** What a cursor hands out, copied. */
export interface ReadTransaction {
  readonly id: TransactionId | null;
  readonly bytes: Buffer;
  readonly sourceEnd: number;
  readonly fileNumber: number;
}

export class RelayDirectory {
  readonly dir: string;
  readonly published = PublishedEnd.create();
  readonly warnings: { readonly message: string; readonly facts: LogFacts | undefined }[] = [];
  #writer: RelayLogWriter | null = null;

  constructor(folder = memory) {
    this.dir = mkdtempSync(join(folder, 'millrace-relay-'));
  }

  async openWriter(options: Partial<RelayLogWriterOptions> = {}): Promise<RelayLogWriter> {
    const log = {
      ...silentLogger,
      warn: (message: string, facts?: LogFacts) => void this.warnings.push({ message, facts }),
    };
    const given = { dir: this.dir, maxFileSize: 2 ** 30, published: this.published, log, ...options };
    this.#writer = await RelayLogWriter.open(given);
    return this.#writer;
  }

  cursor(options: Partial<RelayLogCursorOptions> = {}): RelayLogCursor {
    const from = { fileNumber: this.numbers()[0] ?? 1, offset: 0 };
    return RelayLogCursor.open({ dir: this.dir, published: this.published, from, ...options });
  }

  numbers(): number[] {
    return readRelayLogIndex(this.dir) ?? [];
  }

  path(fileNumber: number): string {
    return join(this.dir, relayFileName(fileNumber));
  }

  bytes(fileNumber: number): Buffer {
    return readFileSync(this.path(fileNumber));
  }

  overwrite(fileNumber: number, bytes: Buffer): void {
    writeFileSync(this.path(fileNumber), bytes);
  }

  /** All but the index. */
  fileNames(): string[] {
    return readdirSync(this.dir)
      .filter((name) => name !== 'relay-bin.index')
      .sort();
  }

  /** Closes what is open and removes the directory. */
  async remove(): Promise<void> {
    await this.#writer?.close().catch(() => undefined);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** All transactions from the cursor's place to the published end. */
export function readAll(cursor: RelayLogCursor): ReadTransaction[] {
  const all: ReadTransaction[] = [];
  let parts: Buffer[] = [];
  for (let event = cursor.next(); event !== null; event = cursor.next()) {
    if (!event.oversized) {
      parts.push(Buffer.from(event.buf.subarray(event.start, event.start + event.rawLength)));
    }
    if (event.place !== 'end' && event.place !== 'single') continue;
    const { id, sourceEnd, fileNumber } = event;
    all.push({ id, bytes: Buffer.concat(parts), sourceEnd, fileNumber });
    parts = [];
  }
  return all;
}
