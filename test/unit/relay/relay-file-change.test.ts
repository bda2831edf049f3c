/**
 * The relay log changes files while the disk takes its time, is full, or fails.
 */
import { cpSync, readdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { emptyPositionSet } from '../../../src/binlog/position-set.ts';
import type { RelayLogWriter } from '../../../src/relay/relay-log-writer.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { heldDisk } from '../../support/held-disk.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';

vi.mock('node:fs', async (original) => {
  const { withHeldDisk } = await import('../../support/held-disk.ts');
  return withHeldDisk(original);
});

const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
const sent = source.repeated(2);
const half = sent.length / 2;

let relay: RelayDirectory;
let writer: RelayLogWriter;
beforeEach(async () => {
  relay = new RelayDirectory();
  writer = await relay.openWriter();
  source.start(writer, emptyPositionSet('gtid'));
  append(0, half);
});
afterEach(async () => {
  heldDisk.release();
  await relay.remove();
});

function append(from: number, to: number): void {
  for (const { bytes, head, sourceEnd } of sent.slice(from, to)) {
    writer.append(bytes, 0, bytes.length);
    writer.endTransaction(head, sourceEnd);
  }
  writer.publish();
}

/** What the source does at the end of its file. */
function changeFiles(): void {
  const base = emptyPositionSet('gtid');
  writer.startStream({ fde: source.rawFde, base, sourceFile: 'binlog.000008', sourcePosition: 4 });
}

/** Fetches what the log lacks, and expects it to hold everything then. */
function expectTheRestFollows(): void {
  source.start(writer, emptyPositionSet('gtid'));
  for (const [at, { head }] of sent.entries()) if (!writer.retrieved!.has(head!.id!)) append(at, at + 1);
  expectHolds(sent.length);
}

function expectHolds(transactions: number): void {
  const cursor = relay.cursor();
  const read = readAll(cursor);
  cursor.close();
  expect(read.map(({ bytes }) => bytes)).toEqual(sent.slice(0, transactions).map(({ bytes }) => bytes));
  for (const [at, { head }] of sent.entries()) {
    expect(writer.retrieved!.has(head!.id!)).toBe(at < transactions);
  }
}

/** The files of the log that this process has open. */
function openFiles(): string[] {
  const links = readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      return [readlinkSync(`/proc/self/fd/${name}`)];
    } catch {
      return [];
    }
  });
  return links.filter((path) => path.startsWith(relay.dir)).map((path) => path.slice(-6));
}

const failure = expect.objectContaining({ code: 'DISK', action: 'stop' });
const full = expect.objectContaining({ code: 'DISK_FULL', action: 'retry' });

test('while the finished file is synced the stream goes on, and nobody sees the next file', async () => {
  const before = writer.position;
  heldDisk.hold();
  changeFiles();
  append(half, sent.length);
  expect(writer.position).toEqual(before);
  expect([writer.sourceFile, writer.sourcePosition]).toEqual(['binlog.000007', sent[half - 1]!.sourceEnd]);
  expect(writer.fileName).toBe('relay-bin.000001');
  expect(writer.heldBack).toBe(sent.length - half);
  expect(writer.settled).toBe(false);
  expect(relay.numbers()).toEqual([1]);
  expect(relay.bytes(1)[21]! & 1).toBe(1);
  expectHolds(half);

  heldDisk.release();
  await vi.waitUntil(() => relay.numbers().length === 2);
  expect(relay.bytes(1)[21]! & 1).toBe(0);
  append(0, 0);
  expect([writer.heldBack, writer.settled]).toEqual([0, true]);
  expect([writer.sourceFile, writer.fileName]).toEqual(['binlog.000008', 'relay-bin.000002']);
  expectHolds(sent.length);
  expect(openFiles()).toEqual(['000002']);
});

