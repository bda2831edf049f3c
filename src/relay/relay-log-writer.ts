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
import {
  type PositionKind,
  type PositionSet,
  type TransactionId,
  transactionIdText,
} from '../binlog/position-set.ts';
import type { TransactionHead } from '../binlog/transaction-boundary.ts';
import { diskError, syncDirectory } from './durable-file.ts';
import type { PublishedEnd, RelayPosition } from './published-end.ts';
import { RelayFile } from './relay-file.ts';
import type { RelayFileOrigin } from './relay-file-header.ts';
import { transactionId } from './relay-file-scan.ts';
import { relayFilePath, removeIfThere, writeRelayLogIndex } from './relay-log-index.ts';
import { type PurgeOptions, purgeableFiles, totalBytes } from './relay-log-purge.ts';
import { indexLines, recoverRelayLog } from './relay-log-recovery.ts';

const DEFAULT_BUFFER_LENGTH = 1024 * 1024;

export interface RelayLogWriterOptions {
  readonly dir: string;
  /** Soft limit: a file is closed after the transaction that passes it. */
  readonly maxFileSize: number;
  readonly published: PublishedEnd;
  readonly log: Logger;
  readonly bufferLength?: number;
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

export class RelayLogWriter {
  readonly #dir: string;
  readonly #maxFileSize: number;
  readonly #published: PublishedEnd;
  readonly #log: Logger;
  #numbers: number[];
  #highest: number;
  #olderBytes = 0;
  #file: RelayFile | null = null;
  #streaming = false;
  #dead: MillraceError | null = null;

  /** Buffered bytes [0, #fill) belong at file offset #written. */
  readonly #buffer: Buffer;
  #fill = 0;
  #written = 0;
  /** End of the last ended transaction, in the relay file and in the source's. */
  #ended = 0;
  #sourceEnded = 0;
  /** Transactions ended and not yet published. */
  readonly #pending: TransactionId[] = [];
  #publishedOffset = 0;
  #sourcePublished = 0;
  #retrieved: PositionSet | null = null;
  #durable: RelayPosition = { fileNumber: 0, offset: 0 };
  #syncing: Promise<void> | null = null;

  /** Recovers the log, publishes its end and is then ready for `startStream`. Throws RELAY_CORRUPT, DISK, DISK_FULL. */
  static async open(options: RelayLogWriterOptions): Promise<RelayLogWriter> {
    const { numbers, highest, last, retrieved } = await recoverRelayLog(options.dir, options.log);
    const writer = new RelayLogWriter(options, numbers, highest);
    if (last !== null) {
      const { fileNumber, fd, header, end, transactions, sourceEnd } = last;
      writer.#retrieved = retrieved;
      writer.#olderBytes = totalBytes(options.dir, numbers.slice(0, -1));
      writer.#enter(
        new RelayFile(options.dir, fileNumber, fd, header, header.fde, transactions),
        end,
        sourceEnd,
      );
    }
    return writer;
  }

