import { beforeEach, describe, expect, test } from 'vitest';
import type { ControlRequest } from '../../../src/channel/control-requests.ts';
import { httpCommands } from '../../../src/observe/http-commands.ts';

let handled: ControlRequest[] = [];
beforeEach(() => {
  handled = [];
});

const command = httpCommands(async (request) => {
  handled.push(request);
  return null;
});

describe('a body over HTTP', () => {
  test.each(['stop', 'reload', 'resume', 'status'])(
    'that names the verb %s is refused, and nothing is done',
    async (other) => {
      await expect(command('pause', { do: other, part: 'standby' }, '127.0.0.1')).rejects.toMatchObject({
        code: 'PROTOCOL',
        message: 'pause: the body has a field "do" that names something else; nothing was done',
      });
      expect(handled).toEqual([]);
    },
  );

  test('has no say in who asked', async () => {
    await command('pause', { do: 'pause', part: 'standby', by: { uid: 0, user: 'root' } }, '10.0.0.7');
    const by = { uid: null, user: 'http 10.0.0.7' };
    expect(handled).toEqual([{ do: 'pause', channel: null, part: 'standby', by }]);
  });

  test('with a field that the verb does not know is refused', async () => {
    await expect(command('pause', { part: 'standby', ms: 5 }, '127.0.0.1')).rejects.toThrow(
      'pause: unknown field "ms"',
    );
    expect(handled).toEqual([]);
  });
});

test.each(['stop', 'reload', 'ping', 'status'])('%s is no verb over HTTP', async (verb) => {
  await expect(command(verb, {}, '127.0.0.1')).rejects.toThrow('no such verb');
  expect(handled).toEqual([]);
});
