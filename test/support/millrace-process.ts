/**
 * Millrace as its users run it: a configuration file, `node bin/millrace.js start`, a data_dir of its own.
 *
 * The process ends with the test, the folder disappears with it. `kill9` and `start` again is the crash test; the
 * data_dir stays in between.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stringify } from 'yaml';
import { callControl } from '../../src/channel/control-socket.ts';
import type { Account } from './accounts.ts';
import { processGuard } from './process-guard.ts';
import { type ProgramResult, runProgram } from './program.ts';
import { repositoryRoot, temporaryFolder } from './repository.ts';

/** Where a server (or a proxy before it) is reached. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A configuration as YAML has it: keys of the documented surface. */
// biome-ignore lint/suspicious/noExplicitAny: tests write wrong configurations too
export type ConfigMap = Record<string, any>;

/** One channel `orders` with one target `standby`; `source` and `target` add or override keys. */
export function channelConfig(wish: {
  readonly source: Address & Account & ConfigMap;
  readonly target: Address & Account & ConfigMap;
  readonly relayLog?: ConfigMap;
  readonly name?: string;
}): ConfigMap {
  return {
    name: wish.name ?? 'orders',
    source: { ...wish.source },
    ...(wish.relayLog === undefined ? {} : { relay_log: wish.relayLog }),
    targets: [{ name: 'standby', ...wish.target }],
  };
}

/** Only what a configuration may name: a TestServer or a CuttingProxy has more. */
export function address({ host, port }: Address): Address {
  return { host, port };
}

export interface TargetStatus {
  readonly name: string;
  readonly state: string;
  readonly reason: string | null;
  readonly mode: string;
  readonly progress: string;
  readonly executed_gtid_set: string;
  readonly workers: number;
  readonly lag_seconds: number | 'unknown' | null;
  readonly lag_transactions: number | 'unknown' | null;
  readonly transactions_applied: number;
  readonly rows_applied: number;
  readonly last_error: unknown;
  readonly delay_seconds: number;
  readonly until: { readonly reached: boolean } | null;
  readonly waiting: { readonly next_id: string; readonly next_due_seconds: number | null } | null;
  readonly hold: { readonly id: string } | null;
  readonly skips_pending: number;
  readonly approvals: number;
}

export interface ChannelStatus {
  readonly name: string;
  readonly state: string;
  readonly reason?: string | null;
  readonly source: ConfigMap;
  readonly reader: {
    readonly state: string;
    readonly reason: string | null;
    readonly retrieved_gtid_set: string;
    readonly source_file: string | null;
    readonly source_position: number;
    readonly last_error: unknown;
  };
  readonly relay_log: { readonly file: string; readonly position: number; readonly bytes: number };
  readonly targets: readonly TargetStatus[];
}

export interface MillraceStatus {
  readonly version: string;
  readonly pid: number;
  readonly channels: readonly ChannelStatus[];
}

export interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class MillraceProcess {
  readonly folder: string;
  readonly dataDir: string;
  readonly configFile: string;
  #process: ChildProcess | null = null;
  #output = '';
  #ended: Promise<Ending> = Promise.resolve({ code: null, signal: null });

  private constructor(folder: string) {
    this.folder = folder;
    this.dataDir = join(folder, 'data');
    this.configFile = join(folder, 'config.yaml');
  }

  /** Writes the configuration; nothing runs yet. */
  static prepare(channels: readonly ConfigMap[], extra: ConfigMap = {}): MillraceProcess {
    const millrace = new MillraceProcess(temporaryFolder('run'));
    mkdirSync(millrace.dataDir, { recursive: true });
    millrace.configure({
      data_dir: millrace.dataDir,
      log: { level: 'info', format: 'json' },
      channels,
      ...extra,
    });
    return millrace;
  }

  /** Prepared and started; returns when the control socket answers. */
  static async start(channels: readonly ConfigMap[], extra: ConfigMap = {}): Promise<MillraceProcess> {
    const millrace = MillraceProcess.prepare(channels, extra);
    await millrace.start();
    return millrace;
  }

  /** Replaces the configuration file; takes effect at the next start. */
  configure(config: ConfigMap): void {
    writeFileSync(this.configFile, stringify(config), { mode: 0o600 });
  }

  get running(): boolean {
    return this.#process !== null;
  }

  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error('Millrace does not run');
    return pid;
  }

  /** Everything written to stdout and stderr since the first start. */
  get output(): string {
    return this.#output;
  }

  /** Resolves when the process has ended. */
  get ended(): Promise<Ending> {
    return this.#ended;
  }

  /** Starts the process, without waiting for anything. */
  launch(env: NodeJS.ProcessEnv = {}): void {
    if (this.#process !== null) throw new Error('Millrace runs already');
    const child = spawn(process.execPath, [MILLRACE, 'start', '-c', this.configFile], {
      cwd: this.folder,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const pid = child.pid;
    if (pid !== undefined) processGuard.addProcess(pid);
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString('utf8')).slice(-OUTPUT_MAX);
      });
    }
    this.#process = child;
    this.#ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        if (pid !== undefined) processGuard.removeProcess(pid);
        if (this.#process === child) this.#process = null;
        resolve({ code, signal });
      });
    });
  }

  /** Starts it and waits until it answers on its control socket. */
  async start(env: NodeJS.ProcessEnv = {}): Promise<void> {
    this.launch(env);
    const deadline = Date.now() + 30_000;
    while ((await this.status()) === null) {
      if (!this.running) {
        const { code } = await this.#ended;
        throw new Error(`Millrace ended with code ${code} at start:\n${this.tail()}`);
      }
      if (Date.now() > deadline) throw new Error(`Millrace does not answer after 30 s:\n${this.tail()}`);
      await delay(50);
    }
  }

  /** What `millrace status --json` prints, without a process for each look. Null when no process answers. */
  async status(): Promise<MillraceStatus | null> {
    try {
      return (await callControl(this.dataDir, { do: 'status' }, 10_000)) as MillraceStatus;
    } catch {
      return null;
    }
  }

  async channel(): Promise<ChannelStatus> {
    const channel = (await this.status())?.channels[0];
    if (channel === undefined) throw new Error(`no status:\n${this.tail()}`);
    return channel;
  }

  /** Any verb of the command line, with this configuration. */
  command(verb: string, args: readonly string[] = []): Promise<ProgramResult> {
    return runProgram(process.execPath, [MILLRACE, verb, ...args, '-c', this.configFile], {
      cwd: this.folder,
      timeoutMs: 60_000,
    });
  }

  /** Asks for the status until `condition` holds of it. */
  async waitFor(
    what: string,
    condition: (channel: ChannelStatus) => boolean,
    timeoutMs = 60_000,
  ): Promise<ChannelStatus> {
    const deadline = Date.now() + timeoutMs;
    let last: ChannelStatus | undefined;
    for (;;) {
      last = (await this.status())?.channels[0] ?? last;
      if (last !== undefined && condition(last)) return last;
      if (Date.now() > deadline) {
        throw new Error(
          `waited ${timeoutMs} ms for: ${what}\nstatus: ${JSON.stringify(last, null, 1)}\n${this.tail()}`,
        );
      }
      if (!this.running) throw new Error(`Millrace ended while waiting for: ${what}\n${this.tail()}`);
      await delay(50);
    }
  }

  async signal(signal: NodeJS.Signals): Promise<Ending> {
    this.#process?.kill(signal);
    return this.#ended;
  }

  kill9(): Promise<Ending> {
    return this.signal('SIGKILL');
  }

  /** As an init system does it: SIGTERM, and its exit code. */
  async stop(): Promise<Ending> {
    const impatient = setTimeout(() => this.#process?.kill('SIGKILL'), 30_000);
    const ending = await this.signal('SIGTERM');
    clearTimeout(impatient);
    return ending;
  }

  /** The end of the test: killed, data removed. */
  async remove(): Promise<void> {
    await this.kill9();
    processGuard.removeFolder(this.folder);
  }

  /** Peak resident memory of the running process, bytes (Linux). */
  peakMemory(): number {
    const match = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'));
    return Number(match?.[1] ?? Number.NaN) * 1024;
  }

  tail(lines = 25): string {
    return this.#output.trimEnd().split('\n').slice(-lines).join('\n');
  }
}

const MILLRACE = join(repositoryRoot, 'bin', 'millrace.js');
const OUTPUT_MAX = 4 * 1024 * 1024;
