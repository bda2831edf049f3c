/**
 * Keeps the control document in data_dir/millrace.control.json: what it holds is durable before anybody acts on it.
 *
 * Invariants
 *  - The file is replaced as a whole (temporary file, fsync, rename, fsync of the directory): a kill leaves the old document or
 *    the new one.
 *  - A file that cannot be understood keeps Millrace from starting: beginning anew would forget a skip, or let a held
 *    transaction pass. No file at all is a beginning.
 *  - When a write fails, the document in memory is the one from before it.
 * Thread: main. Writes synchronously: operators speak seldom.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../base/errors.ts';
import { diskError, replaceFile } from '../relay/durable-file.ts';
import { AUDIT_LOG_NAME } from './audit-log.ts';
import { type ControlDocument, DamagedDocument, documentText, parseDocument } from './control-document.ts';

const FILE_NAME = 'millrace.control.json';
const BYTES_MAX = 64 * 1024 * 1024;

export class ControlStore {
  readonly #path: string;
  #document: ControlDocument;

  private constructor(path: string, document: ControlDocument) {
    this.#path = path;
    this.#document = document;
  }

  /** The caller holds the run lock. Throws DISK when the file is damaged or cannot be read. */
  static open(dataDir: string): ControlStore {
    const path = join(dataDir, FILE_NAME);
    return new ControlStore(path, readDocument(path));
  }

  get document(): ControlDocument {
    return this.#document;
  }

  /** Durable when it returns. The same document is not written again. Throws DISK_FULL, DISK. */
  write(document: ControlDocument): void {
    if (document === this.#document) return;
    replaceFile(this.#path, Buffer.from(documentText(document)));
    this.#document = document;
  }
}

function readDocument(path: string): ControlDocument {
  let text: string;
  try {
    if (statSync(path).size > BYTES_MAX)
      throw new DamagedDocument('it is larger than any that Millrace writes');
    text = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    if (cause instanceof DamagedDocument) throw damaged(path, cause.message);
    if (cause instanceof TypeError) throw damaged(path, 'it is not UTF-8 text');
    throw diskError('read', path, cause);
  }
  try {
    return parseDocument(text);
  } catch (cause) {
    if (cause instanceof DamagedDocument) throw damaged(path, cause.message);
    throw cause;
  }
}

function damaged(path: string, why: string): MillraceError {
  return new MillraceError('DISK', `${path} is damaged: ${why}`, {
    hint: `It holds what was paused, delayed, held, approved and skipped by hand. Restore it, or remove it and say anew what still has to hold; ${AUDIT_LOG_NAME} beside it tells what was said.`,
  });
}
