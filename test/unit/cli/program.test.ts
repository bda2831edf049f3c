/**
 * The program as it is run: processes, signals, exit codes. No server is needed: the source is a port where nobody
 * listens, or one that refuses to speak.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Status } from '../../../src/observe/status.ts';
import buildOnce from '../../support/build-once.ts';
import { bundled } from '../../support/bundled.ts';
import { withFileLock } from '../../support/file-lock.ts';
import { processGuard } from '../../support/process-guard.ts';
import { type ProgramResult, runProgram } from '../../support/program.ts';
import { cacheFolder, repositoryRoot, temporaryFolder } from '../../support/repository.ts';

const MILLRACE = join(repositoryRoot, 'bin', 'millrace.js');
/** A port of the discard protocol: nobody listens there. */
const NOBODY = 9;

beforeAll(() => withFileLock(join(cacheFolder(), 'build.lock'), buildOnce), 120_000);

const started: Home[] = [];
afterEach(async () => {
  for (const home of started.splice(0)) await home.end();
});

/** A folder with a configuration, and what runs on it. */
class Home {
  readonly folder = temporaryFolder('program');
  readonly dataDir = join(this.folder, 'data');
  readonly config = join(this.folder, 'config.yaml');
  child: ChildProcess | null = null;
  output = '';

  constructor(sourcePort = NOBODY) {
    started.push(this);
    writeFileSync(
      this.config,
      `data_dir: ./data
channels:
  - name: shop
    source: { host: 127.0.0.1, port: ${sourcePort}, user: repl, password: hunter2 }
    targets: [{ name: standby, host: 127.0.0.1, port: 7, user: apply, password: hunter2 }]
`,
    );
  }

  run(...args: string[]): Promise<ProgramResult> {
    return runProgram(process.execPath, [MILLRACE, ...args, '-c', this.config], { timeoutMs: 60_000 });
  }

  start(): ChildProcess {
    const child = spawn(process.execPath, [MILLRACE, 'start', '-c', this.config], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    processGuard.addProcess(child.pid!);
    child.stdout.on('data', (chunk: Buffer) => {
      this.output += chunk.toString('utf8');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      this.output += chunk.toString('utf8');
    });
    this.child = child;
    return child;
  }

  async status(): Promise<Status | null> {
    const { code, stdout } = await this.run('status', '--json');
    return code === 0 || code === 3 ? (JSON.parse(stdout) as Status) : null;
  }

  async until(what: string, condition: (status: Status) => boolean): Promise<Status> {
    for (let tries = 0; tries < 200; tries++) {
      const status = await this.status();
      if (status !== null && condition(status)) return status;
      await delay(20);
    }
    throw new Error(`never: ${what}\n${this.output}`);
  }

  running(): Promise<Status> {
    return this.until('it answers', () => true);
  }

  async end(): Promise<void> {
    const pid = readPid(this.dataDir);
    if (pid !== null && pid !== this.child?.pid) kill(pid);
    if (this.child !== null && this.child.exitCode === null && this.child.signalCode === null) {
      const gone = exitOf(this.child);
      this.child.kill('SIGKILL');
      await gone;
    }
    if (this.child?.pid !== undefined) processGuard.removeProcess(this.child.pid);
    processGuard.removeFolder(this.folder);
  }
}

function exitOf(child: ChildProcess): Promise<{ code: number | null; signal: string | null }> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve({ code: child.exitCode, signal: child.signalCode });
  }
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal })));
}

function readPid(dataDir: string): number | null {
  const file = join(dataDir, 'millrace.pid');
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : null;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

/** A zombie that nobody reaps lives no more. */
function lives(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}

/** Accepts connections and never says a word: a connect that hangs. */
async function silentServer(): Promise<{ server: Server; port: number }> {
  const server = createServer(() => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as { port: number }).port };
}

