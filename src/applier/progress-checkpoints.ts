/**
 * Moves the base of progress in a table up, beside the pump: after so much time, or so many transactions, so that the workers'
 * lists of ids stay short.
 */
import { sleep } from '../base/runtime.ts';
import type { PositionSet } from '../binlog/position-set.ts';
import type { Progress } from '../target/progress.ts';

const CHECKPOINT_MS = 1000;
const CHECKPOINT_TRANSACTIONS = 256;

export interface CheckpointOptions {
  readonly progress: Progress;
  /** What is executed without a gap, as it is now. */
  prefix(): PositionSet;
  /** Told to stop, or broken. */
  isOver(): boolean;
  onFailed(error: unknown): void;
}

export class ProgressCheckpoints {
  readonly #options: CheckpointOptions;
  #since = 0;
  #due: () => void = () => {};

  constructor(options: CheckpointOptions) {
    this.#options = options;
  }

  /** So many more transactions belong to the prefix. */
  count(transactions: number): void {
    this.#since += transactions;
    if (this.#since >= CHECKPOINT_TRANSACTIONS) this.hurry();
  }

  /** Whatever it waits for: it looks again now. */
  hurry(): void {
    this.#due();
  }

  async run(): Promise<void> {
    const { progress, prefix, isOver, onFailed } = this.#options;
    let last = '';
    while (!isOver()) {
      const due = new AbortController();
      this.#due = () => due.abort();
      await sleep(CHECKPOINT_MS, due.signal);
      this.#since = 0;
      const base = prefix().clone();
      const text = base.toString();
      if (text === last || isOver()) continue;
      last = text;
      try {
        await progress.checkpoint(base);
      } catch (error) {
        onFailed(error);
      }
    }
  }
}
