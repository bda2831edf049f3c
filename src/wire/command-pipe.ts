/**
 * Pipelined statements over a socket that was taken from the driver: COM_QUERY packets go out without waiting, replies
 * come back in the same order and are counted.
 *
 *   COM_QUERY        0x03 · the statement's bytes              (sequence 0; more packets above 16 MiB)
 *   reply            OK | ERR | column count · columns · EOF · rows · EOF or ERR
 *   COM_SET_OPTION   0x1b · u16: 0 several statements in a packet are allowed, 1 they are not; answered by EOF or ERR
 *
 * Invariants
 *  - One statement, one reply. The flag SERVER_MORE_RESULTS_EXISTS is never looked at: after BINLOG the server forgets to
 *    set it. A packet of several statements (`runTogether`) has as many OK replies as statements, or ends with the first
 *    ERR: the server does not run what stands behind a failed statement. A KILL QUERY between two statements makes it leave the
 *    packet without a word (seen on 9.7.4 and 10.11.18): a ping behind it is then answered in its place, which is a fault of the
 *    protocol like any other. The first reply to a packet must carry the sequence
 *    number that follows its command's packets; another one is a fault of the protocol, and the connection is closed.
 *  - Several statements in a packet are allowed to the server only from `runTogether` to the next command of another kind:
 *    a text that comes from the source is never sent while they are.
 *  - Statements given as pieces are never joined; their buffers must not change until the reply has come.
 *  - After an error in one statement the next ones in the pipe still run: the caller builds them so that this is safe.
 *  - A lost connection rejects every statement without a reply; what the server did with those is unknown.
 *
 * Needs a connection without DEPRECATE_EOF, CLIENT_QUERY_ATTRIBUTES and LOCAL_FILES (connection.ts); of SESSION_TRACK it has to know.
 * Any thread.
 */
import type net from 'node:net';
import { MillraceError } from '../base/errors.ts';
import { ByteDecoder } from '../binlog/byte-decoder.ts';
import { PacketReader, PayloadFramer, packetCount } from './packet-framing.ts';
import { receiveBytes, untilDrained } from './socket-bytes.ts';
import { connectionLost, decodeErrorPacket, type Peer, peerName, type ServerError } from './wire-error.ts';

export interface OkReply {
  readonly ok: true;
  /** Found rows, also where they were not changed; of a result set how many it had. */
  readonly affectedRows: number;
  readonly status: number;
  readonly warnings: number;
  /** It has committed under a GTID; told only in a connection with SESSION_TRACK and session_track_gtids=OWN_GTID. */
  readonly committedGtid: boolean;
  /** The server's remark, for instance 'Rows matched: 1  Changed: 1  Warnings: 0'; empty for result sets. */
  readonly info: string;
  /** Of a result set asked for with `query`: rows in column order; otherwise empty. */
  readonly rows: readonly (readonly (string | null)[])[];
}

export interface ErrorReply extends ServerError {
  readonly ok: false;
}

export type Reply = OkReply | ErrorReply;

/** One statement without its command byte: its bytes, whole or in pieces. */
export type Statement = Buffer | readonly Buffer[];

interface Pending {
  /** Sequence number that the first packet of the reply must carry. */
  sequence: number;
  /** Replies that are still to come, if none of them is an error. */
  left: number;
  readonly all: number;
  readonly keepRows: boolean;
  onReply(reply: Reply): void;
  resolve(reply: Reply): void;
  reject(error: MillraceError): void;
}

const COM_QUERY = Buffer.from([0x03]);
const COM_QUIT = Buffer.from([1, 0, 0, 0, 0x01]);
const PING = Buffer.from([1, 0, 0, 0, 0x0e]);
const MULTI_STATEMENTS_ON = Buffer.from([3, 0, 0, 0, 0x1b, 0, 0]);
const MULTI_STATEMENTS_OFF = Buffer.from([3, 0, 0, 0, 0x1b, 1, 0]);
const SEPARATOR = Buffer.from(';');
const QUIT_TIMEOUT_MS = 1000;
/** A packet of several statements that is answered in part and then silent for so long is asked about. */
const SILENT_MS = 1000;
/** Replies other than rows are short; a longer one is not a reply of this protocol. */
const REPLY_LENGTH_MAX = 64 * 1024;
const KEPT_ROWS_LENGTH_MAX = 16 * 1024 * 1024;
const COLUMNS_MAX = 4096;
/** Below this a statement's packets are joined into one write. */
const JOIN_LENGTH_MAX = 64 * 1024;

