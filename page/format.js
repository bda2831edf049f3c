/**
 * Values of the status as people read them. What is not known is `unknown`, never a number.
 */

export const UNKNOWN = 'unknown';

/**
 * `0 s`, `<0.1 s`, `0.4 s`, `12 s`, `5 min`, `3.2 h`, `8 d`
 * @param {number | null | undefined} seconds
 */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return UNKNOWN;
  if (seconds > 0 && seconds < 0.05) return '<0.1 s';
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** @param {number | null | undefined} number */
export function count(number) {
  if (number === null || number === undefined) return UNKNOWN;
  return number.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** @param {number | null | undefined} number */
export function bytes(number) {
  if (number === null || number === undefined) return UNKNOWN;
  let value = number;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${value >= 100 || unit === 'B' ? Math.round(value) : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

/** @param {number | null | undefined} perSecond */
export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return UNKNOWN;
  return `${perSecond >= 10 || perSecond === 0 ? count(perSecond) : perSecond.toFixed(1)}/s`;
}

/** @param {number | null | undefined} perSecond */
export function byteRate(perSecond) {
  return perSecond === null || perSecond === undefined ? UNKNOWN : `${bytes(perSecond)}/s`;
}

/** @param {unknown} value */
export function text(value) {
  return value === null || value === undefined ? UNKNOWN : String(value);
}

/** `14:03:22`; with the day when it was not today. @param {string} iso */
export function clock(iso) {
  const date = new Date(iso);
  const time = date.toLocaleTimeString('en-GB');
  const today = date.toDateString() === new Date().toDateString();
  return today ? time : `${date.toLocaleDateString('en-CA')} ${time}`;
}
