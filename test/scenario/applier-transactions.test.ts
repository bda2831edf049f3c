import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ReplayPair } from '../support/replay-pair.ts';

/** One `client` of the source per name: statements as `who: statement`. */
async function together(pair: ReplayPair, schema: string, lines: readonly string[]): Promise<void> {
  const sessions = new Map<string, Awaited<ReturnType<ReplayPair['source']['connect']>>>();
  for (const line of lines) {
    const [, who = '', statement = ''] = /^(\w+): (.*)$/s.exec(line) ?? [];
    let session = sessions.get(who);
    if (session === undefined) {
      session = await pair.source.connect({ database: schema });
      sessions.set(who, session);
    }
    await session.query(statement);
  }
  for (const session of sessions.values()) await session.end();
}

describe('transactions of MySQL 9.7, with progress gtid and with progress table', () => {
  let pair: ReplayPair;
  beforeAll(async () => {
    // Small relay files: what is prepared in one is committed from another.
    pair = await ReplayPair.start({
      flavour: 'mysql',
      version: '9.7',
      progress: ['gtid', 'table'],
      rig: { maxFileSize: 2000 },
    });
    await pair.run(['CREATE DATABASE shop', 'CREATE TABLE shop.t (id INT PRIMARY KEY, v VARCHAR(40))']);
    await pair.replay(['shop']);
  });
  afterAll(() => pair.stop());

  test('XA: prepared and committed, rolled back, in one phase, interleaved, across files', async () => {
    await together(pair, 'shop', [
      "a: XA START 'first', 'branch', 7",
      "a: INSERT INTO t VALUES (20, 'prepared')",
      "a: XA END 'first', 'branch', 7",
      "a: XA PREPARE 'first', 'branch', 7",
      "b: INSERT INTO t VALUES (21, 'between')",
      "b: XA START X'00ff27'",
      "b: INSERT INTO t VALUES (22, 'rolled back')",
      "b: XA END X'00ff27'",
      "b: XA PREPARE X'00ff27'",
      "c: XA START 'one'",
      "c: INSERT INTO t VALUES (23, 'one phase')",
      "c: XA END 'one'",
      "c: XA COMMIT 'one' ONE PHASE",
      'c: FLUSH BINARY LOGS',
      "c: INSERT INTO t SELECT 100 + n, 'filler' FROM (WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r WHERE n < 60) SELECT n FROM r) x",
      "c: XA COMMIT 'first', 'branch', 7",
      "c: XA ROLLBACK X'00ff27'",
      "c: XA START 'empty'",
      "c: XA END 'empty'",
      "c: XA PREPARE 'empty'",
      "c: XA COMMIT 'empty'",
    ]);
    await pair.replay(['shop']);
    for (const { target } of pair.rigs) expect(await target.query('XA RECOVER')).toEqual([]);
  });

  test('a branch stays prepared between two lives of the applier, and its relay file is kept', async () => {
    await together(pair, 'shop', [
      "a: XA START 'long'",
      "a: INSERT INTO t VALUES (30, 'long')",
      "a: UPDATE t SET v = 'changed' WHERE id = 20",
      "a: XA END 'long'",
      "a: XA PREPARE 'long'",
    ]);
    const needed: number[] = [];
    for (const rig of pair.rigs) {
      needed.push(await rig.whileApplying(async () => rig.relay.numbers().at(-1)!));
    }
    for (let i = 0; i < 6; i++) {
      await pair.run([`INSERT INTO shop.t VALUES (${300 + i}, REPEAT('f', 40))`, 'FLUSH BINARY LOGS']);
    }
    for (const [index, rig] of pair.rigs.entries()) {
      await rig.whileApplying(async ({ run }) => {
        const newest = rig.relay.numbers().at(-1)!;
        expect(newest).toBeGreaterThan(needed[index]!);
        // With progress gtid the branch is prepared on the target itself.
        if (rig.progress === 'gtid') expect(run.neededFile).toBe(newest);
        else expect(run.neededFile).toBeLessThanOrEqual(needed[index]!);
      });
    }
    await together(pair, 'shop', ["b: XA COMMIT 'long'"]);
    await pair.replay(['shop']);
    for (const rig of pair.rigs) {
      await rig.whileApplying(async ({ run }) => {
        expect(run.neededFile).toBe(rig.relay.numbers().at(-1));
      });
    }
  });

  test('savepoints: what was rolled back to one does not come, what was released does', async () => {
    await pair.run([
      'USE shop',
      'BEGIN',
      "INSERT INTO t VALUES (40, 'a')",
      'SAVEPOINT `odd ``name`',
      "INSERT INTO t VALUES (41, 'b')",
      'ROLLBACK TO SAVEPOINT `odd ``name`',
      "INSERT INTO t VALUES (42, 'c')",
      'SAVEPOINT s2',
      "INSERT INTO t VALUES (43, 'd')",
      'RELEASE SAVEPOINT s2',
      'COMMIT',
      "SET SESSION binlog_format = 'STATEMENT'",
      'BEGIN',
      "INSERT INTO t VALUES (44, 'e')",
      'SAVEPOINT s3',
      "INSERT INTO t VALUES (45, 'f')",
      'ROLLBACK TO s3',
      'COMMIT',
    ]);
    await pair.replay(['shop']);
  });

  test('GTIDs without a change, with a tag, of another server, and the largest one', async () => {
    const uuid = '97000000-0000-11f0-8000-00000000000b';
    await pair.run([
      'USE shop',
      `SET GTID_NEXT = '${uuid}:1'`,
      'BEGIN',
      'COMMIT',
      "SET GTID_NEXT = 'AUTOMATIC:night'",
      "INSERT INTO t VALUES (50, 'tagged')",
      'CREATE TABLE tagged_ddl (a INT PRIMARY KEY)',
      `SET GTID_NEXT = '${uuid}:a_tag_of_32_characters__________:9223372036854775806'`,
      "INSERT INTO t VALUES (51, 'last gno')",
      `SET GTID_NEXT = '${uuid}:_:70000'`,
      'SET original_commit_timestamp = 1700000000123456, original_server_version = 80036',
      "INSERT INTO t VALUES (52, 'from elsewhere')",
      `SET GTID_NEXT = '${uuid}:7'`,
      'SET original_commit_timestamp = 1700000000654321, original_server_version = 80036',
      "INSERT INTO t VALUES (53, 'from elsewhere, untagged')",
      "SET GTID_NEXT = 'AUTOMATIC'",
    ]);
    await pair.replay(['shop']);
  });

  test('the original commit time and version of a transaction go on to the target’s own binary log', async () => {
    const uuid = '97000000-0000-11f0-8000-00000000000c';
    await pair.run([
      `SET GTID_NEXT = '${uuid}:1'`,
      'SET original_commit_timestamp = 1700000000123456, original_server_version = 80036',
      "INSERT INTO shop.t VALUES (54, 'original')",
    ]);
    await pair.replay(['shop']);
    const { target } = pair.rigs[0]!;
    const events = await target.query('SHOW BINARY LOG STATUS');
    const { mustRun } = await import('../support/program.ts');
    const { command, args } = target.binary('mysqlbinlog');
    const text = await mustRun(command, [...args, '--no-defaults', `${target.datadir}/${events[0]!.File}`]);
    expect(text).toContain('original_committed_timestamp=1700000000123456');
    expect(text).toContain('original_server_version=80036');
  });

  test('transactions that depend on each other never overtake, with many workers', async () => {
    await pair.run([
      'CREATE TABLE shop.counter (id INT PRIMARY KEY, n INT)',
      'INSERT INTO shop.counter VALUES (1, 0), (2, 0)',
    ]);
    await Promise.all(
      [1, 2, 3, 4].map((client) =>
        pair.run(
          Array.from({ length: 40 }, (_, i) =>
            i % 5 === 0
              ? `UPDATE shop.counter SET n = n + 1 WHERE id = ${(i % 2) + 1}`
              : `INSERT INTO shop.t VALUES (${client * 10_000 + i}, 'x')`,
          ),
        ),
      ),
    );
    await pair.replay(['shop']);
  });
});

