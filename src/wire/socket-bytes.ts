/**
 * Bytes as they come in, without an allocation for each read.
 *
 * Node gives every read of a socket a buffer of 64 KiB of its own, also where eleven bytes came, and frees it by garbage collection.
 * A connection made here reads into one buffer for its whole life (`onread`). Until somebody receives its bytes, as long as the driver
 * authenticates, they are handed on as 'data' events, copied. A TLS socket is made over another one and has no such buffer: its bytes
 * come as 'data' events for ever.
 * Any thread.
 */
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
