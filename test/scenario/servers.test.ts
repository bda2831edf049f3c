import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { mustRun } from '../support/program.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

describe.each(['mysql', 'mariadb'] as const)('a real %s server for the tests', (flavour) => {
  let server: TestServer;
  beforeAll(async () => {
    server = await startServer({ flavour });
  });
  afterAll(() => server.stop());

  test('it is of the flavour that was asked for and writes a binary log of rows', async () => {
    const [row] = await server.query(
      'SELECT @@version AS version, @@log_bin AS log_bin, @@binlog_format AS format',
    );
    expect(/mariadb/i.test(row?.version)).toBe(flavour === 'mariadb');
    expect(row).toMatchObject({ log_bin: 1, format: 'ROW' });
  });

  test('accounts can be created and used over TCP', async () => {
    await server.query("CREATE USER visitor@'%' IDENTIFIED BY 'secret'");
    const visitor = await server.connect({ user: 'visitor', password: 'secret' });
    const [rows] = await visitor.query('SELECT CURRENT_USER() AS who');
    expect(rows).toEqual([{ who: 'visitor@%' }]);
    await visitor.end();
  });

  test('what was committed is there after kill -9 and a restart on the same port', async () => {
    const { port } = server;
    await server.query(
      'CREATE DATABASE kept; CREATE TABLE kept.t (id INT PRIMARY KEY); INSERT INTO kept.t VALUES (7)',
    );
    await server.kill9();
    await expect(server.query('SELECT 1')).rejects.toThrow();
    await server.restart();
    expect(server.port).toBe(port);
    expect(await server.query('SELECT id FROM kept.t')).toEqual([{ id: 7 }]);
  });

  test('its own programs run', async () => {
    const { command, args } = server.binary('mysqlbinlog');
    const file = join(server.datadir, 'binlog.000001');
    expect(existsSync(file)).toBe(true);
    const text = await mustRun(command, [...args, '--no-defaults', '--verify-binlog-checksum', file]);
    expect(text).toContain('CREATE TABLE kept.t');
  });
});