describe('transactions of a MySQL source without GTIDs', () => {
  let pair: ReplayPair;
  beforeAll(async () => {
    pair = await ReplayPair.start({
      flavour: 'mysql',
      version: '9.7',
      progress: ['table'],
      sourceArgs: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
      rig: { kind: 'position' },
    });
  });
  afterAll(() => pair.stop());

  test('the position in the source’s files is the progress', async () => {
    await pair.run([
      'CREATE DATABASE shop',
      'USE shop',
      'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40))',
      "INSERT INTO t VALUES (1, 'a')",
      'FLUSH BINARY LOGS',
      'BEGIN',
      "INSERT INTO t VALUES (2, 'b')",
      "UPDATE t SET v = 'c' WHERE id = 1",
      'COMMIT',
      'ALTER TABLE t ADD COLUMN w INT',
      "XA START 'x'",
      "INSERT INTO t VALUES (3, 'x', 1)",
      "XA END 'x'",
      "XA PREPARE 'x'",
      "XA COMMIT 'x'",
      'CREATE TABLE copy_ SELECT * FROM t',
    ]);
    await pair.replay(['shop']);
    await pair.run(["INSERT INTO shop.t VALUES (4, 'd', NULL)", 'DROP TABLE shop.copy_']);
    await pair.replay(['shop']);
  });
});