  private constructor(options: RelayLogWriterOptions, numbers: number[], highest: number) {
    this.#dir = options.dir;
    this.#maxFileSize = options.maxFileSize;
    this.#published = options.published;
    this.#log = options.log;
    this.#numbers = numbers;
    this.#highest = highest;
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
    return this.#olderBytes + this.#publishedOffset;
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
    if (previous.kind !== base.kind) {
      throw new MillraceError(
        'RELAY_CORRUPT',
        `the relay log counts by ${previous.kind}, the source now by ${base.kind}`,
        {
          hint: 'The relay log is fetched again from the position of the target.',
          facts: { dir: this.#dir },
        },
      );
    }
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
    const length = end - start;
    if (length > this.#buffer.length - this.#fill) {
      this.#appendPastBuffer(buf, start, end);
      return;
    }
    buf.copy(this.#buffer, this.#fill, start, end);
    this.#fill += length;
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
    const end = this.#written + this.#fill;
    assert(end > this.#ended, 'a transaction has at least one event');
    const id = transactionId(this.#retrieved!.kind, head, file.origin.sourceFile, sourceEnd);
    if (id === null) throw this.#refuse(unnamed(head, this.#retrieved!.kind));
    this.#pending.push(id);
    this.#ended = end;
    this.#sourceEnded = sourceEnd;
    if (end >= this.#maxFileSize) this.#rotate();
  }

  /** Lets the cursors see all ended transactions: once per received chunk. Throws DISK_FULL, DISK. */
  publish(): void {
    if (this.#ended === this.#publishedOffset) return;
    this.#mustLive();
    const retrieved = this.#retrieved!;
    for (const id of this.#pending) if (retrieved.has(id)) throw this.#refuse(seenBefore(id));
    this.#flush();
    for (const id of this.#pending) retrieved.add(id);
    const file = this.#file!;
    file.transactions += this.#pending.length;
    this.#pending.length = 0;
    this.#publishedOffset = this.#ended;
    this.#sourcePublished = this.#sourceEnded;
    this.#published.publish(file.number, this.#ended);
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
    const gone = purgeableFiles(this.#dir, this.#numbers, options);
    if (gone.length === 0) return gone;
    const kept = this.#numbers.slice(gone.length);
    try {
      writeRelayLogIndex(this.#dir, kept);
      this.#removeFiles(gone);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'DISK_FULL') throw this.#die(error);
      // Not even the index fits: the files first, then. A missing file at the begin of the index is dropped at recovery.
      this.#removeFiles(gone);
      this.#attempt(() => writeRelayLogIndex(this.#dir, kept));
    }
    this.#numbers = kept;
    this.#olderBytes = totalBytes(this.#dir, kept.slice(0, -1));
    this.#log.info('relay log files purged', { first: gone[0], last: gone.at(-1), kept: kept.length });
    return gone;
  }

  /** Removes every file: the log is empty. Cursors of before must be opened anew. */
  reset(): void {
    this.#mustLive();
    const gone = this.#numbers;
    this.#streaming = false;
    this.#attempt(() => writeRelayLogIndex(this.#dir, indexLines([], this.#highest)));
    this.#published.reset();
    this.#file?.retire();
    this.#file = null;
    this.#numbers = [];
    this.#olderBytes = 0;
    this.#retrieved = null;
    this.#pending.length = 0;
    this.#fill = this.#written = this.#ended = this.#publishedOffset = 0;
    this.#sourceEnded = this.#sourcePublished = 0;
    this.#durable = { fileNumber: 0, offset: 0 };
    this.#removeFiles(gone);
    this.#log.info('relay log reset', { removed: gone.length });
  }

  /** Drops the unfinished transaction, syncs, clears IN_USE. A dead writer only gives its descriptor back. */
  async close(): Promise<void> {
    const file = this.#file;
    if (file === null) return;
    try {
      if (this.#dead === null) {
        this.abandon();
        await this.sync();
        if (!file.closed) this.#attempt(() => file.clearInUse());
      }
    } finally {
      this.#streaming = false;
      this.#dead ??= new MillraceError('INTERNAL', 'the relay log writer is closed');
      file.retire();
      this.#file = null;
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
    const replaced = before !== null && before.transactions === 0;
    const kept = replaced ? this.#numbers.slice(0, -1) : this.#numbers;
    const number = this.#highest + 1;
    const file = this.#attempt(() => {
      if (before !== null && !replaced) before.closeForGood(number, this.#publishedOffset);
      const created = RelayFile.create(this.#dir, number, origin, fde);
      try {
        writeRelayLogIndex(this.#dir, [...kept, number]);
      } catch (error) {
        created.retire();
        removeIfThere(created.path);
        throw error;
      }
      return created;
    });
    this.#highest = number;
    this.#numbers = [...kept, number];
    if (before !== null && !replaced) this.#olderBytes += before.size;
    this.#enter(file, file.size, origin.sourcePosition);
    if (before === null) return;
    before.retire();
    if (replaced) this.#removeFiles([before.number]);
  }

  /** `file` is durable up to `end` and is where the log goes on. */
  #enter(file: RelayFile, end: number, sourceEnd: number): void {
    this.#file = file;
    this.#fill = 0;
    this.#written = this.#ended = this.#publishedOffset = end;
    this.#sourceEnded = this.#sourcePublished = sourceEnd;
    this.#durable = { fileNumber: file.number, offset: end };
    this.#published.publish(file.number, end);
  }

  #removeFiles(numbers: readonly number[]): void {
    this.#attempt(() => {
      for (const number of numbers) removeIfThere(relayFilePath(this.#dir, number));
      syncDirectory(this.#dir);
    });
  }

  // -- bytes ---------------------------------------------------------------------------------------------------------

  #appendPastBuffer(buf: Buffer, start: number, end: number): void {
    this.#flush();
    if (end - start < this.#buffer.length) {
      this.append(buf, start, end);
      return;
    }
    this.#attempt(() => this.#file!.write(buf, start, end, this.#written));
    this.#written += end - start;
  }

  #flush(): void {
    if (this.#fill === 0) return;
    this.#attempt(() => this.#file!.write(this.#buffer, 0, this.#fill, this.#written));
    this.#written += this.#fill;
    this.#fill = 0;
  }

  /** Forgets everything behind the published end. */
  #cutBack(): void {
    if (this.#written > this.#publishedOffset) {
      try {
        this.#file!.truncateTo(this.#publishedOffset);
      } catch (error) {
        throw this.#die(error);
      }
      this.#written = this.#publishedOffset;
    }
    this.#fill = 0;
    this.#pending.length = 0;
    this.#ended = this.#publishedOffset;
    this.#sourceEnded = this.#sourcePublished;
  }

  async #syncOnce(file: RelayFile): Promise<void> {
    const end: RelayPosition = { fileNumber: file.number, offset: this.#publishedOffset };
    try {
      await file.sync();
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
      this.#failed(error);
      throw error;
    }
  }

  #failed(error: unknown): void {
    if (error instanceof MillraceError && error.code === 'DISK_FULL') {
      this.#streaming = false;
      if (this.#file === null) return;
      // Also what was written of a closing ROTATE.
      if (!this.#file.closed) this.#written = Math.max(this.#written, this.#publishedOffset + 1);
      this.#cutBack();
    } else {
      this.#die(error);
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

function unnamed(head: TransactionHead | null, kind: PositionKind): MillraceError {
  const what =
    head?.id == null ? 'a transaction without a GTID' : `transaction ${transactionIdText(head.id)}`;
  return new MillraceError('UNEXPECTED_EVENT', `${what} came in a stream that is read by ${kind} positions`, {
    hint: "The source's gtid_mode changed: it has to be ON while it is read by GTID.",
  });
}

function seenBefore(id: TransactionId): MillraceError {
  const hint =
    id.kind === 'mariadb'
      ? 'Sequence numbers of a domain must grow: set gtid_strict_mode=ON and give each writing server its gtid_domain_id.'
      : 'Another source with the same history may stand behind this address: compare the servers.';
  return new MillraceError(
    'UNEXPECTED_EVENT',
    `the source sent transaction ${transactionIdText(id)}, which the relay log has already`,
    { hint },
  );
}
