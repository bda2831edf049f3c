import { existsSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import {
  type ControlHandler,
  ControlServer,
  callControl,
  controlSocketPath,
} from '../../../src/channel/control-socket.ts';
import { temporaryFolder } from '../../support/repository.ts';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function serve(handler: ControlHandler): Promise<string> {
  const folder = temporaryFolder('control');
  open.push(await ControlServer.listen(folder, handler));
  return folder;
}

/** Sends bytes as they are; everything that comes back until the other side ends. */
function raw(folder: string, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(controlSocketPath(folder), () => socket.write(bytes));
    socket.on('data', (chunk) => {
      answer += chunk.toString('utf8');
      if (answer.endsWith('\n')) socket.end();
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

describe('the control socket', () => {
  test('answers a request with the result of its handler', async () => {
    const folder = await serve(async (request) => ({ asked: request.do }));
    expect(await callControl(folder, { do: 'status' }, 10_000)).toEqual({ asked: 'status' });
    expect(await callControl(folder, { do: 'stop' }, 10_000)).toEqual({ asked: 'stop' });
  });

  test('carries an error with its code, action and hint', async () => {
    const folder = await serve(async () => {
      throw new MillraceError('DISK', 'no disk', { hint: 'Buy one.', facts: { path: '/x' } });
    });
    await expect(callControl(folder, { do: 'status' }, 10_000)).rejects.toMatchObject({
      code: 'DISK',
      message: 'no disk',
      hint: 'Buy one.',
      facts: { path: '/x' },
    });
  });

  test('carries a status of megabytes', async () => {
    const large = 'x'.repeat(5_000_000);
    const folder = await serve(async () => large);
    expect(await callControl(folder, { do: 'status' }, 20_000)).toBe(large);
  });

  test('is for its owner alone', async () => {
    const folder = await serve(async () => null);
    expect(statSync(controlSocketPath(folder)).mode & 0o777).toBe(0o600);
  });

  test('its file is gone after the close', async () => {
    const folder = temporaryFolder('control');
    const server = await ControlServer.listen(folder, async () => null);
    await server.close();
    expect(existsSync(controlSocketPath(folder))).toBe(false);
  });

  test.each([
    ['no JSON', 'hello\n', 'the request is not JSON'],
    ['no object', '5\n', 'unknown request'],
    ['null', 'null\n', 'unknown request'],
    ['an unknown verb', '{"do":"format the disk"}\n', 'unknown request'],
    ['an empty line', '\n', 'the request is not JSON'],
  ])('%s is answered with an error', async (_what, bytes, message) => {
    const folder = await serve(async () => null);
    const answer = JSON.parse(await raw(folder, bytes)) as { ok: boolean; error: { message: string } };
    expect(answer.ok).toBe(false);
    expect(answer.error.message).toContain(message);
  });

  test('a request without an end is cut off, and others are still served', async () => {
    const folder = await serve(async () => 'fine');
    expect(await raw(folder, Buffer.alloc(70_000, 0x61))).toBe('');
    expect(await callControl(folder, { do: 'ping' }, 10_000)).toBe('fine');
  });

  test('whoever sends nothing is let go, and whoever waits for an answer is not', async () => {
    const folder = temporaryFolder('control');
    let finish = (): void => {};
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    const handler = () => finished.then(() => 'done');
    open.push(await ControlServer.listen(folder, handler, { idleMs: 50 }));
    const answer = callControl(folder, { do: 'status' }, 20_000);
    // Three clients that say nothing come and are let go, one after the other, while that one waits.
    for (let client = 0; client < 3; client++) expect(await raw(folder, '')).toBe('');
    finish();
    expect(await answer).toBe('done');
  });

  test('a request in pieces, and two in one piece, are all answered in order', async () => {
    const folder = await serve(async ({ do: verb }) => verb);
    const answers = await new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(controlSocketPath(folder), () => {
        socket.write('{"do":');
        setImmediate(() => socket.write('"ping"}\n{"do":"status"}\n'));
      });
      socket.on('data', (chunk) => {
        text += chunk.toString('utf8');
        if (text.split('\n').length === 3) socket.end();
      });
      socket.on('close', () => resolve(text));
    });
    expect(answers).toBe('{"ok":true,"result":"ping"}\n{"ok":true,"result":"status"}\n');
  });

  test('takes the place of a dead process', async () => {
    const folder = temporaryFolder('control');
    writeFileSync(controlSocketPath(folder), '');
    open.push(await ControlServer.listen(folder, async () => 'new'));
    expect(await callControl(folder, { do: 'ping' }, 10_000)).toBe('new');
  });

  test('a path that no socket can have is refused before anything is tried', async () => {
    const folder = join('/tmp', 'd'.repeat(120));
    const error = {
      code: 'CONFIG',
      message: expect.stringMatching(/^data_dir is too long: .* has 139 bytes/),
    };
    expect(() => controlSocketPath(folder)).toThrow(expect.objectContaining(error));
    await expect((async () => callControl(folder, { do: 'ping' }, 10))()).rejects.toMatchObject(error);
  });
});

describe('a call', () => {
  test('without a process is NOT_RUNNING, naming data_dir and the command to start', async () => {
    const folder = temporaryFolder('control');
    await expect(callControl(folder, { do: 'status' }, 1_000)).rejects.toMatchObject({
      code: 'NOT_RUNNING',
      message: `no Millrace runs on data_dir ${folder}`,
      hint: expect.stringContaining('millrace start'),
    });
  });

  function deaf(folder: string, onSocket: (socket: import('node:net').Socket) => void): Promise<Server> {
    return new Promise((resolve) => {
      const server = createServer(onSocket);
      open.push(server);
      server.listen(controlSocketPath(folder), () => resolve(server));
    });
  }

  test('to a process that does not answer gives up in time', async () => {
    const folder = temporaryFolder('control');
    await deaf(folder, () => {});
    await expect(callControl(folder, { do: 'status' }, 30)).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
    });
  });

  test('to a process that ends before it answers says so', async () => {
    const folder = temporaryFolder('control');
    await deaf(folder, (socket) => socket.destroy());
    await expect(callControl(folder, { do: 'status' }, 10_000)).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
    });
  });

  test('to something else that speaks is a typed error', async () => {
    const folder = temporaryFolder('control');
    await deaf(folder, (socket) => socket.write('HTTP/1.1 400 Bad Request\n'));
    await expect(callControl(folder, { do: 'status' }, 10_000)).rejects.toMatchObject({ code: 'PROTOCOL' });
  });
});
