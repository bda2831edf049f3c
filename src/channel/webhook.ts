/**
 * Posts JSON to a URL, one body after the other, without anybody waiting for it: a webhook that is slow, dead or refuses is tried
 * a few times and then given up, and says so in the log.
 *
 * The path of the URL may be a secret (chat services put theirs there): only the host is ever named. Redirects are not
 * followed: where the alarm goes is what the configuration says.
 * Thread: main.
 */
import { backoffMs, type Logger, sleep } from '../base/runtime.ts';

const ATTEMPTS_MAX = 5;
const RETRY_MS = 1_000;
const RETRY_MS_MAX = 15_000;
const TIMEOUT_MS = 10_000;
/** More than this waits for nobody: the log and the status have them. */
const QUEUE_MAX = 200;

export interface WebhookOptions {
  readonly url: string;
  readonly log: Logger;
  readonly timeoutMs?: number;
  readonly retryMs?: number;
}

export class Webhook {
  readonly #url: string;
  readonly #host: string;
  readonly #log: Logger;
  readonly #timeoutMs: number;
  readonly #retryMs: number;
  readonly #closed = new AbortController();
  #last: Promise<unknown> = Promise.resolve();
  #queued = 0;

  constructor({ url, log, timeoutMs = TIMEOUT_MS, retryMs = RETRY_MS }: WebhookOptions) {
    this.#url = url;
    this.#host = new URL(url).host;
    this.#log = log;
    this.#timeoutMs = timeoutMs;
    this.#retryMs = retryMs;
  }

  /** What came of it. Never rejects. */
  post(body: object): Promise<'delivered' | 'given-up' | 'closed'> {
    if (this.#queued >= QUEUE_MAX) {
      this.#log.warn('webhook is too slow, an alarm is not posted', {
        host: this.#host,
        queued: this.#queued,
      });
      return Promise.resolve('given-up');
    }
    this.#queued += 1;
    const text = JSON.stringify(body);
    const done = this.#last
      .then(() => this.#deliver(text))
      .finally(() => {
        this.#queued -= 1;
      });
    this.#last = done;
    return done;
  }

  /** What is under way is broken off. */
  close(): void {
    this.#closed.abort();
  }

  async #deliver(text: string): Promise<'delivered' | 'given-up' | 'closed'> {
    const closed = this.#closed.signal;
    let why = '';
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      if (attempt > 1)
        await sleep(backoffMs(attempt - 1, Math.random(), this.#retryMs, RETRY_MS_MAX), closed);
      if (closed.aborted) return 'closed';
      const problem = await this.#attempt(text);
      if (problem === null) return 'delivered';
      why = problem;
    }
    if (closed.aborted) return 'closed';
    this.#log.warn('webhook does not take an alarm', {
      host: this.#host,
      attempts: ATTEMPTS_MAX,
      cause: why,
    });
    return 'given-up';
  }

  /** Null: it was taken. */
  async #attempt(text: string): Promise<string | null> {
    const stop = new AbortController();
    const abort = (): void => stop.abort();
    this.#closed.signal.addEventListener('abort', abort, { once: true });
    const timer = setTimeout(abort, this.#timeoutMs);
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'millrace' },
        body: text,
        redirect: 'manual',
        signal: stop.signal,
      });
      // Whatever it says, it is not read: only a connection whose answer is over can be used again.
      await response.body?.cancel();
      return response.ok ? null : `it answers ${response.status}`;
    } catch (error) {
      if (stop.signal.aborted) return `no answer within ${this.#timeoutMs} ms`;
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      return cause instanceof Error ? cause.message : String(cause);
    } finally {
      clearTimeout(timer);
      this.#closed.signal.removeEventListener('abort', abort);
    }
  }
}
