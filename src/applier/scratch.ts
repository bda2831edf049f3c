/**
 * A buffer that grows as it is needed and is used again, by one transaction of a worker after the other: a new one for each
 * transaction was a third of what the garbage collector had to do.
 *
 * Invariant: one user at a time, who takes nothing away but copies.
 */
const INITIAL_BYTES = 64 * 1024;
/** Beyond this it grows by so much at a time, not to twice its size. */
const GROWTH_MAX = 4 * 1024 * 1024;

export class Scratch {
  #buf: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES);

  get buf(): Buffer {
    return this.#buf;
  }

  /** Gives a buffer with room for `need` bytes, of which the first `used` are the old ones. */
  reserve(used: number, need: number): Buffer {
    const { length } = this.#buf;
    if (need <= length) return this.#buf;
    const grown = Buffer.allocUnsafeSlow(Math.max(need, Math.min(2 * length, length + GROWTH_MAX)));
    this.#buf.copy(grown, 0, 0, used);
    this.#buf = grown;
    return grown;
  }

  /** What has grown beyond `max` bytes is given back; its content is lost. */
  trim(max: number): void {
    if (this.#buf.length > max) this.#buf = Buffer.allocUnsafeSlow(INITIAL_BYTES);
  }
}
