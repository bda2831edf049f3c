/**
 * Follows the relay log: hands out its events one by one, in order, across files, up to the published end.
 *
 * Invariants
 *  - Nothing beyond the published end is looked at, so every transaction that begins also ends. Without one (`published: null`,
 *    for tools that look at a log from outside) the last file is scanned once and read to its last whole transaction.
 *  - Every CRC is verified. A mismatch, a missing file or a grammar error of the bytes is RELAY_CORRUPT with file and offset.
 *  - A file is finished when the published end lies in a later one; then its size is its end, and the next file is the next
 *    one of the index. Numbers are never used twice, so a current file that was replaced for being empty is simply left.
 *  - When the log was cut back behind this cursor (a recovery after a failed disk) or reset, `next` throws RELAY_CORRUPT with
 *    the action `retry`: the place has to be looked up anew (relay-log-location.ts), nothing has to be fetched again for it.
 *  - One event object, reused: it and its bytes are valid until the next call. Memory: one block, or one event up to
 *    `oversizedFrom`.
 * Reads synchronously (page cache); any thread. Waiting is the caller's: `PublishedEnd.wait(cursor.position, …)`.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { assert, MillraceError } from '../base/errors.ts';
import { EventType } from '../binlog/event-header.ts';
import type { FormatDescription } from '../binlog/format-description.ts';
import type { PositionKind, TransactionId } from '../binlog/position-set.ts';
import {
  type EventPlace,
  TransactionBoundary,
  type TransactionHead,
} from '../binlog/transaction-boundary.ts';
import { diskError } from './durable-file.ts';
import { EventBlocks } from './event-blocks.ts';
import type { PublishedEnd, RelayPosition } from './published-end.ts';
import { corrupt, type RelayFileHeader, readRelayFileHeader } from './relay-file-header.ts';
import { RelayFileScan, transactionId } from './relay-file-scan.ts';
import { readRelayLogIndex, relayFilePath } from './relay-log-index.ts';
import { nextSourcePosition } from './source-position.ts';

export interface RelayLogCursorOptions {
  readonly dir: string;
  /** Null: read what is there now, to the last whole transaction. */
  readonly published: PublishedEnd | null;
  /** The begin of a transaction; an offset inside of the file's header (0) means its first one. */
  readonly from: RelayPosition;
  /** Where `from` is in the source's file; null or left out: as far as the relay file tells. */
  readonly sourceEnd?: number | null;
  /** Events longer than this are `oversized`; default 16 MiB, at least 64 KiB. */
  readonly oversizedFrom?: number;
  readonly blockLength?: number;
}

/** An event as it stands in the relay log: a view, valid until the cursor moves on. */
export interface RelayEvent {
  /** buf[start, end) is the whole event with its header and without its CRC; when `oversized` only the first 64 KiB. */
  readonly buf: Buffer;
  readonly start: number;
  readonly end: number;
  readonly fileNumber: number;
  readonly offset: number;
  /** Length in the file, with CRC. */
  readonly rawLength: number;
  readonly type: number;
  readonly place: EventPlace;
  readonly head: TransactionHead | null;
  /** The transaction's name: from its first event on; where the log goes by positions, known with its last event only. */
  readonly id: TransactionId | null;
  readonly fde: FormatDescription;
  readonly oversized: boolean;
  /** The source's file it comes from, and where it ends there. */
  readonly sourceFile: string;
  readonly sourceEnd: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

interface OpenFile {
  readonly number: number;
  readonly path: string;
  readonly fd: number;
  readonly header: RelayFileHeader;
  readonly blocks: EventBlocks;
}

export class RelayLogCursor {
  readonly #options: RelayLogCursorOptions;
  readonly #published: PublishedEnd | null;
  readonly #generation: number;
  readonly #event: Mutable<RelayEvent>;
  #file: OpenFile;
  #boundary: TransactionBoundary;
  /** How far #file may be read now; `#finished`: it will not grow any more, another file follows. */
  #limit = 0;
  #finished = false;
  #sourceEnd: number;
  #piece: Buffer | null = null;

