import { describe, expect, test } from 'vitest';
import { runControlTorture } from '../torture/control-torture.ts';

describe('the short form of the control torture', () => {
  test.each([
    { flavour: 'mysql', progress: 'gtid', kills: 7, seed: 5 },
    { flavour: 'mariadb', progress: 'table', kills: 4, seed: 9 },
  ] as const)(
    'what operators say is neither forgotten nor passed on $flavour with progress $progress',
    async (options) => {
      const result = await runControlTorture(options);
      expect(result).toMatchObject({ lost: 0, doubled: 0, forgotten: 0, passed: [], gtidsEqual: true });
      expect(result.kills).toBeGreaterThanOrEqual(options.kills);
      expect(result.transactions).toBeGreaterThan(50);
    },
    400_000,
  );
});
