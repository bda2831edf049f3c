/**
 * `millrace version`.
 */
import { programVersion } from './program-version.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';
import type { ConfigArguments } from './verb.ts';

export async function version(_args: ConfigArguments, terminal: Terminal): Promise<ExitCode> {
  terminal.out(`millrace ${programVersion()}\n`);
  return EXIT.done;
}
