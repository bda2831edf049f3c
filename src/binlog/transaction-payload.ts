/**
 * TRANSACTION_PAYLOAD_EVENT (40): a whole transaction without its GTID event, compressed. Body:
 *
 *   fields of type, length and value, lenenc each, in any order, until type 0, which has neither length nor value:
 *     1 size of the payload   2 compression: 0 zstd, 255 none   3 size when decompressed      (lenenc integers themselves)
 *   payload: events back to back, each with a header and without a checksum, log_pos 0 (seen on 9.7)
 *
 * A payload may be larger than memory, also compressed: `PayloadReader` takes it in pieces and gives event by event.
 * Facts: MySQL's Transaction_payload_event page. Hostile bytes: the declared sizes are checked against the caller's limits
 * and then against what comes; a payload inside of a payload is refused.
 */
import { MillraceError } from '../base/errors.ts';
import { ByteDecoder, malformed } from './byte-decoder.ts';
import { EVENT_HEADER_LENGTH, EventType, eventTypeName } from './event-header.ts';
import { ZstdStream } from './zstd-stream.ts';

export interface PayloadHeader {
  readonly compression: 'zstd' | 'none';
  readonly uncompressedSize: number;
  /** Bytes of payload in the event. */
  readonly compressedSize: number;
  /** Where the payload begins, counted from the start of the body. */
  readonly payloadOffset: number;
}

export interface PayloadLimits {
  /** Of all events together. */
  readonly uncompressedSizeMax: number;
  /** Of one event: each is given in one piece. */
  readonly eventLengthMax: number;
}

const WHAT = 'TRANSACTION_PAYLOAD_EVENT';
const Field = { END: 0, PAYLOAD_SIZE: 1, COMPRESSION: 2, UNCOMPRESSED_SIZE: 3 } as const;
const Compression = { ZSTD: 0, NONE: 255 } as const;
/** A cut event is gathered in a buffer that grows from this, not at once to the length that its header claims. */
const GATHER_LENGTH = 1024 * 1024;

/**
 * `buf[start, end)` is the body or, of a large event, its beginning (1 KiB will do); `bodyLength` is that of the whole.
 * Throws MALFORMED_EVENT; UNSUPPORTED for another compression.
 */
export function decodePayloadHeader(
  buf: Buffer,
  start: number,
  end: number,
  bodyLength = end - start,
): PayloadHeader {
  const body = new ByteDecoder(buf, start, end, WHAT);
  let compressedSize: number | null = null;
  let compressionCode: number | null = null;
  let uncompressedSize: number | null = null;
  for (;;) {
    const field = body.lenencInt();
    if (field === Field.END) break;
    const length = body.lenencInt();
    const valueStart = body.pos;
    body.skip(length);
    const value = new ByteDecoder(buf, valueStart, body.pos, WHAT);
    if (field === Field.PAYLOAD_SIZE) compressedSize = value.lenencInt();
    else if (field === Field.COMPRESSION) compressionCode = value.lenencInt();
    else if (field === Field.UNCOMPRESSED_SIZE) uncompressedSize = value.lenencInt();
  }
  const payloadOffset = body.pos - start;
  if (compressedSize === null) throw malformed(WHAT, 'the size of the payload is missing');
  if (compressedSize !== bodyLength - payloadOffset) {
    throw malformed(WHAT, `a payload of ${compressedSize} bytes in a body of ${bodyLength}`);
  }
  const compression = compressionOf(compressionCode);
  if (compression === 'none') uncompressedSize ??= compressedSize;
  if (uncompressedSize === null) throw malformed(WHAT, 'the uncompressed size is missing');
  return { compression, uncompressedSize, compressedSize, payloadOffset };
}

function compressionOf(code: number | null): PayloadHeader['compression'] {
  switch (code) {
    case Compression.ZSTD:
      return 'zstd';
    case Compression.NONE:
      return 'none';
    case null:
      throw malformed(WHAT, 'the compression is missing');
    default:
      throw new MillraceError('UNSUPPORTED', `a transaction is compressed by method ${code}`, {
        hint: 'Only zstd is known: set binlog_transaction_compression=OFF on the source.',
      });
  }
}

export class PayloadReader {
  readonly #header: PayloadHeader;
  readonly #eventLengthMax: number;
  readonly #zstd: ZstdStream | null;
  /** Compressed bytes taken, decompressed bytes seen. */
  #taken = 0;
  #produced = 0;
  /** An event cut by the end of a piece: what has come of it, in a buffer that may be longer, and its length once known. */
  #gathered: Buffer = Buffer.alloc(0);
  #gatheredLength = 0;
  #eventLength: number | null = null;

