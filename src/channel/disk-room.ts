/**
 * How long a delay the disk under data_dir can hold: what waits for its time lies in the relay log until then.
 *
 *   holds   (free + what the relay log has) / how fast it grows
 *
 * A full disk does not lose anything at once: receiving stops, and goes on as room comes free. But nothing comes free before
 * the delay is over, and a source that has deleted its binary logs by then cannot be gone on from. So it is said beforehand:
 * `check`, `millrace delay` and `millrace reload` refuse such a delay, `start` and the status warn of it.
 */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { roughBytes, roughSpan } from '../base/rough-text.ts';
import type { Clock } from '../base/runtime.ts';
import { formatDuration } from '../config/units.ts';
import { relayLogGrowth } from '../relay/relay-log-rate.ts';
import { relayDirectory } from './relay-directory.ts';

export interface DiskRoom {
  readonly freeBytes: number;
  readonly heldBytes: number;
  /** Null: the relay log holds too little to tell. */
  readonly bytesPerSecond: number | null;
  /** Null: not known. */
  readonly holdsMs: number | null;
}

/** Null: the disk cannot be looked at, which others will say. */
export function diskRoom(dataDir: string, channel: string): DiskRoom | null {
  const freeBytes = freeBytesBelow(dataDir);
  if (freeBytes === null) return null;
  try {
    const { heldBytes, bytesPerSecond } = relayLogGrowth(relayDirectory(dataDir, channel));
    const holdsMs = bytesPerSecond === null ? null : ((freeBytes + heldBytes) / bytesPerSecond) * 1000;
    return { freeBytes, heldBytes, bytesPerSecond, holdsMs };
  } catch {
    return { freeBytes, heldBytes: 0, bytesPerSecond: null, holdsMs: null };
  }
}

/** One line; null: it fits, or nothing is known that says otherwise. */
export function tooLongADelay(room: DiskRoom | null, delayMs: number): string | null {
  if (room === null || room.holdsMs === null || delayMs <= room.holdsMs) return null;
  const rate = room.bytesPerSecond!;
  const need = roughBytes((rate * delayMs) / 1000);
  return (
    `the disk does not hold a delay of ${formatDuration(delayMs)}: at ${roughBytes(rate)}/s the relay log would take ${need}, ` +
    `and there is room for ${roughSpan(room.holdsMs / 1000)} (${roughBytes(room.freeBytes)} free, ${roughBytes(room.heldBytes)} held)`
  );
}

/** What the delay asks of the disk: how fast the source may write, and how fast it does, when that is known. */
export function delayBudget(room: DiskRoom, delayMs: number): string {
  const { freeBytes, heldBytes, bytesPerSecond } = room;
  const most = ((freeBytes + heldBytes) * 1000) / delayMs;
  const now = bytesPerSecond === null ? '' : `, and it writes ${roughBytes(bytesPerSecond)}/s`;
  return `${roughBytes(freeBytes)} free hold it while the source writes less than ${roughBytes(most)}/s${now}`;
}

/** data_dir may not be there yet: then its disk is that of the nearest folder above. */
function freeBytesBelow(dir: string): number | null {
  for (let folder = dir; ; folder = dirname(folder)) {
    try {
      const { bavail, bsize } = statfsSync(folder);
      return bavail * bsize;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || folder === dirname(folder)) return null;
    }
  }
}

/** What a look says holds for so long. */
const LOOK_MS = 30_000;
const WATCH_MS = 600_000;

/** The room of one channel while it runs. Thread: main. */
export class RoomWatch {
  readonly #look: () => DiskRoom | null;
  readonly #clock: Clock;
  #room: DiskRoom | null = null;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #said = false;

  constructor(dataDir: string, channel: string, clock: Clock) {
    this.#look = () => diskRoom(dataDir, channel);
    this.#clock = clock;
  }

  get room(): DiskRoom | null {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#lookedMs < LOOK_MS) return this.#room;
    this.#lookedMs = nowMs;
    this.#room = this.#look();
    return this.#room;
  }

  /** Says when the longest delay stops to fit, now and later. */
  begin(longestDelayMs: () => number, say: (line: string) => void): void {
    const look = (): void => {
      const line = tooLongADelay(this.room, longestDelayMs());
      if (line !== null && !this.#said) say(line);
      this.#said = line !== null;
    };
    look();
    this.#timer = setInterval(look, WATCH_MS);
    this.#timer.unref();
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