test('a sync does not end before the finished file is durable, and covers what came meanwhile', async () => {
  heldDisk.hold();
  changeFiles();
  append(half, sent.length);
  let done = false;
  const sync = writer.sync().then(() => {
    done = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([done, writer.durable.fileNumber]).toEqual([false, 1]);
  heldDisk.release();
  await sync;
  expectHolds(sent.length);
  expect(writer.durable).toEqual(writer.position);
  expect(writer.position.fileNumber).toBe(2);
});

test('a kill in between leaves the finished file as the last one, and what came after it is fetched again', async () => {
  heldDisk.hold();
  changeFiles();
  append(half, sent.length);
  const killed = new RelayDirectory();
  cpSync(relay.dir, killed.dir, { recursive: true });
  heldDisk.release();
  await relay.remove();

  relay = killed;
  writer = await relay.openWriter();
  expect(relay.fileNames().filter((name) => !name.endsWith('.marks'))).toEqual(['relay-bin.000001']);
  expectHolds(half);
  expectTheRestFollows();
});

test('a sync that fails beside the stream ends it: the index does not name the next file', async () => {
  heldDisk.hold();
  changeFiles();
  append(half, sent.length);
  const sync = expect(writer.sync()).rejects.toThrow(failure);
  heldDisk.fail();
  await sync;
  expect(writer.settled).toBe(false);
  expect(() => writer.append(source.bytes, 0, 19)).toThrow(failure);
  expect(() => writer.abandon()).toThrow(failure);
  await expect(writer.sync()).rejects.toThrow(failure);
  expect(relay.numbers()).toEqual([1]);
  expectHolds(half);
  await writer.close();
  await vi.waitUntil(() => openFiles().length === 0);
  heldDisk.release();
  writer = await relay.openWriter();
  expectHolds(half);
  expectTheRestFollows();
});

test('a failure that only the sync beside the stream is told of is heard after the thread has waited by itself', async () => {
  heldDisk.hold();
  changeFiles();
  append(half, half + 1);
  changeFiles();
  expect(relay.numbers()).toEqual([1, 2]);
  heldDisk.fail();
  await expect(writer.sync()).rejects.toThrow(failure);
  expect(() => writer.append(source.bytes, 0, 19)).toThrow(failure);
  expect(relay.numbers()).toEqual([1, 2]);
});

test('no room in the index for the next file: it goes, and the stream begins again when there is', async () => {
  heldDisk.hold();
  changeFiles();
  append(half, sent.length);
  symlinkSync('/dev/full', join(relay.dir, 'relay-bin.index.tmp'));
  const sync = expect(writer.sync()).rejects.toThrow(full);
  heldDisk.release();
  await sync;
  expect([writer.streaming, writer.settled, writer.heldBack]).toEqual([false, false, 0]);
  expect(() => writer.append(source.bytes, 0, 19)).toThrow(full);
  await expect(writer.sync()).rejects.toThrow(full);
  expect(relay.fileNames().filter((name) => !name.endsWith('.marks'))).toEqual(['relay-bin.000001']);
  expectHolds(half);
  writer.abandon();
  expect(writer.settled).toBe(true);
  expectTheRestFollows();
  expect(relay.numbers()).toEqual([1, 2]);
});

test('what ends the stream drops the next file with it, the finished one goes on', async () => {
  heldDisk.hold();
  changeFiles();
  append(half, half + 2);
  const [again] = sent;
  writer.append(again!.bytes, 0, again!.bytes.length);
  expect(() => writer.endTransaction(null, again!.sourceEnd)).toThrow(
    expect.objectContaining({ code: 'UNEXPECTED_EVENT' }),
  );
  expect(relay.fileNames()).not.toContain('relay-bin.000002');
  expect(relay.bytes(1).length).toBe(writer.position.offset);
  heldDisk.release();
  await writer.sync();
  expectHolds(half);
  expectTheRestFollows();
});

test.each([
  ['the end of the stream', () => writer.abandon()],
  ['a purge', () => writer.purge({ neededFrom: 0, retentionMs: 0, nowMs: 0 })],
  ['a second change', () => changeFiles()],
])('%s does not leave anything unpublished', async (_what, act) => {
  heldDisk.hold();
  changeFiles();
  append(half, sent.length);
  act();
  append(0, 0);
  expect(relay.numbers()).toEqual([1, 2]);
  expectHolds(sent.length);
  heldDisk.release();
  await writer.sync();
  expectHolds(sent.length);
  await writer.close();
  expect(openFiles()).toEqual([]);
});

test('closing waits for it, without the thread', async () => {
  heldDisk.hold();
  changeFiles();
  append(half, sent.length);
  let closed = false;
  const closing = writer.close().then(() => {
    closed = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([closed, relay.numbers()]).toEqual([false, [1]]);
  heldDisk.release();
  await closing;
  expect(relay.numbers()).toEqual([1, 2]);
  expect(openFiles()).toEqual([]);
  writer = await relay.openWriter();
  expectHolds(sent.length);
});
