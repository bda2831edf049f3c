/**
 * Builds `BINLOG '…'` statements out of TABLE_MAP and rows events.
 *
 * A statement holds one or more complete row statements of the source: their table maps, then their rows events, the last
 * with STMT_END_F. When a row statement outgrows the limit it is split: STMT_END_F is set on the last rows event that
 * still fits, and the next BINLOG begins with the same table maps again (hazards of the field: the server closes its
 * tables at the end of every BINLOG statement, so maps never carry over).
 *
 * Events go in without their CRC (the session was primed with a format description that says "no checksum"), with
 * event_length corrected and log_pos 0. Nothing else is changed, except for a target that does not know the rows flag
 * USE_SQL_FOREIGN_KEY (before 9.6): there the flag becomes NO_FOREIGN_KEY_CHECKS, because the source has logged the
 * child rows itself.
 *
 * Where rules leave out rows of one table of a row statement, the rows of the others stay: only their events are added, and
 * `endRowStatement` puts STMT_END_F where it then belongs.
 *
 * Invariant: memory is bounded by the limit plus one event.
 */
import { MillraceError } from '../base/errors.ts';
import { EVENT_HEADER_LENGTH } from '../binlog/event-header.ts';
import type { Scratch } from './scratch.ts';
import type { StatementMemory } from './statement-memory.ts';

const EVENT_LENGTH_OFFSET = 9;
const LOG_POS_OFFSET = 13;
const STMT_END = 0x0001;
const NO_FOREIGN_KEY_CHECKS = 0x0002;
const USE_SQL_FOREIGN_KEY = 0x0010;
/** table_id is 6 bytes since 5.1; the flags follow it. */
export const ROWS_FLAGS_OFFSET = EVENT_HEADER_LENGTH + 6;

const PREFIX = Buffer.from("BINLOG '", 'latin1');
const SUFFIX = Buffer.from("'", 'latin1');

export interface BinlogStatementOptions {
  /** Raw event bytes in one statement before it is closed. */
  readonly bytesMax: number;
  /** The target applies events flagged USE_SQL_FOREIGN_KEY by itself (MySQL 9.6 and later). */
  readonly knowsSqlForeignKeys: boolean;
  /** Of the session. */
  readonly memory: StatementMemory;
}

/** The SQL text of one BINLOG statement, in pieces that are never joined. */
export type StatementPieces = readonly Buffer[];

export class BinlogStatement {
  readonly #options: BinlogStatementOptions;
  /** Null: nothing is gathered. */
  #held: Scratch | null = null;
  #length = 0;
  /** Where the table maps of the open row statement stand in the scratch; there is a copy only when they are needed again. */
  #mapPlaces: number[] = [];
  /** The table maps of the open row statement, as they go into a continuation. */
  #maps: Buffer[] = [];
  #open = false;
  /** The maps of the open row statement stand in this BINLOG already. */
  #mapsIncluded = false;
  /** Where the last rows event starts in #buf; -1: none. */
  #lastRows = -1;
  /** Where the open row statement starts in #buf. */
  #statementStart = 0;
  /** Of what is gathered: how many row statements are ended. */
  #ended = 0;

  constructor(options: BinlogStatementOptions) {
    this.#options = options;
  }

