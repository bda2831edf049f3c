import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { CuttingProxy } from '../../support/cutting-proxy.ts';

let echo: Server;
let proxy: CuttingProxy;
const sockets: Socket[] = [];

beforeEach(async () => {
  echo = createServer((socket) => {
    socket.on('error', () => {});
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
  proxy = await CuttingProxy.start({ host: '127.0.0.1', port: (echo.address() as { port: number }).port });
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await proxy.stop();
  await new Promise<void>((resolve) => echo.close(() => resolve()));
});

interface Client {
  readonly socket: Socket;
  received(): number;
  /** Resolves when so many bytes came back. */
  got(bytes: number): Promise<void>;
  readonly closed: Promise<void>;
}

async function client(): Promise<Client> {
  const socket = connect({ host: '127.0.0.1', port: proxy.port });
  sockets.push(socket);
  let received = 0;
  socket.on('data', (chunk) => {
    received += chunk.length;
    socket.emit('counted');
  });
  const closed = new Promise<void>((resolve) => {
    socket.on('error', () => {});
    socket.on('close', () => resolve());
  });
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  const got = (bytes: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (received < bytes) return;
        socket.off('counted', look);
        resolve();
      };
      socket.on('counted', look);
      look();
    });
  return { socket, received: () => received, got, closed };
}

describe('the cutting proxy', () => {
  test('it forwards bytes both ways', async () => {
    const one = await client();
    one.socket.write(Buffer.alloc(100_000, 7));
    await one.got(100_000);
    expect(proxy.bytes).toBe(200_000);
  });

  test('a connection is cut behind exactly the byte that was asked for', async () => {
    const one = await client();
    const cut = proxy.cutAfter(1234, 'from-server', 'close');
    one.socket.write(Buffer.alloc(5000, 1));
    await cut;
    await one.closed;
    expect(one.received()).toBe(1234);
    expect(proxy.cuts).toBe(1);
  });

  test('after a cut, a new connection works again', async () => {
    const one = await client();
    const cut = proxy.cutAfter(10);
    one.socket.write('more than ten bytes');
    await cut;
    await one.closed;
    const two = await client();
    two.socket.write('hello');
    await two.got(5);
  });

  test('swallowed bytes never arrive, and the connection stays open', async () => {
    const one = await client();
    one.socket.write('abc');
    await one.got(3);
    proxy.swallow(true);
    one.socket.write('lost');
    await vi.waitUntil(() => proxy.swallowed === 4);
    proxy.swallow(false);
    one.socket.write('xy');
    await one.got(5);
    expect(one.received()).toBe(5);
    expect(one.socket.destroyed).toBe(false);
  });

  test('while it refuses, nobody gets in', async () => {
    proxy.refuse(true);
    const one = await client();
    await one.closed;
    expect(proxy.connections).toBe(0);
  });
});
