/**
 * The demonstration: a shop with live traffic on a source, replicated into a target by Millrace, which is killed with
 * -9 in the middle and started again; then every table is compared.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs, styleText } from 'node:util';
import { createSourceAccount, createTargetAccount } from '../test/support/accounts.ts';
import { waitUntilCaughtUp } from '../test/support/catching-up.ts';
import { compareServers } from '../test/support/equality.ts';
import { address, channelConfig, MillraceProcess } from '../test/support/millrace-process.ts';
import { repositoryRoot, temporaryFolder } from '../test/support/repository.ts';
import { startServer, type TestServer } from '../test/support/test-server.ts';
import { printReport } from './report.ts';
import { Shop } from './shop.ts';

const CLIENTS = 4;
const BEFORE_KILL_MS = 5_000;
const OUTAGE_MS = 2_000;
const AFTER_RESTART_MS = 5_000;

const { values: options } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
const begun = performance.now();

function say(text: string): void {
  const seconds = ((performance.now() - begun) / 1000).toFixed(1).padStart(6);
  console.log(`${styleText('dim', `${seconds} s`)}  ${text}`);
}

async function orders(server: TestServer): Promise<number> {
  try {
    const [row] = await server.query('SELECT COUNT(*) AS n FROM shop.orders');
    return Number(row?.n ?? 0);
  } catch (error) {
    // The target has no such table before Millrace has created it there.
    if (['ER_BAD_DB_ERROR', 'ER_NO_SUCH_TABLE'].includes((error as { code?: string }).code ?? '')) return 0;
    throw error;
  }
}

async function main(): Promise<boolean> {
  console.log('\nA shop on one MySQL server, its replica on another, Millrace in between.\n');
  say('starting a source and a target (the first time, their programs are fetched)');
  const [source, target] = await Promise.all([
    startServer({ flavour: 'mysql', name: 'source' }),
    startServer({ flavour: 'mysql', name: 'target' }),
  ]);
  const servers = `MySQL ${source.version} → MySQL ${target.version} (${source.provider === 'docker' ? 'Docker' : 'on this machine'})`;
  say(`both run: source on port ${source.port}, target on port ${target.port}, ${servers}`);

  const sourceAccount = await createSourceAccount(source);
  const targetAccount = await createTargetAccount(target);
  const shop = await Shop.build(source);
  say('the shop is built on the source; the target is empty');

  const millrace = MillraceProcess.prepare([
    channelConfig({
      name: 'shop',
      source: { ...address(source), ...sourceAccount },
      target: { name: 'replica', ...address(target), ...targetAccount },
    }),
  ]);
  await millrace.start();
  say('Millrace runs; the shop opens');
  const opened = performance.now();
  shop.open(CLIENTS);

  await delay(BEFORE_KILL_MS / 2);
  await shop.alter();
  say('a column was added to the table orders while customers buy');
  await delay(BEFORE_KILL_MS / 2);
  say(`orders on the source: ${await orders(source)}, on the target: ${await orders(target)}`);

  const placedAtKill = shop.figures.placed;
  await millrace.kill9();
  const killed = performance.now();
  say(styleText('yellow', 'Millrace is killed with -9; customers do not notice and go on buying'));
  await delay(OUTAGE_MS);
  const ordersDuringOutage = shop.figures.placed - placedAtKill;
  say(`orders on the source: ${await orders(source)}, on the target: ${await orders(target)}`);

  const restarted = performance.now();
  millrace.launch();
  await waitUntilCaughtUp(source, target, { millrace });
  const catchUpSeconds = (performance.now() - restarted) / 1000;
  say(`Millrace was started again and had caught up ${catchUpSeconds.toFixed(1)} s later`);
  await delay(AFTER_RESTART_MS);
  say(`orders on the source: ${await orders(source)}, on the target: ${await orders(target)}`);

  await shop.close();
  const trafficSeconds = (performance.now() - opened) / 1000;
  say('the shop closes; comparing every table');
  await waitUntilCaughtUp(source, target, { millrace });
  const equality = await compareServers(source, target, { gtid: true });
  printReport({
    servers,
    shop: shop.figures,
    trafficSeconds,
    ordersDuringOutage,
    outageSeconds: (restarted - killed) / 1000,
    catchUpSeconds,
    equality,
  });
  if (options.keep) await keepRunning(source, target, millrace);
  await millrace.stop();
  await Promise.all([source.stop(), target.stop()]);
  return equality.differences.length === 0;
}

/** Says how to play with it, and returns when the user has had enough. */
async function keepRunning(source: TestServer, target: TestServer, millrace: MillraceProcess): Promise<void> {
  const folder = temporaryFolder('demo');
  const cli = `node ${relative(process.cwd(), join(repositoryRoot, 'bin', 'millrace.js')) || 'bin/millrace.js'}`;
  console.log(`
Everything is left running.

  source    ${clientCommand(source, folder)}
  target    ${clientCommand(target, folder)}
            for example  … -e "SELECT COUNT(*) FROM shop.orders"
  status    ${cli} status --watch -c ${millrace.configFile}
  events    ${cli} events --limit 20 -c ${millrace.configFile}
  kill it   kill -9 ${millrace.pid}
  again     ${cli} start -c ${millrace.configFile}

Ctrl-C here stops all of it and leaves nothing behind.`);
  await new Promise<void>((resolve) => {
    finish = resolve;
    // A pending promise alone does not keep a process alive.
    const alive = setInterval(() => {}, 1_000_000);
    process.once('exit', () => clearInterval(alive));
  });
}

/** A short script that calls the server's own client; where there is none, what any client needs to know. */
function clientCommand(server: TestServer, folder: string): string {
  try {
    const { command, args } = server.binary('mysql');
    const login = [`--host=${server.host}`, `--port=${server.port}`, `--user=${server.rootUser}`];
    const words = [command, ...args, '--no-defaults', ...login];
    const script = join(folder, server.name);
    writeFileSync(
      script,
      `#!/bin/sh\nMYSQL_PWD='${server.rootPassword}' exec ${words.map((word) => `'${word}'`).join(' ')} "$@"\n`,
    );
    chmodSync(script, 0o755);
    return script;
  } catch {
    return `mysql -h ${server.host} -P ${server.port} -u ${server.rootUser} -p${server.rootPassword}`;
  }
}

/** Set while everything is kept running: Ctrl-C is then the regular end. */
let finish: (() => void) | null = null;
let interrupted = false;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (finish !== null) {
      finish();
      return;
    }
    if (interrupted) return;
    interrupted = true;
    console.log('\ninterrupted; cleaning up');
    // The servers and folders end with this process (process-guard.ts).
    process.exit(130);
  });
}

main().then(
  (equal) => process.exit(equal ? 0 : 1),
  (error: unknown) => {
    console.error(`\nthe demonstration failed: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(1);
  },
);
