/**
 * Plays a source's binary log file into a relay log writer, event by event, as the reader does with what it receives.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sealEvent } from '../../src/binlog/checksum.ts';
import { EventType } from '../../src/binlog/event-header.ts';
import {
  checksumLength,
  decodeFormatDescription,
  type FormatDescription,
} from '../../src/binlog/format-description.ts';
import type { PositionSet, TransactionId } from '../../src/binlog/position-set.ts';
import { TransactionBoundary, type TransactionHead } from '../../src/binlog/transaction-boundary.ts';
import type { RelayLogWriter } from '../../src/relay/relay-log-writer.ts';
import { nextSourcePosition } from '../../src/relay/source-position.ts';
import { repositoryRoot } from './repository.ts';

export interface SourceEvent {
  readonly start: number;
  readonly end: number;
  readonly type: number;
  readonly place: 'between' | 'begin' | 'inside' | 'end' | 'single';
  readonly head: TransactionHead | null;
  /** End in the source's file. */
  readonly sourceEnd: number;
}

/** More than a fixture has transactions. */
const ROUND = 1000;
/** Where the transaction's number stands in the event that names it. */
const NUMBER_OFFSETS: Readonly<Record<number, number>> = {
  [EventType.GTID_LOG_EVENT]: 36,
  [EventType.MARIADB_GTID_EVENT]: 19,
};

function renumbered(id: TransactionId, round: number): TransactionId {
  const add = BigInt(round * ROUND);
  if (id.kind === 'gtid') return { ...id, gno: id.gno + add };
  if (id.kind === 'mariadb') return { ...id, seqNo: id.seqNo + add };
  return id;
}

/** A binary log file in memory, cut into its events. */
export class SourceFile {
  readonly name: string;
  readonly bytes: Buffer;
  readonly fde: FormatDescription;
  readonly rawFde: Buffer;
  readonly events: SourceEvent[] = [];

  constructor(name: string, bytes: Buffer) {
    this.name = name;
    this.bytes = bytes;
    const fdeLength = bytes.readUInt32LE(4 + 9);
    this.rawFde = Buffer.from(bytes.subarray(4, 4 + fdeLength));
    // The dump thread clears IN_USE before it sends the event.
    this.rawFde[17]! &= ~1;
    this.fde = decodeFormatDescription(this.rawFde, 0, fdeLength);
    const tail = checksumLength(this.fde);
    const boundary = new TransactionBoundary(this.fde);
    let sourceEnd = 4 + fdeLength;
    for (let start = sourceEnd; start < bytes.length; ) {
      const length = bytes.readUInt32LE(start + 9);
      const end = start + length;
      const place = boundary.feed(bytes, start, end - tail);
      sourceEnd = nextSourcePosition(sourceEnd, bytes.readUInt32LE(start + 13), length);
      this.events.push({ start, end, type: bytes[start + 4]!, place, head: boundary.head, sourceEnd });
      start = end;
    }
  }

  /** test/fixtures/FOLDER/NAME.binlog, as if it were the source's binlog.000007. */
  static fixture(folder: string, name: string): SourceFile {
    const path = join(repositoryRoot, 'test', 'fixtures', folder, `${name}.binlog`);
    return new SourceFile('binlog.000007', readFileSync(path));
  }

  /** The same as a server before 5.6 writes it. */
  withoutGtids(): SourceFile {
    const named: number[] = [EventType.GTID_LOG_EVENT, EventType.ANONYMOUS_GTID_LOG_EVENT];
    const kept = this.events.filter((event) => !named.includes(event.type));
    const header = this.bytes.subarray(0, this.events[0]!.start);
    const events = kept.map((event) => this.bytes.subarray(event.start, event.end));
    return new SourceFile(this.name, Buffer.concat([header, ...events]));
  }

  /** The transactions, each with the bytes of its events. */
  transactions(): {
    readonly bytes: Buffer;
    readonly head: TransactionHead | null;
    readonly sourceEnd: number;
  }[] {
    const all = [];
    let parts: Buffer[] = [];
    for (const event of this.events) {
      if (event.place === 'between') continue;
      parts.push(this.bytes.subarray(event.start, event.end));
      if (event.place !== 'end' && event.place !== 'single') continue;
      all.push({ bytes: Buffer.concat(parts), head: event.head, sourceEnd: event.sourceEnd });
      parts = [];
    }
    return all;
  }

  /** The transactions again and again, as if the source had gone on so: with numbers and places of their own. */
  repeated(rounds: number): {
    readonly bytes: Buffer;
    readonly head: TransactionHead | null;
    readonly sourceEnd: number;
  }[] {
    const all = [];
    let sourceEnd = this.events[0]!.start;
    for (let round = 0; round < rounds; round++) {
      for (const { bytes, head } of this.transactions()) {
        const copy = Buffer.from(bytes);
        for (let start = 0; start < copy.length; ) {
          const end = start + copy.readUInt32LE(start + 9);
          sourceEnd += end - start;
          if (copy.readUInt32LE(start + 13) !== 0) copy.writeUInt32LE(sourceEnd, start + 13);
          this.#renumber(copy, start, round);
          if (this.fde.checksum === 'crc32') sealEvent(copy, start, end);
          start = end;
        }
        const id = head?.id ?? null;
        all.push({ bytes: copy, head: head && { ...head, id: id && renumbered(id, round) }, sourceEnd });
      }
    }
    return all;
  }

  #renumber(bytes: Buffer, start: number, round: number): void {
    const add = BigInt(round * ROUND);
    const at = NUMBER_OFFSETS[bytes[start + 4]!];
    if (at === undefined) {
      if (bytes[start + 4] === EventType.GTID_TAGGED_LOG_EVENT && round > 0)
        throw new Error('not repeatable');
    } else bytes.writeBigInt64LE(bytes.readBigInt64LE(start + at) + add, start + at);
  }

  start(writer: RelayLogWriter, base: PositionSet): void {
    writer.startStream({ fde: this.rawFde, base, sourceFile: this.name, sourcePosition: 4 });
  }

  /** Appends events [from, to) and publishes after every `chunk` of them. */
  play(writer: RelayLogWriter, from = 0, to = this.events.length, chunk = 100): void {
    for (let at = from; at < to; at++) {
      const event = this.events[at]!;
      if (event.place !== 'between') writer.append(this.bytes, event.start, event.end);
      if (event.place === 'end' || event.place === 'single')
        writer.endTransaction(event.head, event.sourceEnd);
      if (at % chunk === 0) writer.publish();
    }
    writer.publish();
  }
}
