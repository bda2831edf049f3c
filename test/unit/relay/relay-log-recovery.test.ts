import { existsSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { emptyPositionSet, type PositionKind } from '../../../src/binlog/position-set.ts';
import type { RelayLogWriter } from '../../../src/relay/relay-log-writer.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { type ReadTransaction, RelayDirectory, readAll } from '../../support/relay-directory.ts';

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

interface Written {
  readonly kind: PositionKind;
  /** The last file, as it was while open. */
  readonly file: Buffer;
  readonly fileNumber: number;
  readonly headerEnd: number;
  /** Its transactions and where each ends in it. */
  readonly transactions: readonly ReadTransaction[];
  readonly ends: readonly number[];
}

/** A relay log whose writer "died": the file was never closed. */
async function write(folder: string, name: string, kind: PositionKind): Promise<Written> {
  const source = SourceFile.fixture(folder, name);
  const writer = await relay.openWriter();
  source.start(writer, emptyPositionSet(kind));
  const headerEnd = writer.position.offset;
  source.play(writer);
  const fileNumber = writer.position.fileNumber;
  const file = relay.bytes(fileNumber);
  const transactions = readAll(relay.cursor());
  let end = headerEnd;
  const ends = transactions.map((transaction) => {
    end += transaction.bytes.length;
    return end;
  });
  expect(end).toBe(file.length);
  return { kind, file, fileNumber, headerEnd, transactions, ends };
}

/** The log must hold exactly the first `count` transactions. */
async function expectRecovered(written: Written, count: number): Promise<void> {
  const { kind, fileNumber, file, headerEnd, ends, transactions } = written;
  const writer = await relay.openWriter({ bufferLength: 1024 });
  const end = count === 0 ? headerEnd : ends[count - 1]!;
  expect(writer.position).toEqual({ fileNumber, offset: end });
  const bytes = relay.bytes(fileNumber);
  expect(bytes.length).toBe(end);
  expect(bytes.equals(file.subarray(0, end))).toBe(true);
  const expected = emptyPositionSet(kind);
  if (kind === 'position') expected.add({ kind, file: writer.sourceFile!, position: 4 });
  for (const { id } of transactions.slice(0, count)) expected.add(id!);
  expect(writer.retrieved!.toString()).toBe(expected.toString());
  if (count > 0) expect(writer.sourcePosition).toBe(transactions[count - 1]!.sourceEnd);
  await writer.close();
}

const wholeAt = (written: Written, length: number): number =>
  written.ends.filter((end) => end <= length).length;

/** Thousands of recoveries in one test. */
const MANY = { timeout: 90_000 };

describe('a torn tail', MANY, () => {
  const cases: [string, string, PositionKind][] = [
    ['mysql-9.7', 'gtid-transactions', 'gtid'],
    ['mysql-9.7', 'anonymous', 'position'],
    ['mysql-9.7', 'no-checksum', 'position'],
    ['mariadb-11.8', 'transactions', 'mariadb'],
  ];

  test.each(cases)(
    '%s %s by %s: cut at any byte, the whole transactions are left',
    async (folder, name, kind) => {
      const written = await write(folder, name, kind);
      for (let length = written.headerEnd; length <= written.file.length; length++) {
        relay.overwrite(written.fileNumber, written.file.subarray(0, length));
        await expectRecovered(written, wholeAt(written, length));
      }
    },
  );

  const checked = cases.filter(([, name]) => name !== 'no-checksum');
  test.each(checked)(
    '%s %s by %s: garbage, zeros or flipped bits behind the cut are cut off',
    async (folder, name, kind) => {
      const written = await write(folder, name, kind);
      const { headerEnd, file, fileNumber } = written;
      const tail = fc.oneof(
        fc.uint8Array({ maxLength: 5000 }).map((bytes) => (_rest: Buffer) => Buffer.from(bytes)),
        fc.nat(100_000).map((length) => (_rest: Buffer) => Buffer.alloc(length)),
        fc.array(fc.nat(100_000), { minLength: 1, maxLength: 4 }).map((flips) => (rest: Buffer) => {
          const torn = Buffer.from(rest.subarray(0, rest.length - 1));
          for (const flip of flips) if (torn.length > 0) torn[(flip >> 3) % torn.length]! ^= 1 << (flip & 7);
          return torn;
        }),
      );
      await fc.assert(
        fc.asyncProperty(fc.integer({ min: headerEnd, max: file.length }), tail, async (length, makeTail) => {
          const count = wholeAt(written, length);
          const end = count === 0 ? headerEnd : written.ends[count - 1]!;
          const next = written.ends[count] ?? end;
          relay.overwrite(
            fileNumber,
            Buffer.concat([file.subarray(0, end), makeTail(file.subarray(end, next))]),
          );
          await expectRecovered(written, count);
        }),
        { numRuns: 300 },
      );
    },
  );

  test('without checksums the source leaves a CRC in its FORMAT_DESCRIPTION_EVENT that fits no more: no damage', async () => {
    const source = SourceFile.fixture('mysql-9.7', 'no-checksum');
    // What a dump that begins in the middle of a file does to it, without a new CRC.
    source.rawFde.writeUInt32LE(0, 13);
    source.rawFde[19 + 52]! ^= 0xff;
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('position'));
    source.play(writer);
    const written = readAll(relay.cursor());
    expect(written.length).toBe(source.transactions().length);
    await writer.close();
    await relay.openWriter();
    expect(relay.warnings).toEqual([]);
    expect(readAll(relay.cursor())).toEqual(written);
  });

  test('after a power cut pages are missing in any order: all before the first of them is left', async () => {
    const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
    // Nothing is synced that could get lost, so nothing is marked.
    const markDistance = 2 ** 40;
    const writer = await relay.openWriter({ markDistance });
    source.start(writer, emptyPositionSet('position'));
    const headerEnd = writer.position.offset;
    let sourceEnd = 4;
    for (let round = 0; round < 20; round++) {
      for (const { bytes, head } of source.transactions()) {
        sourceEnd += bytes.length;
        writer.append(bytes, 0, bytes.length);
        writer.endTransaction(head, sourceEnd);
      }
    }
    writer.publish();
    const file = relay.bytes(1);
    const all = readAll(relay.cursor());
    await writer.close();
    // As the crash left it: never closed.
    const property = fc.tuple(
      fc.integer({ min: headerEnd, max: file.length - 1 }),
      fc.array(fc.boolean(), { maxLength: 20 }),
    );
    await fc.assert(
      fc.asyncProperty(property, async ([synced, lost]) => {
        fc.pre(synced % 4096 < 4088);
        const left = Buffer.from(file);
        for (const [at, isLost] of lost.entries()) {
          const page = synced - (synced % 4096) + at * 4096;
          if (isLost && page < file.length)
            left.fill(0, Math.max(page, synced), Math.min(page + 4096, file.length));
        }
        const differs = left.findIndex((byte, at) => byte !== file[at]);
        const firstLost = differs < 0 ? file.length : differs;
        relay.overwrite(1, left);
        const again = await relay.openWriter({ bufferLength: 1024, markDistance });
        const { offset } = again.position;
        await again.close();
        let end = headerEnd;
        for (const { bytes } of all) {
          if (end + bytes.length > firstLost) break;
          end += bytes.length;
        }
        expect(offset).toBe(end);
      }),
      { numRuns: 100 },
    );
  });

  test('what was cut off is fetched again and follows without a gap', async () => {
    const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
    const written = await write('mysql-9.7', 'gtid-transactions', 'gtid');
    truncateSync(relay.path(1), written.file.length - 10);
    const writer = await relay.openWriter();
    expect(relay.warnings.map(({ message }) => message)).toEqual(['unfinished transaction truncated']);
    source.start(writer, writer.retrieved!);
    const last = source.transactions().at(-1)!;
    writer.append(last.bytes, 0, last.bytes.length);
    writer.endTransaction(last.head, last.sourceEnd);
    writer.publish();
    expect(readAll(relay.cursor()).map(({ bytes }) => bytes)).toEqual(
      written.transactions.map(({ bytes }) => bytes),
    );
  });

  test('a recovery that is cut off itself is taken up again', async () => {
    const written = await write('mysql-9.7', 'gtid-transactions', 'gtid');
    truncateSync(relay.path(1), written.file.length - 10);
    for (let round = 0; round < 3; round++) await expectRecovered(written, written.ends.length - 1);
  });
});

