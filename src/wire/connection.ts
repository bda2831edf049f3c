/**
 * The one adapter over mysql2: it opens and authenticates a connection (TLS, caching_sha2_password,
 * mysql_native_password), runs the few statements of a handshake, and then lets go of the socket.
 *
 * The TCP connection is made here and handed to mysql2 as its stream; with TLS mysql2 (3.24.x) wraps it and puts the
 * secure socket into `connection.stream`. `takeSocket` removes exactly the listeners that mysql2 put on either socket:
 * from then on mysql2 sees no byte, no error and no end (test/unit/wire/connection.test.ts holds it to that).
 *
 * Never negotiated, so that hand-made packets and replies stay simple: LOCAL_FILES, CLIENT_QUERY_ATTRIBUTES (two extra
 * bytes in COM_QUERY), DEPRECATE_EOF (mysql2 does not know it), compression; and, unless it is asked for, SESSION_TRACK
 * (another form of OK packets).
 * Any thread.
 */
import net from 'node:net';
import { TLSSocket } from 'node:tls';
import mysql, { type ConnectionOptions, type SslOptions } from 'mysql2';
import { MillraceError } from '../base/errors.ts';
import type { EndpointOptions } from './endpoint.ts';
import { connectWithBuffer } from './socket-bytes.ts';
import { connectionLost, decodeErrorPacket, driverError, type Peer } from './wire-error.ts';

/** A row by column name; every value as the server's text, NULL as null. Numbers and GTID sets stay exact. */
export type Row = Readonly<Record<string, string | null>>;

export type Flavour = 'mysql' | 'mariadb';

export interface OpenOptions {
  /** Names the other end in errors: "the source" reads "cannot connect to the source at db1:3306 as 'repl': …". */
  readonly purpose: string;
  /** Aborting closes the connection at any time before its socket was taken. */
  readonly signal?: AbortSignal | undefined;
  /** Additional mysql2 client flags, for instance '+MULTI_STATEMENTS'. */
  readonly flags?: readonly string[];
  /** A statement that takes longer loses the connection; default: none. */
  readonly queryTimeoutMs?: number | undefined;
  /** What comes in at once, without TLS; default: 16 KiB. */
  readonly readBufferLength?: number;
  /** Replies may say what has changed in the session: SESSION_TRACK, where the server knows it. */
  readonly tracksSession?: boolean;
}

/** What TLS has come to. */
export interface TlsSession {
  /** `TLSv1.3` */
  readonly protocol: string;
  /** When the server's certificate ends; null: it does not say. */
  readonly certificateEndsMs: number | null;
}

export interface WireConnection {
  readonly serverVersion: string;
  readonly flavour: Flavour;
  readonly threadId: number;
  readonly tls: boolean;
  /** SESSION_TRACK is negotiated. */
  readonly tracksSession: boolean;
  readonly peer: Peer;
  /** Null without TLS. */
  tlsSession(): TlsSession | null;
  /**
   * The first result set, or no rows. `doing` completes "cannot …" in errors (default: the statement's beginning).
   * @throws a classified MillraceError, with facts errno and sqlState when the server said no.
   */
  query(sql: string, doing?: string): Promise<Row[]>;
  /** A statement that changes rows; gives how many it has found (CLIENT_FOUND_ROWS), changed or not. */
  change(sql: string, doing?: string): Promise<number>;
  /** Sends one framed command packet whose answer is OK or an error. @throws as `query`. */
  command(packet: Buffer, doing: string): Promise<void>;
  /**
   * The authenticated socket, idle and paused (resume it), without listeners but Node's own and an error guard. Its bytes are
   * had by `receiveBytes` (socket-bytes.ts).
   */
  takeSocket(): net.Socket;
  /** Ends the connection politely; safe at any time, also after takeSocket (then it does nothing). */
  close(): void;
}

/** What mysql2 can write: the packet with room for its header, and where the header goes. */
interface DriverPacket {
  readonly buffer: Buffer;
  length(): number;
  writeHeader(sequence: number): void;
}

/** What mysql2 runs: called first without a packet, then with each packet that comes; true ends the command. */
interface DriverCommand {
  execute(packet: DriverReply | undefined, driver: DriverConnection): boolean;
  onResult(error: unknown): void;
}

/** A received packet: a view that is reused for the next one. */
interface DriverReply {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly end: number;
}

