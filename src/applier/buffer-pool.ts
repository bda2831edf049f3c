/**
 * Buffers that are used again: new memory for each costs page faults, and a run of the garbage collector every few megabytes.
 *
 * Invariants
 *  - A buffer has one holder at a time, who gives it back when nobody reads it any more.
 *  - What lies idle is bounded; what has lain there longest makes room, since transactions have other lengths now.
 * Thread: applier.
 */
export interface BufferPoolOptions {
  /** Lengths are multiples of this. */
  readonly roundedTo: number;
  readonly idleBytesMax: number;
  /** One that is taken for less may be so many times as long. */
  readonly longerMax: number;
}

export class BufferPool {
  readonly #options: BufferPoolOptions;
  readonly #idle: Buffer[] = [];
  #idleBytes = 0;

  constructor(options: BufferPoolOptions) {
    this.#options = options;
  }

  /** At least so long. */
  borrow(length: number): Buffer {
    const { roundedTo, longerMax } = this.#options;
    const wanted = Math.ceil(length / roundedTo) * roundedTo;
    const at = this.#idle.findLastIndex((each) => each.length >= length && each.length <= longerMax * wanted);
    const buf = at < 0 ? undefined : this.#idle.splice(at, 1)[0];
    if (buf === undefined) return Buffer.allocUnsafeSlow(wanted);
    this.#idleBytes -= buf.length;
    return buf;
  }

  /** What was borrowed, or any part of it. */
  giveBack(part: Buffer): void {
    const { byteLength } = part.buffer;
    const { idleBytesMax } = this.#options;
    if (byteLength > idleBytesMax) return;
    while (this.#idleBytes + byteLength > idleBytesMax) this.#idleBytes -= this.#idle.shift()!.length;
    this.#idleBytes += byteLength;
    this.#idle.push(Buffer.from(part.buffer));
  }
}
