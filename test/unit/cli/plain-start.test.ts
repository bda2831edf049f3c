import { describe, expect, test, vi } from 'vitest';
import { dispatch } from '../../../src/cli/command-line.ts';
import { plainStart } from '../../../src/cli/plain-start.ts';
import type { StartArguments } from '../../../src/cli/run-channels.ts';
import { EXIT, type Terminal } from '../../../src/cli/terminal.ts';

const started: StartArguments[] = [];
vi.mock('../../../src/cli/start.ts', () => ({
  start: async (args: StartArguments) => {
    started.push(args);
    return EXIT.done;
  },
}));

const terminal = { out: () => {}, err: () => {}, env: {} } as unknown as Terminal;

describe('a plain start', () => {
  test.each([
    'start',
    'start -c a.yaml',
    'start --config /etc/millrace/a.yaml',
    'start --config=a.yaml',
    'start --config=a=b',
    'start -c 7',
    'start -c ./-a',
  ])('`millrace %s` is read as the parser reads it', async (line) => {
    const argv = line.split(' ');
    started.length = 0;
    await dispatch(argv, terminal);
    const { config, daemon, timeout } = started[0]!;
    expect(plainStart(argv)).toEqual({ daemon, timeout, ...(config === undefined ? {} : { config }) });
  });

  test.each([
    '',
    'stop',
    'start --daemon',
    'start -d -c a.yaml',
    'start -c',
    'start -c -d',
    'start --config=',
    'start -ca.yaml',
    'start -c a.yaml --timeout 5',
    'start -c a.yaml b.yaml',
    'start a.yaml',
    'start --help',
    '-c a.yaml start',
  ])('`millrace %s` is left to the parser', (line) => {
    expect(plainStart(line.split(' '))).toBeNull();
  });
});
