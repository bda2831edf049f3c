/**
 * What a source sends after the dump command, made from a binary log file: for tests of what receives it.
 */
import { type ChecksumAlgorithm, sealEvent } from '../../../src/binlog/checksum.ts';
import { encodeRotate } from '../../../src/binlog/control-events.ts';
import { EVENT_HEADER_LENGTH, EventFlag, EventType } from '../../../src/binlog/event-header.ts';
import { framePacket } from '../../../src/wire/packet-framing.ts';
import type { SourceFile } from '../../support/binlog-feed.ts';

export class DumpBytes {
  readonly #parts: Buffer[] = [];
  readonly #semiSync: boolean;
  #sequence = 1;

  constructor(semiSync = false) {
    this.#semiSync = semiSync;
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  packet(payload: Buffer): this {
    this.#parts.push(framePacket(payload, this.#sequence++));
    return this;
  }

  event(event: Buffer, ackWanted = false): this {
    const prefix = this.#semiSync ? [0x00, 0xef, ackWanted ? 1 : 0] : [0x00];
    return this.packet(Buffer.concat([Buffer.from(prefix), event]));
  }

  rotate(fileName: string, position = 4, checksum: ChecksumAlgorithm = 'crc32', artificial = true): this {
    const flags = artificial ? EventFlag.ARTIFICIAL : 0;
    const timestamp = artificial ? 0 : 1;
    return this.event(
      encodeRotate({ serverId: 1, timestamp, flags, position, fileName, checksum, logPos: 0 }),
    );
  }

  /** The artificial ROTATE_EVENT, the FORMAT_DESCRIPTION_EVENT and events [from, to) of the file, without its own ROTATE. */
  file(file: SourceFile, from = 0, to = file.events.length): this {
    this.rotate(file.name, 4, file.fde.checksum).event(file.rawFde);
    return this.events(file, from, to);
  }

  events(file: SourceFile, from = 0, to = file.events.length): this {
    for (const { start, end, place, type } of file.events.slice(from, to)) {
      if (type === EventType.ROTATE_EVENT) continue;
      this.event(file.bytes.subarray(start, end), place === 'end' || place === 'single');
    }
    return this;
  }

  heartbeat(fileName: string, logPos: number): this {
    return this.event(sealedEvent(EventType.HEARTBEAT_LOG_EVENT, Buffer.from(fileName), { logPos }));
  }

  heartbeatV2(fileName: string, position: number): this {
    const name = Buffer.from(fileName);
    const value = Buffer.alloc(9, 0xfe);
    value.writeBigUInt64LE(BigInt(position), 1);
    const body = Buffer.concat([
      Buffer.from([1, name.length]),
      name,
      Buffer.from([2, value.length]),
      value,
      Buffer.from([0]),
    ]);
    return this.event(sealedEvent(EventType.HEARTBEAT_LOG_EVENT_V2, body));
  }
}

/** Where the file's events end, its own ROTATE left out. */
export function endOf(file: SourceFile): number {
  return file.events.filter(({ type }) => type !== EventType.ROTATE_EVENT).at(-1)!.sourceEnd;
}

/** An event with a CRC that fits. */
export function sealedEvent(
  type: number,
  body: Buffer,
  header: { logPos?: number; timestamp?: number; flags?: number } = {},
): Buffer {
  const event = Buffer.alloc(EVENT_HEADER_LENGTH + body.length + 4);
  event.writeUInt32LE(header.timestamp ?? 0, 0);
  event[4] = type;
  event.writeUInt32LE(1, 5);
  event.writeUInt32LE(event.length, 9);
  event.writeUInt32LE(header.logPos ?? 0, 13);
  event.writeUInt16LE(header.flags ?? 0, 17);
  body.copy(event, EVENT_HEADER_LENGTH);
  sealEvent(event, 0, event.length);
  return event;
}
