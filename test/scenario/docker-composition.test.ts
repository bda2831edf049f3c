/**
 * The composition of docker/, without Docker: servers with its options, accounts with its grants, Millrace with its
 * configuration (only the addresses are other ones), and load of every kind.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { assertEqualServers } from '../support/equality.ts';
import { MillraceProcess } from '../support/millrace-process.ts';
import { MixedLoad } from '../support/mixed-load.ts';
import { repositoryRoot } from '../support/repository.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

const docker = join(repositoryRoot, 'docker');

function serverOptions(file: string): string[] {
  return readFileSync(join(docker, 'mysql', file), 'utf8')
    .split('\n')
    .filter((line) => /^[a-z]/.test(line))
    .map((line) => `--${line.replace(' = ', '=')}`);
}

async function startLikeDocker(name: 'source' | 'target'): Promise<TestServer> {
  const server = await startServer({ flavour: 'mysql', name, args: serverOptions(`${name}.cnf`) });
  // On one connection, as the image's own set-up runs it: SET sql_log_bin holds for what follows.
  const connection = await server.connect();
  await connection.query(readFileSync(join(docker, 'mysql', `${name}-account.sql`), 'utf8'));
  await connection.end();
  return server;
}

describe('the servers, accounts and configuration of docker/', () => {
  let source: TestServer;
  let target: TestServer;
  let millrace: MillraceProcess;
  beforeAll(async () => {
    [source, target] = await Promise.all([startLikeDocker('source'), startLikeDocker('target')]);
    millrace = MillraceProcess.prepare([]);
    const ports: Record<string, number> = { source: source.port, target: target.port };
    const yaml = readFileSync(join(docker, 'millrace.yaml'), 'utf8')
      .replace('data_dir: /var/lib/millrace', `data_dir: ${millrace.dataDir}`)
      .replaceAll('/run/secrets/', `${join(docker, 'secrets')}/`)
      .replace(
        /host: (source|target)\n(\s+)port: 3306/g,
        (_, name, indent) => `host: 127.0.0.1\n${indent}port: ${ports[name]}`,
      );
    writeFileSync(millrace.configFile, yaml);
  });
  afterAll(async () => {
    await millrace?.remove();
    await Promise.all([source?.stop(), target?.stop()]);
  });

  test('the accounts leave no GTID of their own', async () => {
    for (const server of [source, target]) {
      expect(await server.query('SELECT @@global.gtid_executed AS executed')).toEqual([{ executed: '' }]);
    }
  });

  test('their grants are enough for rows, statements, XA, views, triggers, routines and events', async () => {
    await millrace.start({ SOURCE_PASSWORD: 'try-out-source' });
    const load = await MixedLoad.prepare(source, {
      seed: 11,
      clients: 3,
      transactionsMax: 1200,
      weights: { ddl: 25, xa: 6 },
    });
    load.run();
    await load.finished();
    await waitUntilCaughtUp(source, target, { millrace });
    await assertEqualServers(source, target, { gtid: true });
  });

  test('no password is in what Millrace wrote', () => {
    for (const secret of ['try-out-source', 'try-out-target']) expect(millrace.output).not.toContain(secret);
  });
});
