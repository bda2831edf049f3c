/**
 * `millrace status`: asks the running process, and prints a table, the status as JSON, or either again and again.
 */
import { sleep } from '../base/runtime.ts';
import { callControl } from '../channel/control-socket.ts';
import { loadPlaces } from '../config/places.ts';
import type { Status } from '../observe/status.ts';
import { renderStatus } from './render-status.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';
import { type ConfigArguments, configFile, positiveSeconds } from './verb.ts';

const ANSWER_MS = 10_000;
const CLEAR_SCREEN = '\u001b[H\u001b[2J';

export interface StatusArguments extends ConfigArguments {
  readonly json: boolean;
  readonly watch: boolean;
  readonly interval: number;
}

/** Throws NOT_RUNNING, CONNECTION_LOST. With --watch it ends only so, or by a signal. */
export async function status(args: StatusArguments, terminal: Terminal): Promise<ExitCode> {
  const intervalMs = positiveSeconds(args.interval, 'interval') * 1000;
  const { dataDir } = loadPlaces(configFile(args, terminal), terminal.env);
  if (!args.watch) return show(await fetchStatus(dataDir), args, terminal, '');
  for (;;) {
    show(await fetchStatus(dataDir), args, terminal, terminal.interactive && !args.json ? CLEAR_SCREEN : '');
    await sleep(intervalMs);
  }
}

/** Throws NOT_RUNNING, CONNECTION_LOST. */
export async function fetchStatus(dataDir: string): Promise<Status> {
  return (await callControl(dataDir, { do: 'status' }, ANSWER_MS)) as Status;
}

function show(status: Status, args: StatusArguments, terminal: Terminal, before: string): ExitCode {
  // One line per status when there are many, so that a program can read them one by one.
  const json = args.json ? JSON.stringify(status, null, args.watch ? 0 : 2) : null;
  terminal.out(`${before}${json ?? renderStatus(status, terminal.colour)}\n`);
  return statusExitCode(status);
}

export function statusExitCode(status: Status): ExitCode {
  const well = status.channels.every(({ state }) => state === 'running' || state === 'starting');
  return well ? EXIT.done : EXIT.degraded;
}
