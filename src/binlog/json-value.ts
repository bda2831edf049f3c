/**
 * MySQL's binary JSON as text, letter for letter what the server prints for the same document.
 *
 * A value is a type byte and what the type says:
 *   00 small object   01 large object   02 small array   03 large array     (small: 2 byte numbers, large: 4 byte)
 *   04 literal (0 null, 1 true, 2 false)   05/06 int16/uint16   07/08 int32/uint32   09/0a int64/uint64   0b double
 *   0c string: length of 7 bits a byte, low first, then utf8mb4   0f opaque: column type, such a length, bytes
 * Object and array: element count, size in bytes, [key entries: offset, 2 byte length], value entries: type byte and the
 * value itself if it fits (literal, 16 bits; in large ones 32 bits) or its offset; then the keys and values. Offsets
 * count from the element count.
 *
 * Invariants
 *  - Nothing outside of the enclosing object or array is read.
 *  - A document is read at most once: every byte that is visited is paid from a budget of the document's length, so
 *    offsets that point at the same bytes again and again end in an error and not in a bomb.
 *  - Integers stay integers and doubles stay doubles (2.0 is not 2), 64-bit numbers are exact.
 * Facts: the format's description in MySQL's json_binary.h; the printed form: Json_wrapper::to_string, my_gcvt.
 */
import { isUtf8 } from 'node:buffer';
import { MillraceError } from '../base/errors.ts';
import { malformed } from './byte-decoder.ts';
import { ColumnType, decimalWidth } from './column-type.ts';
import { decimalText } from './decimal-value.ts';
import { doubleText, quoteJson } from './json-text.ts';
import { packedTemporalText } from './temporal-value.ts';

const WHAT = 'JSON value';

/** As in the server (JSON_DOCUMENT_MAX_DEPTH). */
export const JSON_DEPTH_MAX = 100;

const JsonType = {
  SMALL_OBJECT: 0x00,
  LARGE_OBJECT: 0x01,
  SMALL_ARRAY: 0x02,
  LARGE_ARRAY: 0x03,
  LITERAL: 0x04,
  INT16: 0x05,
  UINT16: 0x06,
  INT32: 0x07,
  UINT32: 0x08,
  INT64: 0x09,
  UINT64: 0x0a,
  DOUBLE: 0x0b,
  STRING: 0x0c,
  OPAQUE: 0x0f,
} as const;

const LITERALS = ['null', 'true', 'false'] as const;

/** V8 cannot hold a longer string. */
const TEXT_LENGTH_MAX = 0x1fff_ffe8;

/**
 * The text of the document in [start, end). No bytes at all is the document `null`: the server takes it so, because
 * INSERT IGNORE leaves such values. Throws MALFORMED_EVENT, or UNSUPPORTED when the text would pass 512 MiB.
 */
export function jsonText(buf: Buffer, start: number, end: number): string {
  if (start < 0 || start > end || end > buf.length)
    throw malformed(WHAT, 'its bounds lie outside of the buffer');
  if (start === end) return 'null';
  const printer = new JsonPrinter(buf, end - start);
  printer.root(start, end);
  return printer.text;
}

class JsonPrinter {
  text = '';
  readonly #buf: Buffer;
  #budget: number;

  constructor(buf: Buffer, budget: number) {
    this.#buf = buf;
    this.#budget = budget;
  }

  root(start: number, end: number): void {
    this.#pay(start, 1, end);
    this.#value(this.#buf[start]!, start + 1, end, 0);
  }

  /** `length` bytes at `at` are about to be read: they must lie before `limit` and must not have been read before. */
  #pay(at: number, length: number, limit: number): void {
    if (length > limit - at)
      throw malformed(WHAT, `${length} bytes wanted at offset ${at}, ${limit - at} are left`);
    this.#budget -= length;
    if (this.#budget < 0) throw malformed(WHAT, 'its parts overlap');
  }

