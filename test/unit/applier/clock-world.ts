/**
 * A source, its wall clock, ours, and the reader between them, as far as clocks matter: what is committed when is known here
 * exactly, and SourceClock and SourceDueClock get of it only what they get in life.
 *
 * Real time is `nowMs`; the monotonic clock is real time since the machine booted. Clocks step when told to; readings have a
 * round trip; transactions travel, in order.
 */
import { SourceDueClock } from '../../../src/applier/due-clock.ts';
import type { RelayPosition } from '../../../src/relay/published-end.ts';
import {
  type Arrival,
  type ClockReading,
  type LogMark,
  type SavedSourceClock,
  SourceClock,
} from '../../../src/relay/source-clock.ts';

export interface Committed {
  readonly committedMs: number;
  readonly location: RelayPosition;
  readonly commitMicros: bigint;
  readonly commitIsExact: boolean;
}

const EPOCH = 1_700_000_000_000;
const FILE_LENGTH = 50;
const FAR = 1_000_000_000;

export class ClockWorld {
  nowMs = 1_000_000;
  bootedMs = 0;
  /** In the relay log. */
  readonly received: Committed[] = [];
  clock = new SourceClock();
  due = this.#newDue();
  online = true;
  #sourceSteps = 0;
  #wallSteps = 0;
  readonly #onSource: { readonly committedMs: number; readonly micros: bigint }[] = [];
  #newest: Arrival | null = null;
  #doubtful = false;
  #lastCommitMs = Number.NEGATIVE_INFINITY;
  #file: SavedSourceClock | null = null;

  get monotonicMs(): number {
    return this.nowMs - this.bootedMs;
  }

  get end(): RelayPosition {
    return place(this.received.length);
  }

  pass(ms: number): void {
    this.nowMs += ms;
  }

  stepSource(ms: number): void {
    this.#sourceSteps += ms;
  }

  stepOurs(ms: number): void {
    this.#wallSteps += ms;
  }

  commit(): void {
    const micros = BigInt(Math.floor(this.#sourceMs(this.nowMs) * 1000));
    this.#onSource.push({ committedMs: this.nowMs, micros });
  }

  /** What the source has (of it, the first `count`) arrives, when the reader is there, after `latencyMs`. */
  deliver(latencyMs = 1, count = this.#onSource.length): void {
    if (!this.online || count === 0) return;
    this.pass(latencyMs);
    const before = { end: this.end, newest: this.#newest, doubtful: this.#doubtful };
    for (const { committedMs, micros } of this.#onSource.splice(0, count)) {
      const commitMs = Number(micros) / 1000;
      if (commitMs < this.#lastCommitMs - 2 && !this.#doubtful) {
        this.#doubtful = true;
        this.clock.arrived(before, this.monotonicMs);
      }
      this.#lastCommitMs = commitMs;
      this.#newest = { commitMs, arrivedMs: this.monotonicMs, exact: true };
      this.received.push({
        committedMs,
        location: place(this.received.length),
        commitMicros: micros,
        commitIsExact: true,
      });
    }
  }

  /** A backlog arrives in chunks; as the reader does, the clock is looked at when one of them is doubtful, and after the next. */
  deliverAll(chunk: number): void {
    let wasDoubtful = false;
    while (this.#onSource.length > 0) {
      this.deliver(1, Math.min(chunk, this.#onSource.length));
      const isDoubtful = this.#doubtful;
      if (isDoubtful || wasDoubtful) this.look();
      wasDoubtful = isDoubtful;
    }
  }

  /** The reader looks at the source's clock; or tries to. */
  look(roundTripMs = 0.4, answered = true): void {
    const mark = this.#mark();
    if (!answered || !this.online) {
      this.pass(roundTripMs);
      this.clock.arrived(mark, this.monotonicMs);
    } else {
      this.clock.read(this.#read(roundTripMs), mark);
      this.save();
    }
    this.#learn();
  }

  goOffline(): void {
    this.online = false;
    this.clock.arrived(this.#mark(), this.monotonicMs);
    this.#learn();
  }

  goOnline(roundTripMs = 0.4): void {
    this.online = true;
    this.look(roundTripMs);
  }

  save(): void {
    this.#file = this.clock.saved() ?? this.#file;
  }

  /** The process, on the same machine; what it knew since it last wrote its file is lost. */
  restart(): void {
    this.clock = this.#file === null ? new SourceClock() : SourceClock.continued(this.#file);
    this.#begin();
  }

  /** The machine: the monotonic clock begins anew. */
  reboot(downMs: number): void {
    this.pass(downMs);
    this.bootedMs = this.nowMs;
    this.clock =
      this.#file === null ? new SourceClock() : SourceClock.afterBoot(this.#file, this.monotonicMs);
    this.#begin();
  }

  #begin(): void {
    this.online = false;
    this.#newest = null;
    this.#doubtful = false;
    this.#lastCommitMs = Number.NEGATIVE_INFINITY;
    this.due = this.#newDue();
    this.#learn();
  }

  /** By how much a transaction would be applied after its time, judged now; negative: early. */
  lateMs(transaction: Committed, delayMs: number): number {
    const due = this.#newDue();
    due.learn(this.clock.snapshot());
    // With so long a delay nothing is past its time, which would be told as 0.
    return this.nowMs + due.dueInMs(transaction, delayMs + FAR) - (transaction.committedMs + delayMs + FAR);
  }

  #newDue(): SourceDueClock {
    return new SourceDueClock(
      { wallMs: () => this.#wallMs(this.nowMs), monotonicMs: () => this.monotonicMs },
      () => this.end,
    );
  }

  #learn(): void {
    this.due.learn(this.clock.snapshot());
  }

  #mark(): LogMark {
    const mark = { end: this.end, newest: this.#newest, doubtful: this.#doubtful };
    this.#newest = null;
    this.#doubtful = false;
    return mark;
  }

  #read(roundTripMs: number): ClockReading {
    const atMs = this.monotonicMs;
    const wallMs = this.#wallMs(this.nowMs);
    this.pass(roundTripMs * 0.7);
    const sourceMs = this.#sourceMs(this.nowMs);
    this.pass(roundTripMs * 0.3);
    return { atMs, lowMs: sourceMs - this.monotonicMs, highMs: sourceMs - atMs, wallMs };
  }

  #sourceMs(realMs: number): number {
    return EPOCH + realMs + this.#sourceSteps;
  }

  #wallMs(realMs: number): number {
    return EPOCH + realMs + this.#wallSteps;
  }
}

/** Of the n-th transaction: a new relay file every so many. */
function place(index: number): RelayPosition {
  return {
    fileNumber: 1 + Math.floor(index / FILE_LENGTH),
    offset: 200 + 100 * (index % FILE_LENGTH),
  };
}
