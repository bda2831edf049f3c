/**
 * Watches the transaction that the others wait for: when it takes long, the target is asked what holds it up.
 *
 * A finding is kept while the same transaction is in flight: between two tries of a transaction that waits for a lock there
 * is nothing to be seen for a moment. Failing to ask is no failure of the applier. Thread: applier.
 */
import type { Clock } from '../base/runtime.ts';
import { probeStuck, type StuckFinding } from '../target/stuck-probe.ts';
import { openConnection, type WireConnection } from '../wire/connection.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import type { WorkerActivity } from './apply-worker.ts';

/** A transaction that takes so long is worth a question. */
const STUCK_MS = 2_000;
const ASK_EVERY_MS = 2_000;
const ANSWER_MS = 5_000;

export interface StuckTransaction {
  readonly worker: number;
  readonly transaction: string;
  readonly finding: StuckFinding;
}

export class StuckWatch {
  readonly #endpoint: EndpointOptions;
  readonly #clock: Clock;
  #connection: WireConnection | null = null;
  #asking = false;
  #askedMs = Number.NEGATIVE_INFINITY;
  #stuck: StuckTransaction | null = null;
  #closed = new AbortController();

  constructor(endpoint: EndpointOptions, clock: Clock) {
    this.#endpoint = endpoint;
    this.#clock = clock;
  }

  get stuck(): StuckTransaction | null {
    return this.#stuck;
  }

  /** To be called now and then with what the workers are doing. */
  look(activity: readonly WorkerActivity[]): void {
    const oldest = activity[0];
    if (oldest === undefined || oldest.transaction !== this.#stuck?.transaction) this.#stuck = null;
    const nowMs = this.#clock.monotonicMs();
    if (oldest === undefined || oldest.ageMs < STUCK_MS) {
      if (!this.#asking) this.#hangUp();
      return;
    }
    if (this.#asking || nowMs - this.#askedMs < ASK_EVERY_MS) return;
    this.#askedMs = nowMs;
    this.#asking = true;
    void this.#ask(oldest).finally(() => {
      this.#asking = false;
    });
  }

  /** The run is over: its sessions are gone. */
  close(): void {
    this.#stuck = null;
    this.#closed.abort();
    this.#closed = new AbortController();
    this.#hangUp();
  }

  /** Never rejects. */
  async #ask(suspect: WorkerActivity): Promise<void> {
    const { signal } = this.#closed;
    try {
      this.#connection ??= await openConnection(this.#endpoint, {
        purpose: 'the target',
        signal,
        queryTimeoutMs: ANSWER_MS,
      });
      const finding = await probeStuck(this.#connection, suspect);
      if (signal.aborted) return;
      const { worker, transaction } = suspect;
      const known = this.#stuck?.transaction === transaction ? this.#stuck.finding : null;
      if (known === null || finding.why !== 'state') this.#stuck = { worker, transaction, finding };
    } catch {
      this.#hangUp();
    }
  }

  #hangUp(): void {
    this.#connection?.close();
    this.#connection = null;
  }
}
