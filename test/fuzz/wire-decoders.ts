/**
 * What comes from a socket before it is an event: packet framing and error packets.
 */
import type net from 'node:net';
import { Duplex } from 'node:stream';
import { MillraceError } from '../../src/base/errors.ts';
import { CommandPipe } from '../../src/wire/command-pipe.ts';
import { framePacket, PacketReader } from '../../src/wire/packet-framing.ts';
import { decodeErrorPacket, dumpError } from '../../src/wire/wire-error.ts';
import type { FuzzDecoder } from './fuzzer.ts';

const PEER = { host: 'db1', port: 3306, user: 'repl' };
const ERRORS: readonly [errno: number, state: string, message: string][] = [
  [1236, 'HY000', 'Could not find first log file name in binary log index file'],
  [
    1236,
    'HY000',
    'The slave is connecting using CHANGE MASTER TO MASTER_AUTO_POSITION = 1, but the master has purged',
  ],
  [1045, '28000', "Access denied for user 'repl'@'localhost' (using password: YES)"],
  [
    1227,
    '42000',
    'Access denied; you need (at least one of) the REPLICATION SLAVE privilege(s) for this operation',
  ],
];

function errorPacket(errno: number, state: string, message: string): Buffer {
  const head = Buffer.from([0xff, errno & 0xff, errno >> 8]);
  return Buffer.concat([head, Buffer.from(`#${state}${message}`)]);
}

const errorPackets: FuzzDecoder = {
  name: 'error-packet',
  weight: 0.5,
  seeds: [...ERRORS.map((each) => errorPacket(...each)), Buffer.from([0xff, 0x10, 0x04, 0x41])],
  run: (buf, start, end) => {
    const error = decodeErrorPacket(buf, start, end);
    return [error, dumpError(error, PEER).message];
  },
};

/** The first byte of an input says how it is cut into chunks. */
const packets: FuzzDecoder = {
  name: 'packet-framing',
  weight: 1,
  seeds: [1, 7, 100].map((chunk) => {
    const bodies = ERRORS.map((each) => errorPacket(...each));
    return Buffer.concat([
      Buffer.from([chunk]),
      ...bodies.flatMap((each, i) => [header(each.length, i), each]),
    ]);
  }),
  run: (buf, start, end) => {
    const pieces: unknown[] = [];
    const reader = new PacketReader({
      piece: (chunk, from, to, first, last) => {
        if (from < 0 || to > chunk.length || from > to) throw new Error(`a piece from ${from} to ${to}`);
        pieces.push([to - from, first, last]);
      },
    });
    const step = 1 + (buf[start] ?? 0);
    for (let at = start + 1; at < end; at += step) reader.push(buf.subarray(at, Math.min(end, at + step)));
    return [pieces, reader.atBoundary, reader.sequence];
  },
};

const OK = Buffer.from([0, 0, 0, 2, 0, 0, 0]);
const OK_WITH_INFO = Buffer.concat([Buffer.from([0, 1, 0, 2, 0, 0, 0, 16]), Buffer.from('Rows matched: 1 ')]);
const EOF_PACKET = Buffer.from([0xfe, 0, 0, 2, 0]);
const COLUMN = Buffer.from('\x03def\0\0\0\x01a\0\x0c\x3f\0\x14\0\0\0\x08\x81\0\0\0\0', 'latin1');
const ROWS = [
  Buffer.from([1]),
  COLUMN,
  EOF_PACKET,
  Buffer.from('\x0212', 'latin1'),
  Buffer.from([0xfb]),
  EOF_PACKET,
];

/** The packets of one reply, numbered as a server does after a command of one packet. */
const reply = (...packets: Buffer[]): Buffer =>
  Buffer.concat(packets.map((each, i) => framePacket(each, i + 1)));

/** Replies to three statements and one query in a pipe. The first byte of an input is the chunk length. */
const replies: FuzzDecoder = {
  name: 'reply-pipe',
  weight: 0.2,
  seeds: [
    [reply(OK), reply(OK_WITH_INFO), reply(...ROWS), reply(...ROWS)],
    [reply(OK), reply(errorPacket(...ERRORS[2]!)), reply(OK), reply(...ROWS)],
  ].map((each) => Buffer.concat([Buffer.from([200]), ...each])),
  runAsync: async (buf, start, end) => {
    const socket = new Duplex({ read() {}, write: (_chunk, _encoding, done) => done() }) as net.Socket;
    const pipe = new CommandPipe(socket, PEER);
    const statements = ['SELECT 1', 'SELECT 2', 'SELECT 3'].map((sql) => pipe.run([Buffer.from(sql)]));
    const all = Promise.allSettled<unknown>([...statements, pipe.query('SELECT 4')]);
    const step = 1 + (buf[start] ?? 0);
    for (let at = start + 1; at < end; at += step)
      socket.emit('data', buf.subarray(at, Math.min(end, at + step)));
    pipe.close();
    socket.destroy();
    for (const one of await all) {
      if (one.status === 'fulfilled') continue;
      if (!(one.reason instanceof MillraceError) || one.reason.code === 'INTERNAL') throw one.reason;
    }
    if (pipe.inFlight > 0) throw new Error('a statement has neither a reply nor an error');
    return all;
  },
};

function header(length: number, sequence: number): Buffer {
  const out = Buffer.alloc(4, sequence);
  out.writeUIntLE(length, 0, 3);
  return out;
}

export function wireDecoders(): FuzzDecoder[] {
  return [errorPackets, packets, replies];
}
