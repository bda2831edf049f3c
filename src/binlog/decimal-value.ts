/**
 * NEWDECIMAL: MySQL's packed decimal, up to 65 digits, as text.
 *
 * Big-endian groups of nine digits in four bytes; the digits that do not fill a group stand at the outer ends (first
 * of the whole part, last of the fraction) in 1 to 4 bytes. The top bit of the first byte is inverted; of a negative
 * number all bits are inverted on top of that.
 * Facts: `decimal2bin` in MySQL's strings/decimal.
 */
import { malformed } from './byte-decoder.ts';
import { decimalWidth } from './column-type.ts';

const REST_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4] as const;
const POWERS = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9] as const;

/**
 * The number at `pos`, with exactly `scale` digits after the point and no superfluous zeros before it. The caller has
 * checked that decimalWidth(precision, scale) bytes are there. Throws MALFORMED_EVENT for a group that is no number.
 */
export function decimalText(buf: Buffer, pos: number, precision: number, scale: number): string {
  const negative = (buf[pos]! & 0x80) === 0;
  const flip = negative ? 0xff : 0;
  const end = pos + decimalWidth(precision, scale);
  const wholeDigits = precision - scale;

  let at = pos;
  const group = (digits: number, bytes: number): string => {
    let value = 0;
    for (let i = 0; i < bytes; i++, at++) {
      const byte = at === pos ? buf[at]! ^ 0x80 : buf[at]!;
      value = value * 256 + (byte ^ flip);
    }
    if (value >= POWERS[digits]!) throw malformed('DECIMAL value', `${value} does not have ${digits} digits`);
    return String(value).padStart(digits, '0');
  };

  let whole = wholeDigits % 9 > 0 ? group(wholeDigits % 9, REST_BYTES[wholeDigits % 9]!) : '';
  for (let i = Math.floor(wholeDigits / 9); i > 0; i--) whole += group(9, 4);
  let fraction = '';
  for (let i = Math.floor(scale / 9); i > 0; i--) fraction += group(9, 4);
  if (scale % 9 > 0) fraction += group(scale % 9, REST_BYTES[scale % 9]!);
  if (at !== end) throw malformed('DECIMAL value', `${at - pos} bytes read of ${end - pos}`);

  let zeros = 0;
  while (zeros < whole.length - 1 && whole.charCodeAt(zeros) === 0x30) zeros++;
  const digits = whole === '' ? '0' : whole.slice(zeros);
  const text = scale > 0 ? `${digits}.${fraction}` : digits;
  return negative && /[1-9]/.test(text) ? `-${text}` : text;
}
