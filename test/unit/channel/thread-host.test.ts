import { afterEach, describe, expect, test } from 'vitest';
import type { PlainError } from '../../../src/base/errors.ts';
import { threadEntry } from '../../../src/channel/thread-entries.ts';
import { ThreadHost } from '../../../src/channel/thread-host.ts';

type Command = { readonly type: 'stop' | 'throw' | 'exit' | 'wake' };
type Report = { readonly type: string; readonly state?: unknown };
type Status = { readonly answer: number };
type Ending = { readonly cause: PlainError | null; readonly died: boolean };

const ENTRY = new URL('./threads/scripted-thread.mjs', import.meta.url);
const hosts: { host: ThreadHost<Command, Report, Status>; ended: Promise<Ending> }[] = [];

function start(workerData: Record<string, unknown>, entry = ENTRY) {
  const reports: Report[] = [];
  let end: (ending: Ending) => void = () => {};
  const ended = new Promise<Ending>((resolve) => {
    end = resolve;
  });
  let endings = 0;
  const host = new ThreadHost<Command, Report, Status>({
    entry,
    name: 'shop/reader',
    workerData,
    onReport: (report) => reports.push(report),
    onEnded: (cause, died) => {
      endings += 1;
      end({ cause, died });
    },
  });
  hosts.push({ host, ended });
  return { host, ended, reports, endings: () => endings };
}

afterEach(async () => {
  for (const { host, ended } of hosts.splice(0)) {
    host.stop({ type: 'stop' }, 0);
    await ended;
  }
});

describe('a thread seen from the main thread', () => {
  test('gets its options, reports, answers for its status, and says goodbye', async () => {
    const { host, ended, reports, endings } = start({ script: 'well', data: 5, cause: null });
    expect(await host.status(10_000)).toEqual({ answer: 1 });
    expect(await Promise.all([host.status(10_000), host.status(10_000)])).toEqual([
      { answer: 2 },
      { answer: 3 },
    ]);
    expect(reports).toEqual([{ type: 'state', state: { at: 'idle', data: 5 } }]);
    host.stop({ type: 'stop' }, 10_000);
    expect(await ended).toEqual({ cause: null, died: false });
    expect(endings()).toBe(1);
    expect(await host.status(10_000)).toBeNull();
  });

  test('that stops with a cause hands the cause over, and has not died', async () => {
    const cause: PlainError = { code: 'FENCED', action: 'stop', message: 'm', hint: null, facts: {} };
    const { host, ended } = start({ script: 'well', cause });
    host.stop({ type: 'stop' }, 10_000);
    expect(await ended).toEqual({ cause, died: false });
  });

  test.each(['throws at once', 'exits at once'])('that %s has died with a fault of ours', async (script) => {
    const { ended } = start({ script });
    const { cause, died } = await ended;
    expect(died).toBe(true);
    expect(cause).toMatchObject({ code: 'INTERNAL', action: 'stop' });
    expect(cause?.message).toMatch(
      script === 'throws at once' ? /boom at birth/ : /without a word, exit code 7/,
    );
  });

  test.each([
    ['throw', /boom later/],
    ['exit', /without a word, exit code 3/],
  ] as const)(
    'that dies later by %s is heard, and open questions are answered with nothing',
    async (type, message) => {
      const { host, ended } = start({ script: 'answers nothing' });
      const status = host.status(60_000);
      host.post({ type });
      expect(await status).toBeNull();
      expect((await ended).cause?.message).toMatch(message);
    },
  );

  test('whose file is not there has died', async () => {
    const { ended } = start({}, new URL('./threads/nowhere.mjs', import.meta.url));
    expect((await ended).died).toBe(true);
  });

  test('that does not answer in time is not waited for', async () => {
    const { host } = start({ script: 'answers nothing' });
    expect(await host.status(20)).toBeNull();
  });

  test('that owes an answer is asked nothing more, and is hardly waited for, until it answers', async () => {
    const { host } = start({ script: 'hangs' });
    expect(await host.status(20)).toBeNull();
    const began = performance.now();
    expect(await Promise.all([host.status(60_000), host.status(60_000)])).toEqual([null, null]);
    expect(performance.now() - began).toBeLessThan(30_000);
    host.post({ type: 'wake' });
    // The one question that it owed, then a new one: it is asked as before.
    await expect.poll(() => host.status(60_000), { timeout: 30_000 }).toEqual({ answer: 2 });
  });

  test('that lingers after its goodbye is ended, and has not died', async () => {
    const { host, ended } = start({ script: 'lingers' });
    host.stop({ type: 'stop' }, 60_000);
    expect(await ended).toEqual({ cause: null, died: false });
  });

  test('that ignores the stop is ended by force after the grace', async () => {
    const { host, ended } = start({ script: 'ignores stop' });
    await host.status(10_000);
    host.stop({ type: 'stop' }, 20);
    expect((await ended).died).toBe(true);
  });
});

test('the entry of a thread has the ending of the file that asks for it', () => {
  expect(threadEntry('../reader/reader-thread').pathname).toMatch(/\/src\/reader\/reader-thread\.ts$/);
});
