import { writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { emptyPositionSet } from '../../../src/binlog/position-set.ts';
import { SourceFile } from '../../support/binlog-feed.ts';
import { printedBy } from '../../support/command-line.ts';
import { RelayDirectory } from '../../support/relay-directory.ts';
import { temporaryFolder } from '../../support/repository.ts';

let relay: RelayDirectory;
let config: string;
beforeEach(() => {
  relay = new RelayDirectory();
  config = join(temporaryFolder('events'), 'config.yaml');
  configure(basename(relay.dir));
});
afterEach(() => relay.remove());

function configure(...channels: string[]): void {
  const names = channels.map((name) => `{ name: ${name} }`).join(', ');
  writeFileSync(config, `data_dir: ${dirname(relay.dir)}\nchannels: [${names}]\n`);
}

async function receive(): Promise<void> {
  const source = SourceFile.fixture('mysql-9.7', 'gtid-transactions');
  const writer = await relay.openWriter();
  source.start(writer, emptyPositionSet('gtid'));
  source.play(writer);
}

async function events(args: readonly string[], closed = () => false) {
  return printedBy(['events', '-c', config, ...args], { closed });
}

describe('events', () => {
  test('are a table with the columns of SHOW RELAYLOG EVENTS', async () => {
    await receive();
    const { code, out, err } = await events(['--limit', '3']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(
      [
        'LOG_NAME                  POS  EVENT_TYPE                    SERVER_ID  END_LOG_POS  INFO',
        'relay-bin.000001            4  FORMAT_DESCRIPTION_EVENT             97          127  Server ver: 9.7.4-2, Binlog ver: 4',
        'relay-bin.000001          127  PREVIOUS_GTIDS_LOG_EVENT              0          158',
        'relay-bin.000001          158  ROTATE_EVENT                          0          202  binlog.000007;pos=4',
        '',
      ].join('\n'),
    );
  });

  test('are one JSON array, one event a line', async () => {
    await receive();
    const { code, out } = await events([
      '--json',
      '--from',
      '97000000-0000-11f0-8000-000000000001:4',
      '--limit',
      '2',
    ]);
    expect(code).toBe(0);
    expect((JSON.parse(out) as { event_type: string }[]).map((row) => row.event_type)).toEqual([
      'GTID_LOG_EVENT',
      'QUERY_EVENT',
    ]);
    expect(out.split('\n')).toHaveLength(5);
  });

  test('of a relay log that is not there yet are none', async () => {
    expect(await events(['--json'])).toMatchObject({ code: 0, out: '[]\n' });
    const { code, out, err } = await events([]);
    expect({ code, out }).toEqual({ code: 0, out: '' });
    expect(err).toBe(`the relay log in ${relay.dir} holds nothing yet\n`);
  });

  test.each([
    [['--from', 'nonsense'], 'cannot begin at nonsense'],
    [['--file', 'relay-bin.000099'], 'there is no relay log file relay-bin.000099'],
    [['--file', '../../etc/passwd'], 'etc/passwd'],
    [['--limit', '0'], '--limit: expected a whole number above 0'],
    [['--limit', '1.5'], '--limit: expected a whole number above 0'],
    [['--channel', 'other'], '--channel: no channel other; known are '],
  ])('%j is a usage error in one line, and nothing on stdout', async (args, message) => {
    await receive();
    const { code, out, err } = await events([...args, '--json']);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
    expect(err.match(/\n/g)).toHaveLength(1);
  });

  test('of one among several channels need its name', async () => {
    await receive();
    configure(basename(relay.dir), 'other');
    expect((await events([])).err).toContain('there are several channels, give --channel');
    expect((await events(['--channel', basename(relay.dir), '--limit', '1'])).code).toBe(0);
  });

  test('end when nobody reads them any more', async () => {
    await receive();
    expect((await events([], () => true)).code).toBe(0);
  });
});
