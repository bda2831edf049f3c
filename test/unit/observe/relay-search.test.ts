import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { emptyPositionSet, type PositionKind } from '../../../src/binlog/position-set.ts';
import {
  CHANGES_MAX,
  type FoundTransaction,
  type SearchWish,
  searchRelayLog,
  WishedIds,
} from '../../../src/observe/relay-search.ts';
import type { ChangeKind } from '../../../src/rules/target-rules.ts';
import { WildTable } from '../../../src/rules/wild-table.ts';
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

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

interface Wish {
  readonly table?: string;
  readonly kinds?: readonly ChangeKind[];
  readonly ids?: WishedIds;
  readonly text?: string;
  /** Seconds after the first commit. */
  readonly from?: number;
  readonly to?: number;
}

function find({ table, kinds, ids, text, from, to }: Wish = {}): FoundTransaction[] {
  const at = (seconds: number | undefined): number | null =>
    seconds === undefined ? null : (FIRST_COMMIT_SECONDS + seconds) * 1000;
  const wish: SearchWish = {
    dir: relay.dir,
    fromMs: at(from),
    toMs: at(to),
    tables: table === undefined ? null : new WildTable(table),
    kinds: kinds === undefined ? null : new Set(kinds),
    ids: ids ?? null,
    text: text ?? null,
  };
  return [...searchRelayLog(wish)].filter((found) => found !== null);
}

async function composed(maxFileSize = 2 ** 30): Promise<ComposedLog> {
  return new ComposedLog(await relay.openWriter({ maxFileSize }));
}

async function fixture(folder: string, name: string, kind: PositionKind, maxFileSize = 2 ** 30) {
  const source = SourceFile.fixture(folder, name);
  const writer = await relay.openWriter({ maxFileSize });
  source.start(writer, emptyPositionSet(kind));
  source.play(writer);
  return source;
}

const insert = (value: string): Buffer[] => [
  buildQuery('BEGIN'),
  buildQuery(`INSERT INTO t VALUES ('${value}')`),
  buildXid(),
];

describe('what is found', () => {
  test('has its name, time and place, and its changes with tables, rows and statements', async () => {
    const log = await composed();
    log.add(...insert('a'));
    const deleted = log.add(...deletion(3));
    const dropped = log.add(buildQuery("DROP TABLE t, shop.orders COMMENT 'x'"));
    log.publish();
    const [, second, third] = find();
    expect(second).toEqual({
      gtid: deleted,
      committed_at: '2026-01-01T00:00:01.000Z',
      log_name: 'relay-bin.000001',
      pos: second!.pos,
      bytes: third!.pos - second!.pos,
      changes: [{ kind: 'delete', objects: ['d.t'], rows: 3, statement: null }],
      more_changes: 0,
    });
    expect(third).toMatchObject({ gtid: dropped, committed_at: '2026-01-01T00:00:02.000Z' });
  });

  test('are all transactions when nothing is asked for, also those without a change', async () => {
    const source = await fixture('mysql-9.7', 'gtid-transactions', 'gtid', 1000);
    const all = find();
    expect(all).toHaveLength(source.transactions().length);
    expect(all.some(({ changes }) => changes.length === 0)).toBe(true);
  });

  test.each([
    ['mysql-9.7', 'compressed', 'gtid'],
    ['mysql-9.7', 'anonymous', 'position'],
    ['mysql-9.7', 'tagged-gtids', 'gtid'],
    ['mysql-9.7', 'statement-format', 'gtid'],
    ['mysql-9.7', 'xa', 'gtid'],
    ['mariadb-10.11', 'transactions', 'mariadb'],
    ['mariadb-10.11', 'compressed', 'mariadb'],
  ] as const)('in %s %s: every transaction by its own name', async (folder, name, kind) => {
    await fixture(folder, name, kind, 1500);
    const all = find();
    expect(all.length).toBeGreaterThan(2);
    for (const { gtid } of all) {
      expect(find({ ids: new WishedIds(kind, gtid) }).map((found) => found.gtid)).toEqual([gtid]);
    }
  });

  test('rows of one table are counted together over all events of a transaction', async () => {
    const log = await composed();
    const events = [1, 2, 3].flatMap((rows) => [tableMap('d', 't'), deletedRows(rows, 5)]);
    log.add(buildQuery('BEGIN'), ...events, tableMap('d', 'u'), deletedRows(7, 5), buildXid());
    log.publish();
    expect(find()[0]!.changes).toEqual([
      { kind: 'delete', objects: ['d.t'], rows: 6, statement: null },
      { kind: 'delete', objects: ['d.u'], rows: 7, statement: null },
    ]);
  });

  test('in a compressed transaction is found like in any other', async () => {
    const log = await composed();
    log.add(...insert('a'));
    const packed = log.add(payload(deletion(9)));
    log.publish();
    const [found, ...others] = find({ kinds: ['delete'] });
    expect(others).toEqual([]);
    expect(found).toMatchObject({ gtid: packed, changes: [{ objects: ['d.t'], rows: 9 }] });
  });

  test('is told up to a number of changes, and how many more there were', async () => {
    const log = await composed();
    const many = Array.from({ length: CHANGES_MAX + 50 }, (_, n) =>
      buildQuery(`INSERT INTO t${n} VALUES (1)`),
    );
    log.add(buildQuery('BEGIN'), ...many, buildXid());
    log.publish();
    expect(find()[0]).toMatchObject({ more_changes: 50 });
    expect(find()[0]!.changes).toHaveLength(CHANGES_MAX);
  });
});

