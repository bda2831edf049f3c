/**
 * `millrace find` on what real sources send, beside the Millrace that receives it: the accident is found by kind, table, text,
 * time and name, in plain and compressed transactions, over many relay files.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FoundTransaction } from '../../src/observe/relay-search.ts';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { address, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import { MixedLoad } from '../support/mixed-load.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

describe.each(['mysql', 'mariadb'] as const)('on %s', (flavour) => {
  let source: TestServer;
  let target: TestServer;
  let millrace: MillraceProcess;
  let before: string;
  let after: string;

  beforeAll(async () => {
    const args = flavour === 'mysql' ? ['--binlog-rows-query-log-events=ON'] : ['--log-bin-compress=ON'];
    [source, target] = await Promise.all([
      startServer({ flavour, name: 'source', args }),
      startServer({ flavour, name: 'target' }),
    ]);
    const from = await createSourceAccount(source);
    const to = await createTargetAccount(target);
    millrace = await MillraceProcess.start([
      channelConfig({
        source: { ...address(source), ...from },
        target: { ...address(target), ...to },
        relayLog: { max_file_size: '256KiB' },
      }),
    ]);
    await load(91);
    before = await now();
    await accident();
    after = await now();
    await load(92);
    const [end] = await source.query(
      flavour === 'mysql' ? 'SELECT @@GLOBAL.gtid_executed AS gtids' : 'SELECT @@gtid_binlog_pos AS gtids',
    );
    const wanted = String(end!.gtids).replaceAll(/\s/g, '');
    await millrace.waitFor(
      'everything received',
      (channel) => channel.reader.retrieved_gtid_set.replaceAll(/\s/g, '') === wanted,
    );
  });

  afterAll(async () => {
    await millrace?.remove();
    await Promise.all([source?.stop(), target?.stop()]);
  });

  async function load(seed: number): Promise<void> {
    const mixed = await MixedLoad.prepare(source, {
      seed,
      schema: `load_${seed}`,
      clients: 2,
      transactionsMax: 150,
    });
    mixed.run();
    await mixed.finished();
  }

  /** To the microsecond, as the source says it. */
  async function now(): Promise<string> {
    const [row] = await source.query(
      "SELECT DATE_FORMAT(UTC_TIMESTAMP(6), '%Y-%m-%dT%H:%i:%s.%fZ') AS now, SLEEP(1.1) AS slept",
    );
    return String(row!.now);
  }

  async function accident(): Promise<void> {
    const connection = await source.connect();
    try {
      for (const sql of [
        'CREATE DATABASE shop',
        'CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(80))',
        'CREATE TABLE shop.copy LIKE shop.orders',
      ]) {
        await connection.query(sql);
      }
      const rows = Array.from({ length: 700 }, (_, id) => `(${id}, 'note ${id} ${'x'.repeat(60)}')`);
      await connection.query(`INSERT INTO shop.orders VALUES ${rows.join(', ')}`);
      if (flavour === 'mysql') await connection.query('SET binlog_transaction_compression = ON');
      await connection.query('DELETE FROM shop.orders WHERE id >= 100 /* the accident */');
      await connection.query("CREATE USER bob@localhost IDENTIFIED BY 'hunter2-hunter2'");
      await connection.query('DROP TABLE shop.copy, shop.orders');
    } finally {
      await connection.end();
    }
  }

  async function find(...args: string[]): Promise<FoundTransaction[]> {
    const { code, stdout, stderr } = await millrace.command('find', [...args, '--json']);
    expect(`${code} ${stderr}`).toBe('0 ');
    return JSON.parse(stdout) as FoundTransaction[];
  }

  test('by table and kind: rows are counted, also in compressed transactions', async () => {
    const found = await find('--table', 'shop.orders', '--kind', 'insert,delete');
    expect(found.map(({ changes }) => changes[0])).toMatchObject([
      { kind: 'insert', objects: ['shop.orders'], rows: 700 },
      { kind: 'delete', objects: ['shop.orders'], rows: 600 },
    ]);
  });

  test('by kind: the drop, with the tables that went', async () => {
    const found = await find('--kind', 'drop_table', '--table', 'shop.%');
    const objects = found.flatMap(({ changes }) => changes.flatMap((change) => change.objects));
    expect(new Set(objects)).toEqual(new Set(['shop.copy', 'shop.orders']));
  });

  test('by text: what the statement said that deleted the rows', async () => {
    const [found, ...others] = await find('--text', 'The Accident');
    expect(others).toEqual([]);
    expect(found!.changes).toMatchObject([{ kind: 'delete', rows: 600 }]);
    expect(found!.changes[0]!.statement).toContain('/* the accident */');
  });

  test('by time: all of it, and nothing else', async () => {
    const found = await find('--from', before, '--to', after);
    const kinds = found.flatMap(({ changes }) => changes.map(({ kind }) => kind));
    expect(kinds.slice(0, 5)).toEqual([
      'create_database',
      'create_table',
      'create_table',
      'insert',
      'delete',
    ]);
    expect(kinds).toContain('account');
    expect(kinds.at(-1)).toBe('drop_table');
    const objects = found.flatMap(({ changes }) => changes.flatMap((change) => change.objects));
    expect(objects.filter((name) => name.startsWith('load_'))).toEqual([]);
  });

  test('by name: each transaction where it says that it is', async () => {
    for (const { gtid, log_name, pos } of await find('--from', before, '--to', after)) {
      const again = await find('--gtid', gtid);
      expect(again).toMatchObject([{ gtid, log_name, pos }]);
      const { stdout } = await millrace.command('events', [
        '--file',
        log_name,
        '--from',
        String(pos),
        '--limit',
        '1',
        '--json',
      ]);
      expect(JSON.parse(stdout)[0].info).toContain(gtid);
    }
  });

  test('passwords are neither found nor shown', async () => {
    expect(await find('--text', 'hunter2')).toEqual([]);
    const accounts = await find('--kind', 'account', '--from', before, '--to', after);
    expect(accounts).toHaveLength(1);
    expect(JSON.stringify(accounts)).not.toContain('hunter2');
  });

  test('every transaction that was received is there once, and none is unreadable', async () => {
    const all = await find();
    expect(new Set(all.map(({ gtid }) => gtid)).size).toBe(all.length);
    const strange = all.flatMap(({ changes }) => changes).filter(({ kind }) => kind === 'unreadable');
    expect(strange).toEqual([]);
    expect(all.length).toBeGreaterThan(200);
  });
});
