/**
 * What outlives a process of what is known about the source's clock: `source-clock` in the channel's folder.
 *
 *   crc32 of the rest, eight hex digits · line feed · JSON: { version: 1, era, ...SavedSourceClock }
 *
 * It is written to a temporary file, synced and renamed, so that it is whole or the one before. It is advice, not progress: a
 * damaged or missing file is told and does without; positions of a relay log that was removed simply never match.
 * Bytes from the disk are hostile: checked for form, size, order, and for times that have not come yet.
 */
import { readFileSync, statSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '../base/errors.ts';
import { crc32 } from '../binlog/checksum.ts';
import { diskError, FILE_MODE } from './durable-file.ts';
import type { ClockReading, SavedSourceClock } from './source-clock.ts';
import { isBefore, SourceClock, SPANS_MAX } from './source-clock.ts';

const FILE_NAME = 'source-clock';
const LENGTH_MAX = 512 * 1024;
const VERSION = 1;
/** Any offset and any time of a clock that shows a year below 10000. */
const TIME_MAX = 253_402_300_800_000;

export function sourceClockPath(channelDir: string): string {
  return join(channelDir, FILE_NAME);
}

/** The clock as it was left; a new one when there is no file. @throws DISK for a file that is there and cannot be used. */
export function loadSourceClock(path: string, era: string | null, nowMs: number): SourceClock {
  const text = readText(path);
  if (text === null) return new SourceClock();
  const kept = parse(text);
  if (kept === null) throw damaged(path);
  if (era === null || kept.era !== era) return SourceClock.afterBoot(kept.saved, nowMs);
  const { saved } = kept;
  const inFuture =
    saved.reading.atMs > nowMs || saved.spans.some(({ committedByMs }) => committedByMs > nowMs);
  if (inFuture) throw damaged(path);
  return SourceClock.continued(saved);
}

/** @throws DISK, DISK_FULL. One at a time. */
export async function saveSourceClock(
  path: string,
  era: string | null,
  saved: SavedSourceClock,
): Promise<void> {
  const json = Buffer.from(`${JSON.stringify({ version: VERSION, era, ...saved })}\n`, 'latin1');
  const sum = crc32(json, 0, json.length).toString(16).padStart(8, '0');
  const temporary = `${path}.tmp`;
  try {
    const file = await open(temporary, 'w', FILE_MODE);
    try {
      await file.writeFile(Buffer.concat([Buffer.from(`${sum}\n`, 'latin1'), json]));
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    throw diskError('write', path, cause);
  }
}

function readText(path: string): Buffer | null {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return null;
    if (!stat.isFile() || stat.size > LENGTH_MAX) throw damaged(path);
    return readFileSync(path);
  } catch (cause) {
    throw diskError('read', path, cause);
  }
}

function damaged(path: string): MillraceError {
  return new MillraceError('DISK', `${path} is damaged`, {
    hint: "It is made anew: delayed transactions are timed by the source's clock as it stands now.",
  });
}

function parse(bytes: Buffer): { readonly era: string | null; readonly saved: SavedSourceClock } | null {
  const sum = bytes.subarray(0, 9).toString('latin1');
  if (!/^[0-9a-f]{8}\n$/.test(sum) || Number.parseInt(sum, 16) !== crc32(bytes, 9, bytes.length)) return null;
  let value: unknown;
  try {
    value = JSON.parse(bytes.subarray(9).toString('latin1'));
  } catch {
    return null;
  }
  if (!isMap(value) || value.version !== VERSION) return null;
  const { era, reading, regimes, spans } = value;
  if ((era !== null && typeof era !== 'string') || !isReading(reading)) return null;
  if (!isList(regimes, isRegime) || regimes.length === 0 || !isList(spans, isSpan)) return null;
  for (const [index, span] of spans.entries()) {
    const before = spans[index - 1];
    if (before === undefined) continue;
    if (!isBefore(before.end, span.end) || before.committedByMs > span.committedByMs) return null;
  }
  return { era, saved: { reading, regimes, spans } };
}

type Map = Readonly<Record<string, unknown>>;
type SavedRegime = SavedSourceClock['regimes'][number];
type SavedSpan = SavedSourceClock['spans'][number];

function isMap(value: unknown): value is Map {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isList<T>(value: unknown, isItem: (item: unknown) => item is T): value is readonly T[] {
  return Array.isArray(value) && value.length <= SPANS_MAX && value.every(isItem);
}

function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= TIME_MAX;
}

function isReading(value: unknown): value is ClockReading {
  if (!isMap(value)) return false;
  const { atMs, lowMs, highMs, wallMs } = value;
  return isTime(atMs) && isTime(lowMs) && isTime(highMs) && isTime(wallMs) && lowMs <= highMs;
}

function isRegime(value: unknown): value is SavedRegime {
  if (!isMap(value)) return false;
  const { lowMs, highMs, untilMs } = value;
  return isTime(lowMs) && isTime(highMs) && isTime(untilMs) && lowMs <= highMs;
}

function isSpan(value: unknown): value is SavedSpan {
  if (!isMap(value) || !isMap(value.end)) return false;
  const { committedByMs, lowMs, topMs, confirmed, sealed } = value;
  const { fileNumber, offset } = value.end;
  if (!isTime(committedByMs) || typeof confirmed !== 'boolean' || typeof sealed !== 'boolean') return false;
  if (lowMs === null ? topMs !== null : !(isTime(lowMs) && isTime(topMs) && lowMs <= topMs)) return false;
  return isCount(fileNumber) && isCount(offset);
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
