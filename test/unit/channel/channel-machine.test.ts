import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, type ErrorCode, type PlainError } from '../../../src/base/errors.ts';
import { ASK_AGAIN_MS, ASK_MS } from '../../../src/channel/channel-machine.ts';
import type { ChannelEffect, ThreadId } from '../../../src/channel/channel-state.ts';
import { error, Run, reaching, running, UUID } from './channel-run.ts';

describe('what a look before the start refuses', () => {
  const NO_GRANT: PlainError = error('PRIVILEGE_MISSING');

  test('a refused source stops the channel before anything is started, while there is nothing to apply', () => {
    const run = new Run(2);
    const refused = { source: NO_GRANT, targets: [null, null], relayLogIsEmpty: true };
    expect(run.in({ type: 'start', refused })).toEqual([]);
    expect(run.machine.state).toEqual({ at: 'stopped', cause: NO_GRANT });
  });

  test('a refused target is not started; the others and the reader are', () => {
    const run = new Run(2);
    const refused = { source: null, targets: [NO_GRANT, null], relayLogIsEmpty: true };
    expect(run.in({ type: 'start', refused })).toEqual([
      { do: 'spawn', thread: 'reader' },
      { do: 'spawn', thread: 1 },
    ]);
    expect(run.machine.targets[0]?.stopCause).toEqual(NO_GRANT);
    run.source(true);
    expect(run.executed(1, `${UUID}:1-4`)).toEqual([{ do: 'start-reader', executed: `${UUID}:1-4` }]);
  });

  test('when every target is refused the channel stops, or goes on receiving where it had begun', () => {
    const none = new Run(2);
    const refused = { source: null, targets: [NO_GRANT, NO_GRANT], relayLogIsEmpty: true };
    expect(none.in({ type: 'start', refused })).toEqual([]);
    expect(none.machine.state).toEqual({ at: 'stopped', cause: NO_GRANT });
    const begun = new Run(2);
    expect(begun.in({ type: 'start', refused: { ...refused, relayLogIsEmpty: false } })).toEqual([
      { do: 'spawn', thread: 'reader' },
    ]);
  });

  test('a stop that came while servers were looked at is the end', () => {
    const run = new Run(1);
    run.in({ type: 'stop' });
    expect(run.at).toBe('stopped');
    expect(run.in({ type: 'start', refused: null })).toEqual([]);
    expect(run.at).toBe('stopped');
  });
});

describe('the start of a channel', () => {
  test('starts every thread; the appliers begin when the kind of the source is known', () => {
    const run = new Run(2);
    expect(run.in({ type: 'start', refused: null })).toEqual([
      { do: 'spawn', thread: 'reader' },
      { do: 'spawn', thread: 0 },
      { do: 'spawn', thread: 1 },
    ]);
    expect(run.source(true)).toEqual([
      { do: 'start-applier', target: 0, kind: 'gtid' },
      { do: 'start-applier', target: 1, kind: 'gtid' },
    ]);
    expect(run.at).toBe('asking');
  });

  test('the reader begins after what all targets have', () => {
    const run = reaching(2);
    run.source(true);
    expect(run.executed(0, `${UUID}:1-10`)).toEqual([]);
    expect(run.executed(1, `${UUID}:1-5:7-20`)).toEqual([
      { do: 'start-reader', executed: `${UUID}:1-5:7-10` },
    ]);
    expect(run.at).toBe('running');
  });

  test('a target that has nothing makes the reader begin at the beginning', () => {
    const run = reaching(2);
    run.source(true);
    run.executed(0, `${UUID}:1-10`);
    expect(run.executed(1, '')).toEqual([{ do: 'start-reader', executed: '' }]);
  });

  test('with an empty relay log it waits for a target that cannot be reached, for as long as it takes', () => {
    const run = reaching(2);
    run.source(true);
    run.executed(0, `${UUID}:1-10`);
    expect(run.tick(3_600_000)).toEqual([]);
    expect(run.executed(1, `${UUID}:1-4`)).toEqual([{ do: 'start-reader', executed: `${UUID}:1-4` }]);
  });

  test('with data in the relay log it waits two seconds, then goes on after what is there', () => {
    const run = reaching(2);
    run.source(false);
    run.executed(0, `${UUID}:1-10`);
    expect(run.tick(ASK_MS - 1)).toEqual([]);
    expect(run.tick(1)).toEqual([{ do: 'start-reader', executed: null }]);
    expect(run.at).toBe('running');
  });

  test('a target that has stopped does not hold up the others', () => {
    const run = reaching(2);
    run.source(true);
    run.executed(0, `${UUID}:1-10`);
    expect(run.ended(1, error('ACCESS_DENIED'))).toEqual([{ do: 'start-reader', executed: `${UUID}:1-10` }]);
    expect(run.machine.targets[1]?.stopCause?.code).toBe('ACCESS_DENIED');
  });

  test('when every target has stopped and nothing is received, the channel stops', () => {
    const run = reaching(1);
    run.source(true);
    expect(run.ended(0, error('ACCESS_DENIED'))).toEqual([{ do: 'stop', thread: 'reader' }]);
    run.ended('reader');
    expect(run.machine.state).toEqual({ at: 'stopped', cause: error('ACCESS_DENIED') });
  });

  test('when every target has stopped and the relay log has data, the reader goes on receiving', () => {
    const run = reaching(1);
    run.source(false);
    expect(run.ended(0, error('ACCESS_DENIED'))).toEqual([{ do: 'start-reader', executed: null }]);
  });

  test('a reader that stops before the kind is known stops the channel', () => {
    const run = reaching(1);
    expect(run.ended('reader', error('ACCESS_DENIED'))).toEqual([{ do: 'stop', thread: 0 }]);
    run.ended(0);
    expect(run.machine.state).toEqual({ at: 'stopped', cause: error('ACCESS_DENIED') });
  });

  test('a reader that stops once the targets are asked leaves the appliers at work', () => {
    const run = reaching(1);
    run.source(false);
    expect(run.ended('reader', error('SOURCE_PURGED'))).toEqual([]);
    expect(run.at).toBe('running');
    expect(run.machine.targets[0]?.life).toBe('live');
  });

  test('a set that is none stops the step, and the fault then stops the channel', () => {
    const run = reaching(2);
    run.source(true);
    run.executed(0, `${UUID}:1`);
    expect(() => run.executed(1, 'nonsense')).toThrow(
      expect.objectContaining({ code: 'MALFORMED_POSITION' }),
    );
    run.in({ type: 'fault', cause: error('MALFORMED_POSITION') });
    expect(run.at).toBe('stopping');
  });
});

