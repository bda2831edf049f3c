/**
 * Carries a source's binary logs into a relay log, from the files in its data directory: what the reader does with the
 * dump, without a connection, so that a test decides when the applier gets to see what.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  checksumLength,
  decodeFormatDescription,
  type FormatDescription,
} from '../../src/binlog/format-description.ts';
import { emptyPositionSet, type PositionKind, type PositionSet } from '../../src/binlog/position-set.ts';
import { TransactionBoundary } from '../../src/binlog/transaction-boundary.ts';
import type { RelayLogWriter } from '../../src/relay/relay-log-writer.ts';
import { nextSourcePosition } from '../../src/relay/source-position.ts';
import type { TestServer } from './test-server.ts';

interface OpenLog {
  readonly name: string;
  readonly fde: FormatDescription;
  readonly boundary: TransactionBoundary;
  /** Bytes of the file that were carried over. */
  done: number;
  sourceEnd: number;
}

export class SourceFeed {
  readonly #source: TestServer;
  readonly #writer: RelayLogWriter;
  readonly #base: PositionSet;
  /** What is left out: transactions that the base has. */
  #log: OpenLog | null = null;
  transactions = 0;

  /** `base`: what the target has before the first transaction of interest. */
  constructor(source: TestServer, writer: RelayLogWriter, base: PositionSet | PositionKind) {
    this.#source = source;
    this.#writer = writer;
    this.#base = typeof base === 'string' ? emptyPositionSet(base) : base;
  }

  /** Carries over everything that the source has committed by now. */
  async feed(): Promise<void> {
    const logs = await this.#source.query('SHOW BINARY LOGS');
    for (const { Log_name: name, File_size: size } of logs) {
      if (this.#log !== null && name < this.#log.name) continue;
      const bytes = readFileSync(join(this.#source.datadir, name)).subarray(0, Number(size));
      if (this.#log?.name !== name) this.#begin(name, bytes);
      this.#carry(this.#log!, bytes);
    }
    this.#writer.publish();
  }

  #begin(name: string, bytes: Buffer): void {
    const length = bytes.readUInt32LE(4 + 9);
    const raw = Buffer.from(bytes.subarray(4, 4 + length));
    // The dump thread clears IN_USE before it sends the event.
    raw[17]! &= ~1;
    const fde = decodeFormatDescription(raw, 0, length);
    this.#writer.startStream({ fde: raw, base: this.#base, sourceFile: name, sourcePosition: 4 });
    this.#log = {
      name,
      fde,
      boundary: new TransactionBoundary(fde),
      done: 4 + length,
      sourceEnd: 4 + length,
    };
  }

  #carry(log: OpenLog, bytes: Buffer): void {
    const tail = checksumLength(log.fde);
    while (log.done < bytes.length) {
      const start = log.done;
      const length = bytes.readUInt32LE(start + 9);
      const place = log.boundary.feed(bytes, start, start + length - tail);
      log.sourceEnd = nextSourcePosition(log.sourceEnd, bytes.readUInt32LE(start + 13), length);
      log.done = start + length;
      if (place === 'between') continue;
      const id = log.boundary.head?.id ?? null;
      if (id !== null && this.#base.has(id)) continue;
      this.#writer.append(bytes, start, start + length);
      if (place !== 'end' && place !== 'single') continue;
      this.#writer.endTransaction(log.boundary.head, log.sourceEnd);
      this.transactions += 1;
    }
  }
}
