/**
 * Holds the relay log writer through connections, failures and resets: opens it (with recovery) when it is needed, gives a
 * failed one back to recovery, and empties what cannot be recovered.
 * Thread: reader.
 */
import { MillraceError } from '../base/errors.ts';
import type { Logger } from '../base/runtime.ts';
import type { PublishedEnd } from '../relay/published-end.ts';
import { discardRelayLog } from '../relay/relay-log-discard.ts';
import { RelayLogWriter } from '../relay/relay-log-writer.ts';
import { type KnownLog, knownLog } from './source-log.ts';

export interface RelayLogHolderOptions {
  readonly dir: string;
  readonly maxFileSize: number;
  readonly published: PublishedEnd;
  readonly log: Logger;
}

export class RelayLogHolder {
  readonly #options: RelayLogHolderOptions;
  #writer: RelayLogWriter | null = null;
  #opening: Promise<RelayLogWriter> | null = null;
  #closed = false;
  /** Why the files that are there cannot be used; null: they can, or it was not tried. */
  corrupt: MillraceError | null = null;

  constructor(options: RelayLogHolderOptions) {
    this.#options = options;
  }

  /** Null: not open (yet, or after a failure). */
  get writer(): RelayLogWriter | null {
    return this.#writer;
  }

  /** What the log has of a source's binary log; null: it is empty, or not open. */
  get known(): KnownLog | null {
    const { sourceFile, sourceFormat, sourcePosition } = this.#writer ?? {};
    if (sourceFile == null || sourceFormat == null) return null;
    return knownLog({ file: sourceFile, position: sourcePosition ?? 0 }, sourceFormat);
  }

  /** Recovers the log when it is not open. @throws RELAY_CORRUPT (kept in `corrupt`), DISK, DISK_FULL. */
  async open(): Promise<RelayLogWriter> {
    if (this.#writer !== null) return this.#writer;
    if (this.corrupt !== null) throw this.corrupt;
    const { dir, maxFileSize, published, log } = this.#options;
    this.#opening ??= RelayLogWriter.open({ dir, maxFileSize, published, log });
    try {
      const writer = await this.#opening;
      if (this.#closed) {
        await writer.close();
        throw new MillraceError('INTERNAL', 'the relay log was closed while it was opened');
      }
      this.#writer = writer;
      return writer;
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'RELAY_CORRUPT') this.corrupt = error;
      throw error;
    } finally {
      this.#opening = null;
    }
  }

  /** The log is empty afterwards, whatever it was before. @throws DISK. */
  async reset(): Promise<void> {
    if (this.#writer !== null) {
      this.#writer.reset();
      return;
    }
    this.#options.published.reset();
    const removed = discardRelayLog(this.#options.dir);
    this.#options.log.info('relay log reset', { removed });
    this.corrupt = null;
    await this.open();
  }

  /** Leaves whole transactions only. @throws DISK: the writer has failed and is let go. */
  dropUnfinished(): void {
    this.#guarded((writer) => writer.abandon());
  }

  /** Removes files that are not needed and old enough. @throws DISK: the writer has failed and is let go. */
  purge(neededFrom: number, retentionMs: number, nowMs: number): void {
    this.#guarded((writer) => writer.purge({ neededFrom, retentionMs, nowMs }));
  }

  /**
   * Whole transactions only, durable, closed: or not within `timeoutMs`, which does no harm (kill -9 would do the same) and
   * is what false says. Never rejects.
   */
  async close(timeoutMs: number): Promise<boolean> {
    this.#closed = true;
    const writer = this.#writer;
    this.#writer = null;
    if (writer === null) return true;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<boolean>((resolve) => {
      timer = setTimeout(() => resolve(false), timeoutMs);
    });
    const done = writer.close().then(
      () => true,
      (error: unknown) => {
        const cause = error instanceof Error ? error.message : String(error);
        this.#options.log.warn('the relay log was not closed cleanly', { cause });
        return true;
      },
    );
    const inTime = await Promise.race([done, late]);
    clearTimeout(timer);
    return inTime;
  }

  #guarded(work: (writer: RelayLogWriter) => void): void {
    const writer = this.#writer;
    if (writer === null) return;
    try {
      work(writer);
    } catch (error) {
      // What the disk holds now is found out by recovery; a dead writer only gives its descriptor back.
      this.#writer = null;
      writer.close().catch(() => {});
      throw error;
    }
  }
}
