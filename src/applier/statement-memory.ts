/**
 * Memory for statements on their way to a target, used again: the bytes that are gathered for one, and its text, which is needed until
 * the server has answered. New memory for every statement costs more than to encode it: the kernel has to give, and clear, each page.
 *
 *   SharedMemory      of all sessions of a target
 *   StatementMemory   of one session: what its transaction holds
 *
 * Invariants
 *  - A scratch is held while events are gathered, a text until `answered`: all that was sent has been answered.
 *  - What lies idle is bounded; a session that is lost gives nothing back (its socket may still read there).
 * Thread: applier.
 */
import { BufferPool } from './buffer-pool.ts';
import { Scratch } from './scratch.ts';

/** Encoded at a time: a whole number of base64 groups, and a string that the garbage collector frees without ado. */
const SLICE = 48 * 1024;
/** A shorter text comes out of Node's own pool, or nearly as cheap. */
const SHORT = 12 * 1024;
const ROUNDED_TO = 64 * 1024;
/** Texts and scratches that nobody holds. */
const IDLE_BYTES_MAX = 8 * 1024 * 1024;
const IDLE_SCRATCHES_MAX = 4;
const SCRATCH_BYTES_MAX = 2 * 1024 * 1024;

export class SharedMemory {
  readonly #texts = new BufferPool({
    roundedTo: ROUNDED_TO,
    idleBytesMax: IDLE_BYTES_MAX,
    longerMax: Number.POSITIVE_INFINITY,
  });
  readonly #scratches: Scratch[] = [];

  borrowScratch(): Scratch {
    return this.#scratches.pop() ?? new Scratch();
  }

  giveScratchBack(scratch: Scratch): void {
    scratch.trim(SCRATCH_BYTES_MAX);
    if (this.#scratches.length < IDLE_SCRATCHES_MAX) this.#scratches.push(scratch);
  }

  /** At least so long. */
  borrowText(length: number): Buffer {
    return this.#texts.borrow(length);
  }

  giveTextBack(text: Buffer): void {
    this.#texts.giveBack(text);
  }
}

export class StatementMemory {
  readonly #shared: SharedMemory;
  readonly #held: Buffer[] = [];

  constructor(shared = new SharedMemory()) {
    this.#shared = shared;
  }

  borrowScratch(): Scratch {
    return this.#shared.borrowScratch();
  }

  giveScratchBack(scratch: Scratch): void {
    this.#shared.giveScratchBack(scratch);
  }

  /** buf[0, length) in base64, as ASCII; to be read until `answered`. */
  base64(buf: Buffer, length: number): Buffer {
    if (length <= SHORT) return Buffer.from(buf.toString('base64', 0, length), 'latin1');
    const text = this.#shared.borrowText(Math.ceil(length / 3) * 4);
    this.#held.push(text);
    let end = 0;
    for (let at = 0; at < length; at += SLICE) {
      end += text.write(buf.toString('base64', at, Math.min(length, at + SLICE)), end, 'latin1');
    }
    return text.subarray(0, end);
  }

  /** Everything that was sent is answered. */
  answered(): void {
    for (const text of this.#held.splice(0)) this.#shared.giveTextBack(text);
  }
}
