/**
 * What servers do that the applier is built on; each of these broke a run once.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { BinlogStatement } from '../../src/applier/binlog-statement.ts';
import { StatementMemory } from '../../src/applier/statement-memory.ts';
import { EventType } from '../../src/binlog/event-header.ts';
import { neutralFormatDescription } from '../../src/binlog/format-description.ts';
import { isRowsEvent } from '../../src/binlog/rows-event.ts';
import { SourceFile } from '../support/binlog-feed.ts';
import { openRawSession, type RawSession } from '../support/raw-session.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

/** What a server logs for the statements, as the rows events of a relay log. */
async function logged(source: TestServer, statements: readonly string[]): Promise<SourceFile> {
  await source.query(source.flavour === 'mysql' ? 'FLUSH BINARY LOGS' : 'FLUSH LOGS');
  const connection = await source.connect();
  for (const statement of statements) await connection.query(statement);
  await connection.end();
  const logs = await source.query('SHOW BINARY LOGS');
  const { Log_name: name, File_size: size } = logs.at(-1)!;
  return new SourceFile(name, readFileSync(join(source.datadir, name)).subarray(0, Number(size)));
}

/** Every table map and rows event of the file in one BINLOG statement, or in as many as the limit makes of it. */
function binlogStatements(file: SourceFile, bytesMax = 1 << 30): Buffer[] {
  const statement = new BinlogStatement({
    bytesMax,
    knowsSqlForeignKeys: true,
    memory: new StatementMemory(),
  });
  const all: Buffer[] = [];
  for (const { type, start, end } of file.events) {
    if (type === EventType.TABLE_MAP_EVENT) statement.addTableMap(file.bytes, start, end - 4);
    if (isRowsEvent(type) && statement.addRows(file.bytes, start, end - 4)) {
      all.push(Buffer.concat(statement.take()));
    }
  }
  if (!statement.isEmpty) all.push(Buffer.concat(statement.take()));
  return all;
}

function formatDescription(file: SourceFile): string {
  return `BINLOG '${neutralFormatDescription(file.rawFde).toString('base64')}'`;
}

const SERVER_MORE_RESULTS_EXISTS = 8;
const UUID = '5d4f3c2b-0000-4000-8000-000000000001';

