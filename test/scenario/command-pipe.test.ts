import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CommandPipe, type OkReply, type Reply } from '../../src/wire/command-pipe.ts';
import { openConnection } from '../../src/wire/connection.ts';
import { type Flavour, startServer, type TestServer } from '../support/test-server.ts';

const MIB = 1024 * 1024;

describe.each<Flavour>(['mysql', 'mariadb'])('%s', (flavour) => {
  let server: TestServer;
  let pipe: CommandPipe;

  beforeAll(async () => {
    server = await startServer({ flavour, args: ['--max-allowed-packet=64M'] });
    await server.query('CREATE DATABASE pipe');
    await server.query('CREATE TABLE pipe.t (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)');
  }, 300_000);
  afterAll(() => server?.stop());
  afterEach(() => pipe?.close());

  async function open(): Promise<CommandPipe> {
    const { host, port, rootUser: user, rootPassword: password } = server;
    const endpoint = {
      host,
      port,
      user,
      password,
      tls: { mode: 'preferred' as const },
      connectTimeoutMs: 5000,
    };
    const connection = await openConnection(endpoint, { purpose: 'the target' });
    const socket = connection.takeSocket();
    pipe = new CommandPipe(socket, connection.peer);
    return pipe;
  }

  async function run(...statements: string[]): Promise<Reply[]> {
    return (pipe ?? (await open())).run(statements.map((sql) => Buffer.from(sql)));
  }

  test('replies come in the order of the statements, one for each', async () => {
    await open();
    const replies = await run(
      "INSERT INTO pipe.t (v) VALUES ('a'), ('b')",
      'SELECT * FROM pipe.t',
      'SELECT nonsense',
      "UPDATE pipe.t SET v = 'c' WHERE v = 'a'",
      'SELECT 1 FROM pipe.t WHERE 0',
      'DO 1',
    );
    expect(replies.map((reply) => reply.ok)).toEqual([true, true, false, true, true, true]);
    expect((replies[0] as OkReply).affectedRows).toBe(2);
    expect(replies[2]).toMatchObject({ ok: false, errno: 1054, sqlState: '42S22' });
    expect((replies[3] as OkReply).info).toContain('Rows matched: 1');
    expect(pipe.inFlight).toBe(0);
  });

  test('a last insert id of 64 bits is no trouble', async () => {
    await open();
    const [reply] = await run("INSERT INTO pipe.t VALUES (18446744073709551610, '')");
    expect(reply).toMatchObject({ ok: true, affectedRows: 1 });
    await run('DELETE FROM pipe.t WHERE id > 1000000', 'ALTER TABLE pipe.t AUTO_INCREMENT = 10');
  });

  test('rows are returned where they are asked for', async () => {
    await open();
    const reply = (await pipe.query("SELECT 1, NULL, '', REPEAT('x', 300)")) as OkReply;
    expect(reply.rows).toEqual([['1', null, '', 'x'.repeat(300)]]);
    expect(await pipe.query('SELECT')).toMatchObject({ ok: false, errno: 1064 });
  });

  test('many large result sets are passed over', async () => {
    await open();
    const replies = await run(
      ...Array.from({ length: 5 }, () => "SELECT REPEAT('y', 20000000), 2 UNION ALL SELECT 'z', 3"),
      'DO 1',
    );
    expect(replies.every((reply) => reply.ok)).toBe(true);
  });

  test('an error in the midst of rows ends the result set', async () => {
    await open();
    const replies = await run(
      'SELECT JSON_EXTRACT(v, 1) FROM pipe.t UNION ALL SELECT (SELECT 1 UNION SELECT 2)',
      'SELECT id, (SELECT 1 UNION SELECT id) FROM (SELECT 1 AS id UNION SELECT 2) AS d',
      'DO 1',
    );
    expect(replies.map((reply) => reply.ok)).toEqual([false, false, true]);
  });

  test.each([-10, -2, -1, 0, 1, 2, 10])('a statement of 16 MiB - 1 %i bytes arrives whole', async (delta) => {
    await open();
    const head = Buffer.from("SELECT LENGTH('");
    const tail = Buffer.from("')");
    const body = Buffer.alloc(0xffffff - 1 + delta - head.length - tail.length, 0x61);
    const statement = [head, body.subarray(0, 5), body.subarray(5), tail];
    const [reply, next] = await pipe.run([statement, Buffer.from('DO 1')]);
    expect(reply).toMatchObject({ ok: true });
    expect(next).toMatchObject({ ok: true });
  });

  test('a statement of 33 MiB is streamed while others wait their turn', async () => {
    await open();
    const head = Buffer.from("INSERT INTO pipe.t (v) VALUES ('");
    const tail = Buffer.from("')");
    const chunk = Buffer.alloc(MIB, 0x62);
    async function* pieces(): AsyncGenerator<Buffer> {
      yield head;
      for (let i = 0; i < 33; i++) yield chunk;
      yield tail;
    }
    const streamed = pipe.runStreaming(head.length + 33 * MIB + tail.length, pieces());
    const after = pipe.query('SELECT LENGTH(v), CRC32(v) FROM pipe.t WHERE LENGTH(v) > 1000000');
    expect(await streamed).toMatchObject({ ok: true, affectedRows: 1 });
    expect(((await after) as OkReply).rows[0]?.[0]).toBe(String(33 * MIB));
    await run('DELETE FROM pipe.t');
  });

  test('pieces that fail half way give the connection up, with their own error', async () => {
    await open();
    async function* pieces(): AsyncGenerator<Buffer> {
      yield Buffer.from('SELECT 1');
      throw new Error('the relay log is damaged');
    }
    const other = pipe.run([Buffer.from('DO SLEEP(5)')]);
    const streamed = pipe.runStreaming(MIB, pieces());
    await expect(streamed).rejects.toThrow('the relay log is damaged');
    await expect(other).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    expect(pipe.lost?.code).toBe('CONNECTION_LOST');
  });

  test('a killed connection rejects what has no reply, at once and later', async () => {
    await open();
    const [row] = ((await pipe.query('SELECT CONNECTION_ID()')) as OkReply).rows;
    const sleeping = pipe.run([Buffer.from('DO SLEEP(20)'), Buffer.from('DO 1')]);
    const settled = expect(sleeping).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    await server.query(`KILL ${row?.[0]}`);
    await settled;
    await expect(run('DO 1')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });

  test('several statements in a packet stop at the first that fails', async () => {
    await open();
    await run('DELETE FROM pipe.t', 'SET autocommit=0');
    const together = (...statements: string[]): Promise<Reply[]> =>
      pipe.runTogether(statements.map((sql) => Buffer.from(sql)));
    const good = await together("INSERT INTO pipe.t (v) VALUES ('a')", 'DO 1', 'COMMIT');
    expect(good.map((reply) => reply.ok)).toEqual([true, true, true]);
    const bad = await together(
      "INSERT INTO pipe.t (v) VALUES ('b')",
      "INSERT INTO pipe.x VALUES ('b')",
      'COMMIT',
    );
    expect(bad.map((reply) => reply.ok)).toEqual([true, false]);
    const [rolledBack, next] = await run('ROLLBACK', 'DO 2');
    expect(rolledBack).toMatchObject({ ok: true });
    expect(next).toMatchObject({ ok: true });
    expect(await server.query('SELECT v FROM pipe.t')).toHaveLength(1);
    expect(pipe.inFlight).toBe(0);
  });

  test('a statement on its own cannot become two, also after several in a packet', async () => {
    await open();
    await pipe.runTogether([Buffer.from('DO 1'), Buffer.from('DO 2')]);
    const [reply, next] = await run('DO 1; DROP TABLE pipe.t', 'DO 3');
    expect(reply).toMatchObject({ ok: false, errno: 1064 });
    expect(next).toMatchObject({ ok: true });
    expect(await server.query("SHOW TABLES FROM pipe LIKE 't'")).toHaveLength(1);
  });

  test('packets of several statements follow each other without waiting', async () => {
    await open();
    const packets = Array.from({ length: 50 }, (_, i) =>
      pipe.runTogether([
        Buffer.from(`SET @n = ${i}`),
        [Buffer.from('DO'), Buffer.from(' 1')],
        Buffer.from('DO 2'),
      ]),
    );
    const replies = await Promise.all(packets);
    expect(replies.every((each) => each.length === 3 && each.every((reply) => reply.ok))).toBe(true);
    expect(((await pipe.query('SELECT @n')) as OkReply).rows).toEqual([['49']]);
  });

  test('a packet of several statements and 17 MiB is answered like a small one', async () => {
    await open();
    const long = Buffer.concat([
      Buffer.from("SET @long = '"),
      Buffer.alloc(17 * MIB, 0x61),
      Buffer.from("'"),
    ]);
    const replies = await pipe.runTogether([Buffer.from('DO 1'), long, Buffer.from('COMMIT')]);
    expect(replies.map((reply) => reply.ok)).toEqual([true, true, true]);
  });

  test('LOCAL INFILE is refused', async () => {
    await open();
    const [reply] = await run("LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE pipe.t (v)");
    expect(reply).toMatchObject({ ok: false });
  });
});