/** SERVER_SESSION_STATE_CHANGED (include/mysql_com.h). */
const SESSION_STATE_CHANGED = 0x4000;
/** enum_session_state_type (include/mysql_com.h). */
const SESSION_TRACK_GTIDS = 3;
const NOTHING = {
  ok: true,
  affectedRows: 0,
  status: 0,
  warnings: 0,
  committedGtid: false,
  info: '',
  rows: [],
} as const;

type Expect = 'reply' | 'columns' | 'columns-end' | 'rows';

export class CommandPipe {
  readonly peer: Peer;
  readonly #socket: net.Socket;
  readonly #reader: PacketReader;
  readonly #tracksSession: boolean;
  readonly #pending: Pending[] = [];
  #sent = 0;
  #expect: Expect = 'reply';
  #columnsLeft = 0;
  #columnCount = 0;
  #rows: (string | null)[][] = [];
  /** Kept or not. */
  #rowsSeen = 0;
  #rowsLength = 0;
  /** The packet being received: its first byte, its length so far, and its bytes where they are needed. */
  #length = 0;
  #marker = 0;
  #parts: Buffer[] = [];
  /** What is being written, or waits for that; null: nothing is. */
  #writing: Promise<void> | null = null;
  /** The server takes several statements in a packet. */
  #together = false;
  /** Runs while a packet is answered in part. */
  #silence: NodeJS.Timeout | null = null;
  #lost: MillraceError | null = null;
  #onLost: (error: MillraceError) => void = () => {};

