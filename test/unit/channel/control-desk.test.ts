/**
 * Requests of operators, through a whole supervisor with scripted threads: an applier that has transactions 1 to 5, and says of
 * number 6 that it is in flight.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/runtime.ts';
import type { ChannelSnapshot } from '../../../src/channel/channel.ts';
import type { DeskAnswer } from '../../../src/channel/control-desk.ts';
import { targetWishes } from '../../../src/channel/control-document.ts';
import type { ControlRequest } from '../../../src/channel/control-requests.ts';
import { callControl } from '../../../src/channel/control-socket.ts';
import { ControlStore } from '../../../src/channel/control-store.ts';
import { createLogger } from '../../../src/channel/log.ts';
import { relayDirectory } from '../../../src/channel/relay-directory.ts';
import type { ReloadAnswer } from '../../../src/channel/reload.ts';
import { Supervisor } from '../../../src/channel/supervisor.ts';
import { loadConfig } from '../../../src/config/load-config.ts';
import { temporaryFolder } from '../../support/repository.ts';
import { relayLogOf } from './relay-log-of.ts';
import { relayLogOf as growingRelayLog } from './relay-log-of-commits.ts';

const ENTRIES = {
  reader: new URL('./threads/scripted-reader.mjs', import.meta.url),
  applier: new URL('./threads/scripted-applier.mjs', import.meta.url),
};
const UUID = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const id = (gno: number): string => `${UUID}:${gno}`;
const BY = { uid: 1000, user: 'dba' };

const running: Supervisor[] = [];
afterEach(async () => {
  for (const supervisor of running.splice(0)) {
    supervisor.stop();
    await supervisor.ended;
  }
});

class Desk {
  readonly folder: string;
  readonly supervisor: Supervisor;
  readonly levels: string[];

  constructor(folder: string, supervisor: Supervisor, levels: string[]) {
    this.folder = folder;
    this.supervisor = supervisor;
    this.levels = levels;
  }

  get dataDir(): string {
    return join(this.folder, 'data');
  }

  async ask(request: Record<string, unknown>): Promise<DeskAnswer> {
    const whole = { channel: null, by: BY, ...request } as unknown as ControlRequest;
    return (await callControl(this.dataDir, whole, 20_000)) as DeskAnswer;
  }

  async reload(): Promise<ReloadAnswer> {
    return (await callControl(this.dataDir, { do: 'reload', by: BY }, 20_000)) as ReloadAnswer;
  }

  /** As it is on the disk. */
  wishes(target = 't0') {
    return targetWishes(ControlStore.open(this.dataDir).document, 'c0', target);
  }

  audit(): Record<string, unknown>[] {
    return readFileSync(join(this.dataDir, 'millrace.audit.log'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  }

  async until(condition: (channel: ChannelSnapshot) => boolean): Promise<ChannelSnapshot> {
    for (let tries = 0; tries < 1_000; tries++) {
      const [channel] = await this.supervisor.snapshots();
      if (condition(channel!)) return channel!;
      await delay(10);
    }
    throw new Error(`never: ${condition}`);
  }

  async stop(): Promise<void> {
    this.supervisor.stop();
    await this.supervisor.ended;
  }
}

function yaml(options: { targets?: readonly string[]; extra?: string; top?: string } = {}): string {
  const { targets = ['well'], extra = '', top = '' } = options;
  const list = targets.map(
    (host, at) => `{ name: t${at}, host: ${host}, port: ${7000 + at}, user: u, password: hunter2${extra} }`,
  );
  return `data_dir: data\n${top}channels:\n  - { name: c0, source: { host: has-data, user: u, password: p }, targets: [${list.join(', ')}] }\n`;
}

async function begin(text: string, folder = temporaryFolder('desk'), readerIs = 'streaming'): Promise<Desk> {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text);
  const levels: string[] = [];
  const supervisor = await Supervisor.start({
    config: loadConfig(file, {}),
    entries: ENTRIES,
    log: createLogger({ level: 'debug', format: 'json', write: () => {} }),
    clock: systemClock,
    readAgain: () => loadConfig(file, {}),
    setLogLevel: (level) => levels.push(level),
    compose: (snapshots) => snapshots.map(({ name }) => name),
  });
  running.push(supervisor);
  const desk = new Desk(folder, supervisor, levels);
  const dir = relayDirectory(desk.dataDir, 'c0');
  if (!existsSync(dir)) await relayLogOf(dir, UUID, 9);
  await desk.until(({ reader }) => reader.state.at === readerIs);
  return desk;
}

