import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RelayContinuity } from '../../../src/applier/relay-continuity.ts';
import { type Assembled, TransactionAssembler } from '../../../src/applier/transaction-assembler.ts';
import {
  emptyPositionSet,
  FilePositionSet,
  type PositionSet,
  type TransactionId,
} from '../../../src/binlog/position-set.ts';
import { discardRelayLog } from '../../../src/relay/relay-log-discard.ts';
import { readRelayLogIndex, writeRelayLogIndex } from '../../../src/relay/relay-log-index.ts';
import { locate } from '../../../src/relay/relay-log-location.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';

const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');

async function fullLog(relay: RelayDirectory): Promise<TransactionId[]> {
  const writer = await relay.openWriter({ maxFileSize: 1 });
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
  const ids = readAll(relay.cursor()).map((each) => each.id as TransactionId);
  await writer.close();
  return ids;
}

function executedOf(ids: readonly TransactionId[]): PositionSet {
  const set = emptyPositionSet('gtid');
  for (const id of ids) set.add(id);
  return set;
}

function assembleAll(relay: RelayDirectory, executed: PositionSet): Assembled[] {
  const from = locate(relay.dir, executed);
  expect(from).not.toBeNull();
  const assembler = new TransactionAssembler(relay.cursor({ from: from! }), {
    set: executed,
    above: new Set(),
    settled: new Set(),
  });
  const all: Assembled[] = [];
  for (let next = assembler.next(); next.is !== 'end'; next = assembler.next()) all.push(next);
  return all;
}

describe('a gap between two files of the relay log', () => {
  test('is passed by a target that has what is missing, and refused by one that lacks it', async () => {
    const relay = new RelayDirectory();
    const ids = await fullLog(relay);
    const files = readRelayLogIndex(relay.dir)!;
    // The power cut that took all but the first two files; the last one came after.
    writeRelayLogIndex(relay.dir, [files[0]!, files[1]!, ...files.slice(-2)]);
    expect(() => assembleAll(relay, executedOf(ids.slice(0, 1)))).toThrow(
      expect.objectContaining({ code: 'TARGET_WENT_BACK', action: 'resync' }),
    );
    expect(() => assembleAll(relay, executedOf(ids))).not.toThrow();
  });

  test('is none where files follow each other', async () => {
    const relay = new RelayDirectory();
    const ids = await fullLog(relay);
    const all = assembleAll(relay, emptyPositionSet('gtid'));
    expect(all.filter((each) => each.is === 'transaction')).toHaveLength(new Set(ids).size);
  });

  test('by positions: the begin of the source’s next file is none, its middle is', () => {
    const header = (file: string, position: number) =>
      ({ previous: FilePositionSet.at(file, position) }) as unknown as Parameters<
        RelayContinuity['enter']
      >[1];
    const continuity = new RelayContinuity(FilePositionSet.at('binlog.000003', 900));
    continuity.enter(1, header('binlog.000003', 900));
    continuity.enter(2, header('binlog.000004', 4));
    expect(() => continuity.enter(3, header('binlog.000004', 700))).toThrow(/gap/);
  });
});

test('a relay log whose index is damaged can be thrown away, and its numbers go on', async () => {
  const relay = new RelayDirectory();
  await fullLog(relay);
  const highest = Math.max(...readRelayLogIndex(relay.dir)!);
  writeFileSync(join(relay.dir, 'relay-bin.index'), 'damaged\n');
  expect(discardRelayLog(relay.dir)).toBeGreaterThan(0);
  expect(Math.max(...readRelayLogIndex(relay.dir)!)).toBeGreaterThanOrEqual(highest);
});
