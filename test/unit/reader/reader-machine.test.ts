import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, type ErrorCode, type PlainError } from '../../../src/base/errors.ts';
import {
  initialReader,
  READER_POLICY,
  type ReaderEffect,
  type ReaderInput,
  type ReaderMemory,
  stepReader,
} from '../../../src/reader/reader-machine.ts';

const POLICY = READER_POLICY;

function failure(code: ErrorCode, nowMs = 0, more: Partial<PlainError> = {}): ReaderInput {
  const error = { code, action: ERROR_CODES[code], message: `m ${code}`, hint: null, facts: {}, ...more };
  return { type: 'failed', error, nowMs, random: 1 };
}

function walk(...inputs: ReaderInput[]): { memory: ReaderMemory; effects: readonly ReaderEffect[] } {
  let memory = initialReader('begins');
  let effects: readonly ReaderEffect[] = [];
  for (const input of inputs) [memory, effects] = stepReader(memory, input, POLICY);
  return { memory, effects };
}

const start: ReaderInput = { type: 'start', goal: 'stream' };
const streaming: ReaderInput = { type: 'streaming', nowMs: 0 };
const due: ReaderInput = { type: 'retry-due' };

describe('the usual way', () => {
  test('discovery ends in idle, with the reason why nothing happens', () => {
    const { memory, effects } = walk(
      { type: 'start', goal: 'discover' },
      { type: 'discovered', waitingFor: 'waiting for the target' },
    );
    expect(memory.state).toEqual({ at: 'idle', reason: 'waiting for the target' });
    expect(effects).toEqual([]);
  });

  test('start connects, the first file of the dump means streaming', () => {
    expect(walk(start).effects).toEqual([{ type: 'connect', goal: 'stream' }]);
    expect(walk(start, { type: 'streaming', nowMs: 7 }).memory.state).toEqual({
      at: 'streaming',
      sinceMs: 7,
    });
  });

  test('stop closes first and reports when everything is closed', () => {
    const stopping = walk(start, streaming, { type: 'stop' });
    expect(stopping.memory.state.at).toBe('stopping');
    expect(stopping.effects.map(({ type }) => type)).toEqual(['cancel-retry', 'close']);
    const stopped = walk(start, streaming, { type: 'stop' }, { type: 'closed' });
    expect(stopped.memory.state).toEqual({ at: 'stopped', cause: null });
    expect(stopped.effects).toEqual([{ type: 'report-stopped', cause: null }]);
  });

  test('a second stop changes nothing, a stop after the end is answered again', () => {
    expect(walk(start, { type: 'stop' }, { type: 'stop' }).effects).toEqual([]);
    expect(walk(start, { type: 'stop' }, { type: 'closed' }, { type: 'stop' }).effects).toHaveLength(1);
  });
});

describe('network failures', () => {
  test('are retried for ever, with growing waits up to the maximum', () => {
    let memory = walk(start).memory;
    const waits: number[] = [];
    for (let i = 0; i < 50; i++) {
      let effects: readonly ReaderEffect[];
      [memory, effects] = stepReader(memory, failure('CONNECTION_LOST', i), POLICY);
      waits.push((effects[0] as { ms: number }).ms);
      [memory] = stepReader(memory, due, POLICY);
    }
    expect(waits.slice(0, 7)).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000]);
    expect(Math.max(...waits)).toBe(POLICY.backoffMaxMs);
    expect(memory.state).toEqual({ at: 'connecting', attempt: 51 });
  });

  test('the wait is told with its end and its cause', () => {
    const { memory } = walk(start, failure('CONNECTION_LOST', 1000));
    expect(memory.state).toMatchObject({ at: 'backing-off', attempt: 1, untilMs: 1500 });
  });

  test('a received transaction makes the next failure a first one', () => {
    const again = [failure('CONNECTION_LOST'), due] as const;
    const { effects } = walk(
      start,
      ...again,
      ...again,
      streaming,
      { type: 'progress' },
      failure('CONNECTION_LOST'),
    );
    expect(effects).toEqual([{ type: 'retry-after', ms: 500 }]);
  });

  test('streaming quietly for long enough does so, too; a short stream does not', () => {
    const again = [failure('CONNECTION_LOST'), due] as const;
    const long = walk(start, ...again, ...again, streaming, failure('CONNECTION_LOST', POLICY.settledMs));
    expect(long.effects).toEqual([{ type: 'retry-after', ms: 500 }]);
    const short = walk(
      start,
      ...again,
      ...again,
      streaming,
      failure('CONNECTION_LOST', POLICY.settledMs - 1),
    );
    expect(short.effects).toEqual([{ type: 'retry-after', ms: 2000 }]);
  });

  test('a full disk is waited out, too', () => {
    expect(walk(start, streaming, failure('DISK_FULL')).memory.state.at).toBe('backing-off');
  });
});

