/**
 * Zstandard decompression in bounded steps (RFC 8878), for bytes that are not trusted.
 *
 * fzstd does the work; this walks the frames and hands it one block at a time. So one step gives at most 128 KiB (three times
 * that at the start of a frame, of which fzstd holds back 18 bytes) however high the ratio, and the reader decides when the
 * next step is taken. Sizes that cannot be right are refused before anything is allocated or copied for them;
 * zstd-block-check.ts looks into the blocks.
 *
 *   frame := magic 28 B5 2F FD · descriptor u8 · window u8? · dictionary id · content size · block* · checksum 4?
 *   block := last 1 bit, type 2 bits (raw, RLE, compressed), size 21 bits · content
 *
 * Frames may follow each other. Refused: dictionaries, skippable frames, windows above 128 MiB.
 * fzstd allocates the window that a frame asks for, and a frame of ten bytes may ask for 128 MiB. No match reaches back
 * further than the content goes, so fzstd is given a frame header of our own, with a window no larger than the content can
 * be; and many small frames together may not ask for much more than one large one.
 * Memory: the window of the frame, one block, and what was pushed. The frame's own checksum is not verified: the event's CRC
 * stands for it. Synchronous, so that the same code runs on every Node version; Node 20 has no zstd of its own.
 */
import { Decompress } from 'fzstd';
import { malformed } from './byte-decoder.ts';
import { ZstdBlockCheck } from './zstd-block-check.ts';

const WHAT = 'zstd frame';
const MAGIC = 0xfd2fb528;
const WINDOW_MAX = 1 << 27;
const BLOCK_MAX = 128 * 1024;
/** A frame gets at least a block of window, however small its content. */
const WINDOWS_SPARE = 32 * BLOCK_MAX;
/** What came out entitles later frames to windows of their own. */
const WINDOWS_PER_CONTENT = 4;
const BLOCK_HEADER_LENGTH = 3;
const FRAME_CHECKSUM_LENGTH = 4;
const FIXED_HEADER_LENGTH = 5;
const HAS_CHECKSUM = 0x04;
const CONTENT_SIZE_LENGTHS = [0, 2, 4, 8] as const;

const BlockType = { RAW: 0, RLE: 1, COMPRESSED: 2 } as const;

interface FrameHeader {
  readonly length: number;
  readonly window: number;
  /** Null: not told. */
  readonly contentSize: number | null;
  readonly hasChecksum: boolean;
}

interface Frame {
  readonly decompress: Decompress;
  readonly check: ZstdBlockCheck;
  readonly blockMax: number;
  readonly checksumLength: number;
}

export class ZstdStream {
  #pending: Buffer = Buffer.alloc(0);
  #frame: Frame | null = null;
  #blocks: Buffer[] = [];
  /** Bytes that may still come out; what windows may still be allocated. */
  #contentLeft: number;
  #windowsLeft: number;

  /** `contentMax`: more than this never comes out. */
  constructor(contentMax: number) {
    this.#contentLeft = contentMax;
    this.#windowsLeft = Math.min(WINDOW_MAX, 2 * contentMax) + WINDOWS_SPARE;
  }

