/**
 * Keeps what is known about the source's clock (relay/source-clock.ts) up to date: while the stream runs the clock is read
 * once a second on a connection of its own, at once when the timestamps of what arrives contradict it; what was learned is
 * told to the main thread, which hands it to the appliers, and kept in the channel's folder.
 *
 * Invariant: a mark is taken before the clock is read, so that all before it was committed before the answer.
 * Thread: reader.
 */
import { toPlain } from '../base/errors.ts';
import { monotonicEra } from '../base/monotonic-era.ts';
import type { Clock, Logger } from '../base/runtime.ts';
import type { RelayPosition } from '../relay/published-end.ts';
import {
  type Arrival,
  type ClockReading,
  type LogMark,
  SourceClock,
  type SourceClockSnapshot,
} from '../relay/source-clock.ts';
import { loadSourceClock, saveSourceClock, sourceClockPath } from '../relay/source-clock-file.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import { ClockProbe } from './clock-probe.ts';
import type { SourceClockStatus } from './reader-messages.ts';

const READ_EVERY_MS = 1_000;
/** What only confirms what the file says is written this often. */
const SAVE_EVERY_MS = 10_000;

export interface ClockKeeperOptions {
  readonly channelDir: string;
  readonly endpoint: EndpointOptions;
  readonly clock: Clock;
  readonly log: Logger;
  /** The published end of the relay log. */
  readonly end: () => RelayPosition;
  readonly tell: (snapshot: SourceClockSnapshot) => void;
}

export class ClockKeeper {
  readonly #options: ClockKeeperOptions;
  readonly #path: string;
  readonly #probe: ClockProbe;
  readonly #era = monotonicEra();
  #known = new SourceClock();
  #ticker: NodeJS.Timeout | undefined;
  #serverId: number | null = null;
  /** Being asked about; null: the clock is not being read. */
  #asked: LogMark | null = null;
  /** Since the last mark. */
  #newest: Arrival | null = null;
  #doubtful = false;
  /** Up to the last arrival. */
  #before: LogMark | null = null;
  /** The last mark was doubtful: what comes next bounds it. */
  #wasDoubtful = false;
  #steps = 0;
  #saving: Promise<void> | null = null;
  #savedSpans = -1;
  #savedAtMs = Number.NEGATIVE_INFINITY;
  #saveFailed = false;

  constructor(options: ClockKeeperOptions) {
    this.#options = options;
    this.#path = sourceClockPath(options.channelDir);
    this.#probe = new ClockProbe(options.endpoint, options.clock, options.log);
  }

  /** Before the source is reached: what an earlier process knew holds for what it left. */
  load(): void {
    const { clock, log } = this.#options;
    try {
      this.#known = loadSourceClock(this.#path, this.#era, clock.monotonicMs());
    } catch (error) {
      const { message, hint } = toPlain(error);
      log.warn("what was known about the source's clock is lost", { cause: message, hint });
    }
    this.#tell();
  }

  /** Null: it was not read yet. */
  get status(): SourceClockStatus | null {
    const { reading, provisional } = this.#known.snapshot();
    if (reading === null || provisional) return null;
    return {
      offsetMs: offsetToWallMs(reading),
      errorMs: (reading.highMs - reading.lowMs) / 2,
      readAtMs: reading.atMs,
      steps: this.#known.steps,
    };
  }

  /** The latest that the source's clock can say now; null: it was not read yet, or was set to another time. */
  get sourceNowAtMostMs(): number | null {
    const { reading, provisional } = this.#known.snapshot();
    if (reading === null || provisional || this.#known.steps > 0) return null;
    return this.#options.clock.monotonicMs() + reading.highMs;
  }

  mark(): LogMark {
    const mark = { end: this.#options.end(), newest: this.#newest, doubtful: this.#doubtful };
    this.#newest = null;
    this.#before = null;
    this.#doubtful = false;
    return mark;
  }

  /** What the clock said after `mark` was taken; null: nothing. */
  learn(reading: ClockReading | null, mark: LogMark): void {
    if (reading === null) this.#known.arrived(mark, this.#options.clock.monotonicMs());
    else this.#known.read(reading, mark);
    if (this.#known.steps > this.#steps) {
      this.#steps = this.#known.steps;
      this.#options.log.warn("the source's clock was set to another time", {
        steps: this.#steps,
        offset_to_ours_ms: reading === null ? undefined : offsetToWallMs(reading),
      });
    }
    this.#tell();
    this.#save();
  }

