import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sourceClockPath } from '../../src/relay/source-clock-file.ts';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { address, channelConfig, MillraceProcess } from '../support/millrace-process.ts';
import { startServer, type TestServer } from '../support/test-server.ts';
import { runDelay } from '../torture/delay.ts';

describe('the short form of the delay proof', () => {
  test('nothing is early, no lag is untrue, while our clock steps, also over restarts', async () => {
    const result = await runDelay({
      transactions: 900,
      delayMs: 2_000,
      perSecond: 60,
      restarts: 2,
      steps: 3,
      sourceSteps: 0,
      seed: 20_262,
    });
    expect(result).toMatchObject({ appliedEarly: 0, lagsUntrue: 0, restarts: 2, steps: 5, differences: [] });
    expect(result.transactions).toBeGreaterThanOrEqual(900);
    expect(result.waitingMax).toBeGreaterThan(0);
    expect(result.statusLooks).toBeGreaterThan(0);
  }, 300_000);
});

describe('a delayed target', () => {
  let source: TestServer;
  let target: TestServer;
  let millrace: MillraceProcess;
  let clock: FakeClock;

  beforeAll(async () => {
    clock = await FakeClock.create();
    [source, target] = await Promise.all([
      startServer({ flavour: 'mysql', name: 'source' }),
      startServer({ flavour: 'mysql', name: 'target' }),
    ]);
    millrace = MillraceProcess.prepare([
      channelConfig({
        source: { ...address(source), ...(await createSourceAccount(source)) },
        target: { ...address(target), ...(await createTargetAccount(target)), delay: '30d' },
      }),
    ]);
    await millrace.start(clock.env);
    await source.query('CREATE DATABASE later; CREATE TABLE later.t (id INT PRIMARY KEY)');
    await source.query('INSERT INTO later.t VALUES (1)');
  });

  afterAll(async () => {
    await millrace?.remove();
    await Promise.all([source, target].map((server) => server?.stop()));
  });

  test('says what waits, how much it is and when the next one is due, whatever our clock shows', async () => {
    const waits = async (): Promise<Record<string, unknown>> => {
      const channel = await millrace.waitFor(
        'three transactions wait',
        ({ targets }) => waitingOf(targets[0]).transactions === 3,
      );
      return waitingOf(channel.targets[0]);
    };
    const month = 30 * 86_400;
    for (const offset of [0, 3600, -3600]) {
      clock.set(offset);
      const waiting = await waits();
      expect(waiting.next_id).toMatch(/^[0-9a-f-]{36}:\d+$/);
      expect(waiting.bytes).toBeGreaterThan(100);
      expect(waiting.clock_known).toBe(true);
      expect(waiting.next_due_seconds).toBeGreaterThan(month - 600);
      expect(waiting.next_due_seconds).toBeLessThanOrEqual(month);
    }
    expect((await millrace.channel()).targets[0]).toMatchObject({ state: 'running', delay_seconds: month });
    clock.set(0);
  });

  test('knows after a kill -9 with an unreachable source when everything is due', async () => {
    const file = sourceClockPath(join(millrace.dataDir, 'orders'));
    const kept = readFileSync(file, 'utf8');
    // What only confirms what is there is written every ten seconds.
    await millrace.waitFor('it is written once more', () => readFileSync(file, 'utf8') !== kept);
    const before = Number(waitingOf((await millrace.channel()).targets[0]).next_due_seconds);
    await millrace.kill9();
    clock.set(-3600);
    await source.shutdown();
    await millrace.start(clock.env);
    const channel = await millrace.waitFor(
      'three transactions wait',
      ({ targets }) => waitingOf(targets[0]).transactions === 3,
    );
    const after = Number(waitingOf(channel.targets[0]).next_due_seconds);
    expect(after).toBeLessThan(before);
    expect(before - after).toBeLessThan(120);
    clock.set(0);
    await source.restart();
  });
});

describe('a delayed MariaDB target', () => {
  let source: TestServer;
  let target: TestServer;
  let millrace: MillraceProcess;

  beforeAll(async () => {
    [source, target] = await Promise.all([
      startServer({ flavour: 'mariadb', name: 'source' }),
      startServer({ flavour: 'mariadb', name: 'target' }),
    ]);
    millrace = await MillraceProcess.start([
      channelConfig({
        source: { ...address(source), ...(await createSourceAccount(source)) },
        target: { ...address(target), ...(await createTargetAccount(target)), delay: '2s' },
      }),
    ]);
    await source.query('CREATE DATABASE later; CREATE TABLE later.t (id INT PRIMARY KEY)');
    await waitUntilCaughtUp(source, target, { millrace });
  });

  afterAll(async () => {
    await millrace?.remove();
    await Promise.all([source, target].map((server) => server?.stop()));
  });

  test('counts from the end of the second that its source tells, never early', async () => {
    for (let id = 1; id <= 5; id++) {
      const committingMs = performance.now();
      await source.query('INSERT INTO later.t VALUES (?)', [id]);
      await delay(300 * id - 250);
      let row: unknown;
      while (row === undefined) [row] = await target.query('SELECT id FROM later.t WHERE id = ?', [id]);
      expect(performance.now() - committingMs).toBeGreaterThanOrEqual(2_000);
    }
    const clock = (await millrace.channel()).source.clock as Record<string, number>;
    expect(Math.abs(clock.offset_seconds!)).toBeLessThan(1);
    expect(clock.age_seconds).toBeLessThan(30);
  });
});

function waitingOf(target: unknown): Record<string, unknown> {
  return (target as { waiting?: Record<string, unknown> | null } | undefined)?.waiting ?? {};
}
