import { describe, expect, test } from 'vitest';
import { error, reaching, running, UUID } from './channel-run.ts';

describe('resume', () => {
  test('starts a target again that had stopped until an operator acts', () => {
    const run = running(2);
    run.ended(1, error('APPLY_FAILED'));
    expect(run.in({ type: 'resume', thread: 1 })).toEqual([
      { do: 'spawn', thread: 1 },
      { do: 'start-applier', target: 1, kind: 'gtid' },
    ]);
    expect(run.machine.targets[1]).toMatchObject({ stopCause: null, life: 'live' });
  });

  test('starts the reader again where it had stopped', () => {
    const run = running();
    run.ended('reader', error('ACCESS_DENIED'));
    expect(run.in({ type: 'resume', thread: 'reader' })).toEqual([
      { do: 'spawn', thread: 'reader' },
      { do: 'start-reader', executed: `${UUID}:1-10` },
    ]);
  });

  test('begins a channel anew that had stopped as a whole, but not before what had stopped it is resumed', () => {
    const run = reaching(2);
    run.ended(0, error('ACCESS_DENIED'));
    run.ended('reader', error('ACCESS_DENIED'));
    run.ended(1);
    expect(run.at).toBe('stopped');
    expect(run.in({ type: 'resume', thread: 0 })).toEqual([]);
    expect(run.at).toBe('stopped');
    expect(run.in({ type: 'resume', thread: 'reader' })).toEqual([
      { do: 'spawn', thread: 'reader' },
      { do: 'spawn', thread: 0 },
      { do: 'spawn', thread: 1 },
    ]);
    expect(run.at).toBe('reaching');
  });

  test('of what runs, or is about to, is nothing', () => {
    const run = running();
    expect(run.in({ type: 'resume', thread: 0 })).toEqual([]);
    run.ended(0, error('INTERNAL'), true);
    expect(run.in({ type: 'resume', thread: 0 })).toEqual([]);
    run.in({ type: 'stop' });
    expect(run.in({ type: 'resume', thread: 0 })).toEqual([]);
  });
});
