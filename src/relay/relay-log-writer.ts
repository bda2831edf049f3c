/**
 * Relay log writer: appends the source's events, byte for byte, to the current relay log file.
 *
 * What is kept are the events of transactions, from the first to the last. What the source sends between transactions (its
 * PREVIOUS_GTIDS, ROTATE, STOP, HEARTBEAT, checkpoints) is not; every file has a header of ours instead (see
 * relay-file-header.ts) and, when it was closed, ends with a ROTATE_EVENT to the next relay file.
 *
 * Invariants
 *  - One file holds bytes of one file of the source, whole transactions only, and no transaction spans two files. So the size
 *    limit is soft, and the source's coordinates of every transaction can be counted again from the file alone.
 *  - Four ends: received ≥ ended ≥ published ≥ durable. Cursors see up to `published`, which is always the end of a whole
 *    transaction; bytes of an unfinished one may already lie behind it in the file. `retrieved` is what is published.
 *    Only what is `durable` may be acknowledged to the source.
 *  - A file is durable with all it holds before the next one appears in the index. Numbers are never used again.
 *  - A full disk (DISK_FULL) cuts the file back to the published end and ends the stream; `startStream` may be tried again. After
 *    any other failed write or sync (DISK) nobody knows what the disk holds: the writer is dead, and `open` recovers the log.
 * Thread: reader only. Nothing here decodes rows; the caller has checked CRC and grammar of what it appends.
 */
import { assert, MillraceError } from '../base/errors.ts';
import type { Logger } from '../base/runtime.ts';
import {
  decodeFormatDescription,
  type Flavour,
  type FormatDescription,
} from '../binlog/format-description.ts';
import type { PositionKind, PositionSet, TransactionId } from '../binlog/position-set.ts';
import type { TransactionHead } from '../binlog/transaction-boundary.ts';
import { diskError } from './durable-file.ts';
import type { PublishedEnd, RelayPosition } from './published-end.ts';
import { otherKind, seenBefore, unnamed } from './refused-stream.ts';
import { RelayFile } from './relay-file.ts';
import type { RelayFileOrigin } from './relay-file-header.ts';
import { transactionId } from './relay-file-scan.ts';
import { RelayLogFiles } from './relay-log-files.ts';
import type { PurgeOptions } from './relay-log-purge.ts';
import { recoverRelayLog } from './relay-log-recovery.ts';
import { DEFAULT_MARK_DISTANCE } from './relay-mark-writer.ts';

const DEFAULT_BUFFER_LENGTH = 1024 * 1024;

export interface RelayLogWriterOptions {
  readonly dir: string;
  /** Soft limit: a file is closed after the transaction that passes it. */
  readonly maxFileSize: number;
  readonly published: PublishedEnd;
  readonly log: Logger;
  readonly bufferLength?: number;
  /** See relay-mark-writer.ts. */
  readonly markDistance?: number;
}

export interface StreamStart {
  /** The FORMAT_DESCRIPTION_EVENT as the source sent it, whole. */
  readonly fde: Buffer;
  /** What the source was asked to leave out; its kind is the kind of the log. */
  readonly base: PositionSet;
  readonly sourceFile: string;
  /** Where in that file the stream begins. */
  readonly sourcePosition: number;
}

interface PendingTransaction {
  readonly id: TransactionId;
  /** In the relay file, and in the source's. */
  readonly end: number;
  readonly sourceEnd: number;
}

export class RelayLogWriter {
  readonly #dir: string;
  readonly #maxFileSize: number;
  readonly #published: PublishedEnd;
  readonly #log: Logger;
  readonly #files: RelayLogFiles;
  #file: RelayFile | null = null;
  #streaming = false;
  #dead: MillraceError | null = null;
  #closed = false;

