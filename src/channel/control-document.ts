/**
 * What operators have said about the channels beside the configuration, and what must not be forgotten: one document of all
 * channels, and its form on disk.
 *
 *   {"millrace_control":1,"checksum":"9ae0daaf","channels":[{"name":"orders","reader_paused":false,"targets":[…]}]}\n
 *
 * The checksum is the CRC32 of the JSON text of `channels`: an id that a failing disk has changed would be a transaction that
 * is applied although somebody had said it must not be. A wish about a channel or target that the configuration does not name
 * (any more) is kept.
 *
 * What was skipped or approved is kept after it is executed (the newest EXECUTED_MAX): a target that goes back to an older state
 * gets these transactions again, and what was said of them still holds.
 */
import { crc32 } from 'node:zlib';
import type { ExecutedIds } from '../applier/applier-messages.ts';
import type { TargetControl, Until } from '../applier/target-control.ts';
import { transactionIdText } from '../binlog/position-set.ts';
import { parseTransactionIdText } from '../binlog/transaction-id.ts';

/** Ids of one target that are not executed, of each kind. */
export const PENDING_MAX = 10_000;
const EXECUTED_MAX = 1_000;
export const REASON_LENGTH_MAX = 1_000;
export const DELAY_MS_MAX = 3650 * 86_400_000;
/** The year 2200. */
export const TIME_MS_MAX = 7_258_118_400_000;
const CHANNELS_MAX = 1_000;
const VERSION = 1;

export interface ApprovedId {
  readonly id: string;
  /** On this target. */
  readonly executed: boolean;
}

export interface SkippedId extends ApprovedId {
  readonly reason: string;
  /**
   * The applier had said that it was neither executed nor in flight. Else nobody could tell at that time, and a target that then
   * turns out to have it may have had it for real.
   */
  readonly certain: boolean;
}

/** It was executed before anybody could be told to skip it, as far as is known. */
export function cameTooLate({ executed, certain }: SkippedId): boolean {
  return executed && !certain;
}

export interface TargetWishes {
  readonly name: string;
  readonly paused: boolean;
  readonly delayMs: number | null;
  readonly until: Until | null;
  readonly approved: readonly ApprovedId[];
  readonly skipped: readonly SkippedId[];
}

export interface ChannelWishes {
  readonly name: string;
  readonly readerPaused: boolean;
  readonly targets: readonly TargetWishes[];
}

export type ControlDocument = readonly ChannelWishes[];

export function channelWishes(document: ControlDocument, channel: string): ChannelWishes {
  const found = document.find(({ name }) => name === channel);
  return found ?? { name: channel, readerPaused: false, targets: [] };
}

export function targetWishes(document: ControlDocument, channel: string, target: string): TargetWishes {
  const found = channelWishes(document, channel).targets.find(({ name }) => name === target);
  return found ?? { name: target, paused: false, delayMs: null, until: null, approved: [], skipped: [] };
}

export function withChannel(
  document: ControlDocument,
  channel: string,
  change: Partial<Omit<ChannelWishes, 'name'>>,
): ControlDocument {
  return replaced(document, { ...channelWishes(document, channel), ...change });
}

export function withTarget(
  document: ControlDocument,
  channel: string,
  target: string,
  change: Partial<Omit<TargetWishes, 'name'>>,
): ControlDocument {
  const wishes = { ...targetWishes(document, channel, target), ...change };
  const bounded = { ...wishes, approved: newest(wishes.approved), skipped: newest(wishes.skipped) };
  return withChannel(document, channel, {
    targets: replaced(channelWishes(document, channel).targets, bounded),
  });
}

/** What an applier has told about the ids. The same document when none of it is news. */
export function withExecuted(
  document: ControlDocument,
  channel: string,
  target: string,
  { committed, found, missing }: ExecutedIds,
): ControlDocument {
  const { approved, skipped } = targetWishes(document, channel, target);
  const ids = new Set([...committed, ...found]);
  const sure = new Set([...committed, ...missing]);
  const isNews = ({ id, executed }: ApprovedId): boolean => !executed && ids.has(id);
  const isSure = ({ id, executed, certain }: SkippedId): boolean => !executed && !certain && sure.has(id);
  if (!approved.some(isNews) && !skipped.some((each) => isNews(each) || isSure(each))) return document;
  return withTarget(document, channel, target, {
    approved: approved.map((each) => (isNews(each) ? { ...each, executed: true } : each)),
    skipped: skipped.map((each) => ({
      ...each,
      executed: each.executed || isNews(each),
      certain: each.certain || isSure(each),
    })),
  });
}

/** What an applier is handed. */
export function targetControl(wishes: TargetWishes): TargetControl {
  const { paused, delayMs, until, approved, skipped } = wishes;
  return {
    paused,
    delayMs,
    until,
    approved: approved.map(({ id }) => id),
    skipped: skipped.map(({ id, reason }) => ({ id, reason })),
  };
}

