/**
 * The relay log file that is being written: its birth, its tail and its end. What of it is whole and may be seen is the
 * writer's business (relay-log-writer.ts).
 *
 * Invariants
 *  - Bytes are appended through a buffer; what does not fit goes to the file at once, what is long past it.
 *  - A new file is durable with its header, and its name in the directory, before `create` returns.
 *  - All other bytes are on disk before IN_USE goes: a file without that flag was whole once.
 *  - Marks are made while the file grows, each when a sync has covered it. A file that recovery hands over does not grow.
 *  - The descriptor is not closed while a sync is under way on it (its number could be another file's by then).
 */
import { closeSync, fdatasync, fdatasyncSync, ftruncateSync, openSync } from 'node:fs';
import { EventFlag } from '../binlog/event-header.ts';
import type { FormatDescription } from '../binlog/format-description.ts';
import type { TransactionId } from '../binlog/position-set.ts';
import { diskError, FILE_MODE, syncDirectory, syncError, syncFile, writeFully } from './durable-file.ts';
import {
  encodeClosingRotate,
  encodeRelayFileHeader,
  flagsInUse,
  IN_USE_OFFSET,
  type RelayFileOrigin,
} from './relay-file-header.ts';
import { relayFileName, relayFilePath, removeIfThere } from './relay-log-index.ts';
import { RelayMarkWriter } from './relay-mark-writer.ts';

/** A file as the recovery hands it over. */
export interface WritableFile {
  readonly number: number;
  readonly fd: number;
  readonly origin: RelayFileOrigin;
  /** Its size; the end of its last whole transaction. */
  readonly end: number;
  readonly transactions: number;
}

/** From here on a copy into the buffer costs more than a write of its own. */
const LONG = 64 * 1024;

export class RelayFile {
  readonly number: number;
  readonly path: string;
  readonly fde: FormatDescription;
  readonly origin: RelayFileOrigin;
  readonly #fd: number;
  /** Bytes [0, #fill) belong at file offset #written. */
  readonly #buffer: Buffer;
  #fill = 0;
  #written: number;
  /** A write failed: bytes may stand behind #written. */
  #torn = false;
  #closed = false;
  #syncs = 0;
  #retired = false;
  #transactions: number;
  #marks: RelayMarkWriter | null = null;

  /** Takes over `file.fd`, open for reading and writing, of a file whose IN_USE is set. */
  constructor(dir: string, file: WritableFile, fde: FormatDescription, buffer: Buffer) {
    this.number = file.number;
    this.path = relayFilePath(dir, file.number);
    this.fde = fde;
    this.origin = file.origin;
    this.#transactions = file.transactions;
    this.#fd = file.fd;
    this.#written = file.end;
    this.#buffer = buffer;
  }

  /** A new file with its header. Throws DISK_FULL or DISK, and leaves no file behind then. */
  static create(
    dir: string,
    number: number,
    origin: RelayFileOrigin,
    fde: FormatDescription,
    buffer: Buffer,
    markDistance: number,
  ): RelayFile {
    const path = relayFilePath(dir, number);
    const header = encodeRelayFileHeader(origin, fde);
    let fd: number;
    try {
      fd = openSync(path, 'w+', FILE_MODE);
    } catch (cause) {
      throw diskError('create', path, cause);
    }
    try {
      writeFully(fd, path, header, 0, header.length, 0);
      syncFile(fd, path);
      syncDirectory(dir);
    } catch (error) {
      closeSync(fd);
      removeIfThere(path);
      throw error;
    }
    const file = new RelayFile(dir, { number, fd, origin, end: header.length, transactions: 0 }, fde, buffer);
    const { kind } = origin.previous;
    const marked = { fd, path, kind, headerEnd: header.length, distance: markDistance, after: null };
    file.#marks = new RelayMarkWriter(marked);
    return file;
  }

  /** How many transactions are published in it. */
  get transactions(): number {
    return this.#transactions;
  }

  /** Another one is published, which ends at `end` here and at `sourceEnd` in the source's file. */
  published(id: TransactionId, end: number, sourceEnd: number): void {
    this.#transactions += 1;
    this.#marks?.passed(id, end, sourceEnd);
  }

  get name(): string {
    return relayFileName(this.number);
  }

  /** Where the next byte goes: all that was appended lies before it, in the file or in the buffer. */
  get end(): number {
    return this.#written + this.#fill;
  }

  append(buf: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length >= LONG || length > this.#buffer.length) {
      this.flush();
      this.#write(buf, start, end);
      return;
    }
    if (length > this.#buffer.length - this.#fill) this.flush();
    buf.copy(this.#buffer, this.#fill, start, end);
    this.#fill += length;
  }

  /** Brings the buffer into the file. Throws DISK_FULL or DISK. */
  flush(): void {
    if (this.#fill === 0) return;
    this.#write(this.#buffer, 0, this.#fill);
    this.#fill = 0;
  }

  /** Drops what was appended behind `end`. */
  cutTo(end: number): void {
    if (!this.#torn && end >= this.#written) {
      this.#fill = end - this.#written;
      return;
    }
    try {
      ftruncateSync(this.#fd, end);
    } catch (cause) {
      throw diskError('cut', this.path, cause);
    }
    this.#fill = 0;
    this.#written = end;
    this.#torn = false;
  }

  /** Without holding up the thread. `flushed`: what of it is published and in the file now. Rejects with DISK. */
  sync(flushed: number): Promise<void> {
    this.#syncs++;
    this.#marks?.syncBegins();
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (cause) => {
        if (!cause) this.#marks?.durable(flushed);
        this.#syncs--;
        if (this.#retired) this.retire();
        if (cause) reject(syncError(this.path, cause));
        else resolve();
      });
    });
  }

  /** `closeForGood` was done: the file will not change any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Ends the file with a ROTATE to the next relay file. */
  closeForGood(next: number): void {
    if (this.#closed) return;
    const rotate = encodeClosingRotate(this.fde, relayFileName(next), this.end);
    this.append(rotate, 0, rotate.length);
    this.flush();
    this.#syncNow();
    this.#marks?.durable(this.end);
    this.clearInUse();
    this.#closed = true;
  }

  /** The rest must be durable already. */
  clearInUse(): void {
    const flags = Buffer.of(flagsInUse(this.origin) & ~EventFlag.IN_USE);
    writeFully(this.#fd, this.path, flags, 0, 1, IN_USE_OFFSET);
    this.#syncNow();
  }

  /** Closes the descriptor, as soon as no sync is under way. */
  retire(): void {
    this.#retired = true;
    // Its file may be removed from now on: no marks are to be left behind.
    this.#marks = null;
    if (this.#syncs === 0) closeSync(this.#fd);
  }

  #write(buf: Buffer, start: number, end: number): void {
    this.#torn = true;
    writeFully(this.#fd, this.path, buf, start, end, this.#written);
    this.#torn = false;
    this.#written += end - start;
  }

  #syncNow(): void {
    try {
      fdatasyncSync(this.#fd);
    } catch (cause) {
      throw syncError(this.path, cause);
    }
  }
}
