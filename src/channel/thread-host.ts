/**
 * One worker thread seen from the main thread: born with its options, told commands, heard until it is gone.
 *
 * `onEnded` comes exactly once, after the thread is gone and after its last report. A thread that says `stopped` and
 * lingers is ended; one that goes without a word has died, which is a fault of ours (INTERNAL).
 */
import type { Worker } from 'node:worker_threads';
import { type PlainError, toPlain } from '../base/errors.ts';
import { ThreadPort } from '../base/thread-port.ts';
import { newThread } from './new-thread.ts';
import type { SpareThreads } from './spare-threads.ts';

type AnyCommand = { readonly type: string };
type AnyReport<Status> =
  | { readonly type: 'status'; readonly id: number; readonly status: Status }
  | { readonly type: 'stopped'; readonly cause: PlainError | null };
type StatusCommand = { readonly type: 'status'; readonly id: number };

export interface ThreadHostOptions<Report> {
  readonly entry: URL;
  /** Shown by debuggers and in messages. */
  readonly name: string;
  readonly workerData: unknown;
  /** Where a thread of this entry may be ready already. */
  readonly spares?: SpareThreads | undefined;
  /** Every report but `status` answers. */
  readonly onReport: (report: Report) => void;
  readonly onEnded: (cause: PlainError | null, died: boolean) => void;
}

/** `stopped` is said when everything is closed; what keeps the thread alive after it is not worth waiting for. */
const LINGER_MS = 200;
/** A thread that owes an answer is not waited for again as long: who asks wants to hear of the others. */
const OWED_MS = 100;

export class ThreadHost<Command extends AnyCommand, Report extends { readonly type: string }, Status> {
  readonly #worker: Worker;
  readonly #port: ThreadPort<Report | AnyReport<Status>, Command | StatusCommand>;
  readonly #waiting = new Map<number, Set<(status: Status | null) => void>>();
  /** The question that was not answered in time; no other is sent before it is. */
  #owed: number | null = null;
  readonly #name: string;
  #nextId = 1;
  #gone = false;
  #stopped: { readonly cause: PlainError | null } | null = null;
  #fault: PlainError | null = null;
  #killTimer: NodeJS.Timeout | null = null;

  constructor(options: ThreadHostOptions<Report>) {
    this.#name = options.name;
    const { entry, workerData, name } = options;
    this.#worker = options.spares?.take(entry, workerData) ?? newThread(entry, workerData, name);
    this.#port = new ThreadPort(this.#worker);
    this.#port.onMessage((report) => {
      if (isStatusAnswer<Status>(report)) {
        this.#answer(report.id, report.status);
        return;
      }
      if (isGoodbye(report)) {
        this.#stopped = { cause: report.cause };
        this.#endAfter(LINGER_MS);
      }
      options.onReport(report as Report);
    });
    this.#worker.on('error', (error) => {
      this.#fault = { ...toPlain(error), code: 'INTERNAL', action: 'stop' };
    });
    this.#worker.on('exit', (exitCode) => {
      this.#gone = true;
      if (this.#killTimer !== null) clearTimeout(this.#killTimer);
      for (const id of [...this.#waiting.keys()]) this.#answer(id, null);
      if (this.#stopped !== null && this.#fault === null) options.onEnded(this.#stopped.cause, false);
      else options.onEnded(this.#fault ?? this.#deathWithoutReason(exitCode), true);
    });
  }

  post(command: Command): void {
    if (!this.#gone) this.#port.post(command);
  }

  /** Null when the thread does not answer in time or is gone. */
  status(timeoutMs: number): Promise<Status | null> {
    if (this.#gone || this.#stopped !== null) return Promise.resolve(null);
    const owed = this.#owed;
    return new Promise((resolve) => {
      const id = owed ?? this.#nextId++;
      const waiting = this.#waiting.get(id) ?? new Set();
      this.#waiting.set(id, waiting);
      const answered = (status: Status | null): void => {
        clearTimeout(timer);
        waiting.delete(answered);
        resolve(status);
      };
      const late = (): void => {
        this.#owed = id;
        answered(null);
      };
      const timer = setTimeout(late, owed === null ? timeoutMs : Math.min(OWED_MS, timeoutMs));
      waiting.add(answered);
      if (owed === null) this.#port.post({ type: 'status', id });
    });
  }

  /** Ends the thread by force when it is still there after `ms`. Nothing is lost by that: as after kill -9. */
  #endAfter(ms: number): void {
    if (this.#killTimer !== null) clearTimeout(this.#killTimer);
    this.#killTimer = setTimeout(() => void this.#worker.terminate(), ms);
    this.#killTimer.unref();
  }

  /** Asks the thread to stop, and ends it by force after `graceMs`. */
  stop(command: Command, graceMs: number): void {
    this.post(command);
    if (!this.#gone && this.#stopped === null) this.#endAfter(graceMs);
  }

  #answer(id: number, status: Status | null): void {
    const waiting = this.#waiting.get(id) ?? [];
    this.#waiting.delete(id);
    if (this.#owed === id) this.#owed = null;
    for (const answered of [...waiting]) answered(status);
  }

  #deathWithoutReason(exitCode: number): PlainError {
    return {
      code: 'INTERNAL',
      action: 'stop',
      message: `the ${this.#name} thread ended without a word, exit code ${exitCode}`,
      hint: 'This is a fault in Millrace: please report it with the log.',
      facts: {},
    };
  }
}

function isStatusAnswer<Status>(report: {
  readonly type: string;
}): report is { readonly type: 'status'; readonly id: number; readonly status: Status } {
  return report.type === 'status';
}

function isGoodbye(report: {
  readonly type: string;
}): report is { readonly type: 'stopped'; readonly cause: PlainError | null } {
  return report.type === 'stopped';
}