  readonly #buffer: Buffer;
  /** Ended and not yet published. */
  readonly #pending: PendingTransaction[] = [];
  /** Where the last ended transaction ends in the relay file. */
  #ended = 0;
  /** The published end, and where that is in the source's file. */
  #publishedOffset = 0;
  #sourcePublished = 0;
  #retrieved: PositionSet | null = null;
  #durable: RelayPosition = { fileNumber: 0, offset: 0 };
  #syncing: Promise<void> | null = null;

  /** Recovers the log, publishes its end and is then ready for `startStream`. Throws RELAY_CORRUPT, DISK, DISK_FULL. */
  static async open(options: RelayLogWriterOptions): Promise<RelayLogWriter> {
    const { dir, log, markDistance = DEFAULT_MARK_DISTANCE } = options;
    const { numbers, highest, last, retrieved } = await recoverRelayLog(dir, log, markDistance);
    const writer = new RelayLogWriter(options, new RelayLogFiles(dir, numbers, highest, markDistance));
    if (last !== null) {
      const { fileNumber, fd, header, end, transactions, sourceEnd } = last;
      writer.#retrieved = retrieved;
      const file = { number: fileNumber, fd, origin: header, end, transactions };
      writer.#enter(new RelayFile(dir, file, header.fde, writer.#buffer), sourceEnd);
    }
    return writer;
  }

  private constructor(options: RelayLogWriterOptions, files: RelayLogFiles) {
    this.#dir = options.dir;
    this.#maxFileSize = options.maxFileSize;
    this.#published = options.published;
    this.#log = options.log;
    this.#files = files;
    this.#buffer = Buffer.allocUnsafeSlow(options.bufferLength ?? DEFAULT_BUFFER_LENGTH);
  }

  /** What is published, and everything before it; null: the log is empty. The writer's own set: not to be changed. */
  get retrieved(): PositionSet | null {
    return this.#retrieved;
  }

  /** Null: the log is empty. */
  get kind(): PositionKind | null {
    return this.#retrieved?.kind ?? null;
  }

  get flavour(): Flavour | null {
    return this.#file?.fde.flavour ?? null;
  }

  /** The source's file of the last published transaction; null: the log is empty. */
  get sourceFile(): string | null {
    return this.#file?.origin.sourceFile ?? null;
  }

  /** The FORMAT_DESCRIPTION_EVENT of that file, as the source sent it; null: the log is empty. */
  get sourceFormat(): Buffer | null {
    return this.#file?.origin.rawFormatDescription ?? null;
  }

  /** Where in `sourceFile` the last published transaction ends: where to read on without GTIDs. */
  get sourcePosition(): number {
    return this.#sourcePublished;
  }

