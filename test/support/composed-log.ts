/**
 * A relay log of transactions that a test composes event by event, as MySQL 9.7 would send them: GTIDs in order, checksums,
 * one second of the source's clock apart.
 */
import { sealEvent } from '../../src/binlog/checksum.ts';
import { EventType, eventTypeName } from '../../src/binlog/event-header.ts';
import { emptyPositionSet } from '../../src/binlog/position-set.ts';
import { ROWS_FLAG } from '../../src/binlog/rows-event.ts';
import { TransactionBoundary } from '../../src/binlog/transaction-boundary.ts';
import type { RelayLogWriter } from '../../src/relay/relay-log-writer.ts';
import { buildEvent, buildGtid, buildQuery, buildXid } from './binlog-builder.ts';
import { SourceFile } from './binlog-feed.ts';
import { rawFrameOf } from './zstd-builder.ts';

const SID = '11111111-1111-1111-1111-111111111111';
/** 2026-01-01T00:00:00Z: when the first transaction was committed. */
export const FIRST_COMMIT_SECONDS = Date.UTC(2026, 0, 1) / 1000;

export class ComposedLog {
  readonly #writer: RelayLogWriter;
  readonly #boundary: TransactionBoundary;
  readonly #independent: boolean;
  #gno = 0n;
  #sourceEnd = 4;

  /** Begins a stream of the writer. `independent`: by the source's clock any may run beside any other; else each waits for the one before. */
  constructor(writer: RelayLogWriter, { independent = false } = {}) {
    this.#independent = independent;
    const { rawFde, fde } = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
    writer.startStream({
      fde: rawFde,
      base: emptyPositionSet('gtid'),
      sourceFile: 'binlog.000007',
      sourcePosition: 4,
    });
    this.#writer = writer;
    this.#boundary = new TransactionBoundary(fde);
  }

  /** One transaction of these events behind its GTID, not yet published; returns its name. */
  add(...events: readonly Buffer[]): string {
    this.#gno += 1n;
    const gtid = buildGtid(this.#gno, this.#independent ? { lastCommitted: 0n } : {});
    gtid.writeUInt32LE(FIRST_COMMIT_SECONDS + Number(this.#gno) - 1, 0);
    for (const event of [gtid, ...events]) this.#append(event);
    this.#writer.endTransaction(this.#boundary.head, this.#sourceEnd);
    return `${SID}:${this.#gno}`;
  }

  publish(): void {
    this.#writer.publish();
  }

  #append(event: Buffer): void {
    const sealed = Buffer.concat([event, Buffer.alloc(4)]);
    sealed.writeUInt32LE(sealed.length, 9);
    this.#sourceEnd += sealed.length;
    sealed.writeUInt32LE(this.#sourceEnd % 2 ** 32, 13);
    sealEvent(sealed, 0, sealed.length);
    const place = this.#boundary.feed(sealed, 0, sealed.length - 4);
    if (place === 'between') throw new Error(`${eventTypeName(event[4]!)} does not belong to a transaction`);
    this.#writer.append(sealed, 0, sealed.length);
  }
}

/** The events of a transaction that deletes so many rows of `d.t`, each with a value of `valueLength` bytes. */
export function deletion(rows: number, valueLength = 10): Buffer[] {
  return [buildQuery('BEGIN'), tableMap('d', 't'), deletedRows(rows, valueLength), buildXid()];
}

/** Table 7: INT and LONGBLOB. */
export function tableMap(database: string, table: string): Buffer {
  const name = (text: string): Buffer => Buffer.from([Buffer.byteLength(text), ...Buffer.from(text), 0]);
  const body = Buffer.concat([
    Buffer.from([7, 0, 0, 0, 0, 0, 0, 0]),
    name(database),
    name(table),
    Buffer.from([2, 3, 252, 1, 4, 3]),
  ]);
  return buildEvent(EventType.TABLE_MAP_EVENT, body);
}

export function deletedRows(rows: number, valueLength: number): Buffer {
  const head = Buffer.from([7, 0, 0, 0, 0, 0, ROWS_FLAG.STMT_END, 0, 2, 0, 2, 0b11]);
  const row = Buffer.alloc(1 + 4 + 4 + valueLength, 0x61);
  row[0] = 0;
  row.writeUInt32LE(valueLength, 5);
  const body = Buffer.alloc(head.length + rows * row.length);
  head.copy(body);
  for (let n = 0; n < rows; n++) row.copy(body, head.length + n * row.length);
  return buildEvent(EventType.DELETE_ROWS_EVENT, body);
}

/** A TRANSACTION_PAYLOAD_EVENT that holds these events. */
export function payload(events: readonly Buffer[]): Buffer {
  const plain = Buffer.concat(events);
  return payloadOf(rawFrameOf(plain, 128 * 1024), plain.length);
}

export function payloadOf(compressed: Buffer, uncompressedSize: number): Buffer {
  const field = (type: number, value: number): Buffer => {
    const number = Buffer.alloc(9, 0xfe);
    number.writeBigUInt64LE(BigInt(value), 1);
    return Buffer.concat([Buffer.from([type, number.length]), number]);
  };
  const fields = [field(2, 0), field(3, uncompressedSize), field(1, compressed.length), Buffer.from([0])];
  return buildEvent(EventType.TRANSACTION_PAYLOAD_EVENT, Buffer.concat([...fields, compressed]));
}
