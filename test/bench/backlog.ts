/**
 * A relay log of any size, made in seconds: real transactions of a real server, repeated with other GTIDs, clocks, row ids
 * and checksums, written by Millrace's own relay log writer. mysqlbinlog reads it like any other.
 *
 *   file 1            small transactions (a row of 200 bytes)
 *   files 2 to n-1    large ones (a row of 256 KiB): only their bytes matter
 *   file n            small ones again: the file that a restart has to look through
 *
 * The GTIDs are of a server that does not exist, so that any source may claim to have had and purged them.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogger } from '../../src/base/runtime.ts';
import { sealEvent } from '../../src/binlog/checksum.ts';
import { EventType } from '../../src/binlog/event-header.ts';
import { emptyPositionSet } from '../../src/binlog/position-set.ts';
import { isRowsEvent } from '../../src/binlog/rows-event.ts';
import type { TransactionHead } from '../../src/binlog/transaction-boundary.ts';
import { PublishedEnd } from '../../src/relay/published-end.ts';
import { RelayLogWriter } from '../../src/relay/relay-log-writer.ts';
import { unlogged } from '../support/accounts.ts';
import { SourceFile } from '../support/binlog-feed.ts';
import type { TestServer } from '../support/test-server.ts';
import { BENCH_SCHEMA } from './workload.ts';

const SID = 'b0b0b0b0-0000-4000-8000-0000000000b0';
const MARKER_ID = 0x5a4b3c2d;
const SMALL_BYTES = 200;
const LARGE_BYTES = 256 * 1024;
/** Transactions that the clock calls independent of each other. */
const INDEPENDENT = 1000;
const PUBLISH_EVERY = 64;

const HEADER_LENGTH = 19;
const LOG_POS_OFFSET = 13;
const SID_OFFSET = HEADER_LENGTH + 1;
const GNO_OFFSET = HEADER_LENGTH + 17;
const LAST_COMMITTED_OFFSET = HEADER_LENGTH + 26;
const SEQUENCE_OFFSET = HEADER_LENGTH + 34;

export interface BacklogPlan {
  readonly dir: string;
  readonly firstBytes: number;
  readonly middleFiles: number;
  readonly middleBytes: number;
  readonly lastBytes: number;
}

export interface Backlog {
  readonly bytes: number;
  /** gtid of the n-th transaction is SID:n, counted from 1. */
  readonly transactions: number;
  /** Of the first file. */
  readonly firstTransactions: number;
  /** Where the last file begins. */
  readonly beforeLast: number;
  readonly lastFile: string;
}

/** The first `count` transactions as a GTID set. */
export function backlogGtids(count: number): string {
  return count === 0 ? '' : `${SID}:1-${count}`;
}

/** The table that the transactions insert into; not logged, on source and target alike. */
export function prepareForBacklog(server: TestServer): Promise<void> {
  return unlogged(server, [
    `CREATE DATABASE IF NOT EXISTS ${BENCH_SCHEMA}`,
    `CREATE TABLE IF NOT EXISTS ${BENCH_SCHEMA}.backlog (id INT PRIMARY KEY, pad LONGBLOB)`,
  ]);
}

/** Empties the table and says that the server has executed the first `executed` transactions. */
export async function setExecuted(server: TestServer, executed: number): Promise<void> {
  await unlogged(server, [`TRUNCATE ${BENCH_SCHEMA}.backlog`]);
  await server.query('RESET BINARY LOGS AND GTIDS');
  if (executed > 0) await server.query(`SET GLOBAL gtid_purged = '${backlogGtids(executed)}'`);
}

