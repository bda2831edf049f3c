/**
 * What has to be decompressed: TRANSACTION_PAYLOAD_EVENT, its zstd stream, and MariaDB's compressed events.
 */
import { deflateSync } from 'node:zlib';
import { ByteDecoder } from '../../src/binlog/byte-decoder.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../../src/binlog/event-header.ts';
import { decompressMariadbEvent, isMariadbCompressed } from '../../src/binlog/mariadb-compression.ts';
import {
  decodePayloadHeader,
  type PayloadHeader,
  PayloadReader,
} from '../../src/binlog/transaction-payload.ts';
import { type Corpus, eventsOfType } from './corpus.ts';
import type { FuzzDecoder } from './fuzzer.ts';

const LIMITS = { uncompressedSizeMax: 4 * 1024 * 1024, eventLengthMax: 1024 * 1024 };

export function compressedDecoders(corpus: Corpus): FuzzDecoder[] {
  const bodies = eventsOfType(corpus, [EventType.TRANSACTION_PAYLOAD_EVENT], 100).map((event) =>
    event.subarray(EVENT_HEADER_LENGTH),
  );
  const inner = eventsOfType(corpus, [EventType.QUERY_EVENT, EventType.XID_EVENT], 10, 'mysql');
  const innerLength = Buffer.concat(inner).length;
  return [
    payloadEvents([
      ...bodies,
      payloadBody(0, rawFrame(inner), innerLength),
      payloadBody(255, Buffer.concat(inner), innerLength),
    ]),
    payloadStreams([
      ...bodies.map(bodyStream),
      stream(rawFrame(inner), innerLength),
      stream(rleFrame(3), 3 * 128 * 1024),
      stream(windowFrames(20), 0),
    ]),
    mariadbEvents(corpus),
  ];
}

/** The whole body, header and payload, as it comes. */
function payloadEvents(seeds: Buffer[]): FuzzDecoder {
  return {
    name: 'payload-event',
    weight: 1,
    seeds,
    run: (buf, start, end) => {
      const header = decodePayloadHeader(buf, start, end);
      return [header, readPayload(header, buf.subarray(start + header.payloadOffset, end), 4096)];
    },
  };
}

/** Only the payload, under a header that fits it: so that damage reaches the stream. First come size and chunk length. */
function payloadStreams(seeds: Buffer[]): FuzzDecoder {
  return {
    name: 'payload-stream',
    weight: 1,
    seeds,
    run: (buf, start, end) => {
      const input = new ByteDecoder(buf, start, end, 'fuzz input');
      const uncompressedSize = input.u32();
      const chunk = 1 + input.u8() * 16;
      const payload = input.bytes(input.remaining);
      const header: PayloadHeader = {
        compression: chunk === 1 ? 'none' : 'zstd',
        uncompressedSize,
        compressedSize: payload.length,
        payloadOffset: 0,
      };
      return readPayload(header, payload, chunk);
    },
  };
}

function readPayload(header: PayloadHeader, payload: Buffer, chunk: number): unknown[] {
  const reader = new PayloadReader(header, LIMITS);
  const events: unknown[] = [];
  for (let at = 0; at < payload.length; at += chunk) {
    for (const event of reader.push(payload.subarray(at, at + chunk))) events.push([event[4], event.length]);
  }
  reader.finish();
  return events;
}

function mariadbEvents(corpus: Corpus): FuzzDecoder {
  const types = Object.values(EventType).filter(isMariadbCompressed);
  return {
    name: 'mariadb-compressed',
    weight: 1,
    seeds: [...eventsOfType(corpus, types, 60), ...types.map(compressedEvent)],
    run: (buf, start, end) => decompressMariadbEvent(buf.subarray(start, end), LIMITS.eventLengthMax),
  };
}

/** A made-up event of the type: head, zlib stream of "select 1" many times. */
function compressedEvent(type: number): Buffer {
  const plain = Buffer.from('select 1 '.repeat(30));
  const isQuery = type === EventType.MARIADB_QUERY_COMPRESSED_EVENT;
  const isUpdate = type === EventType.MARIADB_UPDATE_ROWS_COMPRESSED_EVENT_V1;
  const head = isQuery
    ? Buffer.concat([Buffer.alloc(8), Buffer.from([4, 0, 0, 0, 0]), Buffer.from('test\0')])
    : Buffer.concat([Buffer.alloc(8), Buffer.from(isUpdate ? [3, 7, 7] : [3, 7])]);
  const size = Buffer.from([0x82, plain.length >> 8, plain.length & 0xff]);
  const event = Buffer.concat([Buffer.alloc(EVENT_HEADER_LENGTH), head, size, deflateSync(plain)]);
  event[4] = type;
  event.writeUInt32LE(event.length, 9);
  return event;
}

function payloadBody(compression: number, payload: Buffer, uncompressedSize: number): Buffer {
  const field = (type: number, value: number): Buffer =>
    Buffer.from([type, 3, 0xfc, value & 0xff, value >> 8]);
  const code =
    compression < 251 ? Buffer.from([2, 1, compression]) : Buffer.from([2, 3, 0xfc, compression, 0]);
  return Buffer.concat([
    field(1, payload.length),
    code,
    field(3, uncompressedSize),
    Buffer.from([0]),
    payload,
  ]);
}

function bodyStream(body: Buffer): Buffer {
  const { payloadOffset, uncompressedSize } = decodePayloadHeader(body, 0, body.length);
  return stream(body.subarray(payloadOffset), uncompressedSize);
}

/** An input of `payloadStreams` that comes in pieces of 4 KiB. */
function stream(payload: Buffer, uncompressedSize: number): Buffer {
  const head = Buffer.from([0, 0, 0, 0, 0xff]);
  head.writeUInt32LE(uncompressedSize);
  return Buffer.concat([head, payload]);
}

const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

/** One zstd frame of one raw block. */
function rawFrame(events: readonly Buffer[]): Buffer {
  const content = Buffer.concat(events);
  return Buffer.concat([
    Buffer.from([...ZSTD_MAGIC, 0, 0x58]),
    blockHeader(0, content.length, true),
    content,
  ]);
}

/** A frame of RLE blocks of 128 KiB: a bomb in four bytes a block. */
function rleFrame(blocks: number): Buffer {
  const parts = Array.from({ length: blocks }, (_, i) =>
    Buffer.concat([blockHeader(1, 128 * 1024, i === blocks - 1), Buffer.from([0])]),
  );
  return Buffer.concat([Buffer.from([...ZSTD_MAGIC, 0, 0x58]), ...parts]);
}

/** Many empty frames that each ask for the largest window. */
function windowFrames(frames: number): Buffer {
  const frame = Buffer.concat([Buffer.from([...ZSTD_MAGIC, 0, 0x88]), blockHeader(0, 0, true)]);
  return Buffer.concat(new Array<Buffer>(frames).fill(frame));
}

function blockHeader(type: number, size: number, last: boolean): Buffer {
  const out = Buffer.alloc(3);
  out.writeUIntLE((size << 3) | (type << 1) | (last ? 1 : 0), 0, 3);
  return out;
}
