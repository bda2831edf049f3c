import { closeSync, mkdirSync, readlinkSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';

import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { emptyPositionSet, type TransactionId } from '../../../src/binlog/position-set.ts';
import { discardRelayLog } from '../../../src/relay/relay-log-discard.ts';
import { listRelayFiles, listRelayMarks, relayFilePath } from '../../../src/relay/relay-log-index.ts';
import { relayMarksPath } from '../../../src/relay/relay-marks.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';

import { feed, headerOf, marksOf } from '../../support/relay-marks.ts';

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

const DISTANCE = 300;
const MANY = { timeout: 90_000 };

const gtids = (): SourceFile => SourceFile.fixture('mysql-9.7', 'gtid-transactions');

describe('the writer', () => {
  test('marks only what a sync has covered, and all of it when it closes a file', async () => {
    const source = gtids();
    const writer = await relay.openWriter({ markDistance: DISTANCE });
    source.start(writer, emptyPositionSet('gtid'));
    const all = source.repeated(4);
    const half = all.length / 2;
    feed(writer, all.slice(0, half));
    expect(listRelayMarks(relay.dir)).toEqual([]);
    const atSync = writer.position.offset;
    const syncing = writer.sync();
    feed(writer, all.slice(half));
    await syncing;
    const durable = marksOf(relay, 1);
    expect(durable.length).toBeGreaterThan(1);
    expect(durable.at(-1)!.offset).toBeLessThanOrEqual(atSync);
    expect(writer.position.offset - durable.at(-1)!.offset).toBeGreaterThan(2 * DISTANCE);
    const end = writer.position.offset;
    source.start(writer, emptyPositionSet('gtid'));
    expect(end - marksOf(relay, 1).at(-1)!.offset).toBeLessThan(2 * DISTANCE + 1000);
    expect(statSync(relayMarksPath(relay.path(1))).mode & 0o777).toBe(0o600);
  });

  test(
    'marks ends of transactions that were durable, each with all before it, whatever the pace',
    MANY,
    async () => {
      const source = gtids();
      const all = source.repeated(6);
      const steps = fc.array(
        fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom('sync', 'synced', 'new')),
        {
          minLength: 5,
          maxLength: 40,
        },
      );
      const distance = fc.integer({ min: 1, max: 3000 });
      let marked = 0;
      await fc.assert(
        fc.asyncProperty(
          steps,
          distance,
          fc.integer({ min: 500, max: 20_000 }),
          async (steps, markDistance, maxFileSize) => {
            const writer = await relay.openWriter({ markDistance, maxFileSize });
            writer.reset();
            source.start(writer, emptyPositionSet('gtid'));
            let at = 0;
            const syncing: Promise<void>[] = [];
            for (const step of steps) {
              if (typeof step === 'number') {
                feed(writer, all.slice(at, at + step));
                at = Math.min(all.length, at + step);
              } else if (step === 'sync') syncing.push(writer.sync());
              else if (step === 'synced') await Promise.all(syncing);
              else if (at > 0) source.start(writer, emptyPositionSet('gtid'));
              const { fileNumber, offset } = writer.durable;
              for (const mark of marksOf(relay, fileNumber)) expect(mark.offset).toBeLessThanOrEqual(offset);
            }
            await Promise.all(await syncing);
            marked += await expectTrueMarks();
            await writer.close();
            await expectTrueMarks();
          },
        ),
        { numRuns: 60 },
      );
      expect(marked).toBeGreaterThan(100);
    },
  );

  /** Of every file; returns how many there are. */
  async function expectTrueMarks(): Promise<number> {
    const transactions = readAll(relay.cursor());
    let count = 0;
    for (const fileNumber of relay.numbers()) {
      const inFile = transactions.filter((each) => each.fileNumber === fileNumber);
      let end = headerOf(relay, fileNumber).end;
      const ends = inFile.map(({ bytes }) => {
        end += bytes.length;
        return end;
      });
      const seen = emptyPositionSet('gtid');
      for (const { offset, sourceEnd, transactions, delta } of marksOf(relay, fileNumber)) {
        count += 1;
        seen.addAll(delta);
        expect(ends[transactions - 1]).toBe(offset);
        expect(inFile[transactions - 1]!.sourceEnd).toBe(sourceEnd);
        const before = emptyPositionSet('gtid');
        for (const { id } of inFile.slice(0, transactions)) before.add(id as TransactionId);
        expect(seen.toString()).toBe(before.toString());
      }
    }
    return count;
  }

  test('every sync leaves a mark close to its end, and few in all', async () => {
    const source = gtids();
    const writer = await relay.openWriter({ markDistance: 4000 });
    source.start(writer, emptyPositionSet('gtid'));
    for (const transaction of source.repeated(6)) {
      feed(writer, [transaction]);
      await writer.sync();
      const newest = marksOf(relay, 1).at(-1)?.offset ?? headerOf(relay, 1).end;
      expect(writer.position.offset - newest).toBeLessThanOrEqual(4000 / 32);
    }
    expect(marksOf(relay, 1).length).toBeLessThanOrEqual(2 + writer.position.offset / 4000);
  });

  test('marks nothing after a sync that failed', async () => {
    const source = gtids();
    const writer = await relay.openWriter({ markDistance: DISTANCE });
    source.start(writer, emptyPositionSet('gtid'));
    feed(writer, source.repeated(4));
    closeSync(descriptorOf(relay.path(1)));
    await expect(writer.sync()).rejects.toThrow(expect.objectContaining({ code: 'DISK' }));
    expect(listRelayMarks(relay.dir)).toEqual([]);
  });

  test('writes the same relay files with marks as without, also when no mark can be written', async () => {
    const files: string[][] = [];
    for (const blocked of [null, false, true]) {
      const other = new RelayDirectory();
      if (blocked === true) for (const number of [1, 2, 3]) mkdirSync(relayMarksPath(other.path(number)));
      const source = gtids();
      const distance = blocked === null ? 2 ** 40 : DISTANCE;
      const writer = await other.openWriter({ markDistance: distance, maxFileSize: 4000 });
      source.start(writer, emptyPositionSet('gtid'));
      feed(writer, source.repeated(4));
      await writer.close();
      files.push(other.numbers().map((number) => other.bytes(number).toString('latin1')));
      await other.remove();
    }
    expect(files[1]).toEqual(files[0]);
    expect(files[2]).toEqual(files[0]);
  });

  function descriptorOf(path: string): number {
    for (let fd = 3; fd < 1000; fd++) {
      try {
        if (readlinkSync(`/proc/self/fd/${fd}`) === path) return fd;
      } catch {
        // No such descriptor.
      }
    }
    throw new Error(`${path} is not open`);
  }
});

