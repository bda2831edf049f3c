/**
 * What an operator says of transactions, at the applier: which are skipped, where it stops, when new rules begin to hold. Every
 * kind of transaction, with progress in GTIDs and in a table, on MySQL and MariaDB, by GTID and by position.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ApplierSettings, ExecutedIds } from '../../src/applier/applier-messages.ts';
import { NO_CONTROL, type TargetControl } from '../../src/applier/target-control.ts';
import { NO_GUARDS } from '../../src/rules/guard-rules.ts';
import { ALL_IS_REPLICATED } from '../../src/rules/target-rules.ts';
import type { AppliedLife, ApplierRig } from '../support/applier-rig.ts';
import { assertEqualServers, executedSet } from '../support/equality.ts';
import { lastTransaction } from '../support/last-transaction.ts';
import { type PairOptions, ReplayPair } from '../support/replay-pair.ts';
import { until } from '../support/waiting.ts';

const skipping = (...ids: readonly string[]): { control: TargetControl } => ({
  control: { ...NO_CONTROL, skipped: ids.map((id) => ({ id, reason: 'by mistake' })) },
});

function settings(
  control: Partial<TargetControl> = {},
  more: Partial<ApplierSettings> = {},
): ApplierSettings {
  return {
    delayMs: 0,
    rules: ALL_IS_REPLICATED,
    guards: NO_GUARDS,
    control: { ...NO_CONTROL, ...control },
    ...more,
  };
}

function say(life: AppliedLife, next: ApplierSettings): Promise<void> {
  return new Promise((resolve) => life.run.take(next, resolve));
}

async function count(rig: ApplierRig, table = 't'): Promise<number> {
  const [row] = await rig.target.query(`SELECT COUNT(*) AS n FROM shop.${table}`);
  return Number(row?.n);
}

const PAIRS: readonly (readonly [string, PairOptions])[] = [
  ['MySQL by GTID', { flavour: 'mysql', version: '9.7', progress: ['gtid', 'table'] }],
  [
    'MySQL by position',
    {
      flavour: 'mysql',
      version: '9.7',
      progress: ['table'],
      sourceArgs: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
      rig: { kind: 'position' },
    },
  ],
  ['MariaDB', { flavour: 'mariadb', version: '10.11', progress: ['table'] }],
];

describe.each(PAIRS)('%s: a skipped transaction', (_what, options) => {
  let pair: ReplayPair;
  beforeAll(async () => {
    pair = await ReplayPair.start(options);
    await pair.run(['CREATE DATABASE shop', 'CREATE TABLE shop.t (id INT PRIMARY KEY, v LONGTEXT)']);
    await pair.replay(['shop']);
  });
  afterAll(() => pair.stop());

  /**
   * The source does this; `undone` does on it afterwards, unlogged, what makes it equal to a target that never had `skipped`.
   */
  async function skipped(
    before: readonly string[],
    skip: readonly string[],
    after: readonly string[],
    undone: readonly string[],
  ): Promise<void> {
    await pair.run(before);
    const ids: string[] = [];
    const session = await pair.source.connect();
    for (const statement of skip) {
      const last = await lastTransaction(pair.source);
      await session.query(statement);
      const id = await lastTransaction(pair.source);
      if (id !== last) ids.push(id);
    }
    await session.end();
    expect(ids.length).toBeGreaterThan(0);
    await pair.run(after);
    await pair.run(['SET sql_log_bin = 0', ...undone]);
    for (const rig of pair.rigs) {
      await rig.catchUp(skipping(...ids));
      const gtid = rig.progress === 'gtid';
      await assertEqualServers(pair.source, rig.target, { schemas: ['shop'], gtid });
      if (gtid) expect(await executedSet(rig.target)).toBe(await executedSet(pair.source));
      expect(await rig.target.query('XA RECOVER')).toEqual([]);
      const counted = rig.counters.transactionsApplied;
      await rig.catchUp();
      expect(rig.counters.transactionsApplied).toBe(counted);
    }
  }

  test('of rows leaves no trace but its name', () =>
    skipped(
      ['INSERT INTO shop.t VALUES (1, "a"), (2, "b")'],
      ['DELETE FROM shop.t'],
      ['INSERT INTO shop.t VALUES (3, "c")'],
      ['INSERT INTO shop.t VALUES (1, "a"), (2, "b")'],
    ));

  test('of DDL is not run', () =>
    skipped(
      ['CREATE TABLE shop.precious (id INT PRIMARY KEY)', 'INSERT INTO shop.precious VALUES (1)'],
      ['DROP TABLE shop.precious'],
      ['INSERT INTO shop.t VALUES (4, "d")'],
      ['CREATE TABLE shop.precious (id INT PRIMARY KEY)', 'INSERT INTO shop.precious VALUES (1)'],
    ));

  test('of a table with its rows is neither created nor filled', () =>
    skipped([], ['CREATE TABLE shop.copy AS SELECT * FROM shop.t'], [], ['DROP TABLE shop.copy']));

  test('that is too large for memory is not even read', () =>
    skipped(
      [],
      ["INSERT INTO shop.t VALUES (50, REPEAT('x', 6000000)), (51, REPEAT('y', 6000000))"],
      ['INSERT INTO shop.t VALUES (5, "e")'],
      ['DELETE FROM shop.t WHERE id IN (50, 51)'],
    ));

  test('of XA: a whole branch leaves nothing, prepared or committed', () =>
    skipped(
      [],
      [
        "XA START 'b'",
        "INSERT INTO shop.t VALUES (60, 'xa')",
        "XA END 'b'",
        "XA PREPARE 'b'",
        "XA COMMIT 'b'",
      ],
      ['INSERT INTO shop.t VALUES (6, "f")'],
      ['DELETE FROM shop.t WHERE id = 60'],
    ));

  test('of XA: a branch whose commit alone is skipped is rolled back, and holds no lock', () =>
    skipped(
      ["XA START 'c'", "INSERT INTO shop.t VALUES (61, 'xa')", "XA END 'c'", "XA PREPARE 'c'"],
      ["XA COMMIT 'c'"],
      [],
      ['DELETE FROM shop.t WHERE id = 61'],
    ));

  test('of XA: a branch whose rollback is skipped is rolled back all the same', () =>
    skipped(
      ["XA START 'd'", "INSERT INTO shop.t VALUES (62, 'xa')", "XA END 'd'", "XA PREPARE 'd'"],
      ["XA ROLLBACK 'd'"],
      ['INSERT INTO shop.t VALUES (62, "free")'],
      [],
    ));

  test('is reported when it is committed, and in the next life as found on the target', async () => {
    await pair.run(['INSERT INTO shop.t VALUES (70, "gone")']);
    const id = await lastTransaction(pair.source);
    await pair.run(['SET sql_log_bin = 0', 'DELETE FROM shop.t WHERE id = 70']);
    for (const rig of pair.rigs) {
      await rig.feed();
      const seen: string[] = [];
      const life = await rig.begin(skipping(id), (ids) => seen.push(...ids.committed));
      await rig.untilCaughtUp(life);
      expect(await life.stop()).toBeNull();
      expect(seen).toEqual([id]);
      const found: string[] = [];
      const again = await rig.begin(skipping(id), (ids) => found.push(...ids.found));
      await rig.untilCaughtUp(again);
      await again.stop();
      expect(found).toEqual([id]);
    }
  });
});

