/**
 * Connections to real servers: authentication with a cold cache, every TLS mode, and the socket after the take-over.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import type net from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { CommandPipe } from '../../src/wire/command-pipe.ts';
import { openConnection, type WireConnection } from '../../src/wire/connection.ts';
import type { EndpointOptions, TlsMode, TlsOptions } from '../../src/wire/endpoint.ts';
import { CuttingProxy } from '../support/cutting-proxy.ts';
import { temporaryFolder } from '../support/repository.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const connection of open.splice(0)) connection.close();
});

function endpoint(server: TestServer, options: Partial<EndpointOptions> = {}): EndpointOptions {
  const { host, port, rootUser: user, rootPassword: password } = server;
  return { host, port, user, password, tls: { mode: 'preferred' }, connectTimeoutMs: 5000, ...options };
}

async function connect(server: TestServer, options: Partial<EndpointOptions> = {}): Promise<WireConnection> {
  const connection = await openConnection(endpoint(server, options), { purpose: 'the source' });
  open.push(connection);
  return connection;
}

describe('MySQL', () => {
  let server: TestServer;
  let folder: string;

  beforeAll(async () => {
    folder = temporaryFolder('certificates');
    makeCertificates(folder);
    server = await startServer({
      flavour: 'mysql',
      args: [
        `--ssl-ca=${join(folder, 'ca.pem')}`,
        `--ssl-cert=${join(folder, 'server.pem')}`,
        `--ssl-key=${join(folder, 'server.key')}`,
      ],
    });
    await server.query("CREATE USER sha2@'%' IDENTIFIED WITH caching_sha2_password BY 'a secret ü'");
    await server.query("CREATE USER secure@'%' IDENTIFIED BY 'x' REQUIRE SSL");
    await server.query("CREATE USER x509@'%' IDENTIFIED BY 'x' REQUIRE X509");
  });
  afterAll(() => server?.stop());

  function tls(mode: TlsMode, more: Partial<TlsOptions> = {}): { tls: TlsOptions } {
    return { tls: { mode, ...more } };
  }
  const ca = (): string => readFileSync(join(folder, 'ca.pem'), 'utf8');

  test.each<TlsMode>(['disabled', 'required'])(
    'caching_sha2_password with a cold cache, tls %s',
    async (mode) => {
      const account = { user: 'sha2', password: 'a secret ü', ...tls(mode) };
      for (let attempt = 0; attempt < 2; attempt++) {
        await server.query('FLUSH PRIVILEGES');
        const cold = await connect(server, account);
        expect(cold.tls).toBe(mode === 'required');
        const warm = await connect(server, account);
        expect(await warm.query('SELECT 1 AS one, NULL AS nothing')).toEqual([{ one: '1', nothing: null }]);
      }
    },
  );

  test('preferred takes TLS where it is', async () => {
    expect((await connect(server, tls('preferred'))).tls).toBe(true);
    expect((await connect(server, tls('disabled'))).tls).toBe(false);
  });

  test('required does not look at the certificate, verify_ca does', async () => {
    expect((await connect(server, tls('required'))).tls).toBe(true);
    await expect(connect(server, tls('verify_ca'))).rejects.toMatchObject({ code: 'TLS', action: 'stop' });
    expect((await connect(server, tls('verify_ca', { ca: ca() }))).tls).toBe(true);
  });

  test('verify_identity looks at the name, also when the host is an address', async () => {
    const named = await connect(server, { host: 'localhost', ...tls('verify_identity', { ca: ca() }) });
    expect(named.tls).toBe(true);
    // The certificate is for localhost only.
    await expect(connect(server, tls('verify_identity', { ca: ca() }))).rejects.toMatchObject({
      code: 'TLS',
      message: expect.stringContaining('127.0.0.1'),
    });
  });

  test('a client certificate is presented', async () => {
    const account = { user: 'x509', password: 'x' };
    await expect(connect(server, { ...account, ...tls('required') })).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
    });
    const cert = readFileSync(join(folder, 'client.pem'), 'utf8');
    const key = readFileSync(join(folder, 'client.key'), 'utf8');
    expect((await connect(server, { ...account, ...tls('required', { cert, key }) })).tls).toBe(true);
  });

  test('an account that demands TLS is refused without, and the hint says so', async () => {
    const account = { user: 'secure', password: 'x', ...tls('disabled') };
    await expect(connect(server, account)).rejects.toMatchObject({
      code: 'ACCESS_DENIED',
      hint: expect.stringContaining('TLS'),
    });
  });

  describe.each<TlsMode>(['disabled', 'required'])('the socket after the take-over, tls %s', (mode) => {
    test('belongs to us alone: the driver sees no byte, no error and no end', async () => {
      const connection = await connect(server, tls(mode));
      const [row] = await connection.query('SELECT CONNECTION_ID() AS id');
      const socket = connection.takeSocket();
      expect(socket.listenerCount('data')).toBe(0);
      expect(socket.isPaused()).toBe(true);
      expect(() => connection.query('SELECT 1')).toThrow('taken over');
      expect(() => connection.takeSocket()).toThrow('already taken over');
      connection.close();
      const pipe = new CommandPipe(socket, connection.peer);
      open.push(pipe);
      expect(await pipe.query('SELECT CONNECTION_ID()')).toMatchObject({ ok: true, rows: [[row?.id]] });
      expect(await pipe.query(`SELECT REPEAT('x', 5000000)`)).toMatchObject({ ok: true });
      const ended = expect(pipe.query('DO SLEEP(30)')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
      await server.query(`KILL ${row?.id}`);
      await ended;
      expect(socket.destroyed).toBe(true);
    });

    test('is refused while a statement runs', async () => {
      const connection = await connect(server, tls(mode));
      const running = connection.query('DO SLEEP(0.2)');
      expect(() => connection.takeSocket()).toThrow('while a statement runs');
      await running;
      (connection.takeSocket() as net.Socket).destroy();
    });
  });

  test('a statement without an answer is given up', async () => {
    const connection = await openConnection(endpoint(server), { purpose: 'the source', queryTimeoutMs: 200 });
    open.push(connection);
    await expect(connection.query('DO SLEEP(30)')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    await expect(connection.query('DO 1')).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
  });

  test('a server that accepts and says nothing is given up; an abort ends it earlier', async () => {
    const proxy = await CuttingProxy.start({ host: server.host, port: server.port });
    proxy.swallow(true);
    try {
      const silent = { host: proxy.host, port: proxy.port, connectTimeoutMs: 300 };
      await expect(connect(server, silent)).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
      const abort = new AbortController();
      const attempt = openConnection(endpoint(server, { ...silent, connectTimeoutMs: 60_000 }), {
        purpose: 'the source',
        signal: abort.signal,
      });
      setTimeout(() => abort.abort(), 50);
      await expect(attempt).rejects.toMatchObject({ code: 'CONNECTION_LOST' });
    } finally {
      await proxy.stop();
    }
  });

  test('a command of our own gets its answer, and its refusal', async () => {
    const connection = await connect(server);
    const ping = Buffer.from([1, 0, 0, 0, 0x0e]);
    await connection.command(ping, 'ping');
    await connection.command(ping, 'ping');
    await expect(connection.command(Buffer.from([1, 0, 0, 0, 0x50]), 'be odd')).rejects.toMatchObject({
      message: expect.stringContaining('cannot be odd'),
    });
    expect(await connection.query('SELECT 2 AS two')).toEqual([{ two: '2' }]);
  });
});

test('a server without TLS: preferred goes on in clear, required refuses', async () => {
  const server = await startServer({ flavour: 'mariadb', args: ['--skip-ssl'] });
  try {
    expect((await connect(server, { tls: { mode: 'preferred' } })).tls).toBe(false);
    await expect(connect(server, { tls: { mode: 'required' } })).rejects.toMatchObject({ code: 'TLS' });
  } finally {
    await server.stop();
  }
});

test('mysql_native_password, as MariaDB has it', async () => {
  const server = await startServer({ flavour: 'mariadb' });
  try {
    await server.query("CREATE USER native@'%' IDENTIFIED BY 'secret'");
    const connection = await connect(server, { user: 'native', password: 'secret' });
    expect(connection.flavour).toBe('mariadb');
    expect(connection.serverVersion).toMatch(/^1\d\./);
  } finally {
    await server.stop();
  }
});

/** A private authority, a server certificate for the name localhost, and a client certificate. */
function makeCertificates(folder: string): void {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: folder, stdio: 'ignore' });
  };
  openssl(
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=Test CA',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
  );
  writeFileSync(join(folder, 'names.txt'), 'subjectAltName = DNS:localhost\n');
  for (const [name, subject] of [
    ['server', '/CN=localhost'],
    ['client', '/CN=millrace'],
  ] as const) {
    openssl(
      'req',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-subj',
      subject,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    );
    const extensions = name === 'server' ? ['-extfile', 'names.txt'] : [];
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      'ca.pem',
      '-CAkey',
      'ca.key',
      '-CAcreateserial',
      '-days',
      '2',
      '-out',
      `${name}.pem`,
      ...extensions,
    );
  }
}