  #emit(text: string): void {
    if (this.text.length + text.length > TEXT_LENGTH_MAX) {
      throw new MillraceError('UNSUPPORTED', 'a JSON document of more than 512 MiB of text');
    }
    this.text += text;
  }

  /** Prints the value of `type` whose data stand at `at`; nothing is read at or behind `limit`. */
  #value(type: number, at: number, limit: number, depth: number): void {
    switch (type) {
      case JsonType.SMALL_OBJECT:
        this.#container(at, limit, depth, 2, true);
        break;
      case JsonType.LARGE_OBJECT:
        this.#container(at, limit, depth, 4, true);
        break;
      case JsonType.SMALL_ARRAY:
        this.#container(at, limit, depth, 2, false);
        break;
      case JsonType.LARGE_ARRAY:
        this.#container(at, limit, depth, 4, false);
        break;
      case JsonType.STRING:
        this.#string(at, limit);
        break;
      case JsonType.OPAQUE:
        this.#opaque(at, limit);
        break;
      default: {
        const width = scalarWidth(type);
        this.#pay(at, width, limit);
        this.#emit(this.#scalar(type, at));
      }
    }
  }

  /** A value of fixed width; its bytes are paid for. */
  #scalar(type: number, at: number): string {
    switch (type) {
      case JsonType.LITERAL: {
        const literal = LITERALS[this.#buf[at]!];
        if (literal === undefined) throw malformed(WHAT, `literal ${this.#buf[at]}`);
        return literal;
      }
      case JsonType.INT16:
        return String(this.#buf.readInt16LE(at));
      case JsonType.UINT16:
        return String(this.#buf.readUInt16LE(at));
      case JsonType.INT32:
        return String(this.#buf.readInt32LE(at));
      case JsonType.UINT32:
        return String(this.#buf.readUInt32LE(at));
      case JsonType.INT64:
        return String(this.#buf.readBigInt64LE(at));
      case JsonType.UINT64:
        return String(this.#buf.readBigUInt64LE(at));
      default: {
        const value = this.#buf.readDoubleLE(at);
        if (!Number.isFinite(value)) throw malformed(WHAT, 'a double that is no number');
        return doubleText(value);
      }
    }
  }

  #container(at: number, outerLimit: number, depth: number, width: 2 | 4, isObject: boolean): void {
    if (depth >= JSON_DEPTH_MAX) throw malformed(WHAT, `nested deeper than ${JSON_DEPTH_MAX}`);
    this.#pay(at, 2 * width, outerLimit);
    const count = this.#buf.readUIntLE(at, width);
    const size = this.#buf.readUIntLE(at + width, width);
    if (size > outerLimit - at) throw malformed(WHAT, `an object of ${size} bytes in ${outerLimit - at}`);
    const limit = at + size;
    const keys = at + 2 * width;
    const keyWidth = isObject ? width + 2 : 0;
    const values = keys + count * keyWidth;
    const data = values + count * (1 + width);
    this.#pay(keys, data - keys, limit);

    this.#emit(isObject ? '{' : '[');
    for (let i = 0; i < count; i++) {
      if (i > 0) this.#emit(', ');
      if (isObject) this.#key(keys + i * keyWidth, at, data, limit, width);
      const entry = values + i * (1 + width);
      const type = this.#buf[entry]!;
      if (isInline(type, width)) {
        this.#emit(this.#scalar(type, entry + 1));
        continue;
      }
      const offset = this.#buf.readUIntLE(entry + 1, width);
      if (at + offset < data || offset > size)
        throw malformed(WHAT, `a value at offset ${offset} of ${size}`);
      this.#value(type, at + offset, limit, depth + 1);
    }
    this.#emit(isObject ? '}' : ']');
  }

  #key(entry: number, at: number, data: number, limit: number, width: 2 | 4): void {
    const start = at + this.#buf.readUIntLE(entry, width);
    const length = this.#buf.readUInt16LE(entry + width);
    if (start < data || start > limit) throw malformed(WHAT, 'a key outside of its object');
    this.#pay(start, length, limit);
    this.#emit(`${quoteJson(this.#utf8(start, length))}: `);
  }

  #string(at: number, limit: number): void {
    const start = this.#lengthEnd(at, limit);
    const length = this.#length(at, start);
    this.#pay(start, length, limit);
    this.#emit(quoteJson(this.#utf8(start, length)));
  }

  #opaque(at: number, limit: number): void {
    this.#pay(at, 1, limit);
    const type = this.#buf[at]!;
    const start = this.#lengthEnd(at + 1, limit);
    const length = this.#length(at + 1, start);
    this.#pay(start, length, limit);
    this.#emit(this.#opaqueText(type, start, length));
  }

  #opaqueText(type: number, start: number, length: number): string {
    const buf = this.#buf;
    switch (type) {
      case ColumnType.NEWDECIMAL: {
        const precision = length < 2 ? 0 : buf[start]!;
        const scale = length < 2 ? 0 : buf[start + 1]!;
        if (precision < 1 || precision > 65 || scale > precision)
          throw malformed(WHAT, 'a DECIMAL of no known form');
        if (length - 2 !== decimalWidth(precision, scale)) {
          throw malformed(WHAT, `a DECIMAL(${precision},${scale}) of ${length - 2} bytes`);
        }
        return decimalText(buf, start + 2, precision, scale);
      }
      case ColumnType.DATE:
      case ColumnType.TIME:
      case ColumnType.DATETIME:
      case ColumnType.TIMESTAMP: {
        if (length !== 8) throw malformed(WHAT, `a temporal value of ${length} bytes`);
        const kind = type === ColumnType.DATE ? 'date' : type === ColumnType.TIME ? 'time' : 'datetime';
        return `"${packedTemporalText(buf.readBigInt64LE(start), kind)}"`;
      }
      default:
        return quoteJson(`base64:type${type}:${base64Lines(buf, start, start + length)}`);
    }
  }

  /** Where a variable length that starts at `at` ends: at most 5 bytes, the last one without its top bit. */
  #lengthEnd(at: number, limit: number): number {
    for (let i = at; i < at + 5; i++) {
      this.#pay(i, 1, limit);
      if (this.#buf[i]! < 0x80) return i + 1;
    }
    throw malformed(WHAT, 'a length of more than 5 bytes');
  }

  #length(at: number, end: number): number {
    let length = 0;
    for (let i = end - 1; i >= at; i--) length = length * 128 + (this.#buf[i]! & 0x7f);
    return length;
  }

  #utf8(start: number, length: number): string {
    const bytes = this.#buf.subarray(start, start + length);
    if (!isUtf8(bytes)) throw malformed(WHAT, 'a string that is not UTF-8');
    return bytes.toString('utf8');
  }
}

/** Base64 in lines of 76 characters, as the server's encoder writes it, without a line break at the end. */
function base64Lines(buf: Buffer, start: number, end: number): string {
  return buf.toString('base64', start, end).replace(/.{76}(?=.)/g, '$&\n');
}

function scalarWidth(type: number): number {
  switch (type) {
    case JsonType.LITERAL:
      return 1;
    case JsonType.INT16:
    case JsonType.UINT16:
      return 2;
    case JsonType.INT32:
    case JsonType.UINT32:
      return 4;
    case JsonType.INT64:
    case JsonType.UINT64:
    case JsonType.DOUBLE:
      return 8;
    default:
      throw malformed(WHAT, `type 0x${type.toString(16)}`);
  }
}

/** The value stands in its entry instead of an offset. */
function isInline(type: number, width: 2 | 4): boolean {
  switch (type) {
    case JsonType.LITERAL:
    case JsonType.INT16:
    case JsonType.UINT16:
      return true;
    case JsonType.INT32:
    case JsonType.UINT32:
      return width === 4;
    default:
      return false;
  }
}
