import { describe, expect, test } from 'vitest';
import { parsePositionSet } from '../../../src/binlog/position-set.ts';
import { HeadContinuity } from '../../../src/reader/head-continuity.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const at = (file: string, position: number, set: string | null = null) => ({
  place: { file, position },
  set: set === null ? null : parsePositionSet('gtid', set),
});

describe('a look at the source after something was received from it', () => {
  test('that has all of it goes on, also when it has more', () => {
    const continuity = new HeadContinuity();
    const had = at('binlog.000010', 4000, `${A}:1-52`);
    const same = { begunMs: 1000, ...at('binlog.000010', 4000, `${A}:1-52`) };
    expect(continuity.judge(same, had, true).is).toBe('sound');
    const more = { begunMs: 2000, ...at('binlog.000011', 200, `${A}:1-60`) };
    expect(continuity.judge(more, had, true).is).toBe('sound');
  });

  test('whose log ends before what was received tells of another history', () => {
    const had = at('binlog.000010', 4000, `${A}:1-52`);
    const look = { begunMs: 1000, ...at('binlog.000001', 436, `${A}:1`) };
    expect(new HeadContinuity().judge(look, had, true)).toMatchObject({ is: 'broken' });
  });

  test('whose log ends before that of the look before does as well, whatever is in its set', () => {
    const continuity = new HeadContinuity();
    const had = at('binlog.000001', 157, `${A}:1-2`);
    expect(continuity.judge({ begunMs: 1000, ...at('binlog.000010', 9, `${A}:1-52`) }, had, true).is).toBe(
      'sound',
    );
    const reset = { begunMs: 2000, ...at('binlog.000001', 436, `${A}:1-60`) };
    expect(continuity.judge(reset, had, true).is).toBe('broken');
    // A new dump asks anew, and what it says counts.
    continuity.clear();
    expect(continuity.judge(reset, had, true).is).toBe('sound');
  });

  test('that lacks a commit which waits for its semi-sync replicas proves nothing, and is not refused', () => {
    const continuity = new HeadContinuity();
    const look = (second: number, n: number) => ({
      begunMs: second * 1000,
      ...at('binlog.000010', 5000, `${A}:1-${n}`),
    });
    const had = (n: number) => at('binlog.000010', 4000, `${A}:1-${n}`);
    expect(continuity.judge(look(1, 51), had(52), true).is).toBe('pending');
    expect(continuity.judge(look(11, 52), had(52), true).is).toBe('sound');
    // Another each time: under load there is always one on its way.
    for (let n = 53; n < 153; n++) {
      expect(continuity.judge(look(n, n - 1), had(n), true).is).toBe('pending');
    }
    // The same for a minute.
    expect(continuity.judge(look(212, 151), had(152), true).is).toBe('broken');
  });

  test('on MariaDB has everything at once', () => {
    const had = { place: null, set: parsePositionSet('mariadb', '0-1-5') };
    const look = { begunMs: 1, place: null, set: parsePositionSet('mariadb', '0-1-4') };
    expect(new HeadContinuity().judge(look, had, false).is).toBe('broken');
    // Its last GTID may be less than its greatest.
    const history = parsePositionSet('mariadb', '0-2-9');
    expect(new HeadContinuity().judge({ ...look, history }, had, false).is).toBe('sound');
  });
});
