/**
 * Waiting for a condition, never for time.
 */
import { setTimeout as delay } from 'node:timers/promises';

const LOOK_MS = 10;

/** Rejects, naming what was waited for, after `timeoutMs`. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for: ${what}`);
    await delay(LOOK_MS);
  }
}
