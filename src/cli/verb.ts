/**
 * What a verb is: how it is called, and what it does with its arguments.
 */
import type { Argv } from 'yargs';
import { MillraceError } from '../base/errors.ts';
import { defaultConfigFile } from '../config/load-config.ts';
import type { ExitCode, Terminal } from './terminal.ts';

export interface ConfigArguments {
  readonly config?: string | undefined;
}

export interface Verb<Arguments extends ConfigArguments = ConfigArguments> {
  readonly name: string;
  readonly summary: string;
  readonly options: (yargs: Argv<ConfigArguments>) => Argv<Arguments>;
  readonly run: (args: Arguments, terminal: Terminal) => Promise<ExitCode>;
}

export function configFile(args: ConfigArguments, terminal: Terminal): string {
  return args.config ?? defaultConfigFile(terminal.env);
}

/** Whole seconds above 0 on the command line. Throws a usage error. */
export function positiveSeconds(value: number, option: string): number {
  if (Number.isFinite(value) && value > 0 && value <= 1_000_000) return value;
  throw new UsageError(`--${option}: expected a number of seconds above 0`);
}

/** A mistake in how the program was called: one line, exit code 2. */
export class UsageError extends MillraceError {
  constructor(message: string) {
    super('CONFIG', message, { hint: 'See `millrace --help`.' });
  }
}
