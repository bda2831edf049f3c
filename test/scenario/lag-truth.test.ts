/**
 * Every lag that status tells is held against the truth of both servers, once a second, while the way between them is stopped,
 * blocked, delayed, idle, unplugged. LAG_TRUTH_SECONDS makes each part longer than the test needs.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HttpRun } from '../support/http-run.ts';
import { judge, LagTruth } from '../support/lag-truth.ts';

const SECONDS = Number(process.env.LAG_TRUTH_SECONDS ?? 6);
/** Two heartbeats, at least 2 s, prove a 0; what is in flight when they are counted comes on top. */
const PROOF_SECONDS = 2.5;
/** Sources are looked at once a second; a machine that is busy answers late. */
const TOLERANCE_SECONDS = 2;

let run: HttpRun;
let truth: LagTruth;

beforeAll(async () => {
  run = await HttpRun.start();
  truth = await LagTruth.start(run.source, run.target);
  await run.until('it runs', ({ state }) => state === 'running');
});
afterAll(async () => {
  await truth?.close();
  await run?.stop();
});

const status = () => run.status();
const caughtUp = ({ targets }: { targets: { lag_transactions: number; state: string }[] }): boolean =>
  targets[0]!.state === 'running' && targets[0]!.lag_transactions === 0;

async function part(name: string, during: () => Promise<void> = async () => {}): Promise<void> {
  const before = truth.samples.length;
  await truth.watch(name, SECONDS, status);
  await during();
  const samples = truth.samples.slice(before);
  const verdict = judge(samples, PROOF_SECONDS, TOLERANCE_SECONDS);
  console.log(`${name}: ${JSON.stringify(verdict)}`);
  const bad = samples.map((sample) => JSON.stringify(sample)).join('\n');
  expect(verdict.untrueZeros, bad).toBe(0);
  expect(verdict.wrong, bad).toBe(0);
  expect(verdict.boundBroken, bad).toBe(0);
}

describe('lag, against the truth', () => {
  test('under load', async () => {
    truth.startLoad(20);
    await run.until('something is applied', ({ targets }) => targets[0].transactions_applied > 10);
    await part('load');
  });

  test('with an applier that is blocked by a lock: the age grows, and the reason is told', async () => {
    const blocker = await run.target.connect();
    await blocker.query('LOCK TABLES truth.tick READ');
    await part('blocked');
    const { targets } = await run.until(
      'the reason',
      ({ targets: [target] }) => target.stuck?.blocked_by != null,
    );
    expect(targets[0].stuck).toMatchObject({ why: 'metadata_lock', table: 'truth.tick' });
    expect(targets[0].lag_seconds).toBeGreaterThan(2);
    blocker.destroy();
    await run.until('it is caught up', caughtUp);
  });

  test('with a delay', async () => {
    expect((await run.post('delay', { target: 'standby', ms: 4000 })).status).toBe(200);
    await delay(2000);
    await part('delayed');
    const { targets } = await run.until('it waits', ({ targets: [target] }) => target.stuck?.why === 'delay');
    expect(targets[0]).toMatchObject({ delay_seconds: 4, eta: { text: 'delayed' } });
    expect((await run.post('delay', { target: 'standby', ms: 0 })).status).toBe(200);
    await run.until('it is caught up', caughtUp);
  });

  test('with a reader that is stopped: unknown, and never 0', async () => {
    expect((await run.post('pause', { part: 'reader' })).status).toBe(200);
    await run.until('it is paused', ({ reader }) => reader.state === 'paused');
    await part('reader paused');
    expect((await run.channel()).targets[0].lag_seconds).toBeNull();
    expect((await run.get('healthz/lag?max=3s')).status).toBe(503);
    expect((await run.post('resume', { part: 'reader' })).status).toBe(200);
    await run.until(
      'it is caught up',
      (channel) => channel.reader.state === 'streaming' && caughtUp(channel),
    );
  });

  test('with a source that is unplugged while it goes on writing', async () => {
    run.proxy.swallow(true);
    try {
      await part('unplugged');
      const channel = await run.until('it is noticed', ({ state }) => state === 'degraded');
      expect(channel.targets[0].lag_seconds).toBeNull();
    } finally {
      run.proxy.swallow(false);
      run.proxy.cutAll();
    }
    await run.until('it is caught up', (now) => now.reader.state === 'streaming' && caughtUp(now));
  });

  test('with an idle source: 0 seconds, on proof', async () => {
    await truth.stopLoad();
    await run.until('0', ({ targets }) => targets[0].lag_seconds === 0);
    await part('idle');
    expect((await run.get('healthz/lag?channel=orders&target=standby&max=5s')).status).toBe(200);
  });

  test('a dump that is stuck while the source answers: the lag is known, and the alarm says so', async () => {
    await run.until('0', ({ targets }) => targets[0].lag_seconds === 0);
    // Only what the source sends over the dump is lost; who asks it anew gets through.
    run.proxy.swallowLive();
    truth.startLoad(50);
    const stuck = await run.until('it is noticed', ({ reader }) => reader.lag.received.seconds > 2);
    expect(stuck.targets[0].lag_seconds === null || stuck.targets[0].lag_seconds > 2).toBe(true);
    await part('dump stuck');
    run.proxy.cutAll();
    await truth.stopLoad();
    await run.until('it is caught up', (now) => now.reader.state === 'streaming' && caughtUp(now));
  });

  test('nothing that was told was untrue', () => {
    const verdict = judge(truth.samples, PROOF_SECONDS, TOLERANCE_SECONDS);
    console.log(`all: ${JSON.stringify(verdict)}`);
    expect(verdict).toMatchObject({ untrueZeros: 0, wrong: 0, boundBroken: 0 });
    expect(verdict.samples).toBeGreaterThanOrEqual(7 * SECONDS - 7);
  });
});
