/**
 * How fresh a target is told to be when threads answer at different moments, hang, or are gone.
 */
import { describe, expect, test } from 'vitest';
import { silentLogger } from '../../../src/base/runtime.ts';
import { provenUpTo } from '../../../src/observe/freshness.ts';
import { lagVerdict } from '../../../src/observe/health.ts';
import { Observer } from '../../../src/observe/observer.ts';
import { RecentEvents } from '../../../src/observe/recent-events.ts';
import { composeStatus } from '../../../src/observe/status.ts';
import { error, FACTS, NOW, snapshot, UPTIME, UUID, type Wish } from './snapshots.ts';

const HOUR = 3_600_000;
const ask = { channel: null, target: null, maxSeconds: 5 };

/** As `snapshot`, with the freshness of each thread told apart. */
function seen(wish: Wish, readerFresh = true, targetFresh = true) {
  const made = snapshot(wish);
  return {
    ...made,
    reader: { ...made.reader, fresh: readerFresh },
    targets: made.targets.map((target) => ({ ...target, fresh: targetFresh })),
  };
}

/** An observer, and its clock. */
function watching() {
  const time = { ms: UPTIME };
  const observer = new Observer({
    look: async () => [],
    version: '0.1.0',
    startedWallMs: NOW,
    clock: { wallMs: () => NOW, monotonicMs: () => time.ms },
    log: silentLogger,
    recent: new RecentEvents(),
  });
  return { time, observer };
}

describe('the bound', () => {
  test('a reader that stopped an hour ago leaves no target fresh', () => {
    const readerState = { at: 'stopped', cause: error('SOURCE_PURGED', 'the log is gone') } as const;
    const takenAtMs = UPTIME - HOUR;
    const wish = { readerState, reader: { takenAtMs, contactAtMs: takenAtMs - 300, proofAgeMs: 300 } };
    const status = composeStatus([seen(wish, false)], FACTS);
    expect(status.channels[0]!.targets[0]!.lag.at_most_seconds).toBe(3600.3);
    expect(lagVerdict(status, ask).verdict?.well).toBe(false);
  });

  test('an applier that does not answer is not proven to be up to date by the reader', () => {
    const status = composeStatus([seen({}, true, false)], FACTS);
    expect(lagVerdict(status, ask).verdict?.well).toBe(false);
  });

  test('of what was proven while both answered is kept, and grows while one of them does not', () => {
    const { time, observer } = watching();
    const atMost = (wish: Wish, reader: boolean, target: boolean) =>
      observer.compose([seen(wish, reader, target)]).channels[0]!.targets[0]!.lag.at_most_seconds;
    expect(atMost({}, true, true)).toBe(0.3);
    for (const second of [1, 2, 60]) {
      time.ms = UPTIME + second * 1000;
      const reader = { takenAtMs: time.ms, contactAtMs: time.ms - 300 };
      expect(atMost({ reader }, true, false)).toBe(second + 0.3);
    }
    const targetState = { at: 'stopped', cause: error('APPLY_FAILED', 'row not found') } as const;
    time.ms = UPTIME + 90_000;
    const reader = { takenAtMs: time.ms, contactAtMs: time.ms - 300 };
    expect(atMost({ targetState, reader }, true, false)).toBe(90.3);
    expect(atMost({ reader, target: { takenAtMs: time.ms } }, true, true)).toBe(0.3);
  });

  test('is forgotten when the target went back to an older state', () => {
    const before = { ms: UPTIME - 300, executed: `${UUID}:1-5021` };
    const behind = { executed: `${UUID}:1-4000`, caughtUpWithRelay: false };
    const back = snapshot({ target: behind });
    expect(provenUpTo(before, back, back.targets[0]!, UPTIME)).toBeNull();
    const unknown = snapshot({ target: { ...behind, executed: null } });
    expect(provenUpTo(before, unknown, unknown.targets[0]!, UPTIME)).toEqual(before);
  });

  test('does not rest on what the reader received after the applier had answered', () => {
    const status = composeStatus([snapshot({ reader: { retrieved: `${UUID}:1-5022` } })], FACTS);
    expect(status.channels[0]!.targets[0]!.lag.at_most_seconds).toBeNull();
  });
});

describe('a lag of 0', () => {
  test.each<[string, Wish]>([
    ['the received set holds what the executed set does not', { target: { executed: `${UUID}:1-5020` } }],
    ['bytes of the relay log are not applied', { target: { pendingBytes: 400 } }],
    ['the words of the reader are old', { reader: { takenAtMs: UPTIME - 3_000, caughtUpWithSource: false } }],
  ])('is not told while %s', (_, wish) => {
    const [target] = composeStatus([snapshot(wish)], FACTS).channels[0]!.targets;
    expect(target!.lag_seconds).toBeNull();
  });

  test('nor one of transactions while bytes of the relay log are not applied', () => {
    const [target] = composeStatus([snapshot({ target: { pendingBytes: 400 } })], FACTS).channels[0]!.targets;
    expect(target!.lag_transactions).toBeNull();
    expect(target!.lag.applied.transactions).toBeNull();
  });
});

test.each([
  ['at its end', 88_231, 0],
  ['before its end', 88_200, null],
])('by file and position, a target whose place in the relay log is %s', (_, offset, lag) => {
  // Nothing that is a transaction lies between the two positions.
  const wish: Wish = {
    machine: { kind: 'position' },
    reader: {
      retrieved: 'binlog.000004:4',
      relayFile: 'relay-bin.000007',
      relayPosition: 88_231,
      head: null,
    },
    target: { executed: 'binlog.000002:1596833', appliedTo: { fileNumber: 7, offset } },
  };
  const [target] = composeStatus([snapshot(wish)], FACTS).channels[0]!.targets;
  expect(target!.lag_seconds).toBe(lag);
});

test('an ETA is not told from a backlog that only went out of sight when the reader was paused', () => {
  const { time, observer } = watching();
  const GB = 1e9;
  // 1 GB waits in the relay log and does not get less; the source is 10 GB ahead until the reader is paused.
  const waits = {
    pendingBytes: GB,
    caughtUpWithRelay: false,
    pendingCommitMicros: '1',
    pendingAgeMs: 60_000,
  };
  const head = { file: 'binlog.000042', position: 11 * GB, executed: null, ageMs: 400, bytesAhead: 10 * GB };
  for (let second = 0; second < 12; second++, time.ms += 1000) {
    const streams = second < 6;
    const wish: Wish = {
      readerState: streams ? { at: 'streaming', sinceMs: 0 } : { at: 'paused' },
      reader: { takenAtMs: time.ms, head: streams ? head : null, caughtUpWithSource: false },
      target: { ...waits, takenAtMs: time.ms },
    };
    const { eta } = observer.compose([snapshot(wish)]).channels[0]!.targets[0]!;
    expect(eta.text).toBe(streams && second >= 5 ? 'never at this rate' : 'unknown');
  }
});
