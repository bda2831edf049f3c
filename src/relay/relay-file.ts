/**
 * The relay log file that is being written: its descriptor, its birth and its end. Where in it what goes is the writer's
 * business (relay-log-writer.ts).
 *
 * Invariants
 *  - A new file is durable with its header, and its name in the directory, before `create` returns.
 *  - All other bytes are on disk before IN_USE goes: a file without that flag was whole once.
 *  - The descriptor is not closed while a sync is under way on it (its number could be another file's by then).
 */
import { closeSync, fdatasync, fdatasyncSync, fstatSync, ftruncateSync, openSync } from 'node:fs';
import { EventFlag } from '../binlog/event-header.ts';
import type { FormatDescription } from '../binlog/format-description.ts';
import { diskError, FILE_MODE, syncDirectory, syncFile, writeFully } from './durable-file.ts';
import {
  encodeClosingRotate,
  encodeRelayFileHeader,
  flagsInUse,
  IN_USE_OFFSET,
  type RelayFileOrigin,
} from './relay-file-header.ts';
import { relayFileName, relayFilePath, removeIfThere } from './relay-log-index.ts';

export class RelayFile {
  readonly number: number;
  readonly path: string;
  readonly fde: FormatDescription;
  readonly origin: RelayFileOrigin;
  /** How many transactions are published in it. */
  transactions: number;
  readonly #fd: number;
  #closed = false;
  #syncs = 0;
  #retired = false;

  /** Takes over `fd`, open for reading and writing, of a file whose IN_USE is set. */
  constructor(
    dir: string,
    number: number,
    fd: number,
    origin: RelayFileOrigin,
    fde: FormatDescription,
    transactions: number,
  ) {
    this.number = number;
    this.path = relayFilePath(dir, number);
    this.fde = fde;
    this.origin = origin;
    this.transactions = transactions;
    this.#fd = fd;
  }

  /** A new file with its header. Throws DISK_FULL or DISK, and leaves no file behind then. */
  static create(dir: string, number: number, origin: RelayFileOrigin, fde: FormatDescription): RelayFile {
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
    return new RelayFile(dir, number, fd, origin, fde, 0);
  }

  get name(): string {
    return relayFileName(this.number);
  }

  get size(): number {
    return fstatSync(this.#fd).size;
  }

  write(buf: Buffer, start: number, end: number, position: number): void {
    writeFully(this.#fd, this.path, buf, start, end, position);
  }

  truncateTo(size: number): void {
    try {
      ftruncateSync(this.#fd, size);
    } catch (cause) {
      throw diskError('cut', this.path, cause);
    }
  }

  /** Without holding up the thread. Rejects with DISK. */
  sync(): Promise<void> {
    this.#syncs++;
    return new Promise((resolve, reject) => {
      fdatasync(this.#fd, (cause) => {
        this.#syncs--;
        if (this.#retired) this.retire();
        if (cause) reject(diskError('sync', this.path, cause));
        else resolve();
      });
    });
  }

  /** `closeForGood` was done: the file will not change any more. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Ends the file, `size` bytes long, with a ROTATE to the next relay file. */
  closeForGood(next: number, size: number): void {
    if (this.#closed) return;
    const rotate = encodeClosingRotate(this.fde, relayFileName(next), size);
    this.write(rotate, 0, rotate.length, size);
    this.#syncNow();
    this.clearInUse();
    this.#closed = true;
  }

  /** The rest must be durable already. */
  clearInUse(): void {
    this.write(Buffer.of(flagsInUse(this.origin) & ~EventFlag.IN_USE), 0, 1, IN_USE_OFFSET);
    this.#syncNow();
  }

  /** Closes the descriptor, as soon as no sync is under way. */
  retire(): void {
    this.#retired = true;
    if (this.#syncs === 0) closeSync(this.#fd);
  }

  #syncNow(): void {
    try {
      fdatasyncSync(this.#fd);
    } catch (cause) {
      throw diskError('sync', this.path, cause);
    }
  }
}
