/**
 * The status as a table for people: one row per target, what is not well in words below.
 */
import { styleText } from 'node:util';
import Table from 'cli-table3';
import { type ErrorCode, errorReference } from '../base/errors.ts';
import type { ChannelStatus, ReaderView, Status, TargetStatus } from '../observe/status.ts';

type Style = 'green' | 'yellow' | 'red' | 'bold';

const SET_LENGTH_MAX = 40;

export function renderStatus(status: Status, colour: boolean): string {
  const paint = (style: Style, text: string): string =>
    colour ? styleText(style, text, { validateStream: false }) : text;
  const upMs = Date.parse(status.now) - Date.parse(status.started_at);
  const lines = [`millrace ${status.version}, pid ${status.pid}, up ${spanText(upMs / 1000)}`, ''];
  const table = new Table({
    head: ['CHANNEL', 'SOURCE', 'READER', 'RELAY LOG', 'TARGET', 'APPLIER', 'LAG', 'EXECUTED'],
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2, compact: true },
  });
  for (const channel of status.channels) {
    for (const [index, target] of channel.targets.entries()) {
      const first = index === 0;
      table.push([
        first ? channel.name : '',
        first ? `${channel.source.host}:${channel.source.port}` : '',
        first ? paint(styleOf(channel.reader.state), channel.reader.state) : '',
        first ? relayText(channel) : '',
        target.name,
        paint(styleOf(target.state), target.state),
        lagText(target),
        setText(target.executed_gtid_set),
      ]);
    }
  }
  lines.push(
    ...table
      .toString()
      .split('\n')
      .map((line) => line.trimEnd()),
  );
  const remarks = status.channels.flatMap((channel) => remarksOf(channel));
  if (remarks.length > 0) lines.push('', ...remarks);
  return lines.join('\n');
}

const NO_LINES = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((place) => [place, '']),
);

function styleOf(state: string): Style {
  if (state === 'running' || state === 'streaming') return 'green';
  return state === 'stopped' ? 'red' : 'yellow';
}

function remarksOf(channel: ChannelStatus): string[] {
  const remarks: string[] = [];
  if (channel.state !== 'running') remarks.push(`${channel.name}: ${channel.state}`);
  const { reader } = channel;
  if (reader.reason !== null)
    remarks.push(`${channel.name}: reader: ${printable(reader.reason)}${reference(reader)}`);
  for (const target of channel.targets) {
    if (target.reason === null) continue;
    remarks.push(`${channel.name}: target ${target.name}: ${printable(target.reason)}${reference(target)}`);
  }
  return remarks;
}

/** Where the error behind a state is explained. */
function reference({ state, last_error_code: code }: ReaderView | TargetStatus): string {
  const isBehind = code !== null && (state === 'stopped' || state === 'backing-off');
  return isBehind ? ` [${errorReference(code as ErrorCode)}]` : '';
}

/** What a server said may hold anything: one line, no control characters. */
function printable(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ');
}

/** `000007:88231 (1.2 GiB)` */
function relayText({ relay_log: { file, position, bytes } }: ChannelStatus): string {
  if (file === null) return '-';
  return `${file.slice(file.lastIndexOf('.') + 1)}:${position} (${bytesText(bytes)})`;
}

function bytesText(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'KiB', 'MiB', 'GiB']) {
    if (value < 1024) return `${value >= 100 || unit === 'B' ? Math.round(value) : value.toFixed(1)} ${unit}`;
    value /= 1024;
  }
  return `${value.toFixed(1)} TiB`;
}

function lagText({ lag_seconds: seconds, lag_transactions: transactions }: TargetStatus): string {
  const time = seconds === null ? 'unknown' : spanText(seconds);
  return transactions === null || transactions === 0 ? time : `${time}, ${transactions} transactions`;
}

/** `<0.1 s`, `0.4 s`, `12 s`, `5 min`, `3.2 h`, `8 d` */
function spanText(seconds: number): string {
  if (seconds > 0 && seconds < 0.05) return '<0.1 s';
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(1)} h` : `${Math.round(seconds / 86_400)} d`;
}

/** `3e11…:1-5021`: the UUIDs are known to whoever reads this, the numbers are what moves. */
function setText(set: string | null): string {
  if (set === null) return 'unknown';
  if (set === '') return 'nothing yet';
  const short = set
    .replace(/\s/g, '')
    .replace(/([0-9a-f]{4})[0-9a-f]{4}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/gi, '$1…');
  return short.length <= SET_LENGTH_MAX ? short : `${short.slice(0, SET_LENGTH_MAX - 1)}…`;
}
