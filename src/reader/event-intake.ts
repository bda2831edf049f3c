/**
 * What the source sends, packet by packet, into the relay log: takes the events out of their packets, verifies them,
 * follows the source's file and position, and keeps what belongs to transactions, byte for byte.
 *
 *   packet  00 [EF f] event     f = 1: wants a semi-sync acknowledgement (the two bytes only when semi-sync was announced)
 *           FF …                error, the end of the dump
 *           FE …                end of the dump (the source shuts down, or the dump was killed)
 *
 *   file    ROTATE (artificial: file and position) · FORMAT_DESCRIPTION · events …, then the next file the same way
 *
 * Invariants
 *  - No byte of an event is published before its CRC was verified; a large event is verified while it streams through, and
 *    its transaction ends only after that.
 *  - Positions are counted (nextSourcePosition), never read as they are: log_pos wraps at 4 GiB and may be 0.
 *  - Memory: one event of at most 1 MiB. Larger ones pass in pieces.
 *  - An event in one chunk of the socket is not copied on its way to the writer's buffer; no object is made for it.
 * Thread: reader.
 */
import { MillraceError } from '../base/errors.ts';
import type { Logger } from '../base/runtime.ts';
import { type ChecksumAlgorithm, crc32, verifyEvent } from '../binlog/checksum.ts';
import { decodeHeartbeat, decodeHeartbeatV2, decodeRotate } from '../binlog/control-events.ts';
import {
  CHECKSUM_LENGTH,
  EVENT_HEADER_LENGTH,
  EventFlag,
  EventType,
  eventTypeName,
} from '../binlog/event-header.ts';
import { decodeFormatDescription, type FormatDescription } from '../binlog/format-description.ts';
import { FilePositionSet, type PositionSet } from '../binlog/position-set.ts';
import { type EventPlace, TransactionBoundary } from '../binlog/transaction-boundary.ts';
import type { RelayLogWriter } from '../relay/relay-log-writer.ts';
import { nextSourcePosition } from '../relay/source-position.ts';
import type { PacketSink } from '../wire/packet-framing.ts';
import { connectionLost, decodeErrorPacket, dumpError, type Peer, peerName } from '../wire/wire-error.ts';
import { checkFileName } from './source-file-name.ts';
import { checkSameFile, type KnownLog, knownLog } from './source-log.ts';

/** An event up to this length is put together in memory when the socket delivers it in parts. */
const ASSEMBLED_LENGTH_MAX = 1024 * 1024;
/** Of a larger one, so much is looked at before the rest streams through (the grammar needs 1 KiB). */
const LARGE_HEAD_LENGTH = 16 * 1024;
/** A dump error or end packet is short. */
const MESSAGE_LENGTH_MAX = 64 * 1024;
const WRAP = 0x1_0000_0000;
/** What steers the stream and never becomes part of a transaction; short, and must be there as a whole. */
function isStreamType(type: number): boolean {
  return (
    type === EventType.ROTATE_EVENT ||
    type === EventType.FORMAT_DESCRIPTION_EVENT ||
    type === EventType.HEARTBEAT_LOG_EVENT ||
    type === EventType.HEARTBEAT_LOG_EVENT_V2
  );
}

/** Commit times that go back by less are rounding, or a clock that is being slowed. */
const BACK_MS = 2;

const TYPE_OFFSET = 4;
const LENGTH_OFFSET = 9;
const LOG_POS_OFFSET = 13;
const FLAGS_OFFSET = 17;

export interface IntakeOptions {
  readonly peer: Peer;
  readonly writer: RelayLogWriter;
  readonly log: Logger;
  /** What the source was asked to leave out. */
  readonly base: PositionSet;
  /** Of events before the first FORMAT_DESCRIPTION_EVENT. */
  readonly checksum: ChecksumAlgorithm;
  readonly semiSync: boolean;
  /** `commitMs` of the stream before this one; null: there is none, or it was another log. */
  readonly commitMs: number | null;
  /** What the dump goes on with, when it begins in the same file; null: nothing can be said of that. */
  readonly known?: KnownLog | null;
}

