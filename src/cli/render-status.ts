/**
 * The status as a table for people: one row per target, what is not well in words below.
 */
import { stripVTControlCharacters, styleText } from 'node:util';
import Table from 'cli-table3';
import { type ErrorCode, errorReference } from '../base/errors.ts';
import { roughBytes, roughSpan } from '../base/rough-text.ts';
import { formatDuration } from '../config/units.ts';
import type { ChannelStatus, ReaderView, Status, TargetStatus } from '../observe/status.ts';
import { lagText, printable, relayText, type Style, setText, styleOf } from './status-words.ts';

/** A smaller lag is gone before anybody has read when. */
const ETA_FROM_SECONDS = 10;

const GUARDS_SHOWN = 5;

/** `columns`: of the window; left out: as wide as it takes. Where the table does not fit, one part stands below the other. */
export function renderStatus(status: Status, colour: boolean, columns = Number.POSITIVE_INFINITY): string {
  const paint = (style: Style, text: string): string =>
    colour ? styleText(style, text, { validateStream: false }) : text;
  const upMs = Date.parse(status.now) - Date.parse(status.started_at);
  const lines = [`millrace ${status.version}, pid ${status.pid}, up ${roughSpan(upMs / 1000)}`, ''];
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
  const rows = table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
  const fits = rows.every((row) => stripVTControlCharacters(row).length <= columns);
  lines.push(...(fits ? rows : status.channels.flatMap((channel) => stackedChannel(channel, paint))));
  const remarks = status.channels.flatMap((channel) => remarksOf(channel));
  if (remarks.length > 0) lines.push('', ...remarks.flatMap((remark) => wrapped(remark, columns)));
  return lines.join('\n');
}

/** In lines that fit, the later ones indented. */
function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length <= columns || line.trim() === '') line = longer;
    else {
      lines.push(line);
      line = `  ${word}`;
    }
  }
  return [...lines, line];
}

const NO_LINES = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((place) => [place, '']),
);

type Paint = (style: Style, text: string) => string;

/** A channel for a narrow terminal: the way from the source down to the targets. */
function stackedChannel(channel: ChannelStatus, paint: Paint): string[] {
  const { source, reader, relay_log: relayLog } = channel;
  return [
    `${paint('bold', channel.name)}  ${paint(styleOf(channel.state), channel.state)}`,
    `  ${source.host}:${source.port}  ${paint(styleOf(reader.state), reader.state)}`,
    `  ${relayLog.file === null ? 'relay log empty' : relayText(channel)}`,
    ...channel.targets.flatMap((target) => [
      `  ${target.name}  ${paint(styleOf(target.state), target.state)}  ${lagText(target)}`,
      `    ${setText(target.executed_gtid_set)}`,
    ]),
    '',
  ];
}

function remarksOf(channel: ChannelStatus): string[] {
  const remarks: string[] = [];
  if (channel.state !== 'running') remarks.push(`${channel.name}: ${channel.state}`);
  const { too_long_a_delay: tooLong } = channel.relay_log;
  const { reader } = channel;
  if (tooLong !== null) remarks.push(`${channel.name}: ${tooLong}`);
  if (reader.reason !== null)
    remarks.push(`${channel.name}: reader: ${printable(reader.reason)}${reference(reader)}`);
  for (const target of channel.targets) {
    const reason = target.reason === null ? null : `${target.reason}${reference(target)}`;
    for (const remark of [reason, ...wishesText(target), ...progressText(target)]) {
      if (remark !== null) remarks.push(`${channel.name}: target ${target.name}: ${printable(remark)}`);
    }
  }
  for (const alarm of channel.alarms) remarks.push(`${channel.name}: alarm: ${printable(alarm.text)}`);
  return remarks;
}

/** Where the error behind a state is explained. */
function reference({ state, last_error_code: code }: ReaderView | TargetStatus): string {
  const isBehind = code !== null && (state === 'stopped' || state === 'backing-off');
  return isBehind ? ` [${errorReference(code as ErrorCode)}]` : '';
}

/** What holds it up without anybody having asked for it, and when it will have caught up. */
function progressText({ stuck, eta, lag_seconds: seconds }: TargetStatus): string[] {
  const texts: string[] = [];
  const told = ['paused', 'until', 'guard', 'delay', 'read_only'];
  if (stuck !== null && !told.includes(stuck.why)) {
    texts.push(stuck.hint === null ? stuck.text : `${stuck.text}. ${stuck.hint}`);
  }
  const tells = eta.text.startsWith('in ') || eta.text.startsWith('never');
  if (tells && seconds !== null && seconds >= ETA_FROM_SECONDS) texts.push(`caught up ${eta.text}`);
  return texts;
}

/** What operators want of a target, and what that keeps waiting. */
function wishesText(target: TargetStatus): string[] {
  const { delay_seconds: delay, until, waiting, skips_pending: skips } = target;
  const texts: string[] = [];
  if (delay > 0) texts.push(`delayed by ${formatDuration(delay * 1000)}`);
  if (waiting !== null) {
    const { transactions, bytes, next_id: next, next_due_seconds: due, clock_known: known } = waiting;
    const count = transactions === null ? 'transactions wait' : counted(transactions, 'transaction', 'waits');
    const size = bytes === null ? '' : ` (${roughBytes(bytes)})`;
    const when = due === null ? '' : ` is due in ${roughSpan(due)}`;
    texts.push(`${count}${size}; next: ${next}${when}`);
    if (known === false) {
      texts.push(
        "the source's clock is not known yet: what waits counts from when it was seen, and may be late",
      );
    }
  }
  if (until !== null && !until.reached) {
    const where = until.before ?? until.after ?? `the first commit at ${until.time} or later`;
    texts.push(`stops ${until.after === null ? 'before' : 'after'} ${where}`);
  }
  texts.push(...guardTexts(target));
  if (skips > 0) texts.push(`${counted(skips, 'transaction', 'is')} to be skipped`);
  return texts;
}

/** What a guard has found; what holds the target is told by its reason. */
function guardTexts({ guards, guards_open: open }: TargetStatus): string[] {
  const shown = guards.slice(0, GUARDS_SHOWN);
  const texts = shown
    .filter(({ state }) => state !== 'holding')
    .map(({ id, guard, what, state, due_seconds: due }) => {
      const answer = state === 'waiting' ? '' : `, ${state}`;
      const when = due === null ? '' : due === 0 ? ', due now' : `, due in ${roughSpan(due)}`;
      return `guard ${guard}: ${what} in ${id}${answer}${when}`;
    });
  if (open > shown.length) texts.push(`guards have found ${open - shown.length} more`);
  return texts;
}

/** `1 transaction waits`, `2 transactions wait`, `2 transactions are` */
function counted(count: number, noun: string, verb: string): string {
  if (count === 1) return `1 ${noun} ${verb}`;
  return `${count} ${noun}s ${verb === 'is' ? 'are' : verb.replace(/s$/, '')}`;
}
