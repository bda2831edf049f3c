import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { GuardMatch } from '../../../src/applier/guard-scout.ts';
import { RelayScout, type RelayScoutOptions } from '../../../src/applier/relay-scout.ts';
import { systemClock } from '../../../src/base/runtime.ts';
import { emptyPositionSet, type PositionKind, transactionIdText } from '../../../src/binlog/position-set.ts';
import type { RelayPosition } from '../../../src/relay/published-end.ts';
import type { Guard } from '../../../src/rules/guard-rules.ts';
import { GuardWatch } from '../../../src/rules/guard-watch.ts';
import { buildQuery, buildXid } from '../../support/binlog-builder.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import {
  ComposedLog,
  deletedRows,
  deletion,
  FIRST_COMMIT_SECONDS,
  payload,
  payloadOf,
  tableMap,
} from '../../support/composed-log.ts';
import { RelayDirectory } from '../../support/relay-directory.ts';

vi.setConfig({ testTimeout: 120_000 });

const GUARDS: readonly Guard[] = [
  { is: 'drop_database' },
  { is: 'drop_table' },
  { is: 'truncate' },
  { is: 'delete_rows_over', rows: 100 },
];

let relay: RelayDirectory;
let running: { scout: RelayScout; stop: AbortController; ended: Promise<void> }[];
beforeEach(() => {
  relay = new RelayDirectory();
  running = [];
});
afterEach(async () => {
  for (const { stop } of running) stop.abort();
  await Promise.all(running.map(({ ended }) => ended));
  await relay.remove();
});

function scouting(guards = GUARDS, options: Partial<RelayScoutOptions> = {}) {
  const found: GuardMatch[] = [];
  const scout = new RelayScout({
    relayDir: relay.dir,
    published: relay.published,
    from: { fileNumber: relay.numbers()[0] ?? 1, offset: 0 },
    watch: new GuardWatch(guards),
    versionNumber: 90704,
    clock: systemClock,
    isExecuted: () => false,
    isBusy: () => false,
    onMatch: (match) => void found.push(match),
    ...options,
  });
  const stop = new AbortController();
  running.push({ scout, stop, ended: scout.run(stop.signal) });
  return { scout, found };
}

/** The begin of every transaction that is published. */
function begins(): { readonly location: RelayPosition; readonly id: string }[] {
  const all: { location: RelayPosition; id: string }[] = [];
  const cursor = relay.cursor();
  let location: RelayPosition = { fileNumber: 0, offset: 0 };
  for (let event = cursor.next(); event !== null; event = cursor.next()) {
    const { place, fileNumber, offset, id } = event;
    if (place === 'begin' || place === 'single') location = { fileNumber, offset };
    if (place === 'end' || place === 'single') all.push({ location, id: transactionIdText(id!) });
  }
  cursor.close();
  return all;
}

async function untilPassed(scout: RelayScout, location: RelayPosition | undefined): Promise<void> {
  while (location !== undefined && !scout.hasPassed(location)) await nextTurn();
}

async function fixture(folder: string, name: string, kind: PositionKind = 'gtid', maxFileSize = 2 ** 30) {
  const source = SourceFile.fixture(folder, name);
  const writer = await relay.openWriter({ maxFileSize });
  source.start(writer, emptyPositionSet(kind));
  return { source, writer };
}

async function composed(maxFileSize = 2 ** 30): Promise<ComposedLog> {
  return new ComposedLog(await relay.openWriter({ maxFileSize }));
}

