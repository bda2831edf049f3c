/**
 * Dates and times as MySQL's own text, never as a JavaScript Date: zero dates, partial dates, 838 hours and
 * microseconds all have to survive.
 *
 *   DATE, NEWDATE  3 bytes little-endian: year << 9 | month << 5 | day
 *   TIME2          3 + f bytes big-endian: 0x800000 + (hours << 12 | minutes << 6 | seconds), then the fraction; the
 *                  whole is one two's complement number, so a negative time with a fraction borrows from the seconds
 *   DATETIME2      5 + f bytes big-endian: 0x8000000000 + ((year * 13 + month) << 22 | day << 17 | hour << 12 |
 *                  minute << 6 | second), then the fraction
 *   TIMESTAMP2     4 + f bytes big-endian: unsigned seconds since the epoch in UTC, then the fraction; 0 is the zero date
 *   TIME, DATETIME, TIMESTAMP (before MySQL 5.6.4)   decimal hhmmss, decimal YYYYMMDDhhmmss, seconds; little-endian
 * f = (digits + 1) / 2 bytes of hundredths, ten-thousandths or millionths.
 *
 * Callers have checked that the bytes are there. A field out of its range throws MALFORMED_EVENT.
 * Facts: my_time_packed_from_binary, my_datetime_packed_from_binary, my_timestamp_from_binary in mysys/my_time.
 */
import { malformed } from './byte-decoder.ts';
import { fractionBytes } from './column-type.ts';

const ZERO_DATE = '0000-00-00';

/** `YYYY-MM-DD`. */
export function dateText(buf: Buffer, pos: number): string {
  const bits = buf.readUIntLE(pos, 3);
  return ymd(bits >> 9, (bits >> 5) & 15, bits & 31);
}

/** `[-]HH:MM:SS[.ffffff]` with `digits` digits after the second. */
export function time2Text(buf: Buffer, pos: number, digits: number): string {
  const bytes = fractionBytes(digits);
  // One two's complement number of 24 + 8 * bytes bits, offset by half its range: at most 48 bits, exact in a double.
  const packed = buf.readUIntBE(pos, 3 + bytes) - 0x80_0000 * 256 ** bytes;
  const size = Math.abs(packed);
  const unit = 256 ** bytes;
  const whole = Math.floor(size / unit);
  const micros = (size - whole * unit) * 100 ** (3 - bytes);
  return timeText(packed < 0, whole, bytes === 0 ? 0 : micros, digits);
}

/** `YYYY-MM-DD HH:MM:SS[.ffffff]`. */
export function datetime2Text(buf: Buffer, pos: number, digits: number): string {
  const packed = buf.readUIntBE(pos, 5) - 0x80_0000_0000;
  if (packed < 0) throw malformed('DATETIME value', 'it is negative');
  return datetimeParts(packed, fraction(buf, pos + 5, digits), digits);
}

/** `YYYY-MM-DD HH:MM:SS[.ffffff]` in UTC. */
export function timestamp2Text(buf: Buffer, pos: number, digits: number): string {
  return timestampText(buf.readUInt32BE(pos), fraction(buf, pos + 4, digits), digits);
}

/** TIMESTAMP without a fraction, before MySQL 5.6.4. */
export function oldTimestampText(buf: Buffer, pos: number): string {
  return timestampText(buf.readUInt32LE(pos), 0, 0);
}

/** TIME before MySQL 5.6.4: a signed decimal hhmmss. */
export function oldTimeText(buf: Buffer, pos: number): string {
  const value = buf.readIntLE(pos, 3);
  const size = Math.abs(value);
  const whole = (Math.floor(size / 10000) << 12) | ((Math.floor(size / 100) % 100) << 6) | (size % 100);
  return timeText(value < 0, whole, 0, 0);
}

/** DATETIME before MySQL 5.6.4: a decimal YYYYMMDDhhmmss. */
export function oldDatetimeText(buf: Buffer, pos: number): string {
  const value = buf.readBigUInt64LE(pos);
  const date = Number(value / 1_000_000n);
  const time = Number(value % 1_000_000n);
  const clock = hms(Math.floor(time / 10000), Math.floor(time / 100) % 100, time % 100);
  return `${ymd(Math.floor(date / 10000), Math.floor(date / 100) % 100, date % 100)} ${clock}`;
}

/**
 * The packed 64-bit form in which JSON holds DATE, TIME, DATETIME and TIMESTAMP: the same bits with 24 bits of
 * microseconds below. Six digits after the second, as the server prints them; a DATE has none.
 */
export function packedTemporalText(packed: bigint, kind: 'date' | 'time' | 'datetime'): string {
  const size = packed < 0n ? -packed : packed;
  const whole = Number(size >> 24n);
  const micros = Number(size & 0xff_ffffn);
  if (kind === 'time') return timeText(packed < 0n, whole, micros, 6);
  if (packed < 0n) throw malformed('DATETIME value', 'it is negative');
  const text = datetimeParts(whole, micros, 6);
  return kind === 'date' ? text.slice(0, 10) : text;
}

/** Microseconds of the fraction at `pos`. */
function fraction(buf: Buffer, pos: number, digits: number): number {
  const bytes = fractionBytes(digits);
  return bytes === 0 ? 0 : buf.readUIntBE(pos, bytes) * 100 ** (3 - bytes);
}

function timeText(negative: boolean, whole: number, micros: number, digits: number): string {
  const hours = Math.floor(whole / 4096);
  if (hours > 838) throw malformed('TIME value', `${hours} hours`);
  const text = hms(hours, (whole >> 6) & 63, whole & 63) + fractionText(micros, digits);
  return negative ? `-${text}` : text;
}

/** `packed` without the fraction: 17 bits of time, 5 of day, the rest year * 13 + month. */
function datetimeParts(packed: number, micros: number, digits: number): string {
  const date = Math.floor(packed / 0x2_0000);
  const time = packed % 0x2_0000;
  const months = date >>> 5;
  const clock = hms(time >> 12, (time >> 6) & 63, time & 63);
  if (time >> 12 > 23) throw malformed('DATETIME value', `${time >> 12} hours`);
  return `${ymd(Math.floor(months / 13), months % 13, date & 31)} ${clock}${fractionText(micros, digits)}`;
}

function timestampText(seconds: number, micros: number, digits: number): string {
  const point = fractionText(micros, digits);
  if (seconds === 0) return `${ZERO_DATE} 00:00:00${point}`;
  const clock = seconds % 86400;
  const time = hms(Math.floor(clock / 3600), Math.floor(clock / 60) % 60, clock % 60);
  return `${dateOfDay(Math.floor(seconds / 86400))} ${time}${point}`;
}

/** Proleptic Gregorian date of a day counted from 1970-01-01, for days that are not negative. */
function dateOfDay(day: number): string {
  const shifted = day + 719_468; // days since 0000-03-01: a year that ends with its leap day
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const dayOfMonth = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return ymd(year, month, dayOfMonth);
}

function ymd(year: number, month: number, day: number): string {
  if (year > 9999 || month > 12 || day > 31) throw malformed('DATE value', `${year}-${month}-${day}`);
  return `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`;
}

function hms(hours: number, minutes: number, seconds: number): string {
  if (minutes > 59 || seconds > 59) throw malformed('TIME value', `${hours}:${minutes}:${seconds}`);
  return `${two(hours)}:${two(minutes)}:${two(seconds)}`;
}

function fractionText(micros: number, digits: number): string {
  if (micros > 999_999) throw malformed('TIME value', `${micros} microseconds`);
  return digits === 0 ? '' : `.${String(micros).padStart(6, '0').slice(0, digits)}`;
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