  /**
   * Throws RELAY_CORRUPT when there is no such file (with the action `retry` when the index does not name it any more: replaced
   * or purged since it was looked up), or its header is damaged; DISK.
   */
  static open(options: RelayLogCursorOptions): RelayLogCursor {
    const { dir, from } = options;
    const file = openFile(options, from.fileNumber, from.offset);
    if (file !== null) return new RelayLogCursor(options, file);
    const path = relayFilePath(dir, from.fileNumber);
    if (readRelayLogIndex(dir)?.includes(from.fileNumber) === false) {
      throw lost(path, 'the file was replaced or purged');
    }
    throw corrupt(path, from.offset, 'it is missing');
  }

  private constructor(options: RelayLogCursorOptions, file: OpenFile) {
    this.#options = options;
    this.#published = options.published;
    this.#generation = options.published?.read().generation ?? 0;
    this.#file = file;
    this.#boundary = new TransactionBoundary(file.header.fde);
    this.#sourceEnd = options.sourceEnd ?? sourceStart(file);
    this.#event = {
      buf: EMPTY,
      start: 0,
      end: 0,
      fileNumber: file.number,
      offset: 0,
      rawLength: 0,
      type: 0,
      place: 'between',
      head: null,
      id: null,
      fde: file.header.fde,
      oversized: false,
      sourceFile: file.header.sourceFile,
      sourceEnd: 0,
    };
  }