describe.each([
  { flavour: 'mysql', version: '9.7' },
  { flavour: 'mariadb', version: '10.11' },
] as const)('BINLOG on $flavour $version', ({ flavour, version }) => {
  let source: TestServer;
  let target: TestServer;
  let session: RawSession;
  let fdeSent = false;
  beforeAll(async () => {
    [source, target] = await Promise.all([
      startServer({ flavour, version, name: 'source' }),
      startServer({ flavour, version, name: 'target' }),
    ]);
    const schema = [
      'CREATE DATABASE d',
      'CREATE TABLE d.a (id INT PRIMARY KEY, v VARCHAR(40))',
      'CREATE TABLE d.b (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES d.a (id))',
      'CREATE TABLE d.u (id INT PRIMARY KEY, v INT, UNIQUE KEY (v))',
    ];
    for (const server of [source, target]) for (const statement of schema) await server.query(statement);
    session = await openRawSession(target);
    await session.sql('SET autocommit=0');
  });
  afterAll(async () => {
    session?.close();
    await Promise.all([source.stop(), target.stop()]);
  });

  /** Ready for row events, and with an automatic GTID. */
  async function prime(file: SourceFile): Promise<void> {
    if (fdeSent) return;
    fdeSent = true;
    await session.sql(formatDescription(file));
    if (flavour === 'mysql') await session.sql("SET GTID_NEXT='AUTOMATIC'");
  }

  test('takes several row statements of several tables at once, each with its STMT_END_F', async () => {
    const file = await logged(source, [
      'BEGIN',
      "INSERT INTO d.a VALUES (1, 'one'), (2, 'two')",
      'INSERT INTO d.b VALUES (1, 1)',
      "UPDATE d.a SET v = 'zwei' WHERE id = 2",
      'COMMIT',
      "UPDATE d.a JOIN d.b ON d.a.id = d.b.a SET d.a.v = 'eins', d.b.a = 2",
    ]);
    await prime(file);
    const statements = binlogStatements(file);
    expect(statements).toHaveLength(1);
    await session.sql(statements[0]!);
    await session.sql('COMMIT');
    expect(await target.query('SELECT * FROM d.a ORDER BY id')).toEqual([
      { id: 1, v: 'eins' },
      { id: 2, v: 'zwei' },
    ]);
    expect(await target.query('SELECT * FROM d.b')).toEqual([{ id: 1, a: 2 }]);
  });

  test('takes a row statement in parts, when the maps are sent again and STMT_END_F is set on each last event', async () => {
    const values = Array.from({ length: 3000 }, (_, i) => `(${i + 1000}, '${'v'.repeat(30)}')`);
    const file = await logged(source, [`INSERT INTO d.a VALUES ${values.join(', ')}`]);
    await prime(file);
    const statements = binlogStatements(file, 16_384);
    expect(statements.length).toBeGreaterThan(5);
    for (const statement of statements) await session.sql(statement);
    await session.sql('COMMIT');
    expect(await target.query('SELECT COUNT(*) AS n FROM d.a WHERE id >= 1000')).toEqual([{ n: 3000 }]);
  });

  test('takes table maps behind the last rows event, which have none of their own', async () => {
    const file = await logged(source, [
      "INSERT INTO d.a VALUES (500, 'x')",
      "INSERT INTO d.a VALUES (501, 'y')",
    ]);
    await prime(file);
    const [first, second] = file.events.filter(({ type }) => type === EventType.TABLE_MAP_EVENT);
    const rows = file.events.filter(({ type }) => isRowsEvent(type));
    const statement = new BinlogStatement({
      bytesMax: 1 << 20,
      knowsSqlForeignKeys: true,
      memory: new StatementMemory(),
    });
    statement.addTableMap(file.bytes, first!.start, first!.end - 4);
    statement.addRows(file.bytes, rows[0]!.start, rows[0]!.end - 4);
    statement.addTableMap(file.bytes, second!.start, second!.end - 4);
    await session.sql(Buffer.concat(statement.take()));
    statement.addRows(file.bytes, rows[1]!.start, rows[1]!.end - 4);
    await session.sql(Buffer.concat(statement.take()));
    await session.sql('COMMIT');
    expect(await target.query('SELECT COUNT(*) AS n FROM d.a WHERE id IN (500, 501)')).toEqual([{ n: 2 }]);
  });

  test('leaves foreign_key_checks and unique_checks of the session as they were, whatever its rows needed', async () => {
    const file = await logged(source, [
      'SET foreign_key_checks = 0, unique_checks = 0',
      'INSERT INTO d.b VALUES (70, 7000)',
    ]);
    await prime(file);
    const checks = 'SELECT CONCAT(@@foreign_key_checks + 0, @@unique_checks + 0)';
    await session.sql('SET foreign_key_checks = 1, unique_checks = 1');
    await session.sql(binlogStatements(file)[0]!);
    expect(await session.value(checks)).toBe('11');
    await session.sql('COMMIT');
    expect(await target.query('SELECT * FROM d.b WHERE id = 70')).toHaveLength(1);
  });

  test('runs the next packet of the pipe after an error, so that COMMIT must wait for every reply', async () => {
    const file = await logged(source, ['INSERT INTO d.u VALUES (1, 1)']);
    await prime(file);
    const [rows] = binlogStatements(file);
    await session.sql('INSERT INTO d.u VALUES (9, 1)');
    const replies = await session.pipe.run([
      Buffer.from('INSERT INTO d.u VALUES (2, 2)'),
      rows!,
      Buffer.from('INSERT INTO d.u VALUES (3, 3)'),
    ]);
    expect(replies.map(({ ok }) => ok)).toEqual([true, false, true]);
    expect(replies[1]).toMatchObject({ errno: 1062 });
    // The failed statement is undone, the two around it stand: a COMMIT here would keep half of the transaction.
    expect(await session.value('SELECT GROUP_CONCAT(id ORDER BY id) FROM d.u')).toBe('2,3,9');
    await session.sql('ROLLBACK');
    expect(await session.value('SELECT COUNT(*) FROM d.u')).toBe('0');
    await session.sql('COMMIT');
  });

  test('begins a transaction when autocommit is off, without BEGIN', async () => {
    const file = await logged(source, ['INSERT INTO d.u VALUES (40, 40)']);
    await prime(file);
    await session.sql(binlogStatements(file)[0]!);
    expect(await target.query('SELECT * FROM d.u WHERE id = 40')).toEqual([]);
    await session.sql('COMMIT');
    expect(await target.query('SELECT * FROM d.u WHERE id = 40')).toHaveLength(1);
  });

  test('fires no trigger', async () => {
    await target.query('CREATE TABLE d.fired (id INT)');
    await target.query(
      'CREATE TRIGGER d.t AFTER INSERT ON d.u FOR EACH ROW INSERT INTO d.fired VALUES (NEW.id)',
    );
    const file = await logged(source, ['INSERT INTO d.u VALUES (50, 50)']);
    await prime(file);
    await session.sql(binlogStatements(file)[0]!);
    await session.sql('COMMIT');
    expect(await target.query('SELECT * FROM d.fired')).toEqual([]);
    expect(await target.query('SELECT * FROM d.u WHERE id = 50')).toHaveLength(1);
  });
});