describe('corruption', MANY, () => {
  test('any flipped bit with whole transactions behind it names file and offset', async () => {
    const written = await write('mysql-9.7', 'gtid-transactions', 'gtid');
    const { headerEnd, file, fileNumber, ends } = written;
    const lastBegin = ends.at(-2)!;
    const flips = fc.tuple(fc.integer({ min: 4, max: lastBegin - 1 }), fc.nat(7));
    await fc.assert(
      fc.asyncProperty(flips, async ([at, bit]) => {
        // IN_USE itself: the file claims to have been closed, which it was then.
        if (at === 21 && bit === 0) return;
        const damaged = Buffer.from(file);
        damaged[at]! ^= 1 << bit;
        relay.overwrite(fileNumber, damaged);
        const error = await relay.openWriter().then(
          () => null,
          (thrown: unknown) =>
            thrown as { code: string; action: string; facts: { file: string; offset: number } },
        );
        expect(error).toMatchObject({
          code: 'RELAY_CORRUPT',
          action: 'resync',
          facts: { file: relay.path(1) },
        });
        expect(error!.facts.offset).toBeLessThanOrEqual(at);
        if (at >= headerEnd) expect(error!.facts.offset).toBeGreaterThanOrEqual(headerEnd);
      }),
      { numRuns: 500 },
    );
  });

  test('any flipped bit of the format description is found there', async () => {
    const { headerEnd, file, fileNumber } = await write('mysql-9.7', 'gtid-transactions', 'gtid');
    const later: string[] = [];
    for (let at = 4; at < headerEnd; at++) {
      for (let bit = 0; bit < 8; bit++) {
        if (at === 21 && bit === 0) continue;
        const damaged = Buffer.from(file);
        damaged[at]! ^= 1 << bit;
        relay.overwrite(fileNumber, damaged);
        const error: unknown = await relay.openWriter().catch((thrown: unknown) => thrown);
        const { code, facts } = error as {
          readonly code?: string;
          readonly facts?: { readonly offset?: number };
        };
        if (code !== 'RELAY_CORRUPT' || (facts?.offset ?? at + 1) > at) later.push(`${at}/${bit}`);
      }
    }
    expect(later).toEqual([]);
  });

  test('damage in a file that was closed is no torn tail', async () => {
    const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    source.play(writer);
    await writer.close();
    const bytes = relay.bytes(1);
    bytes[bytes.length - 10]! ^= 1;
    relay.overwrite(1, bytes);
    await expect(relay.openWriter()).rejects.toThrow(expect.objectContaining({ code: 'RELAY_CORRUPT' }));
  });

  test('without GTID events a later BEGIN tells corruption from a torn tail', async () => {
    const source = SourceFile.fixture('mysql-9.7', 'anonymous').withoutGtids();
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('position'));
    source.play(writer);
    const [first, second] = readAll(relay.cursor());
    const written = relay.bytes(1);
    const end =
      writer.position.offset -
      source
        .transactions()
        .slice(2)
        .reduce((sum, t) => sum + t.bytes.length, 0);
    const flip = (at: number): void => {
      const damaged = Buffer.from(written);
      damaged[at]! ^= 1;
      relay.overwrite(1, damaged);
    };
    flip(end - second!.bytes.length - 5);
    await expect(relay.openWriter()).rejects.toThrow(expect.objectContaining({ code: 'RELAY_CORRUPT' }));
    flip(written.length - 5);
    const again = await relay.openWriter();
    expect(again.sourcePosition).toBe(source.transactions().at(-2)!.sourceEnd);
    expect(readAll(relay.cursor())[0]!.bytes.equals(first!.bytes)).toBe(true);
  });
});