describe('start in the foreground', () => {
  test('goes on without a source, says why in status, and SIGTERM ends it with 0', async () => {
    const home = new Home();
    const child = home.start();
    const status = await home.until('the reader backs off', ({ channels }) => {
      return channels[0]?.reader.state === 'backing-off';
    });
    expect(status.pid).toBe(child.pid);
    expect(status.channels[0]).toMatchObject({ name: 'shop', state: 'degraded' });
    expect(status.channels[0]?.reader.reason).toMatch(
      /^backing-off, attempt \d+, .*127\.0\.0\.1:9.*refused.*, retry in \d+ s$/,
    );
    expect(status.channels[0]?.reader.last_error_code).toBe('CONNECTION_LOST');
    expect(status.channels[0]?.targets[0]).toMatchObject({ lag_seconds: null, lag_transactions: null });
    expect((await home.run('status')).code).toBe(3);

    expect(statSync(home.dataDir).mode & 0o777).toBe(0o700);
    expect(statSync(join(home.dataDir, 'millrace.sock')).mode & 0o777).toBe(0o600);
    child.kill('SIGTERM');
    expect(await exitOf(child)).toEqual({ code: 0, signal: null });
    expect(existsSync(join(home.dataDir, 'millrace.pid'))).toBe(false);
    expect(existsSync(join(home.dataDir, 'millrace.sock'))).toBe(false);
    expect(home.output).toContain('millrace stopped');
    expect(home.output).not.toContain('hunter2');
  });

  test('a second start on the same data_dir is refused and names the pid; the first is untouched', async () => {
    const home = new Home();
    const child = home.start();
    await home.running();
    const second = await home.run('start');
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(
      new RegExp(
        `^millrace: another Millrace, pid ${child.pid}, runs on data_dir .* — Stop it .*\\[see docs/errors.md#ALREADY_RUNNING\\]\\n$`,
      ),
    );
    expect((await home.status())?.pid).toBe(child.pid);
  });

  test('after kill -9 nothing is in the way of the next start, and the identity stays', async () => {
    const home = new Home();
    const first = home.start();
    await home.running();
    const identity = readFileSync(join(home.dataDir, 'identity'), 'utf8');
    first.kill('SIGKILL');
    await exitOf(first);
    expect(existsSync(join(home.dataDir, 'millrace.pid'))).toBe(true);
    expect((await home.run('status')).code).toBe(1);
    const second = home.start();
    expect((await home.running()).pid).toBe(second.pid);
    expect(readFileSync(join(home.dataDir, 'identity'), 'utf8')).toBe(identity);
  });

  test('SIGINT ends it too, and a signal during the start is not lost', async () => {
    const home = new Home();
    const child = home.start();
    await new Promise((resolve) => child.stdout!.once('data', resolve));
    child.kill('SIGINT');
    expect(await exitOf(child)).toEqual({ code: 0, signal: null });
  });

  test('a second signal ends it at once with 1, however long the stop takes', async () => {
    const module = pathToFileURL(await bundled('src/channel/process-signals.ts')).href;
    const program = `
      const { onSignals } = await import(${JSON.stringify(module)});
      const log = { info: console.log, warn: console.log };
      onSignals(log, () => console.log("asked to stop"), () => console.log("asked to reload"));
      setInterval(() => {}, 1e9);
      console.log('up');`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    processGuard.addProcess(child.pid!);
    let output = '';
    const says = (text: string): Promise<void> =>
      new Promise((resolve) => {
        const look = (chunk: Buffer | string): void => {
          output += chunk.toString();
          if (output.includes(text)) resolve();
        };
        look('');
        child.stdout.on('data', look);
      });
    await says('up');
    child.kill('SIGTERM');
    await says('asked to stop');
    expect(child.exitCode).toBeNull();
    child.kill('SIGINT');
    expect(await exitOf(child)).toEqual({ code: 1, signal: null });
    expect(output).toContain('second signal, ending at once');
    processGuard.removeProcess(child.pid!);
  });

  test('SIGHUP has the configuration read again, right or wrong, and is no reason to end', async () => {
    const home = new Home();
    const child = home.start();
    await home.running();
    child.kill('SIGHUP');
    await home.until('it was read again', () => home.output.includes('configuration reloaded'));
    appendFileSync(home.config, 'nonsense: true\n');
    child.kill('SIGHUP');
    await home.until('what is wrong is said', () => home.output.includes('configuration not reloaded'));
    expect(child.exitCode).toBeNull();
  });

  test('a reader of the log that goes away is no reason to end', async () => {
    const home = new Home();
    const child = home.start();
    await home.running();
    child.stdout!.destroy();
    child.stderr!.destroy();
    await home.until('three attempts', ({ channels }) => {
      return Number(/attempt (\d+)/.exec(channels[0]?.reader.reason ?? '')?.[1] ?? 0) >= 3;
    });
    expect(child.exitCode).toBeNull();
  });
});

