/**
 * The HTTP server as a client meets it, around one hand-made observation.
 */
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { silentLogger, systemClock } from '../../../src/base/runtime.ts';
import type { HttpConfig } from '../../../src/config/config.ts';
import { Secret } from '../../../src/config/secret.ts';
import { HttpServer } from '../../../src/observe/http-server.ts';
import { Observer } from '../../../src/observe/observer.ts';
import { readPageFiles } from '../../../src/observe/page-files.ts';
import { RecentEvents } from '../../../src/observe/recent-events.ts';
import { snapshot } from './snapshots.ts';

const TOKEN = '0123456789abcdef';
const commands: { verb: string; fields: unknown; from: string }[] = [];
let looks = 0;
let http: HttpServer;
let base: string;

const observer = new Observer({
  look: async () => {
    looks += 1;
    return [snapshot()];
  },
  version: '0.1.0',
  startedWallMs: 0,
  clock: systemClock,
  log: silentLogger,
  recent: new RecentEvents(),
});

function listen(config: Partial<HttpConfig> = {}): Promise<HttpServer> {
  return HttpServer.listen({
    config: {
      listen: { host: '127.0.0.1', port: 0 },
      token: new Secret(TOKEN),
      allowedHosts: ['millrace.internal'],
      ...config,
    },
    log: silentLogger,
    observer,
    files: readPageFiles(),
    metrics: async () => ({ type: 'text/plain; version=0.0.4', text: 'a 1\n' }),
    command: async (verb, fields, from) => {
      commands.push({ verb, fields, from });
      if (fields.channel === 'nowhere') throw new MillraceError('CONFIG', 'there is no channel nowhere');
      if (fields.channel === 'late') throw new MillraceError('NOT_POSSIBLE', 'it is executed');
      if (fields.channel === 'broken') throw new Error('a bug');
      return { done: verb };
    },
    verbs: ['pause', 'skip'],
  });
}

beforeAll(async () => {
  http = await listen();
  base = `http://127.0.0.1:${http.port}`;
});
afterAll(() => http.close());