const refused = (code: string, message: string) => ({ code, message: expect.stringContaining(message) });

describe('a delay at run time', () => {
  /** 20 MB in ten minutes, for years. */
  async function growing(text: string): Promise<Desk> {
    const folder = temporaryFolder('desk');
    const begun = 1_700_000_000;
    await growingRelayLog(relayDirectory(join(folder, 'data'), 'c0'), [
      { seconds: begun, bytes: 20 * 1024 ** 2 },
      { seconds: begun + 601, bytes: 1000 },
    ]);
    return begin(text, folder);
  }

  test('of years on a disk that holds less is refused in one line, and nothing is done', async () => {
    const desk = await growing(yaml());
    await expect(desk.ask({ do: 'delay', target: 't0', ms: 3650 * 86_400_000 })).rejects.toMatchObject(
      refused('DISK_FULL', 'the disk does not hold a delay of 3650d: at 34.'),
    );
    expect(desk.wishes().delayMs).toBeNull();
    await desk.ask({ do: 'delay', target: 't0', ms: 60_000 });
    expect(desk.wishes().delayMs).toBe(60_000);
  });

  test('that a reload brings is refused as well, with everything beside it; a shorter one is not', async () => {
    const desk = await growing(yaml({ extra: ', delay: 3649d' }));
    const file = join(desk.folder, 'config.yaml');
    writeFileSync(file, yaml({ extra: ', delay: 3650d', top: 'log: { level: debug }\n' }));
    await expect(desk.reload()).rejects.toMatchObject(
      refused('DISK_FULL', 'nothing is reloaded: c0.t0: the disk does not hold a delay of 3650d: at 34.'),
    );
    expect(desk.levels).toEqual([]);
    expect(existsSync(join(desk.dataDir, 'millrace.audit.log'))).toBe(false);
    writeFileSync(file, yaml({ extra: ', delay: 3648d' }));
    expect((await desk.reload()).changes).toHaveLength(1);
  });
});

