/**
 * Zstandard decompression in bounded steps (RFC 8878), for bytes that are not trusted.
 *
 * fzstd does the work; this walks the frames and hands it one block at a time. So one step gives at most 128 KiB however
 * high the ratio, the reader decides when the next step is taken, and sizes that cannot be right are refused before
 * anything is allocated for them:
 *
 *   frame := magic 28 B5 2F FD · descriptor u8 · window u8? · dictionary id · content size · block* · checksum 4?
 *   block := last 1 bit, type 2 bits (raw, RLE, compressed), size 21 bits · content
 *
 * Frames may follow each other. Refused: dictionaries, skippable frames, windows above 128 MiB. Memory: the window of the
 * frame, one block, and what was pushed. The frame's own checksum is not verified: the event's CRC stands for it.
 * Synchronous, so that the same code runs on every Node version; Node 20 has no zstd of its own.
 */
import { Decompress } from 'fzstd';
import { malformed } from './byte-decoder.ts';

const WHAT = 'zstd frame';
const MAGIC = 0xfd2fb528;
const WINDOW_MAX = 1 << 27;
const BLOCK_MAX = 128 * 1024;
const BLOCK_HEADER_LENGTH = 3;
const FRAME_CHECKSUM_LENGTH = 4;
const FIXED_HEADER_LENGTH = 5;
const CONTENT_SIZE_LENGTHS = [0, 2, 4, 8] as const;

const BlockType = { RAW: 0, RLE: 1, COMPRESSED: 2 } as const;

interface Frame {
  readonly decompress: Decompress;
  readonly headerLength: number;
  readonly blockMax: number;
  readonly checksumLength: number;
}

export class ZstdStream {
  #pending: Buffer = Buffer.alloc(0);
  #frame: Frame | null = null;
  #blocks: Buffer[] = [];

  /**
   * Takes the next compressed bytes and yields what they decompress to, a block at a time; to be run to its end before the
   * next push. What it yields is the caller's. Throws MALFORMED_EVENT.
   */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    const input = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    let at = 0;
    for (;;) {
      if (this.#frame === null) {
        const frame = this.#openFrame(input, at);
        if (frame === null) break;
        this.#frame = frame;
        this.#decompress(frame, input.subarray(at, at + frame.headerLength), false);
        at += frame.headerLength;
      }
      const length = blockLength(input, at, this.#frame);
      if (length > input.length - at) break;
      const last = (input[at]! & 1) !== 0;
      this.#decompress(this.#frame, input.subarray(at, at + length), last);
      at += length;
      if (last) this.#frame = null;
      const blocks = this.#blocks;
      this.#blocks = [];
      for (const block of blocks) if (block.length > 0) yield block;
    }
    this.#pending = Buffer.from(input.subarray(at));
  }

  /** Throws MALFORMED_EVENT when the input so far does not end where a frame ends. */
  finish(): void {
    if (this.#frame !== null || this.#pending.length > 0) throw malformed(WHAT, 'it is cut off');
  }

  #openFrame(input: Buffer, at: number): Frame | null {
    const header = readFrameHeader(input, at);
    if (header === null) return null;
    const decompress = new Decompress((block) => {
      this.#blocks.push(Buffer.from(block.buffer, block.byteOffset, block.byteLength));
    });
    return { decompress, ...header };
  }

  #decompress(frame: Frame, bytes: Buffer, last: boolean): void {
    try {
      frame.decompress.push(new Uint8Array(bytes), last);
    } catch (cause) {
      throw malformed(WHAT, cause instanceof Error ? cause.message : String(cause));
    }
    for (const block of this.#blocks) {
      if (block.length > frame.blockMax) throw malformed(WHAT, `a block of ${block.length} bytes`);
    }
  }
}

/** Null: more bytes are needed. */
function readFrameHeader(input: Buffer, at: number): Omit<Frame, 'decompress'> | null {
  if (input.length - at < FIXED_HEADER_LENGTH) return null;
  if (input.readUInt32LE(at) !== MAGIC) throw malformed(WHAT, 'it does not begin as one');
  const descriptor = input[at + 4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0) throw malformed(WHAT, 'a reserved bit is set');
  if ((descriptor & 0x03) !== 0) throw malformed(WHAT, 'it needs a dictionary');
  const windowLength = singleSegment ? 0 : 1;
  const sizeCode = descriptor >> 6;
  const sizeLength = sizeCode === 0 && singleSegment ? 1 : CONTENT_SIZE_LENGTHS[sizeCode]!;
  const headerLength = FIXED_HEADER_LENGTH + windowLength + sizeLength;
  if (input.length - at < headerLength) return null;

  const windowAt = at + FIXED_HEADER_LENGTH;
  const window = singleSegment ? contentSize(input, windowAt, sizeLength) : windowSize(input[windowAt]!);
  if (window > WINDOW_MAX) throw malformed(WHAT, `a window of ${window} bytes`);
  return {
    headerLength,
    blockMax: Math.min(window, BLOCK_MAX),
    checksumLength: descriptor & 0x04 ? FRAME_CHECKSUM_LENGTH : 0,
  };
}

function windowSize(code: number): number {
  const base = 2 ** (10 + (code >> 3));
  return base + (base / 8) * (code & 7);
}

function contentSize(input: Buffer, at: number, length: number): number {
  switch (length) {
    case 1:
      return input[at]!;
    case 2:
      return input.readUInt16LE(at) + 256;
    case 4:
      return input.readUInt32LE(at);
    default:
      return Number(input.readBigUInt64LE(at));
  }
}

/** Of the block at `at`, header included, and after the frame's last block its checksum; more than there is: not yet known. */
function blockLength(input: Buffer, at: number, frame: Frame): number {
  if (input.length - at < BLOCK_HEADER_LENGTH) return BLOCK_HEADER_LENGTH;
  const header = input.readUIntLE(at, BLOCK_HEADER_LENGTH);
  const type = (header >> 1) & 3;
  const size = header >> 3;
  if (type > BlockType.COMPRESSED) throw malformed(WHAT, 'a block of a reserved type');
  if (size > frame.blockMax) throw malformed(WHAT, `a block of ${size} bytes`);
  const content = type === BlockType.RLE ? 1 : size;
  return BLOCK_HEADER_LENGTH + content + ((header & 1) === 1 ? frame.checksumLength : 0);
}
