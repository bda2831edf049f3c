import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { ControlServer } from '../../../src/channel/control-socket.ts';
import { withoutEnvironment } from '../../../src/cli/main.ts';
import { programVersion } from '../../../src/cli/program-version.ts';
import { composeStatus, type Status } from '../../../src/observe/status.ts';
import { printedBy } from '../../support/command-line.ts';
import { temporaryFolder } from '../../support/repository.ts';
import { error, FACTS, snapshot, type Wish } from '../observe/snapshots.ts';

const folder = temporaryFolder('cli');
const CONFIG = join(folder, 'config.yaml');
writeFileSync(
  CONFIG,
  `data_dir: data
channels:
  - name: orders
    source: { host: db1, user: repl, password: "\${SOURCE_PASSWORD}" }
    targets: [{ name: standby, host: db2, user: apply, password: y, workers: 4 }]
`,
);

async function run(args: string, env: Record<string, string> = {}) {
  return printedBy(args === '' ? [] : args.split(' '), { env });
}

test('a diagnostic report is told to leave the environment out, by a Node that can', () => {
  const [can, cannot] = [{ excludeEnv: false }, {}];
  for (const report of [can, cannot, undefined]) withoutEnvironment(report);
  expect([can, cannot]).toEqual([{ excludeEnv: true }, {}]);
});

