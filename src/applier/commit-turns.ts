/**
 * `commit_order: source`: transactions run side by side, and each commits when everything before it is committed.
 *
 *   body runs ── its replies are good ── its turn? ──▶ COMMIT
 *                                           └─ told to give way ──▶ rolled back, applied again alone
 *
 * Who waits for its turn holds locks. A transaction before it may need one of them (a gap, a key that exists on the target
 * alone): the server sees no deadlock there, and would let it wait for the lock timeout. So when the one whose turn it is has not
 * got on from one look to the next, all that wait behind it give way. No more is lost than what these had done; a
 * transaction that is merely long costs its followers one repetition.
 *
 * Invariant: at most one unit has the turn, the first that is not committed.
 * Thread: applier.
 */
import type { ApplyUnit } from './apply-unit.ts';

const LOOK_MS = 100;

export class CommitTurns {
  readonly #isFirst: (unit: ApplyUnit) => boolean;
  readonly #waiting = new Map<ApplyUnit, (yours: boolean) => void>();
  /** Turns that have ended, and how many of them there were at the last look. */
  #ended = 0;
  #seen = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** `isFirst`: everything before it is committed. */
  constructor(isFirst: (unit: ApplyUnit) => boolean) {
    this.#isFirst = isFirst;
  }

  /** Null: it may commit now. True: it may now. False: it must roll back, and run again when nothing runs beside it. */
  wait(unit: ApplyUnit): Promise<boolean> | null {
    if (this.#isFirst(unit)) return null;
    if (this.#closed) return Promise.resolve(false);
    this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    return new Promise((resolve) => this.#waiting.set(unit, resolve));
  }

  /** A unit was committed. */
  ended(): void {
    this.#ended += 1;
    for (const [unit, resolve] of this.#waiting) {
      if (!this.#isFirst(unit)) continue;
      this.#waiting.delete(unit);
      resolve(true);
      return;
    }
  }

  /** Whoever waits rolls back. */
  giveWay(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const resolve of waiting) resolve(false);
  }

  /** Nobody waits any more, now or later. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    this.giveWay();
  }

  #look(): void {
    if (this.#waiting.size > 0 && this.#ended === this.#seen) this.giveWay();
    this.#seen = this.#ended;
  }
}
