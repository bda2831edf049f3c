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
