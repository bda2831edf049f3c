/**
 * The events inside of a TRANSACTION_PAYLOAD_EVENT, read piece by piece so that neither the compressed nor the unpacked
 * transaction has to be in memory.
 */
import { EVENT_HEADER_LENGTH } from '../binlog/event-header.ts';
import { decodePayloadHeader, PayloadReader } from '../binlog/transaction-payload.ts';
import type { RelayEvent } from '../relay/relay-log-cursor.ts';

/** What a source can have put into one transaction; the zstd stream itself needs a fixed window only. */
const UNCOMPRESSED_MAX = 1024 ** 4;
/** One row event must be in memory whole: the server's own limit for a packet is 1 GiB. */
const EVENT_MAX = 256 * 1024 * 1024;
const PIECE = 256 * 1024;

export interface PayloadEvents {
  readonly uncompressedSize: number;
  /** Each event whole, without CRC; a view that is valid until the next one. */
  events(): Generator<Buffer>;
}

/** `read`: bytes of an oversized event, offset counted from its header. */
export function payloadEvents(
  event: RelayEvent,
  read: (offset: number, length: number) => Buffer,
): PayloadEvents {
  const bodyStart = event.start + EVENT_HEADER_LENGTH;
  const crc = event.fde.checksum === 'crc32' ? 4 : 0;
  const bodyLength = event.rawLength - crc - EVENT_HEADER_LENGTH;
  const header = decodePayloadHeader(event.buf, bodyStart, event.end, bodyLength);
  const { oversized, buf, end } = event;
  return {
    uncompressedSize: header.uncompressedSize,
    *events() {
      const reader = new PayloadReader(header, {
        uncompressedSizeMax: UNCOMPRESSED_MAX,
        eventLengthMax: EVENT_MAX,
      });
      if (!oversized) {
        for (let at = bodyStart + header.payloadOffset; at < end; at += PIECE) {
          yield* reader.push(buf.subarray(at, Math.min(at + PIECE, end)));
        }
      } else {
        const length = EVENT_HEADER_LENGTH + bodyLength;
        for (let at = EVENT_HEADER_LENGTH + header.payloadOffset; at < length; at += PIECE) {
          yield* reader.push(read(at, Math.min(PIECE, length - at)));
        }
      }
      reader.finish();
    },
  };
}
