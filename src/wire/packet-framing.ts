/**
 * Packet framing: the 4-byte header below every command and reply, read and written without copying payloads.
 *
 *   0  3  payload length, little-endian
 *   3  1  sequence number, wraps at 256
 *
 * A payload of 16 MiB - 1 bytes (0xFFFFFF) is continued by the next packet; a payload whose length is an exact
 * multiple of that ends with an empty packet. Reading joins such packets into one logical packet, which is delivered
 * as pieces: views of the socket's chunks, so memory does not grow with the size of an event.
 * Any thread.
 */
import { MillraceError } from '../base/errors.ts';

export const PACKET_PAYLOAD_MAX = 0xffffff;
const HEADER_LENGTH = 4;

/**
 * Receives one logical packet as one or more pieces of its payload. `buf` belongs to the socket: copy what is kept.
 * A piece may be empty (an empty packet, or the empty one after an exact multiple of 0xFFFFFF).
 */
export interface PacketSink {
  piece(buf: Buffer, start: number, end: number, first: boolean, last: boolean): void;
}

export class PacketReader {
  readonly #sink: PacketSink;
  #headerBytes = 0;
  #header = 0;
  #bodyRemaining = 0;
  #continued = false;
  #first = true;
  /** Sequence number of the packet (or its last part) whose piece is being delivered. */
  sequence = 0;

  constructor(sink: PacketSink) {
    this.#sink = sink;
  }

  /** True between logical packets: nothing of an unfinished one has been received. */
  get atBoundary(): boolean {
    return this.#first && this.#headerBytes === 0 && this.#bodyRemaining === 0;
  }

  /** Whatever the sink throws passes through; the reader must not be used afterwards. */
  push(chunk: Buffer, end = chunk.length): void {
    let pos = 0;
    while (pos < end) {
      if (this.#bodyRemaining === 0) {
        pos = this.#readHeader(chunk, pos, end);
        if (this.#headerBytes !== 0) return;
        if (this.#bodyRemaining === 0) {
          this.#deliver(chunk, pos, pos);
          continue;
        }
        if (pos === end) return;
      }
      const take = Math.min(this.#bodyRemaining, end - pos);
      this.#bodyRemaining -= take;
      this.#deliver(chunk, pos, pos + take);
      pos += take;
    }
  }

  #deliver(chunk: Buffer, start: number, end: number): void {
    const first = this.#first;
    const last = this.#bodyRemaining === 0 && !this.#continued;
    this.#first = last;
    this.#sink.piece(chunk, start, end, first, last);
  }

  /** Returns the position after the header; `#headerBytes` stays above 0 while the header is incomplete. */
  #readHeader(chunk: Buffer, start: number, end: number): number {
    let pos = start;
    if (this.#headerBytes === 0 && end - pos >= HEADER_LENGTH) {
      this.#begin(chunk.readUInt32LE(pos));
      return pos + HEADER_LENGTH;
    }
    while (pos < end) {
      this.#header += (chunk[pos] as number) * 2 ** (8 * this.#headerBytes);
      this.#headerBytes++;
      pos++;
      if (this.#headerBytes === HEADER_LENGTH) {
        this.#begin(this.#header);
        break;
      }
    }
    return pos;
  }

  #begin(header: number): void {
    this.sequence = header >>> 24;
    this.#bodyRemaining = header & PACKET_PAYLOAD_MAX;
    this.#continued = this.#bodyRemaining === PACKET_PAYLOAD_MAX;
    this.#header = 0;
    this.#headerBytes = 0;
  }
}

/** How many packets a payload takes on the wire. */
export function packetCount(payloadLength: number): number {
  return Math.floor(payloadLength / PACKET_PAYLOAD_MAX) + 1;
}

/**
 * Frames one payload of known length that comes in pieces: packet headers are put between views of the pieces.
 * Pieces are not copied, so they must not change until the socket has written them.
 */
export class PayloadFramer {
  #remaining: number;
  #packetRemaining = 0;
  #sequence: number;
  #finished = false;

  constructor(payloadLength: number, firstSequence = 0) {
    this.#remaining = payloadLength;
    this.#sequence = firstSequence;
  }

  /** Appends what is to be written for `piece` to `out`. */
  push(piece: Buffer, out: Buffer[]): void {
    if (piece.length > this.#remaining) {
      throw new MillraceError('INTERNAL', 'a packet payload is longer than announced');
    }
    let pos = 0;
    while (pos < piece.length) {
      if (this.#packetRemaining === 0) this.#open(out);
      const take = Math.min(this.#packetRemaining, piece.length - pos);
      out.push(take === piece.length ? piece : piece.subarray(pos, pos + take));
      pos += take;
      this.#remaining -= take;
      this.#packetRemaining -= take;
      // A full packet needs a successor, even an empty one.
      if (this.#remaining === 0 && this.#packetRemaining === 0 && !this.#finished) this.#open(out);
    }
  }

  /** Asserts that the whole payload came; frames an empty payload. */
  finish(out: Buffer[]): void {
    if (this.#remaining > 0)
      throw new MillraceError('INTERNAL', 'a packet payload is shorter than announced');
    if (!this.#finished) this.#open(out);
  }

  #open(out: Buffer[]): void {
    const length = Math.min(this.#remaining, PACKET_PAYLOAD_MAX);
    const header = Buffer.allocUnsafe(HEADER_LENGTH);
    header.writeUIntLE(length, 0, 3);
    header[3] = this.#sequence & 0xff;
    this.#sequence++;
    this.#packetRemaining = length;
    if (length < PACKET_PAYLOAD_MAX) this.#finished = true;
    out.push(header);
  }
}

/** A small payload as one packet, in one buffer. */
export function framePacket(payload: Buffer, sequence = 0): Buffer {
  const out: Buffer[] = [];
  const framer = new PayloadFramer(payload.length, sequence);
  framer.push(payload, out);
  framer.finish(out);
  return Buffer.concat(out);
}