  /** Throws UNSUPPORTED when the payload declares more than the limit. */
  constructor(header: PayloadHeader, limits: PayloadLimits) {
    if (header.uncompressedSize > limits.uncompressedSizeMax) {
      const sizes = `${header.uncompressedSize} bytes, the limit is ${limits.uncompressedSizeMax}`;
      throw new MillraceError('UNSUPPORTED', `a compressed transaction declares ${sizes}`);
    }
    this.#header = header;
    this.#eventLengthMax = limits.eventLengthMax;
    this.#zstd = header.compression === 'zstd' ? new ZstdStream(header.uncompressedSize) : null;
  }

  /**
   * Takes the next piece of the payload and yields the events that it completes, each whole, with header, without checksum;
   * to be run to its end before the next push. An event may be a view of a buffer that is not kept. Works only as far as
   * events are asked for. Throws MALFORMED_EVENT.
   */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    this.#taken += chunk.length;
    if (this.#taken > this.#header.compressedSize) throw malformed(WHAT, 'more payload than declared');
    if (this.#zstd === null) {
      yield* this.#split(chunk);
      return;
    }
    for (const piece of this.#zstd.push(chunk)) yield* this.#split(piece);
  }

  /** After the last piece. Throws MALFORMED_EVENT unless exactly what was declared has come. */
  finish(): void {
    this.#zstd?.finish();
    const { compressedSize, uncompressedSize } = this.#header;
    if (this.#taken !== compressedSize || this.#produced !== uncompressedSize || this.#gatheredLength > 0) {
      const sizes = `${this.#taken} of ${compressedSize} bytes gave ${this.#produced} of ${uncompressedSize}`;
      throw malformed(WHAT, `the payload does not end with an event: ${sizes}`);
    }
  }

  *#split(piece: Buffer): Generator<Buffer, void, undefined> {
    if (piece.length > this.#header.uncompressedSize - this.#produced) {
      throw malformed(WHAT, 'the payload decompresses to more than declared');
    }
    let at = 0;
    while (at < piece.length) {
      if (this.#gatheredLength === 0 && piece.length - at >= EVENT_HEADER_LENGTH) {
        const length = this.#checkedLength(piece, at, at);
        if (length <= piece.length - at) {
          yield piece.subarray(at, at + length);
          at += length;
          continue;
        }
      }
      const wanted = this.#eventLength ?? EVENT_HEADER_LENGTH;
      const length = Math.min(wanted - this.#gatheredLength, piece.length - at);
      this.#gather(piece, at, length, wanted);
      at += length;
      if (this.#gatheredLength < wanted) continue;
      this.#eventLength ??= this.#checkedLength(this.#gathered, 0, at - EVENT_HEADER_LENGTH);
      if (this.#gatheredLength === this.#eventLength) yield this.#takeGathered();
    }
    this.#produced += piece.length;
  }

  /** Length of the event whose header is at `headerAt` of `buf`; it begins `offset` bytes into (or before) the piece. */
  #checkedLength(buf: Buffer, headerAt: number, offset: number): number {
    const length = buf.readUInt32LE(headerAt + 9);
    const type = buf[headerAt + 4]!;
    if (type === EventType.TRANSACTION_PAYLOAD_EVENT) throw malformed(WHAT, 'a payload inside of a payload');
    if (length < EVENT_HEADER_LENGTH || length > this.#header.uncompressedSize - this.#produced - offset) {
      throw malformed(WHAT, `${eventTypeName(type)} of ${length} bytes does not fit into the payload`);
    }
    if (length > this.#eventLengthMax) {
      throw new MillraceError(
        'UNSUPPORTED',
        `${eventTypeName(type)} of ${length} bytes in a compressed transaction: the limit is ${this.#eventLengthMax}`,
        { hint: 'Lower binlog_row_event_max_size on the source, or set binlog_transaction_compression=OFF.' },
      );
    }
    return length;
  }

  #gather(piece: Buffer, at: number, length: number, wanted: number): void {
    const needed = this.#gatheredLength + length;
    if (needed > this.#gathered.length) {
      const room = Math.max(needed, Math.min(wanted, Math.max(GATHER_LENGTH, 2 * this.#gathered.length)));
      const grown = Buffer.allocUnsafe(room);
      this.#gathered.copy(grown, 0, 0, this.#gatheredLength);
      this.#gathered = grown;
    }
    piece.copy(this.#gathered, this.#gatheredLength, at, at + length);
    this.#gatheredLength = needed;
  }

  #takeGathered(): Buffer {
    const event = this.#gathered.subarray(0, this.#gatheredLength);
    this.#gathered = Buffer.alloc(0);
    this.#gatheredLength = 0;
    this.#eventLength = null;
    return event;
  }
}
