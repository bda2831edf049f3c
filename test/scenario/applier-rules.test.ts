/**
 * What a target's rules do beyond a replica's filters (those are held against a native replica by the filter corpus):
 * the system's own, statements by every object, rewritten names, skipped kinds of change, and what the applier stops at.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { ALL_IS_REPLICATED, NO_FILTERS, type TargetRules } from '../../src/rules/target-rules.ts';
import type { ApplierRig } from '../support/applier-rig.ts';
import { assertEqualServers, executedSet } from '../support/equality.ts';
import { ReplayPair } from '../support/replay-pair.ts';

function rules(more: Partial<TargetRules>): { rules: TargetRules } {
  return { rules: { ...ALL_IS_REPLICATED, ...more } };
}

describe.each([
  { flavour: 'mysql', version: '9.7', progress: 'gtid' },
  { flavour: 'mysql', version: '9.7', progress: 'table' },
  { flavour: 'mariadb', version: '10.11', progress: 'table' },
] as const)('rules of a target, $flavour with progress $progress', ({ flavour, version, progress }) => {
  let pair: ReplayPair;
  let rig: ApplierRig;
  beforeAll(async () => {
    const args = ['--log-bin-trust-function-creators=ON', '--max-allowed-packet=64M'];
    pair = await ReplayPair.start({
      flavour,
      version,
      progress: [progress],
      sourceArgs: args,
      targetArgs: args,
    });
    rig = pair.rigs[0]!;
  });
  afterAll(() => pair.stop());
  /** What a test left out comes after all, so that the next one begins with equal servers. */
  afterEach(async () => {
    for (const server of [pair.source, rig.target]) {
      const databases = await server.query(
        "SELECT schema_name AS name FROM information_schema.schemata WHERE schema_name LIKE 'db\\_%'",
      );
      const session = await server.connect();
      await session.query('SET sql_log_bin = 0, foreign_key_checks = 0');
      for (const { name } of databases)
        await session.query(`DROP DATABASE \`${name.replaceAll('`', '``')}\``);
      await session.end();
    }
  });

  /** Both servers get it, without a trace in a binary log. */
  async function given(...statements: string[]): Promise<void> {
    for (const server of [pair.source, rig.target]) {
      const session = await server.connect();
      await session.query('SET sql_log_bin = 0');
      for (const statement of statements) await session.query(statement);
      await session.end();
    }
  }

  async function tables(database: string): Promise<string[]> {
    const rows = await rig.target.query(
      'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? ORDER BY 1',
      [database],
    );
    return rows.map(({ name }) => name);
  }

  async function filteredSince(work: () => Promise<void>): Promise<object> {
    const before = { ...rig.counters.filtered };
    await work();
    const { filtered } = rig.counters;
    return Object.fromEntries(
      Object.entries(filtered)
        .map(([key, count]) => [key, count - before[key as keyof typeof before]] as const)
        .filter(([, count]) => count > 0),
    );
  }

  describe('replicate_system: false', () => {
    const system = rules({ replicateSystem: false });

    test('accounts and rows of schema mysql are left out and counted, everything else comes', async () => {
      const counted = await filteredSince(async () => {
        await pair.run([
          'CREATE DATABASE db_s',
          "CREATE USER u_1@'%' IDENTIFIED BY 'secret'",
          "GRANT SELECT ON db_s.* TO u_1@'%'",
          "/* an account */ ALTER USER u_1@'%' IDENTIFIED BY 'other'",
          'CREATE ROLE u_r',
          `SET PASSWORD FOR u_1@'%' = ${flavour === 'mysql' ? "'third'" : "PASSWORD('third')"}`,
          `--\n${flavour === 'mysql' ? '' : 'SET STATEMENT max_statement_time=10 FOR '}GRANT INSERT ON db_s.* TO u_1@'%'`,
          "DROP USER u_1@'%'",
          'DROP ROLE u_r',
          'BEGIN',
          'INSERT INTO mysql.time_zone_leap_second VALUES (1, 1), (2, 1)',
          'COMMIT',
          'DELETE FROM mysql.time_zone_leap_second',
          'CREATE TABLE db_s.users (id INT PRIMARY KEY, role INT)',
          '/* 7 */ ALTER TABLE db_s.users ADD y INT, /* no longer used */ DROP role',
          "CREATE TABLE db_s.mysql (id INT PRIMARY KEY, v VARCHAR(40) DEFAULT 'mysql.user')",
          'USE mysql',
          'CREATE TABLE db_s.system_events (id INT PRIMARY KEY)',
          'INSERT INTO db_s.mysql VALUES (1, DEFAULT)',
        ]);
        await rig.catchUp(system);
      });
      expect(counted).toEqual({ transactions: 10, systemStatements: 8, rows: 4 });
      await assertEqualServers(pair.source, rig.target, { schemas: ['db_s'], gtid: progress === 'gtid' });
    });

    test('statements that change schema mysql are left out, also by its default database', async () => {
      const counted = await filteredSince(async () => {
        await pair.run([
          'CREATE DATABASE db_s',
          'CREATE TABLE mysql.millrace_a (id INT PRIMARY KEY)',
          'USE mysql',
          'ALTER TABLE millrace_a ADD COLUMN v INT',
          'INSERT INTO millrace_a VALUES (1, 1)',
          'DROP TABLE mysql.millrace_a',
          'CREATE TABLE db_s.t AS SELECT 1 AS mysql',
        ]);
        await rig.catchUp(system);
      });
      expect(counted).toEqual({ transactions: 4, systemStatements: 3, rows: 1 });
      expect(await tables('db_s')).toEqual(['t']);
      await assertEqualServers(pair.source, rig.target, { schemas: ['db_s'] });
    });

    test('a statement about schema mysql and another one stops the applier', async () => {
      await given(
        'CREATE DATABASE db_s',
        'CREATE TABLE db_s.t (id INT)',
        'CREATE TABLE mysql.millrace_b (id INT)',
      );
      await pair.run(['DROP TABLE db_s.t, mysql.millrace_b']);
      expect(await rig.refusal(system)).toMatchObject({ code: 'FILTER_BORDER' });
      expect(await tables('db_s')).toEqual(['t']);
      await rig.catchUp();
    });
  });

  describe('ddl_filter: objects', () => {
    test('a statement goes by the objects it names, whatever the default database is', async () => {
      await pair.run(['CREATE DATABASE db_in', 'CREATE DATABASE db_out']);
      await rig.catchUp();
      const counted = await filteredSince(async () => {
        await pair.run([
          'CREATE TABLE db_in.a (id INT PRIMARY KEY)',
          'CREATE TABLE db_out.a (id INT PRIMARY KEY)',
          'USE db_out',
          'CREATE TABLE db_in.b (id INT PRIMARY KEY)',
          'CREATE TABLE b (id INT PRIMARY KEY)',
          'CREATE VIEW db_in.v AS SELECT * FROM db_in.a',
          'CREATE PROCEDURE db_in.p () SELECT 1',
          'CREATE PROCEDURE p () SELECT 1',
          'USE db_in',
          'CREATE INDEX i ON db_out.a (id)',
          'ALTER TABLE a ADD COLUMN v INT',
          'INSERT INTO a VALUES (1, 1)',
          'INSERT INTO db_out.a VALUES (1)',
          'CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.v = 1',
          'CREATE TRIGGER db_out.t BEFORE INSERT ON db_out.a FOR EACH ROW SET NEW.id = 1',
          'DROP TRIGGER db_out.t',
          'DROP TRIGGER t',
          'ALTER DATABASE db_out CHARACTER SET latin1',
        ]);
        await rig.catchUp(rules({ filters: { ...NO_FILTERS, doDb: ['db_in'] }, ddlFilter: 'objects' }));
      });
      expect(counted).toEqual({ transactions: 8, statements: 7, rows: 1 });
      expect(await tables('db_out')).toEqual([]);
      await assertEqualServers(pair.source, rig.target, { schemas: ['db_in'], gtid: progress === 'gtid' });
    });

    test.each([
      ['DROP TABLE db_in.a, db_out.b', 'db_in.a', 'db_out.b'],
      ['RENAME TABLE db_in.a TO db_out.a', 'db_in.a', 'db_out.a'],
      ['ALTER TABLE db_out.b RENAME TO db_in.b', 'db_in.b', 'db_out.b'],
    ])('%s: the applier stops, and nothing of it is kept', async (statement, kept, leftOut) => {
      await given(
        'CREATE DATABASE db_in',
        'CREATE DATABASE db_out',
        'CREATE TABLE db_in.a (id INT)',
        'CREATE TABLE db_out.b (id INT)',
      );
      const before = await executedSet(rig.target);
      await pair.run([statement]);
      const error = await rig.refusal(
        rules({ filters: { ...NO_FILTERS, wildIgnoreTable: ['db\\_out.%'] }, ddlFilter: 'objects' }),
      );
      expect(error).toMatchObject({ code: 'FILTER_BORDER', action: 'stop' });
      expect(error.message).toContain(`concerns ${kept}, which is replicated, and ${leftOut}, which`);
      expect(error.facts).toHaveProperty('transaction');
      expect(error.facts).toHaveProperty('offset');
      expect(error.hint).toContain('millrace skip');
      expect([await tables('db_in'), await tables('db_out')]).toEqual([['a'], ['b']]);
      if (progress === 'gtid') expect(await executedSet(rig.target)).toBe(before);
      await rig.catchUp();
    });

    test('names are rewritten wherever they stand, and only as names', async () => {
      const renamed = rules({
        rewriteDb: [
          { from: 'db_a', to: 'db_new`_a' },
          { from: 'db_b', to: 'db_bb' },
        ],
        ddlFilter: 'objects',
      });
      await pair.run([
        'CREATE DATABASE db_a',
        'CREATE DATABASE db_b CHARACTER SET latin1',
        "CREATE TABLE db_a.t (id INT PRIMARY KEY, v VARCHAR(40) DEFAULT 'db_a.t' COMMENT 'of db_a')",
        'USE db_a',
        'CREATE TABLE `db_b` . /* db_a */ `child` (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES db_a.t (id))',
        'CREATE TABLE u LIKE db_a.t',
        'CREATE VIEW v AS SELECT db_a.t.id, c.t FROM db_a.t JOIN db_b.child c ON c.t = db_a.t.id',
        'CREATE TRIGGER trig AFTER INSERT ON db_a.t FOR EACH ROW INSERT INTO db_b.child (id, t) VALUES (NEW.id, NEW.id)',
        "CREATE PROCEDURE db_b.p () BEGIN INSERT INTO db_a.t (id) VALUES (7); SELECT 'db_a.t' FROM db_a.t; END",
        'CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM db_a.u',
        'INSERT INTO db_a.t (id) VALUES (1), (2)',
        'ALTER TABLE db_b.child ADD COLUMN w INT',
        'RENAME TABLE db_a.u TO db_b.u',
        "CREATE USER u_1@'%' IDENTIFIED BY 'x'",
        "GRANT SELECT ON db_a.* TO u_1@'%'",
        "GRANT INSERT ON db_b.child TO u_1@'%'",
        "SET SESSION binlog_format = 'STATEMENT'",
        "UPDATE db_a.t SET v = 'db_a.t' WHERE id = 1",
        'DROP DATABASE IF EXISTS db_c',
      ]);
      await rig.catchUp(renamed);
      expect(await tables('db_a')).toEqual([]);
      expect(await tables('db_new`_a')).toEqual(['t', 'v']);
      expect(await tables('db_bb')).toEqual(['child', 'u']);
      const target = rig.target;
      const [view] = await target.query('SHOW CREATE VIEW `db_new``_a`.v');
      expect(Object.values(view!)[1]).toContain('from (`db_new``_a`.`t` join `db_bb`.`child` `c`');
      const [child] = await target.query('SHOW CREATE TABLE db_bb.child');
      expect(child!['Create Table']).toContain('REFERENCES `db_new``_a`.`t` (`id`)');
      const [table] = await target.query('SHOW CREATE TABLE `db_new``_a`.t');
      expect(table!['Create Table']).toContain("DEFAULT 'db_a.t' COMMENT 'of db_a'");
      const rows = await target.query('SELECT id, v FROM `db_new``_a`.t ORDER BY id');
      expect(rows).toEqual([
        { id: 1, v: 'db_a.t' },
        { id: 2, v: 'db_a.t' },
      ]);
      const grants = await target.query("SHOW GRANTS FOR u_1@'%'");
      expect(grants.map((row) => Object.values(row)[0]).sort()).toEqual([
        'GRANT INSERT ON `db_bb`.`child` TO `u_1`@`%`',
        'GRANT SELECT ON `db\\_new``\\_a`.* TO `u_1`@`%`',
        expect.stringContaining('GRANT USAGE ON *.* TO'),
      ]);
      await target.query('SET sql_log_bin = 0; CALL db_bb.p(); SET sql_log_bin = 1');
      expect(await target.query('SELECT COUNT(*) AS n FROM db_bb.child')).toEqual([{ n: 3 }]);
      await pair.run(["DROP USER u_1@'%'"]);
      await rig.catchUp();
    });
  });

  describe('a statement that cannot be read', () => {
    const filters = { ...NO_FILTERS, ignoreTable: ['db_u.other'] };

    /** Nested deeper than is followed. */
    async function unreadable(name: string): Promise<void> {
      const deep = `${'('.repeat(1100)}1${')'.repeat(1100)}`;
      await pair.run(['USE db_u', `CREATE TABLE \`${name}\` (secret INT DEFAULT ${deep})`]);
    }

    test('stops the applier while a filter is active, with its first words and nothing more', async () => {
      await given('CREATE DATABASE db_u');
      await unreadable('a');
      const error = await rig.refusal(rules({ filters }));
      expect(error).toMatchObject({ code: 'STATEMENT_UNREAD', action: 'stop' });
      expect(error.message).toContain("the statement 'CREATE TABLE …' cannot be judged");
      expect(error.message).not.toContain('secret');
      expect(error.hint).toContain('on_unparsed_ddl');
      expect(error.facts).toMatchObject({ transaction: expect.any(String), file: expect.any(String) });
      await rig.catchUp(rules({ filters, onUnparsedDdl: 'apply' }));
      expect(await tables('db_u')).toHaveLength(1);
    });

    test('is left out and counted with on_unparsed_ddl: skip', async () => {
      await given('CREATE DATABASE db_u');
      await unreadable('a');
      const counted = await filteredSince(() => rig.catchUp(rules({ filters, onUnparsedDdl: 'skip' })));
      expect(counted).toEqual({ transactions: 1, statements: 1 });
      expect(await tables('db_u')).toEqual([]);
    });

    test('runs while no rule is active, or only accounts are left out', async () => {
      await given('CREATE DATABASE db_u');
      await unreadable('mysql');
      await rig.catchUp(rules({ replicateSystem: false }));
      await unreadable('b');
      await rig.catchUp();
      expect(await tables('db_u')).toHaveLength(2);
    });
  });

  describe('skip_events', () => {
    test('kinds of change to tables of a pattern are left out, and other kinds come', async () => {
      await pair.run(['CREATE DATABASE db_k']);
      await rig.catchUp();
      const counted = await filteredSince(async () => {
        await pair.run([
          'USE db_k',
          'CREATE TABLE tmp_1 (id INT PRIMARY KEY, v INT)',
          'CREATE TABLE t (id INT PRIMARY KEY, v INT)',
          'INSERT INTO tmp_1 VALUES (1, 1), (2, 2), (3, 3)',
          'INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)',
          'UPDATE tmp_1 SET v = 7 WHERE id < 3',
          'DELETE FROM tmp_1 WHERE id = 1',
          'DELETE tmp_1, t FROM tmp_1 JOIN t USING (id) WHERE id = 2',
          'TRUNCATE TABLE tmp_1',
          'DROP TABLE tmp_1',
        ]);
        const events = ['drop_table', 'truncate', 'delete'] as const;
        await rig.catchUp(rules({ skipEvents: [{ table: 'db\\_k.tmp\\_%', events }] }));
      });
      expect(counted).toEqual({ transactions: 3, statements: 2, rows: 2 });
      const rows = await rig.target.query('SELECT id, v FROM db_k.tmp_1 ORDER BY id');
      expect(rows).toEqual([
        { id: 1, v: 7 },
        { id: 2, v: 7 },
        { id: 3, v: 3 },
      ]);
      expect(await rig.target.query('SELECT id FROM db_k.t ORDER BY id')).toEqual([{ id: 1 }, { id: 3 }]);
    });

    test('DROP TABLE of one that is skipped and one that is not stops the applier', async () => {
      await given('CREATE DATABASE db_k', 'CREATE TABLE db_k.a (id INT)', 'CREATE TABLE db_k.tmp_1 (id INT)');
      await pair.run(['DROP TABLE db_k.tmp_1, db_k.a']);
      const error = await rig.refusal(
        rules({ skipEvents: [{ table: 'db_k.tmp%', events: ['drop_table'] }] }),
      );
      expect(error).toMatchObject({ code: 'FILTER_BORDER' });
      expect(await tables('db_k')).toEqual(['a', 'tmp_1']);
      await rig.catchUp();
    });
  });

  describe('large transactions', () => {
    test('one that is read from the relay log in pieces, with rows in kept and left-out tables', async () => {
      await given(
        'CREATE DATABASE db_l',
        'CREATE TABLE db_l.a (id INT PRIMARY KEY, v LONGBLOB)',
        'CREATE TABLE db_l.b (id INT PRIMARY KEY, v LONGBLOB)',
      );
      const counted = await filteredSince(async () => {
        await pair.run([
          'BEGIN',
          ...Array.from({ length: 12 }, (_, n) => [
            `INSERT INTO db_l.a VALUES (${n}, REPEAT('a', 400000))`,
            `INSERT INTO db_l.b VALUES (${n}, REPEAT('b', 400000))`,
          ]).flat(),
          'USE db_l',
          "UPDATE a JOIN b USING (id) SET a.v = CONCAT(a.v, 'x'), b.v = CONCAT(b.v, 'x')",
          'COMMIT',
        ]);
        await rig.catchUp(rules({ filters: { ...NO_FILTERS, ignoreTable: ['db_l.b'] } }));
      });
      expect(counted).toEqual({ rows: 24 });
      expect(await rig.target.query('SELECT COUNT(*) AS n FROM db_l.b')).toEqual([{ n: 0 }]);
      const sum = 'SELECT COUNT(*) AS n, SUM(CRC32(v)) AS s FROM db_l.a';
      expect(await rig.target.query(sum)).toEqual(await pair.source.query(sum));
    });

    test('an event above 16 MiB of a table that is left out is not sent, one of a kept table is', async () => {
      await given(
        'CREATE DATABASE db_l',
        'CREATE TABLE db_l.a (id INT PRIMARY KEY, v LONGBLOB)',
        'CREATE TABLE db_l.b (id INT PRIMARY KEY, v LONGBLOB)',
      );
      const counted = await filteredSince(async () => {
        await pair.run([
          'BEGIN',
          "INSERT INTO db_l.b VALUES (1, REPEAT('b', 18000000))",
          "INSERT INTO db_l.a VALUES (1, REPEAT('a', 18000000))",
          "INSERT INTO db_l.b VALUES (2, REPEAT('b', 18000000)), (3, 'small')",
          "INSERT INTO db_l.a VALUES (2, 'small')",
          'COMMIT',
        ]);
        await rig.catchUp(rules({ filters: { ...NO_FILTERS, ignoreTable: ['db_l.b'] } }));
      });
      expect(counted).toMatchObject({ rows: expect.any(Number) });
      expect(await rig.target.query('SELECT id, LENGTH(v) AS n FROM db_l.a ORDER BY id')).toEqual([
        { id: 1, n: 18_000_000 },
        { id: 2, n: 5 },
      ]);
      expect(await rig.target.query('SELECT id FROM db_l.b')).toEqual([]);
    });
  });

  test('rows of a renamed database, with names of every length', async () => {
    await pair.run(['CREATE DATABASE db_x', 'CREATE TABLE db_x.t (id INT PRIMARY KEY, v VARCHAR(40))']);
    await rig.catchUp();
    for (const to of ['db_', `db_${'y'.repeat(61)}`, 'db_ü']) {
      await rig.target.query(
        `SET sql_log_bin = 0; CREATE DATABASE \`${to}\`; CREATE TABLE \`${to}\`.t LIKE db_x.t; SET sql_log_bin = 1`,
      );
      await pair.run([
        "INSERT INTO db_x.t VALUES (1, 'a'), (2, 'b')",
        "UPDATE db_x.t SET v = 'c'",
        'DELETE FROM db_x.t WHERE id = 2',
        'DELETE FROM db_x.t WHERE id = 5',
      ]);
      await rig.catchUp(rules({ rewriteDb: [{ from: 'db_x', to }] }));
      expect(await rig.target.query(`SELECT * FROM \`${to}\`.t`)).toEqual([{ id: 1, v: 'c' }]);
      await rig.target.query(`SET sql_log_bin = 0; DROP DATABASE \`${to}\`; SET sql_log_bin = 1`);
      await pair.run(['DELETE FROM db_x.t']);
      await rig.catchUp(rules({ filters: { ...NO_FILTERS, ignoreDb: ['db_x'] } }));
    }
  });

  test('a DDL statement that is left out leaves no trace on the target, not even an intent', async () => {
    await given('CREATE DATABASE db_i');
    await pair.run(['CREATE TABLE db_i.t (id INT)', 'INSERT INTO db_i.t VALUES (1)', 'DROP TABLE db_i.t']);
    await rig.feed();
    await rig.target.query("SET GLOBAL log_output = 'TABLE', GLOBAL general_log = ON");
    try {
      await rig.catchUp(rules({ filters: { ...NO_FILTERS, wildIgnoreTable: ['db\\_i.%'] } }));
    } finally {
      await rig.target.query('SET GLOBAL general_log = OFF');
    }
    const [seen] = await rig.target.query(
      "SELECT SUM(argument LIKE '%millrace.intent (%') AS intents, SUM(argument LIKE '%db\\_i%' AND argument NOT LIKE 'SELECT%') AS named FROM mysql.general_log WHERE command_type = 'Query'",
    );
    await rig.target.query('SET sql_log_bin = 0; TRUNCATE mysql.general_log; SET sql_log_bin = 1');
    expect({ intents: Number(seen?.intents), named: Number(seen?.named) }).toEqual({ intents: 0, named: 0 });
  });

  describe('XA', () => {
    const filter = rules({ filters: { ...NO_FILTERS, ignoreTable: ['db_q.out'] } });
    const XA = (name: string, ...statements: string[]): string[] => [
      `XA START '${name}'`,
      ...statements,
      `XA END '${name}'`,
      `XA PREPARE '${name}'`,
    ];

    async function prepared(...branches: readonly string[]): Promise<void> {
      for (const name of branches) {
        const table = name.startsWith('out') ? 'db_q.out' : 'db_q.kept';
        await pair.run(XA(name, `INSERT INTO ${table} VALUES (${name.length})`));
      }
    }

    test('a branch of which nothing is kept, prepared in one life and ended in the next', async () => {
      await given(
        'CREATE DATABASE db_q',
        'CREATE TABLE db_q.out (id INT)',
        'CREATE TABLE db_q.kept (id INT)',
      );
      const counted = await filteredSince(async () => {
        await prepared('out', 'out2', 'kept');
        await rig.catchUp(filter);
        await pair.run(["XA COMMIT 'out'", "XA ROLLBACK 'out2'", "XA COMMIT 'kept'"]);
        await rig.catchUp(filter);
      });
      expect(counted).toMatchObject({ rows: progress === 'gtid' ? 2 : 1 });
      expect(await rig.target.query('SELECT * FROM db_q.out')).toEqual([]);
      expect(await rig.target.query('SELECT * FROM db_q.kept')).toEqual([{ id: 4 }]);
      expect(await rig.target.query('XA RECOVER')).toEqual([]);
      if (progress === 'gtid') expect(await executedSet(rig.target)).toBe(await executedSet(pair.source));
    });

    if (progress !== 'gtid') return;

    test('a branch that is missing although the rules keep it stops the applier, as without rules', async () => {
      await given(
        'CREATE DATABASE db_q',
        'CREATE TABLE db_q.out (id INT)',
        'CREATE TABLE db_q.kept (id INT)',
      );
      await prepared('kept');
      await rig.catchUp(filter);
      await rig.target.query("SET sql_log_bin = 0; XA ROLLBACK 'kept'; SET sql_log_bin = 1");
      await pair.run(["XA COMMIT 'kept'"]);
      const error = await rig.refusal(filter);
      expect(error.facts.errno).toBe(1397);
      const connection = await rig.target.connect();
      await connection.query(`SET GTID_NEXT='${error.facts.transaction}'; COMMIT`);
      await connection.end();
      await rig.catchUp(filter);
    });

    test('a branch that the rules left out before they were changed stops the applier', async () => {
      await given(
        'CREATE DATABASE db_q',
        'CREATE TABLE db_q.out (id INT)',
        'CREATE TABLE db_q.kept (id INT)',
      );
      await prepared('out');
      await rig.catchUp(filter);
      await pair.run(["XA COMMIT 'out'"]);
      expect((await rig.refusal()).facts.errno).toBe(1397);
      await rig.catchUp(filter);
    });
  });
});
