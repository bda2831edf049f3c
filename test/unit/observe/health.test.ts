import { describe, expect, test } from 'vitest';
import { lagVerdict, readiness } from '../../../src/observe/health.ts';
import { composeStatus } from '../../../src/observe/status.ts';
import { error, FACTS, snapshot, type Wish } from './snapshots.ts';

const status = (...wishes: Wish[]) =>
  composeStatus(
    wishes.map((wish, index) => ({ ...snapshot(wish), name: `channel-${index}` })),
    FACTS,
  );
const ask = { channel: null, target: null, maxSeconds: 5 };

describe('readiness', () => {
  test('every channel runs', () => {
    expect(readiness(status({}, {}))).toEqual({ well: true, line: 'ready' });
  });

  test('one does not: which, and why', () => {
    const readerState = { at: 'stopped' as const, cause: error('SOURCE_PURGED', 'the log is gone') };
    expect(readiness(status({}, { readerState }))).toEqual({
      well: false,
      line: 'channel-1 degraded: reader: stopped, the log is gone',
    });
  });
});

describe('a target may be read from', () => {
  const behind = (ms: number): Wish => ({
    target: { pendingCommitMicros: '1700000000000000', pendingAgeMs: ms, caughtUpWithRelay: false },
  });

  test.each<[string, Wish, boolean, string]>([
    ['caught up', {}, true, 'fresh: behind at most 0.3 s, 5 s allowed'],
    ['a little behind', behind(4_900), true, 'fresh: behind at most 4.9 s, 5 s allowed'],
    ['too far behind', behind(5_100), false, 'stale: behind at most 5.1 s, 5 s allowed'],
    [
      'the source unplugged: as old as the last proof',
      {
        readerState: { at: 'connecting', attempt: 2 },
        reader: { proofAgeMs: 60_000, caughtUpWithSource: false },
      },
      false,
      'stale: behind at most 60.0 s, 5 s allowed',
    ],
    [
      'nothing proven yet',
      { reader: { proofAgeMs: null, caughtUpWithSource: false } },
      false,
      'stale: nothing is known of the lag',
    ],
    [
      'stopped',
      { targetState: { at: 'stopped', cause: error('APPLY_FAILED', 'row not found') } },
      false,
      'stale: stopped, stopped, row not found',
    ],
  ])('%s', (_what, wish, well, line) => {
    expect(lagVerdict(status(wish), ask)).toEqual({ verdict: { well, line }, line });
  });

  test('the one that is asked about, and no other', () => {
    const two = status({}, behind(60_000));
    expect(lagVerdict(two, { ...ask, channel: 'channel-1' }).verdict?.well).toBe(false);
    expect(lagVerdict(two, { ...ask, channel: 'channel-0', target: 'standby' }).verdict?.well).toBe(true);
    expect(lagVerdict(two, ask)).toEqual({
      verdict: null,
      line: 'which channel? there are channel-0, channel-1',
    });
    expect(lagVerdict(two, { ...ask, channel: 'x' }).line).toBe(
      'no channel "x"; there are channel-0, channel-1',
    );
    expect(lagVerdict(two, { ...ask, channel: 'channel-0', target: 'y' }).line).toBe(
      'no target "y"; there are standby',
    );
  });
});
