/**
 * Zstandard frames by hand, of raw and RLE blocks: Node 20 has no encoder, and no encoder would write what hostile bytes
 * may say.
 */

const MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);
/** Window descriptor of 128 KiB. */
const WINDOW_128K = 0x38;

export function rawBlock(content: Buffer, last: boolean): Buffer {
  return Buffer.concat([blockHeader(0, content.length, last), content]);
}

/** `byte`, `size` times. */
export function rleBlock(byte: number, size: number, last: boolean): Buffer {
  return Buffer.concat([blockHeader(1, size, last), Buffer.of(byte)]);
}

export function compressedBlock(content: Buffer, last: boolean): Buffer {
  return Buffer.concat([blockHeader(2, content.length, last), content]);
}

/** The last block must be marked as such. Without a content size and without a checksum. */
export function frame(blocks: readonly Buffer[], windowDescriptor = WINDOW_128K): Buffer {
  return Buffer.concat([MAGIC, Buffer.of(0, windowDescriptor), ...blocks]);
}

/** With any descriptor and what follows it. */
export function rawFrame(descriptor: number, rest: readonly number[], blocks: readonly Buffer[]): Buffer {
  return Buffer.concat([MAGIC, Buffer.of(descriptor, ...rest), ...blocks]);
}

/** The content in raw blocks of at most `blockSize`. */
export function rawFrameOf(content: Buffer, blockSize: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0; at === 0 || at < content.length; at += blockSize) {
    blocks.push(rawBlock(content.subarray(at, at + blockSize), at + blockSize >= content.length));
  }
  return frame(blocks);
}

function blockHeader(type: number, size: number, last: boolean): Buffer {
  const header = Buffer.alloc(3);
  header.writeUIntLE(size * 8 + type * 2 + (last ? 1 : 0), 0, 3);
  return header;
}
