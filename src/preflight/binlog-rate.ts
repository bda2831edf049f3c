/**
 * How fast a source fills its binary logs: their sizes, over the time since the oldest was begun. SHOW BINARY LOGS tells no
 * times; the first event of a file does, so a dump of the oldest file is begun, read up to its format description, and cut.
 *
 * The dump asks for no more than what is there (NON_BLOCK) and comes under a number and a uuid made up for it, so that the
 * source takes it for no other replica's.
 */
import { randomInt, randomUUID } from 'node:crypto';
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import { openConnection } from '../wire/connection.ts';
import { binlogDump } from '../wire/dump-commands.ts';
import type { EndpointOptions } from '../wire/endpoint.ts';
import { PacketReader } from '../wire/packet-framing.ts';
import { receiveBytes } from '../wire/socket-bytes.ts';
import type { ProbeLimits } from './probe-session.ts';

export interface BinaryLog {
  readonly name: string;
  readonly bytes: number;
}

export interface BinlogRate {
  readonly bytes: number;
  readonly seconds: number;
}

const BINLOG_DUMP_NON_BLOCK = 1;
const FIRST_POSITION = 4;
/** A ROTATE and a FORMAT_DESCRIPTION come first; more than this is something else. */
const PACKETS_MAX = 4;
const TYPE_OFFSET = 4;
/** Above the numbers that people choose. */
const SERVER_ID_FIRST = 0x8000_0000;
/** A burst of some seconds says nothing about a day. */
const SECONDS_MIN = 30;

/** Null: the source did not say. `nowMs`: by the source's clock. */
export async function readBinlogRate(
  endpoint: EndpointOptions,
  logs: readonly BinaryLog[],
  nowMs: number,
  limits: ProbeLimits,
): Promise<BinlogRate | null> {
  const oldest = logs[0];
  if (oldest === undefined) return null;
  const begun = await timeOfFirstEvent(endpoint, oldest.name, limits).catch(() => null);
  if (begun === null || begun === 0) return null;
  const seconds = nowMs / 1000 - begun;
  if (seconds < SECONDS_MIN) return null;
  return { bytes: logs.reduce((sum, { bytes }) => sum + bytes, 0), seconds };
}

/** Seconds since the epoch; null: it answered with something else. */
async function timeOfFirstEvent(
  endpoint: EndpointOptions,
  file: string,
  limits: ProbeLimits,
): Promise<number | null> {
  const connection = await openConnection(
    { ...endpoint, connectTimeoutMs: Math.min(endpoint.connectTimeoutMs, limits.connectMs) },
    { purpose: 'the source', queryTimeoutMs: limits.statementMs },
  );
  try {
    const uuid = randomUUID();
    await connection.query(`SET @slave_uuid = '${uuid}', @replica_uuid = '${uuid}'`);
    await connection.query('SET @master_binlog_checksum = @@GLOBAL.binlog_checksum');
    await connection.query(
      'SET @source_binlog_checksum = @@GLOBAL.binlog_checksum, @mariadb_slave_capability = 4',
    );
    const socket = connection.takeSocket();
    try {
      return await new Promise<number | null>((resolve) => {
        const timer = setTimeout(() => resolve(null), limits.statementMs);
        const done = (time: number | null): void => {
          clearTimeout(timer);
          resolve(time);
        };
        const packets = new FirstEvent(done);
        receiveBytes(socket, (buf, end) => packets.push(buf, end));
        socket.on('close', () => done(null));
        socket.resume();
        const serverId = SERVER_ID_FIRST + randomInt(0x7fff_fffe);
        socket.write(binlogDump(serverId, BINLOG_DUMP_NON_BLOCK, file, FIRST_POSITION));
      });
    } finally {
      socket.destroy();
    }
  } finally {
    connection.close();
  }
}

/** Looks at the beginnings of the first packets: a marker byte, then an event's header. */
class FirstEvent {
  readonly #done: (time: number | null) => void;
  readonly #reader: PacketReader;
  #head: Buffer[] = [];
  #length = 0;
  #packets = 0;
  #over = false;

  constructor(done: (time: number | null) => void) {
    this.#done = done;
    this.#reader = new PacketReader({
      piece: (buf, start, end, first, last) => this.#piece(buf, start, end, first, last),
    });
  }

  push(buf: Buffer, end: number): void {
    if (!this.#over) this.#reader.push(buf, end);
  }

  #piece(buf: Buffer, start: number, end: number, first: boolean, last: boolean): void {
    if (this.#over) return;
    if (first) {
      this.#head = [];
      this.#length = 0;
    }
    if (this.#length <= EVENT_HEADER_LENGTH) {
      this.#head.push(Buffer.from(buf.subarray(start, Math.min(end, start + 1 + EVENT_HEADER_LENGTH))));
      this.#length += end - start;
    }
    if (last) this.#packet(Buffer.concat(this.#head));
  }

  #packet(head: Buffer): void {
    this.#packets += 1;
    const isEvent = head.length > EVENT_HEADER_LENGTH && head[0] === 0;
    if (!isEvent || this.#packets > PACKETS_MAX) this.#end(null);
    else if (head[1 + TYPE_OFFSET] === EventType.FORMAT_DESCRIPTION_EVENT) this.#end(head.readUInt32LE(1));
  }

  #end(time: number | null): void {
    this.#over = true;
    this.#done(time);
  }
}
