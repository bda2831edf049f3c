/**
 * docs/quick-start.md and the script of docs/running.md, run as they stand there: only addresses are others.
 */
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { assertEqualServers } from '../support/equality.ts';
import { pageBlocks } from '../support/page-blocks.ts';
import { runProgram } from '../support/program.ts';
import { repositoryRoot, temporaryFolder } from '../support/repository.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

const page = pageBlocks('quick-start.md');
const OF_PAGE = { source: 'host: 10.0.0.1\n      port: 3306', target: 'host: 10.0.0.2\n        port: 3306' };

let folder: string;
let source: TestServer;
let target: TestServer;
let env: NodeJS.ProcessEnv;

function textOf(heading: string, language: string): string {
  const found = page.find((block) => block.heading === heading && block.language === language);
  if (found === undefined) throw new Error(`the page has no ${language} block below ${heading}`);
  return found.text;
}

function executable(name: string, lines: readonly string[]): void {
  const file = join(folder, 'bin', name);
  writeFileSync(file, `#!/bin/sh\n${lines.join('\n')}\n`);
  chmodSync(file, 0o755);
}

/** In one session, as it would be pasted. */
async function paste(server: TestServer, sql: string): Promise<void> {
  const connection = await server.connect();
  try {
    for (const statement of sql.replaceAll('10.0.0.%', '%').split(/;\s*(?:\n|$)/)) {
      if (statement.trim() !== '') await connection.query(statement);
    }
  } finally {
    connection.destroy();
  }
}

const sh = (text: string) =>
  runProgram('sh', ['-c', `set -e\n${text}`], { cwd: folder, env, timeoutMs: 110_000 });

beforeAll(async () => {
  [source, target] = await Promise.all([
    startServer({ flavour: 'mysql', name: 'source' }),
    startServer({ flavour: 'mysql', name: 'target' }),
  ]);
  folder = temporaryFolder('quick');
  mkdirSync(join(folder, 'bin'));
  executable('millrace', [`exec '${process.execPath}' '${join(repositoryRoot, 'bin', 'millrace.js')}' "$@"`]);
  env = {
    ...process.env,
    PATH: `${join(folder, 'bin')}:${process.env.PATH ?? ''}`,
    SOURCE_PASSWORD: 'source-password',
    TARGET_PASSWORD: 'target-password',
  };
});
afterAll(async () => {
  await sh('millrace stop').catch(() => {});
  await Promise.all([source?.stop(), target?.stop()]);
});

describe('the quick start', () => {
  test('makes a replica over verified TLS, with the accounts, the configuration and the commands of the page', async () => {
    await paste(source, textOf('On the source', 'sql'));
    await paste(target, textOf('On the target', 'sql'));
    copyFileSync(join(source.datadir, 'ca.pem'), join(folder, 'source-ca.pem'));
    copyFileSync(join(target.datadir, 'ca.pem'), join(folder, 'target-ca.pem'));
    const yaml = textOf('Millrace', 'yaml');
    const config = yaml
      .replace(OF_PAGE.source, `host: ${source.host}\n      port: ${source.port}`)
      .replace(OF_PAGE.target, `host: ${target.host}\n        port: ${target.port}`)
      .concat('\nhttp:\n  listen: 127.0.0.1:0\n');
    writeFileSync(join(folder, 'config.yaml'), config);
    await source.query('CREATE DATABASE shop');
    await source.query('CREATE TABLE shop.orders (id INT PRIMARY KEY, note VARCHAR(20))');

    const done = await sh(textOf('Millrace', 'sh').replace('millrace status', 'true'));
    expect({ code: done.code, stderr: done.stderr }).toEqual({ code: 0, stderr: '' });
    for (let n = 0; n < 200; n++) await source.query(`INSERT INTO shop.orders VALUES (${n}, 'note ${n}')`);
    await waitUntilCaughtUp(source, target, { progress: 'gtid' });
    await assertEqualServers(source, target, { schemas: ['shop'], gtid: true });

    const types = await target.query(textOf('Millrace', 'sql'));
    expect(types.length).toBeGreaterThan(8);
    for (const each of types) expect(each).toMatchObject({ CONNECTION_TYPE: 'SSL/TLS' });
    const status = await sh('millrace status');
    expect(status.stdout).toMatch(/shop .* streaming .* standby .* running/);
  });

  test('refuses a certificate that nobody vouches for', async () => {
    const config = readFileSync(join(folder, 'config.yaml'), 'utf8');
    const wrong = config
      .replace('{ mode: verify_ca, ca: source-ca.pem }', 'verify_ca')
      .replace('./data', './other');
    writeFileSync(join(folder, 'wrong.yaml'), wrong, { mode: 0o600 });
    const { code, stdout } = await sh('millrace check -c wrong.yaml');
    expect(code).toBe(1);
    expect(stdout).toContain('see docs/errors.md#TLS');
  });
});

describe('the script for ProxySQL', () => {
  const script = pageBlocks('running.md').find(({ language }) => language === 'sh')!.text;
  const said = (): string => readFileSync(join(folder, 'proxysql'), 'utf8');

  test('sets the target offline when Millrace does not answer or the target is stale, and online when it is fresh', async () => {
    executable('mysql', [`printf '%s\\n' "$@" > '${join(folder, 'proxysql')}'`]);
    const url = /"url":"(http:[^"]+)"/.exec(readFileSync(join(folder, 'data', 'millrace.log'), 'utf8'))?.[1];
    expect(url, 'where it listens').toBeDefined();
    const here = script.replace('http://127.0.0.1:9104/', url!);
    // Freshness is proven by a heartbeat, a second at most after the last transaction.
    for (;;) {
      expect((await sh(here)).code).toBe(0);
      if (said().includes("status='ONLINE'")) break;
      await delay(200);
    }
    await sh('millrace pause reader');
    for (;;) {
      await sh(here.replace('max=5s', 'max=1s'));
      if (said().includes("status='OFFLINE_SOFT'")) break;
      await delay(200);
    }
    await sh('millrace resume reader');
    await sh(page.at(-1)!.text);
    await sh(here);
    expect(said()).toContain("SET status='OFFLINE_SOFT' WHERE hostgroup_id=20 AND hostname='10.0.0.2'");
  });
});
