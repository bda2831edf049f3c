/**
 * The operators' verbs on the command line: what they send, what they print, and what they refuse before they send anything.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import type { ControlRequest } from '../../../src/channel/control-requests.ts';
import { ControlServer } from '../../../src/channel/control-socket.ts';
import { printedBy } from '../../support/command-line.ts';
import { temporaryFolder } from '../../support/repository.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const folder = temporaryFolder('operate');
const CONFIG = join(folder, 'config.yaml');
writeFileSync(CONFIG, 'data_dir: .\nchannels: []\n');

const open: ControlServer[] = [];
afterEach(async () => {
  for (const server of open.splice(0)) await server.close();
});

async function run(...args: readonly string[]) {
  return printedBy([...args, '-c', CONFIG]);
}

/** Runs the verb against a socket that answers with `message`; what was asked. */
async function asked(...args: readonly string[]): Promise<ControlRequest> {
  let request: ControlRequest | null = null;
  open.push(
    await ControlServer.listen(folder, async (each) => {
      request = each;
      return { done: each.do, message: 'it is done' };
    }),
  );
  const { code, out, err } = await run(...args);
  expect({ code, err }).toEqual({ code: 0, err: '' });
  expect(out).toBe('it is done\n');
  return request!;
}

const by = { uid: expect.any(Number), user: expect.anything() };

describe('a verb', () => {
  test.each<[string[], object]>([
    [['pause', 'reader'], { do: 'pause', channel: null, part: 'reader', by }],
    [['pause', 'standby', '--channel', 'orders'], { do: 'pause', channel: 'orders', part: 'standby', by }],
    [['resume', 'standby'], { do: 'resume', channel: null, part: 'standby', by }],
    [['delay', 'standby', '30m'], { do: 'delay', channel: null, target: 'standby', ms: 1_800_000, by }],
    [['delay', 'standby', '0s'], { do: 'delay', channel: null, target: 'standby', ms: 0, by }],
    [['delay', 'standby', 'configured'], { do: 'delay', channel: null, target: 'standby', ms: null, by }],
    [
      ['skip', `${UUID.toUpperCase()}:7`, '--reason', ' by mistake '],
      { do: 'skip', channel: null, target: null, id: `${UUID}:7`, reason: 'by mistake', by },
    ],
    [['approve', '0-1-7', '--target', 'b'], { do: 'approve', channel: null, target: 'b', id: '0-1-7', by }],
    [
      ['until', '--before', 'binlog.000003:4711'],
      { do: 'until', channel: null, target: null, until: { is: 'before', id: 'binlog.000003:4711' }, by },
    ],
    [
      ['until', '--time', '2026-02-03T04:05:06Z'],
      { do: 'until', channel: null, target: null, until: { is: 'time', ms: 1_770_091_506_000 }, by },
    ],
    [['until', '--cancel'], { do: 'until', channel: null, target: null, until: null, by }],
    [['reload'], { do: 'reload', by }],
  ])('%j asks for exactly that', async (args, request) => {
    expect(await asked(...args)).toEqual(request);
  });

  test('prints the whole answer with --json', async () => {
    open.push(
      await ControlServer.listen(folder, async () => ({ done: 'pause', message: 'm', confirmed: true })),
    );
    const { out } = await run('pause', 'reader', '--json');
    expect(JSON.parse(out)).toEqual({ done: 'pause', message: 'm', confirmed: true });
  });

  test('that is refused ends with 1 and the reason; with 2 when there is no such target', async () => {
    let code: 'NOT_POSSIBLE' | 'CONFIG' = 'NOT_POSSIBLE';
    open.push(
      await ControlServer.listen(folder, async () => {
        throw new MillraceError(code, 'it is too late', { hint: 'Be quicker.' });
      }),
    );
    expect(await run('approve', '0-1-7')).toMatchObject({
      code: 1,
      err: 'millrace: it is too late — Be quicker. [see docs/errors.md#NOT_POSSIBLE]\n',
    });
    code = 'CONFIG';
    expect(await run('approve', '0-1-7')).toMatchObject({ code: 2 });
  });
});

describe('a command line that is wrong', () => {
  test.each<[string[], string]>([
    [['pause'], 'Not enough non-option arguments'],
    [['pause', 'a', 'b'], 'Unknown argument: b'],
    [['delay', 'standby'], 'Not enough non-option arguments'],
    [['delay', 'standby', '30'], '30 has no unit'],
    [['delay', 'standby', 'soon'], '"soon" is not a duration'],
    [['delay', 'standby', '4000d'], '4000d is not from 0s to 3650d'],
    [['skip', `${UUID}:7`], 'skip needs --reason'],
    [['skip', `${UUID}:7`, '--reason', '  '], 'skip needs --reason'],
    [
      ['skip', `${UUID}:7`, '--reason', 'x'.repeat(1_001)],
      '--reason: expected one line of at most 1000 characters',
    ],
    [['skip', `${UUID}:7`, '--reason', 'a\nb'], '--reason: expected one line'],
    [['skip', `${UUID}:7-9`, '--reason', 'r'], 'names no transaction; expected one GTID'],
    [['approve', 'uuid:7'], '"uuid:7" names no transaction'],
    [['until'], 'until needs one of --before GTID, --after GTID, --time TIME, --cancel'],
    [['until', '--before', '0-1-7', '--after', '0-1-8'], 'until needs one of'],
    [['until', '--before', 'x'], '--before: "x" names no transaction'],
    [['until', '--time', 'tomorrow'], '--time: "tomorrow" is no time; write 2026-02-03T04:05:06Z'],
  ])('%j ends with 2 and one line', async (args, message) => {
    const { code, out, err } = await run(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  test('without a running process says how to start one', async () => {
    expect(await run('pause', 'standby')).toMatchObject({
      code: 1,
      err: expect.stringContaining('no Millrace runs'),
    });
  });
});