describe('what an operator says of a target', () => {
  test('is on the disk and in the audit log before it is answered, and holds after a restart', async () => {
    const desk = await begin(yaml());
    expect(await desk.ask({ do: 'pause', part: 't0' })).toEqual({
      done: 'pause',
      channel: 'c0',
      target: 't0',
      changed: true,
      confirmed: true,
      message: 't0 is paused; millrace resume t0 goes on',
    });
    expect(desk.wishes().paused).toBe(true);
    expect(desk.audit()).toEqual([
      { time: expect.any(String), verb: 'pause', channel: 'c0', target: 't0', by: BY },
    ]);
    await desk.ask({ do: 'delay', target: 't0', ms: 60_000 });
    await desk.ask({ do: 'until', target: null, until: { is: 'after', id: id(9) } });
    await desk.stop();
    const again = await begin(yaml(), desk.folder);
    const channel = await again.until(({ targets }) => targets[0]!.fresh);
    expect(channel.targets[0]!.wishes).toMatchObject({
      paused: true,
      delayMs: 60_000,
      until: { is: 'after', id: id(9) },
    });
  });

  test('said twice is done once: it is answered as done, and written down once', async () => {
    const desk = await begin(yaml());
    const requests = [
      { do: 'pause', part: 't0' },
      { do: 'delay', target: 't0', ms: 1_000 },
      { do: 'skip', target: null, id: id(7), reason: 'by mistake' },
      { do: 'approve', target: null, id: id(8) },
      { do: 'until', target: null, until: { is: 'before', id: id(9) } },
      { do: 'resume', part: 't0' },
      { do: 'until', target: null, until: null },
      { do: 'delay', target: 't0', ms: null },
    ];
    for (const request of requests) {
      expect(await desk.ask(request)).toMatchObject({ changed: true, confirmed: true });
      expect(await desk.ask(request)).toMatchObject({ changed: false });
    }
    expect(desk.audit().map(({ verb }) => verb)).toEqual(requests.map((each) => each.do));
  });

  test('a skip has its reason in the document and in the audit log; an approval takes it back, and the other way', async () => {
    const desk = await begin(yaml());
    await desk.ask({ do: 'skip', target: null, id: id(7), reason: 'by mistake' });
    expect(desk.wishes().skipped).toEqual([
      { id: id(7), executed: false, reason: 'by mistake', certain: true },
    ]);
    expect(desk.audit()[0]).toMatchObject({ verb: 'skip', id: id(7), reason: 'by mistake', by: BY });
    expect((await desk.ask({ do: 'approve', target: null, id: id(7) })).message).toContain(
      'no longer skipped',
    );
    expect(desk.wishes()).toMatchObject({ skipped: [], approved: [{ id: id(7) }] });
    await desk.ask({ do: 'skip', target: null, id: id(7), reason: 'after all' });
    expect(desk.wishes()).toMatchObject({ skipped: [{ id: id(7) }], approved: [] });
  });

  test.each(['skip', 'approve'])(
    '%s of what is executed, unknown, or in flight is refused, and nothing is done',
    async (verb) => {
      const desk = await begin(yaml());
      const ask = (which: string) =>
        desk.ask({ do: verb, target: null, id: which, ...(verb === 'skip' ? { reason: 'r' } : {}) });
      await expect(ask(id(5))).rejects.toMatchObject(
        refused('NOT_POSSIBLE', `${id(5)} is executed or in flight on t0`),
      );
      await expect(ask(id(99))).rejects.toMatchObject(
        refused('NOT_POSSIBLE', `${id(99)} is not in the relay log of c0`),
      );
      await expect(ask('0-1-7')).rejects.toMatchObject(
        refused('MALFORMED_POSITION', 'names its transactions by GTIDs like uuid:7'),
      );
      await expect(ask(id(6))).rejects.toMatchObject(
        refused('NOT_POSSIBLE', `${id(6)} is executed or in flight on t0`),
      );
      expect(desk.wishes()).toMatchObject({ skipped: [], approved: [] });
      expect(existsSync(join(desk.dataDir, 'millrace.audit.log'))).toBe(false);
    },
  );

  test('an until that has passed is refused; one that is far ahead is not', async () => {
    const desk = await begin(yaml());
    const ask = (until: object) => desk.ask({ do: 'until', target: null, until });
    await expect(ask({ is: 'before', id: id(3) })).rejects.toMatchObject(
      refused('NOT_POSSIBLE', 'that has passed'),
    );
    expect(desk.wishes().until).toBeNull();
    expect((await ask({ is: 'before', id: id(5_000) })).message).toBe(`t0 stops before ${id(5_000)}`);
  });

  test('which target and which channel must be clear', async () => {
    const desk = await begin(yaml({ targets: ['well', 'fine'] }));
    const ask = (more: object) => desk.ask({ do: 'until', until: null, target: null, ...more });
    await expect(ask({})).rejects.toMatchObject(
      refused('CONFIG', 'c0 has several targets; give --target, known are t0, t1'),
    );
    await expect(ask({ target: 't7' })).rejects.toMatchObject(
      refused('CONFIG', 'channel c0 has no target t7; known are t0, t1'),
    );
    await expect(ask({ channel: 'cx' })).rejects.toMatchObject(
      refused('CONFIG', 'there is no channel cx; known are c0'),
    );
    await desk.ask({ do: 'pause', part: 't1' });
    expect([desk.wishes('t0').paused, desk.wishes('t1').paused]).toEqual([false, true]);
  });

  test('is remembered for an applier that has stopped, which resume starts again', async () => {
    const desk = await begin(yaml({ targets: ['refuses', 'well'] }));
    await desk.until(({ targets }) => targets[0]!.state.at === 'stopped');
    const skip = await desk.ask({ do: 'skip', target: 't0', id: id(7), reason: 'r' });
    expect(skip).toMatchObject({ changed: true, confirmed: false });
    expect(skip.message).toContain('t0 has stopped: millrace resume t0 starts it again');
    const resumed = await desk.ask({ do: 'resume', part: 't0' });
    expect(resumed).toMatchObject({ changed: true, message: 't0 is started again' });
    await desk.until(({ machine }) => machine.targets[0]!.stopCause !== null);
    expect(desk.wishes('t0').skipped).toHaveLength(1);
  });

  test('requests at one moment are carried out one after the other, and none is lost', async () => {
    const desk = await begin(yaml());
    await Promise.all([
      ...[7, 8, 9].map((gno) => desk.ask({ do: 'skip', target: null, id: id(gno), reason: `r${gno}` })),
      desk.ask({ do: 'pause', part: 't0' }),
      desk.ask({ do: 'delay', target: 't0', ms: 5 }),
    ]);
    const { skipped, paused, delayMs } = desk.wishes();
    expect([skipped.length, paused, delayMs]).toEqual([3, true, 5]);
    expect(desk.audit()).toHaveLength(5);
  });
});

