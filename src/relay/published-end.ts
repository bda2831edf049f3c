/**
 * How far the relay log may be read: one file number and one offset in shared memory, written by the reader thread, read
 * and waited on by every cursor of the process.
 *
 * Layout, Int32 cells of a SharedArrayBuffer:
 *   0  version      seqlock: odd while the other cells change; also the address that waiters sleep on
 *   1  generation   counts the resets of the relay log: a cursor of an older generation must be opened anew
 *   2  file number  0: nothing is published yet
 *   3  offset, low 32 bits
 *   4  offset, high 32 bits
 *
 * Invariants
 *  - The offset is always the end of a whole transaction, or of a file's header: cursors never see half a transaction.
 *  - One writer (the reader thread). It moves forward except when a recovery had to cut the log back; cursors notice that.
 *  - Published does not mean durable: what is acknowledged to the source waits for `RelayLogWriter.sync`.
 */
const VERSION = 0;
const GENERATION = 1;
const FILE_NUMBER = 2;
const OFFSET_LOW = 3;
const OFFSET_HIGH = 4;
const CELLS = 5;

/** A waiter looks again after so many ms at the latest, whatever was or was not notified. */
const WAIT_SLICE_MS = 500;

export interface RelayPosition {
  readonly fileNumber: number;
  readonly offset: number;
}

export interface PublishedPosition extends RelayPosition {
  readonly generation: number;
}

export interface WaitOptions {
  readonly signal?: AbortSignal | undefined;
  /** Gives up after so many ms; left out: waits until something changes or the signal aborts. */
  readonly timeoutMs?: number | undefined;
}

export class PublishedEnd {
  readonly buffer: SharedArrayBuffer;
  readonly #cells: Int32Array<SharedArrayBuffer>;

  constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#cells = new Int32Array(buffer, 0, CELLS);
  }

  static create(): PublishedEnd {
    return new PublishedEnd(new SharedArrayBuffer(CELLS * Int32Array.BYTES_PER_ELEMENT));
  }

  /** Reader thread only. */
  publish(fileNumber: number, offset: number): void {
    const cells = this.#cells;
    Atomics.add(cells, VERSION, 1);
    Atomics.store(cells, FILE_NUMBER, fileNumber);
    Atomics.store(cells, OFFSET_LOW, offset | 0);
    Atomics.store(cells, OFFSET_HIGH, Math.floor(offset / 0x1_0000_0000));
    Atomics.add(cells, VERSION, 1);
    Atomics.notify(cells, VERSION);
  }

  /** Reader thread only: the log was emptied; nothing is published until the next `publish`. */
  reset(): void {
    Atomics.add(this.#cells, GENERATION, 1);
    this.publish(0, 0);
  }

  /** A consistent copy. */
  read(): PublishedPosition {
    const cells = this.#cells;
    for (;;) {
      const version = Atomics.load(cells, VERSION);
      if ((version & 1) !== 0) continue;
      const generation = Atomics.load(cells, GENERATION);
      const fileNumber = Atomics.load(cells, FILE_NUMBER);
      const low = Atomics.load(cells, OFFSET_LOW);
      const high = Atomics.load(cells, OFFSET_HIGH);
      if (Atomics.load(cells, VERSION) === version) {
        return { generation, fileNumber, offset: high * 0x1_0000_0000 + (low >>> 0) };
      }
    }
  }

  /**
   * Resolves as soon as the end is not `lastSeen` any more (at once when it already is not), when the signal aborts, or
   * when the time is up: the caller reads again and decides. Never rejects.
   */
  async wait(lastSeen: RelayPosition, options: WaitOptions = {}): Promise<void> {
    const { signal, timeoutMs = Number.POSITIVE_INFINITY } = options;
    const giveUpAt = performance.now() + timeoutMs;
    for (;;) {
      const version = Atomics.load(this.#cells, VERSION);
      const now = this.read();
      if (now.fileNumber !== lastSeen.fileNumber || now.offset !== lastSeen.offset) return;
      const leftMs = giveUpAt - performance.now();
      if (leftMs <= 0 || signal?.aborted) return;
      await this.#sleep(version, Math.min(leftMs, WAIT_SLICE_MS), signal);
    }
  }

  /**
   * For a thread that waits for this and other things, over and over: `onMoved` is called once, as soon as the end is not `lastSeen` any more, or
   * in half a second. False: it has moved already, and nothing is called. `wait` takes a timer, a signal and its listener for each; a thread that uses
   * this must be kept alive by something else.
   */
  watch(onMoved: () => void): (lastSeen: RelayPosition) => boolean {
    let armed = false;
    const onNotified = (): void => {
      armed = false;
      onMoved();
    };
    return ({ fileNumber, offset }) => {
      const version = Atomics.load(this.#cells, VERSION);
      const now = this.read();
      if (now.fileNumber !== fileNumber || now.offset !== offset) return false;
      // Armed at an older version: then it is on its way.
      if (armed) return true;
      const result = Atomics.waitAsync(this.#cells, VERSION, version, WAIT_SLICE_MS);
      if (!result.async) return false;
      armed = true;
      void result.value.then(onNotified);
      return true;
    };
  }

  /** The timer beside `waitAsync` keeps the thread alive, which a pending `waitAsync` alone does not. */
  #sleep(version: number, ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done, { once: true });
      const result = Atomics.waitAsync(this.#cells, VERSION, version, ms);
      if (result.async) void result.value.then(done);
      else done();
    });
  }
}
