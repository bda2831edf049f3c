/**
 * The HTTP side of the process: the page, the status, metrics and health checks; by the token also what operators decide.
 *
 *   socket ─▶ limits ─▶ head: gate (http-gate.ts) ─▶ body ─▶ routes (http-routes.ts) ─▶ one whole answer
 *
 * Invariants
 *  - Nothing that a client does or does not do is waited for beyond its time, and only so many are let in: a slow, dead or
 *    hostile browser takes up one of CONNECTIONS_MAX places for ANSWER_MS at most.
 *  - No answer may be kept, framed, sniffed, or run a script that is not ours.
 *  - A fault while answering is a 500 and a line in the log, never the end of the process.
 * Thread: main.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { MillraceError, toPlain } from '../base/errors.ts';
import type { Logger } from '../base/runtime.ts';
import type { HttpConfig } from '../config/config.ts';
import { type ListenAddress, listenText } from '../config/listen-address.ts';
import { type GateRules, gate, TokenCheck } from './http-gate.ts';
import {
  type Answer,
  answerGet,
  answerPost,
  changesSomething,
  line,
  type RouteSurroundings,
} from './http-routes.ts';

const CONNECTIONS_MAX = 256;
/** With more than these open, nobody keeps one after its answer. */
const CONNECTIONS_KEPT_MAX = 32;
const HEAD_BYTES_MAX = 8 * 1024;
const BODY_BYTES_MAX = 8 * 1024;
const HEAD_MS = 5_000;
const REQUEST_MS = 10_000;
/** From the request to the last byte of its answer. */
const ANSWER_MS = 20_000;
const KEEP_ALIVE_MS = 5_000;
/** Answers under way when the process stops. */
const CLOSE_MS = 500;

const HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
};

export interface HttpServerOptions extends RouteSurroundings {
  readonly config: HttpConfig;
  readonly log: Logger;
}

export class HttpServer {
  readonly #server: Server;
  readonly #options: HttpServerOptions;
  readonly #rules: GateRules;
  #connections = 0;

  private constructor(options: HttpServerOptions) {
    const { listen, token, allowedHosts } = options.config;
    this.#options = options;
    this.#rules = {
      hosts: new Set([listen.host, hostname(), ...allowedHosts].map((name) => name.toLowerCase())),
      token: token === null ? null : new TokenCheck(token.reveal()),
    };
    this.#server = createServer({
      maxHeaderSize: HEAD_BYTES_MAX,
      headersTimeout: HEAD_MS,
      requestTimeout: REQUEST_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 1_000,
    });
    this.#server.maxConnections = CONNECTIONS_MAX;
    this.#server.timeout = ANSWER_MS;
    this.#server.on('connection', (socket) => {
      this.#connections += 1;
      socket.on('close', () => {
        this.#connections -= 1;
      });
    });
    this.#server.on('request', (request, response) => void this.#serve(request, response));
    this.#server.on('clientError', (_error, socket) => {
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      setTimeout(() => socket.destroy(), CLOSE_MS).unref();
    });
  }

  /** Throws HTTP_LISTEN. */
  static async listen(options: HttpServerOptions): Promise<HttpServer> {
    const http = new HttpServer(options);
    const { listen } = options.config;
    await new Promise<void>((resolve, reject) => {
      http.#server.once('error', (cause) => reject(listenError(listen, cause)));
      http.#server.listen({ host: listen.host, port: listen.port }, resolve);
    });
    http.#server.on('error', (error) => {
      options.log.warn('http: a connection could not be taken', { thread: 'main', cause: error.message });
    });
    options.log.info('http listens', {
      thread: 'main',
      url: `http://${listenText({ ...listen, port: http.port })}/`,
      buttons: http.#rules.token !== null,
    });
    return http;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const force = setTimeout(() => this.#server.closeAllConnections(), CLOSE_MS);
    await closed;
    clearTimeout(force);
  }

  /** Never rejects. */
  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket } = request;
    const late = setTimeout(() => socket.destroy(), ANSWER_MS);
    response.on('close', () => clearTimeout(late));
    let answer: Answer;
    try {
      answer = await this.#answer(request);
    } catch (error) {
      // Whoever has left needs no answer, and is no news.
      if (socket.destroyed) return;
      this.#options.log.error('http: a request could not be answered', {
        thread: 'main',
        cause: toPlain(error).message,
      });
      answer = line(500, 'a fault in Millrace; its log says more');
    }
    if (socket.destroyed) return;
    const { status, type, body } = answer;
    response.writeHead(status, {
      ...HEADERS,
      'content-type': type,
      'content-length': body.length,
      ...(status === 401 ? { 'www-authenticate': 'Bearer realm="millrace"' } : {}),
      ...(status === 405 ? { allow: changesSomething(request.url ?? '') ? 'POST' : 'GET, HEAD' } : {}),
      // Whoever is refused has nothing more to say: an unread body must not be taken for the next request.
      ...((status >= 400 && request.method === 'POST') || this.#connections > CONNECTIONS_KEPT_MAX
        ? { connection: 'close' }
        : {}),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const { method = '', headers } = request;
    const url = parseUrl(request.url);
    if (url === null) return line(400, 'that is no path');
    const changes = changesSomething(url.pathname);
    const refusal = gate(
      {
        method,
        host: headers.host,
        origin: headers.origin,
        fetchSite: oneOf(headers['sec-fetch-site']),
        authorization: headers.authorization,
        contentType: headers['content-type'],
      },
      this.#rules,
      changes,
    );
    if (refusal !== null) return line(refusal.status, refusal.text);
    if (!changes) {
      if (method !== 'GET' && method !== 'HEAD') return line(405, 'GET only');
      return answerGet(url, this.#options);
    }
    const body = await readBody(request);
    if (body === null) return line(413, `the body is longer than ${BODY_BYTES_MAX} bytes`);
    return answerPost(url, body, request.socket.remoteAddress ?? 'unknown', this.#options);
  }
}

function parseUrl(target: string | undefined): URL | null {
  if (target === undefined || !target.startsWith('/')) return null;
  try {
    return new URL(`http://millrace${target}`);
  } catch {
    return null;
  }
}

function oneOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

/** Null: too long, and the rest is not read. Rejects when the client is gone. */
function readBody(request: IncomingMessage): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let length = 0;
    request.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= BODY_BYTES_MAX) chunks.push(chunk);
      else {
        request.pause();
        resolve(null);
      }
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
    request.on('error', reject);
    request.on('close', () => reject(new MillraceError('CONNECTION_LOST', 'the client is gone')));
  });
}

function listenError(listen: ListenAddress, cause: Error): MillraceError {
  const { code } = cause as NodeJS.ErrnoException;
  const where = `http.listen: ${listenText(listen)}`;
  switch (code) {
    case 'EADDRINUSE':
      return new MillraceError('HTTP_LISTEN', `${where} is in use by another process`, {
        hint: `Choose another port in http.listen, or end that process (ss -ltnp 'sport = :${listen.port}' shows it).`,
        cause,
      });
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new MillraceError('HTTP_LISTEN', `${where} is no address of this machine`, {
        hint: 'Give one that is (127.0.0.1 for this machine alone, 0.0.0.0 for all of its networks).',
        cause,
      });
    case 'EACCES':
      return new MillraceError('HTTP_LISTEN', `${where} may not be listened on`, {
        hint: 'Ports below 1024 need a privilege: choose a higher one.',
        cause,
      });
    default:
      return new MillraceError('HTTP_LISTEN', `${where} cannot be listened on: ${cause.message}`, { cause });
  }
}
