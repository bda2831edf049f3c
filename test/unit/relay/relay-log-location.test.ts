import { unlinkSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { emptyPositionSet, FilePositionSet, type PositionKind } from '../../../src/binlog/position-set.ts';
import { fileSet, locate, relayFiles } from '../../../src/relay/relay-log-location.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory, readAll } from '../../support/relay-directory.ts';

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

const cases: [string, string, PositionKind][] = [
  ['mysql-9.7', 'gtid-transactions', 'gtid'],
  ['mysql-9.7', 'tagged-gtids', 'gtid'],
  ['mysql-9.7', 'anonymous', 'position'],
  ['mariadb-11.8', 'transactions', 'mariadb'],
];

test.each(cases)(
  '%s %s by %s: after any transaction the rest is found, in the newest file that will do',
  async (folder, name, kind) => {
    const source = SourceFile.fixture(folder, name);
    const writer = await relay.openWriter({ maxFileSize: 1000 });
    source.start(writer, emptyPositionSet(kind));
    source.play(writer);
    const all = readAll(relay.cursor());
    const executed = emptyPositionSet(kind);
    if (kind === 'position') executed.addAll(FilePositionSet.at(source.name, 4));
    for (let done = 0; done <= all.length; done++) {
      const place = locate(relay.dir, executed)!;
      const cursor = relay.cursor({ from: place });
      const rest = readAll(cursor).filter(({ id }) => !executed.has(id!));
      cursor.close();
      expect(rest.map(({ bytes }) => bytes)).toEqual(all.slice(done).map(({ bytes }) => bytes));
      expect(place.offset).toBe(fileSet(relay.dir, place.fileNumber)!.end);
      const newer = fileSet(relay.dir, place.fileNumber + 1);
      if (newer !== null) expect(executed.containsAll(newer.previous)).toBe(false);
      if (done < all.length) executed.add(all[done]!.id!);
    }
  },
);

test('a target that lacks what was purged cannot go on from the log', async () => {
  const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
  const writer = await relay.openWriter({ maxFileSize: 1 });
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
  writer.purge({ neededFrom: 3, retentionMs: 0, nowMs: Date.now() + 1000 });
  expect(locate(relay.dir, emptyPositionSet('gtid'))).toBeNull();
  const enough = fileSet(relay.dir, 3)!.previous;
  expect(locate(relay.dir, enough)).toMatchObject({ fileNumber: 3 });
});

test('an empty log, a log of another kind and an unknown file hold no place', async () => {
  expect(locate(relay.dir, emptyPositionSet('gtid'))).toBeNull();
  expect(relayFiles(relay.dir)).toEqual([]);
  expect(fileSet(relay.dir, 1)).toBeNull();
  const source = SourceFile.fixture('mariadb-11.8', 'transactions');
  const writer = await relay.openWriter();
  source.start(writer, emptyPositionSet('mariadb'));
  expect(locate(relay.dir, emptyPositionSet('gtid'))).toBeNull();
  expect(locate(relay.dir, emptyPositionSet('mariadb'))).toMatchObject({ fileNumber: 1 });
  writer.reset();
  expect(locate(relay.dir, emptyPositionSet('mariadb'))).toBeNull();
});

test('a file that was purged under the eyes of the search is passed over', async () => {
  const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
  const writer = await relay.openWriter({ maxFileSize: 1 });
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
  unlinkSync(relay.path(relay.numbers().at(-1)!));
  expect(locate(relay.dir, writer.retrieved!)).toMatchObject({ fileNumber: relay.numbers().at(-2) });
});
