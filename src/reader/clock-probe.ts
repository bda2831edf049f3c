/**
 * A second connection to the source, on which its clock is read while the first one streams. It is a convenience: when it
 * cannot be had, delayed transactions count from their arrival, which is as exact while the stream is live.
 *
 * Never rejects: no answer is null, and the next attempts become rarer. Thread: reader.
 */
import { MillraceError, toPlain } from '../base/errors.ts';
import type { Clock, Logger } from '../base/runtime.ts';
import type { ClockReading } from '../relay/source-clock.ts';
import { openConnection, type WireConnection } from '../wire/connection.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import { readSourceTime, useUtc } from './source-time.ts';

const ANSWER_MS_MAX = 5_000;
const PAUSE_MS = 1_000;
const PAUSE_MS_MAX = 60_000;

export class ClockProbe {
  readonly #endpoint: EndpointOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  #connection: WireConnection | null = null;
  #open = new AbortController();
  #failures = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(endpoint: EndpointOptions, clock: Clock, log: Logger) {
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#log = log;
  }

  /** Null: no answer. `serverId`: of the source that is streamed from. */
  async read(serverId: number): Promise<ClockReading | null> {
    if (this.#clock.monotonicMs() < this.#notBeforeMs) return null;
    try {
      const connection = await this.#connected();
      const { reading, serverId: answering } = await readSourceTime(connection, this.#clock);
      if (answering !== serverId) {
        throw new MillraceError('PROTOCOL', `server_id ${answering} answers instead of ${serverId}`);
      }
      this.#failures = 0;
      return reading;
    } catch (error) {
      this.#failed(error);
      return null;
    }
  }

  /** Until the next `read`. */
  close(): void {
    this.#open.abort();
    this.#open = new AbortController();
    this.#connection?.close();
    this.#connection = null;
    this.#notBeforeMs = Number.NEGATIVE_INFINITY;
    this.#failures = 0;
  }

  async #connected(): Promise<WireConnection> {
    if (this.#connection !== null) return this.#connection;
    const { signal } = this.#open;
    const connection = await openConnection(this.#endpoint, {
      purpose: "the source's clock",
      signal,
      queryTimeoutMs: ANSWER_MS_MAX,
    });
    try {
      await useUtc(connection);
    } catch (error) {
      connection.close();
      throw error;
    }
    if (signal.aborted) {
      connection.close();
      throw new MillraceError('CONNECTION_LOST', 'it is not needed any more');
    }
    this.#connection = connection;
    return connection;
  }

  #failed(error: unknown): void {
    this.#connection?.close();
    this.#connection = null;
    this.#failures += 1;
    const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS * 2 ** Math.min(this.#failures, 8));
    this.#notBeforeMs = this.#clock.monotonicMs() + pauseMs;
    if (this.#open.signal.aborted || this.#failures !== 1) return;
    this.#log.debug("the source's clock cannot be read beside the stream", {
      cause: toPlain(error).message,
    });
  }
}