  /** The published end. File number 0: the log is empty. */
  get position(): RelayPosition {
    return { fileNumber: this.#file?.number ?? 0, offset: this.#publishedOffset };
  }

  /** All before it survives a power cut. */
  get durable(): RelayPosition {
    return this.#durable;
  }

  get fileName(): string | null {
    return this.#file?.name ?? null;
  }

  /** Size of all files of the log, up to the published end. */
  get bytes(): number {
    return this.#files.olderBytes + this.#publishedOffset;
  }

  /** True between `startStream` and the end of the stream (a full disk, `reset`, `close`). */
  get streaming(): boolean {
    return this.#streaming;
  }

  /**
   * Begins a new relay file for what the source sends from now on: at the begin of a dump and whenever the source goes on to
   * its next file. An unfinished transaction is dropped. A current file without a transaction is replaced.
   * Synchronous, with a handful of fsyncs. Throws DISK_FULL (may be called again), DISK, RELAY_CORRUPT when the log is of
   * another kind than `base`.
   */
  startStream(start: StreamStart): void {
    this.#mustLive();
    const { base, sourceFile, sourcePosition } = start;
    const fde = decodeFormatDescription(start.fde, 0, start.fde.length);
    this.abandon();
    const previous = (this.#retrieved ?? base).clone();
    if (previous.kind !== base.kind) throw otherKind(this.#dir, previous.kind, base.kind);
    previous.addAll(base);
    if (previous.kind === 'position')
      previous.add({ kind: 'position', file: sourceFile, position: sourcePosition });
    this.#streaming = false;
    const rawFormatDescription = Buffer.from(start.fde);
    this.#begin({ rawFormatDescription, previous, sourceFile, sourcePosition }, fde);
    this.#retrieved = previous.clone();
    this.#streaming = true;
  }

  /** Adds an event of the open transaction, with its CRC. The bytes are copied. */
  append(buf: Buffer, start: number, end: number): void {
    if (!this.#streaming) this.#notStreaming();
    try {
      this.#file!.append(buf, start, end);
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** Adds the next bytes of an event that is received in pieces. The whole must be there before `endTransaction`. */
  appendPart(buf: Buffer, start: number, end: number): void {
    this.append(buf, start, end);
  }

  /**
   * The bytes appended since the last call are one whole transaction, which ends at `sourceEnd` in the source's file. It is
   * published with the next `publish`. A file that passed its size limit is closed, and the next one begun (published,
   * durable).
   */
  endTransaction(head: TransactionHead | null, sourceEnd: number): void {
    if (!this.#streaming) this.#notStreaming();
    const file = this.#file!;
    const end = file.end;
    assert(end > this.#ended, 'a transaction has at least one event');
    const id = transactionId(this.#retrieved!.kind, head, file.origin.sourceFile, sourceEnd);
    if (id === null) throw this.#refuse(unnamed(head, this.#retrieved!.kind));
    this.#pending.push({ id, end, sourceEnd });
    this.#ended = end;
    if (end >= this.#maxFileSize) this.#rotate();
  }

  /**
   * Lets the cursors see all ended transactions: once per received chunk. Throws DISK_FULL, DISK; UNEXPECTED_EVENT when the
   * log has one of them already (those before it are published).
   */
  publish(): void {
    if (this.#pending.length === 0) return;
    this.#mustLive();
    const file = this.#file!;
    const retrieved = this.#retrieved!;
    this.#attempt(() => file.flush());
    let again: TransactionId | null = null;
    for (const { id, end, sourceEnd } of this.#pending) {
      if (retrieved.has(id)) {
        again = id;
        break;
      }
      retrieved.add(id);
      file.published(id, end, sourceEnd);
      this.#publishedOffset = end;
      this.#sourcePublished = sourceEnd;
    }
    this.#pending.length = 0;
    this.#published.publish(file.number, this.#publishedOffset);
    if (again !== null) throw this.#refuse(seenBefore(again));
  }

  /** Makes all that is published durable, without holding up the thread. Throws DISK; the writer is dead then. */
  async sync(): Promise<void> {
    const wanted = this.position;
    for (;;) {
      this.#mustLive();
      if (this.#file === null || isAtOrAfter(this.#durable, wanted)) return;
      this.#syncing ??= this.#syncOnce(this.#file);
      await this.#syncing;
    }
  }

  /** Drops the unfinished transaction: its bytes leave buffer and file. Ended transactions are published. */
  abandon(): void {
    if (this.#file === null) return;
    this.#mustLive();
    this.publish();
    this.#cutBack();
  }

  /** Removes files that nobody needs any more, oldest first (see relay-log-purge.ts); returns their numbers. */
  purge(options: PurgeOptions): number[] {
    this.#mustLive();
    const gone = this.#attempt(() => this.#files.purge(options));
    if (gone.length > 0) this.#log.info('relay log files purged', { first: gone[0], last: gone.at(-1) });
    return gone;
  }

  /** Removes every file: the log is empty. Cursors of before must be opened anew. */
  reset(): void {
    this.#mustLive();
    this.#streaming = false;
    const gone = this.#attempt(() => this.#files.clear());
    this.#published.reset();
    this.#file?.retire();
    this.#file = null;
    this.#retrieved = null;
    this.#pending.length = 0;
    this.#ended = this.#publishedOffset = this.#sourcePublished = 0;
    this.#durable = { fileNumber: 0, offset: 0 };
    this.#attempt(() => this.#files.discard(gone));
    this.#log.info('relay log reset', { removed: gone.length });
  }

  /** Drops the unfinished transaction, syncs, clears IN_USE. A dead writer only gives its descriptor back. */
  async close(): Promise<void> {
    const file = this.#file;
    if (file === null || this.#closed) return;
    this.#closed = true;
    try {
      if (this.#dead !== null) return;
      this.abandon();
      await this.sync();
      if (!file.closed) this.#attempt(() => file.clearInUse());
    } finally {
      this.#streaming = false;
      this.#dead ??= new MillraceError('INTERNAL', 'the relay log writer is closed');
      file.retire();
    }
  }

  // -- files ---------------------------------------------------------------------------------------------------------

  #rotate(): void {
    this.publish();
    const { origin, fde } = this.#file!;
    const previous = this.#retrieved!.clone();
    this.#begin({ ...origin, previous, sourcePosition: this.#sourcePublished }, fde);
  }

  /** Closes the current file, or replaces it when it holds nothing, and enters a new one with this header. */
  #begin(origin: RelayFileOrigin, fde: FormatDescription): void {
    const before = this.#file;
    this.#enter(
      this.#attempt(() => this.#files.begin(before, origin, fde, this.#buffer)),
      origin.sourcePosition,
    );
    this.#log.info('relay log file begins', {
      file: this.#file!.name,
      source_file: origin.sourceFile,
      source_position: origin.sourcePosition,
    });
    if (before === null) return;
    before.retire();
    if (before.transactions === 0) this.#attempt(() => this.#files.discard([before.number]));
  }

  /** `file` is durable as it is, and is where the log goes on. */
  #enter(file: RelayFile, sourceEnd: number): void {
    this.#file = file;
    this.#ended = this.#publishedOffset = file.end;
    this.#sourcePublished = sourceEnd;
    this.#durable = { fileNumber: file.number, offset: file.end };
    this.#published.publish(file.number, file.end);
  }

  async #syncOnce(file: RelayFile): Promise<void> {
    const end: RelayPosition = { fileNumber: file.number, offset: this.#publishedOffset };
    try {
      await file.sync(end.offset);
      if (isAtOrAfter(end, this.#durable)) this.#durable = end;
    } catch (error) {
      throw this.#die(error);
    } finally {
      this.#syncing = null;
    }
  }

  // -- failures ------------------------------------------------------------------------------------------------------

  #attempt<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw this.#failed(error);
    }
  }

  /** A full disk ends the stream, any other failure the writer. Returns what to throw. */
  #failed(error: unknown): unknown {
    if (!(error instanceof MillraceError) || error.code !== 'DISK_FULL') return this.#die(error);
    this.#streaming = false;
    this.#cutBack();
    return error;
  }

  /** Forgets everything behind the published end. */
  #cutBack(): void {
    this.#pending.length = 0;
    this.#ended = this.#publishedOffset;
    const file = this.#file;
    if (file === null || file.closed) return;
    try {
      file.cutTo(this.#publishedOffset);
    } catch (error) {
      throw this.#die(error);
    }
  }

  #die(error: unknown): MillraceError {
    const reason = diskError('write', this.#dir, error);
    this.#streaming = false;
    this.#dead ??= reason;
    return reason;
  }

  #mustLive(): void {
    if (this.#dead !== null) throw this.#dead;
  }

  #notStreaming(): never {
    this.#mustLive();
    throw new MillraceError('INTERNAL', 'the relay log is written to before startStream');
  }

  /** The stream cannot go on: what is not published of it is dropped. */
  #refuse(error: MillraceError): MillraceError {
    this.#streaming = false;
    this.#cutBack();
    return error;
  }
}

function isAtOrAfter(a: RelayPosition, b: RelayPosition): boolean {
  return a.fileNumber > b.fileNumber || (a.fileNumber === b.fileNumber && a.offset >= b.offset);
}