  /** `tracksSession`: SESSION_TRACK is negotiated. */
  constructor(socket: net.Socket, peer: Peer, tracksSession = false) {
    this.#socket = socket;
    this.peer = peer;
    this.#tracksSession = tracksSession;
    this.#reader = new PacketReader(this);
    receiveBytes(socket, (buf, end) => this.#onData(buf, end));
    socket.on('error', (error: Error) => this.#fail(connectionLost(peer, error.message, error)));
    socket.on('end', () => this.#fail(connectionLost(peer, 'the server closed it')));
    socket.on('close', () => this.#fail(connectionLost(peer, 'it was closed')));
    socket.resume();
  }

  /** Why no statement can be run any more; null while the connection stands. */
  get lost(): MillraceError | null {
    return this.#lost;
  }

  /** Tells the moment the connection is lost, also while nothing is sent. Told once. */
  onLost(listener: (error: MillraceError) => void): void {
    this.#onLost = listener;
    if (this.#lost !== null) listener(this.#lost);
  }

  /** Commands sent (or waiting to be sent) since it was opened: what is sent next, goes directly behind the last of them. */
  get sent(): number {
    return this.#sent;
  }

  /** Statements sent (or waiting to be sent) whose replies have not come. */
  get inFlight(): number {
    return this.#pending.length;
  }

  /** Sends all statements at once. An error reply is a value; @throws CONNECTION_LOST, PROTOCOL. */
  run(statements: readonly Statement[]): Promise<Reply[]> {
    return Promise.all(statements.map((statement) => this.#send(statement, false)));
  }

  /**
   * Sends all statements in one packet, which the server runs one after the other up to the first that fails: so COMMIT may
   * stand at the end. Resolves with a reply for each that was run; the last is an error when one failed. None of them may
   * give rows, and none may hold text that comes from the source: their number must be what it seems.
   */
  runTogether(statements: readonly Statement[]): Promise<Reply[]> {
    const pieces: Buffer[] = [];
    for (const [index, statement] of statements.entries()) {
      if (index > 0) pieces.push(SEPARATOR);
      if (Buffer.isBuffer(statement)) pieces.push(statement);
      else pieces.push(...statement);
    }
    this.#allowTogether(true);
    const replies: Reply[] = [];
    return this.#sendPieces(pieces, false, statements.length, (reply) => replies.push(reply)).then(
      () => replies,
    );
  }

  /** One statement whose rows are wanted (at most 16 MiB of them): for small looks at the server's state. */
  query(sql: string): Promise<Reply> {
    return this.#send(Buffer.from(sql), true);
  }

  /**
   * One statement of `length` bytes that comes in pieces: it is never in memory as a whole. When the pieces fail or do
   * not add up, the connection is given up (half a packet is on the wire) and this rejects with the pieces' own error.
   */
  async runStreaming(length: number, pieces: AsyncIterable<Buffer> | Iterable<Buffer>): Promise<Reply> {
    const framer = new PayloadFramer(length + COM_QUERY.length);
    this.#allowTogether(false);
    const reply = this.#enqueue(length + COM_QUERY.length, false);
    // Looked at below as well; without this a lost connection would be an unhandled rejection meanwhile.
    reply.catch(() => {});
    let broken: unknown = null;
    await this.#inTurn(async () => {
      try {
        const out: Buffer[] = [];
        framer.push(COM_QUERY, out);
        for await (const piece of pieces) {
          framer.push(piece, out);
          await this.#write(out);
          out.length = 0;
          if (this.#lost !== null) return;
        }
        framer.finish(out);
        await this.#write(out);
      } catch (error) {
        broken = error;
        this.#fail(connectionLost(this.peer, 'a statement could not be sent to its end', error));
      }
    });
    if (broken !== null) throw broken;
    return reply;
  }

  /** Closes at once; statements without a reply are rejected. */
  close(): void {
    this.#fail(connectionLost(this.peer, 'closed by Millrace'));
  }

  /** COM_QUIT after everything sent, then the end of the socket; statements without a reply are rejected. */
  async end(): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#lost !== null) return;
      this.#socket.end(COM_QUIT);
      // A server that does not answer must not keep the socket open.
      setTimeout(() => this.#socket.destroy(), QUIT_TIMEOUT_MS).unref();
      this.#reject(connectionLost(this.peer, 'closed by Millrace'));
    });
  }

  #send(statement: Statement, keepRows: boolean): Promise<Reply> {
    this.#allowTogether(false);
    const pieces = Buffer.isBuffer(statement) ? [statement] : (statement as readonly Buffer[]);
    return this.#sendPieces(pieces, keepRows, 1, () => {});
  }

  /** Nobody waits for the answer: should the server refuse, the packet that follows fails as a whole. */
  #allowTogether(together: boolean): void {
    if (this.#together === together || this.#lost !== null) return;
    this.#together = together;
    this.#enqueue(1, false).catch(() => {});
    void this.#inTurn(() => this.#write([together ? MULTI_STATEMENTS_ON : MULTI_STATEMENTS_OFF]));
  }

  /** Resolves with the last reply. */
  #sendPieces(
    pieces: readonly Buffer[],
    keepRows: boolean,
    replies: number,
    onReply: (reply: Reply) => void,
  ): Promise<Reply> {
    let length = COM_QUERY.length;
    for (const piece of pieces) length += piece.length;
    const reply = this.#enqueue(length, keepRows, replies, onReply);
    const out: Buffer[] = [];
    const framer = new PayloadFramer(length);
    framer.push(COM_QUERY, out);
    for (const piece of pieces) framer.push(piece, out);
    framer.finish(out);
    // Fails only together with `reply`.
    void this.#inTurn(() => this.#write(length <= JOIN_LENGTH_MAX ? [Buffer.concat(out)] : out));
    return reply;
  }

  #enqueue(
    payloadLength: number,
    keepRows: boolean,
    left = 1,
    onReply: (reply: Reply) => void = () => {},
  ): Promise<Reply> {
    if (this.#lost !== null) return Promise.reject(this.#lost);
    this.#sent += 1;
    const sequence = packetCount(payloadLength) & 0xff;
    return new Promise<Reply>((resolve, reject) => {
      this.#pending.push({ sequence, left, all: left, keepRows, onReply, resolve, reject });
    });
  }

  /** Writes of different statements must not mix: one after the other, at once where nothing is being written. Null: it is written. */
  #inTurn(write: () => Promise<void> | null): Promise<void> | null {
    const turn = this.#writing === null ? write() : this.#writing.then(() => write() ?? undefined);
    if (turn === null) return null;
    this.#writing = turn;
    void turn.then(() => {
      if (this.#writing === turn) this.#writing = null;
    });
    return turn;
  }

  /** Null: the socket takes more. Never rejects: a broken socket fails the pipe. */
  #write(buffers: readonly Buffer[]): Promise<void> | null {
    if (this.#lost !== null) return null;
    const socket = this.#socket;
    if (buffers.length > 1) socket.cork();
    for (const buffer of buffers) socket.write(buffer);
    if (buffers.length > 1) socket.uncork();
    return socket.writableNeedDrain ? untilDrained(socket) : null;
  }

  #onData(buf: Buffer, end: number): void {
    if (this.#lost !== null) return;
    try {
      this.#reader.push(buf, end);
    } catch (error) {
      this.#fail(error instanceof MillraceError ? error : connectionLost(this.peer, String(error), error));
    }
  }

  /** PacketSink. */
  piece(buf: Buffer, start: number, end: number, first: boolean, last: boolean): void {
    if (first) {
      this.#length = 0;
      this.#parts = [];
      this.#marker = end > start ? (buf[start] as number) : -1;
      const pending = this.#pending[0];
      if (pending === undefined) throw this.#protocol('an answer to nothing');
      if (this.#expect === 'reply' && this.#reader.sequence !== pending.sequence) {
        throw this.#protocol(`reply number ${this.#reader.sequence} where ${pending.sequence} was due`);
      }
    }
    this.#length += end - start;
    const kept = this.#expect === 'reply' || this.#marker === 0xff || this.#pending[0]?.keepRows === true;
    if (kept) this.#keep(buf, start, end, last);
    if (last) this.#packet(buf, start, end);
  }

  #keep(buf: Buffer, start: number, end: number, last: boolean): void {
    const limit = this.#expect === 'rows' ? KEPT_ROWS_LENGTH_MAX : REPLY_LENGTH_MAX;
    if (this.#length > limit) throw this.#protocol(`a reply of more than ${limit} bytes`);
    // A packet that lies in one chunk is read where it is.
    if (last && this.#parts.length === 0) return;
    this.#parts.push(Buffer.from(buf.subarray(start, end)));
  }

  #packet(chunk: Buffer, start: number, end: number): void {
    const joined = this.#parts.length > 0 ? Buffer.concat(this.#parts) : null;
    const buf = joined ?? chunk;
    const from = joined === null ? start : 0;
    const to = joined === null ? end : joined.length;
    switch (this.#expect) {
      case 'reply':
        this.#firstPacket(buf, from, to);
        return;
      case 'columns':
        this.#columnsLeft--;
        if (this.#columnsLeft === 0) this.#expect = 'columns-end';
        return;
      case 'columns-end':
        if (!this.#isEof()) throw this.#protocol('column definitions without an end');
        this.#expect = 'rows';
        return;
      case 'rows':
        if (this.#isEof()) {
          const eof = new ByteDecoder(chunk, start, end, 'EOF packet');
          const whole = eof.remaining === this.#length && eof.remaining >= 5;
          if (whole) eof.skip(1);
          const warnings = whole ? eof.u16() : 0;
          const status = whole ? eof.u16() : 0;
          this.#settle({ ...NOTHING, affectedRows: this.#rowsSeen, status, warnings, rows: this.#rows });
        } else if (this.#marker === 0xff) {
          this.#settle({ ok: false, ...decodeErrorPacket(buf, from, to) });
        } else {
          this.#rowsSeen += 1;
          if (this.#pending[0]?.keepRows === true) this.#row(buf, from, to);
        }
    }
  }

  #firstPacket(buf: Buffer, start: number, end: number): void {
    if (this.#marker === 0xff) {
      this.#settle({ ok: false, ...decodeErrorPacket(buf, start, end) });
      return;
    }
    if (this.#marker === 0xfb) throw this.#protocol('the server asks for a local file');
    if (this.#isEof()) {
      this.#settle(NOTHING);
      return;
    }
    const reply = new ByteDecoder(buf, start, end, 'reply packet');
    if (this.#marker === 0x00) {
      reply.skip(1);
      const affectedRows = reply.lenencInt();
      skipLenencInt(reply);
      const status = reply.u16();
      const warnings = reply.u16();
      const { info, committedGtid } = this.#tracksSession
        ? readTracked(reply, status)
        : { info: reply.utf8(reply.remaining), committedGtid: false };
      this.#settle({ ok: true, affectedRows, status, warnings, committedGtid, info, rows: [] });
      return;
    }
    const columns = reply.lenencInt();
    if (columns < 1 || columns > COLUMNS_MAX || reply.remaining > 0)
      throw this.#protocol('no reply to a statement');
    this.#columnsLeft = columns;
    this.#columnCount = columns;
    this.#expect = 'columns';
  }

  /** An EOF packet is short; a row may begin with 0xFE as well, but is then longer than 16 MiB. */
  #isEof(): boolean {
    return this.#marker === 0xfe && this.#length < 9;
  }

  #row(buf: Buffer, start: number, end: number): void {
    this.#rowsLength += this.#length;
    if (this.#rowsLength > KEPT_ROWS_LENGTH_MAX) throw this.#protocol('too many rows');
    const row = new ByteDecoder(buf, start, end, 'result row');
    const values: (string | null)[] = [];
    for (let i = 0; i < this.#columnCount; i++) {
      if (row.remaining > 0 && buf[row.pos] === 0xfb) {
        row.skip(1);
        values.push(null);
      } else {
        values.push(row.utf8(row.lenencInt()));
      }
    }
    this.#rows.push(values);
  }

  #settle(reply: Reply): void {
    this.#expect = 'reply';
    this.#rows = [];
    this.#rowsSeen = 0;
    this.#rowsLength = 0;
    const pending = this.#pending[0];
    if (pending === undefined) return;
    pending.left -= 1;
    pending.onReply(reply);
    if (pending.left > 0 && reply.ok) {
      // The replies to one packet are numbered on.
      pending.sequence = (this.#reader.sequence + 1) & 0xff;
      this.#silence ??= setTimeout(() => this.#askAfter(pending, pending.left), SILENT_MS);
      return;
    }
    this.#pending.shift();
    pending.resolve(reply);
  }

  /** Where the packet was broken off, what is asked here is answered in place of its next statement; where that only takes long, after it. */
  #askAfter(pending: Pending, left: number): void {
    this.#silence = null;
    const [first] = this.#pending;
    if (first === undefined || first.left === first.all || this.#lost !== null) return;
    if (first !== pending || first.left !== left) {
      this.#silence = setTimeout(() => this.#askAfter(first, first.left), SILENT_MS);
      return;
    }
    this.#enqueue(1, false).catch(() => {});
    void this.#inTurn(() => this.#write([PING]));
  }

  #protocol(what: string): MillraceError {
    return new MillraceError('PROTOCOL', `${peerName(this.peer)} broke the protocol: ${what}`);
  }

  #fail(error: MillraceError): void {
    if (this.#lost !== null) return;
    this.#socket.destroy();
    this.#reject(error);
  }

  #reject(error: MillraceError): void {
    this.#lost = error;
    if (this.#silence !== null) clearTimeout(this.#silence);
    for (const pending of this.#pending.splice(0)) pending.reject(error);
    this.#onLost(error);
  }
}

/**
 * The end of an OK packet with SESSION_TRACK: the remark, and what has changed in the session, as entries of a type and data.
 */
function readTracked(packet: ByteDecoder, status: number): Pick<OkReply, 'info' | 'committedGtid'> {
  const info = packet.remaining > 0 ? packet.utf8(packet.lenencInt()) : '';
  let committedGtid = false;
  if ((status & SESSION_STATE_CHANGED) !== 0 && packet.remaining > 0) {
    packet.lenencInt();
    while (packet.remaining > 0) {
      if (packet.u8() === SESSION_TRACK_GTIDS) committedGtid = true;
      packet.skip(packet.lenencInt());
    }
  }
  return { info, committedGtid };
}

/** last_insert_id may use all 64 bits, so it is passed over without becoming a number. */
function skipLenencInt(packet: ByteDecoder): void {
  const first = packet.u8();
  packet.skip(first < 0xfb ? 0 : first === 0xfc ? 2 : first === 0xfd ? 3 : 8);
}