/** The parts of mysql2's connection that are not in its typings. */
interface DriverConnection extends mysql.Connection {
  stream: net.Socket;
  connectTimeout: NodeJS.Timeout | null;
  _handleNetworkError(error: unknown): void;
  _resetSequenceId(): void;
  addCommand(command: DriverCommand): void;
  writePacket(packet: DriverPacket): void;
  _command?: unknown;
  serverCapabilityFlags: number;
  _handshakePacket: { serverVersion: string } | null;
}

type Listener = (...args: unknown[]) => void;
type Listeners = ReadonlyArray<readonly [event: string | symbol, listener: Listener]>;

const CLIENT_FLAGS = ['-LOCAL_FILES', '-IGNORE_SPACE', '-ODBC', '-CLIENT_QUERY_ATTRIBUTES'];
const WITHOUT_SESSION_TRACK = '-SESSION_TRACK';
/** CLIENT_SESSION_TRACK (include/mysql_com.h). */
const SESSION_TRACK = 1 << 23;
const KEEP_ALIVE_MS = 30_000;
const DEFAULT_READ_BUFFER_LENGTH = 16 * 1024;
const MARIADB_VERSION_PREFIX = '5.5.5-';

/**
 * Connects and authenticates. TLS mode `preferred` falls back to plain text only when the server does not offer TLS.
 * @throws CONNECTION_LOST, ACCESS_DENIED, TLS, PROTOCOL: each names host:port and user and says what to do.
 */
export async function openConnection(
  endpoint: EndpointOptions,
  options: OpenOptions,
): Promise<WireConnection> {
  const peer: Peer = { host: endpoint.host, port: endpoint.port, user: endpoint.user };
  const encrypted = endpoint.tls.mode !== 'disabled';
  try {
    return await open(endpoint, peer, options, encrypted);
  } catch (error) {
    if (endpoint.tls.mode === 'preferred' && isNoTls(error)) {
      try {
        return await open(endpoint, peer, options, false);
      } catch (second) {
        throw driverError(second, peer, `connect to ${options.purpose}`);
      }
    }
    throw driverError(error, peer, `connect to ${options.purpose}`);
  }
}

function isNoTls(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === 'HANDSHAKE_NO_SSL_SUPPORT';
}

async function open(
  endpoint: EndpointOptions,
  peer: Peer,
  options: OpenOptions,
  encrypted: boolean,
): Promise<WireConnection> {
  const deadline = performance.now() + endpoint.connectTimeoutMs;
  const socket = await connectTcp(endpoint, options, encrypted);
  const before = listenersOf(socket);
  if (encrypted) refuseBytesBeforeTls(socket);
  const driver = mysql.createConnection(
    driverOptions(endpoint, socket, options, encrypted, Math.max(1, deadline - performance.now())),
  ) as DriverConnection;
  const driverListeners = listenersOf(socket).filter(([, added]) => !before.some(([, own]) => own === added));
  const onAbort = (): void => {
    driver.stream.destroy(abortError());
  };
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      driver.connect((error) => (error === null ? resolve() : reject(error)));
    });
  } catch (error) {
    options.signal?.removeEventListener('abort', onAbort);
    driver.on('error', () => {});
    driver.stream.destroy();
    socket.destroy();
    throw options.signal?.aborted ? abortError() : error;
  }
  return new DriverWireConnection(driver, socket, peer, options, driverListeners, onAbort);
}

function listenersOf(socket: net.Socket): Listeners {
  return socket
    .eventNames()
    .flatMap((event) => socket.rawListeners(event).map((listener) => [event, listener as Listener] as const));
}

