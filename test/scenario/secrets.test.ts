/**
 * A secret in every place where one can be: none of them is found in the log, the status, the metrics, the page, the process list, or
 * what is written when something goes wrong.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unlogged } from '../support/accounts.ts';
import { waitUntilCaughtUp } from '../support/catching-up.ts';
import { launchChromium } from '../support/chromium.ts';
import { address, type ConfigMap, MillraceProcess } from '../support/millrace-process.ts';
import { runProgram } from '../support/program.ts';
import { startServer, type TestServer } from '../support/test-server.ts';

/** Each could stand somewhere; each is told apart from every other text. */
const SECRETS = {
  source: 'planted-source-4f1c',
  target: 'planted-target-9be2',
  token: 'planted-token-with-enough-7d3a',
  ddl: 'planted-ddl-61c8',
  alter: 'planted-alter-0d57',
  connection: 'planted-connection-3c7e',
  option: 'planted-option-a94b',
  row: 'planted-row-e2a9',
  key: 'planted-key-55b0',
  wrong: 'planted-wrong-password-8c14',
} as const;

let source: TestServer;
let target: TestServer;
let millrace: MillraceProcess;
/** Everything that was seen, by where. */
const seen = new Map<string, string>();

function config(more: ConfigMap = {}): ConfigMap {
  return {
    data_dir: millrace.dataDir,
    log: { level: 'debug', format: 'json' },
    http: { listen: '127.0.0.1:0', token_file: 'token' },
    channels: [
      {
        name: 'orders',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation of the file
        source: { ...address(source), user: 'repl', password: '${PLANTED}', tls: 'disabled' },
        targets: [
          {
            name: 'standby',
            ...address(target),
            user: 'apply',
            password_file: 'password',
            tls: 'disabled',
            replicate_system: true,
          },
        ],
      },
    ],
    ...more,
  };
}

async function url(): Promise<string> {
  const deadline = Date.now() + 30_000;
  for (;;) {
    const found = millrace.output.match(/"url":"(http:[^"]+)"/g)?.at(-1);
    if (found !== undefined) return found.slice('"url":"'.length, -1);
    if (Date.now() > deadline) throw new Error(`http does not listen:\n${millrace.tail()}`);
    await delay(50);
  }
}

beforeAll(async () => {
  [source, target] = await Promise.all([
    startServer({ flavour: 'mysql', name: 'source' }),
    startServer({ flavour: 'mysql', name: 'target' }),
  ]);
  await unlogged(source, [
    `CREATE USER 'repl'@'%' IDENTIFIED BY '${SECRETS.source}'`,
    "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'repl'@'%'",
  ]);
  await unlogged(target, [
    `CREATE USER 'apply'@'%' IDENTIFIED BY '${SECRETS.target}'`,
    "GRANT ALL ON *.* TO 'apply'@'%' WITH GRANT OPTION",
  ]);
  millrace = MillraceProcess.prepare([]);
  writeFileSync(join(millrace.folder, 'password'), `${SECRETS.target}\n`, { mode: 0o600 });
  writeFileSync(join(millrace.folder, 'token'), `${SECRETS.token}\n`, { mode: 0o600 });
  millrace.configure(config());
});
afterAll(async () => {
  await millrace?.remove();
  await Promise.all([source, target].map((server) => server?.stop()));
});