describe('threads that fail', () => {
  test('a dead applier is started again after a wait, and told the kind', () => {
    const run = running();
    expect(run.ended(0, error('INTERNAL'), true)).toEqual([]);
    expect(run.tick(999)).toEqual([]);
    expect(run.tick(1)).toEqual([
      { do: 'spawn', thread: 0 },
      { do: 'start-applier', target: 0, kind: 'gtid' },
    ]);
    expect(run.tick(100_000)).toEqual([]);
  });

  test('a dead reader is started again and goes on after what the targets had', () => {
    const run = running();
    run.ended('reader', error('INTERNAL'), true);
    expect(run.tick(1_000)).toEqual([
      { do: 'spawn', thread: 'reader' },
      { do: 'start-reader', executed: `${UUID}:1-10` },
    ]);
    expect(run.source(false)).toEqual([]);
  });

  test('a reader that dies before the kind is known is started again and finds out', () => {
    const run = reaching(1);
    run.ended('reader', error('INTERNAL'), true);
    expect(run.tick(1_000)).toEqual([{ do: 'spawn', thread: 'reader' }]);
    expect(run.source(true)).toEqual([{ do: 'start-applier', target: 0, kind: 'gtid' }]);
  });

  test('the wait doubles, and the sixth failure within ten minutes is the last', () => {
    const run = running();
    for (const waitMs of [1_000, 2_000, 4_000, 8_000, 16_000]) {
      run.ended(0, error('INTERNAL'), true);
      expect(run.tick(waitMs - 1)).toEqual([]);
      expect(run.tick(1)).toHaveLength(2);
    }
    run.ended(0, error('INTERNAL'), true);
    expect(run.tick(100_000)).toEqual([]);
    expect(run.machine.targets[0]?.stopCause?.code).toBe('INTERNAL');
  });

  test('failures longer ago than ten minutes do not count', () => {
    const run = running();
    for (let round = 0; round < 20; round++) {
      run.ended(0, error('INTERNAL'), true);
      expect(run.tick(700_000)).toHaveLength(2);
    }
  });

  test('a thread that ends for a reason an operator must mend stays down', () => {
    const run = running();
    run.ended(0, error('APPLY_FAILED'));
    expect(run.tick(3_600_000)).toEqual([]);
    expect(run.at).toBe('running');
  });

  test('another kind of source than before stops the channel', () => {
    const run = running();
    expect(() => run.in({ type: 'source', kind: 'mariadb', relayLogIsEmpty: false })).toThrow(
      expect.objectContaining({ code: 'SOURCE_CONFIG' }),
    );
  });
});

