/**
 * The command line as yargs reads it: every verb with its options, help, and what was mistaken.
 */
import yargs, { type Argv } from 'yargs';
import { MillraceError } from '../base/errors.ts';
import { nearMiss } from '../config/near-miss.ts';
import { programVersion } from './program-version.ts';
import { EXIT, type ExitCode, type Terminal } from './terminal.ts';
import type { ConfigArguments } from './verb.ts';
import { LATER_VERBS, VERBS } from './verbs.ts';

/** Runs the verb. Throws CONFIG for what was mistaken, and what the verb throws. */
export async function dispatch(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const verb = argv[0] ?? '';
  const names = VERBS.map(({ name }) => name);
  if (LATER_VERBS.includes(verb)) {
    throw new MillraceError(
      'NOT_IN_THIS_VERSION',
      `millrace ${verb} is not in this version (${programVersion()})`,
    );
  }
  if (/^[a-z]/i.test(verb) && !names.includes(verb)) {
    const meant = nearMiss(verb, names);
    const hint = meant === null ? `known are ${names.join(', ')}` : `did you mean ${meant}?`;
    throw usageError(`unknown verb ${verb}; ${hint}`);
  }

  let outcome: { exitCode: ExitCode } | { error: unknown } | null = null;
  let parser = yargs()
    .scriptName('millrace')
    .usage(
      'millrace VERB [options]\n\nReceives a MySQL binary log and replays it, exactly once, into other servers.',
    )
    .option('config', {
      alias: 'c',
      type: 'string',
      requiresArg: true,
      global: true,
      describe: 'Configuration file (default: $MILLRACE_CONFIG or ./config.yaml)',
    })
    .version(`millrace ${programVersion()}`)
    .help()
    .alias('h', 'help')
    .locale('en')
    .strict()
    .recommendCommands()
    .exitProcess(false)
    .fail(false);
  for (const { command, summary, options, run } of VERBS) {
    parser = parser.command(command, summary, options, async (args) => {
      try {
        outcome = { exitCode: await run(args as ConfigArguments, terminal) };
      } catch (error) {
        outcome = { error };
      }
    }) as typeof parser;
  }
  const said = await parse(parser, argv);
  if (said !== '') terminal.out(`${said}\n`);
  return conclude(outcome, said);
}

/** What yargs wants printed (help, version). Whatever it throws is a mistake in how it was called. */
async function parse(parser: Argv<unknown>, argv: readonly string[]): Promise<string> {
  let said = '';
  let wrong: Error | null | undefined;
  try {
    await parser.parseAsync(
      [...argv],
      {},
      (error: Error | null | undefined, _args: unknown, output: string) => {
        wrong = error;
        said = output;
      },
    );
  } catch (error) {
    wrong = error as Error;
  }
  if (wrong) throw usageError(wrong.message.replace(/\s*\n\s*/g, ' '));
  return said;
}

function conclude(outcome: { exitCode: ExitCode } | { error: unknown } | null, said: string): ExitCode {
  if (outcome === null) {
    if (said !== '') return EXIT.done;
    throw usageError(`no verb given; known are ${VERBS.map(({ name }) => name).join(', ')}`);
  }
  if ('error' in outcome) throw outcome.error;
  return outcome.exitCode;
}

function usageError(message: string): MillraceError {
  return new MillraceError('CONFIG', `${message} — \`millrace --help\` shows how`);
}