describe('marks go with their file', () => {
  async function manyFiles() {
    const source = gtids();
    const writer = await relay.openWriter({ markDistance: 1, maxFileSize: 1500 });
    source.start(writer, emptyPositionSet('gtid'));
    feed(writer, source.repeated(4));
    await writer.sync();
    expect(listRelayMarks(relay.dir).length).toBeGreaterThan(3);
    return writer;
  }

  const orphans = () =>
    listRelayMarks(relay.dir).filter((number) => !listRelayFiles(relay.dir).includes(number));

  test('when it is purged', async () => {
    const writer = await manyFiles();
    writer.purge({ neededFrom: 3, retentionMs: 0, nowMs: Date.now() + 1000 });
    expect(listRelayMarks(relay.dir)[0]).toBe(3);
    expect(orphans()).toEqual([]);
  });

  test('when the log is emptied, also while a sync is under way', async () => {
    const writer = await manyFiles();
    gtids().start(writer, emptyPositionSet('gtid'));
    const syncing = writer.sync();
    writer.reset();
    await syncing;
    expect(relay.fileNames()).toEqual([]);
  });

  test('when the log is thrown away', async () => {
    await (await manyFiles()).close();
    writeFileSync(relayMarksPath(relayFilePath(relay.dir, 77)), 'left over');
    discardRelayLog(relay.dir);
    expect(relay.fileNames()).toEqual([]);
  });

  test('when its header is torn, when the index does not name it, and when only marks are left', async () => {
    await (await manyFiles()).close();
    const numbers = relay.numbers();
    truncateSync(relay.path(numbers.at(-1)!), 30);
    rmSync(relay.path(numbers[0]!));
    writeFileSync(relayMarksPath(relayFilePath(relay.dir, 77)), 'left over');
    await relay.openWriter();
    expect(orphans()).toEqual([]);
    writeFileSync(join(relay.dir, 'relay-bin.index'), 'relay-bin.000003\n');
    await relay.openWriter();
    expect(listRelayMarks(relay.dir)).toEqual([3]);
    expect(listRelayFiles(relay.dir)).toEqual([3]);
  });
});