describe('start --daemon, stop', () => {
  test('returns 3 with the reason when the channel is degraded; stop waits until it is gone', async () => {
    const home = new Home();
    const start = await home.run('start', '--daemon');
    expect(start.code).toBe(3);
    expect(start.stderr).toMatch(/^millrace runs, pid \d+: shop degraded: reader: .*127\.0\.0\.1:9.*\n$/);
    const pid = readPid(home.dataDir)!;
    expect((await home.status())?.pid).toBe(pid);
    expect(statSync(join(home.dataDir, 'millrace.log')).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(home.dataDir, 'millrace.log'), 'utf8')).toContain('"msg":"millrace starting"');

    const again = await home.run('start', '--daemon');
    expect(again.code).toBe(1);
    expect(again.stderr).toContain(`another Millrace, pid ${pid},`);

    const stop = await home.run('stop');
    expect(stop).toMatchObject({ code: 0, stdout: `millrace stopped, pid ${pid}\n`, stderr: '' });
    expect(lives(pid)).toBe(false);
    expect((await home.run('stop')).code).toBe(1);
  });

  test('a source that does not answer is still starting when the patience ends, and says so', async () => {
    const { server, port } = await silentServer();
    const home = new Home(port);
    const start = await home.run('start', '--daemon', '--timeout', '4');
    expect(start.code).toBe(3);
    expect(start.stderr).toMatch(/shop starting: reader: (looking at the source and the targets|connecting)/);
    expect((await home.run('stop')).code).toBe(0);
    server.close();
  });

  test('an error in the configuration is told by the parent, with 2', async () => {
    const home = new Home();
    writeFileSync(home.config, 'data_dir: ./data\nchannels: []\n');
    const start = await home.run('start', '--daemon');
    expect(start).toMatchObject({
      code: 2,
      stderr: `millrace: ${home.config}:2:11: channels: needs at least one channel [see docs/errors.md#CONFIG]\n`,
    });
  });

  test('a data_dir that is too long for a socket is one clear line', async () => {
    const home = new Home();
    writeFileSync(home.config, readFileSync(home.config, 'utf8').replace('./data', `./${'d'.repeat(110)}`));
    const start = await home.run('start');
    expect(start.code).toBe(2);
    expect(start.stderr).toMatch(
      /^millrace: data_dir is too long: .* — Choose a shorter data_dir\. \[see docs\/errors\.md#CONFIG\]\n$/,
    );
  });
});

function flipped(cache: string): void {
  const bytes = readFileSync(cache);
  for (let at = 200; at < bytes.length; at += 997) bytes[at]! ^= 0x55;
  writeFileSync(cache, bytes);
}

function emptied(cache: string): void {
  writeFileSync(cache, '');
}

function ofAnother(cache: string): void {
  cpSync(join(repositoryRoot, 'dist', 'shared', 'errors.cjs.cache'), cache);
}

describe('what is built', () => {
  const dist = join(repositoryRoot, 'dist');
  const pieces = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => /^shared\/.*\.cjs$|\.piece\.cjs$/.test(file))
      .map((file) => join(folder, file));

  /** Each piece with what V8 said of its code cache. */
  async function taken(nodeArgs: readonly string[]): Promise<Set<boolean>> {
    const look = `
      const loader = require(process.argv[1]);
      const refused = [];
      loader.onCompiled = (_file, script) => refused.push(script.cachedDataRejected);
      for (const piece of process.argv.slice(2)) try { loader.load(piece); } catch (error) { if (!/worker thread/.test(error.message)) throw error; }
      console.log(JSON.stringify(refused));`;
    const { stdout, stderr } = await runProgram(
      process.execPath,
      [...nodeArgs, '--eval', look, join(dist, 'loader.cjs'), ...pieces(dist)],
      { timeoutMs: 60_000 },
    );
    expect(stderr).toBe('');
    const refused = JSON.parse(stdout) as boolean[];
    expect(refused).toHaveLength(pieces(dist).length);
    return new Set(refused.map((no) => !no));
  }

  test('has a code cache of every piece, which this Node takes', async () => {
    expect(pieces(dist).length).toBeGreaterThan(20);
    expect(await taken([])).toEqual(new Set([true]));
  });

  test('runs without its code caches as well: refused, damaged, of another text, or gone', async () => {
    expect(await taken(['--max-lazy'])).toEqual(new Set([false]));
    const copy = temporaryFolder('built');
    for (const part of ['bin', 'dist', 'package.json'])
      cpSync(join(repositoryRoot, part), join(copy, part), { recursive: true });
    symlinkSync(join(repositoryRoot, 'node_modules'), join(copy, 'node_modules'));
    const version = () => runProgram(process.execPath, [join(copy, 'bin', 'millrace.js'), 'version']);
    const { stdout } = await runProgram(process.execPath, [MILLRACE, 'version']);
    const caches = pieces(join(copy, 'dist')).map((piece) => `${piece}.cache`);
    for (const damage of [flipped, emptied, ofAnother]) {
      for (const cache of caches) damage(cache);
      expect(await version(), damage.name).toMatchObject({ code: 0, stdout, stderr: '' });
    }
    for (const cache of caches) rmSync(cache);
    expect(await version()).toMatchObject({ code: 0, stdout, stderr: '' });
  });
});
