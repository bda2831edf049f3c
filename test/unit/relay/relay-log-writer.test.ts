import { closeSync, readdirSync, readFileSync, readlinkSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyEvent } from '../../../src/binlog/checksum.ts';
import { EventType } from '../../../src/binlog/event-header.ts';
import {
  emptyPositionSet,
  FilePositionSet,
  type PositionKind,
  parsePositionSet,
} from '../../../src/binlog/position-set.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

const gtids = (): SourceFile => SourceFile.fixture('mysql-9.7', 'gtid-transactions');
const setOf = (file: SourceFile): string => {
  const set = emptyPositionSet('gtid');
  for (const { head } of file.transactions()) set.add(head!.id!);
  return set.toString();
};

describe('what is kept', () => {
  const cases: [string, string, PositionKind][] = [
    ['mysql-9.7', 'gtid-transactions', 'gtid'],
    ['mysql-9.7', 'tagged-gtids', 'gtid'],
    ['mysql-9.7', 'compressed', 'gtid'],
    ['mysql-9.7', 'xa', 'gtid'],
    ['mysql-9.7', 'statement-format', 'gtid'],
    ['mysql-9.7', 'load-data', 'gtid'],
    ['mysql-9.7', 'anonymous', 'position'],
    ['mysql-9.7', 'no-checksum', 'position'],
    ['mysql-9.7', 'gtid-transactions', 'position'],
    ['mariadb-10.11', 'transactions', 'mariadb'],
    ['mariadb-10.11', 'compressed', 'mariadb'],
    ['mariadb-10.11', 'group-commit', 'mariadb'],
    ['mariadb-10.11', 'transactions', 'position'],
    ['mariadb-11.8', 'transactions', 'mariadb'],
    ['mariadb-11.8', 'transactions', 'position'],
    ['mariadb-11.8', 'no-checksum', 'mariadb'],
  ];
  test.each(cases)(
    '%s %s by %s: the transactions, byte for byte, and nothing else',
    async (folder, name, kind) => {
      const source = SourceFile.fixture(folder, name);
      const writer = await relay.openWriter({ maxFileSize: 1500 });
      source.start(writer, emptyPositionSet(kind));
      source.play(writer, 0, source.events.length, 3);
      const read = readAll(relay.cursor());
      const sent = source.transactions();
      expect(Buffer.concat(read.map((t) => t.bytes)).equals(Buffer.concat(sent.map((t) => t.bytes)))).toBe(
        true,
      );
      expect(read.map((t) => t.sourceEnd)).toEqual(sent.map((t) => t.sourceEnd));
      expect(read.map((t) => t.id)).toEqual(
        sent.map((t) =>
          kind === 'position' ? { kind, file: source.name, position: t.sourceEnd } : t.head!.id,
        ),
      );
      for (const { id } of read) expect(writer.retrieved!.has(id!)).toBe(true);
      expect(relay.numbers().length).toBe(writer.position.fileNumber);

      await writer.close();
      const again = await relay.openWriter();
      expect(again.retrieved!.toString()).toBe(writer.retrieved!.toString());
      expect(again.sourceFile).toBe(source.name);
      expect(again.sourcePosition).toBe(sent.at(-1)!.sourceEnd);
      expect(again.kind).toBe(kind);
      expect(again.flavour).toBe(source.fde.flavour);
    },
  );
});