function driverOptions(
  endpoint: EndpointOptions,
  socket: net.Socket,
  options: OpenOptions,
  encrypted: boolean,
  timeoutMs: number,
): ConnectionOptions {
  const { mode, ca, cert, key } = endpoint.tls;
  // A fresh object each time: mysql2 caches TLS sessions by it, and a resumed session skips the identity check.
  const ssl: SslOptions = {
    minVersion: 'TLSv1.2',
    rejectUnauthorized: mode === 'verify_ca' || mode === 'verify_identity',
    verifyIdentity: mode === 'verify_identity',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
  return {
    host: endpoint.host,
    port: endpoint.port,
    user: endpoint.user,
    password: endpoint.password,
    stream: socket,
    connectTimeout: timeoutMs,
    flags: [
      ...CLIENT_FLAGS,
      ...(options.tracksSession === true ? [] : [WITHOUT_SESSION_TRACK]),
      ...(options.flags ?? []),
    ],
    connectAttributes: { program_name: 'millrace', purpose: options.purpose },
    typeCast: (field: { string(): string | null }) => field.string(),
    disableEval: true,
    trace: false,
    // None is prepared. The default, 16000, takes half a MiB of each connection when it is made.
    maxPreparedStatements: 1,
    ...(encrypted ? { ssl } : {}),
  } as ConnectionOptions;
}

function connectTcp(
  endpoint: EndpointOptions,
  options: OpenOptions,
  encrypted: boolean,
): Promise<net.Socket> {
  const { signal, readBufferLength = DEFAULT_READ_BUFFER_LENGTH } = options;
  const to = { host: endpoint.host, port: endpoint.port };
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortError());
      return;
    }
    const socket = encrypted
      ? net.connect({ ...to, noDelay: true })
      : connectWithBuffer(to, readBufferLength);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const finish = (error: unknown): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.removeListener('connect', onConnect);
      if (error === null) {
        socket.removeListener('error', finish);
        // Never without a listener: a reset at the wrong moment must not end the process.
        socket.on('error', () => {});
        resolve(socket);
      } else {
        socket.on('error', () => {});
        socket.destroy();
        reject(error);
      }
    };
    const onConnect = (): void => {
      // For an IP address Node leaves this unset, and the identity check would compare with 'localhost'.
      (socket as { _host?: string })._host = endpoint.host;
      finish(null);
    };
    const onAbort = (): void => finish(abortError());
    const timer = setTimeout(
      () => finish(Object.assign(new Error('connect timed out'), { code: 'ETIMEDOUT' })),
      endpoint.connectTimeoutMs,
    );
    socket.once('connect', onConnect);
    socket.once('error', finish);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}

/**
 * Bytes that come in clear after the greeting, before TLS, were put there by someone in between, and would be read as
 * if they had come encrypted: such a connection is closed. mysql2 removes this listener when TLS begins.
 */
function refuseBytesBeforeTls(socket: net.Socket): void {
  let expected = -1;
  let received = 0;
  const head: number[] = [];
  socket.on('data', (chunk: Buffer) => {
    for (let i = 0; head.length < 3 && i < chunk.length; i++) head.push(chunk[i] as number);
    if (head.length === 3 && expected < 0) {
      expected = 4 + ((head[0] as number) | ((head[1] as number) << 8) | ((head[2] as number) << 16));
    }
    received += chunk.length;
    if (expected >= 0 && received > expected) {
      socket.destroy(
        Object.assign(new Error('bytes in clear between greeting and TLS'), { code: 'HANDSHAKE_SSL_ERROR' }),
      );
    }
  });
}

function isErrorPacket(reply: DriverReply): boolean {
  return reply.buffer[reply.offset] === 0xff;
}

function asDriverError(reply: DriverReply): object {
  const { errno, sqlState, message } = decodeErrorPacket(reply.buffer, reply.offset, reply.end);
  return { errno, sqlState, sqlMessage: message };
}

function abortError(): Error {
  return Object.assign(new Error('cancelled'), { code: 'ABORT_ERR' });
}

class DriverWireConnection implements WireConnection {
  readonly serverVersion: string;
  readonly flavour: Flavour;
  readonly threadId: number;
  readonly tls: boolean;
  readonly tracksSession: boolean;
  readonly peer: Peer;
  readonly #driver: DriverConnection;
  readonly #plain: net.Socket;
  readonly #options: OpenOptions;
  readonly #driverListeners: Listeners;
  readonly #onAbort: () => void;
  #running = 0;
  #lost: unknown = null;
  #taken = false;

  constructor(
    driver: DriverConnection,
    plain: net.Socket,
    peer: Peer,
    options: OpenOptions,
    driverListeners: Listeners,
    onAbort: () => void,
  ) {
    this.#driver = driver;
    this.#plain = plain;
    this.#options = options;
    this.#driverListeners = driverListeners;
    this.#onAbort = onAbort;
    this.peer = peer;
    const version = driver._handshakePacket?.serverVersion ?? '';
    this.flavour = /mariadb/i.test(version) ? 'mariadb' : 'mysql';
    this.serverVersion =
      this.flavour === 'mariadb' && version.startsWith(MARIADB_VERSION_PREFIX)
        ? version.slice(MARIADB_VERSION_PREFIX.length)
        : version;
    this.threadId = driver.threadId ?? 0;
    this.tls = driver.stream !== plain;
    this.tracksSession =
      options.tracksSession === true && (driver.serverCapabilityFlags & SESSION_TRACK) !== 0;
    driver.on('error', (error) => {
      this.#lost ??= error;
    });
  }

