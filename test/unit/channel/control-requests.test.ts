import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { MillraceError } from '../../../src/base/errors.ts';
import { parseRequest } from '../../../src/channel/control-requests.ts';

const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';

describe('a request on the control socket', () => {
  test.each([
    [{ do: 'ping' }, { do: 'ping' }],
    [
      { do: 'pause', part: 'reader' },
      { do: 'pause', part: 'reader', channel: null, by: null },
    ],
    [
      {
        do: 'skip',
        id: `${UUID.toUpperCase()}:7`,
        reason: 'r',
        target: 'standby',
        channel: null,
        by: { uid: 0, user: 'root' },
      },
      {
        do: 'skip',
        id: `${UUID}:7`,
        reason: 'r',
        target: 'standby',
        channel: null,
        by: { uid: 0, user: 'root' },
      },
    ],
    [
      { do: 'until', until: { is: 'time', ms: 5 } },
      { do: 'until', until: { is: 'time', ms: 5 }, channel: null, target: null, by: null },
    ],
    [
      { do: 'delay', target: 't', ms: null },
      { do: 'delay', target: 't', ms: null, channel: null, by: null },
    ],
    [
      { do: 'reload', by: { uid: null, user: null } },
      { do: 'reload', by: { uid: null, user: null } },
    ],
  ])('%j is understood', (request, understood) => {
    expect(parseRequest(JSON.stringify(request))).toEqual(understood);
  });

  test.each([
    ['hello', 'the request is not JSON'],
    ['5', 'unknown request; known are ping, status, stop, reload, pause'],
    ['[]', 'unknown request'],
    ['{"do":"format"}', 'unknown request'],
    ['{"do":"__proto__"}', 'unknown request'],
    ['{"do":"toString"}', 'unknown request'],
    ['{"do":["ping"]}', 'unknown request'],
    ['{"do":"ping","now":true}', 'ping: unknown field "now"; known are do'],
    ['{"do":"pause"}', 'pause.part: expected a text of at most 64 characters'],
    ['{"do":"pause","part":7}', 'pause.part: expected a text'],
    ['{"do":"pause","part":"  "}', 'pause.part: expected a text'],
    ['{"do":"delay","target":"t","ms":-1}', 'delay.ms: expected a whole number from 0 to 315360000000'],
    ['{"do":"delay","target":"t","ms":1e300}', 'delay.ms: expected a whole number'],
    ['{"do":"delay","target":"t","ms":"1h"}', 'delay.ms: expected a whole number'],
    [`{"do":"skip","id":"${UUID}:7"}`, 'skip.reason: expected a text of at most 1000 characters'],
    [`{"do":"skip","id":"${UUID}:7","reason":""}`, 'skip.reason: expected a text'],
    ['{"do":"skip","id":"x","reason":"r"}', '"x" names no transaction'],
    ['{"do":"approve","id":"0-1-7\'; DROP TABLE t"}', 'names no transaction'],
    ['{"do":"until","until":{"is":"never"}}', 'until.until.is: expected before, after or time'],
    ['{"do":"until","until":{"is":"before"}}', 'until.until.id: expected a text'],
    ['{"do":"until","until":{"is":"time","ms":-5}}', 'until.until.ms: expected a whole number'],
    ['{"do":"until","until":[]}', 'until.until: expected an object'],
    ['{"do":"pause","part":"t","by":"root"}', 'pause.by: expected an object'],
    ['{"do":"pause","part":"t","by":{"uid":1,"shell":"sh"}}', 'pause.by: unknown field "shell"'],
  ])('%s is refused: %s', (line, message) => {
    expect(() => parseRequest(line)).toThrow(
      expect.objectContaining({ message: expect.stringContaining(message) }),
    );
  });

  test('whatever comes in, it is a request or a typed refusal', () => {
    const verbs = fc.constantFrom(
      'ping',
      'pause',
      'delay',
      'skip',
      'approve',
      'until',
      'reload',
      'constructor',
    );
    const fields = fc.dictionary(
      fc.constantFrom('channel', 'target', 'part', 'id', 'reason', 'ms', 'until', 'by', '__proto__'),
      fc.jsonValue({ maxDepth: 3 }),
    );
    fc.assert(
      fc.property(verbs, fields, (verb, rest) => {
        try {
          expect(parseRequest(JSON.stringify({ ...rest, do: verb })).do).toBe(verb);
        } catch (error) {
          expect(error).toBeInstanceOf(MillraceError);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