describe('files and index', () => {
  /** Files 1 … n with one transaction each, and an empty last one. */
  async function manyFiles(): Promise<{ writer: RelayLogWriter; count: number; retrieved: string }> {
    const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
    const writer = await relay.openWriter({ maxFileSize: 1 });
    source.start(writer, emptyPositionSet('gtid'));
    source.play(writer);
    const retrieved = writer.retrieved!.toString();
    await writer.close();
    return { writer, count: relay.numbers().length, retrieved };
  }

  test('an empty directory is an empty log', async () => {
    const writer = await relay.openWriter();
    expect([writer.retrieved, writer.kind, writer.flavour, writer.sourceFile]).toEqual([
      null,
      null,
      null,
      null,
    ]);
    expect(writer.position).toEqual({ fileNumber: 0, offset: 0 });
    await writer.sync();
    writer.abandon();
    await writer.close();
  });

  test('what recovery found is published', async () => {
    const { count } = await manyFiles();
    const writer = await relay.openWriter();
    expect(relay.published.read()).toMatchObject(writer.position);
    expect(writer.position.fileNumber).toBe(count);
  });

  test('without an index the files are the list', async () => {
    const { retrieved, count } = await manyFiles();
    unlinkSync(join(relay.dir, 'relay-bin.index'));
    const writer = await relay.openWriter();
    expect(writer.retrieved!.toString()).toBe(retrieved);
    expect(relay.numbers()).toHaveLength(count);
  });

  test('a file that is not in the index yet, or not any more, is removed', async () => {
    const { retrieved, count } = await manyFiles();
    writeFileSync(join(relay.dir, 'relay-bin.index'), relay.fileNames().slice(1).join('\n').concat('\n'));
    writeFileSync(relay.path(count + 1), 'half a header');
    writeFileSync(join(relay.dir, 'relay-bin.index.tmp'), 'half an index');
    const writer = await relay.openWriter();
    expect(writer.retrieved!.toString()).toBe(retrieved);
    expect(relay.numbers()[0]).toBe(2);
    expect(relay.fileNames()).toHaveLength(count - 1);
    SourceFile.fixture('mysql-9.7', 'gtid-transactions').start(writer, emptyPositionSet('gtid'));
    // Its number is not used a second time.
    expect(writer.position.fileNumber).toBe(count + 2);
  });

  test.each([0, 3, 50, 150])('a last file with %i bytes of its header is removed', async (length) => {
    const { retrieved, count } = await manyFiles();
    truncateSync(relay.path(count), length);
    const writer = await relay.openWriter();
    expect(writer.retrieved!.toString()).toBe(retrieved);
    expect(writer.position.fileNumber).toBe(count - 1);
    expect(existsSync(relay.path(count))).toBe(false);
    expect(relay.numbers()).toHaveLength(count - 1);
  });

  test('a missing last file is fetched again', async () => {
    const { count } = await manyFiles();
    unlinkSync(relay.path(count));
    unlinkSync(relay.path(count - 1));
    const writer = await relay.openWriter();
    expect(writer.position.fileNumber).toBe(count - 2);
    expect(readAll(relay.cursor())).toHaveLength(count - 2);
  });

  test('missing oldest files are taken for purged', async () => {
    const { count, retrieved } = await manyFiles();
    unlinkSync(relay.path(1));
    unlinkSync(relay.path(2));
    const writer = await relay.openWriter();
    expect(writer.retrieved!.toString()).toBe(retrieved);
    expect(relay.numbers()[0]).toBe(3);
    expect(readAll(relay.cursor())).toHaveLength(count - 3);
  });

  test('a hole in the middle takes everything before it along', async () => {
    const { retrieved } = await manyFiles();
    unlinkSync(relay.path(2));
    const writer = await relay.openWriter();
    expect(writer.retrieved!.toString()).toBe(retrieved);
    expect(relay.numbers()[0]).toBe(3);
    expect(relay.fileNames()[0]).toBe('relay-bin.000003');
    expect(relay.warnings[0]!.facts).toMatchObject({ missing: 'relay-bin.000002' });
  });

  test('an index that names nothing that is there keeps its highest number', async () => {
    const { count } = await manyFiles();
    for (const number of relay.numbers()) unlinkSync(relay.path(number));
    for (let round = 0; round < 2; round++) {
      const writer = await relay.openWriter();
      expect(writer.retrieved).toBeNull();
    }
    const writer = await relay.openWriter();
    SourceFile.fixture('mysql-9.7', 'gtid-transactions').start(writer, emptyPositionSet('gtid'));
    expect(writer.position.fileNumber).toBe(count + 1);
  });

  test('a closed last file goes on from before its closing ROTATE', async () => {
    const { count, retrieved } = await manyFiles();
    unlinkSync(relay.path(count));
    const writer = await relay.openWriter();
    expect(writer.retrieved!.toString()).toBe(retrieved);
    expect(relay.bytes(count - 1)[21]! & 1).toBe(1);
    const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
    source.start(writer, writer.retrieved!);
    expect(readAll(relay.cursor())).toHaveLength(source.transactions().length);
  });
});
