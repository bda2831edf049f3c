/**
 * What the applier's pump sleeps on: whoever brings work or an end of the wait rings. One sleeper.
 *
 * A busy pump waits for its workers alone, thousands of times a second: then nothing is made that has to be cleared away
 * (an AbortController made and aborted took 50 µs a turn). One that has caught up waits for the relay log as well, and each
 * transaction waits for it to wake: nothing is cleared away there either.
 */
import type { PublishedEnd, RelayPosition } from '../relay/published-end.ts';

export class WorkBell {
  #ring: () => void = () => {};
  #watch: ((lastSeen: RelayPosition) => boolean) | null = null;

  /** Ends the wait; rung while nobody waits it does nothing. */
  ring(): void {
    this.#ring();
  }

  /** Until it rings, or the end of the relay log is not `lastSeen` any more. Always of the same relay log. */
  waitBeyond(published: PublishedEnd, lastSeen: RelayPosition): Promise<void> {
    this.#watch ??= published.watch(() => this.ring());
    return this.#watch(lastSeen) ? this.wait() : Promise.resolve();
  }

  /** Until it rings, or something else comes; what is still waited for then is told by its signal. */
  async wait(other?: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const rung = new Promise<void>((resolve) => {
      this.#ring = resolve;
    });
    if (other === undefined) return rung;
    const over = new AbortController();
    await Promise.race([rung, other(over.signal)]);
    over.abort();
  }
}
