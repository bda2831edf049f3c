import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';

import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Assembled, TransactionAssembler } from '../../../src/applier/transaction-assembler.ts';
import { MillraceError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/runtime.ts';
import {
  emptyPositionSet,
  type PositionKind,
  type PositionSet,
  type TransactionId,
} from '../../../src/binlog/position-set.ts';
import { readRelayFileHeader } from '../../../src/relay/relay-file-header.ts';
import { discardRelayLog } from '../../../src/relay/relay-log-discard.ts';
import { listRelayFiles, listRelayMarks, relayFilePath } from '../../../src/relay/relay-log-index.ts';
import { locate, openLocated } from '../../../src/relay/relay-log-location.ts';
import { recoverRelayLog } from '../../../src/relay/relay-log-recovery.ts';
import type { RelayLogWriter } from '../../../src/relay/relay-log-writer.ts';
import { readRelayMarks, relayMarksPath, type StoredMark } from '../../../src/relay/relay-marks.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

/** So that the files of the fixtures, some KiB, have many. */
const DISTANCE = 300;
/** As far back from a mark the bytes of the relay file are held against it. */
const TAIL = 4096;
const MANY = { timeout: 90_000 };

const cases: [string, string, PositionKind][] = [
  ['mysql-9.7', 'gtid-transactions', 'gtid'],
  ['mysql-9.7', 'tagged-gtids', 'gtid'],
  ['mysql-9.7', 'gtid-transactions', 'position'],
  ['mysql-9.7', 'anonymous', 'position'],
  ['mysql-9.7', 'no-checksum', 'position'],
  ['mysql-9.7', 'before GTIDs', 'position'],
  ['mariadb-11.8', 'transactions', 'mariadb'],
  ['mariadb-11.8', 'no-checksum', 'mariadb'],
];

function fixture(folder: string, name: string): SourceFile {
  if (name === 'before GTIDs') return SourceFile.fixture(folder, 'anonymous').withoutGtids();
  return SourceFile.fixture(folder, name);
}

/** The number in a tagged GTID is not easily changed. */
const ROUNDS: Readonly<Record<string, number>> = { 'tagged-gtids': 1, 'no-checksum': 12, 'before GTIDs': 8 };

type Fed = ReturnType<SourceFile['repeated']>;

function feed(writer: RelayLogWriter, transactions: Fed): void {
  for (const { bytes, head, sourceEnd } of transactions) {
    writer.append(bytes, 0, bytes.length);
    writer.endTransaction(head, sourceEnd);
  }
  writer.publish();
}

const gtids = (): SourceFile => SourceFile.fixture('mysql-9.7', 'gtid-transactions');

interface Written {
  readonly file: Buffer;
  readonly marksFile: Buffer;
  readonly headerEnd: number;
  readonly marks: readonly StoredMark[];
}

/** File 1 and its marks as a kill left them, all of it durable: some times as long as the fixture. */
async function write(folder: string, name: string, kind: PositionKind): Promise<Written> {
  const source = fixture(folder, name);
  const writer = await relay.openWriter({ markDistance: DISTANCE });
  source.start(writer, emptyPositionSet(kind));
  const headerEnd = writer.position.offset;
  feed(writer, source.repeated(ROUNDS[name] ?? 4));
  await writer.sync();
  const written = {
    file: relay.bytes(1),
    marksFile: readFileSync(relayMarksPath(relay.path(1))),
    headerEnd,
    marks: marksOf(1),
  };
  expect(written.marks.length).toBeGreaterThan(1);
  return written;
}

function marksOf(fileNumber: number): StoredMark[] {
  const path = relay.path(fileNumber);
  const fd = openSync(path, 'r');
  try {
    return readRelayMarks(fd, path, readRelayFileHeader(fd, path));
  } finally {
    closeSync(fd);
  }
}

/** What recovery makes of file 1 with these marks: everything it tells, the file's bytes, or how it fails. */
async function recovered(file: Buffer, marks: Buffer | null, distance = DISTANCE): Promise<unknown> {
  relay.overwrite(1, file);
  rmSync(relayMarksPath(relay.path(1)), { force: true, recursive: true });
  if (marks !== null) writeFileSync(relayMarksPath(relay.path(1)), marks);
  try {
    const { last, retrieved, numbers } = await recoverRelayLog(relay.dir, silentLogger, distance);
    closeSync(last!.fd);
    const { end, transactions, sourceEnd } = last!;
    const bytes = relay.bytes(1).toString('latin1');
    return { numbers, end, transactions, sourceEnd, retrieved: retrieved!.toString(), bytes };
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return [error.code, error.message, error.action];
  }
}

function flip(file: Buffer, at: number): void {
  file[at >> 3]! ^= 1 << (at & 7);
}

function zeros(bytes: Buffer, from: number, to: number): Buffer {
  const end = Math.min(to, bytes.length);
  return from < end ? bytes.fill(0, from, end) : bytes;
}

describe('recovery', MANY, () => {
  test.each(cases)('%s %s by %s: cut anywhere, it finds the same as without marks', async (...which) => {
    const { file, headerEnd, marksFile } = await write(...which);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: headerEnd, max: file.length }), async (length) => {
        const cut = file.subarray(0, length);
        expect(await recovered(cut, marksFile)).toEqual(await recovered(cut, null));
      }),
      { numRuns: 60 },
    );
  });

  test.each(cases)(
    '%s %s by %s: damaged behind a mark or close before it, it says the same as without',
    async (...which) => {
      const { file, headerEnd, marks, marksFile } = await write(...which);
      const flips = fc.array(fc.nat(8 * file.length - 1), { minLength: 1, maxLength: 3 });
      const hole = fc.option(fc.tuple(fc.nat(file.length - 1), fc.nat(5000)), { nil: null });
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: headerEnd, max: file.length }),
          flips,
          hole,
          fc.boolean(),
          async (length, bits, zero, closed) => {
            const damaged = Buffer.from(file.subarray(0, length));
            const newest = marks.findLast((mark) => mark.offset <= length)?.offset ?? headerEnd;
            const from = Math.max(headerEnd, newest - TAIL);
            for (const bit of bits) if (bit >> 3 < length && bit >> 3 >= from) flip(damaged, bit);
            if (zero !== null) zeros(damaged, Math.max(from, zero[0]), zero[0] + zero[1]);
            // The flag IN_USE.
            if (closed) damaged[21]! &= ~1;
            expect(await recovered(damaged, marksFile)).toEqual(await recovered(damaged, null));
          },
        ),
        { numRuns: 120 },
      );
    },
  );

  test('it reads from the newest mark on: what is damaged far before it is left to the cursor', async () => {
    const { file, headerEnd, marks, marksFile } = await write('mysql-9.7', 'gtid-transactions', 'position');
    const newest = marks.at(-1)!.offset;
    expect(newest - TAIL).toBeGreaterThan(headerEnd + 100);
    const damaged = Buffer.from(file);
    flip(damaged, 8 * (headerEnd + 60));
    expect(await recovered(damaged, null)).toMatchObject(['RELAY_CORRUPT', {}, 'resync']);
    expect(await recovered(damaged, marksFile)).toMatchObject({ end: file.length });
    expect(() => readAll(relay.cursor({ published: null }))).toThrow(
      expect.objectContaining({ code: 'RELAY_CORRUPT', action: 'resync' }),
    );
  });

  test.each(cases)(
    '%s %s by %s: no file of marks, whatever is in it, changes what it finds',
    async (...which) => {
      const { file, marksFile, headerEnd } = await write(...which);
      const plain = await recovered(file, null);
      const foreign = await otherMarks(headerEnd);
      const spoilt = fc.oneof(
        fc.nat(marksFile.length).map((length) => marksFile.subarray(0, length)),
        fc.array(fc.nat(8 * marksFile.length - 1), { minLength: 1, maxLength: 4 }).map((bits) => {
          const bytes = Buffer.from(marksFile);
          for (const bit of bits) flip(bytes, bit);
          return bytes;
        }),
        fc.tuple(fc.nat(marksFile.length), fc.nat(marksFile.length)).map(([from, to]) => {
          return Buffer.concat([
            marksFile.subarray(0, Math.max(from, to)),
            marksFile.subarray(Math.min(from, to)),
          ]);
        }),
        fc.tuple(fc.nat(marksFile.length), fc.nat(400)).map(([at, length]) => {
          return Buffer.concat([marksFile.subarray(0, at), marksFile.subarray(at + length)]);
        }),
        fc.tuple(fc.nat(marksFile.length), fc.uint8Array({ maxLength: 300 })).map(([at, garbage]) => {
          return Buffer.concat([marksFile.subarray(0, at), garbage]);
        }),
        fc
          .nat(marksFile.length)
          .map((at) => Buffer.concat([marksFile.subarray(0, at), foreign.subarray(at)])),
        fc.nat(marksFile.length).map((at) => zeros(Buffer.from(marksFile), at, at + 4096)),
      );
      await fc.assert(
        fc.asyncProperty(spoilt, async (marks) => {
          expect(await recovered(file, marks)).toEqual(plain);
        }),
        { numRuns: 150 },
      );
    },
  );

  /** Of a relay file with a header as long, and other transactions. */
  async function otherMarks(headerEnd: number): Promise<Buffer> {
    const other = new RelayDirectory();
    try {
      const source = SourceFile.fixture('mysql-9.7', 'xa');
      const writer = await other.openWriter({ markDistance: DISTANCE });
      const base = emptyPositionSet('gtid');
      writer.startStream({ fde: source.rawFde, base, sourceFile: 'a.1', sourcePosition: 4 });
      source.play(writer);
      await writer.sync();
      const marks = readFileSync(relayMarksPath(other.path(1)));
      marks.writeBigUInt64LE(BigInt(headerEnd), 8);
      return marks;
    } finally {
      await other.remove();
    }
  }

  test('a file without marks gets them, and those it has are gone on with', async () => {
    const { file, marksFile, marks } = await write('mysql-9.7', 'gtid-transactions', 'gtid');
    await recovered(file, null);
    expect(readFileSync(relayMarksPath(relay.path(1))).equals(marksFile)).toBe(true);
    await recovered(file, marksFile.subarray(0, marks[0]!.recordEnd + 7));
    expect(readFileSync(relayMarksPath(relay.path(1))).equals(marksFile)).toBe(true);
  });

  test('marks of what was cut off go with it', async () => {
    const { file, marksFile, marks } = await write('mysql-9.7', 'gtid-transactions', 'gtid');
    const kept = marks.at(-2)!;
    await recovered(file.subarray(0, marks.at(-1)!.offset - 1), marksFile);
    expect(marksOf(1)).toEqual(marks.slice(0, -1));
    expect(statSync(relayMarksPath(relay.path(1))).size).toBe(kept.recordEnd);
    await recovered(file.subarray(0, marks[0]!.offset - 1), marksFile);
    expect(existsSync(relayMarksPath(relay.path(1)))).toBe(false);
  });

  test('a file of marks that no one can read or replace is as good as none', async () => {
    const { file } = await write('mysql-9.7', 'gtid-transactions', 'gtid');
    const plain = await recovered(file, null);
    rmSync(relayMarksPath(relay.path(1)));
    mkdirSync(relayMarksPath(relay.path(1)));
    const { last } = await recoverRelayLog(relay.dir, silentLogger, DISTANCE);
    closeSync(last!.fd);
    expect(last).toMatchObject({ end: (plain as { end: number }).end });
    const executed = emptyPositionSet('gtid');
    expect(locate(relay.dir, executed)).toMatchObject({ sourceEnd: null });
  });
});