describe('a secret is found nowhere', () => {
  test('while accounts, rows and failures pass by', async () => {
    await millrace.start({ PLANTED: SECRETS.source });
    const connection = await source.connect();
    await connection.query('CREATE DATABASE shop');
    await connection.query('CREATE TABLE shop.people (id VARCHAR(60) PRIMARY KEY, note VARCHAR(60))');
    await connection.query(`CREATE USER 'bob'@'%' IDENTIFIED BY '${SECRETS.ddl}'`);
    await connection.query(`ALTER USER 'bob'@'%' IDENTIFIED BY '${SECRETS.alter}'`);
    await connection.query(
      `ALTER TABLE shop.people CONNECTION = 'mysql://fed:${SECRETS.connection}@db9/shop/people'`,
    );
    await connection.query(`ALTER TABLE shop.people COMMENT = 'user=fed,password=${SECRETS.option}'`);
    await connection.query(`INSERT INTO shop.people VALUES ('a', '${SECRETS.row}')`);
    await waitUntilCaughtUp(source, target, { millrace });
    // A statement with a password that the target refuses, again and again.
    await unlogged(target, ["DROP USER 'bob'@'%'", `CREATE USER 'carol'@'%'`]);
    // A row that it has already: the server repeats the key.
    await unlogged(target, [`INSERT INTO shop.people VALUES ('${SECRETS.key}', 'x')`]);
    await connection.query(`INSERT INTO shop.people VALUES ('${SECRETS.key}', '${SECRETS.row}')`);
    connection.destroy();
    const channel = await millrace.waitFor('it stops', ({ targets }) => targets[0]?.state === 'stopped');
    expect(String(channel.targets[0]?.last_error)).toContain("Duplicate entry '…' for key 'people.PRIMARY'");
    await look();
  });

  test('when a statement with a password is what the target refuses', async () => {
    await target.query(`DELETE FROM shop.people WHERE id = '${SECRETS.key}'`);
    expect((await millrace.command('resume', ['standby'])).code).toBe(0);
    const connection = await source.connect();
    await connection.query(`CREATE USER 'carol'@'%' IDENTIFIED BY '${SECRETS.ddl}'`);
    connection.destroy();
    await millrace.waitFor('it stops', ({ targets }) => {
      return targets[0]?.state === 'stopped' && String(targets[0].last_error).includes('CREATE USER');
    });
    await look();
  });

  test('when a request has the wrong token, or the right one', async () => {
    for (const token of [SECRETS.wrong, SECRETS.token]) {
      const response = await fetch(`${await url()}api/pause`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ part: 'standby', password: SECRETS.wrong }),
      });
      note(`answer to ${token === SECRETS.token ? 'the right' : 'a wrong'} token`, await response.text());
    }
    await look();
  });

  test('in what is said of a wrong configuration, and at a start that fails', async () => {
    note('stopped', JSON.stringify(await millrace.stop()));
    for (const [what, change] of Object.entries<ConfigMap>({
      'a wrong password': {
        channels: [
          { ...config().channels[0], source: { ...config().channels[0].source, password: SECRETS.wrong } },
        ],
      },
      'a password as a number': {
        channels: [
          { ...config().channels[0], source: { ...config().channels[0].source, password: [SECRETS.wrong] } },
        ],
      },
      'a token that is too short': { http: { listen: '127.0.0.1:0', token: SECRETS.wrong.slice(0, 12) } },
    })) {
      millrace.configure(config(change));
      const before = millrace.output.length;
      millrace.launch({ PLANTED: SECRETS.source });
      note(what, JSON.stringify(await Promise.race([millrace.ended, delay(20_000)])));
      await millrace.kill9();
      note(`${what}: output`, millrace.output.slice(before));
      note(`${what}: check`, JSON.stringify(await millrace.command('check')));
    }
  });

  test('when it dies of a fault', async () => {
    millrace.configure(config());
    // A relay log that is a file where a folder must be: the thread cannot live.
    writeFileSync(join(millrace.dataDir, 'broken'), '');
    millrace.configure(config({ channels: [{ ...config().channels[0], name: 'broken' }] }));
    millrace.launch({
      PLANTED: SECRETS.source,
      NODE_OPTIONS:
        '--report-uncaught-exception --report-on-signal --report-signal=SIGUSR2 --report-exclude-env',
    });
    await Promise.race([millrace.ended, delay(15_000)]);
    await millrace.kill9();
    note('after a fault', millrace.output);
  });

  test('0 of them anywhere', () => {
    // The log at level debug, and what was written at every end of it.
    note('log', millrace.output);
    for (const name of readdirSync(millrace.dataDir, { recursive: true, encoding: 'utf8' })) {
      const path = join(millrace.dataDir, name);
      // The relay log is the source's binary log: for the eyes of this user only.
      if (!statSync(path).isFile() || /relay-bin\.\d+$/.test(name)) continue;
      note(`data_dir/${name}`, readFileSync(path, 'latin1'));
    }
    const found: string[] = [];
    for (const [where, text] of seen) {
      for (const [what, secret] of Object.entries(SECRETS)) {
        if (text.includes(secret))
          found.push(
            `${what} in ${where}: …${text.slice(Math.max(0, text.indexOf(secret) - 120)).slice(0, 200)}`,
          );
      }
    }
    console.log(
      `${seen.size} texts of ${[...seen.values()].reduce((sum, text) => sum + text.length, 0)} characters, ${Object.keys(SECRETS).length} secrets, found ${found.length}`,
    );
    expect(found).toEqual([]);
    expect(seen.size).toBeGreaterThan(25);
  });
});

function note(where: string, text: string): void {
  seen.set(`${where} (${seen.size})`, text);
}

/** Everywhere where it could be seen while it runs. */
async function look(): Promise<void> {
  const base = await url();
  for (const path of ['status.json', 'metrics', 'history.json', 'readyz', 'healthz/lag']) {
    note(path, await (await fetch(base + path)).text());
  }
  for (const args of [[], ['--json']])
    note(`status ${args}`, (await millrace.command('status', args)).stdout);
  note('events', (await millrace.command('events')).stdout);
  note('events as JSON', (await millrace.command('events', ['--json'])).stdout);
  note('process list', (await runProgram('ps', ['-eo', 'args', '-ww'])).stdout);
  note('command line', readFileSync(`/proc/${millrace.pid}/cmdline`, 'latin1'));
  note('title', readFileSync(`/proc/${millrace.pid}/comm`, 'latin1'));
  for (const server of [source, target]) {
    // Whose sessions are ours, and what they call themselves.
    note(
      `sessions on ${server.name}`,
      JSON.stringify(
        await server.query(
          'SELECT a.ATTR_NAME, a.ATTR_VALUE FROM performance_schema.session_connect_attrs a JOIN information_schema.PROCESSLIST p ON p.ID = a.PROCESSLIST_ID',
        ),
      ),
    );
  }
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(base);
    await page.locator('.channel .pill').first().waitFor();
    note('page', await page.content());
    note('page, as it is read', (await page.locator('body').textContent()) ?? '');
  } finally {
    await browser.close();
  }
}