describe('a resync', () => {
  test('ends all threads, throws the log away only then, and begins anew', () => {
    const run = running(2);
    expect(run.ended(1, error('TARGET_WENT_BACK'))).toEqual([
      { do: 'stop', thread: 'reader' },
      { do: 'stop', thread: 0 },
    ]);
    expect(run.at).toBe('draining');
    expect(run.ended('reader')).toEqual([]);
    expect(run.ended(0)).toEqual([
      { do: 'discard-relay-log' },
      { do: 'spawn', thread: 'reader' },
      { do: 'spawn', thread: 0 },
      { do: 'spawn', thread: 1 },
    ]);
    expect(run.machine.resyncCause?.code).toBe('TARGET_WENT_BACK');
    run.source(true);
    run.executed(0, `${UUID}:1-12`);
    expect(run.executed(1, `${UUID}:1-3`)).toEqual([{ do: 'start-reader', executed: `${UUID}:1-3` }]);
    run.in({ type: 'reader-streaming' });
    expect(run.machine.resyncCause).toBeNull();
  });

  test('a relay log damaged at birth is thrown away and fetched again', () => {
    const run = reaching(1);
    expect(run.ended('reader', error('RELAY_CORRUPT'))).toEqual([{ do: 'stop', thread: 0 }]);
    expect(run.ended(0)[0]).toEqual({ do: 'discard-relay-log' });
    expect(run.at).toBe('reaching');
  });

  test('a target that cannot be reached counts with what it had before, after ten seconds', () => {
    const run = running(2);
    run.ended('reader', error('RELAY_CORRUPT'));
    run.ended(0);
    run.ended(1);
    run.source(true);
    run.executed(0, `${UUID}:1-15`);
    expect(run.tick(ASK_AGAIN_MS - 1)).toEqual([]);
    expect(run.tick(1)).toEqual([{ do: 'start-reader', executed: `${UUID}:1-10` }]);
  });

  test('when the source no longer has what one target lacks, that one stops and the others go on', () => {
    const run = running(2);
    run.ended(1, error('TARGET_WENT_BACK'));
    run.ended('reader');
    run.ended(0);
    run.source(true);
    run.executed(0, `${UUID}:1-12`);
    run.executed(1, '');
    expect(run.ended('reader', error('SOURCE_PURGED'))).toEqual([
      { do: 'stop', thread: 1 },
      { do: 'spawn', thread: 'reader' },
      { do: 'start-reader', executed: `${UUID}:1-12` },
    ]);
    run.ended(1);
    expect(run.machine.targets[1]?.stopCause?.code).toBe('SOURCE_PURGED');
    expect(run.machine.reader.stopCause).toBeNull();
    run.in({ type: 'reader-streaming' });
    expect(run.machine.resyncCause).toBeNull();
  });

  test('when the source no longer has what the only target lacks, the reader stops', () => {
    const run = running(1);
    run.ended(0, error('TARGET_WENT_BACK'));
    run.ended('reader');
    run.source(true);
    run.executed(0, '');
    expect(run.ended('reader', error('SOURCE_PURGED'))).toEqual([]);
    expect(run.machine.reader.stopCause?.code).toBe('SOURCE_PURGED');
  });

  test('the second waits, and the sixth within ten minutes leaves the thread stopped', () => {
    const run = running();
    const resync = (): ChannelEffect[] => {
      run.ended('reader', error('RELAY_CORRUPT'));
      return run.ended(0);
    };
    expect(resync()).toHaveLength(3);
    for (const waitMs of [2_000, 4_000, 8_000, 16_000]) {
      run.source(true);
      run.executed(0, '');
      expect(resync()).toEqual([]);
      expect(run.tick(waitMs - 1)).toEqual([]);
      expect(run.tick(1)).toHaveLength(3);
    }
    run.source(true);
    run.executed(0, '');
    expect(run.ended('reader', error('RELAY_CORRUPT'))).toEqual([]);
    expect(run.machine.reader.stopCause?.code).toBe('RELAY_CORRUPT');
    expect(run.at).toBe('running');
  });
});

