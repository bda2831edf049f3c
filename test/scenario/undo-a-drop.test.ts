/**
 * docs/undo-a-drop.md, run word for word: its configuration, its commands, and what they print.
 *
 * Only what differs from run to run is not compared: times, pids, sizes, addresses, offsets.
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createSourceAccount, createTargetAccount } from '../support/accounts.ts';
import { compareServers } from '../support/equality.ts';
import { HookServer } from '../support/hook-server.ts';
import { type PageBlock, pageBlocks } from '../support/page-blocks.ts';
import { mustRun, runProgram } from '../support/program.ts';
import { repositoryRoot, temporaryFolder } from '../support/repository.ts';
import { type Program, startServer, type TestServer } from '../support/test-server.ts';

/** The source's on the page. */
const SERVER_UUID = 'c9a1d0e2-5f7b-11f0-9c1e-0242ac110002';
const blocks = pageBlocks('undo-a-drop.md');

let folder: string;
let source: TestServer;
let standby: TestServer;
let hook: HookServer;
let env: NodeJS.ProcessEnv;

beforeEach(async () => {
  [source, standby, hook] = await Promise.all([
    startServer({ flavour: 'mysql', name: 'source' }),
    startServer({ flavour: 'mysql', name: 'standby' }),
    HookServer.start(),
  ]);
  await source.shutdown();
  writeFileSync(join(source.datadir, 'auto.cnf'), `[auto]\nserver-uuid=${SERVER_UUID}\n`);
  await source.restart();
  const repl = await createSourceAccount(source);
  const apply = await createTargetAccount(standby);
  folder = temporaryFolder('undo');
  for (const [name, server] of [
    ['source', source],
    ['standby', standby],
  ] as const) {
    const { host, port, rootUser, rootPassword } = server;
    const options = [`host=${host}`, `port=${port}`, `user=${rootUser}`, `password=${rootPassword}`];
    writeFileSync(join(folder, `${name}.cnf`), `[client]\n${options.join('\n')}\n`, { mode: 0o600 });
  }
  writeFileSync(join(folder, 'config.yaml'), blockOf('yaml').text, { mode: 0o600 });
  mkdirSync(join(folder, 'bin'));
  putOnPath('millrace', { command: process.execPath, args: [join(repositoryRoot, 'bin', 'millrace.js')] });
  putOnPath('mysql', source.binary('mysql'));
  putOnPath('mysqldump', source.binary('mysqldump'));
  env = {
    ...process.env,
    PATH: `${join(folder, 'bin')}:${process.env.PATH ?? ''}`,
    SOURCE_HOST: source.host,
    SOURCE_PORT: String(source.port),
    SOURCE_PASSWORD: repl.password,
    STANDBY_HOST: standby.host,
    STANDBY_PORT: String(standby.port),
    STANDBY_PASSWORD: apply.password,
    ALARM_URL: hook.url,
  };
});

afterEach(async () => {
  // Whatever became of the story: nothing of it runs on.
  await runProgram(join(folder, 'bin', 'millrace'), ['stop'], { cwd: folder, env }).catch(() => {});
  await Promise.all([source?.stop(), standby?.stop(), hook?.stop()]);
});

function blockOf(language: string): PageBlock {
  const found = blocks.find((block) => block.language === language);
  if (found === undefined) throw new Error(`the page has no ${language} block`);
  return found;
}

function putOnPath(name: string, { command, args }: Program): void {
  const words = [command, ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
  const file = join(folder, 'bin', name);
  writeFileSync(file, `#!/bin/sh\nexec ${words} "$@"\n`);
  chmodSync(file, 0o755);
}

/** What differs from run to run gets a word for it, and blanks are not counted. */
function comparable(text: string): string[] {
  return text
    .trim()
    .split('\n')
    .map((line) =>
      line
        .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
        .replace(/pid \d+/g, 'pid PID')
        .replace(/\b(up|in) <?[\d.]+ (s|min|h)\b/g, '$1 SPAN')
        .replace(/127\.0\.0\.1:\d+/g, 'ADDRESS')
        .replace(/\b\d+:\d+ \([\d.]+ [KM]?i?B\)/g, 'POSITION')
        .replace(/relay-bin\.\d+:\d+/g, 'PLACE')
        .replace(/\([\d.]+ [KM]?i?B\)/g, 'SIZE')
        .replace(/(held|running)( +)<?[\d.]+ (s|min)/g, '$1 LAG')
        .replace(/(held|running)( +)unknown/g, '$1 LAG')
        .replace(/\s+/g, ' ')
        .trim(),
    );
}

/** Runs the blocks below a heading, in order, and holds what they print against the page. */
async function follow(heading: string): Promise<void> {
  const section = blocks.filter((block) => block.heading === heading);
  expect(section.length).toBeGreaterThan(0);
  for (const [index, block] of section.entries()) {
    if (block.language === 'sql')
      await mustRun(join(folder, 'bin', 'mysql'), SOURCE, { cwd: folder, env, input: block.text });
    if (block.language === 'json') await alarm(block);
    if (block.language !== 'sh') continue;
    const { code, stdout, stderr } = await runProgram('sh', ['-c', block.text], {
      cwd: folder,
      env,
      timeoutMs: 110_000,
    });
    const next = section[index + 1];
    const expected = next?.language === 'text' ? next.text : '';
    expect({ line: block.line, stderr, printed: comparable(stdout) }).toEqual({
      line: block.line,
      stderr: '',
      printed: comparable(expected),
    });
    // 3: it runs, and something is held.
    expect([0, 3]).toContain(code);
  }
}

const SOURCE = ['--defaults-file=source.cnf'];

async function alarm(block: PageBlock): Promise<void> {
  while (hook.posted.length === 0) await delay(50);
  const words = (value: unknown): string[] =>
    comparable(JSON.stringify(value, null, 2).replaceAll(/"pos": \d+/g, '"pos": 0'));
  expect(words(hook.posted[0])).toEqual(words(JSON.parse(block.text)));
}

describe('the 3 a.m. story', () => {
  test.each(['Skip it', 'Stop before it'])(
    '%s: the table is back, and native replication takes over',
    async (way) => {
      for (const heading of ['Set up', '3 a.m.', way, 'Native replication takes over']) await follow(heading);
      expect((await compareServers(source, standby, { gtid: true })).differences).toEqual([]);
      expect(hook.posted).toHaveLength(1);
    },
  );
});
