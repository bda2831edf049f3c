/**
 * A second opinion: the rows of a real server's binary log as @vlasky/zongji decodes them and as we do. Both read the same
 * events; what zongji is known to lose is compared as far as it goes (see `opinion`), VECTOR is left out.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ZongJi from '@vlasky/zongji';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ColumnType } from '../../src/binlog/column-type.ts';
import {
  type ColumnDecoder,
  type ColumnValue,
  type Row,
  tableDecoder,
} from '../../src/binlog/column-values.ts';
import { EVENT_HEADER_LENGTH, EventType, readEventHeader } from '../../src/binlog/event-header.ts';
import { decodeFormatDescription } from '../../src/binlog/format-description.ts';
import { decodeRows } from '../../src/binlog/row-values.ts';
import { isRowsEvent } from '../../src/binlog/rows-event.ts';
import { decodeTableMap, type TableMap } from '../../src/binlog/table-map.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

const SEED = Number(process.env.SEED ?? 20240229);
const ROWS = 300;
const END = 'end_of_rows';
const BINARY_COLLATION = 63;
const LATIN1_COLLATION = 8;

const COLUMNS = `
  id INT PRIMARY KEY, s8 TINYINT, u8 TINYINT UNSIGNED, s16 SMALLINT, u16 SMALLINT UNSIGNED, s24 MEDIUMINT,
  u24 MEDIUMINT UNSIGNED, s32 INT, u32 INT UNSIGNED, s64 BIGINT, u64 BIGINT UNSIGNED, y YEAR, f FLOAT, d DOUBLE,
  n1 DECIMAL(65, 30), n2 DECIMAL(9, 0), n3 DECIMAL(7, 7), b1 BIT(1), b12 BIT(12), b64 BIT(64), day DATE, t0 TIME,
  t1 TIME(1), t3 TIME(3), t6 TIME(6), dt0 DATETIME, dt2 DATETIME(2), dt6 DATETIME(6), ts0 TIMESTAMP NULL, ts5 TIMESTAMP(5) NULL,
  c CHAR(200) CHARACTER SET utf8mb4, v VARCHAR(500) CHARACTER SET utf8mb4, l VARCHAR(20) CHARACTER SET latin1,
  b BINARY(8), vb VARBINARY(300), tx MEDIUMTEXT CHARACTER SET utf8mb4, bl LONGBLOB, e ENUM('red', 'grün', 'a,b'),
  s SET('one', 'two', 'three'), j JSON, p POINT`;

interface Change {
  readonly before: Record<string, unknown> | null;
  readonly after: Record<string, unknown> | null;
}

let server: TestServer;
beforeAll(async () => {
  server = await startServer({
    flavour: 'mysql',
    version: '9.7',
    name: 'zongji',
    args: ['--binlog-row-metadata=FULL', '--default-time-zone=+00:00'],
  });
}, 600_000);
afterAll(async () => {
  await server?.stop();
});

test('zongji and our decoders see the same values in the same rows', { timeout: 120_000 }, async () => {
  await server.query('CREATE DATABASE second');
  await server.query(`CREATE TABLE second.opinions (${COLUMNS})`);
  await server.query(`CREATE TABLE second.${END} (id INT)`);
  await server.query('FLUSH BINARY LOGS');
  const [{ File: file }] = (await server.query('SHOW BINARY LOG STATUS')) as [{ File: string }];
  await writeRows(new SeededRandom(SEED));

  const theirs = await decodedByZongji(file);
  const ours = decodedByUs(join(server.datadir, file));
  expect(ours.length).toBeGreaterThan(2 * ROWS);
  expect(theirs.length).toBe(ours.length);
  for (const [i, change] of ours.entries()) {
    const { before, after } = theirs[i]!;
    const expected = { before: withCarriedTimes(before), after: withCarriedTimes(after) };
    expect(change, `change ${i}, seed ${SEED}`).toEqual(expected);
  }
});

async function writeRows(random: SeededRandom): Promise<void> {
  await server.query("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'");
  const names = [...COLUMNS.matchAll(/(?:^|,)\s*([a-z]\w*) [A-Z]/g)].map((match) => match[1]!);
  for (let id = 1; id <= ROWS; id++) {
    const values = names.map((name) => (name === 'id' ? String(id) : literal(name, random)));
    await server.query(`INSERT INTO second.opinions VALUES (${values.join(', ')})`);
  }
  for (let id = 1; id <= ROWS; id++) {
    await server.query(`SET SESSION binlog_row_image = '${random.pick(['FULL', 'MINIMAL', 'NOBLOB'])}'`);
    const name = names[random.between(1, names.length - 1)]!;
    await server.query(
      `UPDATE second.opinions SET ${name} = ${literal(name, random)}, s32 = ${id} WHERE id = ${id}`,
    );
  }
  await server.query("SET SESSION binlog_row_image = 'FULL'");
  await server.query(`DELETE FROM second.opinions WHERE id <= ${ROWS / 2}`);
  await server.query(`INSERT INTO second.${END} VALUES (1)`);
}

/** A SQL literal for a column, often at an end of its range. */
function literal(name: string, random: SeededRandom): string {
  if (random.chance(0.1)) return 'NULL';
  const whole = (bits: number, signed: boolean): string => {
    const range = 1n << BigInt(bits);
    const low = signed ? -(range / 2n) : 0n;
    const at = BigInt(`0x${random.bytes(8).toString('hex')}`) % range;
    return String(low + random.pick([0n, range - 1n, -low, at, at, at]));
  };
  const digits = (length: number): string => Array.from({ length }, () => random.between(0, 9)).join('');
  const sign = random.pick(['', '-']);
  const two = (low: number, high: number): string => String(random.between(low, high)).padStart(2, '0');
  const clock = (): string => `${two(0, 23)}:${two(0, 59)}:${two(0, 59)}.${digits(6)}`;
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
  const integer = /^([su])(8|16|24|32|64)$/.exec(name);
  if (integer !== null) return whole(Number(integer[2]), integer[1] === 's');
  const bytes = (length: number): string => `x'${random.bytes(length).toString('hex')}'`;
  switch (name) {
    case 'y':
      return String(random.between(1901, 2155));
    case 'f':
      return String(Math.fround((random.next() - 0.5) * 10 ** random.between(-30, 30)));
    case 'd':
      return String((random.next() - 0.5) * 10 ** random.between(-300, 300));
    case 'n1':
      return `${sign}${digits(random.between(1, 35))}.${digits(30)}`;
    case 'n2':
      return `${sign}${digits(random.between(1, 9))}`;
    case 'n3':
      return `${sign}0.${digits(7)}`;
    case 'b1':
      return whole(1, false);
    case 'b12':
      return whole(12, false);
    case 'b64':
      return whole(64, false);
    case 'day':
      return random.pick(["'0000-00-00'", `'${two(1000, 9999)}-${two(1, 12)}-${two(1, 31)}'`]);
    case 't0':
    case 't1':
    case 't3':
    case 't6':
      return `'${sign}${two(0, 837)}:${two(0, 59)}:${two(0, 59)}.${random.pick([digits(6), '0'])}'`;
    case 'dt0':
    case 'dt2':
    case 'dt6':
      return random.pick(["'0000-00-00'", `'${two(1000, 9998)}-${two(0, 12)}-${two(0, 28)} ${clock()}'`]);
    case 'ts0':
    case 'ts5':
      return `'${two(1971, 2037)}-${two(1, 12)}-${two(1, 28)} ${clock()}'`;
    case 'l':
      return quoted(random.pick(['', 'café', 'ÿ', 'naïve']));
    case 'b':
      return bytes(random.between(0, 8));
    case 'vb':
      return bytes(random.between(0, 300));
    case 'bl':
      return bytes(random.pick([0, 1, 255, 256, 1000]));
    case 'e':
      return quoted(random.pick(['red', 'grün', 'a,b']));
    case 's':
      return String(random.between(0, 7));
    case 'j':
      return quoted(JSON.stringify(document(random, 4)));
    case 'p':
      return `POINT(${random.between(-180, 180)}, ${random.between(-90, 90) / 8})`;
    default:
      return quoted(random.text(random.pick([0, 1, 50, 200])));
  }
}

