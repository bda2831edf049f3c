/**
 * `millrace stop`: asks the process to finish what is in flight, and waits until it is gone.
 */
import { MillraceError } from '../base/errors.ts';
import { sleep, systemClock } from '../base/runtime.ts';
import { callControl } from '../channel/control-socket.ts';
import { isRunning, type ProcessMark } from '../channel/process-mark.ts';
import { runningProcess } from '../channel/run-lock.ts';
import { loadPlaces } from '../config/places.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';
import { type ConfigArguments, configFile, positiveSeconds } from './verb.ts';

const ANSWER_MS = 5_000;
const LOOK_MS = 50;

export interface StopArguments extends ConfigArguments {
  readonly timeout: number;
}

export async function stop(args: StopArguments, terminal: Terminal): Promise<ExitCode> {
  const timeoutMs = positiveSeconds(args.timeout, 'timeout') * 1000;
  const { dataDir } = loadPlaces(configFile(args, terminal), terminal.env);
  const mark = runningProcess(dataDir);
  const deadline = systemClock.monotonicMs() + timeoutMs;
  const pid = await askToStop(dataDir, mark);
  while (await stillThere(dataDir, mark)) {
    if (systemClock.monotonicMs() > deadline) {
      throw new MillraceError(
        'CONNECTION_LOST',
        `Millrace, pid ${pid}, has not ended within ${args.timeout} s`,
        {
          hint: `It still finishes what is in flight; \`kill -9 ${pid}\` ends it at once and loses nothing.`,
        },
      );
    }
    await sleep(LOOK_MS);
  }
  terminal.out(`millrace stopped, pid ${pid}\n`);
  return EXIT.done;
}

async function askToStop(dataDir: string, mark: ProcessMark | null): Promise<number> {
  try {
    const { pid } = (await callControl(dataDir, { do: 'stop' }, ANSWER_MS)) as { pid: number };
    return pid;
  } catch (error) {
    // It lives, and its socket does not answer: it is starting, stopping, or stuck.
    if (mark !== null && error instanceof MillraceError) {
      throw new MillraceError(
        error.code,
        `Millrace, pid ${mark.pid}, runs and cannot be reached: ${error.message}`,
        {
          hint: `Try again, or end it with \`kill ${mark.pid}\`.`,
        },
      );
    }
    throw error;
  }
}

async function stillThere(dataDir: string, mark: ProcessMark | null): Promise<boolean> {
  if (mark !== null) return isRunning(mark);
  try {
    await callControl(dataDir, { do: 'ping' }, ANSWER_MS);
    return true;
  } catch (error) {
    return !(error instanceof MillraceError && error.code === 'NOT_RUNNING');
  }
}
