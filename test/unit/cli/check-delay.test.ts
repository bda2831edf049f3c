import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { check } from '../../../src/cli/check.ts';
import { EXIT, type ExitCode } from '../../../src/cli/terminal.ts';
import { temporaryFolder } from '../../support/repository.ts';
import { relayLogOf } from '../channel/relay-log-of-commits.ts';

let folder: string;
let out = '';
let err = '';

beforeEach(() => {
  folder = temporaryFolder('check');
  mkdirSync(join(folder, 'data'));
  out = '';
  err = '';
});

function run(delay: string): Promise<ExitCode> {
  const endpoint = { host: '127.0.0.1', user: 'u', password: 'p' };
  const config = {
    data_dir: './data',
    channels: [
      {
        name: 'orders',
        source: { ...endpoint, port: 3306 },
        targets: [{ name: 'standby', ...endpoint, port: 3307, delay }],
      },
    ],
  };
  const file = join(folder, 'config.yaml');
  writeFileSync(file, stringify(config));
  return check(
    { config: file, json: false, offline: true },
    {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      env: {},
      colour: false,
      interactive: false,
      closed: () => false,
      window: () => null,
    },
  );
}

describe('check of a delay', () => {
  test('says what the disk holds while nobody knows what the source writes', async () => {
    expect(await run('30d')).toBe(EXIT.done);
    expect(out).toMatch(
      / {4}delay 30d; [\d.]+ \w+ free hold it while the source writes less than [\d.]+ \w+\/s\n/,
    );
    expect(err).toBe('');
  });

  test('refuses years on a disk that holds less, by the relay log that is there', async () => {
    const begin = 1_700_000_000;
    const bytes = 20 * 1024 ** 2;
    await relayLogOf(join(folder, 'data', 'orders'), [
      { seconds: begin, bytes },
      { seconds: begin + 601, bytes: 1000 },
    ]);
    expect(await run('3650d')).toBe(EXIT.usage);
    expect(err).toMatch(
      /config\.yaml: channels\[0\]\.targets\[0\]\.delay: the disk does not hold a delay of 3650d: at 34\.\d KiB\/s the relay log would take 10\.\d TiB, and there is room for .+ free, .+ held\)\n$/,
    );
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(out).not.toContain('is valid');
  });

  test('has nothing to say about targets without one', async () => {
    expect(await run('0s')).toBe(EXIT.done);
    expect(out).not.toContain('delay');
  });
});