describe('files', () => {
  test('a file begins with the origin of its events and ends with the name of the next one', async () => {
    const source = gtids();
    const writer = await relay.openWriter({ maxFileSize: 1000 });
    const base = parsePositionSet('gtid', '11111111-2222-3333-4444-555555555555:1-9');
    source.start(writer, base);
    source.play(writer);
    const bytes = relay.bytes(1);
    const types: number[] = [];
    let last = '';
    for (let at = 4; at < bytes.length; at += bytes.readUInt32LE(at + 9)) {
      expect(verifyEvent(bytes, at, at + bytes.readUInt32LE(at + 9))).toBe(true);
      types.push(bytes[at + 4]!);
      last = bytes.toString('latin1', at + 27, at + bytes.readUInt32LE(at + 9) - 4);
    }
    expect(types.slice(0, 3)).toEqual([
      EventType.FORMAT_DESCRIPTION_EVENT,
      EventType.PREVIOUS_GTIDS_LOG_EVENT,
      EventType.ROTATE_EVENT,
    ]);
    expect(types.at(-1)).toBe(EventType.ROTATE_EVENT);
    expect(last).toBe('relay-bin.000002');
    expect(bytes.subarray(4, 21).equals(source.rawFde.subarray(0, 17))).toBe(true);
    expect(relay.cursor().header.previous.toString()).toBe(base.toString());
  });

  test('IN_USE is set while a file is open, cleared when it is closed', async () => {
    const source = gtids();
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    source.play(writer);
    expect(relay.bytes(1)[21]! & 1).toBe(1);
    source.start(writer, emptyPositionSet('gtid'));
    expect(relay.bytes(1)[21]! & 1).toBe(0);
    expect(relay.bytes(2)[21]! & 1).toBe(1);
    await writer.close();
    expect(relay.bytes(2)[21]! & 1).toBe(0);
  });

  test('nobody else may look into the log', async () => {
    const writer = await relay.openWriter({ dir: join(relay.dir, 'new') });
    gtids().start(writer, emptyPositionSet('gtid'));
    const dir = join(relay.dir, 'new');
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
  });

  test('a file without a transaction is replaced, under a new number', async () => {
    const source = gtids();
    const writer = await relay.openWriter();
    for (let round = 1; round <= 3; round++) {
      source.start(writer, emptyPositionSet('gtid'));
      expect(relay.numbers()).toEqual([round]);
      expect(relay.fileNames()).toEqual([`relay-bin.00000${round}`]);
    }
  });

  test('a file that passes its size limit ends with the transaction that passed it', async () => {
    const source = gtids();
    const writer = await relay.openWriter({ maxFileSize: 1 });
    source.start(writer, emptyPositionSet('gtid'));
    source.play(writer);
    const count = source.transactions().length;
    expect(relay.numbers().length).toBe(count + 1);
    expect(readAll(relay.cursor()).map((t) => t.fileNumber)).toEqual(
      Array.from({ length: count }, (_, i) => i + 1),
    );
    const sizes = relay.numbers().map((number) => relay.bytes(number).length);
    expect(writer.bytes).toBe(sizes.reduce((a, b) => a + b));
  });

  test('the Previous set of a file is all that came before it, and what was asked to be left out', async () => {
    const source = gtids();
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    source.play(writer);
    const base = parsePositionSet('gtid', '11111111-2222-3333-4444-555555555555:1-9');
    source.start(writer, base);
    base.addAll(parsePositionSet('gtid', setOf(source)));
    expect(relay.cursor({ from: { fileNumber: 2, offset: 0 } }).header.previous.toString()).toBe(
      base.toString(),
    );
    expect(writer.retrieved!.toString()).toBe(base.toString());
  });

  test('in position mode the log starts from where the stream does', async () => {
    const source = SourceFile.fixture('mysql-9.7', 'anonymous');
    const writer = await relay.openWriter();
    source.start(writer, FilePositionSet.at(source.name, 4));
    expect(writer.retrieved!.toString()).toBe(`${source.name}:4`);
    source.play(writer);
    writer.startStream({
      fde: source.rawFde,
      base: writer.retrieved!,
      sourceFile: 'binlog.000008',
      sourcePosition: 4,
    });
    expect(writer.retrieved!.toString()).toBe('binlog.000008:4');
    await writer.close();
    const again = await relay.openWriter();
    expect([again.sourceFile, again.sourcePosition]).toEqual(['binlog.000008', 4]);
  });

  test('a log of another kind than the stream is not mixed with it', async () => {
    const source = gtids();
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    source.play(writer);
    expect(() => source.start(writer, FilePositionSet.at(source.name, 4))).toThrow(
      expect.objectContaining({ code: 'RELAY_CORRUPT', action: 'resync' }),
    );
  });
});

