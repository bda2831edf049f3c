import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type LogFacts, silentLogger } from '../../../src/base/runtime.ts';
import { AlarmMemory } from '../../../src/channel/alarm-memory.ts';
import { type FoundByGuard, GuardAlarms } from '../../../src/channel/guard-alarms.ts';
import { Webhook } from '../../../src/channel/webhook.ts';

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

let dataDir: string;
let logged: { level: string; message: string; facts: LogFacts | undefined }[];
let server: Server;
let url: string;
let bodies: string[];
let answer: Answer;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'millrace-alarms-'));
  logged = [];
  bodies = [];
  answer = (_, response) => response.end();
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8');
    request.on('data', (part: string) => {
      body += part;
    });
    request.on('end', () => {
      bodies.push(body);
      answer(request, response, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook/s3cret-token`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(dataDir, { recursive: true, force: true });
});

const log = {
  ...silentLogger,
  info: (message: string, facts?: LogFacts) => void logged.push({ level: 'info', message, facts }),
  warn: (message: string, facts?: LogFacts) => void logged.push({ level: 'warn', message, facts }),
};
const clock = { wallMs: () => Date.UTC(2026, 0, 1, 3), monotonicMs: () => performance.now() };
const warnings = () => logged.filter(({ level }) => level === 'warn');

function found(id: string, more: Partial<FoundByGuard> = {}): FoundByGuard {
  return {
    channel: 'orders',
    target: 'standby',
    match: {
      id,
      location: { fileNumber: 7, offset: 1234 },
      guard: 'drop_table',
      what: 'DROP TABLE shop.orders',
      commitMicros: BigInt(Date.UTC(2026, 0, 1, 2, 59)) * 1000n,
    },
    dueInMs: 3_540_000,
    onGuard: 'hold',
    webhook: null,
    ...more,
  };
}

function process(): GuardAlarms {
  return new GuardAlarms({ memory: AlarmMemory.open(dataDir, log), log, clock });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

describe('an alarm', () => {
  test('is a warning with the commands that answer it, and is counted', () => {
    const alarms = process();
    alarms.raise(found('u:7'));
    expect(warnings()).toEqual([
      {
        level: 'warn',
        message: 'a guard has found something',
        facts: {
          channel: 'orders',
          target: 'standby',
          gtid: 'u:7',
          guard: 'drop_table',
          what: 'DROP TABLE shop.orders',
          on_guard: 'hold',
          committed_at: '2026-01-01T02:59:00.000Z',
          due_at: '2026-01-01T03:59:00.000Z',
          hint: 'millrace approve u:7, or millrace skip u:7 --reason "…"',
        },
      },
    ]);
    expect([alarms.count('orders', 'standby'), alarms.count('orders', 'other')]).toEqual([1, 0]);
    alarms.close();
  });

  test('is raised once for a transaction of a target, however often it is found', () => {
    const alarms = process();
    for (const id of ['u:7', 'u:7', 'u:8']) alarms.raise(found(id));
    alarms.raise(found('u:7', { target: 'other' }));
    expect(warnings()).toHaveLength(3);
    alarms.close();
  });

  test('is not raised again by the next process, which only says that it is not answered', () => {
    const first = process();
    first.raise(found('u:7'));
    first.close();
    logged = [];
    const second = process();
    second.raise(found('u:7'));
    second.raise(found('u:8'));
    expect(logged.map(({ level, facts }) => [level, facts?.gtid])).toEqual([
      ['info', 'u:7'],
      ['warn', 'u:8'],
    ]);
    expect(second.count('orders', 'standby')).toBe(1);
    second.close();
  });

  test('is posted as JSON, with names and numbers only', async () => {
    const alarms = process();
    alarms.raise(found('u:7', { webhook: url }));
    await until(() => bodies.length === 1);
    expect(JSON.parse(bodies[0]!)).toEqual({
      event: 'guard',
      text: 'Millrace: DROP TABLE shop.orders on the source of orders (guard drop_table). Target standby: the target will be held before it, due 2026-01-01T03:59:00.000Z. u:7',
      channel: 'orders',
      target: 'standby',
      gtid: 'u:7',
      guard: 'drop_table',
      what: 'DROP TABLE shop.orders',
      on_guard: 'hold',
      committed_at: '2026-01-01T02:59:00.000Z',
      due_at: '2026-01-01T03:59:00.000Z',
      log_name: 'relay-bin.000007',
      pos: 1234,
      approve: 'millrace approve u:7',
      skip: 'millrace skip u:7 --reason "…"',
    });
    alarms.close();
  });

  test('whose webhook was not reached before the end is raised again by the next process', async () => {
    answer = () => {};
    const first = process();
    first.raise(found('u:7', { webhook: url }));
    await until(() => bodies.length === 1);
    first.close();
    await delay(20);
    logged = [];
    answer = (_, response) => response.end();
    const second = process();
    second.raise(found('u:7', { webhook: url }));
    expect(warnings()).toHaveLength(1);
    await until(() => bodies.length === 2);
    second.close();
  });
});

describe('the memory of alarms', () => {
  test.each([
    ['no JSON', '{"millrace'],
    ['another file', '{"channels":[]}'],
    ['of another form', '{"millrace_alarms":1,"targets":[{"channel":7}]}'],
    ['null', 'null'],
  ])('that is %s is a warning: alarms may be raised again', (_, text) => {
    writeFileSync(join(dataDir, 'millrace.alarms.json'), text);
    const alarms = process();
    expect(warnings().map(({ message }) => message)).toEqual([
      'which alarms were raised is forgotten, they may be raised again',
    ]);
    alarms.raise(found('u:7'));
    expect(warnings()).toHaveLength(2);
    alarms.close();
    expect(readFileSync(join(dataDir, 'millrace.alarms.json'), 'utf8')).toContain('u:7');
  });

  test('has the first at once and the others soon: a kill right after the delivery repeats nothing', async () => {
    const path = join(dataDir, 'millrace.alarms.json');
    const memory = AlarmMemory.open(dataDir, log);
    memory.add('orders', 'standby', 'u:1');
    expect(readFileSync(path, 'utf8')).toContain('u:1');
    memory.add('orders', 'standby', 'u:2');
    await until(() => readFileSync(path, 'utf8').includes('u:2'));
    memory.close();
  });

  test('is bounded', () => {
    const memory = AlarmMemory.open(dataDir, log);
    for (let n = 0; n < 5_000; n++) memory.add('orders', 'standby', `u:${n}`);
    memory.close();
    const again = AlarmMemory.open(dataDir, log);
    expect([again.has('orders', 'standby', 'u:2999'), again.has('orders', 'standby', 'u:3000')]).toEqual([
      false,
      true,
    ]);
    expect(readdirSync(dataDir)).toEqual(['millrace.alarms.json']);
  });
});

describe('a webhook', () => {
  const webhook = (options: { url?: string; timeoutMs?: number } = {}): Webhook =>
    new Webhook({ url, log, retryMs: 5, ...options });

  test('that refuses is tried a few times, and takes it when it has come to its senses', async () => {
    answer = (_, response) => {
      response.statusCode = bodies.length < 4 ? 500 : 204;
      response.end();
    };
    expect(await webhook().post({ n: 1 })).toBe('delivered');
    expect(bodies).toEqual(['{"n":1}', '{"n":1}', '{"n":1}', '{"n":1}']);
    expect(logged).toEqual([]);
  });

  test.each([
    ['always refuses', 'it answers 500'],
    ['redirects', 'it answers 302'],
  ])('that %s is given up, with its host and without its path', async (what, cause) => {
    answer = (_, response) => {
      response.statusCode = what === 'redirects' ? 302 : 500;
      response.setHeader('location', `${url}/elsewhere`);
      response.end('x'.repeat(1_000_000));
    };
    expect(await webhook().post({ n: 1 })).toBe('given-up');
    expect(bodies).toHaveLength(5);
    expect(warnings()).toEqual([
      {
        level: 'warn',
        message: 'webhook does not take an alarm',
        facts: { host: new URL(url).host, attempts: 5, cause },
      },
    ]);
    expect(JSON.stringify(logged)).not.toContain('s3cret');
  });

  test('that never answers is given up in time', async () => {
    answer = () => {};
    expect(await webhook({ timeoutMs: 20 }).post({ n: 1 })).toBe('given-up');
    expect(warnings()[0]!.facts).toMatchObject({ cause: 'no answer within 20 ms' });
  });

  test('that nobody runs is given up', async () => {
    expect(await webhook({ url: 'http://127.0.0.1:9/hook' }).post({ n: 1 })).toBe('given-up');
    expect(warnings()[0]!.facts?.cause).toMatch(/ECONNREFUSED|bad port/);
  });

  test('gets one body after the other, and what is too much for it is told', async () => {
    const slow = webhook();
    const posted = Array.from({ length: 210 }, (_, n) => slow.post({ n }));
    const outcomes = await Promise.all(posted);
    expect(outcomes.filter((outcome) => outcome === 'delivered')).toHaveLength(200);
    expect(bodies.map((body) => JSON.parse(body).n)).toEqual(Array.from({ length: 200 }, (_, n) => n));
    expect(warnings()).toHaveLength(10);
  });

  test('that is closed is not waited for', async () => {
    answer = () => {};
    const hook = webhook();
    const posted = hook.post({ n: 1 });
    await until(() => bodies.length === 1);
    hook.close();
    expect(await posted).toBe('closed');
    expect(await hook.post({ n: 2 })).toBe('closed');
  });
});
