/**
 * What an event says, in a line for people: the column "Info" of SHOW RELAYLOG EVENTS, with names of tables and numbers of
 * rows in place of ids, without values of rows, and without passwords.
 *
 * One instance per row of events, because a rows event is told by the table maps before it. Never throws for what the bytes
 * say: what cannot be decoded is said to be so, since a damaged log is what one looks at with this.
 */
import { type BinlogEvent, decodeEvent } from '../binlog/decode-event.ts';
import { EVENT_HEADER_LENGTH, EventType } from '../binlog/event-header.ts';
import type { FormatDescription } from '../binlog/format-description.ts';
import type { GtidEvent, XaId } from '../binlog/gtid-events.ts';
import { decompressMariadbEvent, isMariadbCompressed } from '../binlog/mariadb-compression.ts';
import { countRowsAfter } from '../binlog/row-images.ts';
import { isRowsEvent, ROWS_FLAG, rowsHeader } from '../binlog/rows-event.ts';
import type { TableMap } from '../binlog/table-map.ts';
import { TableMapCache } from '../binlog/table-map-cache.ts';
import { statementText } from './statement-text.ts';

const STATEMENT_CHARACTERS = 200;
const SET_CHARACTERS = 500;
const UNPACKED_LENGTH_MAX = 64 * 1024 * 1024;

export class EventInfo {
  readonly #cache = new TableMapCache();
  /** Tables of the statement that is being read, by table id. */
  readonly #tables = new Map<number, TableMap>();

  /** buf[start, end): the event with its header and without its CRC; `whole` is false when only its begin is there. */
  describe(buf: Buffer, start: number, end: number, fde: FormatDescription, whole = true): string {
    try {
      const type = buf[start + 4]!;
      if (whole && isMariadbCompressed(type)) {
        const plain = decompressMariadbEvent(buf.subarray(start, end), UNPACKED_LENGTH_MAX);
        return `compressed: ${this.describe(plain, 0, plain.length, fde)}`;
      }
      if (isRowsEvent(type)) return this.#rows(buf, start, end, type, fde, whole);
      if (type === EventType.TABLE_MAP_EVENT) return this.#tableMap(buf, start, end);
      const event = decodeEvent(buf, start, end, fde);
      if (event.type === 'QUERY_EVENT') this.#tables.clear();
      return text(event, buf);
    } catch (error) {
      return `cannot be decoded: ${error instanceof Error ? error.message : String(error)}`;
    }
  }

  #tableMap(buf: Buffer, start: number, end: number): string {
    const map = this.#cache.get(buf, start + EVENT_HEADER_LENGTH, end);
    this.#tables.set(map.tableId, map);
    return `table_id: ${map.tableId} (${tableName(map)})`;
  }

  #rows(
    buf: Buffer,
    start: number,
    end: number,
    type: number,
    fde: FormatDescription,
    whole: boolean,
  ): string {
    const header = rowsHeader(buf, start + EVENT_HEADER_LENGTH, end, type, fde.postHeaderLengths);
    const map = this.#tables.get(header.tableId);
    const last = (header.flags & ROWS_FLAG.STMT_END) !== 0;
    if (last) this.#tables.clear();
    const where = map === undefined ? `table_id ${header.tableId}` : tableName(map);
    const end_ = last ? ' flags: STMT_END_F' : '';
    if (!whole || map === undefined) return `${header.operation} ${where}: rows not counted${end_}`;
    const count = countRowsAfter(map, buf, header, end);
    return `${header.operation} ${where}: ${count} ${count === 1 ? 'row' : 'rows'}${end_}`;
  }
}

function text(event: BinlogEvent, buf: Buffer): string {
  switch (event.type) {
    case 'FORMAT_DESCRIPTION_EVENT': {
      const { serverVersion, binlogVersion } = event.formatDescription;
      return `Server ver: ${printable(serverVersion)}, Binlog ver: ${binlogVersion}`;
    }
    case 'ROTATE_EVENT':
      return `${printable(event.fileName)};pos=${event.position}`;
    case 'QUERY_EVENT': {
      const statement = statementText(buf, event.sqlStart, event.sqlEnd, STATEMENT_CHARACTERS);
      return event.database === '' || statement === 'BEGIN'
        ? statement
        : `use ${quoted(event.database)}; ${statement}`;
    }
    case 'GTID_LOG_EVENT':
    case 'GTID_TAGGED_LOG_EVENT':
      return `SET @@SESSION.GTID_NEXT= '${event.sid}:${event.gno}'${clock(event)}`;
    case 'ANONYMOUS_GTID_LOG_EVENT':
      return `SET @@SESSION.GTID_NEXT= 'ANONYMOUS'${clock(event)}`;
    case 'MARIADB_GTID_EVENT':
      return `GTID ${event.domainId}-${event.serverId}-${event.seqNo}`;
    case 'PREVIOUS_GTIDS_LOG_EVENT':
      return cut(event.gtids.toString());
    case 'MARIADB_GTID_LIST_EVENT': {
      const gtids = event.gtids.map(({ domainId, serverId, seqNo }) => `${domainId}-${serverId}-${seqNo}`);
      return cut(`[${gtids.join(',')}]`);
    }
    case 'XID_EVENT':
      return `COMMIT /* xid=${event.xid} */`;
    case 'XA_PREPARE_LOG_EVENT':
      return event.onePhase ? `XA COMMIT ${xaId(event)} ONE PHASE` : `XA PREPARE ${xaId(event)}`;
    case 'INTVAR_EVENT':
      return `${event.variable}=${event.value}`;
    case 'RAND_EVENT':
      return `rand_seed1=${event.seed1},rand_seed2=${event.seed2}`;
    case 'USER_VAR_EVENT':
      return `@${quoted(event.name)}=${event.value === null ? 'NULL' : `… (${event.value.bytes.length} bytes)`}`;
    case 'ROWS_QUERY_LOG_EVENT':
    case 'MARIADB_ANNOTATE_ROWS_EVENT':
      return `# ${statementText(event.sql, 0, event.sql.length, STATEMENT_CHARACTERS)}`;
    case 'MARIADB_BINLOG_CHECKPOINT_EVENT':
      return printable(event.fileName);
    case 'INCIDENT_EVENT':
      return `#${event.incident} ${printable(event.message)}`;
    case 'TRANSACTION_PAYLOAD_EVENT':
      return `compression='${event.compression}', ${event.compressedSize} bytes, decompressed ${event.uncompressedSize} bytes`;
    default:
      return `${event.header.eventLength} bytes`;
  }
}

function clock(event: GtidEvent): string {
  return event.sequenceNumber === 0n ? '' : ` /* ${event.lastCommitted} ${event.sequenceNumber} */`;
}

function xaId({ gtrid, bqual, formatId }: XaId): string {
  return `X'${gtrid.toString('hex')}',X'${bqual.toString('hex')}',${formatId}`;
}

function tableName({ database, table }: TableMap): string {
  return `${quoted(database)}.${quoted(table)}`;
}

function quoted(name: string): string {
  return `\`${printable(name).replaceAll('`', '``')}\``;
}

function printable(name: string): string {
  return name.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '?');
}

function cut(set: string): string {
  const line = set.replace(/\s+/g, '');
  return line.length > SET_CHARACTERS ? `${line.slice(0, SET_CHARACTERS)}…` : line;
}
