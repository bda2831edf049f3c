import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/runtime.ts';
import type { ChannelSnapshot } from '../../../src/channel/channel.ts';
import { callControl } from '../../../src/channel/control-socket.ts';
import { createLogger } from '../../../src/channel/log.ts';
import { Supervisor, type SupervisorEnd, startFailure } from '../../../src/channel/supervisor.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { temporaryFolder } from '../../support/repository.ts';

const ENTRIES = {
  reader: new URL('./threads/scripted-reader.mjs', import.meta.url),
  applier: new URL('./threads/scripted-applier.mjs', import.meta.url),
};

const running: Supervisor[] = [];
afterEach(async () => {
  for (const supervisor of running.splice(0)) {
    supervisor.stop();
    await supervisor.ended;
  }
});

/** Each channel: the source's script, then the targets'. */
async function start(...channels: readonly (readonly [source: string, ...targets: string[]])[]) {
  const folder = temporaryFolder('supervisor');
  const file = join(folder, 'config.yaml');
  const yaml = channels.map(([source, ...targets], index) => {
    const list = targets.map(
      (host, at) => `{ name: t${at}, host: ${host}, port: ${7000 + at}, user: u, password: hunter2 }`,
    );
    return `  - { name: c${index}, preflight: false, source: { host: ${source}, user: u, password: hunter2 }, targets: [${list.join(', ')}] }\n`;
  });
  writeFileSync(file, `data_dir: data\nchannels:\n${yaml.join('')}`);
  const lines: string[] = [];
  const supervisor = await Supervisor.start({
    config: loadConfig(file, {}),
    entries: ENTRIES,
    log: createLogger({ level: 'debug', format: 'json', write: (line) => lines.push(line) }),
    clock: systemClock,
    readAgain: () => loadConfig(file, {}),
    setLogLevel: () => {},
    compose: (snapshots) => snapshots.map(({ name }) => name),
  });
  running.push(supervisor);
  return { supervisor, dataDir: join(folder, 'data'), lines };
}

async function until(
  supervisor: Supervisor,
  condition: (snapshots: readonly ChannelSnapshot[]) => boolean,
): Promise<readonly ChannelSnapshot[]> {
  for (let tries = 0; tries < 500; tries++) {
    const snapshots = await supervisor.snapshots();
    if (condition(snapshots)) return snapshots;
    await delay(10);
  }
  throw new Error(`never: ${condition}`);
}

const allStream = (snapshots: readonly ChannelSnapshot[]): boolean =>
  snapshots.every(({ reader }) => reader.state.at === 'streaming');

describe('the supervisor', () => {
  test('runs its channels, answers on the control socket, and leaves nothing when it stops', async () => {
    const { supervisor, dataDir, lines } = await start(['fine', 'well', 'better'], ['has-data', 'well']);
    const [first, second] = await until(supervisor, allStream);
    expect(first?.targets.map(({ state }) => state.at)).toEqual(['running', 'running']);
    expect(first?.reader.status?.retrieved).toBe('3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5');
    expect(first?.reader.status?.source.serverUuid).not.toBe(second?.reader.status?.source.serverUuid);
    expect(await callControl(dataDir, { do: 'status' }, 10_000)).toEqual(['c0', 'c1']);
    expect(await callControl(dataDir, { do: 'ping' }, 10_000)).toEqual({ pid: process.pid });

    expect(await callControl(dataDir, { do: 'stop' }, 10_000)).toEqual({ pid: process.pid });
    expect(await supervisor.ended).toEqual({ exitCode: 0, failures: [] });
    for (const name of ['millrace.sock', 'millrace.pid']) expect(existsSync(join(dataDir, name))).toBe(false);
    const text = lines.join('');
    expect(text).toContain('"channel":"c0","thread":"applier","target":"t1"');
    expect(text).not.toContain('hunter2');
  });

  test('ends with 1 and the reason of each channel when none of them can do anything', async () => {
    const { supervisor } = await start(['refuses', 'well'], ['fine', 'refuses']);
    const end: SupervisorEnd = await supervisor.ended;
    expect(end).toEqual({
      exitCode: 1,
      failures: [
        'channel c0: wrong password — Mend it. [see docs/errors.md#ACCESS_DENIED]',
        'channel c1: wrong password — Mend it. [see docs/errors.md#ACCESS_DENIED]',
      ],
    });
  });

  test('goes on when one of its channels runs', async () => {
    const { supervisor } = await start(['refuses', 'well'], ['fine', 'well']);
    const snapshots = await until(supervisor, ([first, second]) => {
      return first?.machine.state.at === 'stopped' && second?.reader.state.at === 'streaming';
    });
    expect(snapshots[0]?.machine.state).toMatchObject({ cause: { code: 'ACCESS_DENIED' } });
    expect(snapshots.map((snapshot) => startFailure(snapshot)?.code)).toEqual(['ACCESS_DENIED', undefined]);
  });

  test('goes on when one of two targets is refused', async () => {
    const { supervisor } = await start(['fine', 'well', 'refuses']);
    const [channel] = await until(supervisor, allStream);
    expect(channel?.targets.map(({ state }) => state.at)).toEqual(['running', 'stopped']);
  });

  test('goes on without its source, which may come', async () => {
    const { supervisor } = await start(['unreachable', 'well']);
    const [channel] = await until(supervisor, ([one]) => one?.targets[0]?.fresh === true);
    expect(channel?.machine.state.at).toBe('reaching');
    expect(channel?.targets[0]?.state.at).toBe('idle');
    expect(startFailure(channel!)).toBeNull();
  });

  test('starts a thread that dies again, and shows when', async () => {
    const { supervisor, lines } = await start(['dies-when-started', 'well']);
    const [channel] = await until(supervisor, ([one]) => one?.reader.state.at === 'backing-off');
    expect(channel?.reader.state).toMatchObject({
      attempt: 1,
      cause: { code: 'INTERNAL', message: expect.stringContaining('the reader has a bug') },
    });
    await until(supervisor, ([one]) => (one?.machine.reader.failures.length ?? 0) >= 2);
    expect(lines.join('')).toContain('thread failed, will be started again');
  });

  test('is refused where another one runs, and the first goes on', async () => {
    const { supervisor, dataDir } = await start(['fine', 'well']);
    await until(supervisor, allStream);
    const file = join(dataDir, '..', 'config.yaml');
    const second = Supervisor.start({
      config: loadConfig(file, {}),
      entries: ENTRIES,
      log: createLogger({ level: 'error', format: 'json', write: () => {} }),
      clock: systemClock,
      readAgain: () => loadConfig(file, {}),
      setLogLevel: () => {},
      compose: () => null,
    });
    await expect(second).rejects.toMatchObject({ code: 'ALREADY_RUNNING' });
    expect(await callControl(dataDir, { do: 'ping' }, 10_000)).toEqual({ pid: process.pid });
  });

  test('stops while it is still starting', async () => {
    const { supervisor } = await start(['unreachable', 'well'], ['fine', 'well']);
    supervisor.stop();
    expect(await supervisor.ended).toEqual({ exitCode: 0, failures: [] });
  });
});