describe('where a target goes on', MANY, () => {
  function assembled(executed: PositionSet): Assembled[] {
    const cursor = openLocated(relay.dir, executed, relay.published)!;
    try {
      const assembler = new TransactionAssembler(cursor, {
        set: executed,
        above: new Set(),
        settled: new Set(),
      });
      const all: Assembled[] = [];
      for (let next = assembler.next(); next.is !== 'end'; next = assembler.next()) {
        if (next.is === 'transaction') all.push(next);
      }
      return all;
    } finally {
      cursor.close();
    }
  }

  test.each(cases)('%s %s by %s: it gets the same as without marks', async (...which) => {
    const { file, marks, marksFile, headerEnd } = await write(...which);
    const kind = which[2];
    const all = readAll(relay.cursor());
    const some = fc.array(fc.boolean(), { minLength: all.length, maxLength: all.length });
    const upTo = fc.nat(all.length).map((count) => all.map((_, at) => at < count));
    let withMark = 0;
    await fc.assert(
      fc.property(fc.oneof(some, upTo, fc.tuple(upTo, some).map(union)), (chosen) => {
        const executed = emptyPositionSet(kind);
        if (kind === 'position') executed.add({ kind, file: 'binlog.000007', position: 4 });
        for (const [at, { id }] of all.entries()) if (chosen[at]) executed.add(id as TransactionId);
        writeFileSync(relayMarksPath(relay.path(1)), marksFile);
        const place = locate(relay.dir, executed)!;
        const marked = assembled(executed);
        rmSync(relayMarksPath(relay.path(1)));
        expect(marked).toEqual(assembled(executed));
        // And nothing that lies before the place is lacking, nor is there a newer mark that would do.
        let end = headerEnd;
        const missing = all.findIndex(({ id, bytes }) => {
          const has = executed.has(id as TransactionId);
          if (has) end += bytes.length;
          return !has;
        });
        const border = missing < 0 ? file.length : end;
        const expected = marks.findLast(({ offset }) => offset <= border);
        expect(place.offset).toBe(expected?.offset ?? headerEnd);
        expect(place.sourceEnd).toBe(expected?.sourceEnd ?? null);
        if (expected !== undefined) withMark++;
      }),
      { numRuns: 40 },
    );
    expect(withMark).toBeGreaterThan(10);
  });

  function union([a, b]: [boolean[], boolean[]]): boolean[] {
    return a.map((each, at) => each || b[at]!);
  }

  test('also by the marks of an older file, and never behind what is published', async () => {
    const source = gtids();
    const writer = await relay.openWriter({ markDistance: DISTANCE, maxFileSize: 4000 });
    source.start(writer, emptyPositionSet('gtid'));
    feed(writer, source.repeated(4));
    expect(relay.numbers().length).toBeGreaterThan(1);
    const executed = emptyPositionSet('gtid');
    const marks = marksOf(1);
    for (const { id, fileNumber } of readAll(relay.cursor())) {
      if (fileNumber === 1 && !marks.at(-1)!.delta.has(id as TransactionId))
        executed.add(id as TransactionId);
    }
    for (const { delta } of marks) executed.addAll(delta);
    expect(locate(relay.dir, executed)!.fileNumber).toBe(2);
    const oneShort = emptyPositionSet('gtid');
    for (const { delta } of marks.slice(0, -1)) oneShort.addAll(delta);
    const place = { fileNumber: 1, offset: marks.at(-2)!.offset };
    expect(locate(relay.dir, oneShort, relay.published)).toMatchObject(place);
    relay.published.publish(1, place.offset - 1);
    expect(locate(relay.dir, oneShort, relay.published)).toMatchObject({ offset: marks.at(-3)!.offset });
  });
});

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
    const durable = marksOf(1);
    expect(durable.length).toBeGreaterThan(1);
    expect(durable.at(-1)!.offset).toBeLessThanOrEqual(atSync);
    expect(writer.position.offset - durable.at(-1)!.offset).toBeGreaterThan(2 * DISTANCE);
    const end = writer.position.offset;
    source.start(writer, emptyPositionSet('gtid'));
    expect(end - marksOf(1).at(-1)!.offset).toBeLessThan(2 * DISTANCE + 1000);
    expect(statSync(relayMarksPath(relay.path(1))).mode & 0o777).toBe(0o600);
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