describe('failures with a limit', () => {
  test.each(['ACCESS_DENIED', 'PRIVILEGE_MISSING'] as const)('%s twice in a row stops', (code) => {
    const once = walk(start, failure(code));
    expect(once.memory.state.at).toBe('backing-off');
    const twice = walk(start, failure(code), due, failure(code));
    expect(twice.memory.state).toMatchObject({ at: 'stopping', cause: { code } });
    expect(twice.effects).toEqual([{ type: 'close' }]);
  });

  test('a refusal after a lost connection is a first one again', () => {
    const inputs = [failure('ACCESS_DENIED'), due, failure('CONNECTION_LOST'), due, failure('ACCESS_DENIED')];
    expect(walk(start, ...inputs).memory.state.at).toBe('backing-off');
  });

  test.each(['CHECKSUM_MISMATCH', 'SOURCE_DAMAGED'] as const)('%s is asked for three times more', (code) => {
    const again = [failure(code), due, streaming];
    const thrice = walk(start, ...again, ...again, ...again);
    expect(thrice.memory.state.at).toBe('streaming');
    const last = walk(start, ...again, ...again, ...again, failure(code));
    expect(last.memory.state).toMatchObject({
      at: 'stopping',
      cause: { code: 'SOURCE_DAMAGED', action: 'stop', message: expect.stringContaining(`m ${code}`) },
    });
  });

  test('damage at different places, with transactions in between, does not stop', () => {
    const again = [failure('CHECKSUM_MISMATCH'), due, streaming, { type: 'progress' } as const];
    expect(walk(start, ...again, ...again, ...again, ...again, ...again).memory.state.at).toBe('streaming');
  });

  test('three take-overs by another replica within five minutes stop, in plain words', () => {
    const at = (nowMs: number) => [failure('DUPLICATE_IDENTITY', nowMs), due, streaming];
    const { memory } = walk(start, ...at(0), ...at(100_000), failure('DUPLICATE_IDENTITY', 299_999));
    expect(memory.state).toMatchObject({
      at: 'stopping',
      cause: {
        code: 'DUPLICATE_IDENTITY',
        message: expect.stringContaining('two replicas with one identity'),
      },
    });
  });

  test('progress does not forget take-overs, time does', () => {
    const progress = { type: 'progress' } as const;
    const at = (nowMs: number) => [failure('DUPLICATE_IDENTITY', nowMs), due, streaming, progress];
    expect(walk(start, ...at(0), ...at(10), failure('DUPLICATE_IDENTITY', 20)).memory.state.at).toBe(
      'stopping',
    );
    expect(walk(start, ...at(0), ...at(10), failure('DUPLICATE_IDENTITY', 300_005)).memory.state.at).toBe(
      'backing-off',
    );
  });
});

describe('failures that will not pass', () => {
  const codes = (Object.keys(ERROR_CODES) as ErrorCode[]).filter(
    (code) => ERROR_CODES[code] !== 'retry' && code !== 'ACCESS_DENIED' && code !== 'PRIVILEGE_MISSING',
  );

  test.each(codes)('%s stops at once, with its cause', (code) => {
    const { memory, effects } = walk(start, streaming, failure(code));
    expect(memory.state).toMatchObject({ at: 'stopping', cause: { code, message: `m ${code}` } });
    expect(effects).toEqual([{ type: 'close' }]);
    const [closed, report] = stepReader(memory, { type: 'closed' }, POLICY);
    expect(closed.state).toMatchObject({ at: 'stopped', cause: { code } });
    expect(report).toMatchObject([{ type: 'report-stopped', cause: { code } }]);
  });

  test('the throw site may say that it passes after all', () => {
    expect(walk(start, failure('TLS', 0, { action: 'retry' })).memory.state.at).toBe('backing-off');
  });

  test('what fails while everything is being closed is no news', () => {
    const { memory, effects } = walk(start, { type: 'stop' }, failure('INTERNAL'));
    expect(memory.state).toEqual({ at: 'stopping', cause: null });
    expect(effects).toEqual([]);
  });
});

