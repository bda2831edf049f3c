import { describe, expect, test } from 'vitest';
import { parseMoment } from '../../../src/cli/moment.ts';

describe('a moment', () => {
  test.each([
    ['2026-02-03T04:05:06Z', '2026-02-03T04:05:06.000Z'],
    ['2026-02-03 04:05:06z', '2026-02-03T04:05:06.000Z'],
    ['2026-02-03T04:05:06.25Z', '2026-02-03T04:05:06.250Z'],
    ['2026-02-03T04:05:06.123456Z', '2026-02-03T04:05:06.123Z'],
    ['2026-02-03T04:05+01:30', '2026-02-03T02:35:00.000Z'],
    ['2026-02-03 04:05:06 -0800', '2026-02-03T12:05:06.000Z'],
    ['2024-02-29T00:00:00Z', '2024-02-29T00:00:00.000Z'],
  ])('%s is read with its zone', (text, iso) => {
    expect(new Date(parseMoment(text)!).toISOString()).toBe(iso);
  });

  test.each(['2026-02-03 04:05:06', '2026-02-03T04:05', '2026-02-03'])(
    '%s is read in the zone of this machine',
    (text) => {
      const ms = parseMoment(text)!;
      const [year, month, day] = [2026, 1, 3];
      const expected =
        text.length > 10
          ? new Date(year, month, day, 4, 5, text.length > 16 ? 6 : 0)
          : new Date(year, month, day);
      expect(ms).toBe(expected.getTime());
    },
  );

  test.each([
    '',
    'now',
    'yesterday',
    '2026-02-30',
    '2026-13-01',
    '2026-02-03 25:00',
    '2026-02-03T04:05:06+99:00',
    '1770091506',
    '03.02.2026',
    '2026-02-03 04',
  ])('%j is none', (text) => {
    expect(parseMoment(text)).toBeNull();
  });
});
