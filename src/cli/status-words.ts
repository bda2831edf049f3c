/**
 * Parts of a status in words, for a terminal: one line each, no control characters.
 */
import { spanText } from '../observe/catching-up.ts';
import type { ChannelStatus, TargetStatus } from '../observe/status.ts';

const SET_LENGTH_MAX = 40;

export type Style = 'green' | 'yellow' | 'red' | 'bold';

export function styleOf(state: string): Style {
  if (state === 'running' || state === 'streaming') return 'green';
  return state === 'stopped' ? 'red' : 'yellow';
}

/** What a server said may hold anything: one line, no control characters. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

/** `000007:88231 (1.2 GiB)` */
export function relayText({ relay_log: { file, position, bytes } }: ChannelStatus): string {
  if (file === null) return '-';
  const size = bytes === null ? '' : ` (${bytesText(bytes)})`;
  return `${file.slice(file.lastIndexOf('.') + 1)}:${position}${size}`;
}

export function bytesText(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${value >= 100 || unit === 'B' ? Math.round(value) : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

export function lagText({ lag_seconds: seconds, lag_transactions: transactions }: TargetStatus): string {
  const time = seconds === null ? 'unknown' : spanText(seconds);
  return transactions === null || transactions === 0 ? time : `${time}, ${transactions} transactions`;
}

/** `3e11…:1-5021`: the UUIDs are known to whoever reads this, the numbers are what moves. */
export function setText(set: string | null): string {
  if (set === null) return 'unknown';
  if (set === '') return 'nothing yet';
  const short = set
    .replace(/\s/g, '')
    .replace(/([0-9a-f]{4})[0-9a-f]{4}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi, '$1…');
  return short.length <= SET_LENGTH_MAX ? short : `${short.slice(0, SET_LENGTH_MAX - 1)}…`;
}
