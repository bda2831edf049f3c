/**
 * A program of its own (bundled.ts): DIR BINLOG: opens the relay log in DIR and appends transactions, numbered on from what it
 * holds, until it is killed. Small files, so that it rotates all the time; prints "opening", then every number that is
 * durable.
 */
import { readFileSync } from 'node:fs';
import { silentLogger } from '../../src/base/runtime.ts';
import { sealEvent } from '../../src/binlog/checksum.ts';
import { decodeFormatDescription } from '../../src/binlog/format-description.ts';
import { emptyPositionSet } from '../../src/binlog/position-set.ts';
import { TransactionBoundary } from '../../src/binlog/transaction-boundary.ts';
import { PublishedEnd } from '../../src/relay/published-end.ts';
import { RelayLogWriter } from '../../src/relay/relay-log-writer.ts';

const [dir = '', binlog = ''] = process.argv.slice(2);
const source = readFileSync(binlog);
const lengthAt = (at: number): number => source.readUInt32LE(at + 9);
const rawFde = Buffer.from(source.subarray(4, 4 + lengthAt(4)));
const fde = decodeFormatDescription(rawFde, 0, rawFde.length);
const boundary = new TransactionBoundary(fde);
// The first transaction with rows serves for all.
let found: Buffer | null = null;
for (let at = 4 + rawFde.length, begin = at, rows = false; found === null; at += lengthAt(at)) {
  const place = boundary.feed(source, at, at + lengthAt(at) - 4);
  if (place === 'begin') [begin, rows] = [at, false];
  if (source[at + 4] === 30) rows = true;
  if (place === 'end' && rows) found = Buffer.from(source.subarray(begin, at + lengthAt(at)));
}
const transaction = found;
const gtidLength = transaction.readUInt32LE(9);

process.stdout.write('opening\n');
const writer = await RelayLogWriter.open({
  dir,
  maxFileSize: 50_000,
  published: PublishedEnd.create(),
  log: silentLogger,
  bufferLength: 4096,
});
const retrieved = writer.retrieved?.toString() ?? '';
let gno = BigInt(/(\d+)$/.exec(retrieved)?.[1] ?? '0');
let sourceEnd = 4;
const startStream = (): void => {
  const base = writer.retrieved ?? emptyPositionSet('gtid');
  writer.startStream({ fde: rawFde, base, sourceFile: 'binlog.000001', sourcePosition: 4 });
};
startStream();
for (;;) {
  const chunk = 1 + Math.floor(Math.random() * 40);
  for (let i = 0; i < chunk; i++) {
    gno++;
    transaction.writeBigUInt64LE(gno, 19 + 17);
    sealEvent(transaction, 0, gtidLength);
    boundary.restart(fde);
    boundary.feed(transaction, 0, gtidLength - 4);
    sourceEnd += transaction.length;
    writer.append(transaction, 0, transaction.length);
    writer.endTransaction(boundary.head, sourceEnd);
  }
  // Half a transaction more, as a received chunk ends anywhere.
  writer.append(transaction, 0, gtidLength);
  writer.publish();
  if (Math.random() < 0.3) {
    const done = gno;
    await writer.sync();
    process.stdout.write(`${done}\n`);
  }
  writer.abandon();
  if (Math.random() < 0.05) startStream();
  if (Math.random() < 0.05)
    writer.purge({ neededFrom: writer.position.fileNumber - 3, retentionMs: 0, nowMs: Date.now() + 1000 });
}
