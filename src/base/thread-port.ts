/**
 * Typed messages between the main thread and a worker thread.
 *
 * Only small control messages cross here (commands down; states, status snapshots and plain errors up). Binlog events
 * never do: the relay log files are the queue. A request is answered by exactly one reply with the same id.
 */
import type { MessagePort, Worker } from 'node:worker_threads';

/** What both ends look like: a Worker in the main thread, parentPort inside the worker. */
export type Port =
  | Pick<MessagePort, 'postMessage' | 'on' | 'off'>
  | Pick<Worker, 'postMessage' | 'on' | 'off'>;

export class ThreadPort<Incoming extends { type: string }, Outgoing extends { type: string }> {
  readonly #port: Port;

  constructor(port: Port) {
    this.#port = port;
  }

  post(message: Outgoing): void {
    this.#port.postMessage(message);
  }

  onMessage(listener: (message: Incoming) => void): void {
    this.#port.on('message', listener as (value: unknown) => void);
  }
}
