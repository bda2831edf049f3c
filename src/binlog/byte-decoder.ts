/**
 * Reads little-endian fields from a stretch of a buffer whose bytes are not trusted.
 *
 * Invariants
 *  - No read passes `end`: every method checks once, before it touches a byte, and throws MALFORMED_EVENT naming `what`.
 *  - Names tell the truth about sign and width. Values that may pass 2^53 are `bigint`; lengths and positions are `number`
 *    (`u64AsNumber` refuses what does not fit).
 *  - `bytes` gives a view, not a copy: it lives as long as the buffer under it.
 */
import { MillraceError } from '../base/errors.ts';

export class ByteDecoder {
  readonly buf: Buffer;
  readonly end: number;
  readonly what: string;
  pos: number;

  constructor(buf: Buffer, start: number, end: number, what: string) {
    this.buf = buf;
    this.pos = start;
    this.end = end;
    this.what = what;
    if (start < 0 || end > buf.length || start > end)
      throw malformed(what, 'its bounds lie outside of the buffer');
  }

  get remaining(): number {
    return this.end - this.pos;
  }

  /** Moves over `length` bytes and returns where they start. */
  #take(length: number): number {
    const at = this.pos;
    if (!(length >= 0) || length > this.end - at) {
      throw malformed(this.what, `${length} bytes wanted at offset ${at}, ${this.end - at} are left`);
    }
    this.pos = at + length;
    return at;
  }

  skip(length: number): void {
    this.#take(length);
  }

  u8(): number {
    return this.buf.readUInt8(this.#take(1));
  }

  i8(): number {
    return this.buf.readInt8(this.#take(1));
  }

  u16(): number {
    return this.buf.readUInt16LE(this.#take(2));
  }

  i16(): number {
    return this.buf.readInt16LE(this.#take(2));
  }

  u24(): number {
    return this.buf.readUIntLE(this.#take(3), 3);
  }

  i24(): number {
    return this.buf.readIntLE(this.#take(3), 3);
  }

  u32(): number {
    return this.buf.readUInt32LE(this.#take(4));
  }

  i32(): number {
    return this.buf.readInt32LE(this.#take(4));
  }

  u48(): number {
    return this.buf.readUIntLE(this.#take(6), 6);
  }

  u56(): bigint {
    const at = this.#take(7);
    return BigInt(this.buf.readUIntLE(at, 6)) | (BigInt(this.buf[at + 6]!) << 48n);
  }

  u64(): bigint {
    return this.buf.readBigUInt64LE(this.#take(8));
  }

  i64(): bigint {
    return this.buf.readBigInt64LE(this.#take(8));
  }

  u64AsNumber(): number {
    const at = this.#take(8);
    const value = this.buf.readUInt32LE(at) + this.buf.readUInt32LE(at + 4) * 0x1_0000_0000;
    if (value > Number.MAX_SAFE_INTEGER) throw malformed(this.what, `the number at offset ${at} passes 2^53`);
    return value;
  }

  float(): number {
    return this.buf.readFloatLE(this.#take(4));
  }

  double(): number {
    return this.buf.readDoubleLE(this.#take(8));
  }

  /** Length-encoded integer of the client protocol (1, 3, 4 or 9 bytes); 0xFB and 0xFF are refused. */
  lenencInt(): number {
    const first = this.u8();
    if (first < 0xfb) return first;
    switch (first) {
      case 0xfc:
        return this.u16();
      case 0xfd:
        return this.u24();
      case 0xfe:
        return this.u64AsNumber();
      default:
        throw malformed(this.what, `0x${first.toString(16)} is no length-encoded integer`);
    }
  }

  bytes(length: number): Buffer {
    const at = this.#take(length);
    return this.buf.subarray(at, at + length);
  }

  latin1(length: number): string {
    const at = this.#take(length);
    return this.buf.toString('latin1', at, at + length);
  }

  utf8(length: number): string {
    const at = this.#take(length);
    return this.buf.toString('utf8', at, at + length);
  }
}

export function malformed(what: string, why: string): MillraceError {
  return new MillraceError('MALFORMED_EVENT', `${what}: ${why}`, {
    hint: 'The bytes are damaged or of an unknown version; nothing of this transaction was applied.',
  });
}