/** `model`: a server that the transactions are taken from; it has the table, and its GTIDs are forgotten afterwards. */
export async function makeBacklog(model: TestServer, plan: BacklogPlan): Promise<Backlog> {
  const { raw, small, large } = await templates(model);
  const writer = await RelayLogWriter.open({
    dir: plan.dir,
    maxFileSize: 2 ** 40,
    published: PublishedEnd.create(),
    log: silentLogger,
  });
  let gno = 0;
  let file = 0;
  const fill = (template: Template, bytes: number): void => {
    file += 1;
    const sourceFile = `binlog.${String(file).padStart(6, '0')}`;
    writer.startStream({ fde: raw, base: emptyPositionSet('gtid'), sourceFile, sourcePosition: 4 });
    const first = gno;
    for (let position = 4 + raw.length; position < bytes; ) {
      gno += 1;
      position = template.write(writer, gno, gno - first, position);
      if (gno % PUBLISH_EVERY === 0) writer.publish();
    }
    writer.publish();
  };
  fill(small, plan.firstBytes);
  const firstTransactions = gno;
  for (let i = 0; i < plan.middleFiles; i++) fill(large, plan.middleBytes);
  const beforeLast = gno;
  fill(small, plan.lastBytes);
  const { bytes } = writer;
  const lastFile = join(plan.dir, writer.fileName!);
  await writer.close();
  return { bytes, transactions: gno, firstTransactions, beforeLast, lastFile };
}

async function templates(model: TestServer): Promise<{ raw: Buffer; small: Template; large: Template }> {
  await model.query('RESET BINARY LOGS AND GTIDS');
  for (const bytes of [SMALL_BYTES, LARGE_BYTES]) {
    await model.query(`INSERT INTO ${BENCH_SCHEMA}.backlog VALUES (${MARKER_ID}, REPEAT('b', ${bytes}))`);
    await unlogged(model, [`TRUNCATE ${BENCH_SCHEMA}.backlog`]);
  }
  const [log] = await model.query('SHOW BINARY LOGS');
  const name = String(log?.Log_name);
  const source = new SourceFile(name, readFileSync(join(model.datadir, name)));
  const [small, large] = source.transactions();
  if (!small?.head || !large?.head) throw new Error('the model has not written the two transactions');
  await model.query('RESET BINARY LOGS AND GTIDS');
  return {
    raw: source.rawFde,
    small: new Template(small.bytes, small.head),
    large: new Template(large.bytes, large.head),
  };
}

/** One transaction's events, changed in place for every repetition. */
class Template {
  readonly #bytes: Buffer;
  readonly #head: TransactionHead;
  readonly #events: readonly { readonly start: number; readonly end: number }[];
  /** Of the row's id, 4 bytes. */
  readonly #idOffset: number;

  constructor(bytes: Buffer, head: TransactionHead) {
    this.#bytes = Buffer.from(bytes);
    this.#head = head;
    const events = [];
    for (let start = 0; start < bytes.length; ) {
      const end = start + bytes.readUInt32LE(start + 9);
      events.push({ start, end });
      start = end;
    }
    this.#events = events;
    if (bytes[4] !== EventType.GTID_LOG_EVENT)
      throw new Error('a transaction of the model begins with no GTID');
    const rows = events.find(({ start }) => isRowsEvent(bytes[start + 4]!))!;
    const id = Buffer.alloc(4);
    id.writeUInt32LE(MARKER_ID);
    this.#idOffset = bytes.indexOf(id, rows.start);
    if (this.#idOffset < 0) throw new Error('the row of the model does not show its id');
    Buffer.from(SID.replaceAll('-', ''), 'hex').copy(this.#bytes, SID_OFFSET);
  }

  /** Returns where the transaction ends in the source's file. */
  write(writer: RelayLogWriter, gno: number, sequenceNumber: number, position: number): number {
    const bytes = this.#bytes;
    const lastCommitted = Math.max(0, sequenceNumber - INDEPENDENT);
    bytes.writeBigInt64LE(BigInt(gno), GNO_OFFSET);
    bytes.writeBigInt64LE(BigInt(lastCommitted), LAST_COMMITTED_OFFSET);
    bytes.writeBigInt64LE(BigInt(sequenceNumber), SEQUENCE_OFFSET);
    bytes.writeUInt32LE(gno, this.#idOffset);
    let end = position;
    for (const event of this.#events) {
      end += event.end - event.start;
      bytes.writeUInt32LE(end % 0x1_0000_0000, event.start + LOG_POS_OFFSET);
      sealEvent(bytes, event.start, event.end);
      writer.append(bytes, event.start, event.end);
    }
    const id = { kind: 'gtid', sid: SID, gno: BigInt(gno) } as const;
    writer.endTransaction({ ...this.#head, id, lastCommitted, sequenceNumber }, end);
    return end;
  }
}
