import net from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { receiveTogether } from '../../../src/wire/socket-bytes.ts';

/** One without a buffer of its own, as a TLS socket is. */
let socket: net.Socket;
let received: string[];
beforeEach(() => {
  socket = new net.Socket();
  socket.on('error', () => received.push('the error'));
  received = [];
  receiveTogether(socket, 8, (buf, end) => void received.push(buf.toString('latin1', 0, end)));
});

function come(...chunks: string[]): void {
  for (const chunk of chunks) socket.emit('data', Buffer.from(chunk));
}

describe('what a socket delivers in small pieces', () => {
  test('in one turn of the event loop is received at once, and not later than in that turn', async () => {
    come('abc', 'de', 'f');
    expect(received).toEqual([]);
    await nextTurn();
    expect(received).toEqual(['abcdef']);
    come('g');
    await nextTurn();
    await nextTurn();
    expect(received).toEqual(['abcdef', 'g']);
  });

  test('is received in the order in which it came, however long it is', async () => {
    come('abcdef', 'ghi', 'longer than the buffer', 'j', 'k');
    await nextTurn();
    expect(received).toEqual(['abcdef', 'ghi', 'longer than the buffer', 'jk']);
  });

  test.each([
    ['the end', () => socket.emit('end'), []],
    ['an error', () => socket.emit('error', new Error('reset')), ['the error']],
  ])('before %s is received before that', async (_what, happens, told) => {
    come('abc');
    happens();
    expect(received).toEqual(['abc', ...told]);
    await nextTurn();
    expect(received).toEqual(['abc', ...told]);
  });
});