/** No doubles without a fraction and no integers beyond 2^53: zongji prints those in its own way. */
function document(random: SeededRandom, depth: number): unknown {
  const kind = depth === 0 ? random.between(0, 4) : random.between(0, 8);
  const many = Array.from({ length: random.between(0, 5) });
  if (kind === 0) return random.pick([null, true, false]);
  if (kind === 1) return random.between(-100_000, 100_000);
  if (kind === 2) return random.between(-1000, 1000) + 0.5;
  if (kind === 3) return random.pick([2 ** 31, -(2 ** 31) - 1, 2 ** 40, 65535, -32769]);
  if (kind === 4) return random.text(random.pick([0, 3, 200]));
  if (kind === 5 && random.chance(0.1)) return random.text(70_000);
  if (kind < 7) return many.map(() => document(random, depth - 1));
  return Object.fromEntries(many.map((_, i) => [`${random.text(4)}${i}`, document(random, depth - 1)]));
}

function decodedByUs(path: string): Change[] {
  const buf = readFileSync(path);
  const changes: Change[] = [];
  let map: TableMap | null = null;
  const { checksum, postHeaderLengths } = decodeFormatDescription(
    buf,
    4,
    4 + readEventHeader(buf, 4).eventLength,
  );
  const tail = checksum === 'crc32' ? 4 : 0;
  for (let at = 4; at < buf.length; at += readEventHeader(buf, at).eventLength) {
    const { type, eventLength } = readEventHeader(buf, at);
    const [start, end] = [at + EVENT_HEADER_LENGTH, at + eventLength - tail];
    if (type === EventType.TABLE_MAP_EVENT) map = decodeTableMap(buf, start, end);
    if (!isRowsEvent(type) || map?.table !== 'opinions') continue;
    const table = tableDecoder(map, 'mysql');
    for (const { before, after } of decodeRows(table, buf, start, end, type, postHeaderLengths)) {
      changes.push({ before: opinions(table.columns, before), after: opinions(table.columns, after) });
    }
  }
  return changes;
}

