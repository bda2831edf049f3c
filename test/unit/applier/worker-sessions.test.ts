import { expect, test } from 'vitest';
import { crewOf } from '../../../src/applier/worker-sessions.ts';

test.each([
  { workers: 1, sessionsEach: 1 },
  { workers: 2, sessionsEach: 4 },
  { workers: 8, sessionsEach: 4 },
  { workers: 12, sessionsEach: 2 },
  { workers: 16, sessionsEach: 2 },
  { workers: 32, sessionsEach: 1 },
  { workers: 64, sessionsEach: 1 },
])('$workers workers have $sessionsEach sessions each', ({ workers, sessionsEach }) => {
  expect(crewOf({ workers, commitOrder: 'window' }, 'gtid')).toEqual({ workers, sessionsEach });
});

test('who commits in the source’s order, or knows a position only, has one', () => {
  expect(crewOf({ workers: 8, commitOrder: 'source' }, 'gtid')).toEqual({ workers: 8, sessionsEach: 1 });
  expect(crewOf({ workers: 8, commitOrder: 'any' }, 'position')).toEqual({ workers: 1, sessionsEach: 1 });
});
