/**
 * Detaching: the same program again in a session of its own, its output in data_dir/millrace.log. The parent stays until
 * the channels run or have failed, says so in one line, and goes.
 *
 * It learns the outcome over the control socket, and why a child ended again over the IPC channel of child_process, which
 * is cut as soon as the outcome is known. A channel that is degraded gets a moment: an error that will not pass ends the
 * child within it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { MillraceError } from '../base/errors.ts';
import { sleep, systemClock } from '../base/runtime.ts';
import type { Config } from '../config/config.ts';
import type { Status } from '../observe/status.ts';
import { fetchStatus, statusExitCode } from './status.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';

const DETACHED = 'MILLRACE_DETACHED';
const LOOK_MS = 100;
/** So long a channel must have been degraded to be called so. */
const DEGRADED_MS = 3_000;

export function isDetached(): boolean {
  return process.env[DETACHED] === '1' && process.send !== undefined;
}

/** In the child: why it is about to end. */
export function tellParent(failures: readonly string[]): void {
  if (isDetached() && process.connected) process.send?.({ failures });
}

export async function startDetached(
  config: Config,
  timeoutMs: number,
  terminal: Terminal,
): Promise<ExitCode> {
  const child = spawnChild(config);
  const failures: string[] = [];
  let ended: string | null = null;
  child.on('message', (message) => failures.push(...failuresIn(message)));
  child.on('error', (error) => {
    ended = error.message;
  });
  child.on('exit', (code, signal) => {
    ended = signal === null ? `exit code ${code}` : `ended by ${signal}`;
  });

  const begun = systemClock.monotonicMs();
  let degradedSince: number | null = null;
  for (;;) {
    await sleep(LOOK_MS);
    if (ended !== null) {
      const why = failures.length > 0 ? failures.join('; ') : `${ended}; see ${logPath(config)}`;
      terminal.err(`millrace: not started: ${why}\n`);
      return EXIT.failed;
    }
    const now = systemClock.monotonicMs();
    const status = await statusOf(config.dataDir, child.pid);
    const state = status === null ? 'starting' : overallState(status);
    degradedSince = state === 'degraded' ? (degradedSince ?? now) : null;
    const late = now - begun >= timeoutMs;
    const settled = state === 'running' || (degradedSince !== null && now - degradedSince >= DEGRADED_MS);
    if (!settled && !late) continue;
    child.disconnect();
    child.unref();
    return tell(status, child.pid, late && !settled, terminal);
  }
}

function spawnChild(config: Config): ChildProcess {
  mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
  const log = openSync(logPath(config), 'a', 0o600);
  try {
    const program = process.argv[1] ?? '';
    return spawn(
      process.execPath,
      [...process.execArgv, program, 'start', '--config', resolve(config.file)],
      {
        detached: true,
        stdio: ['ignore', log, log, 'ipc'],
        env: { ...process.env, [DETACHED]: '1' },
      },
    );
  } finally {
    closeSync(log);
  }
}

function logPath(config: Config): string {
  return join(config.dataDir, 'millrace.log');
}

function failuresIn(message: unknown): string[] {
  const list = (message as { failures?: unknown } | null)?.failures;
  return Array.isArray(list) ? list.map((failure) => String(failure)) : [];
}

/** Null while the child is not reachable yet, and when another process answers. */
async function statusOf(dataDir: string, pid: number | undefined): Promise<Status | null> {
  try {
    const status = await fetchStatus(dataDir);
    return status.pid === pid ? status : null;
  } catch (error) {
    if (error instanceof MillraceError) return null;
    throw error;
  }
}

function overallState(status: Status): 'starting' | 'running' | 'degraded' {
  if (statusExitCode(status) !== EXIT.done) return 'degraded';
  return status.channels.every(({ state }) => state === 'running') ? 'running' : 'starting';
}

function tell(status: Status | null, pid: number | undefined, late: boolean, terminal: Terminal): ExitCode {
  const channels = (status?.channels ?? []).map(({ name, state, reason }) => {
    return reason === null ? `${name} ${state}` : `${name} ${state}: ${reason}`;
  });
  const line = `millrace runs, pid ${pid}: ${channels.join('; ') || 'it does not answer yet'}`;
  const well = !late && status !== null && statusExitCode(status) === EXIT.done;
  if (well) terminal.out(`${line}\n`);
  else terminal.err(`${line}\n`);
  return well ? EXIT.done : EXIT.degraded;
}