describe('MySQL: where the applier stops', () => {
  let pair: ReplayPair;
  beforeAll(async () => {
    pair = await ReplayPair.start({ flavour: 'mysql', version: '9.7', progress: ['gtid', 'table'] });
    await pair.run(['CREATE DATABASE shop', 'CREATE TABLE shop.t (id INT PRIMARY KEY)']);
    await pair.replay(['shop']);
  });
  afterAll(() => pair.stop());

  /** Rows `from` to `to`, each in a transaction of its own, which a logical clock lets run together; their names. */
  async function rows(from: number, to: number): Promise<string[]> {
    const ids: string[] = [];
    for (let n = from; n <= to; n++) {
      await pair.run([`INSERT INTO shop.t VALUES (${n})`]);
      ids.push(await lastTransaction(pair.source));
    }
    return ids;
  }

  test('before or after a transaction: exactly there, with many workers, and again after a restart', async () => {
    const ids = await rows(100, 159);
    for (const rig of pair.rigs) {
      await rig.feed();
      for (const [target, expected] of [
        [{ is: 'before', id: ids[20]! } as const, 20],
        [{ is: 'after', id: ids[20]! } as const, 21],
        [{ is: 'before', id: ids[59]! } as const, 59],
      ] as const) {
        for (let lives = 0; lives < 2; lives++) {
          const life = await rig.begin(settings({ until: target }));
          await until('it has stopped', () => life.run.gate.is === 'until' && life.run.inFlight === 0);
          expect(await count(rig)).toBe(expected);
          expect(life.run.untilReached).toBe(true);
          expect(life.run.caughtUpWithRelay).toBe(false);
          expect(await life.stop()).toBeNull();
        }
      }
      await rig.catchUp();
      expect(await count(rig)).toBe(60);
    }
  });

  test('at a time: before the first transaction committed then or later', async () => {
    await rows(200, 204);
    const [{ now } = {}] = await pair.source.query('SELECT ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS now');
    await rows(205, 209);
    const wall = { is: 'time', ms: Number(now) } as const;
    for (const rig of pair.rigs) {
      await rig.feed();
      const before = await count(rig);
      const life = await rig.begin(settings({ until: wall }));
      await until('it has stopped', () => life.run.gate.is === 'until' && life.run.inFlight === 0);
      expect(await count(rig)).toBe(before + 5);
      const earlier = { is: 'time', ms: Number(now) - 60_000 } as const;
      expect(life.run.freeze({ about: [], until: earlier })).toMatchObject({ untilPassed: true });
      await life.stop();
      await rig.catchUp();
    }
  });

  test('a skip waits at the connect for a session of an earlier life that still commits that transaction', async () => {
    const rig = pair.rigs.find(({ progress }) => progress === 'gtid')!;
    const [id] = await rows(290, 290);
    await rig.feed();
    const earlier = await rig.target.connect();
    await earlier.query(`SET GTID_NEXT = '${id}'; BEGIN; INSERT INTO shop.t VALUES (290)`);
    const told: ExecutedIds[] = [];
    const beginning = rig.begin(skipping(id!), (ids) => told.push(ids));
    await until('the target is asked who owns it', async () => {
      const [row] = await rig.target.query(
        "SELECT COUNT(*) AS n FROM performance_schema.events_statements_history WHERE sql_text LIKE '%gtid_owned%'",
      );
      return Number(row?.n) > 1;
    });
    await earlier.query("COMMIT; SET GTID_NEXT = 'AUTOMATIC'");
    const life = await beginning;
    await rig.untilCaughtUp(life);
    await life.stop();
    // It was executed for real, and that is what is told.
    expect(told).toEqual([{ committed: [], found: [id], missing: [] }]);
    await rigsCatchUp();
  });

  test('and for one that stands there behind another, which is not owned yet', async () => {
    const rig = pair.rigs.find(({ progress }) => progress === 'gtid')!;
    const [before, id] = await rows(291, 292);
    await rig.feed();
    const earlier = await rig.target.connect();
    await earlier.query(`SET GTID_NEXT = '${before}'; BEGIN; INSERT INTO shop.t VALUES (291)`);
    const told: ExecutedIds[] = [];
    let began = false;
    const beginning = rig
      .begin(skipping(id!), (ids) => told.push(ids))
      .finally(() => {
        began = true;
      });
    await earlier.query('DO SLEEP(0.5)');
    expect(began).toBe(false);
    await earlier.query(
      `COMMIT; SET GTID_NEXT = '${id}'; BEGIN; INSERT INTO shop.t VALUES (292); DO SLEEP(0.5); COMMIT; SET GTID_NEXT = 'AUTOMATIC'`,
    );
    const life = await beginning;
    await rig.untilCaughtUp(life);
    await life.stop();
    expect(told).toEqual([{ committed: [], found: [id], missing: [] }]);
    await rigsCatchUp();
  });

  test('when it is paused: after what is in flight, with the rest still waiting; and goes on when it is resumed', async () => {
    for (const [index, rig] of pair.rigs.entries()) {
      await rigsCatchUp();
      const first = 300 + 30 * index;
      const ids = await rows(first, first + 29);
      const life = await stuckAt(rig, first);
      const question = { about: [ids[0]!, ids[29]!], until: null };
      expect(life.run.freeze(question)).toEqual({ passed: [ids[0]], untilPassed: false });
      await say(life, settings({ paused: true }));
      await release();
      await until('it is finished', () => life.run.inFlight === 0);
      const [row] = await rig.target.query(`SELECT COUNT(*) AS n FROM shop.t WHERE id >= ${first}`);
      expect(Number(row?.n)).toBeLessThan(30);
      expect(life.run.gate.is).toBe('paused');
      expect(life.run.waiting?.bytes).toBeGreaterThan(100);
      await say(life, settings());
      await rig.untilCaughtUp(life);
      await life.stop();
    }
    await rigsCatchUp();
  });

  let release: () => Promise<void> = async () => {};

  /** An applier that waits for a lock with the transaction that inserts row `first`. */
  async function stuckAt(rig: ApplierRig, first: number): Promise<AppliedLife> {
    await rig.feed();
    const lock = await rig.target.connect();
    await lock.query('BEGIN');
    await lock.query(`INSERT INTO shop.t VALUES (${first})`);
    release = async () => {
      await lock.query('ROLLBACK');
      await lock.end();
    };
    const life = await rig.begin();
    await until('it is in flight', () => life.run.inFlight > 0);
    return life;
  }

  async function rigsCatchUp(): Promise<void> {
    for (const rig of pair.rigs) await rig.catchUp();
    for (const rig of pair.rigs)
      await assertEqualServers(pair.source, rig.target, { schemas: ['shop'], gtid: false });
  }

  test('new rules hold when what is in flight under the old ones is committed, and nothing starts before', async () => {
    const rules = { ...ALL_IS_REPLICATED, ddlFilter: 'objects' } as const;
    for (const [index, rig] of pair.rigs.entries()) {
      await rigsCatchUp();
      const first = 400 + 10 * index;
      await rows(first, first + 9);
      const life = await stuckAt(rig, first);
      const before = life.run.inFlight;
      let inFlightThen = -1;
      const taken = new Promise<void>((resolve) => {
        life.run.take(settings({}, { rules }), () => {
          inFlightThen = life.run.inFlight;
          resolve();
        });
      });
      // A wish is heard meanwhile.
      await say(life, settings({}, { rules, delayMs: 1 }));
      expect(inFlightThen).toBe(-1);
      expect(life.run.inFlight).toBeLessThanOrEqual(before);
      await release();
      await taken;
      expect(inFlightThen).toBe(0);
      await rig.untilCaughtUp(life);
      await life.stop();
    }
    await rigsCatchUp();
  });
});