describe('transactions', () => {
  test('a transaction is seen and counted when it is published, not before', async () => {
    const source = gtids();
    const writer = await relay.openWriter({ bufferLength: 64 });
    source.start(writer, emptyPositionSet('gtid'));
    const start = writer.position;
    const cursor = relay.cursor();
    const end = source.events.findIndex((event) => event.place === 'end');
    for (const event of source.events.slice(0, end + 1)) {
      if (event.place !== 'between') writer.append(source.bytes, event.start, event.end);
      writer.publish();
      expect(writer.position).toEqual(start);
      expect(cursor.next()).toBeNull();
    }
    const { head, sourceEnd } = source.events[end]!;
    writer.endTransaction(head, sourceEnd);
    expect(writer.retrieved!.isEmpty()).toBe(true);
    expect(cursor.next()).toBeNull();
    writer.publish();
    expect(writer.retrieved!.has(head!.id!)).toBe(true);
    expect(readAll(cursor)).toHaveLength(1);
  });

  test.each([
    ['file', 32],
    ['buffer', 1024 * 1024],
  ])('an unfinished transaction leaves the %s without a trace', async (_where, bufferLength) => {
    const source = gtids();
    const writer = await relay.openWriter({ bufferLength });
    source.start(writer, emptyPositionSet('gtid'));
    const inside = source.events.findLastIndex((event) => event.place === 'inside');
    const begin = source.events.findLastIndex((event, at) => event.place === 'begin' && at < inside);
    source.play(writer, 0, begin);
    const whole = writer.position;
    source.play(writer, begin, inside + 1);
    writer.abandon();
    expect(writer.position).toEqual(whole);
    expect(relay.bytes(1).length).toBe(whole.offset);
    source.play(writer, begin);
    expect(writer.retrieved!.toString()).toBe(setOf(source));
    expect(readAll(relay.cursor()).map((t) => t.bytes)).toEqual(source.transactions().map((t) => t.bytes));
  });

  test('events that come in pieces, and are longer than the buffer, are stored as they are', async () => {
    const source = gtids();
    const writer = await relay.openWriter({ bufferLength: 50 });
    source.start(writer, emptyPositionSet('gtid'));
    for (const event of source.events) {
      if (event.place === 'between') continue;
      for (let at = event.start; at < event.end; at += 7) {
        writer.appendPart(source.bytes, at, Math.min(at + 7, event.end));
      }
      if (event.place === 'end' || event.place === 'single')
        writer.endTransaction(event.head, event.sourceEnd);
    }
    writer.publish();
    expect(readAll(relay.cursor()).map((t) => t.bytes)).toEqual(source.transactions().map((t) => t.bytes));
  });

  test('a transaction that the log has already is refused, those before it are kept', async () => {
    const source = SourceFile.fixture('mariadb-10.11', 'transactions');
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('mariadb'));
    const [first, second] = source.transactions();
    for (const { bytes, head, sourceEnd } of [first!, second!, first!]) {
      writer.append(bytes, 0, bytes.length);
      writer.endTransaction(head, sourceEnd);
    }
    expect(() => writer.publish()).toThrow(expect.objectContaining({ code: 'UNEXPECTED_EVENT' }));
    expect(readAll(relay.cursor())).toHaveLength(2);
    expect(writer.streaming).toBe(false);
    expect(relay.bytes(1).length).toBe(writer.position.offset);
  });

  test('an anonymous transaction does not get into a log of GTIDs', async () => {
    const source = SourceFile.fixture('mysql-9.7', 'anonymous');
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    expect(() => source.play(writer)).toThrow(expect.objectContaining({ code: 'UNEXPECTED_EVENT' }));
    expect(readAll(relay.cursor())).toHaveLength(0);
  });
});