describe('looking for', () => {
  test('a kind: statements and rows', async () => {
    const log = await composed();
    const dropped = log.add(buildQuery('DROP TABLE t'));
    log.add(...insert('DROP TABLE t'));
    const deleted = log.add(...deletion(1));
    const truncated = log.add(buildQuery('TRUNCATE TABLE t'));
    log.publish();
    const names = (wish: Wish): string[] => find(wish).map(({ gtid }) => gtid);
    expect(names({ kinds: ['drop_table'] })).toEqual([dropped]);
    expect(names({ kinds: ['delete', 'truncate'] })).toEqual([deleted, truncated]);
    expect(names({ kinds: ['drop_view'] })).toEqual([]);
  });

  test('a table: what changes it, and not what only looks at it', async () => {
    const log = await composed();
    const altered = log.add(buildQuery('ALTER TABLE shop.orders ADD c INT'));
    log.add(buildQuery('ALTER TABLE orders ADD c INT'));
    log.add(buildQuery('CREATE TABLE shop.copy LIKE shop.orders'));
    const renamed = log.add(buildQuery('RENAME TABLE t TO shop.orders'));
    const dropped = log.add(buildQuery('DROP DATABASE shop'));
    log.publish();
    expect(find({ table: 'SHOP.orders' }).map(({ gtid }) => gtid)).toEqual([altered, renamed, dropped]);
  });

  test('a text: in statements and in the text of rows, without regard to case', async () => {
    await fixture('mysql-9.7', 'gtid-transactions', 'gtid');
    const [found, ...others] = find({ text: "'CHAIN'" });
    expect(others).toEqual([]);
    expect(found!.changes).toEqual([
      {
        kind: 'insert',
        objects: ['shop.item'],
        rows: 1,
        statement: "INSERT INTO item VALUES (3, 'chain', 12)",
      },
    ]);
  });

  test('a text never shows a password, and never tells whether it is one', async () => {
    const log = await composed();
    log.add(buildQuery("CREATE USER bob IDENTIFIED BY 'hunter2' COMMENT 'hunter2'"));
    log.publish();
    expect(find({ text: 'hunter2' })).toEqual([]);
    const [found] = find({ text: 'identified by' });
    expect(JSON.stringify(found)).not.toContain('hunter2');
  });

  test('a time: from the first on that was committed then, up to the last before', async () => {
    const log = await composed(2000);
    const names = Array.from({ length: 60 }, (_, n) => log.add(...insert(String(n))));
    log.publish();
    expect(relay.numbers().length).toBeGreaterThan(3);
    expect(find({ from: 20, to: 40 }).map(({ gtid }) => gtid)).toEqual(names.slice(20, 40));
    expect(find({ from: 59 }).map(({ gtid }) => gtid)).toEqual(names.slice(59));
    expect(find({ to: 1 }).map(({ gtid }) => gtid)).toEqual(names.slice(0, 1));
    expect(find({ from: 60 })).toEqual([]);
  });

  test('transactions that are named', async () => {
    const log = await composed(1000);
    const names = Array.from({ length: 30 }, (_, n) => log.add(...insert(String(n))));
    log.publish();
    const [sid] = names[0]!.split(/:(?=\d+$)/);
    const ids = new WishedIds('gtid', `${sid}:3-4:29`);
    expect(find({ ids }).map(({ gtid }) => gtid)).toEqual([names[2], names[3], names[28]]);
    expect(find({ ids: new WishedIds('gtid', `${sid}:77`) })).toEqual([]);
  });

  test('what cannot be read is told as such: it could be what is looked for', async () => {
    const log = await composed();
    const strange = log.add(buildQuery('FROBNICATE TABLE shop.orders'));
    const broken = log.add(payloadOf(Buffer.from('no zstd frame at all'), 500));
    log.publish();
    const found = find({ kinds: ['drop_table'], table: 'shop.%' });
    expect(found.map(({ gtid, changes }) => [gtid, changes[0]!.kind])).toEqual([
      [strange, 'unreadable'],
      [broken, 'unreadable'],
    ]);
  });
});

describe('files that cannot hold what is looked for', () => {
  test('are not read: damage in them does not matter', async () => {
    const log = await composed(100_000);
    const names = Array.from({ length: 40_000 }, (_, n) => log.add(...insert(String(n))));
    log.publish();
    const numbers = relay.numbers();
    const last = numbers.at(-1)!;
    const hour = 3600;
    // Far from both ends, by more than what is allowed for the source's clock.
    for (const number of [numbers[3]!, last - 3]) {
      const bytes = relay.bytes(number);
      bytes[bytes.length - 60]! ^= 1;
      relay.overwrite(number, bytes);
    }
    expect(find({ from: 5 * hour, to: 5 * hour + 2 }).map(({ gtid }) => gtid)).toEqual(
      names.slice(5 * hour, 5 * hour + 2),
    );
    expect(find({ ids: new WishedIds('gtid', names[20_000]!) })).toHaveLength(1);
    expect(() => find({ text: 'x' })).toThrow(expect.objectContaining({ code: 'RELAY_CORRUPT' }));
  });
});

test('an empty relay log holds nothing', () => {
  expect(find()).toEqual([]);
});
