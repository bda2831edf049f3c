/**
 * A relay log in a folder, as a reader leaves it: one transaction in each file, committed when and as large as it is told.
 */
import { silentLogger } from '../../../src/base/runtime.ts';
import { sealEvent } from '../../../src/binlog/checksum.ts';
import { CHECKSUM_LENGTH } from '../../../src/binlog/event-header.ts';
import { emptyPositionSet } from '../../../src/binlog/position-set.ts';
import { PublishedEnd } from '../../../src/relay/published-end.ts';
import { readRelayLogIndex, relayFilePath } from '../../../src/relay/relay-log-index.ts';
import { RelayLogWriter } from '../../../src/relay/relay-log-writer.ts';
import { buildGtid, buildQuery } from '../../support/binlog-builder.ts';
import { SourceFile } from '../../support/binlog-feed.ts';

const LENGTH_OFFSET = 9;

/** Returns the paths of the files. */
export async function relayLogOf(
  dir: string,
  commits: readonly { readonly seconds: number; readonly bytes: number }[],
): Promise<string[]> {
  const { bytes, events } = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
  const parts = [bytes.subarray(0, events[0]!.start)];
  for (const [index, commit] of commits.entries()) {
    const statement = `CREATE TABLE t${index} (id INT) COMMENT '${'x'.repeat(commit.bytes)}'`;
    parts.push(
      sealed(buildGtid(BigInt(index + 1)), commit.seconds),
      sealed(buildQuery(statement), commit.seconds),
    );
  }
  const source = new SourceFile('binlog.000001', Buffer.concat(parts));
  const writer = await RelayLogWriter.open({
    dir,
    maxFileSize: 4096,
    published: PublishedEnd.create(),
    log: silentLogger,
  });
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
  await writer.close();
  return (readRelayLogIndex(dir) ?? []).map((fileNumber) => relayFilePath(dir, fileNumber));
}

function sealed(event: Buffer, seconds: number): Buffer {
  const whole = Buffer.concat([event, Buffer.alloc(CHECKSUM_LENGTH)]);
  whole.writeUInt32LE(seconds, 0);
  whole.writeUInt32LE(whole.length, LENGTH_OFFSET);
  sealEvent(whole, 0, whole.length);
  return whole;
}
