import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { emptyPositionSet, type PositionKind } from '../../../src/binlog/position-set.ts';
import { type EventListingOptions, listEvents } from '../../../src/relay/event-listing.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { RelayDirectory } from '../../support/relay-directory.ts';

let relay: RelayDirectory;
beforeEach(() => {
  relay = new RelayDirectory();
});
afterEach(() => relay.remove());

async function write(folder: string, name: string, kind: PositionKind, maxFileSize = 2 ** 30) {
  const source = SourceFile.fixture(folder, name);
  const writer = await relay.openWriter({ maxFileSize });
  source.start(writer, emptyPositionSet(kind));
  source.play(writer);
  return { source, writer };
}

const list = (options: Partial<EventListingOptions> = {}) => [...listEvents({ dir: relay.dir, ...options })];
const infos = (options: Partial<EventListingOptions> = {}): string[] => list(options).map(({ info }) => info);
const UUID = '97000000-0000-11f0-8000-000000000001';

describe('what a row says', () => {
  test('an insert on MySQL, from the begin of the file on', async () => {
    await write('mysql-9.7', 'gtid-transactions', 'gtid');
    const rows = list();
    expect(rows.slice(0, 4)).toEqual([
      {
        log_name: 'relay-bin.000001',
        pos: 4,
        event_type: 'FORMAT_DESCRIPTION_EVENT',
        server_id: 97,
        end_log_pos: 127,
        info: 'Server ver: 9.7.4-2, Binlog ver: 4',
        in_payload: false,
      },
      expect.objectContaining({ pos: 127, event_type: 'PREVIOUS_GTIDS_LOG_EVENT', server_id: 0, info: '' }),
      expect.objectContaining({ pos: 158, event_type: 'ROTATE_EVENT', info: 'binlog.000007;pos=4' }),
      expect.objectContaining({ pos: 202, event_type: 'GTID_LOG_EVENT', end_log_pos: 235 }),
    ]);
    const text = rows.map(({ info }) => info);
    for (const info of [
      `SET @@SESSION.GTID_NEXT= '${UUID}:4' /* 3 4 */`,
      'BEGIN',
      'table_id: 101 (`shop`.`item`)',
      'insert `shop`.`item`: 2 rows flags: STMT_END_F',
      'update `shop`.`item`: 1 row flags: STMT_END_F',
      'COMMIT /* xid=26 */',
      'use `shop`; CREATE DATABASE shop',
      "# INSERT INTO item VALUES (3, 'chain', 12)",
    ]) {
      expect(text).toContain(info);
    }
  });

  test('the events inside of a compressed transaction follow it', async () => {
    await write('mysql-9.7', 'compressed', 'gtid');
    const rows = list();
    const payload = rows.findIndex(({ event_type }) => event_type === 'TRANSACTION_PAYLOAD_EVENT');
    expect(rows[payload]!.info).toBe("compression='zstd', 187 bytes, decompressed 11326 bytes");
    const inner = rows.slice(payload + 1, payload + 7);
    expect(inner.map(({ event_type }) => event_type)).toEqual([
      'QUERY_EVENT',
      'TABLE_MAP_EVENT',
      'WRITE_ROWS_EVENT',
      'TABLE_MAP_EVENT',
      'UPDATE_ROWS_EVENT',
      'XID_EVENT',
    ]);
    for (const row of inner)
      expect(row).toMatchObject({ in_payload: true, pos: rows[payload]!.pos, end_log_pos: 0 });
  });

  test.each([
    ['mysql-9.7', 'xa', 'gtid', "XA PREPARE X'6669727374',X'6272616e6368',7"],
    ['mysql-9.7', 'xa', 'gtid', "XA COMMIT X'6f6e65',X'',1 ONE PHASE"],
    ['mysql-9.7', 'tagged-gtids', 'gtid', `SET @@SESSION.GTID_NEXT= '${UUID}:night:1' /* 0 1 */`],
    ['mysql-9.7', 'anonymous', 'position', "SET @@SESSION.GTID_NEXT= 'ANONYMOUS' /* 0 1 */"],
    ['mysql-9.7', 'statement-format', 'gtid', 'INSERT_ID=1'],
    ['mysql-9.7', 'statement-format', 'gtid', 'rand_seed1=12345,rand_seed2=67890'],
    ['mysql-9.7', 'statement-format', 'gtid', '@`text`=… (5 bytes)'],
    ['mariadb-11.8', 'transactions', 'mariadb', 'GTID 0-118-8019'],
    ['mariadb-11.8', 'transactions', 'mariadb', '[]'],
    [
      'mariadb-11.8',
      'transactions',
      'mariadb',
      "use `shop`; create user if not exists bob@localhost identified by '***' …",
    ],
    ['mariadb-11.8', 'transactions', 'mariadb', 'compressed: insert `shop`.`t`: 1 row flags: STMT_END_F'],
  ] as const)('%s %s by %s: %s', async (folder, name, kind, info) => {
    await write(folder, name, kind);
    expect(infos()).toContain(info);
  });
});

