/**
 * Values of MariaDB's COMPRESSED columns (VARCHAR_COMPRESSED, BLOB_COMPRESSED): they travel as they are stored.
 *
 *   0  1  method << 4 | flag << 3 | n   method 0: the rest is the value as it is; 8: zlib's deflate
 *   1  n  length of the value, big-endian
 *      …  the deflated value: with a zlib header if the flag is 0 (column_compression_zlib_wrap), without if it is 1
 * An empty value has no bytes at all.
 * Facts: read off events of MariaDB 10.11 with both settings of column_compression_zlib_wrap.
 */
import { inflateRawSync, inflateSync } from 'node:zlib';
import { malformed } from './byte-decoder.ts';

const WHAT = 'compressed column value';
const METHOD_STORED = 0;
const METHOD_ZLIB = 8;

/** No value can be longer on a server (largest max_allowed_packet), whatever the length field claims. */
const VALUE_LENGTH_MAX = 1 << 30;

/** The plain bytes of the value in [start, end). Throws MALFORMED_EVENT. */
export function decompressColumn(buf: Buffer, start: number, end: number): Buffer {
  if (start === end) return buf.subarray(start, end);
  const head = buf[start]!;
  const method = head >> 4;
  if (method === METHOD_STORED) return buf.subarray(start + 1, end);
  const lengthBytes = head & 7;
  if (method !== METHOD_ZLIB || lengthBytes < 1 || lengthBytes > 4 || end - start < 1 + lengthBytes) {
    throw malformed(WHAT, `a header of 0x${head.toString(16)}`);
  }
  const length = buf.readUIntBE(start + 1, lengthBytes);
  if (length > VALUE_LENGTH_MAX) throw malformed(WHAT, `${length} bytes`);
  const packed = buf.subarray(start + 1 + lengthBytes, end);
  const inflate = (head & 8) === 0 ? inflateSync : inflateRawSync;
  let value: Buffer;
  try {
    value = inflate(packed, { maxOutputLength: Math.max(length, 1) });
  } catch (error) {
    throw malformed(WHAT, `it does not inflate to ${length} bytes: ${(error as Error).message}`);
  }
  if (value.length !== length) throw malformed(WHAT, `${value.length} bytes, ${length} are declared`);
  return value;
}