  tlsSession(): TlsSession | null {
    const socket = this.#driver.stream;
    if (!(socket instanceof TLSSocket)) return null;
    const endsMs = Date.parse(socket.getPeerCertificate().valid_to);
    return {
      protocol: socket.getProtocol() ?? 'TLS',
      certificateEndsMs: Number.isNaN(endsMs) ? null : endsMs,
    };
  }

  query(sql: string, doing = `run '${sql.slice(0, 60)}'`): Promise<Row[]> {
    return this.#run(doing, (settle) => {
      this.#driver.query(sql, (error, rows) => {
        settle(error, Array.isArray(rows) ? (rows as unknown as Row[]) : []);
      });
    });
  }

  change(sql: string, doing = `run '${sql.slice(0, 60)}'`): Promise<number> {
    return this.#run(doing, (settle) => {
      this.#driver.query(sql, (error, result) => {
        settle(error, (result as { affectedRows?: number } | undefined)?.affectedRows ?? 0);
      });
    });
  }

  command(packet: Buffer, doing: string): Promise<void> {
    return this.#run<void>(doing, (settle) => {
      this.#driver.addCommand({
        execute: (reply, driver) => {
          if (reply === undefined) {
            // mysql2's own commands do this in their base class; without it the server sees packets out of order.
            driver._resetSequenceId();
            driver.writePacket({
              buffer: packet,
              length: () => packet.length,
              writeHeader: (n) => (packet[3] = n),
            });
            return false;
          }
          settle(isErrorPacket(reply) ? asDriverError(reply) : null, undefined);
          return true;
        },
        onResult: (error) => settle(error, undefined),
      });
    });
  }

  #run<T>(doing: string, start: (settle: (error: unknown, value: T) => void) => void): Promise<T> {
    if (this.#taken) throw new MillraceError('INTERNAL', 'the socket of this connection was taken over');
    if (this.#lost !== null) return Promise.reject(driverError(this.#lost, this.peer, doing));
    const { queryTimeoutMs: timeoutMs, signal } = this.#options;
    this.#running++;
    return new Promise<T>((resolve, reject) => {
      const timer = timeoutMs === undefined ? undefined : setTimeout(() => this.#giveUp(), timeoutMs);
      start((error, value) => {
        clearTimeout(timer);
        this.#running--;
        if (error === null) resolve(value);
        else reject(driverError(signal?.aborted ? abortError() : error, this.peer, doing));
      });
    });
  }

  #giveUp(): void {
    this.#driver.stream.destroy(Object.assign(new Error('no answer'), { code: 'ETIMEDOUT' }));
  }

  takeSocket(): net.Socket {
    if (this.#taken)
      throw new MillraceError('INTERNAL', 'the socket of this connection was already taken over');
    if (this.#running > 0 || this.#driver._command) {
      throw new MillraceError('INTERNAL', 'the socket was asked for while a statement runs');
    }
    const socket = this.#driver.stream;
    if (this.#lost !== null || socket.destroyed) {
      throw connectionLost(this.peer, 'before its socket was taken over', this.#lost ?? undefined);
    }
    this.#taken = true;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    if (this.#driver.connectTimeout !== null) clearTimeout(this.#driver.connectTimeout);
    this.#driver.connectTimeout = null;
    socket.pause();
    socket.on('error', () => {});
    for (const [event, listener] of this.#driverListeners) this.#plain.removeListener(event, listener);
    if (socket !== this.#plain) {
      socket.removeAllListeners('data');
      socket.removeAllListeners('session');
    }
    // Node's own error listener stands beside mysql2's on a TLS socket; mysql2's calls this.
    this.#driver._handleNetworkError = () => {};
    return socket;
  }

  close(): void {
    if (this.#taken) return;
    this.#options.signal?.removeEventListener('abort', this.#onAbort);
    this.#driver.stream.on('error', () => {});
    // COM_QUIT, then the end of the stream; a server that does not answer must not keep the socket open.
    if (this.#lost === null) this.#driver.end(() => {});
    setTimeout(() => this.#driver.stream.destroy(), 1000).unref();
  }
}
