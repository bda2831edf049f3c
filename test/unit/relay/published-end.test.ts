import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import { PublishedEnd } from '../../../src/relay/published-end.ts';

const workers: Worker[] = [];
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
});

/** Publishes from another thread: the cells written as PublishedEnd writes them. */
function publishFromThread(buffer: SharedArrayBuffer, rounds: number): Worker {
  const code = `
    const { workerData: { buffer, rounds } } = require('node:worker_threads');
    const cells = new Int32Array(buffer);
    for (let i = 1; i <= rounds; i++) {
      Atomics.add(cells, 0, 1);
      Atomics.store(cells, 2, i); Atomics.store(cells, 3, i); Atomics.store(cells, 4, i);
      Atomics.add(cells, 0, 1);
      Atomics.notify(cells, 0);
    }`;
  const worker = new Worker(code, { eval: true, workerData: { buffer, rounds } });
  workers.push(worker);
  return worker;
}

test('what was published is read back, beyond 4 GiB, too', () => {
  const end = PublishedEnd.create();
  expect(end.read()).toEqual({ generation: 0, fileNumber: 0, offset: 0 });
  for (const offset of [4, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 40 + 12345]) {
    end.publish(7, offset);
    expect(new PublishedEnd(end.buffer).read()).toEqual({ generation: 0, fileNumber: 7, offset });
  }
});

test('a reset empties it and counts a generation', () => {
  const end = PublishedEnd.create();
  end.publish(3, 100);
  end.reset();
  expect(end.read()).toEqual({ generation: 1, fileNumber: 0, offset: 0 });
});

test('a read beside a publishing thread never mixes two publications', async () => {
  const end = PublishedEnd.create();
  const rounds = 200_000;
  publishFromThread(end.buffer, rounds);
  let last = 0;
  while (last < rounds) {
    const { fileNumber, offset } = end.read();
    expect(offset).toBe(fileNumber * 2 ** 32 + fileNumber);
    expect(fileNumber).toBeGreaterThanOrEqual(last);
    last = fileNumber;
    if (last === 0) await new Promise(setImmediate);
  }
});

test('waiting ends as soon as another thread publishes', async () => {
  const end = PublishedEnd.create();
  const waiting = end.wait(end.read());
  publishFromThread(end.buffer, 1);
  await waiting;
  expect(end.read().fileNumber).toBe(1);
});

test('waiting for what is there already does not wait', async () => {
  const end = PublishedEnd.create();
  end.publish(1, 4);
  await end.wait({ fileNumber: 0, offset: 0 });
});

test('waiting ends when its signal aborts or its time is up', async () => {
  const end = PublishedEnd.create();
  const abort = new AbortController();
  const waiting = end.wait(end.read(), { signal: abort.signal });
  abort.abort();
  await waiting;
  await end.wait(end.read(), { signal: abort.signal });
  await end.wait(end.read(), { timeoutMs: 5 });
  expect(end.read().fileNumber).toBe(0);
});

test('a watch tells every move that another thread makes, once, and asks for nothing that has moved already', async () => {
  const end = PublishedEnd.create();
  const rounds = 20_000;
  let bell = (): void => {};
  const watch = end.watch(() => bell());
  publishFromThread(end.buffer, rounds);
  // A lost one would make this wait for half a second, thousands of times.
  for (let seen = end.read(); seen.fileNumber < rounds; seen = end.read()) {
    const rung = new Promise<void>((resolve) => {
      bell = resolve;
    });
    if (watch(seen)) await rung;
  }
  expect(watch({ fileNumber: 1, offset: 1 })).toBe(false);
  let told = 0;
  bell = () => {
    told += 1;
  };
  expect(watch(end.read())).toBe(true);
  expect(watch(end.read())).toBe(true);
  expect(told).toBe(0);
  end.publish(rounds + 1, 4);
  expect(watch({ fileNumber: rounds, offset: 0 })).toBe(false);
  await end.wait(end.read(), { timeoutMs: 20 });
  expect(told).toBe(1);
});
