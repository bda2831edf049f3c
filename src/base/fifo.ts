/**
 * A queue with places: what comes first leaves first, and everything in it can be looked at by its place. Leaving costs the same
 * however much waits behind (an array's own shift and splice copy all of it, thousands of times a second).
 *
 * Invariants
 *  - Place 0 is the oldest; places have no gaps.
 *  - What has left is not held on to.
 */
import { assert } from './errors.ts';

/** So many empty places at the front, and more than are taken, before the rest is moved up. */
const EMPTY_MAX = 256;

export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Undefined: there is no such place. */
  at(place: number): T | undefined {
    return this.#items[this.#head + place];
  }

  set(place: number, item: T): void {
    assert(place >= 0 && place < this.length, 'only a place that is taken is changed');
    this.#items[this.#head + place] = item;
  }

  /** The first `count` leave. */
  drop(count: number): void {
    assert(count >= 0 && count <= this.length, 'only what is there leaves');
    const head = this.#head + count;
    this.#items.fill(undefined, this.#head, head);
    this.#head = head;
    if (head < EMPTY_MAX || head < this.#items.length - head) return;
    this.#items = this.#items.slice(head);
    this.#head = 0;
  }

  /** Everything from `place` on leaves, in order. */
  cut(place: number): T[] {
    return this.#items.splice(this.#head + place) as T[];
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let at = this.#head; at < this.#items.length; at++) yield this.#items[at] as T;
  }
}