test('whatever comes in whatever order, a stop always leads to exactly one closing', () => {
  const event = fc.oneof(
    fc.constantFrom<ReaderInput>(due, streaming, { type: 'progress' }, { type: 'pause' }, { type: 'resume' }),
    fc.constantFrom(...(Object.keys(ERROR_CODES) as ErrorCode[])).map((code) => failure(code)),
  );
  fc.assert(
    fc.property(fc.array(event), fc.array(event), (before, after) => {
      let memory = initialReader('begins');
      let closes = 0;
      const take = (input: ReaderInput): void => {
        const [next, effects] = stepReader(memory, input, POLICY);
        memory = next;
        closes += effects.filter(({ type }) => type === 'close').length;
      };
      take(start);
      for (const input of before) take(input);
      take({ type: 'stop' });
      for (const input of after) take(input);
      expect(closes).toBe(1);
      expect(memory.state.at).toBe('stopping');
      take({ type: 'closed' });
      expect(memory.state.at).toBe('stopped');
    }),
  );
});

describe('a pause', () => {
  const pause: ReaderInput = { type: 'pause' };
  const resume: ReaderInput = { type: 'resume' };
  const discover: ReaderInput = { type: 'start', goal: 'discover' };
  const discovered: ReaderInput = { type: 'discovered', waitingFor: 'waiting for the target' };

  test('ends the stream, and resume connects again as if nothing had ever failed', () => {
    const paused = walk(start, failure('CONNECTION_LOST'), due, streaming, pause);
    expect(paused.memory.state).toEqual({ at: 'paused' });
    expect(paused.effects).toEqual([{ type: 'part' }]);
    const resumed = stepReader(paused.memory, resume, POLICY);
    expect(resumed[0].state).toEqual({ at: 'connecting', attempt: 1 });
    expect(resumed[1]).toEqual([{ type: 'connect', goal: 'stream' }]);
  });

  test('ends an attempt, and a wait for the next one', () => {
    expect(walk(start, pause).effects).toEqual([{ type: 'part' }]);
    const waiting = walk(start, failure('CONNECTION_LOST'), pause);
    expect(waiting.effects).toEqual([{ type: 'cancel-retry' }]);
    expect(stepReader(waiting.memory, due, POLICY)[1]).toEqual([]);
  });

  test('twice is once, and resume without a pause is nothing', () => {
    expect(walk(start, streaming, pause, pause).effects).toEqual([]);
    expect(walk(start, streaming, resume)).toEqual({ memory: walk(start, streaming).memory, effects: [] });
  });

  test('while nothing was to be done yet leaves what is to be done for after it', () => {
    const paused = walk(discover, discovered, pause);
    expect(paused.memory.state).toEqual({ at: 'paused' });
    expect(stepReader(paused.memory, resume, POLICY)[0].state).toEqual({
      at: 'idle',
      reason: 'waiting for the target',
    });
  });

  test('still lets the relay log tell how the source counts', () => {
    const looking = walk(discover, pause);
    expect(looking.effects).toEqual([{ type: 'part' }, { type: 'connect', goal: 'discover' }]);
    const known = stepReader(looking.memory, discovered, POLICY)[0];
    expect(known.state).toEqual({ at: 'paused' });
    expect(stepReader(known, resume, POLICY)[1]).toEqual([]);
  });

  test('waits with what only the source can tell until it is over', () => {
    const parked = walk(discover, pause, { type: 'parked' });
    expect(parked.memory.state).toEqual({ at: 'paused' });
    expect(stepReader(parked.memory, resume, POLICY)[1]).toEqual([{ type: 'connect', goal: 'discover' }]);
    // It was over before the relay log had been looked at.
    expect(walk(discover, pause, resume, { type: 'parked' }).effects).toEqual([
      { type: 'connect', goal: 'discover' },
    ]);
  });

  test('from birth on makes no connection', () => {
    let memory = initialReader('begins', true);
    for (const input of [discover, discovered]) [memory] = stepReader(memory, input, POLICY);
    expect(memory.state).toEqual({ at: 'paused' });
  });

  test('a stop ends it', () => {
    const stopped = walk(start, streaming, pause, { type: 'stop' }, { type: 'closed' });
    expect(stopped.memory.state).toEqual({ at: 'stopped', cause: null });
    expect(walk(start, { type: 'stop' }, pause).effects).toEqual([]);
  });
});