  /** Where the next event starts. */
  get position(): RelayPosition {
    return { fileNumber: this.#file.number, offset: this.#file.blocks.position };
  }

  /** How the log names its transactions. */
  get kind(): PositionKind {
    return this.#file.header.kind;
  }

  /** The file it reads in now, as it describes itself. */
  get header(): RelayFileHeader {
    return this.#file.header;
  }

  /** The next event; null: the published end is reached. Throws RELAY_CORRUPT, DISK. */
  next(): RelayEvent | null {
    for (;;) {
      const { blocks } = this.#file;
      if (blocks.position >= this.#limit && !this.#refresh()) return null;
      switch (blocks.next(this.#limit)) {
        case 'event':
          if (blocks.type === EventType.ROTATE_EVENT && !this.#boundary.open) break;
          return this.#describe();
        case 'end':
          if (this.#finished && !this.#enterNext()) return null;
          break;
        case 'partial':
          throw corrupt(this.#file.path, blocks.offset, 'it ends inside of an event');
        case 'damaged':
          throw corrupt(this.#file.path, blocks.offset, blocks.reason);
      }
    }
  }

  /**
   * Bytes [offset, offset + length) of an oversized event, counted from its header; neither may pass its end, the CRC not
   * included. A view, valid until the next call here or of `next`.
   */
  readOversized(event: RelayEvent, offset: number, length: number): Buffer {
    const bodyEnd = event.rawLength - (event.fde.checksum === 'crc32' ? 4 : 0);
    assert(event === this.#event && event.oversized, 'the piece is of the current, oversized event');
    assert(offset >= 0 && length >= 0 && offset + length <= bodyEnd, 'the piece lies inside of the event');
    if (this.#piece === null || this.#piece.length < length) this.#piece = Buffer.allocUnsafeSlow(length);
    const { fd, path } = this.#file;
    for (let done = 0; done < length; ) {
      const got = readAt(fd, path, this.#piece, done, length - done, event.offset + offset + done);
      if (got === 0) throw corrupt(path, event.offset, 'it ends inside of an event');
      done += got;
    }
    return this.#piece.subarray(0, length);
  }

  close(): void {
    closeSync(this.#file.fd);
  }

  #describe(): RelayEvent {
    const { blocks, header, path } = this.#file;
    const event = this.#event;
    let place: EventPlace;
    try {
      place = this.#boundary.feed(blocks.buf, blocks.start, blocks.end);
    } catch (cause) {
      throw located(cause, path, blocks.offset);
    }
    this.#sourceEnd = nextSourcePosition(this.#sourceEnd, blocks.logPos, blocks.rawLength);
    const head = this.#boundary.head;
    event.buf = blocks.buf;
    event.start = blocks.start;
    event.end = blocks.end;
    event.offset = blocks.offset;
    event.rawLength = blocks.rawLength;
    event.type = blocks.type;
    event.oversized = blocks.oversized;
    event.place = place;
    event.head = head;
    event.sourceEnd = this.#sourceEnd;
    if (header.kind !== 'position') event.id = head?.id ?? null;
    else if (place !== 'end' && place !== 'single') event.id = null;
    else event.id = transactionId('position', head, header.sourceFile, this.#sourceEnd);
    return event;
  }

  /** Looks how far the file may be read now; false: no further than before. */
  #refresh(): boolean {
    if (this.#published === null) return this.#refreshFromDisk();
    const { number, fd, path, blocks } = this.#file;
    const end = this.#published.read();
    if (end.generation !== this.#generation) throw lost(path, 'the relay log was emptied');
    // Lower: the index already names our file, its header is not published yet.
    if (end.fileNumber < number) return false;
    this.#finished = end.fileNumber > number;
    this.#limit = this.#finished ? fstatSync(fd).size : end.offset;
    if (this.#limit < blocks.position)
      throw lost(path, 'the relay log was cut back after a failure of the disk');
    return this.#finished || this.#limit > blocks.position;
  }

  #refreshFromDisk(): boolean {
    const { number, fd, path, blocks } = this.#file;
    if (this.#limit > 0) return this.#finished;
    this.#finished = numbersAfter(this.#options.dir, number).length > 0;
    if (this.#finished) {
      this.#limit = fstatSync(fd).size;
    } else {
      const scan = new RelayFileScan(fd, path);
      scan.step();
      this.#limit = scan.wholeEnd;
    }
    return this.#finished || this.#limit > blocks.position;
  }

  /** Goes on to the next file of the index; false: it is not there yet. */
  #enterNext(): boolean {
    const { number, path, fd, blocks } = this.#file;
    if (this.#boundary.open) throw corrupt(path, blocks.position, 'it ends inside of a transaction');
    const [next] = numbersAfter(this.#options.dir, number);
    if (next === undefined) throw lost(path, 'the next relay log file is not in the index');
    const file = openFile(this.#options, next, 0);
    // Replaced between the look into the index and now: the next call finds the one after it.
    if (file === null) {
      if (numbersAfter(this.#options.dir, number)[0] !== next) return false;
      throw corrupt(relayFilePath(this.#options.dir, next), 0, 'it is missing');
    }
    closeSync(fd);
    this.#file = file;
    this.#boundary = new TransactionBoundary(file.header.fde);
    this.#limit = 0;
    this.#finished = false;
    this.#sourceEnd = sourceStart(file);
    this.#event.fileNumber = file.number;
    this.#event.fde = file.header.fde;
    this.#event.sourceFile = file.header.sourceFile;
    return true;
  }
}

const EMPTY = Buffer.alloc(0);

function openFile(options: RelayLogCursorOptions, number: number, offset: number): OpenFile | null {
  const path = relayFilePath(options.dir, number);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw diskError('open', path, cause);
  }
  try {
    const header = readRelayFileHeader(fd, path);
    const { blockLength, oversizedFrom } = options;
    const blocks = new EventBlocks({
      fd,
      path,
      offset: Math.max(offset, header.end),
      checksummed: header.fde.checksum === 'crc32',
      blockLength,
      oversizedFrom,
    });
    return { number, path, fd, header, blocks };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * The source's position at the begin of the reading. In the middle of a file it is a lower bound, since the relay file lacks
 * what the source wrote between transactions; the first event's own end position makes it exact.
 */
function sourceStart(file: OpenFile): number {
  return file.header.sourcePosition + (file.blocks.position - file.header.end);
}

function numbersAfter(dir: string, number: number): number[] {
  return (readRelayLogIndex(dir) ?? []).filter((other) => other > number);
}

function readAt(
  fd: number,
  path: string,
  into: Buffer,
  at: number,
  length: number,
  position: number,
): number {
  try {
    return readSync(fd, into, at, length, position);
  } catch (cause) {
    throw diskError('read', path, cause);
  }
}

function located(cause: unknown, path: string, offset: number): unknown {
  if (!(cause instanceof MillraceError)) return cause;
  const { code, message, action, hint, facts } = cause;
  return new MillraceError(code, message, { action, hint, facts: { ...facts, file: path, offset }, cause });
}

function lost(path: string, why: string): MillraceError {
  return new MillraceError('RELAY_CORRUPT', `the place in ${path} is lost: ${why}`, {
    action: 'retry',
    hint: 'The place is looked up anew in the relay log as it is now.',
    facts: { file: path },
  });
}
