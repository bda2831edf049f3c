/**
 * What comes from a socket before it is an event: packet framing and error packets.
 */
import { PacketReader } from '../../src/wire/packet-framing.ts';
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

function header(length: number, sequence: number): Buffer {
  const out = Buffer.alloc(4, sequence);
  out.writeUIntLE(length, 0, 3);
  return out;
}

export function wireDecoders(): FuzzDecoder[] {
  return [errorPackets, packets];
}
