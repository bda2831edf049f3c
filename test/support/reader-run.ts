/**
 * A Reader in the test's own thread, with what it reports: the same class that the reader thread runs, without the thread.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Clock, systemClock } from '../../src/base/runtime.ts';
import { Reader } from '../../src/reader/reader.ts';
import { READER_POLICY, type ReaderPolicy } from '../../src/reader/reader-machine.ts';
import type {
  ReaderOptions,
  ReaderReport,
  ReaderState,
  ReaderStatus,
} from '../../src/reader/reader-messages.ts';
import { PublishedEnd } from '../../src/relay/published-end.ts';
import { readRelayLogIndex, relayFileName } from '../../src/relay/relay-log-index.ts';
import { SourceFile } from './binlog-feed.ts';
import { temporaryFolder } from './repository.ts';
import type { TestServer } from './test-server.ts';

export interface ReaderRunOptions {
  readonly user: string;
  readonly password: string;
  readonly host?: string;
  readonly port?: number;
  readonly relayDir?: string;
  readonly options?: Partial<ReaderOptions>;
  readonly policy?: Partial<ReaderPolicy>;
  readonly clock?: Clock;
}

/** Short waits: the machine's own are tested without servers. */
const QUICK: Partial<ReaderPolicy> = { backoffBaseMs: 20, backoffMaxMs: 200 };

export class ReaderRun {
  readonly reports: ReaderReport[] = [];
  readonly relayDir: string;
  readonly published = PublishedEnd.create();
  readonly #reader: Reader;
  #ended = false;

  constructor(server: TestServer, run: ReaderRunOptions) {
    this.relayDir = run.relayDir ?? temporaryFolder('reader');
    const options: ReaderOptions = {
      channel: 'test',
      endpoint: {
        host: run.host ?? server.host,
        port: run.port ?? server.port,
        user: run.user,
        password: run.password,
        tls: { mode: 'preferred' },
        connectTimeoutMs: 5000,
      },
      serverId: null,
      replicaUuid: '5e6a7b80-0000-4000-8000-00000000beef',
      start: { at: 'auto' },
      heartbeatMs: 300,
      headEveryMs: null,
      relayDir: this.relayDir,
      maxFileSize: 2 ** 30,
      syncMs: 100,
      paused: false,
      retentionMs: 0,
      published: this.published.buffer,
      ...run.options,
    };
    this.#reader = new Reader(options, {
      post: (report) => void this.reports.push(structuredClone(report)),
      ended: () => {
        this.#ended = true;
      },
      clock: run.clock ?? systemClock,
      random: Math.random,
      policy: { ...READER_POLICY, ...QUICK, ...run.policy },
    });
    this.#reader.begin();
  }

  /** Begins to stream as soon as the source's kind is known. */
  start(executed: string | null = '', reset = false): this {
    this.#reader.command({ type: 'start', executed, reset });
    return this;
  }

  release(fileNumber: number): void {
    this.#reader.command({ type: 'applied-up-to', fileNumber });
  }

  get status(): ReaderStatus {
    return this.#reader.status();
  }

  get state(): ReaderState {
    return this.status.state;
  }

  get states(): ReaderState['at'][] {
    return this.reports.flatMap((report) => (report.type === 'state' ? [report.state.at] : []));
  }

  /** Messages of this level and above. */
  logged(level: 'info' | 'warn' | 'error'): string[] {
    const levels = ['info', 'warn', 'error'];
    return this.reports.flatMap((report) => {
      return report.type === 'log' && levels.indexOf(report.level) >= levels.indexOf(level)
        ? [`${report.message} ${JSON.stringify(report.facts)}`]
        : [];
    });
  }

  async until(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = 30_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (!(await condition())) {
      if (Date.now() > deadline) {
        const { retrieved, lastError, state } = this.status;
        throw new Error(
          `no "${what}" within ${timeoutMs} ms: ${JSON.stringify({ state, retrieved, lastError })}\n${this.logged('info').join('\n')}`,
        );
      }
      await delay(10);
    }
  }

  untilState(at: ReaderState['at'], timeoutMs?: number): Promise<void> {
    return this.until(`state ${at}`, () => this.state.at === at, timeoutMs);
  }

  /** Until a heartbeat, surely sent after this call, proves that nothing is missing. */
  untilCaughtUp(timeoutMs?: number): Promise<void> {
    const sinceMs = Date.now() + 100;
    return this.until(
      'caught up',
      () => this.status.caughtUpWithSource && (this.status.contactMs ?? 0) > sinceMs,
      timeoutMs,
    );
  }

  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#reader.command({ type: 'stop' });
    await this.until('stopped', () => this.#ended, 5000);
  }

  relayFiles(): SourceFile[] {
    return (readRelayLogIndex(this.relayDir) ?? []).map((number) => {
      const name = relayFileName(number);
      return new SourceFile(name, readFileSync(join(this.relayDir, name)));
    });
  }

  /** All transactions in the relay log, event by event, byte for byte. */
  transactionBytes(): Buffer {
    return transactionBytes(this.relayFiles());
  }
}

export function transactionBytes(files: readonly SourceFile[]): Buffer {
  return Buffer.concat(files.flatMap((file) => file.transactions().map(({ bytes }) => bytes)));
}

/** The same of the source's own files. */
export function sourceTransactionBytes(server: TestServer): Buffer {
  const names = readdirSync(server.datadir)
    .filter((name) => /^binlog\.\d+$/.test(name))
    .sort();
  return transactionBytes(
    names.map((name) => new SourceFile(name, readFileSync(join(server.datadir, name)))),
  );
}