describe('releasing relay files', () => {
  test('goes by the slowest target and waits until every one has reported', () => {
    const run = running(2);
    expect(run.in({ type: 'needed-file', target: 0, fileNumber: 5 })).toEqual([]);
    expect(run.in({ type: 'needed-file', target: 1, fileNumber: 3 })).toEqual([
      { do: 'release-files', below: 3 },
    ]);
    expect(run.in({ type: 'needed-file', target: 0, fileNumber: 6 })).toEqual([]);
    expect(run.in({ type: 'needed-file', target: 1, fileNumber: 9 })).toEqual([
      { do: 'release-files', below: 6 },
    ]);
  });

  test('a target that has stopped keeps its files', () => {
    const run = running(2);
    run.in({ type: 'needed-file', target: 0, fileNumber: 2 });
    run.in({ type: 'needed-file', target: 1, fileNumber: 2 });
    run.ended(1, error('APPLY_FAILED'));
    expect(run.in({ type: 'needed-file', target: 0, fileNumber: 9 })).toEqual([]);
  });

  test('a reader that was started again is told again', () => {
    const run = running(1);
    run.in({ type: 'needed-file', target: 0, fileNumber: 4 });
    run.ended('reader', null, true);
    expect(run.tick(1_000)).toContainEqual({ do: 'release-files', below: 4 });
  });

  test('after a resync everything is needed again', () => {
    const run = running(1);
    run.in({ type: 'needed-file', target: 0, fileNumber: 4 });
    run.ended('reader', error('RELAY_CORRUPT'));
    run.ended(0);
    run.source(true);
    expect(run.executed(0, '')).toEqual([{ do: 'start-reader', executed: '' }]);
  });
});

describe('a stop', () => {
  test('ends all threads and is over when the last is gone', () => {
    const run = running(2);
    expect(run.in({ type: 'stop' })).toEqual([
      { do: 'stop', thread: 'reader' },
      { do: 'stop', thread: 0 },
      { do: 'stop', thread: 1 },
    ]);
    run.ended(1);
    run.ended('reader');
    expect(run.at).toBe('stopping');
    run.ended(0);
    expect(run.machine.state).toEqual({ at: 'stopped', cause: null });
  });

  test('a thread that waits for its next start is not started again', () => {
    const run = running(1);
    run.ended(0, error('INTERNAL'), true);
    run.in({ type: 'stop' });
    expect(run.tick(60_000)).toEqual([]);
    run.ended('reader');
    expect(run.at).toBe('stopped');
  });

  test('works before anything has begun', () => {
    const run = new Run(1);
    run.in({ type: 'stop' });
    expect(run.at).toBe('stopped');
  });
});

/** A world that obeys: keeps the threads that the machine wants, and lets anything happen to them. */
test('whatever happens, no thread is started twice, no log is thrown away under a thread, and a stop always ends', () => {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  const event = fc.record({
    what: fc.constantFrom(
      'source',
      'executed',
      'needed',
      'streaming',
      'end',
      'die',
      'tick',
      'stop',
      'resume',
    ),
    thread: fc.nat(2),
    code: fc.constantFrom(...codes),
    number: fc.integer({ min: 1, max: 9 }),
    ms: fc.integer({ min: 0, max: 40_000 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      const run = new Run(2);
      const live = new Set<ThreadId>();
      const ending = new Set<ThreadId>();
      const obey = (effects: readonly ChannelEffect[]): void => {
        for (const effect of effects) {
          if (effect.do === 'spawn') {
            expect(live.has(effect.thread)).toBe(false);
            live.add(effect.thread);
          } else if (effect.do === 'stop') {
            expect(live.has(effect.thread)).toBe(true);
            ending.add(effect.thread);
          } else if (effect.do === 'start-reader') expect(live.has('reader')).toBe(true);
          else if (effect.do === 'start-applier') expect(live.has(effect.target)).toBe(true);
          else if (effect.do === 'discard-relay-log') expect(live.size).toBe(0);
        }
      };
      const end = (thread: ThreadId, cause: PlainError | null, died: boolean): void => {
        live.delete(thread);
        ending.delete(thread);
        obey(run.ended(thread, cause, died));
      };
      obey(run.in({ type: 'start', refused: null }));
      for (const { what, thread: index, code, number, ms } of events) {
        const thread: ThreadId = index === 2 ? 'reader' : index;
        const target = index % 2;
        if (what === 'source' && live.has('reader')) obey(run.source(number > 4));
        if (what === 'executed' && live.has(target)) obey(run.executed(target, `${UUID}:1-${number}`));
        if (what === 'needed' && live.has(target)) {
          obey(run.in({ type: 'needed-file', target, fileNumber: number }));
        }
        if (what === 'streaming' && live.has('reader')) obey(run.in({ type: 'reader-streaming' }));
        if (what === 'end' && live.has(thread)) end(thread, ending.has(thread) ? null : error(code), false);
        if (what === 'die' && live.has(thread)) end(thread, error('INTERNAL'), true);
        if (what === 'tick') obey(run.tick(ms));
        if (what === 'stop') obey(run.in({ type: 'stop' }));
        if (what === 'resume') obey(run.in({ type: 'resume', thread }));
      }
      obey(run.in({ type: 'stop' }));
      for (const thread of [...live]) {
        expect(ending.has(thread)).toBe(true);
        end(thread, null, false);
      }
      expect(run.at).toBe('stopped');
      expect(live.size).toBe(0);
    }),
    { numRuns: 500 },
  );
});
