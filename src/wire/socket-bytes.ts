/**
 * Bytes as they come in, without an allocation for each read.
 *
 * Node gives every read of a socket a buffer of 64 KiB of its own, also where eleven bytes came, and frees it by garbage collection.
 * A connection made here reads into one buffer for its whole life (`onread`). Until somebody receives its bytes, as long as the driver
 * authenticates, they are handed on as 'data' events, copied. A TLS socket is made over another one and has no such buffer: its bytes
 * come as 'data' events for ever, a record of at most 16 KiB each. Who has something to do once for all that has come
 * (`receiveTogether`) gets them joined.
 * Any thread.
 */
import { once } from 'node:events';
import net from 'node:net';

/** Bytes [0, end) of `buf`, which belongs to the socket and is used again afterwards: copy what is kept. */
export type BytesReceiver = (buf: Buffer, end: number) => void;

const receivers = new WeakMap<net.Socket, { receive: BytesReceiver | null }>();

/** Connects without delay of small packets; `bufferLength` bytes at most come in at once. */
export function connectWithBuffer(to: { host: string; port: number }, bufferLength: number): net.Socket {
  const receiver: { receive: BytesReceiver | null } = { receive: null };
  const buffer = Buffer.allocUnsafeSlow(bufferLength);
  const socket = net.connect({
    ...to,
    noDelay: true,
    onread: {
      buffer,
      callback(length) {
        if (receiver.receive !== null) receiver.receive(buffer, length);
        else socket.emit('data', Buffer.from(buffer.subarray(0, length)));
        return true;
      },
    },
  });
  receivers.set(socket, receiver);
  return socket;
}

/** From now on `receive` gets what the socket reads. The caller resumes it. */
export function receiveBytes(socket: net.Socket, receive: BytesReceiver): void {
  const receiver = receivers.get(socket);
  if (receiver === undefined) socket.on('data', (chunk: Buffer) => receive(chunk, chunk.length));
  else receiver.receive = receive;
}

/**
 * As `receiveBytes`; what comes as 'data' events in one turn of the event loop is received together, up to `length` bytes. Nothing is
 * kept longer than the turn, and nothing that came before the socket's end or error is received after it.
 */
export function receiveTogether(socket: net.Socket, length: number, receive: BytesReceiver): void {
  if (receivers.has(socket)) {
    receiveBytes(socket, receive);
    return;
  }
  const joined = Buffer.allocUnsafeSlow(length);
  let fill = 0;
  let turn: NodeJS.Immediate | null = null;
  const handOn = (): void => {
    if (turn !== null) clearImmediate(turn);
    turn = null;
    const end = fill;
    fill = 0;
    if (end > 0) receive(joined, end);
  };
  socket.on('data', (chunk: Buffer) => {
    if (chunk.length > length - fill) handOn();
    if (chunk.length > length) {
      receive(chunk, chunk.length);
      return;
    }
    chunk.copy(joined, fill);
    fill += chunk.length;
    turn ??= setImmediate(handOn);
  });
  for (const event of ['end', 'error', 'close']) socket.prependListener(event, handOn);
}

/** Until it takes more, or is closed. Never rejects. */
export async function untilDrained(socket: net.Socket): Promise<void> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort();
  socket.once('close', onClose);
  await once(socket, 'drain', { signal: gone.signal }).catch(() => {});
  socket.removeListener('close', onClose);
}
