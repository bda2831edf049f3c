/**
 * What a verb is: how it is called, and what it does with its arguments.
 */
import type { Argv } from 'yargs';
import { MillraceError } from '../base/errors.ts';
import { defaultConfigFile } from '../config/config-file.ts';
import type { ExitCode, Terminal } from './terminal.ts';

export interface ConfigArguments {
  readonly config?: string | undefined;
}

export type VerbRun<Arguments> = (args: Arguments, terminal: Terminal) => Promise<ExitCode>;

export interface Verb {
  readonly name: string;
  /** The name and what must follow it, as yargs has it: `pause <part>`. */
  readonly command: string;
  readonly summary: string;
  /** Declares the verb's options. */
  readonly options: (yargs: Argv<ConfigArguments>) => Argv<ConfigArguments>;
  readonly run: VerbRun<ConfigArguments>;
}

/** `load` is called only for the verb that is run: `status` must not wait for what only `start` needs. */
export function verb<Arguments extends ConfigArguments>(
  command: string,
  summary: string,
  options: (yargs: Argv<ConfigArguments>) => Argv<Arguments>,
  load: () => Promise<VerbRun<Arguments>>,
): Verb {
  return {
    name: command.split(' ')[0]!,
    command,
    summary,
    options: options as unknown as Verb['options'],
    // The parser has made exactly the arguments that `options` declares.
    run: async (args, terminal) => (await load())(args as Arguments, terminal),
  };
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