  get #scratch(): Scratch {
    this.#held ??= this.#options.memory.borrowScratch();
    return this.#held;
  }

  /** Raw bytes gathered. */
  get length(): number {
    return this.#length;
  }

  /** What is gathered is one row statement, and whole. */
  get isOneStatement(): boolean {
    return this.#ended === 1 && !this.#open;
  }

  get isEmpty(): boolean {
    return this.#lastRows < 0;
  }

  /** A row statement has begun and its STMT_END_F has not come. */
  get inRowStatement(): boolean {
    return this.#open;
  }

  addTableMap(buf: Buffer, start: number, end: number): void {
    if (!this.#open) {
      this.#open = true;
      this.#maps = [];
      this.#mapPlaces = [];
      this.#mapsIncluded = true;
      this.#statementStart = this.#length;
    }
    this.#includeMaps();
    this.#mapPlaces.push(this.#appendPlain(buf, start, end));
  }

  /** Adds a rows event (without CRC). Returns true when the statement is full and must be taken. */
  addRows(buf: Buffer, start: number, end: number): boolean {
    if (!this.#open) {
      throw new MillraceError('UNEXPECTED_EVENT', 'a rows event stands before its table map');
    }
    this.#includeMaps();
    const at = this.#appendPlain(buf, start, end);
    this.#lastRows = at;
    const flags = this.#fixForeignKeys(at);
    if (flags & STMT_END) this.#end();
    return this.#length >= this.#options.bytesMax;
  }

  /** The event that would have ended the row statement is left out: the last one before it does, if there is any. */
  endRowStatement(): void {
    if (!this.#open) return;
    if (this.#lastRows >= this.#statementStart) {
      this.#end();
      const flags = this.#scratch.buf.readUInt16LE(this.#lastRows + ROWS_FLAGS_OFFSET);
      this.#scratch.buf.writeUInt16LE(flags | STMT_END, this.#lastRows + ROWS_FLAGS_OFFSET);
      return;
    }
    this.#open = false;
    this.#length = this.#statementStart;
  }

  #end(): void {
    this.#open = false;
    this.#ended += 1;
  }

  #fixForeignKeys(at: number): number {
    const flags = this.#foreignKeyFlags(this.#scratch.buf.readUInt16LE(at + ROWS_FLAGS_OFFSET));
    this.#scratch.buf.writeUInt16LE(flags, at + ROWS_FLAGS_OFFSET);
    return flags;
  }

  #foreignKeyFlags(flags: number): number {
    return this.#options.knowsSqlForeignKeys ? flags : withoutSqlForeignKeys(flags);
  }

  /** Gives the statement and starts the next one. Only to be called when not empty. */
  take(): StatementPieces {
    if (this.#open) {
      const flags = this.#scratch.buf.readUInt16LE(this.#lastRows + ROWS_FLAGS_OFFSET);
      this.#scratch.buf.writeUInt16LE(flags | STMT_END, this.#lastRows + ROWS_FLAGS_OFFSET);
      this.#keepMaps();
    }
    const { memory } = this.#options;
    const scratch = this.#scratch;
    const base64 = memory.base64(scratch.buf, this.#length);
    this.#length = 0;
    this.#lastRows = -1;
    this.#statementStart = 0;
    this.#ended = 0;
    memory.giveScratchBack(scratch);
    this.#held = null;
    return [PREFIX, base64, SUFFIX];
  }

  /**
   * For a rows event too large to be gathered: the table maps that must stand before it. The event itself ends the
   * BINLOG statement (`oversizedHeader`).
   */
  openMaps(buf: Buffer, start: number): readonly Buffer[] {
    if (!this.#open) {
      throw new MillraceError('UNEXPECTED_EVENT', 'a rows event stands before its table map');
    }
    const flags = buf.readUInt16LE(start + ROWS_FLAGS_OFFSET);
    // What was gathered was taken before; the maps are sent here, and again with what follows.
    this.#keepMaps();
    this.#length = 0;
    this.#statementStart = 0;
    if (flags & STMT_END) this.#open = false;
    return this.#maps;
  }

  /** The first bytes of an oversized rows event as they are sent: length without CRC, log_pos 0, STMT_END_F set. */
  oversizedHeader(buf: Buffer, start: number, length: number): Buffer {
    const header = Buffer.from(buf.subarray(start, start + ROWS_FLAGS_OFFSET + 2));
    header.writeUInt32LE(length, EVENT_LENGTH_OFFSET);
    header.writeUInt32LE(0, LOG_POS_OFFSET);
    header.writeUInt16LE(
      this.#foreignKeyFlags(header.readUInt16LE(ROWS_FLAGS_OFFSET)) | STMT_END,
      ROWS_FLAGS_OFFSET,
    );
    return header;
  }

  /** In a continuation. */
  #includeMaps(): void {
    if (this.#mapsIncluded) return;
    for (const map of this.#maps) this.#mapPlaces.push(this.#append(map, 0, map.length));
    this.#maps = [];
    this.#mapsIncluded = true;
  }

  /** What stands in the scratch is about to be given away; the row statement goes on. */
  #keepMaps(): void {
    if (!this.#mapsIncluded) return;
    const { buf } = this.#scratch;
    this.#maps = this.#mapPlaces.map((at) => {
      return Buffer.from(buf.subarray(at, at + buf.readUInt32LE(at + EVENT_LENGTH_OFFSET)));
    });
    this.#mapPlaces = [];
    this.#mapsIncluded = false;
  }

  /** Without its CRC: event_length tells so. log_pos is 0. */
  #appendPlain(buf: Buffer, start: number, end: number): number {
    const at = this.#append(buf, start, end);
    this.#scratch.buf.writeUInt32LE(end - start, at + EVENT_LENGTH_OFFSET);
    this.#scratch.buf.writeUInt32LE(0, at + LOG_POS_OFFSET);
    return at;
  }

  #append(buf: Buffer, start: number, end: number): number {
    if (end - start < EVENT_HEADER_LENGTH + 8) {
      throw new MillraceError(
        'MALFORMED_EVENT',
        `an event of ${end - start} bytes is too short for its type`,
      );
    }
    const need = this.#length + end - start;
    const into = this.#scratch.reserve(this.#length, need);
    const at = this.#length;
    buf.copy(into, at, start, end);
    this.#length = need;
    return at;
  }
}

/** Flags of a rows event for a target that does not know SQL-layer foreign keys. */
export function withoutSqlForeignKeys(flags: number): number {
  return flags & USE_SQL_FOREIGN_KEY ? (flags & ~USE_SQL_FOREIGN_KEY) | NO_FOREIGN_KEY_CHECKS : flags;
}

/**
 * The parts of a BINLOG statement around an event too large for memory: `head` holds the table maps and must be followed by the
 * event's bytes, all of it base64 encoded in one run. See `base64Pieces`.
 */
export const BINLOG_PREFIX = PREFIX;
export const BINLOG_SUFFIX = SUFFIX;

/** Encodes a run of byte pieces as one base64 text, piece by piece: only full groups of three leave before the end. */
export function* base64Pieces(pieces: Iterable<Buffer>): Generator<Buffer> {
  let carry: Buffer = Buffer.alloc(0);
  for (const piece of pieces) {
    const joined = carry.length > 0 ? Buffer.concat([carry, piece]) : piece;
    const whole = joined.length - (joined.length % 3);
    if (whole > 0) yield Buffer.from(joined.toString('base64', 0, whole), 'latin1');
    carry = Buffer.from(joined.subarray(whole));
  }
  if (carry.length > 0) yield Buffer.from(carry.toString('base64'), 'latin1');
}

export function base64Length(bytes: number): number {
  return Math.ceil(bytes / 3) * 4;
}