function post(verb: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${base}/api/${verb}`, {
    method: 'POST',
    body,
    headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', ...headers },
  });
}

/** What comes back for these bytes, until the server closes or `ms` are over. */
async function raw(bytes: string, ms = 3000): Promise<string> {
  const socket: Socket = connect(http.port, '127.0.0.1');
  let answer = '';
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString('latin1');
  });
  socket.on('error', () => {});
  socket.write(bytes);
  await Promise.race([closed, delay(ms)]);
  socket.destroy();
  return answer;
}

describe('reading', () => {
  test.each([
    ['/', 200, 'text/html; charset=utf-8'],
    ['/page/style.css', 200, 'text/css; charset=utf-8'],
    ['/page/main.js', 200, 'text/javascript; charset=utf-8'],
    ['/page/uplot.js', 200, 'text/javascript; charset=utf-8'],
    ['/status.json', 200, 'application/json; charset=utf-8'],
    ['/history.json', 200, 'application/json; charset=utf-8'],
    ['/metrics', 200, 'text/plain; version=0.0.4'],
    ['/healthz', 200, 'text/plain; charset=utf-8'],
    ['/readyz', 200, 'text/plain; charset=utf-8'],
    ['/healthz/lag?max=5000h', 200, 'text/plain; charset=utf-8'],
    ['/healthz/lag?channel=orders&target=standby&max=1ms', 503, 'text/plain; charset=utf-8'],
    ['/healthz/lag?channel=nowhere', 404, 'text/plain; charset=utf-8'],
    ['/healthz/lag?target=nowhere', 404, 'text/plain; charset=utf-8'],
    ['/healthz/lag?max=5', 400, 'text/plain; charset=utf-8'],
    ['/healthz/lag?max=soon', 400, 'text/plain; charset=utf-8'],
    ['/history.json?channel=nowhere', 404, 'text/plain; charset=utf-8'],
    ['/nowhere', 404, 'text/plain; charset=utf-8'],
    ['/page/../package.json', 404, 'text/plain; charset=utf-8'],
    ['/page/%2e%2e/package.json', 404, 'text/plain; charset=utf-8'],
  ])('%s is %d, %s', async (path, status, type) => {
    const response = await fetch(base + path);
    expect([response.status, response.headers.get('content-type')]).toEqual([status, type]);
    const body = await response.text();
    if (type.startsWith('text/plain') && !path.startsWith('/metrics'))
      expect(body.match(/\n/g)).toHaveLength(1);
  });

  test('no answer may be kept, framed, sniffed or run what is not ours', async () => {
    for (const path of ['/', '/status.json', '/nowhere', '/metrics']) {
      const { headers } = await fetch(base + path);
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';/,
      );
      expect(headers.get('content-security-policy')).not.toMatch(/unsafe|\*|data:|http/);
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('x-frame-options')).toBe('DENY');
      expect(headers.get('access-control-allow-origin')).toBeNull();
      expect(headers.get('server')).toBeNull();
    }
  });

  test('the page holds no script and no style of its own, which the policy would refuse', async () => {
    const html = await (await fetch(base)).text();
    expect(html).not.toMatch(/<style|<script(?![^>]*src=)|\son\w+=|style=|javascript:/i);
  });

  test('a hundred scrapes at once, and one every 100 ms, are answered from few looks', async () => {
    await delay(300);
    looks = 0;
    const begun = performance.now();
    await Promise.all(Array.from({ length: 100 }, () => fetch(`${base}/status.json`)));
    expect(looks).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - begun) / 250));
    for (let n = 0; n < 12; n++) {
      expect((await fetch(`${base}/status.json`)).status).toBe(200);
      await delay(100);
    }
    expect(looks).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - begun) / 250));
  });

  test('HEAD has the head alone', async () => {
    const response = await fetch(`${base}/status.json`, { method: 'HEAD' });
    expect(response.status).toBe(200);
    expect(Number(response.headers.get('content-length'))).toBeGreaterThan(100);
    expect(await response.text()).toBe('');
  });

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])(
    '%s of what is to be read is refused',
    async (method) => {
      const response = await fetch(`${base}/status.json`, { method });
      expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    },
  );

  test('a foreign name and a foreign page get nothing', async () => {
    const rebound = await raw('GET /status.json HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n');
    expect(rebound).toMatch(/^HTTP\/1.1 421 /);
    expect(rebound).not.toContain('standby');
    const foreign = await fetch(`${base}/status.json`, { headers: { origin: 'http://evil.example' } });
    expect(foreign.status).toBe(403);
    const named = await raw('GET /healthz HTTP/1.1\r\nHost: millrace.internal\r\nConnection: close\r\n\r\n');
    expect(named).toMatch(/^HTTP\/1.1 200 /);
  });

  test('a health check of HTTP/1.0, without a Host, is answered', async () => {
    expect(await raw('GET /healthz/lag?max=5000h HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 200 [\s\S]*fresh: /);
  });
});

describe('deciding', () => {
  test('a request with the token reaches the desk, with where it came from', async () => {
    const response = await post('pause', '{"channel":"orders","part":"standby"}');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ ok: true, result: { done: 'pause' } });
    expect(commands.at(-1)).toEqual({
      verb: 'pause',
      fields: { channel: 'orders', part: 'standby' },
      from: '127.0.0.1',
    });
  });

  test.each([
    ['without a token', { authorization: '' }, 401],
    ['with a wrong one', { authorization: 'Bearer fedcba9876543210' }, 403],
    ['from another site', { origin: 'http://evil.example' }, 403],
    ['as a form', { 'content-type': 'text/plain' }, 415],
  ])('not %s: nothing reaches the desk', async (_what, headers, status) => {
    const before = commands.length;
    const response = await post('pause', '{}', headers);
    expect(response.status).toBe(status);
    if (status === 401) expect(response.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(await response.text()).not.toContain(TOKEN);
    expect(commands).toHaveLength(before);
  });

  test.each([
    ['an unknown verb', 'explode', '{}', 404],
    ['a verb of the socket alone', 'stop', '{}', 404],
    ['no JSON', 'pause', '{', 400],
    ['a list', 'pause', '[]', 400],
    ['an unknown channel', 'pause', '{"channel":"nowhere"}', 404],
    ['too late', 'skip', '{"channel":"late"}', 409],
    ['a fault of ours', 'skip', '{"channel":"broken"}', 500],
    ['a body without end', 'pause', `{"a":"${'x'.repeat(9000)}"}`, 413],
  ])('%s is said clearly', async (_what, verb, body, status) => {
    expect((await post(verb, body)).status).toBe(status);
  });

  test('GET changes nothing', async () => {
    const before = commands.length;
    const response = await fetch(`${base}/api/pause`, { headers: { authorization: `Bearer ${TOKEN}` } });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST']);
    expect(commands).toHaveLength(before);
  });
});

describe('clients that are slow, dead or hostile', () => {
  test.each([
    ['no HTTP', 'hello\r\n\r\n', /^HTTP\/1.1 400 /],
    [
      'a head without end',
      `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ${'a'.repeat(20_000)}`,
      /^HTTP\/1.1 4(00|31) /,
    ],
    [
      'two lengths',
      'POST /api/pause HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    [
      'a length and chunks',
      'POST /api/pause HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
    ['no Host', 'GET / HTTP/1.1\r\n\r\n', /^HTTP\/1.1 400 /],
    [
      'a whole URL',
      'GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n',
      /^HTTP\/1.1 400 /,
    ],
  ])('%s is refused', async (_what, bytes, answer) => {
    expect(await raw(bytes)).toMatch(answer);
  });

  test('whoever says nothing, or says it too slowly, is let go, and others are answered meanwhile', async () => {
    const silent = connect(http.port, '127.0.0.1');
    const slow = connect(http.port, '127.0.0.1');
    const gone = Promise.all(
      [silent, slow].map((socket) => new Promise((resolve) => socket.on('close', resolve))),
    );
    for (const socket of [silent, slow]) socket.on('error', () => {}).resume();
    slow.write('GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n');
    const drip = setInterval(() => slow.write('X: a\r\n'), 300);
    expect((await fetch(`${base}/healthz`)).status).toBe(200);
    await gone;
    clearInterval(drip);
  });

  test('more clients than there are places do not get in, and the places come back', async () => {
    const sockets = Array.from({ length: 300 }, () => connect(http.port, '127.0.0.1'));
    let closed = 0;
    for (const socket of sockets) {
      socket.on('error', () => {});
      socket.on('close', () => {
        closed += 1;
      });
    }
    while (closed < 20) await delay(20);
    for (const socket of sockets) socket.destroy();
    const deadline = Date.now() + 20_000;
    for (;;) {
      const answer = await fetch(`${base}/healthz`).catch(() => null);
      if (answer?.status === 200) break;
      expect(Date.now()).toBeLessThan(deadline);
      await delay(50);
    }
  });
});

describe('listening', () => {
  test('a port in use: which one, and what to do', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const { port } = other.address() as { port: number };
    await expect(listen({ listen: { host: '127.0.0.1', port } })).rejects.toMatchObject({
      code: 'HTTP_LISTEN',
      message: `http.listen: 127.0.0.1:${port} is in use by another process`,
      hint: `Choose another port in http.listen, or end that process (ss -ltnp 'sport = :${port}' shows it).`,
    });
    other.close();
  });

  test('an address of another machine', async () => {
    await expect(listen({ listen: { host: '192.0.2.1', port: 0 } })).rejects.toMatchObject({
      code: 'HTTP_LISTEN',
    });
  });

  test('without a token everything can be read, and nothing decided', async () => {
    const open = await listen({ token: null });
    const url = `http://127.0.0.1:${open.port}`;
    expect((await fetch(`${url}/status.json`)).status).toBe(200);
    const response = await fetch(`${url}/api/pause`, { method: 'POST', body: '{}' });
    expect(response.status).toBe(403);
    expect(await response.text()).toBe('no token is configured: set http.token_file and start again\n');
    await open.close();
  });
});
