/**
 * One Millrace per data_dir.
 *
 * Node has no flock, so three marks stand together, each for a case that the others miss:
 *   abstract socket   \0millrace:DEVICE:INODE, on Linux: atomic, gone with the process however it dies, the same for
 *                     every spelling of the path; does not reach into another network namespace
 *   control socket    answers, or at least accepts: reaches across network namespaces over a shared folder
 *   millrace.pid      pid, start time and boot: names the process, and holds where neither socket does
 *
 * What a dead process left (socket file, pid file) is taken over. Two processes on different hosts over one network
 * folder are beyond this: the fencing epoch on the target refuses the second.
 */
import { chmodSync, mkdirSync, readFileSync, renameSync, statSync, unlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { MillraceError } from '../base/errors.ts';
import { diskError } from '../relay/durable-file.ts';
import { callControl } from './control-socket.ts';
import { isRunning, markText, ownMark, type ProcessMark, parseMark } from './process-mark.ts';

const PID_FILE = 'millrace.pid';
const PING_MS = 2_000;

export class RunLock {
  readonly #path: string;
  readonly #guard: Server | null;

  private constructor(path: string, guard: Server | null) {
    this.#path = path;
    this.#guard = guard;
  }

  /** Makes data_dir if need be. Throws ALREADY_RUNNING, DISK. */
  static async acquire(dataDir: string): Promise<RunLock> {
    makeDataDir(dataDir);
    const path = join(dataDir, PID_FILE);
    const guard = await holdAbstractSocket(dataDir);
    try {
      const holder = readPidFile(path);
      if (holder !== null && holder.pid !== process.pid && isRunning(holder))
        throw alreadyRunning(dataDir, holder.pid);
      if (await somebodyListens(dataDir)) throw alreadyRunning(dataDir, holder?.pid);
      const temporary = `${path}.${process.pid}`;
      writeFileSync(temporary, markText(ownMark()), { mode: 0o600 });
      renameSync(temporary, path);
    } catch (error) {
      guard?.close();
      throw error instanceof MillraceError ? error : diskError('write', path, error);
    }
    return new RunLock(path, guard);
  }

  release(): void {
    if (readPidFile(this.#path)?.pid === process.pid) unlinkSync(this.#path);
    this.#guard?.close();
  }
}

/** Who runs, or last ran, on `dataDir`, by its pid file; null: nobody, or unknown. */
export function runningProcess(dataDir: string): ProcessMark | null {
  const mark = readPidFile(join(dataDir, PID_FILE));
  return mark !== null && isRunning(mark) ? mark : null;
}

function alreadyRunning(dataDir: string, pid: number | undefined): MillraceError {
  const who = pid === undefined ? 'another Millrace' : `another Millrace, pid ${pid},`;
  return new MillraceError('ALREADY_RUNNING', `${who} runs on data_dir ${dataDir}`, {
    hint: 'Stop it with `millrace stop`, or give this one a data_dir of its own.',
  });
}

function makeDataDir(dataDir: string): void {
  try {
    if (mkdirSync(dataDir, { recursive: true, mode: 0o700 }) !== undefined) chmodSync(dataDir, 0o700);
  } catch (cause) {
    throw diskError('create', dataDir, cause);
  }
}

/** Null where there are no abstract sockets. Throws ALREADY_RUNNING. */
async function holdAbstractSocket(dataDir: string): Promise<Server | null> {
  if (process.platform !== 'linux') return null;
  const { dev, ino } = statSync(dataDir);
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const held = cause.code === 'EADDRINUSE';
      const pid = runningProcess(dataDir)?.pid;
      reject(held ? alreadyRunning(dataDir, pid) : diskError('lock', dataDir, cause));
    });
    server.listen(`\0millrace:${dev}:${ino}`, resolve);
  });
  server.unref();
  return server;
}

/** Also true for a process that accepts and does not answer: it lives. */
async function somebodyListens(dataDir: string): Promise<boolean> {
  try {
    await callControl(dataDir, { do: 'ping' }, PING_MS);
    return true;
  } catch (error) {
    if (error instanceof MillraceError && error.code === 'NOT_RUNNING') return false;
    if (error instanceof MillraceError && (error.code === 'CONFIG' || error.code === 'DISK')) throw error;
    return true;
  }
}

function readPidFile(path: string): ProcessMark | null {
  try {
    return parseMark(readFileSync(path, 'latin1').slice(0, 1_000));
  } catch {
    return null;
  }
}