export function pending<T extends ApprovedId>(list: readonly T[]): T[] {
  return list.filter(({ executed }) => !executed);
}

function replaced<T extends { readonly name: string }>(list: readonly T[], item: T): T[] {
  const at = list.findIndex(({ name }) => name === item.name);
  return at === -1 ? [...list, item] : list.with(at, item);
}

/** All that are not executed, and the newest of the others, in their order. */
function newest<T extends ApprovedId>(list: readonly T[]): readonly T[] {
  let surplus = list.reduce((count, { executed }) => count + (executed ? 1 : 0), 0) - EXECUTED_MAX;
  return surplus <= 0 ? list : list.filter(({ executed }) => !executed || surplus-- <= 0);
}

// ---- on disk

export function documentText(document: ControlDocument): string {
  const channels = document.map(({ name, readerPaused, targets }) => ({
    name,
    reader_paused: readerPaused,
    targets: targets.map(({ delayMs, ...target }) => ({ ...target, delay_ms: delayMs })),
  }));
  const checksum = checksumOf(channels);
  return `${JSON.stringify({ millrace_control: VERSION, checksum, channels })}\n`;
}

function checksumOf(channels: unknown): string {
  return crc32(JSON.stringify(channels)).toString(16).padStart(8, '0');
}

/** Says what is wrong as the end of a sentence. */
export class DamagedDocument extends Error {}

/** Throws DamagedDocument. */
export function parseDocument(text: string): ControlDocument {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch {
    throw new DamagedDocument('it is not JSON');
  }
  const { millrace_control: version, checksum, channels } = objectOf(root);
  if (version !== VERSION) {
    throw new DamagedDocument(
      typeof version === 'number'
        ? `its format ${version} is of another version of Millrace`
        : 'it is no such file',
    );
  }
  const list = arrayOf(channels, CHANNELS_MAX);
  if (checksum !== checksumOf(list)) throw new DamagedDocument('its checksum does not match');
  return list.map(channelOf);
}

function channelOf(value: unknown): ChannelWishes {
  const { name, reader_paused: readerPaused, targets } = objectOf(value);
  return {
    name: textOf(name, 64),
    readerPaused: booleanOf(readerPaused),
    targets: arrayOf(targets, CHANNELS_MAX).map(targetOf),
  };
}

function targetOf(value: unknown): TargetWishes {
  const { name, paused, delay_ms: delayMs, until, approved, skipped } = objectOf(value);
  const idsMax = PENDING_MAX + EXECUTED_MAX;
  return {
    name: textOf(name, 64),
    paused: booleanOf(paused),
    delayMs: delayMs === null ? null : numberOf(delayMs, DELAY_MS_MAX),
    until: until === null ? null : untilOf(until),
    approved: arrayOf(approved, idsMax).map(idOf),
    skipped: arrayOf(skipped, idsMax).map((each) => ({
      ...idOf(each),
      reason: textOf(objectOf(each).reason, REASON_LENGTH_MAX),
      certain: booleanOf(objectOf(each).certain),
    })),
  };
}

function idOf(value: unknown): ApprovedId {
  const { id, executed } = objectOf(value);
  return { id: canonicalId(textOf(id, 400)), executed: booleanOf(executed) };
}

function canonicalId(text: string): string {
  let canonical: string;
  try {
    canonical = transactionIdText(parseTransactionIdText(text));
  } catch {
    throw new DamagedDocument('an id in it names no transaction');
  }
  if (canonical !== text) throw new DamagedDocument('an id in it is not spelled as Millrace does');
  return text;
}

function untilOf(value: unknown): Until {
  const { is, id, ms } = objectOf(value);
  if (is === 'time') return { is, ms: numberOf(ms, TIME_MS_MAX) };
  if (is === 'before' || is === 'after') return { is, id: canonicalId(textOf(id, 400)) };
  throw new DamagedDocument('an until in it is of no known kind');
}

function objectOf(value: unknown): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw new DamagedDocument('a part of it has not the form that it must have');
}

function arrayOf(value: unknown, lengthMax: number): readonly unknown[] {
  if (Array.isArray(value) && value.length <= lengthMax) return value;
  throw new DamagedDocument('a list in it is missing, or too long');
}

function textOf(value: unknown, lengthMax: number): string {
  if (typeof value === 'string' && value.length > 0 && value.length <= lengthMax) return value;
  throw new DamagedDocument('a text in it is missing, or too long');
}

function booleanOf(value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw new DamagedDocument('a part of it is neither true nor false');
}

function numberOf(value: unknown, maximum: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= maximum) return value;
  throw new DamagedDocument('a number in it is missing, or out of range');
}
