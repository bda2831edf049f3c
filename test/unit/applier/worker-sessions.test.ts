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
  expect(crewOf({ workers, commitOrder: 'window', coalesce: 1 }, 'gtid')).toEqual({ workers, sessionsEach });
});

test('who commits in the source’s order, or knows a position only, has one', () => {
  expect(crewOf({ workers: 8, commitOrder: 'source', coalesce: 1 }, 'gtid')).toEqual({
    workers: 8,
    sessionsEach: 1,
  });
  expect(crewOf({ workers: 8, commitOrder: 'any', coalesce: 1 }, 'position')).toEqual({
    workers: 1,
    sessionsEach: 1,
  });
});

test('where several transactions share a commit, two', () => {
  expect(crewOf({ workers: 8, commitOrder: 'window', coalesce: 100 }, 'gtid')).toEqual({
    workers: 8,
    sessionsEach: 2,
  });
});
