import { describe, expect, test } from 'vitest';
import { Unsynced } from '../../../src/reader/unsynced.ts';

describe('what is published and not on disk', () => {
  test('a sync takes what was published when it began', () => {
    const unsynced = new Unsynced();
    expect(unsynced.ageMs(0)).toBeNull();
    unsynced.published(3, 100);
    unsynced.syncBegins();
    unsynced.published(5, 150);
    expect(unsynced.transactions).toBe(5);
    expect(unsynced.ageMs(200)).toBe(100);
    unsynced.synced();
    expect(unsynced.transactions).toBe(2);
    expect(unsynced.ageMs(200)).toBe(50);
    unsynced.syncBegins();
    unsynced.synced();
    expect(unsynced.transactions).toBe(0);
    expect(unsynced.ageMs(300)).toBeNull();
  });

  test('a chunk without a whole transaction does not count', () => {
    const unsynced = new Unsynced();
    unsynced.published(0, 100);
    expect(unsynced.ageMs(200)).toBeNull();
  });

  test('a file that was closed took everything with it', () => {
    const unsynced = new Unsynced();
    unsynced.published(3, 100);
    unsynced.allDurable();
    expect([unsynced.transactions, unsynced.ageMs(200)]).toEqual([0, null]);
  });
});
