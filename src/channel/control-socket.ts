/**
 * The control socket: a unix socket in data_dir over which the verbs reach the running process.
 *
 *   request    {"do":"status"}\n                                one JSON object a line (control-requests.ts)
 *   answer     {"ok":true,"result":…}\n  or  {"ok":false,"error":{code,message,…}}\n
 *
 * Mode 0600: who may open it may stop the process, read its status, and decide what is applied.
 */
import { chmodSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { fromPlain, MillraceError, type PlainError, toPlain } from '../base/errors.ts';
import { type ControlRequest, parseRequest } from './control-requests.ts';

const SOCKET_NAME = 'millrace.sock';
/** sun_path holds 108 bytes with its NUL on Linux, 104 on macOS and the BSDs. */
const SOCKET_PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103;
const REQUEST_BYTES_MAX = 64 * 1024;
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
const CONNECTIONS_MAX = 32;
/** A client that sends nothing and waits for nothing is let go. */
const IDLE_MS = 60_000;

export type ControlHandler = (request: ControlRequest) => Promise<unknown>;

type ControlAnswer =
  | { readonly ok: true; readonly result: unknown }
  | { readonly ok: false; readonly error: PlainError };

/** Throws CONFIG when the path is longer than the system allows. */
export function controlSocketPath(dataDir: string): string {
  const path = join(dataDir, SOCKET_NAME);
  const bytes = Buffer.byteLength(path);
  if (bytes > SOCKET_PATH_BYTES_MAX) {
    throw new MillraceError(
      'CONFIG',
      `data_dir is too long: ${path} has ${bytes} bytes, and a unix socket's path may have ${SOCKET_PATH_BYTES_MAX}`,
      { hint: 'Choose a shorter data_dir.' },
    );
  }
  return path;
}

export class ControlServer {
  readonly #server: Server;
  readonly #path: string;
  readonly #clients = new Set<Socket>();
  readonly #idleMs: number;

  private constructor(server: Server, path: string, idleMs: number) {
    this.#server = server;
    this.#path = path;
    this.#idleMs = idleMs;
  }

  /** The caller holds the run lock: a socket file that is there is a dead process's and is replaced. */
  static async listen(
    dataDir: string,
    handler: ControlHandler,
    { idleMs = IDLE_MS }: { readonly idleMs?: number } = {},
  ): Promise<ControlServer> {
    const path = controlSocketPath(dataDir);
    unlinkIfThere(path);
    const server = createServer();
    server.maxConnections = CONNECTIONS_MAX;
    const control = new ControlServer(server, path, idleMs);
    server.on('connection', (socket) => control.#serve(socket, handler));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) => {
        reject(new MillraceError('DISK', `cannot listen on ${path}: ${cause.message}`, { cause }));
      });
      server.listen(path, resolve);
    });
    chmodSync(path, 0o600);
    return control;
  }

  #serve(socket: Socket, handler: ControlHandler): void {
    this.#clients.add(socket);
    socket.on('close', () => this.#clients.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.setTimeout(this.#idleMs, () => socket.destroy());
    let answered = Promise.resolve();
    let waiting = 0;
    readLines(socket, REQUEST_BYTES_MAX, (line) => {
      // What is carried out is answered, however long it takes: a client that is cut off would be told that it is lost.
      waiting += 1;
      socket.setTimeout(0);
      answered = answered.then(async () => {
        const answer = await answerTo(line, handler);
        waiting -= 1;
        if (waiting === 0) socket.setTimeout(this.#idleMs);
        if (socket.writable) socket.write(`${JSON.stringify(answer)}\n`);
      });
    });
  }

  /** Stops listening, lets answers under way go out, removes the file. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const socket of this.#clients) socket.destroySoon();
    unlinkIfThere(this.#path);
    await closed;
  }
}

async function answerTo(line: string, handler: ControlHandler): Promise<ControlAnswer> {
  try {
    return { ok: true, result: (await handler(parseRequest(line))) ?? null };
  } catch (error) {
    return { ok: false, error: toPlain(error) };
  }
}

/**
 * Sends one request to the process that runs on `dataDir`. Throws NOT_RUNNING when there is none, CONNECTION_LOST when
 * it does not answer in time, DISK when the socket may not be opened, and whatever error the process answers with.
 */
export function callControl(dataDir: string, request: ControlRequest, timeoutMs: number): Promise<unknown> {
  const path = controlSocketPath(dataDir);
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    const fail = (error: MillraceError): void => {
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => {
      fail(
        new MillraceError(
          'CONNECTION_LOST',
          `the Millrace on ${dataDir} does not answer within ${timeoutMs} ms`,
        ),
      );
    }, timeoutMs);
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`));
    socket.on('error', (cause) => fail(connectError(cause, dataDir, path)));
    socket.on('close', () => {
      clearTimeout(timer);
      reject(new MillraceError('CONNECTION_LOST', `the Millrace on ${dataDir} ended before it answered`));
    });
    readLines(socket, ANSWER_BYTES_MAX, (line) => {
      socket.end();
      try {
        const answer = JSON.parse(line) as ControlAnswer;
        if (answer.ok) resolve(answer.result);
        else reject(fromPlain(answer.error));
      } catch (cause) {
        reject(new MillraceError('PROTOCOL', `the answer on ${path} is not JSON`, { cause }));
      }
    });
  });
}

/** No Millrace runs on `dataDir`. */
export function notRunning(dataDir: string): MillraceError {
  return new MillraceError('NOT_RUNNING', `no Millrace runs on data_dir ${dataDir}`, {
    hint: 'Start it with `millrace start` (add --daemon to put it into the background).',
  });
}

function connectError(cause: Error, dataDir: string, path: string): MillraceError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTDIR') return notRunning(dataDir);
  if (code === 'EACCES' || code === 'EPERM') {
    return new MillraceError('DISK', `${path} may not be opened: it belongs to another user`, {
      hint: 'Call this as the user that Millrace runs as.',
    });
  }
  return new MillraceError('CONNECTION_LOST', `${path}: ${cause.message}`, { cause });
}

/** Whole lines without their line feed; a line longer than `bytesMax` ends the connection. */
function readLines(socket: Socket, bytesMax: number, onLine: (line: string) => void): void {
  let parts: Buffer[] = [];
  let length = 0;
  socket.on('data', (chunk: Buffer) => {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, start);
      const piece = chunk.subarray(start, end === -1 ? chunk.length : end);
      length += piece.length;
      if (length > bytesMax) {
        socket.destroy();
        return;
      }
      parts.push(piece);
      if (end === -1) return;
      const line = Buffer.concat(parts).toString('utf8');
      parts = [];
      length = 0;
      start = end + 1;
      onLine(line);
    }
  });
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