describe('looking ahead', () => {
  test.each([
    ['mysql-9.7', 'gtid-transactions', 'gtid'],
    ['mysql-9.7', 'compressed', 'gtid'],
    ['mysql-9.7', 'statement-format', 'gtid'],
    ['mysql-9.7', 'xa', 'gtid'],
    ['mysql-9.7', 'anonymous', 'position'],
    ['mariadb-10.11', 'transactions', 'mariadb'],
    ['mariadb-10.11', 'compressed', 'mariadb'],
  ] as const)('it passes every transaction of %s %s', async (folder, name, kind) => {
    const { source, writer } = await fixture(folder, name, kind, 1000);
    source.play(writer);
    const { scout } = scouting();
    const all = begins();
    await untilPassed(scout, all.at(-1)!.location);
    expect(scout.transactionsPassed).toBe(all.length);
    for (const { location } of all) expect(scout.hasPassed(location)).toBe(true);
  });

  test('a match has the name and the place of its transaction, and the time of its commit', async () => {
    const log = await composed(500);
    const inserts = [buildQuery('BEGIN'), buildQuery('INSERT INTO t VALUES (1)'), buildXid()];
    const names = [
      ...Array.from({ length: 20 }, () => log.add(...inserts)),
      log.add(buildQuery('DROP TABLE t')),
    ];
    log.add(...inserts);
    log.publish();
    const { scout, found } = scouting();
    await untilPassed(scout, begins().at(-1)!.location);
    expect(found).toEqual([
      {
        id: names[20],
        location: begins()[20]!.location,
        guard: 'drop_table',
        what: 'DROP TABLE d.t',
        commitMicros: BigInt(FIRST_COMMIT_SECONDS + 20) * 1_000_000n,
      },
    ]);
    expect(scout.match(names[20]!)).toBe(found[0]);
    expect(scout.match(names[19]!)).toBeNull();
  });

  test('the same is found whatever the files, and however it is published', async () => {
    const { source, writer } = await fixture('mysql-9.7', 'gtid-transactions', 'gtid');
    source.play(writer);
    const { found: expected, scout } = scouting([{ is: 'drop_table' }, { is: 'delete_rows_over', rows: 0 }]);
    await untilPassed(scout, begins().at(-1)!.location);
    expect(expected.length).toBeGreaterThan(1);
    await writer.close();
    const maxFileSize = fc.integer({ min: 1, max: 4000 });
    const chunk = fc.integer({ min: 1, max: 20 });
    await fc.assert(
      fc.asyncProperty(maxFileSize, chunk, async (maxFileSize, chunk) => {
        const other = await relay.openWriter({ maxFileSize });
        other.reset();
        source.start(other, emptyPositionSet('gtid'));
        const { scout, found } = scouting([{ is: 'drop_table' }, { is: 'delete_rows_over', rows: 0 }]);
        for (let at = 0; at < source.events.length; at += chunk) {
          source.play(other, at, Math.min(at + chunk, source.events.length));
          await nextTurn();
        }
        await untilPassed(scout, begins().at(-1)!.location);
        expect(found.map(({ location: _, ...match }) => match)).toEqual(
          expected.map(({ location: _, ...match }) => match),
        );
        await other.close();
      }),
      { numRuns: 30 },
    );
  });

  test('what is published later is seen later, and not passed before', async () => {
    const log = await composed();
    const first = log.add(buildQuery('CREATE TABLE t (a INT)'));
    log.publish();
    const { scout, found } = scouting();
    const moved = vi.fn();
    scout.onMoved(moved);
    await untilPassed(scout, begins()[0]!.location);
    expect(scout.match(first)).toBeNull();
    log.add(buildQuery('DROP TABLE t'));
    expect(scout.hasPassed({ fileNumber: 1, offset: 100_000 })).toBe(false);
    log.publish();
    await untilPassed(scout, begins()[1]!.location);
    expect(found).toHaveLength(1);
    expect(moved).toHaveBeenCalled();
  });

  test('what the target has executed is passed over without an alarm', async () => {
    const log = await composed();
    const names = [1, 2, 3].map((n) => log.add(buildQuery(`DROP TABLE t${n}`)));
    log.publish();
    const { scout, found } = scouting(GUARDS, { isExecuted: (id) => transactionIdText(id) !== names[2] });
    await untilPassed(scout, begins().at(-1)!.location);
    expect(found.map(({ id }) => id)).toEqual([names[2]]);
  });

  test('it begins in the next file when the one it is told was empty and is replaced', async () => {
    const writer = await relay.openWriter();
    const log = new ComposedLog(writer);
    const from = writer.position;
    const again = new ComposedLog(writer);
    again.add(buildQuery('DROP TABLE t'));
    again.publish();
    log.publish();
    expect(relay.numbers()).not.toContain(from.fileNumber);
    const { scout, found } = scouting(GUARDS, { from });
    await untilPassed(scout, begins()[0]!.location);
    expect(found).toHaveLength(1);
  });
});

describe('a transaction', () => {
  test('that is compressed is counted by what is inside of it', async () => {
    const log = await composed();
    log.add(payload(deletion(100)));
    const many = log.add(payload(deletion(101)));
    log.publish();
    const { scout, found } = scouting();
    await untilPassed(scout, begins().at(-1)!.location);
    expect(found).toMatchObject([{ id: many, what: '101 rows deleted from d.t' }]);
  });

  test('that is compressed and large is counted in many slices, in bounded memory', async () => {
    const log = await composed();
    const rows = Array.from({ length: 200 }, () => [tableMap('d', 't'), deletedRows(1000, 200)]).flat();
    const large = log.add(payload([buildQuery('BEGIN'), ...rows, buildXid()]));
    log.publish();
    const { scout, found } = scouting();
    let turns = 0;
    const { location } = begins()[0]!;
    for (; !scout.hasPassed(location); turns++) await nextTurn();
    expect(turns).toBeGreaterThan(3);
    expect(found).toMatchObject([{ id: large, what: '200,000 rows deleted from d.t' }]);
  });

  test('whose bytes cannot be unpacked is found as unreadable, and those behind it are seen', async () => {
    const log = await composed();
    const broken = log.add(payloadOf(Buffer.from('no zstd frame at all'), 500));
    const drop = log.add(buildQuery('DROP TABLE t'));
    log.publish();
    const { scout, found } = scouting();
    await untilPassed(scout, begins().at(-1)!.location);
    expect(found).toMatchObject([
      { id: broken, guard: 'unreadable', what: expect.stringContaining('zstd frame') },
      { id: drop, guard: 'drop_table' },
    ]);
  });

  test('with an event that is too large for memory is counted from the disk', async () => {
    const log = await composed();
    const large = log.add(buildQuery('BEGIN'), tableMap('d', 't'), deletedRows(150, 200_000), buildXid());
    log.publish();
    const { scout, found } = scouting();
    await untilPassed(scout, begins().at(-1)!.location);
    expect(found).toMatchObject([{ id: large, what: '150 rows deleted from d.t' }]);
  });

  test('without a name of its own is named by its end, by positions', async () => {
    const { source, writer } = await fixture('mysql-9.7', 'anonymous', 'position');
    source.play(writer);
    const { scout, found } = scouting([{ is: 'delete_rows_over', rows: 0 }, { is: 'drop_table' }]);
    const all = begins();
    await untilPassed(scout, all.at(-1)!.location);
    for (const { id, location } of found) expect(all).toContainEqual({ id, location });
  });
});

