import net from 'node:net';
import { describe, expect, test } from 'vitest';
import { CommandPipe } from '../../../src/wire/command-pipe.ts';

describe('a server that breaks the protocol', () => {
  async function against(bytes: Buffer): Promise<unknown> {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', () => socket.write(bytes));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const socket = net.connect(port, '127.0.0.1');
    const pipe = new CommandPipe(socket, { host: '127.0.0.1', port, user: 'u' });
    try {
      return await pipe.run([Buffer.from('DO 1')]).catch((error: unknown) => error);
    } finally {
      expect(socket.destroyed).toBe(true);
      server.close();
    }
  }

  test.each([
    ['a request for a local file', [2, 0, 0, 1, 0xfb, 0x2f], 'PROTOCOL'],
    ['a wrong sequence number', [7, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0], 'PROTOCOL'],
    ['an OK packet cut short', [3, 0, 0, 1, 0, 0, 0], 'MALFORMED_EVENT'],
    ['a huge number of columns', [4, 0, 0, 1, 0xfd, 0xff, 0xff, 0xff], 'PROTOCOL'],
    ['an empty packet', [0, 0, 0, 1], 'MALFORMED_EVENT'],
  ])('%s closes the connection', async (_name, bytes, code) => {
    expect(await against(Buffer.from(bytes))).toMatchObject({ code });
  });

  test('a reply that never ends is not collected for ever', async () => {
    const endless = Buffer.alloc(70_000, 0x20);
    endless.writeUIntLE(0xfffff0, 0, 3);
    endless[3] = 1;
    endless[4] = 0;
    expect(await against(endless)).toMatchObject({ code: 'PROTOCOL' });
  });
});

describe('a packet of several statements that is answered in part and then silent', () => {
  const ok = (sequence: number): Buffer => Buffer.from([7, 0, 0, sequence, 0, 0, 0, 2, 0, 0, 0]);

  /** Answers the packet's first statement; the rest as `onPing` says, when it is asked. */
  async function runTwo(onPing: (socket: net.Socket) => void): Promise<unknown> {
    const server = net.createServer((socket) => {
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        for (let at = 0; at < chunk.length; at += 4 + chunk.readUIntLE(at, 3)) {
          const command = chunk[at + 4];
          if (command === 0x1b) socket.write(Buffer.from([5, 0, 0, 1, 0xfe, 0, 0, 2, 0]));
          else if (command === 0x03) socket.write(ok(1));
          else onPing(socket);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as net.AddressInfo;
    const pipe = new CommandPipe(net.connect(port, '127.0.0.1'), { host: '127.0.0.1', port, user: 'u' });
    try {
      return await pipe
        .runTogether([Buffer.from('DO 1'), Buffer.from('COMMIT')])
        .catch((error: unknown) => error);
    } finally {
      pipe.close();
      server.close();
    }
  }

  test('is waited for when its next statement takes long', async () => {
    const replies = await runTwo((socket) => socket.write(Buffer.concat([ok(2), ok(1)])));
    expect(replies).toMatchObject([{ ok: true }, { ok: true }]);
  });

  test('was broken off when the server answers something else: the connection is given up', async () => {
    expect(await runTwo((socket) => socket.write(ok(1)))).toMatchObject({
      code: 'PROTOCOL',
      action: 'retry',
    });
  });
});