describe('the disk', () => {
  /** The descriptor that this process has on a file. */
  function descriptorOf(path: string): number {
    for (const name of readdirSync('/proc/self/fd')) {
      try {
        if (readlinkSync(`/proc/self/fd/${name}`) === path) return Number(name);
      } catch {
        // The descriptor of the listing itself is gone by now.
      }
    }
    throw new Error(`${path} is not open`);
  }

  test('what is published is durable after a sync, also beside new transactions and a new file', async () => {
    const source = gtids();
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    const half = source.events.findIndex((event) => event.place === 'end') + 1;
    source.play(writer, 0, half);
    const wanted = writer.position;
    const syncs = [writer.sync(), writer.sync()];
    source.play(writer, half);
    syncs.push(writer.sync());
    source.start(writer, emptyPositionSet('gtid'));
    await Promise.all(syncs);
    expect(writer.durable.fileNumber).toBeGreaterThan(wanted.fileNumber);
    await writer.sync();
    expect(writer.durable).toEqual(writer.position);
  });

  test('after a failed sync the writer is dead, and opening it again recovers what is there', async () => {
    const source = gtids();
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    source.play(writer);
    closeSync(descriptorOf(relay.path(1)));
    const failure = expect.objectContaining({ code: 'DISK', action: 'stop' });
    await expect(writer.sync()).rejects.toThrow(failure);
    expect(() => source.start(writer, emptyPositionSet('gtid'))).toThrow(failure);
    expect(() => writer.append(source.bytes, 0, 19)).toThrow(failure);
    await expect(writer.sync()).rejects.toThrow(failure);
    const again = await relay.openWriter();
    expect(again.retrieved!.toString()).toBe(setOf(source));
  });

  test('a closed writer takes nothing more', async () => {
    const source = gtids();
    const writer = await relay.openWriter();
    source.start(writer, emptyPositionSet('gtid'));
    await writer.close();
    await writer.close();
    expect(() => source.start(writer, emptyPositionSet('gtid'))).toThrow(/closed/);
  });
});

describe('purge and reset', () => {
  const day = 86_400_000;

  async function manyFiles() {
    const source = gtids();
    const writer = await relay.openWriter({ maxFileSize: 1 });
    source.start(writer, emptyPositionSet('gtid'));
    source.play(writer);
    const nowMs = 10 * day;
    for (const number of relay.numbers()) utimesSync(relay.path(number), 5, 5 * (day / 1000));
    return { writer, nowMs, count: relay.numbers().length };
  }

  test('files go from the oldest on, up to the first that is needed', async () => {
    const { writer, nowMs, count } = await manyFiles();
    expect(writer.purge({ neededFrom: 4, retentionMs: day, nowMs })).toEqual([1, 2, 3]);
    expect(relay.numbers()[0]).toBe(4);
    expect(relay.fileNames()).toHaveLength(count - 3);
    const sizes = relay.numbers().map((number) => relay.bytes(number).length);
    expect(writer.bytes).toBe(sizes.reduce((a, b) => a + b));
    expect(writer.purge({ neededFrom: 4, retentionMs: day, nowMs })).toEqual([]);
  });

  test('a file that is younger than the retention stays, and all after it', async () => {
    const { writer, nowMs } = await manyFiles();
    utimesSync(relay.path(2), 5, 9.5 * (day / 1000));
    expect(writer.purge({ neededFrom: 4, retentionMs: day, nowMs })).toEqual([1]);
  });

  test('the current file always stays', async () => {
    const { writer, nowMs, count } = await manyFiles();
    expect(writer.purge({ neededFrom: 1e9, retentionMs: 0, nowMs })).toHaveLength(count - 1);
    expect(relay.numbers()).toEqual([count]);
    expect(readFileSync(join(relay.dir, 'relay-bin.index'), 'utf8')).toBe(
      relay.path(count).slice(-16).concat('\n'),
    );
  });

  test('after a reset the log is empty and goes on with new numbers, also after a restart', async () => {
    const { writer, count } = await manyFiles();
    const cursor = relay.cursor();
    writer.reset();
    expect(relay.fileNames()).toEqual([]);
    expect([writer.retrieved, writer.position, writer.bytes]).toEqual([
      null,
      { fileNumber: 0, offset: 0 },
      0,
    ]);
    expect(() => readAll(cursor)).toThrow(
      expect.objectContaining({ code: 'RELAY_CORRUPT', action: 'retry' }),
    );
    await writer.sync();
    await writer.close();

    const again = await relay.openWriter();
    expect(again.retrieved).toBeNull();
    const source = gtids();
    source.start(again, emptyPositionSet('gtid'));
    expect(again.position.fileNumber).toBe(count + 1);
    source.play(again);
    expect(readAll(relay.cursor())).toHaveLength(source.transactions().length);
  });
});
