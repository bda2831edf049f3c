import { describe, expect, test } from 'vitest';
import { countGtids, runTorture } from '../torture/torture.ts';

describe('the short form of the torture', () => {
  test.each([
    {
      flavour: 'mysql',
      progress: 'gtid',
      commitOrder: 'window',
      coalesce: 1,
      kills: 3,
      targetKills: 1,
      cuts: 2,
    },
    {
      flavour: 'mysql',
      progress: 'table',
      commitOrder: 'window',
      coalesce: 50,
      kills: 2,
      targetKills: 1,
      cuts: 1,
    },
    {
      flavour: 'mariadb',
      progress: 'table',
      commitOrder: 'source',
      coalesce: 1,
      kills: 2,
      targetKills: 1,
      cuts: 1,
    },
  ] as const)(
    'nothing is lost or doubled on $flavour with progress $progress, commit order $commitOrder, coalesced $coalesce',
    async (options) => {
      const result = await runTorture({ ...options, seed: 20_261 });
      expect(result.differences).toEqual([]);
      expect(result).toMatchObject({
        rowsLost: 0,
        rowsDoubled: 0,
        gtidHoles: 0,
        kills: options.kills,
        cuts: options.cuts,
      });
      expect(result.transactions).toBeGreaterThan(100);
      expect(result.relayFilesVerified).toBeGreaterThan(0);
    },
    400_000,
  );

  test('GTIDs of a set are counted', () => {
    const uuid = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
    expect(countGtids('')).toBe(0);
    expect(countGtids(`${uuid}:1-5:9,\n${uuid}:tag_1:2-3`)).toBe(8);
  });
});
