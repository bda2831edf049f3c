/**
 * The program: runs what the command line asks for, turns what it throws into one line and an exit code.
 *
 * Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 running but a channel is degraded or stopped.
 */
import { MillraceError, referredErrorLine, toPlain } from '../base/errors.ts';
import { plainStart } from './plain-start.ts';
import { EXIT, type ExitCode, processTerminal, type Terminal } from './terminal.ts';

/** Runs the verb in process.argv and ends the process. */
export async function main(): Promise<void> {
  withoutEnvironment(process.report);
  process.exitCode = await runCommandLine(process.argv.slice(2), processTerminal());
}

/**
 * A diagnostic report, which whoever starts Node may ask for, holds the environment, and that holds passwords. Node before 22.13 cannot
 * leave it out.
 */
export function withoutEnvironment(report: object | undefined): void {
  if (report !== undefined && 'excludeEnv' in report) Object.assign(report, { excludeEnv: true });
}

export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  try {
    const plain = plainStart(argv);
    if (plain !== null) return await (await import('./start.ts')).start(plain, terminal);
    return await (await import('./command-line.ts')).dispatch(argv, terminal);
  } catch (error) {
    return report(error, terminal);
  }
}

function report(error: unknown, terminal: Terminal): ExitCode {
  terminal.err(`millrace: ${referredErrorLine(toPlain(error))}\n`);
  if (error instanceof MillraceError) {
    return error.code === 'CONFIG' || error.code === 'NOT_IN_THIS_VERSION' ? EXIT.usage : EXIT.failed;
  }
  return EXIT.failed;
}
