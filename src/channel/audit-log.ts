/**
 * data_dir/millrace.audit.log: who told Millrace what, one JSON object a line, never changed, only appended to.
 *
 *   {"time":"2026-02-03T04:05:06.000Z","verb":"skip","channel":"orders","target":"standby","id":"uuid:7","reason":"…","by":{…}}
 *
 * A line is durable before what it tells is done: nothing is done that is not told here. What then could not be done, and what
 * came of it later, gets a line of its own (`outcome`). A line that a power cut has torn is ended by the next one.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { diskError, FILE_MODE, syncDirectory, syncFile, writeFully } from '../relay/durable-file.ts';

export const AUDIT_LOG_NAME = 'millrace.audit.log';
const LINE_FEED = 0x0a;

export type AuditEntry = Readonly<Record<string, unknown>>;

export class AuditLog {
  readonly #dataDir: string;
  readonly #path: string;
  readonly #wallMs: () => number;

  constructor(dataDir: string, wallMs: () => number) {
    this.#dataDir = dataDir;
    this.#path = join(dataDir, AUDIT_LOG_NAME);
    this.#wallMs = wallMs;
  }

  /** Durable when it returns. Throws DISK_FULL, DISK. */
  append(entry: AuditEntry): void {
    const time = new Date(this.#wallMs()).toISOString();
    const line = `${JSON.stringify({ time, ...entry })}\n`;
    let fd: number;
    try {
      fd = openSync(this.#path, 'a+', FILE_MODE);
    } catch (cause) {
      throw diskError('open', this.#path, cause);
    }
    try {
      const { size } = fstatSync(fd);
      const bytes = Buffer.from(endsWhole(fd, size) ? line : `\n${line}`);
      writeFully(fd, this.#path, bytes, 0, bytes.length, size);
      syncFile(fd, this.#path);
      if (size === 0) syncDirectory(this.#dataDir);
    } finally {
      closeSync(fd);
    }
  }
}

function endsWhole(fd: number, size: number): boolean {
  if (size === 0) return true;
  const last = Buffer.alloc(1);
  readSync(fd, last, 0, 1, size - 1);
  return last[0] === LINE_FEED;
}
