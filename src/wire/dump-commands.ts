/**
 * The commands of a replica on the wire, each as one framed packet (little-endian; hazards A2, MySQL rpl_replica.cc).
 *
 *   COM_REGISTER_SLAVE   15 · server_id u4 · len1+host · len1+user · len1+password · port u2 · rank u4 · source id u4
 *   COM_BINLOG_DUMP      12 · position u4 · flags u2 · server_id u4 · file name
 *   COM_BINLOG_DUMP_GTID 1e · flags u2 · server_id u4 · length u4 + file name · position u8 · length u4 + GTID set
 *   semi-sync ACK        ef · position u8 · file name          (a packet of its own, sequence 0, not a command)
 *
 * Host, user and password of the registration are what SHOW REPLICAS prints: never the credentials.
 */
import { MillraceError } from '../base/errors.ts';
import { framePacket } from './packet-framing.ts';

/** MySQL only: heartbeats whose position does not wrap at 4 GiB. The same bit asks MariaDB for annotate events. */
export const USE_HEARTBEAT_EVENT_V2 = 0x02;
/** MariaDB only: send ANNOTATE_ROWS_EVENT, which it otherwise leaves out. */
export const SEND_ANNOTATE_ROWS_EVENT = 0x02;

/** COM_BINLOG_DUMP has 32 bits for it. */
export const DUMP_POSITION_MAX = 0xffffffff;
/** A host name in SHOW REPLICAS (HOSTNAME_LENGTH of old servers). */
const REPORT_HOST_LENGTH_MAX = 60;
const FIRST_EVENT_POSITION = 4;

export function registerReplica(serverId: number, reportHost: string): Buffer {
  const host = Buffer.from(reportHost, 'latin1').subarray(0, REPORT_HOST_LENGTH_MAX);
  const payload = Buffer.alloc(1 + 4 + 1 + host.length + 1 + 1 + 2 + 4 + 4);
  payload[0] = 0x15;
  payload.writeUInt32LE(serverId, 1);
  payload[5] = host.length;
  host.copy(payload, 6);
  return framePacket(payload);
}

/** @throws SOURCE_POSITION beyond 4 GiB, which this command cannot ask for. */
export function binlogDump(serverId: number, flags: number, file: string, position: number): Buffer {
  if (position > DUMP_POSITION_MAX) {
    throw new MillraceError(
      'SOURCE_POSITION',
      `a dump cannot begin at ${file}:${position}: positions end at 4 GiB`,
      {
        hint: 'Let the source begin a new binary log (FLUSH BINARY LOGS), then start from that file, or enable GTIDs.',
        facts: { file, position },
      },
    );
  }
  const name = Buffer.from(file);
  const payload = Buffer.alloc(11 + name.length);
  payload[0] = 0x12;
  payload.writeUInt32LE(position, 1);
  payload.writeUInt16LE(flags, 5);
  payload.writeUInt32LE(serverId, 7);
  name.copy(payload, 11);
  return framePacket(payload);
}

/** Auto-position: the source finds the file by the set. `gtidSet` as GtidSet.encode gives it. */
export function binlogDumpGtid(serverId: number, flags: number, gtidSet: Buffer): Buffer {
  const payload = Buffer.alloc(1 + 2 + 4 + 4 + 8 + 4 + gtidSet.length);
  payload[0] = 0x1e;
  payload.writeUInt16LE(flags, 1);
  payload.writeUInt32LE(serverId, 3);
  payload.writeUInt32LE(0, 7);
  payload.writeBigUInt64LE(BigInt(FIRST_EVENT_POSITION), 11);
  payload.writeUInt32LE(gtidSet.length, 19);
  gtidSet.copy(payload, 23);
  return framePacket(payload);
}

/** Everything up to this end position of the source's file is on our disk. */
export function semiSyncAck(file: string, position: number): Buffer {
  const name = Buffer.from(file);
  const payload = Buffer.alloc(9 + name.length);
  payload[0] = 0xef;
  payload.writeBigUInt64LE(BigInt(position), 1);
  name.copy(payload, 9);
  return framePacket(payload);
}
