import { writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { emptyPositionSet } from '../../../src/binlog/position-set.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { printedBy } from '../../support/command-line.ts';
import { RelayDirectory } from '../../support/relay-directory.ts';
import { temporaryFolder } from '../../support/repository.ts';

const UUID = '97000000-0000-11f0-8000-000000000001';

let relay: RelayDirectory;
let config: string;
beforeEach(() => {
  relay = new RelayDirectory();
  config = join(temporaryFolder('find'), 'config.yaml');
  writeFileSync(config, `data_dir: ${dirname(relay.dir)}\nchannels: [{ name: ${basename(relay.dir)} }]\n`);
});
afterEach(() => relay.remove());

async function receive(): Promise<void> {
  const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
  const writer = await relay.openWriter();
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
}

async function find(args: readonly string[], closed = () => false) {
  return printedBy(['find', '-c', config, ...args], { closed });
}

describe('find', () => {
  test('prints one line for every change, with the name and the place of its transaction', async () => {
    await receive();
    const { code, out, err } = await find(['--kind', 'drop_table,delete']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    const lines = out.trimEnd().split('\n');
    expect(lines[0]).toMatch(/^COMMITTED_AT +LOG_NAME:POS +GTID +KIND +ROWS {2}WHAT$/);
    expect(lines[1]).toMatch(
      new RegExp(`^\\d{4}-.*Z {2}relay-bin\\.000001:\\d+ +${UUID}:\\d+ +delete +1 {2}shop\\.item$`),
    );
    expect(lines[2]).toMatch(/ drop_table +- {2}shop\.log_line {2}# DROP TABLE /);
    expect(lines[3]).toMatch(/ drop_table +- {2}shop\.item_copy {2}# DROP TABLE /);
    expect(lines).toHaveLength(4);
  });

  test('prints transactions as one JSON array, one a line', async () => {
    await receive();
    const { code, out } = await find(['--json', '--gtid', `${UUID}:4`]);
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject([
      {
        gtid: `${UUID}:4`,
        log_name: 'relay-bin.000001',
        changes: [
          { kind: 'insert', objects: ['shop.item'], rows: 2 },
          { kind: 'update', rows: 1 },
          { kind: 'delete', rows: 1 },
        ],
      },
    ]);
    expect(out.split('\n')).toHaveLength(4);
  });

  test('stops after so many', async () => {
    await receive();
    expect(JSON.parse((await find(['--json', '--limit', '2'])).out)).toHaveLength(2);
  });

  test('says when there is nothing', async () => {
    expect(await find(['--json'])).toMatchObject({ code: 0, out: '[]\n', err: '' });
    await receive();
    const { code, out, err } = await find(['--table', 'nowhere.%']);
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(err).toBe(`nothing of that kind is in the relay log in ${relay.dir}\n`);
  });

  test('takes a time as a moment or as how long ago', async () => {
    await receive();
    expect(
      JSON.parse((await find(['--json', '--from', '2020-01-01', '--to', '1s ago'])).out).length,
    ).toBeGreaterThan(3);
    expect(JSON.parse((await find(['--json', '--from', '1m'])).out)).toEqual([]);
    expect(JSON.parse((await find(['--json', '--to', '2020-01-01T00:00:00Z'])).out)).toEqual([]);
  });

  test.each([
    [['--from', 'yesterday'], '--from: "yesterday" is no time; write 2026-02-03T04:05:06Z'],
    [['--from', '2026-02-03', '--to', '2026-02-02'], '--to: expected a time after the one of --from'],
    [['--table', 'orders'], '--table: "orders" is no pattern of tables; write database.table'],
    [['--kind', 'drop_tabel'], '--kind: unknown kind "drop_tabel"; did you mean drop_table?'],
    [['--gtid', 'seven'], '--gtid: '],
    [['--limit', '0'], '--limit: expected a whole number above 0'],
    [['--text', ''], '--text: expected a text'],
    [['--channel', 'other'], '--channel: no channel other; known are '],
  ])('%j is a usage error in one line, and nothing on stdout', async (args, message) => {
    await receive();
    const { code, out, err } = await find([...args, '--json']);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
    expect(err.match(/\n/g)).toHaveLength(1);
  });

  test('ends when nobody reads it any more', async () => {
    await receive();
    expect((await find([], () => true)).code).toBe(0);
  });
});