describe('GTIDs and BINLOG on MySQL 9.7', () => {
  let source: TestServer;
  let target: TestServer;
  let file: SourceFile;
  beforeAll(async () => {
    [source, target] = await Promise.all([
      startServer({ flavour: 'mysql', version: '9.7', name: 'source' }),
      startServer({ flavour: 'mysql', version: '9.7', name: 'target' }),
    ]);
    for (const server of [source, target])
      await server.query('CREATE DATABASE d; CREATE TABLE d.a (id INT PRIMARY KEY)');
    file = await logged(source, ['INSERT INTO d.a VALUES (1)']);
  });
  afterAll(async () => {
    await Promise.all([source.stop(), target.stop()]);
  });

  async function withSession<T>(work: (session: RawSession) => Promise<T>): Promise<T> {
    const session = await openRawSession(target);
    try {
      return await work(session);
    } finally {
      session.close();
    }
  }

  test('after the format description a transaction is refused with 1782 until GTID_NEXT is set', async () => {
    await withSession(async (session) => {
      await session.sql('SET autocommit=0');
      await session.sql(formatDescription(file));
      expect(await session.reply('INSERT INTO d.a VALUES (77)')).toMatchObject({ ok: false, errno: 1782 });
      expect(await session.reply('ROLLBACK')).toMatchObject({ ok: false, errno: 1782 });
      await session.sql("SET GTID_NEXT='AUTOMATIC'");
      await session.sql('INSERT INTO d.a VALUES (77)');
      await session.sql('COMMIT');
    });
    expect(await target.query('SELECT * FROM d.a')).toEqual([{ id: 77 }]);
  });

  test('the OK of BINLOG lacks SERVER_MORE_RESULTS_EXISTS: a client that goes by it would take the next reply for nobody’s', async () => {
    await target.query('DELETE FROM d.a');
    const session = await openRawSession(target, ['MULTI_STATEMENTS']);
    await session.sql('SET autocommit=0');
    await session.sql(formatDescription(file));
    await session.sql("SET GTID_NEXT='AUTOMATIC'");
    const first = await session.reply(binlogStatements(file)[0]!, '; DO 1');
    expect(first).toMatchObject({ ok: true });
    expect((first as { status: number }).status & SERVER_MORE_RESULTS_EXISTS).toBe(0);
    await vi.waitFor(() => expect(session.pipe.lost).toMatchObject({ code: 'PROTOCOL' }));

    const another = await openRawSession(target, ['MULTI_STATEMENTS']);
    const ordinary = await another.reply('DO 1; DO 2');
    expect((ordinary as { status: number }).status & SERVER_MORE_RESULTS_EXISTS).not.toBe(0);
    another.close();
  });

  test('a statement goes without the two bytes of query attributes, which are not negotiated', async () => {
    await withSession(async (session) => {
      // With CLIENT_QUERY_ATTRIBUTES the server would read the text's first bytes as two counts.
      expect(await session.value("SELECT CONCAT('se', 'lect')")).toBe('select');
    });
  });

  test('a GTID that is executed is skipped: its rows do not come twice, and nobody is told', async () => {
    await target.query('DELETE FROM d.a');
    await withSession(async (session) => {
      await session.sql('SET autocommit=0');
      await session.sql(formatDescription(file));
      for (let i = 0; i < 2; i++) {
        await session.sql(`SET GTID_NEXT='${UUID}:1'`);
        for (const statement of binlogStatements(file)) await session.sql(statement);
        await session.sql('COMMIT');
      }
    });
    expect(await target.query('SELECT * FROM d.a')).toEqual([{ id: 1 }]);
  });

  test('ROLLBACK gives a GTID back unused, and COMMIT of nothing executes it', async () => {
    await withSession(async (session) => {
      await session.sql('SET autocommit=0');
      await session.sql(`SET GTID_NEXT='${UUID}:5'`);
      await session.sql('INSERT INTO d.a VALUES (5)');
      await session.sql('ROLLBACK');
      const has = `SELECT GTID_SUBSET('${UUID}:5', @@global.gtid_executed)`;
      expect(await session.value(has)).toBe('0');
      await session.sql(`SET GTID_NEXT='${UUID}:5'`);
      await session.sql('COMMIT');
      expect(await session.value(has)).toBe('1');
    });
  });

  test('an idle session may be pinged between two GTIDs', async () => {
    await withSession(async (session) => {
      await session.sql('SET autocommit=0');
      await session.sql(`SET GTID_NEXT='${UUID}:6'`);
      await session.sql('COMMIT');
      await session.sql('DO 0');
      await session.sql(`SET GTID_NEXT='${UUID}:7'`);
      await session.sql('COMMIT');
    });
  });

  test('a GTID that another session holds is waited for, and skipped when it was committed there', async () => {
    await target.query('DELETE FROM d.a');
    await withSession(async (first) => {
      await first.sql('SET autocommit=0');
      await first.sql(`SET GTID_NEXT='${UUID}:10'`);
      await first.sql('INSERT INTO d.a VALUES (10)');
      await withSession(async (second) => {
        await second.sql('SET autocommit=0');
        const waiting = second.sql(`SET GTID_NEXT='${UUID}:10'`);
        await first.sql('COMMIT');
        await waiting;
        await second.sql('INSERT INTO d.a VALUES (11)');
        await second.sql('COMMIT');
      });
    });
    expect(await target.query('SELECT * FROM d.a')).toEqual([{ id: 10 }]);
  });

  test('a branch of XA that is not prepared must be ended before it can be rolled back', async () => {
    await withSession(async (session) => {
      await session.sql('SET autocommit=0');
      await session.sql(`SET GTID_NEXT='${UUID}:20'`);
      await session.sql("XA START 'b'");
      await session.sql('INSERT INTO d.a VALUES (20)');
      expect(await session.reply('ROLLBACK')).toMatchObject({ ok: false, errno: 1399 });
      await session.sql("XA END 'b'");
      await session.sql("XA ROLLBACK 'b'");
      await session.sql(`SET GTID_NEXT='${UUID}:20'`);
      await session.sql('INSERT INTO d.a VALUES (21)');
      await session.sql('COMMIT');
    });
    expect(await target.query('SELECT * FROM d.a WHERE id >= 20')).toEqual([{ id: 21 }]);
  });
});