describe('what is listed', () => {
  test('every event of the log, and the begin of every file', async () => {
    const { source } = await write('mysql-9.7', 'gtid-transactions', 'gtid', 1000);
    const rows = list();
    const files = relay.numbers().length;
    const kept = source.events.filter(({ place }) => place !== 'between');
    expect(rows).toHaveLength(kept.length + 3 * files);
    expect(new Set(rows.map(({ log_name }) => log_name)).size).toBe(files);
    expect(rows.filter(({ event_type }) => event_type === 'FORMAT_DESCRIPTION_EVENT')).toHaveLength(files);
  });

  test('an empty log has no rows', () => {
    expect(list()).toEqual([]);
  });

  test('one file, and so many rows', async () => {
    await write('mysql-9.7', 'gtid-transactions', 'gtid', 1000);
    const rows = list({ file: 'relay-bin.000002' });
    expect(new Set(rows.map(({ log_name }) => log_name))).toEqual(new Set(['relay-bin.000002']));
    expect(list({ limit: 5 })).toHaveLength(5);
    expect(list({ limit: 0 })).toEqual([]);
    for (const file of ['relay-bin.000099', '../../etc/passwd']) {
      expect(() => list({ file })).toThrow(expect.objectContaining({ code: 'CONFIG' }));
    }
  });

  test.each([1000, 2 ** 30])('from a GTID on (files of %i bytes)', async (maxFileSize) => {
    const { source } = await write('mysql-9.7', 'gtid-transactions', 'gtid', maxFileSize);
    for (const { head } of source.transactions()) {
      const id = head!.id as { sid: string; gno: bigint };
      expect(infos({ from: `${id.sid}:${id.gno}`, limit: 1 })[0]).toContain(`'${id.sid}:${id.gno}'`);
    }
    expect(infos({ from: `${UUID}:3-9`, limit: 1 })[0]).toContain(`'${UUID}:3'`);
    for (const from of [`${UUID}:77`, 'no set', '', '0-1-2']) {
      expect(() => list({ from })).toThrow(expect.objectContaining({ code: 'CONFIG' }));
    }
  });

  test('from a MariaDB GTID on', async () => {
    await write('mariadb-11.8', 'transactions', 'mariadb', 1000);
    for (let seqNo = 8016; seqNo <= 8033; seqNo++) {
      expect(infos({ from: `0-118-${seqNo}`, limit: 1 })).toEqual([`GTID 0-118-${seqNo}`]);
    }
    expect(() => list({ from: '0-118-9000' })).toThrow(expect.objectContaining({ code: 'CONFIG' }));
  });

  test("from a position in the source's file on", async () => {
    const { source } = await write('mysql-9.7', 'anonymous', 'position', 1000);
    const [, second, third] = source.transactions();
    const [row] = list({ from: `${source.name}:${second!.sourceEnd}`, limit: 1 });
    expect(row!.end_log_pos).toBe(second!.sourceEnd + third!.bytes.readUInt32LE(9));
    expect(() => list({ from: 'binlog.000008:4' })).toThrow(expect.objectContaining({ code: 'CONFIG' }));
  });

  test('from an offset on, if a transaction begins there', async () => {
    await write('mysql-9.7', 'gtid-transactions', 'gtid');
    const begins = list().filter(({ event_type }) => event_type === 'GTID_LOG_EVENT');
    for (const { pos, info } of begins) expect(infos({ from: String(pos), limit: 1 })).toEqual([info]);
    expect(() => list({ from: String(begins[0]!.pos + 1) })).toThrow(
      expect.objectContaining({ code: 'CONFIG' }),
    );
  });

  test('a damaged log is listed up to the damage, and the damage is named', async () => {
    await write('mysql-9.7', 'gtid-transactions', 'gtid', 1000);
    const rows = list({ file: 'relay-bin.000001' });
    const bytes = relay.bytes(1);
    bytes[rows.at(-1)!.pos + 25]! ^= 1;
    relay.overwrite(1, bytes);
    const seen: unknown[] = [];
    expect(() => {
      for (const row of listEvents({ dir: relay.dir })) seen.push(row);
    }).toThrow(expect.objectContaining({ code: 'RELAY_CORRUPT' }));
    expect(seen).toEqual(rows.slice(0, -1));
  });
});