function opinions(columns: readonly ColumnDecoder[], row: Row | null): Record<string, unknown> | null {
  if (row === null) return null;
  // A column that is not in the image is null to zongji, too.
  return Object.fromEntries(
    columns.map((column) => [column.name!, opinion(column, row[column.column] ?? null)]),
  );
}

/** Our value in the form in which zongji gives it. */
function opinion(column: ColumnDecoder, value: ColumnValue): unknown {
  if (value === null) return null;
  switch (column.kind) {
    case 'bigint':
      return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
    case 'bit': {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(value as bigint);
      return bytes.subarray(8 - Math.ceil(column.length / 8));
    }
    case 'enum':
      return column.members![(value as number) - 1]!.toString();
    case 'set':
      return column.members!.filter((_, i) => (((value as bigint) >> BigInt(i)) & 1n) === 1n).join(',');
    case 'bytes':
      if (column.type === ColumnType.STRING && column.collation === BINARY_COLLATION) {
        // The log strips the zeros at the end of a BINARY(N), zongji puts them back.
        return Buffer.concat([value as Buffer, Buffer.alloc(column.length)]).subarray(0, column.length);
      }
      if (column.collation === BINARY_COLLATION) return value;
      return (value as Buffer).toString(column.collation === LATIN1_COLLATION ? 'latin1' : 'utf8');
    case 'json':
      return JSON.parse(value as string);
    case 'geometry':
      return { x: (value as Buffer).readDoubleLE(9), y: (value as Buffer).readDoubleLE(17) };
    default:
      return value;
  }
}

/**
 * zongji 0.9.0 forgets to carry in a negative TIME of whole minutes: -75:10:00 is -75:09:64 to it. The fields are parts
 * of one number of 6 bits each, so the carry can be made up for.
 */
function withCarriedTimes(row: Record<string, unknown> | null): Record<string, unknown> | null {
  if (row === null) return null;
  const carried = (value: unknown): unknown => {
    const time = typeof value === 'string' ? /^-(\d+):(\d\d):64(.*)$/.exec(value) : null;
    if (time === null) return value;
    const packed = Number(time[1]) * 4096 + Number(time[2]) * 64 + 64;
    const fields = [Math.floor(packed / 4096), Math.floor(packed / 64) % 64, packed % 64];
    return `-${fields.map((field) => String(field).padStart(2, '0')).join(':')}${time[3]}`;
  };
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, carried(value)]));
}

/** Everything up to the row in the end marker's table. */
async function decodedByZongji(file: string): Promise<Change[]> {
  const { host, port, rootUser: user, rootPassword: password } = server;
  const zongji = new ZongJi({ host, port, user, password, dateStrings: true, timezone: 'Z' });
  const changes: Change[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      zongji.on('error', reject);
      zongji.on(
        'binlog',
        (event: { getEventName(): string; rows?: unknown[]; tableMap?: object; tableId?: number }) => {
          const kind = event.getEventName();
          if (!/rows$/.test(kind)) return;
          const { tableName } = (event.tableMap as Record<number, { tableName: string }>)[event.tableId!]!;
          if (tableName === END) return resolve();
          for (const row of event.rows as Record<string, Record<string, unknown>>[]) {
            if (kind === 'updaterows') changes.push({ before: row.before!, after: row.after! });
            else if (kind === 'writerows') changes.push({ before: null, after: row });
            else changes.push({ before: row, after: null });
          }
        },
      );
      zongji.start({
        filename: file,
        position: 4,
        serverId: 4711,
        includeEvents: ['tablemap', 'writerows', 'updaterows', 'deleterows'],
        includeSchema: { second: true },
      });
    });
  } finally {
    zongji.stop();
  }
  return changes;
}
