/**
 * What the applier's pump sleeps on: whoever brings work or an end of the wait rings. One sleeper.
 *
 * A busy pump waits for its workers alone, thousands of times a second: then nothing is made that has to be cleared away
 * (an AbortController made and aborted took 50 µs a turn).
 */
export class WorkBell {
  #ring: () => void = () => {};

  /** Ends the wait; rung while nobody waits it does nothing. */
  ring(): void {
    this.#ring();
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