describe('the command line', () => {
  test.each([
    ['', 2, 'millrace: no verb given; known are '],
    ['--config x', 2, 'millrace: no verb given; known are '],
    ['stat', 2, 'millrace: unknown verb stat; did you mean status?'],
    ['dance', 2, 'millrace: unknown verb dance; known are '],
    ['snapshot', 2, `millrace: millrace snapshot is not in this version (${programVersion()})`],
    ['verify', 2, `millrace: millrace verify is not in this version (${programVersion()})`],
    ['promote orders', 2, `millrace: millrace promote is not in this version (${programVersion()})`],
    ['status --jsno', 2, 'millrace: Unknown argument: jsno'],
    ['status extra', 2, 'millrace: Unknown argument: extra'],
    ['start --timeout', 2, 'millrace: Not enough arguments following: timeout'],
    ['start --timeout 0', 2, 'millrace: --timeout: expected a number of seconds above 0'],
    ['stop --timeout soon', 2, 'millrace: --timeout: expected a number of seconds above 0'],
    ['status --watch --interval -1', 2, 'millrace: --interval: expected a number of seconds above 0'],
    ['start -c nowhere.yaml', 2, 'millrace: nowhere.yaml: no such file'],
    ['check -c nowhere.yaml', 2, 'millrace: nowhere.yaml: no such file'],
    [
      `start -c ${CONFIG}`,
      2,
      `millrace: ${CONFIG}:4:48: channels[0].source.password: the environment variable SOURCE_PASSWORD is not set`,
    ],
    [`status -c ${CONFIG}`, 1, `millrace: no Millrace runs on data_dir ${join(folder, 'data')}`],
    [`stop -c ${CONFIG}`, 1, `millrace: no Millrace runs on data_dir ${join(folder, 'data')}`],
  ])('`millrace %s` ends with %d and one line', async (args, code, line) => {
    const result = await run(args);
    expect(result.err).toContain(line);
    expect(result).toMatchObject({ code, out: '' });
    expect(result.err).toMatch(/^[^\n]+ \[see docs\/errors\.md#[A-Z_]+\]\n$/);
  });

  test('the file comes from -c, else from $MILLRACE_CONFIG, wherever the option stands', async () => {
    const env = { MILLRACE_CONFIG: CONFIG, SOURCE_PASSWORD: 'x' };
    expect((await run('check --offline', env)).code).toBe(0);
    expect((await run(`-c ${CONFIG} check --offline`, { SOURCE_PASSWORD: 'x' })).code).toBe(0);
    expect((await run('check -c other.yaml', env)).err).toContain('other.yaml: no such file');
  });

  test('version, by verb and by option', async () => {
    for (const args of ['version', '--version']) {
      expect(await run(args)).toEqual({ code: 0, out: `millrace ${programVersion()}\n`, err: '' });
    }
  });

  test('help tells the verbs', async () => {
    const { code, out } = await run('--help');
    expect(code).toBe(0);
    for (const verb of ['start', 'stop', 'status', 'check', 'version'])
      expect(out).toContain(`millrace ${verb}`);
  });
});

describe('check', () => {
  test('--offline says what would run, without a secret', async () => {
    const { code, out, err } = await run(`check --offline -c ${CONFIG}`, { SOURCE_PASSWORD: 'hunter2' });
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain(
      'target standby apply@db2:3306, tls preferred, mode auto, progress auto, workers 4',
    );
    expect(out).toContain('the configuration is valid; the servers were not contacted');
    expect(out).not.toContain('hunter2');
  });

  test('--offline --json has nothing about servers', async () => {
    const { code, out } = await run(`check --offline --json -c ${CONFIG}`, { SOURCE_PASSWORD: 'hunter2' });
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({
      config: CONFIG,
      data_dir: join(folder, 'data'),
      ok: true,
      errors: 0,
      warnings: 0,
      host: [],
      channels: [],
    });
  });

  test('a server that is not there is an error with its reference, code 1', async () => {
    const file = join(folder, 'nobody.yaml');
    const endpoint = (port: number): string => `host: 127.0.0.1, port: ${port}, user: u, password: hunter2`;
    writeFileSync(
      file,
      `data_dir: .\nchannels: [{ name: shop, source: { ${endpoint(9)} }, targets: [{ name: t, ${endpoint(7)} }] }]\n`,
    );
    const { code, out, err } = await run(`check -c ${file}`);
    expect({ code, err }).toEqual({ code: 1, err: '' });
    expect(out).toMatch(/error {4}reachable .*cannot connect to the source at 127\.0\.0\.1:9 .*refused/);
    expect(out).toContain('see docs/errors.md#CONNECTION_LOST');
    expect(out).toMatch(/ok, 1 skipped, no warnings, 2 errors\n$/);
    expect(out).not.toContain('hunter2');
    const json = JSON.parse((await run(`check --json -c ${file}`)).out);
    expect(json).toMatchObject({ ok: false, errors: 2, channels: [{ name: 'shop' }] });
    expect(json.channels[0].findings[0]).toMatchObject({
      id: 'reachable',
      subject: 'source',
      level: 'error',
      code: 'CONNECTION_LOST',
      remedy: null,
      skipped: false,
    });
  });

  test('lists every problem on a line of its own', async () => {
    const file = join(folder, 'wrong.yaml');
    writeFileSync(file, 'data_dirr: x\nchannels: []\nlog: { level: loud }\n');
    const { code, err } = await run(`check -c ${file}`);
    expect(code).toBe(2);
    expect(err.trimEnd().split('\n')).toEqual([
      `${file}:1:1: data_dir: missing`,
      `${file}:1:1: data_dirr: unknown key; did you mean data_dir?`,
      `${file}:3:15: log.level: expected one of debug, info, warn, error; got "loud"`,
    ]);
    const json = await run(`check --json -c ${file}`);
    expect(json).toMatchObject({ code: 2, err: '' });
    expect(JSON.parse(json.out).problems[2]).toMatchObject({ line: 3, column: 15, path: 'log.level' });
  });
});

describe('status', () => {
  let server: ControlServer | null = null;
  afterEach(async () => {
    await server?.close();
    server = null;
  });

  async function answering(...wishes: Wish[]): Promise<{ status: Status; file: string }> {
    const home = temporaryFolder('cli-status');
    const file = join(home, 'config.yaml');
    writeFileSync(file, 'data_dir: .\n');
    const status = composeStatus(
      wishes.map((wish) => snapshot(wish)),
      FACTS,
    );
    server = await ControlServer.listen(home, async () => status);
    return { status, file };
  }

  const LOST = error('CONNECTION_LOST', 'source closed the connection');

  test('prints exactly what the process answers as JSON', async () => {
    const { status, file } = await answering({});
    const { code, out } = await run(`status --json -c ${file}`);
    expect(JSON.parse(out)).toEqual(status);
    expect(code).toBe(0);
  });

  test('prints a table', async () => {
    const { file } = await answering({});
    const { code, out } = await run(`status -c ${file}`);
    expect(out).toMatch(
      /^millrace 0\.1\.0, pid 4711, up 90 s\n\nCHANNEL .*\norders .*streaming.*running.*\n$/,
    );
    expect(code).toBe(0);
  });

  test.each<[string, Wish, number]>([
    ['degraded', { targetState: { at: 'stopped', cause: LOST } }, 3],
    ['stopped', { machine: { state: { at: 'stopped', cause: LOST } } }, 3],
    ['starting', { readerState: { at: 'connecting', attempt: 1 } }, 0],
  ])('a channel that is %s beside one that runs', async (_what, wish, code) => {
    const { file } = await answering({}, wish);
    expect((await run(`status -c ${file}`)).code).toBe(code);
    expect((await run(`status --json -c ${file}`)).code).toBe(code);
  });
});
