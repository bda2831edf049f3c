import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { emptyPositionSet, type TransactionId } from '../../../src/binlog/position-set.ts';
import { commitMicros } from '../../../src/binlog/transaction-boundary.ts';
import { PublishedEnd } from '../../../src/relay/published-end.ts';
import { relayBytesBetween } from '../../../src/relay/relay-log-distance.ts';
import { findTransaction, newestCommit } from '../../../src/relay/relay-log-search.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

const log = () => ({ dir: relay.dir, published: relay.published });
const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');

async function written(): Promise<{ readonly id: TransactionId; readonly fileNumber: number }[]> {
  const writer = await relay.openWriter({ maxFileSize: 700 });
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
  const cursor = relay.cursor();
  const all = readAll(cursor).map(({ id, fileNumber }) => ({ id: id!, fileNumber }));
  cursor.close();
  return all;
}

describe('a transaction in the relay log', () => {
  test('is found in its file, at the place where it begins', async () => {
    const all = await written();
    expect(new Set(all.map(({ fileNumber }) => fileNumber)).size).toBeGreaterThan(2);
    for (const { id, fileNumber } of all) {
      const place = await findTransaction(log(), id);
      expect(place?.fileNumber).toBe(fileNumber);
      const cursor = relay.cursor({ from: place! });
      expect(cursor.next()).toMatchObject({ id, offset: place!.offset });
      cursor.close();
    }
  });

  test('that is not there is not found: unknown, of another kind, or before anything was published', async () => {
    const [first] = await written();
    const unknown = { ...(first!.id as Extract<TransactionId, { kind: 'gtid' }>), gno: 9_999n };
    expect(await findTransaction(log(), unknown)).toBeNull();
    const other = { kind: 'mariadb', domainId: 0, serverId: 1, seqNo: 1n } as const;
    expect(await findTransaction(log(), other)).toBeNull();
    const empty = new RelayDirectory();
    expect(await findTransaction({ dir: empty.dir, published: empty.published }, first!.id)).toBeNull();
    await empty.remove();
  });

  test('is found on the disk before a reader has published anything', async () => {
    const all = await written();
    const nothing = { dir: relay.dir, published: PublishedEnd.create() };
    expect(await findTransaction(nothing, all.at(-1)!.id)).not.toBeNull();
  });

  test('the youngest that a target has is found, also where the newest file holds none of them', async () => {
    const all = await written();
    const heads = source.transactions().map(({ head }) => commitMicros(head!));
    for (const count of [1, 3, all.length]) {
      const executed = emptyPositionSet('gtid');
      for (const { id } of all.slice(0, count)) executed.add(id);
      const [youngest] = heads.slice(0, count).sort((a, b) => Number(b - a));
      expect(await newestCommit(log(), executed)).toBe(youngest);
    }
    expect(await newestCommit(log(), emptyPositionSet('gtid'))).toBeNull();
  });

  test('how many bytes lie between two places counts every file in between', async () => {
    const all = await written();
    const [from, to] = [relay.numbers()[0]!, relay.numbers().at(-1)!];
    const sizes = relay
      .numbers()
      .slice(0, -1)
      .map((number) => relay.bytes(number).length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const begin = { fileNumber: from, offset: 100 };
    expect(relayBytesBetween(relay.dir, begin, { fileNumber: to, offset: 300 })).toBe(total - 100 + 300);
    expect(relayBytesBetween(relay.dir, begin, { fileNumber: from, offset: 150 })).toBe(50);
    expect(all.length).toBeGreaterThan(5);
  });

  test('how many bytes lie between two places is not known while the index cannot be read', async () => {
    await written();
    const [from, to] = [relay.numbers()[0]!, relay.numbers().at(-1)!];
    writeFileSync(join(relay.dir, 'relay-bin.index'), 'no relay log file\n');
    const places = [from, to].map((fileNumber) => ({ fileNumber, offset: 100 }));
    expect(relayBytesBetween(relay.dir, places[0]!, places[1]!)).toBeNull();
  });
});