  /**
   * Takes the next compressed bytes and yields what they decompress to, a block at a time; to be run to its end before the
   * next push. What it yields is the caller's. Throws MALFORMED_EVENT.
   */
  *push(chunk: Buffer): Generator<Buffer, void, undefined> {
    const input = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk]);
    let at = 0;
    for (;;) {
      if (this.#frame === null) {
        const header = readFrameHeader(input, at);
        if (header === null) break;
        this.#frame = this.#openFrame(header);
        at += header.length;
      }
      const length = blockLength(input, at, this.#frame);
      if (length > input.length - at) break;
      const last = (input[at]! & 1) !== 0;
      checkBlock(input.subarray(at, at + length), this.#frame, last);
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

  #openFrame(header: FrameHeader): Frame {
    const { window, contentSize, hasChecksum } = header;
    if (contentSize !== null && contentSize > this.#contentLeft) {
      throw malformed(WHAT, `a content of ${contentSize} bytes, ${this.#contentLeft} are left`);
    }
    const content = contentSize ?? this.#contentLeft;
    const descriptor = windowDescriptor(Math.min(window, Math.max(content, BLOCK_MAX)));
    this.#windowsLeft -= windowSize(descriptor);
    if (this.#windowsLeft < 0) throw malformed(WHAT, 'too many frames with large windows');

    const decompress = new Decompress((block) => {
      this.#blocks.push(Buffer.from(block.buffer, block.byteOffset, block.byteLength));
    });
    const frame = {
      decompress,
      check: new ZstdBlockCheck(),
      blockMax: Math.min(window, BLOCK_MAX),
      checksumLength: hasChecksum ? FRAME_CHECKSUM_LENGTH : 0,
    };
    const ownHeader = Buffer.from([0, 0, 0, 0, hasChecksum ? HAS_CHECKSUM : 0, descriptor]);
    ownHeader.writeUInt32LE(MAGIC);
    this.#decompress(frame, ownHeader, false);
    return frame;
  }

  #decompress(frame: Frame, bytes: Buffer, last: boolean): void {
    try {
      frame.decompress.push(new Uint8Array(bytes), last);
    } catch (cause) {
      throw malformed(WHAT, cause instanceof Error ? cause.message : String(cause));
    }
    for (const block of this.#blocks) {
      this.#contentLeft -= block.length;
      this.#windowsLeft += WINDOWS_PER_CONTENT * block.length;
      if (block.length > frame.blockMax) throw malformed(WHAT, `a block of ${block.length} bytes`);
    }
    if (this.#contentLeft < 0) throw malformed(WHAT, 'it gives more than was declared');
  }
}

/** Null: more bytes are needed. */
function readFrameHeader(input: Buffer, at: number): FrameHeader | null {
  if (input.length - at < FIXED_HEADER_LENGTH) return null;
  if (input.readUInt32LE(at) !== MAGIC) throw malformed(WHAT, 'it does not begin as one');
  const descriptor = input[at + 4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0) throw malformed(WHAT, 'a reserved bit is set');
  if ((descriptor & 0x03) !== 0) throw malformed(WHAT, 'it needs a dictionary');
  const windowLength = singleSegment ? 0 : 1;
  const sizeCode = descriptor >> 6;
  const sizeLength = sizeCode === 0 && singleSegment ? 1 : CONTENT_SIZE_LENGTHS[sizeCode]!;
  const length = FIXED_HEADER_LENGTH + windowLength + sizeLength;
  if (input.length - at < length) return null;

  const windowAt = at + FIXED_HEADER_LENGTH;
  const contentSize = sizeLength === 0 ? null : readContentSize(input, windowAt + windowLength, sizeLength);
  const window = singleSegment ? contentSize! : windowSize(input[windowAt]!);
  if (window > WINDOW_MAX) throw malformed(WHAT, `a window of ${window} bytes`);
  return { length, window, contentSize, hasChecksum: (descriptor & HAS_CHECKSUM) !== 0 };
}

/** The descriptor of the smallest window that is not smaller than `size`. */
function windowDescriptor(size: number): number {
  let exponent = 0;
  while (exponent < 31 && windowSize((exponent << 3) | 7) < size) exponent++;
  let mantissa = 0;
  while (mantissa < 7 && windowSize((exponent << 3) | mantissa) < size) mantissa++;
  return (exponent << 3) | mantissa;
}

function windowSize(code: number): number {
  const base = 2 ** (10 + (code >> 3));
  return base + (base / 8) * (code & 7);
}

function readContentSize(input: Buffer, at: number, length: number): number {
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

/** fzstd trusts what stands in a compressed block. */
function checkBlock(block: Buffer, frame: Frame, last: boolean): void {
  if (((block[0]! >> 1) & 3) !== BlockType.COMPRESSED) return;
  const end = block.length - (last ? frame.checksumLength : 0);
  frame.check.check(block.subarray(BLOCK_HEADER_LENGTH, end), frame.blockMax);
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
