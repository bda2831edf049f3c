import { expect, test } from 'vitest';
import { composeStatus } from '../../../src/observe/status.ts';
import { FACTS, snapshot } from './snapshots.ts';

test('what guards have found is told with its state, its commit and when it is due', () => {
  const channel = snapshot({
    target: {
      guards: {
        open: 21,
        first: [
          {
            id: '3e11fa47-71ca-11e1-9e33-c80aa9429562:5022',
            guard: 'drop_table',
            what: 'DROP TABLE shop.orders',
            state: 'waiting',
            commitMicros: '1767225600123456',
            dueInMs: 3_599_876.5,
          },
        ],
      },
    },
  });
  const { targets } = composeStatus([channel], FACTS).channels[0]!;
  expect(targets[0]).toMatchObject({
    state: 'running',
    guards: [
      {
        id: '3e11fa47-71ca-11e1-9e33-c80aa9429562:5022',
        guard: 'drop_table',
        what: 'DROP TABLE shop.orders',
        state: 'waiting',
        committed_at: '2026-01-01T00:00:00.123Z',
        due_seconds: 3599.877,
      },
    ],
    guards_open: 21,
  });
});
