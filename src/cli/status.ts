/**
 * `millrace status`: asks the running process, and prints a table, the status as JSON, or either again and again.
 */
import { sleep } from '../base/runtime.ts';
import { callControl } from '../channel/control-socket.ts';
import { loadPlaces } from '../config/places.ts';
import type { Status } from '../observe/status.ts';
import { renderStatus } from './render-status.ts';
import { Screen } from './screen.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';
import { type ConfigArguments, configFile, positiveSeconds } from './verb.ts';

const ANSWER_MS = 10_000;

export interface StatusArguments extends ConfigArguments {
  readonly json: boolean;
  readonly watch: boolean;
  readonly interval: number;
}

/** Throws NOT_RUNNING, CONNECTION_LOST. With --watch it ends only so, or by a signal. */
export async function status(args: StatusArguments, terminal: Terminal): Promise<ExitCode> {
  const intervalMs = positiveSeconds(args.interval, 'interval') * 1000;
  const { dataDir } = loadPlaces(configFile(args, terminal), terminal.env);
  if (!args.watch) return show(await fetchStatus(dataDir), args, terminal);
  if (terminal.interactive && !args.json) return redraw(dataDir, intervalMs, terminal);
  for (;;) {
    show(await fetchStatus(dataDir), args, terminal);
    await sleep(intervalMs);
  }
}

/** In place: nothing scrolls, nothing flickers, and the screen is left as a screen whatever ends it. */
async function redraw(dataDir: string, intervalMs: number, terminal: Terminal): Promise<never> {
  const screen = new Screen(terminal.out);
  screen.open();
  try {
    for (;;) {
      const status = await fetchStatus(dataDir);
      const window = terminal.window();
      screen.draw(renderStatus(status, terminal.colour, window?.columns), window);
      await sleep(intervalMs);
    }
  } finally {
    screen.close();
  }
}

/** Throws NOT_RUNNING, CONNECTION_LOST. */
export async function fetchStatus(dataDir: string): Promise<Status> {
  return (await callControl(dataDir, { do: 'status' }, ANSWER_MS)) as Status;
}

function show(status: Status, args: StatusArguments, terminal: Terminal): ExitCode {
  // One line per status when there are many, so that a program can read them one by one.
  const json = args.json ? JSON.stringify(status, null, args.watch ? 0 : 2) : null;
  terminal.out(`${json ?? renderStatus(status, terminal.colour, terminal.window()?.columns)}\n`);
  return statusExitCode(status);
}

export function statusExitCode(status: Status): ExitCode {
  const well = status.channels.every(({ state }) => state === 'running' || state === 'starting');
  return well ? EXIT.done : EXIT.degraded;
}
