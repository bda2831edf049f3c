import { closeSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
import { locate, openLocated } from '../../../src/relay/relay-log-location.ts';
import { recoverRelayLog } from '../../../src/relay/relay-log-recovery.ts';
import { relayMarksPath, type StoredMark } from '../../../src/relay/relay-marks.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';

import { feed, marksOf } from '../../support/relay-marks.ts';

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
    marks: marksOf(relay, 1),
  };
  expect(written.marks.length).toBeGreaterThan(1);
  return written;
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
    const { file, marksFile, marks, headerEnd } = await write('mysql-9.7', 'gtid-transactions', 'gtid');
    const kept = marks.slice(0, -1);
    await recovered(file.subarray(0, marks.at(-1)!.offset - 1), marksFile);
    expect(marksOf(relay, 1).slice(0, kept.length)).toEqual(kept);
    expect(marksOf(relay, 1).at(-1)!.offset).toBeLessThanOrEqual(statSync(relay.path(1)).size);
    await recovered(file.subarray(0, headerEnd + 1), marksFile);
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
    const marks = marksOf(relay, 1);
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
