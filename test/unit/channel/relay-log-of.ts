/**
 * A relay log in a folder, as a reader leaves it: transactions 1 to `count` of one server.
 */

import { silentLogger } from '../../../src/base/runtime.ts';
import { sealEvent } from '../../../src/binlog/checksum.ts';
import { CHECKSUM_LENGTH } from '../../../src/binlog/event-header.ts';
import { emptyPositionSet } from '../../../src/binlog/position-set.ts';
import { PublishedEnd } from '../../../src/relay/published-end.ts';
import { RelayLogWriter } from '../../../src/relay/relay-log-writer.ts';
import { buildGtid, buildQuery } from '../../support/binlog-builder.ts';
import { SourceFile } from '../../support/binlog-feed.ts';

const LENGTH_OFFSET = 9;
const UUID_OFFSET = 20;

export async function relayLogOf(dir: string, uuid: string, count: number): Promise<void> {
  const { bytes, events } = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
  const parts = [bytes.subarray(0, events[0]!.start)];
  const server = Buffer.from(uuid.replaceAll('-', ''), 'hex');
  for (let gno = 1; gno <= count; gno++) {
    const gtid = buildGtid(BigInt(gno));
    server.copy(gtid, UUID_OFFSET);
    parts.push(sealed(gtid), sealed(buildQuery(`CREATE TABLE t${gno} (id INT)`)));
  }
  const source = new SourceFile('binlog.000001', Buffer.concat(parts));
  const published = PublishedEnd.create();
  const writer = await RelayLogWriter.open({ dir, maxFileSize: 400, published, log: silentLogger });
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
  await writer.close();
}

function sealed(event: Buffer): Buffer {
  const whole = Buffer.concat([event, Buffer.alloc(CHECKSUM_LENGTH)]);
  whole.writeUInt32LE(whole.length, LENGTH_OFFSET);
  sealEvent(whole, 0, whole.length);
  return whole;
}
