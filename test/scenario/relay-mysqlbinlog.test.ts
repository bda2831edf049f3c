/**
 * The relay log is in the servers' own format: the servers' own tools read every file of it, open, closed or torn, and find
 * the source's transactions in it and no others.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { emptyPositionSet } from '../../src/binlog/position-set.ts';
import type { RelayLogWriter } from '../../src/relay/relay-log-writer.ts';
import { SourceFile } from '../support/binlog-feed.ts';
import { runProgram } from '../support/program.ts';
import { RelayDirectory, readAll } from '../support/relay-directory.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

const WORK = [
  'CREATE DATABASE shop',
  'CREATE TABLE shop.goods (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(400), price DECIMAL(9,2), picture BLOB)',
  `INSERT INTO shop.goods (name, price, picture) VALUES ('nail', 0.05, 0x00FF), (REPEAT('n', 300), 99.5, NULL)`,
  'BEGIN; UPDATE shop.goods SET price = price + 1; DELETE FROM shop.goods WHERE id = 1; COMMIT',
  'CREATE TABLE shop.log (id INT) ENGINE = MyISAM',
  'INSERT INTO shop.log VALUES (1), (2)',
  "XA START 'a'; INSERT INTO shop.goods (name) VALUES ('xa'); XA END 'a'; XA PREPARE 'a'; XA COMMIT 'a'",
  'ALTER TABLE shop.goods ADD COLUMN stock INT DEFAULT 7',
  'TRUNCATE TABLE shop.log',
];
const PADDING = Array.from(
  { length: 40 },
  (_, i) => `INSERT INTO shop.goods (name) VALUES (REPEAT('${i % 10}', 200))`,
);

describe.each([
  { flavour: 'mysql', name: 'GTIDs', kind: 'gtid', args: [] },
  { flavour: 'mysql', name: 'no checksums', kind: 'gtid', args: ['--binlog-checksum=NONE'] },
  { flavour: 'mysql', name: 'no GTIDs', kind: 'position', args: ['--gtid-mode=OFF'] },
  { flavour: 'mariadb', name: 'GTIDs', kind: 'mariadb', args: [] },
  { flavour: 'mariadb', name: 'no checksums', kind: 'position', args: ['--binlog-checksum=NONE'] },
] as const)('the relay log of a $flavour source with $name, by $kind', ({ flavour, kind, args }) => {
  let server: TestServer;
  let source: SourceFile;
  let relay: RelayDirectory;
  let writer: RelayLogWriter;

  beforeAll(async () => {
    server = await startServer({ flavour, args });
    const connection = await server.connect({ multipleStatements: true });
    await connection.query('FLUSH BINARY LOGS');
    for (const statement of [...WORK, ...PADDING]) await connection.query(statement);
    const [status] = await server.query(
      flavour === 'mysql' ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS',
    );
    const name = status!.File as string;
    await connection.query('FLUSH BINARY LOGS');
    source = new SourceFile(name, readFileSync(join(server.datadir, name)));
    relay = new RelayDirectory();
    writer = await relay.openWriter({ maxFileSize: 8000 });
    source.start(writer, emptyPositionSet(kind));
    // Everything but the last event of the last transaction: the rest of it lies behind the published end.
    const last = source.events.findLastIndex((event) => event.place === 'end');
    source.play(writer, 0, last, 1);
  });
  afterAll(async () => {
    await relay.remove();
    await server.stop();
  });

  /** Lines that name a transaction or its end. */
  async function dump(bytes: Buffer): Promise<string[]> {
    const { command, args } = server.binary('mysqlbinlog');
    const options = ['--no-defaults', '--verify-binlog-checksum', '--base64-output=DECODE-ROWS', '-v', '-'];
    const result = await runProgram(command, [...args, ...options], { input: bytes });
    expect(result.stderr.replace(/^.*(?:Deprecated|deprecated).*$/gm, '').trim()).toBe('');
    expect(result.code).toBe(0);
    // An open file is announced as "either in use or not closed properly": that is what IN_USE is for.
    expect(result.stdout).not.toMatch(/^(?:ERROR|WARNING)|^# Warning: (?!this binlog is either in use)/m);
    expect(result.stdout).not.toMatch(/crc.*(?:mismatch|fail)/i);
    expect(result.stdout.includes('binlog is either in use')).toBe((bytes[21]! & 1) === 1);
    return result.stdout
      .split('\n')
      .filter((line) =>
        /GTID_NEXT= '[^A]|GTID \d+-\d+-\d+|^###|^(?:CREATE|ALTER|TRUNCATE|COMMIT|XA )/.test(line),
      )
      .map((line) => line.replace(/^#\d+ +[\d:]+ server id \d+ +end_log_pos \d+ (?:CRC32 \S+)?\s*/, ''));
  }

  test('several files, the last of them open', async () => {
    expect(relay.numbers().length).toBeGreaterThan(2);
    expect(relay.bytes(relay.numbers().at(-1)!)[21]! & 1).toBe(1);
    expect(readAll(relay.cursor())).toHaveLength(source.transactions().length - 1);
  });

  test('its tools find the transactions of the source in the files, in order', async () => {
    const found: string[] = [];
    for (const number of relay.numbers()) found.push(...(await dump(relay.bytes(number))));
    const expected = await dump(source.bytes);
    expect(expected.length).toBeGreaterThan(100);
    expect(found.length).toBeGreaterThan(100);
    expect(found).toEqual(expected.slice(0, found.length));
  });

  test('its tools read what a recovery and a clean end have left', async () => {
    const number = relay.numbers().at(-1)!;
    writeFileSync(relay.path(number), Buffer.concat([relay.bytes(number), Buffer.from('torn')]));
    const again = await relay.openWriter();
    expect(again.retrieved!.toString()).toBe(writer.retrieved!.toString());
    await dump(relay.bytes(number));
    source.start(again, again.retrieved!);
    const last = source.transactions().at(-1)!;
    again.append(last.bytes, 0, last.bytes.length);
    again.endTransaction(last.head, last.sourceEnd);
    await again.close();
    const found: string[] = [];
    for (const each of relay.numbers()) found.push(...(await dump(relay.bytes(each))));
    expect(found).toEqual(await dump(source.bytes));
  });
});