describe('where the log cannot be read on', () => {
  test('what lies before is passed, and who asks for what lies behind is told why', async () => {
    const log = await composed();
    const drop = log.add(buildQuery('DROP TABLE a'));
    log.add(buildQuery('CREATE TABLE b (a INT)'));
    log.add(buildQuery('CREATE TABLE c (a INT)'));
    log.publish();
    const all = begins();
    const bytes = relay.bytes(1);
    bytes[all[1]!.location.offset + 30]! ^= 1;
    relay.overwrite(1, bytes);
    const { scout } = scouting();
    await untilPassed(scout, all[0]!.location);
    await running[0]!.ended;
    expect(scout.match(drop)).not.toBeNull();
    expect(scout.hasPassed(all[0]!.location)).toBe(true);
    expect(() => scout.hasPassed(all[1]!.location)).toThrow(
      expect.objectContaining({ code: 'RELAY_CORRUPT' }),
    );
  });

  test('an emptied log ends it', async () => {
    const writer = await relay.openWriter();
    const log = new ComposedLog(writer);
    log.add(buildQuery('CREATE TABLE b (a INT)'));
    log.publish();
    const { scout } = scouting();
    await untilPassed(scout, begins()[0]!.location);
    writer.reset();
    await running[0]!.ended;
    expect(() => scout.hasPassed({ fileNumber: 99, offset: 4 })).toThrow(
      expect.objectContaining({ code: 'RELAY_CORRUPT', action: 'retry' }),
    );
  });
});

describe('matches', () => {
  test('are forgotten when the applier is past them', async () => {
    const log = await composed();
    const names = [1, 2, 3].map((n) => log.add(buildQuery(`DROP TABLE t${n}`)));
    log.publish();
    const { scout } = scouting();
    const all = begins();
    await untilPassed(scout, all.at(-1)!.location);
    expect(scout.matches.size).toBe(3);
    scout.forgetBefore(all[2]!.location);
    expect([...scout.matches.keys()]).toEqual([names[2]]);
  });

  test('are never dropped: with too many of them it waits until the applier has come closer', async () => {
    const log = await composed();
    for (let n = 0; n < 10_050; n++) log.add(buildQuery('DROP TABLE t'));
    log.publish();
    const { scout, found } = scouting();
    const all = begins();
    await untilPassed(scout, all[9_999]!.location);
    for (let turn = 0; turn < 50; turn++) await nextTurn();
    expect(found).toHaveLength(10_000);
    expect(scout.hasPassed(all[10_000]!.location)).toBe(false);
    scout.forgetBefore(all[5_000]!.location);
    await untilPassed(scout, all.at(-1)!.location);
    expect(found).toHaveLength(10_050);
    expect(scout.matches.size).toBe(5_050);
  });
});

test.each([
  ['rests after every slice beside an applier that works', true, false, true],
  ['does not rest when that applier waits for it', true, true, false],
  ['does not rest beside an applier that has nothing to do', false, false, false],
])('it %s', async (_, busy, asks, rests) => {
  const log = await composed();
  for (let n = 0; n < 200; n++) log.add(...deletion(10));
  log.publish();
  const timers = vi.spyOn(globalThis, 'setTimeout');
  // Every look at the clock ends a slice.
  let ms = 0;
  const clock = { ...systemClock, monotonicMs: () => (ms += 10) };
  try {
    const all = begins();
    const { scout } = scouting(GUARDS, { isBusy: () => busy, clock });
    while (scout.transactionsPassed < all.length) {
      if (asks) scout.hasPassed(all.at(-1)!.location);
      await nextTurn();
    }
    const rest = timers.mock.calls.filter(([, length]) => length === 4).length;
    // Four events behind the GTID of each transaction, sixteen in a slice.
    if (rests) expect(rest).toBeGreaterThan(50);
    // The first slice comes before anybody can ask.
    else expect(rest).toBeLessThanOrEqual(1);
  } finally {
    timers.mockRestore();
  }
});