  /** The stream runs: the clock is read beside it. */
  streams(serverId: number): void {
    this.#serverId = serverId;
    clearInterval(this.#ticker);
    this.#ticker = setInterval(() => void this.#read(), READ_EVERY_MS);
  }

  /** Transactions have come and are published. */
  arrival(newest: Arrival, wentBack: boolean): void {
    // Only what came together with it is doubtful; but what is being asked about is settled first.
    if (wentBack && !this.#doubtful && this.#before !== null && this.#asked === null) {
      this.#known.arrived(this.#before, newest.arrivedMs);
    }
    this.#before = { end: this.#options.end(), newest, doubtful: this.#doubtful || wentBack };
    this.#newest = newest;
    this.#doubtful ||= wentBack;
    if (wentBack || this.#wasDoubtful || this.#known.suspects(newest)) void this.#read();
  }

  /** The stream has ended: nothing more arrives. */
  ends(): void {
    clearInterval(this.#ticker);
    if (this.#serverId === null) return;
    this.#serverId = null;
    const asked = this.#asked;
    this.#asked = null;
    this.#probe.close();
    const mark = this.mark();
    this.learn(null, { ...mark, doubtful: mark.doubtful || asked?.doubtful === true });
  }

  /** The relay log was opened, and ends where it ends. */
  opened(): void {
    this.#known.cutBack(this.#options.end());
    this.#tell();
  }

  /** The relay log was emptied. */
  restart(): void {
    this.#newest = null;
    this.#before = null;
    this.#doubtful = false;
    this.#known.restart();
    this.#tell();
  }

  /** Resolves when what is known is in the file. Never rejects. */
  async close(): Promise<void> {
    this.ends();
    await this.#saving;
    this.#savedAtMs = Number.NEGATIVE_INFINITY;
    this.#save();
    await this.#saving;
  }

  async #read(): Promise<void> {
    const serverId = this.#serverId;
    if (serverId === null || this.#asked !== null) return;
    const mark = this.mark();
    this.#wasDoubtful = mark.doubtful;
    this.#asked = mark;
    const reading = await this.#probe.read(serverId);
    // The stream has ended meanwhile, which has settled the mark.
    if (this.#asked !== mark) return;
    this.#asked = null;
    this.learn(reading, mark);
  }

  #tell(): void {
    this.#options.tell(this.#known.snapshot());
  }

  #save(): void {
    if (this.#saving !== null) return;
    const saved = this.#known.saved();
    if (saved === null) return;
    const nowMs = this.#options.clock.monotonicMs();
    if (saved.spans.length === this.#savedSpans && nowMs - this.#savedAtMs < SAVE_EVERY_MS) return;
    this.#savedSpans = saved.spans.length;
    this.#savedAtMs = nowMs;
    this.#saving = saveSourceClock(this.#path, this.#era, saved)
      .catch((error: unknown) => {
        if (this.#saveFailed) return;
        this.#saveFailed = true;
        this.#options.log.warn("what is known about the source's clock cannot be kept", {
          cause: toPlain(error).message,
        });
      })
      .finally(() => {
        this.#saving = null;
      });
  }
}

/** The source's wall clock minus ours: for people. */
function offsetToWallMs({ atMs, lowMs, highMs, wallMs }: ClockReading): number {
  return Math.round(atMs + (lowMs + highMs) / 2 - wallMs);
}
