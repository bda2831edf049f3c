/**
 * A disk that is really full: the kernel refuses the writes. The size of a file is limited from outside (EFBIG after a short
 * write, as on a full disk), and /dev/full stands in for a new file (ENOSPC).
 */
import { execFileSync } from 'node:child_process';
import { symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { emptyPositionSet } from '../../../src/binlog/position-set.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(async () => {
  limitFileSize('unlimited');
  await relay.remove();
});

const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
const sent = source.transactions();
/** Every test opens the log dozens of times. */
vi.setConfig({ testTimeout: 90_000 });

const full = expect.objectContaining({ code: 'DISK_FULL', action: 'retry' });

/** The soft limit of this process, in bytes. */
function limitFileSize(bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`]);
}

/** Everything after what the log has. */
function fetchRest(writer: Awaited<ReturnType<RelayDirectory['openWriter']>>): void {
  source.start(writer, writer.retrieved!);
  for (const { bytes, head, sourceEnd } of sent) {
    if (writer.retrieved!.has(head!.id!)) continue;
    writer.append(bytes, 0, bytes.length);
    writer.endTransaction(head, sourceEnd);
  }
  writer.publish();
}

test.each([64, 1000, 1024 * 1024])(
  'wherever the disk is full, whole transactions are left and the rest follows (buffer %i)',
  async (bufferLength) => {
    for (let limit = 200; limit < source.bytes.length; limit += 97) {
      limitFileSize('unlimited');
      const writer = await relay.openWriter({ bufferLength });
      writer.reset();
      source.start(writer, emptyPositionSet('gtid'));
      const { fileNumber, offset } = writer.position;
      const cursor = relay.cursor();
      if (limit <= offset) continue;
      limitFileSize(limit);
      expect(() => source.play(writer, 0, source.events.length, 1)).toThrow(full);
      expect(writer.streaming).toBe(false);
      expect(() => writer.append(source.bytes, 0, 19)).toThrow();

      const size = relay.bytes(fileNumber).length;
      expect(size).toBeLessThanOrEqual(limit);
      expect(writer.position).toEqual({ fileNumber, offset: size });
      const read = readAll(cursor);
      for (const { head } of sent.slice(0, read.length)) expect(writer.retrieved!.has(head!.id!)).toBe(true);
      for (const { head } of sent.slice(read.length)) expect(writer.retrieved!.has(head!.id!)).toBe(false);

      limitFileSize('unlimited');
      fetchRest(writer);
      read.push(...readAll(cursor));
      expect(read.map(({ bytes }) => bytes)).toEqual(sent.map(({ bytes }) => bytes));
      await writer.sync();
      await writer.close();
      const again = await relay.openWriter();
      expect(again.retrieved!.toString()).toBe(writer.retrieved!.toString());
      await again.close();
      cursor.close();
    }
  },
);

test('no room for a new file: the stream begins when there is room again', async () => {
  const writer = await relay.openWriter();
  symlinkSync('/dev/full', relay.path(1));
  expect(() => source.start(writer, emptyPositionSet('gtid'))).toThrow(full);
  expect(relay.fileNames()).toEqual([]);
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);

  for (let round = 0; round < 3; round++) {
    symlinkSync('/dev/full', relay.path(2));
    expect(() => source.start(writer, writer.retrieved!)).toThrow(full);
    expect(relay.fileNames()).toEqual(['relay-bin.000001']);
    expect(readAll(relay.cursor())).toHaveLength(sent.length);
  }
  source.start(writer, writer.retrieved!);
  expect(relay.numbers()).toEqual([1, 2]);
});

test('no room for the closing ROTATE: the file goes on as it was', async () => {
  const writer = await relay.openWriter();
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
  const { offset } = writer.position;
  limitFileSize(offset + 10);
  expect(() => source.start(writer, writer.retrieved!)).toThrow(full);
  expect(relay.bytes(1).length).toBe(offset);
  expect(relay.bytes(1)[21]! & 1).toBe(1);
  limitFileSize('unlimited');
  source.start(writer, writer.retrieved!);
  expect(relay.numbers()).toEqual([1, 2]);
  expect(relay.bytes(1)[21]! & 1).toBe(0);
});

test('no room for a new index: purging frees the room first', async () => {
  const writer = await relay.openWriter({ maxFileSize: 1 });
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
  const before = relay.numbers();
  symlinkSync('/dev/full', join(relay.dir, 'relay-bin.index.tmp'));
  // The first attempt takes the link away with its temporary file; the second one fits, as it does with the room gained.
  expect(writer.purge({ neededFrom: 3, retentionMs: 0, nowMs: Date.now() + 1000 })).toEqual([1, 2]);
  expect(relay.numbers()).toEqual(before.slice(2));
  expect(relay.fileNames()).toHaveLength(before.length - 2);
  expect(writer.streaming).toBe(true);
});

test('a full disk at recovery cuts the tail all the same', async () => {
  const writer = await relay.openWriter();
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
  const whole = relay.bytes(1).subarray(0, writer.position.offset - 10);
  relay.overwrite(1, whole);
  unlinkSync(join(relay.dir, 'relay-bin.index'));
  symlinkSync('/dev/full', join(relay.dir, 'relay-bin.index.tmp'));
  await expect(relay.openWriter()).rejects.toThrow(full);
  const again = await relay.openWriter();
  expect(readAll(relay.cursor())).toHaveLength(sent.length - 1);
  expect(again.position.offset).toBeLessThan(whole.length);
});
