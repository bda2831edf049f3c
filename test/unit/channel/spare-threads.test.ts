import { pathToFileURL } from 'node:url';
import { BroadcastChannel } from 'node:worker_threads';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import type { PlainError } from '../../../src/base/errors.ts';
import { SpareThreads } from '../../../src/channel/spare-threads.ts';
import { ThreadHost } from '../../../src/channel/thread-host.ts';
import { bundled } from '../../support/bundled.ts';

type Command = { readonly type: string };

const BROKEN = new URL('./threads/broken-thread.mjs', import.meta.url);

describe('a spare thread', () => {
  let entry: URL;
  let spares: SpareThreads;

  beforeAll(async () => {
    entry = pathToFileURL(await bundled('test/unit/channel/threads/spare-thread.ts'));
  });

  afterEach(() => spares.discard());

  function host(options: unknown, of = entry) {
    const reports: unknown[] = [];
    let end: (cause: PlainError | null) => void;
    const ended = new Promise<PlainError | null>((resolve) => {
      end = resolve;
    });
    const made = new ThreadHost<Command, { readonly type: string }, never>({
      entry: of,
      name: 'shop/reader',
      workerData: options,
      spares,
      onReport: (report) => reports.push(report),
      onEnded: (cause) => end(cause),
    });
    return { host: made, reports, ended };
  }

  test('becomes the thread that is needed, told its options first and then everything in order', async () => {
    spares = new SpareThreads([entry]);
    const { host: thread, reports, ended } = host({ data: 5 });
    for (const type of ['one', 'two', 'stop']) thread.post({ type });
    expect(await ended).toBeNull();
    expect(reports).toEqual([
      { type: 'told', options: { data: 5 }, made: 'before' },
      ...['one', 'two', 'stop'].map((command) => ({ type: 'heard', command })),
      { type: 'stopped', cause: null },
    ]);
  });

  test('is taken once: the next thread of its entry is made for what it does', async () => {
    spares = new SpareThreads([entry]);
    const both = [host({ data: 1 }), host({ data: 2 })];
    for (const { host: thread } of both) thread.post({ type: 'stop' });
    await Promise.all(both.map(({ ended }) => ended));
    expect(both.map(({ reports }) => reports[0])).toEqual([
      { type: 'told', options: { data: 1 }, made: 'before' },
      { type: 'told', options: { data: 2 }, made: 'for it' },
    ]);
  });

  test('that could not load is none: the thread that is made instead says why', async () => {
    spares = new SpareThreads([BROKEN]);
    await vi.waitFor(() => expect(spares.has(BROKEN)).toBe(false), 10_000);
    const { ended } = host({}, BROKEN);
    expect(await ended).toMatchObject({ code: 'INTERNAL', message: expect.stringContaining('cannot load') });
  });

  test('that nobody needs is gone when it is discarded: while it loads, and while it waits', async () => {
    spares = new SpareThreads([entry]);
    await spares.discard();
    expect(spares.take(entry, {})).toBeNull();

    const loaded = new BroadcastChannel('spare thread loaded');
    const told = new Promise((resolve) => {
      loaded.onmessage = resolve;
    });
    spares = new SpareThreads([entry]);
    await told;
    await spares.discard();
    loaded.close();
    expect(spares.take(entry, {})).toBeNull();
  });
});