test.each([
  { do: 'delay', target: 't0', ms: 5 },
  { do: 'pause', part: 'reader' },
])('what cannot be written down is not done, and the audit log says so: $do', async (request) => {
  const desk = await begin(yaml());
  // A file that cannot be replaced.
  mkdirSync(join(desk.dataDir, 'millrace.control.json'));
  await expect(desk.ask(request)).rejects.toMatchObject({ code: 'DISK' });
  const [said, came, ...more] = desk.audit();
  expect(said).toMatchObject({ verb: request.do, by: BY });
  expect(said).not.toHaveProperty('outcome');
  expect(came).toEqual({ ...said, time: expect.any(String), outcome: 'not done', code: 'DISK' });
  expect(more).toEqual([]);
  const channel = await desk.until(({ targets }) => targets[0]!.fresh);
  expect([channel.targets[0]!.wishes.delayMs, channel.reader.state.at]).toEqual([null, 'streaming']);
});

describe('the reader', () => {
  test('is paused, also after a restart, and reads on when it is resumed', async () => {
    const desk = await begin(yaml());
    expect(await desk.ask({ do: 'pause', part: 'reader' })).toMatchObject({ target: null, changed: true });
    await desk.until(({ reader }) => reader.state.at === 'paused');
    expect(await desk.ask({ do: 'pause', part: 'reader' })).toMatchObject({ changed: false });
    expect(desk.audit()).toMatchObject([{ verb: 'pause', channel: 'c0', part: 'reader' }]);
    await desk.stop();
    const again = await begin(yaml(), desk.folder, 'paused');
    await again.ask({ do: 'resume', part: 'reader' });
    await again.until(({ reader }) => reader.state.at === 'streaming');
  });
});

describe('a start', () => {
  test('is refused while the document is damaged, and names it', async () => {
    const desk = await begin(yaml());
    await desk.ask({ do: 'pause', part: 't0' });
    await desk.stop();
    writeFileSync(join(desk.dataDir, 'millrace.control.json'), '{}');
    await expect(begin(yaml(), desk.folder)).rejects.toMatchObject(
      refused('DISK', 'millrace.control.json is damaged'),
    );
  });
});

describe('a reload', () => {
  test('says what changed and changes it; the audit log knows', async () => {
    const desk = await begin(yaml());
    expect(await desk.reload()).toMatchObject({
      changes: [],
      message: expect.stringContaining('says nothing new'),
    });
    writeFileSync(
      join(desk.folder, 'config.yaml'),
      yaml({ extra: ', delay: 1h', top: 'log: { level: debug }\n' }),
    );
    const answer = await desk.reload();
    expect(answer.message.split('\n').slice(1)).toEqual([
      '  log.level: info → debug',
      '  c0.t0.delay: 0s → 1h',
    ]);
    expect(desk.levels).toEqual(['debug']);
    const [channel] = await desk.supervisor.snapshots();
    expect(channel!.targets[0]!.delayMs).toBe(3_600_000);
    expect(desk.audit()).toMatchObject([
      { verb: 'reload', changes: ['log.level: info → debug', 'c0.t0.delay: 0s → 1h'] },
    ]);
  });

  test('says that a delay set by hand goes on to hold', async () => {
    const desk = await begin(yaml());
    await desk.ask({ do: 'delay', target: 't0', ms: 60_000 });
    writeFileSync(join(desk.folder, 'config.yaml'), yaml({ extra: ', delay: 1h' }));
    expect((await desk.reload()).message).toContain(
      'c0.t0 stays delayed by 1m, until millrace delay t0 configured',
    );
  });

  test('refuses with the list what cannot change, and then nothing of it changes', async () => {
    const desk = await begin(yaml());
    writeFileSync(
      join(desk.folder, 'config.yaml'),
      yaml({ extra: ', delay: 1h, workers: 2', top: 'log: { level: debug }\n' }),
    );
    await expect(desk.reload()).rejects.toMatchObject(
      refused(
        'NOT_POSSIBLE',
        'nothing is reloaded, since this cannot change while Millrace runs: c0.t0.workers: 8 → 2',
      ),
    );
    expect(desk.levels).toEqual([]);
    const [channel] = await desk.supervisor.snapshots();
    expect(channel!.targets[0]!.delayMs).toBe(0);
    writeFileSync(join(desk.folder, 'config.yaml'), yaml());
    expect(await desk.reload()).toMatchObject({ changes: [] });
  });

  test('of a file that is wrong changes nothing, and says where it is wrong', async () => {
    const desk = await begin(yaml());
    writeFileSync(join(desk.folder, 'config.yaml'), yaml({ extra: ', delai: 1h' }));
    await expect(desk.reload()).rejects.toMatchObject(
      refused('CONFIG', 'delai: unknown key; did you mean delay?'),
    );
  });
});