/** Where an acknowledged event ends in the source's file. */
export interface SourceMark {
  readonly file: string;
  readonly position: number;
}

/** A large event on its way through. */
interface LargeEvent {
  readonly type: number;
  readonly length: number;
  readonly logPos: number;
  readonly flags: number;
  readonly place: EventPlace;
  readonly ackWanted: boolean;
  readonly crcEnd: number;
  readonly tail: Buffer;
  received: number;
  crc: number;
}

export class EventIntake implements PacketSink {
  /** The source's file and our end in it: of the last event, or as a heartbeat told. Null before the first ROTATE. */
  sourceFile: string | null = null;
  sourcePosition = 0;
  transactions = 0;
  /** When the last whole transaction was committed on the source, µs since the epoch, its clock; null: it does not tell. */
  lastCommitMicros: bigint | null = null;
  /** FORMAT_DESCRIPTION_EVENTs accepted: above 0 the dump runs. */
  files = 0;
  /** A heartbeat named exactly our position, and nothing has come since. */
  caughtUp = false;
  /** The newest transaction's commit by the source's clock, ms since the epoch; null: none has come. */
  commitMs: number | null;
  /** `commitMs` is the time of the commit itself, not of its statement's begin. */
  commitIsExact = true;

  readonly #options: IntakeOptions;
  readonly #writer: RelayLogWriter;
  readonly #semiSync: boolean;
  #fde: FormatDescription | null = null;
  /** Bytes of CRC at the end of an event; set by the last FORMAT_DESCRIPTION_EVENT. */
  #crcLength = 0;
  #boundary: TransactionBoundary | null = null;
  #ack: SourceMark | null = null;
  #assembly = Buffer.allocUnsafe(64 * 1024);
  #assembled = 0;
  #large: LargeEvent | null = null;
  #wentBack = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.commitMs = options.commitMs;
    this.#writer = options.writer;
    this.#semiSync = options.semiSync;
  }

  /** The newest event that wants an acknowledgement, once. */
  takeAck(): SourceMark | null {
    const ack = this.#ack;
    this.#ack = null;
    return ack;
  }

  /** Whether commit times went back in the order of the log, once. */
  takeWentBack(): boolean {
    const wentBack = this.#wentBack;
    this.#wentBack = false;
    return wentBack;
  }

  get ackWanted(): boolean {
    return this.#ack !== null;
  }

  /** The transaction that is being received, for messages. */
  get openTransaction(): TransactionBoundary['head'] {
    return this.#boundary?.open ? this.#boundary.head : null;
  }

  piece(buf: Buffer, start: number, end: number, first: boolean, last: boolean): void {
    if (first && last) {
      this.#packet(buf, start, end);
    } else if (this.#large !== null) {
      this.#largePart(this.#large, buf, start, end);
      if (last) this.#largeEnd(this.#large);
    } else {
      if (first) this.#assembled = 0;
      this.#assemble(buf, start, end, last);
    }
  }

  #assemble(buf: Buffer, start: number, end: number, last: boolean): void {
    const length = this.#assembled + end - start;
    this.#room(length);
    buf.copy(this.#assembly, this.#assembled, start, end);
    this.#assembled = length;
    if (last) this.#packet(this.#assembly, 0, length);
    else if (length >= LARGE_HEAD_LENGTH) this.#decideLarge(length);
  }

  #room(length: number): void {
    if (length <= this.#assembly.length) return;
    const grown = Buffer.allocUnsafe(Math.max(length, 2 * this.#assembly.length));
    this.#assembly.copy(grown, 0, 0, this.#assembled);
    this.#assembly = grown;
  }

  /** The head of a packet is there: shall the rest be waited for, or stream through? */
  #decideLarge(length: number): void {
    const at = this.#eventStart(this.#assembly, 0, length);
    if (at < 0) {
      if (length > MESSAGE_LENGTH_MAX) throw this.#protocol('a message of more than 64 KiB in the dump');
      return;
    }
    const eventLength = this.#assembly.readUInt32LE(at + LENGTH_OFFSET);
    if (eventLength <= ASSEMBLED_LENGTH_MAX) {
      if (length - at > eventLength) throw this.#protocol('an event longer than its length');
      return;
    }
    this.#largeBegin(this.#assembly, at, length, eventLength);
    this.#assembled = 0;
  }

  /** Where the event begins in a packet; below 0: it holds no event. */
  #eventStart(buf: Buffer, start: number, end: number): number {
    if (start === end || buf[start] !== 0x00) return -1;
    const at = start + (this.#semiSync ? 3 : 1);
    if (end - at < EVENT_HEADER_LENGTH) throw this.#protocol('an event shorter than its header');
    if (this.#semiSync && buf[start + 1] !== 0xef)
      throw this.#protocol('an event without its semi-sync mark');
    return at;
  }

  #packet(buf: Buffer, start: number, end: number): void {
    const at = this.#eventStart(buf, start, end);
    if (at < 0) throw this.#message(buf, start, end);
    if (buf.readUInt32LE(at + LENGTH_OFFSET) !== end - at) {
      throw this.#protocol(`an event of length ${buf.readUInt32LE(at + LENGTH_OFFSET)} in ${end - at} bytes`);
    }
    const type = buf[at + TYPE_OFFSET] as number;
    if (isStreamType(type)) {
      this.#streamEvent(buf, at, end, type);
      return;
    }
    const boundary = this.#boundaryOf(type);
    const crcLength = this.#crcLength;
    if (crcLength > 0) {
      if (end - at < EVENT_HEADER_LENGTH + CHECKSUM_LENGTH)
        throw this.#protocol('an event without its checksum');
      if (crc32(buf, at, end - CHECKSUM_LENGTH) !== buf.readUInt32LE(end - CHECKSUM_LENGTH)) {
        throw this.#checksumMismatch(type);
      }
    }
    const place = boundary.feed(buf, at, end - crcLength);
    const ackWanted = this.#semiSync && buf[start + 2] === 1;
    if (place !== 'between') this.#writer.append(buf, at, end);
    this.#settle(
      place,
      buf.readUInt32LE(at + LOG_POS_OFFSET),
      end - at,
      buf[at + FLAGS_OFFSET] as number,
      ackWanted,
    );
  }

  /** A whole, verified event stands in the writer's buffer, or stands between transactions. */
  #settle(place: EventPlace, logPos: number, length: number, flags: number, ackWanted: boolean): void {
    this.caughtUp = false;
    if ((flags & EventFlag.ARTIFICIAL) === 0) {
      this.sourcePosition = nextSourcePosition(this.sourcePosition, logPos, length);
    }
    if (place === 'end' || place === 'single') {
      const head = this.#boundary?.head ?? null;
      this.#writer.endTransaction(head, this.sourcePosition);
      this.lastCommitMicros = head?.immediateCommitMicros ?? null;
      this.transactions++;
      this.#date();
    }
    if (ackWanted) this.#ack = { file: this.sourceFile as string, position: this.sourcePosition };
  }

  /** Commits are dated one after the other, while their place in the binary log is taken. */
  #date(): void {
    const head = this.#boundary?.head ?? null;
    if (head === null) return;
    const micros = head.immediateCommitMicros;
    if (micros === null) {
      this.commitMs = head.timestamp * 1000;
      this.commitIsExact = false;
      return;
    }
    const commitMs = Number(micros) / 1000;
    if (this.commitMs !== null && commitMs < this.commitMs - BACK_MS) this.#wentBack = true;
    this.commitMs = commitMs;
  }

  // -- large events --------------------------------------------------------------------------------------------------

  #largeBegin(buf: Buffer, at: number, end: number, length: number): void {
    const type = buf[at + TYPE_OFFSET] as number;
    if (isStreamType(type)) throw this.#protocol(`a ${eventTypeName(type)} of ${length} bytes`);
    const place = this.#boundaryOf(type).feed(buf, at, end);
    this.#large = {
      type,
      length,
      logPos: buf.readUInt32LE(at + LOG_POS_OFFSET),
      flags: buf[at + FLAGS_OFFSET] as number,
      place,
      ackWanted: this.#semiSync && buf[at - 1] === 1,
      crcEnd: length - this.#crcLength,
      tail: Buffer.alloc(CHECKSUM_LENGTH),
      received: 0,
      crc: 0,
    };
    this.#largePart(this.#large, buf, at, end);
  }

  #largePart(event: LargeEvent, buf: Buffer, start: number, end: number): void {
    const received = event.received + end - start;
    if (received > event.length) throw this.#protocol('an event longer than its length');
    if (this.#crcLength > 0) {
      const covered = Math.min(end, start + Math.max(0, event.crcEnd - event.received));
      if (covered > start) event.crc = crc32(buf, start, covered, event.crc);
      if (covered < end) {
        buf.copy(event.tail, event.received + covered - start - event.crcEnd, covered, end);
      }
    }
    if (event.place !== 'between') this.#writer.appendPart(buf, start, end);
    event.received = received;
  }

  #largeEnd(event: LargeEvent): void {
    this.#large = null;
    if (event.received !== event.length) throw this.#protocol('an event shorter than its length');
    if (this.#crcLength > 0 && event.crc !== event.tail.readUInt32LE(0))
      throw this.#checksumMismatch(event.type);
    this.#settle(event.place, event.logPos, event.length, event.flags, event.ackWanted);
  }

  // -- the stream itself ------------------------------------------------------------------------------------------------

  #streamEvent(buf: Buffer, at: number, end: number, type: number): void {
    if (type === EventType.ROTATE_EVENT) this.#rotate(buf, at, end);
    else if (type === EventType.FORMAT_DESCRIPTION_EVENT) this.#format(buf, at, end);
    else this.#heartbeat(buf, at, end, type);
  }

  /**
   * The artificial one before a file is checksummed by the algorithm of the file before it, or of the handshake: told
   * apart by looking, since a wrong guess would put four bytes of CRC into the file name.
   */
  #rotate(buf: Buffer, at: number, end: number): void {
    const expected = this.#fde?.checksum ?? this.#options.checksum;
    const verified = verifyEvent(buf, at, end);
    if (!verified && expected === 'crc32') throw this.#checksumMismatch(EventType.ROTATE_EVENT);
    const body = at + EVENT_HEADER_LENGTH;
    const { fileName, position } = decodeRotate(buf, body, verified ? end - CHECKSUM_LENGTH : end);
    checkFileName(fileName);
    const artificial = (buf[at + FLAGS_OFFSET]! & EventFlag.ARTIFICIAL) !== 0 || buf.readUInt32LE(at) === 0;
    // A file that was closed in order holds whole transactions: the grammar refuses this one inside of one.
    if (!artificial) this.#boundaryOf(EventType.ROTATE_EVENT).feed(buf, at, end);
    this.#dropUnfinished();
    this.caughtUp = false;
    this.sourceFile = fileName;
    this.sourcePosition = position;
  }

  #format(buf: Buffer, at: number, end: number): void {
    if (this.sourceFile === null) throw this.#protocol('a FORMAT_DESCRIPTION_EVENT before any ROTATE_EVENT');
    const fde = decodeFormatDescription(buf, at, end);
    if (fde.checksum === 'crc32' && !verifyEvent(buf, at, end)) {
      throw this.#checksumMismatch(EventType.FORMAT_DESCRIPTION_EVENT);
    }
    const { writer, base, peer, known = null } = this.#options;
    const { sourceFile, sourcePosition } = this;
    if (this.files === 0) {
      checkSameFile(peer, known, knownLog({ file: sourceFile, position: sourcePosition }, buf, at));
    }
    this.#dropUnfinished();
    writer.startStream({
      fde: buf.subarray(at, end),
      base: base instanceof FilePositionSet ? FilePositionSet.at(sourceFile, sourcePosition) : base,
      sourceFile,
      sourcePosition,
    });
    // In the midst of a file it is repeated without a place of its own. Not before startStream: nothing of a file's head is
    // a transaction, so a stream from its begin lacks nothing.
    const logPos = buf.readUInt32LE(at + LOG_POS_OFFSET);
    if (logPos > this.sourcePosition) this.sourcePosition = logPos;
    this.#fde = fde;
    this.#crcLength = fde.checksum === 'crc32' ? CHECKSUM_LENGTH : 0;
    if (this.#boundary === null) this.#boundary = new TransactionBoundary(fde);
    else this.#boundary.restart(fde);
    this.caughtUp = false;
    this.files++;
  }

  /** A file that ends inside of a transaction was cut there when the source crashed: it has rolled that one back. */
  #dropUnfinished(): void {
    if (this.#boundary === null || !this.#boundary.open || this.#fde === null) return;
    this.#options.log.warn("the source's binary log file ends inside of a transaction, which is dropped", {
      file: this.sourceFile,
      position: this.sourcePosition,
    });
    this.#writer.abandon();
    this.#boundary.restart(this.#fde);
  }

  #heartbeat(buf: Buffer, at: number, end: number, type: number): void {
    const expected = this.#fde?.checksum ?? this.#options.checksum;
    if (expected === 'crc32' && !verifyEvent(buf, at, end)) throw this.#checksumMismatch(type);
    const body = at + EVENT_HEADER_LENGTH;
    const bodyEnd = expected === 'crc32' ? end - CHECKSUM_LENGTH : end;
    const { fileName, position } =
      type === EventType.HEARTBEAT_LOG_EVENT_V2
        ? decodeHeartbeatV2(buf, body, bodyEnd)
        : decodeHeartbeat(buf, body, bodyEnd, buf.readUInt32LE(at + LOG_POS_OFFSET));
    if (fileName !== this.sourceFile || this.#boundary?.open !== false) {
      this.caughtUp = false;
      return;
    }
    const wraps = type === EventType.HEARTBEAT_LOG_EVENT;
    const told = wraps ? this.sourcePosition - (this.sourcePosition % WRAP) + position : position;
    // A larger one: the source passed over transactions that we have. That it is still there next time proves the rest.
    this.caughtUp = told === this.sourcePosition;
    if (told > this.sourcePosition) this.sourcePosition = told;
  }

  // -- failures ------------------------------------------------------------------------------------------------------

  #boundaryOf(type: number): TransactionBoundary {
    if (this.#boundary === null) {
      throw this.#protocol(`${eventTypeName(type)} before any FORMAT_DESCRIPTION_EVENT`);
    }
    return this.#boundary;
  }

  #message(buf: Buffer, start: number, end: number): MillraceError {
    if (start === end) return this.#protocol('an empty packet in the dump');
    if (buf[start] === 0xff) return dumpError(decodeErrorPacket(buf, start, end), this.#options.peer);
    if (buf[start] === 0xfe && end - start < 9) {
      return connectionLost(
        this.#options.peer,
        'the source ended the dump (it shuts down, or the dump was killed)',
      );
    }
    return this.#protocol(`a packet that begins with ${buf[start]} in the dump`);
  }

  #checksumMismatch(type: number): MillraceError {
    const name = eventTypeName(type);
    return new MillraceError('CHECKSUM_MISMATCH', `a ${name} from the source does not match its checksum`);
  }

  #protocol(what: string): MillraceError {
    return new MillraceError('PROTOCOL', `${peerName(this.#options.peer)} broke the protocol: ${what}`);
  }
}
