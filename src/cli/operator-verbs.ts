/**
 * The verbs of operators: names, arguments and options. What they do is in operate.ts.
 */
import type { Argv } from 'yargs';
import type { OperatorArguments } from './operate.ts';
import { type ConfigArguments, type Verb, verb } from './verb.ts';

function operator(yargs: Argv<ConfigArguments>): Argv<OperatorArguments> {
  return yargs
    .option('channel', { type: 'string', requiresArg: true, describe: 'Needed when there are several' })
    .option('json', { type: 'boolean', default: false, describe: 'The answer as JSON' });
}

function ofTarget(yargs: Argv<ConfigArguments>): Argv<OperatorArguments & { target?: string | undefined }> {
  return operator(yargs).option('target', {
    type: 'string',
    requiresArg: true,
    describe: 'Needed when the channel has several',
  });
}

const PART = { type: 'string', demandOption: true, describe: 'reader, or the name of a target' } as const;
const GTID = {
  type: 'string',
  demandOption: true,
  describe: 'uuid:7, on MariaDB 0-1-7, without GTIDs FILE:POS',
} as const;

export const OPERATOR_VERBS: readonly Verb[] = [
  verb(
    'pause <part>',
    'Stop the reader or a target until `resume`, also across restarts',
    (yargs) => operator(yargs).positional('part', PART),
    async () => (await import('./operate.ts')).pause,
  ),
  verb(
    'resume <part>',
    'Let the reader or a target go on: paused, stopped by an error, or at a reached `until`',
    (yargs) => operator(yargs).positional('part', PART),
    async () => (await import('./operate.ts')).resume,
  ),
  verb(
    'delay <target> <duration>',
    'Delay a target by 30m, 0s, or as `configured`',
    (yargs) =>
      operator(yargs)
        .positional('target', { type: 'string', demandOption: true, describe: 'The name of a target' })
        .positional('duration', {
          type: 'string',
          demandOption: true,
          describe: 'Like 30m; `configured`: what the configuration says',
        }),
    async () => (await import('./operate.ts')).delay,
  ),
  verb(
    'until',
    'Stop a target before or after a transaction, or at a time',
    (yargs) =>
      ofTarget(yargs)
        .option('before', {
          type: 'string',
          requiresArg: true,
          describe: 'Apply everything before this GTID',
        })
        .option('after', { type: 'string', requiresArg: true, describe: 'Apply everything up to this GTID' })
        .option('time', {
          type: 'string',
          requiresArg: true,
          describe: 'Stop before the first transaction committed then or later: 2026-02-03T04:05:06Z',
        })
        .option('cancel', { type: 'boolean', default: false, describe: 'Go on without an until' }),
    async () => (await import('./operate.ts')).until,
  ),
  verb(
    'skip <gtid>',
    'Commit a transaction as an empty one; --reason goes to the audit log',
    (yargs) =>
      ofTarget(yargs)
        .positional('gtid', GTID)
        .option('reason', { type: 'string', requiresArg: true, describe: 'Why; must be given' }),
    async () => (await import('./operate.ts')).skip,
  ),
  verb(
    'approve <gtid>',
    'Let a transaction pass that a guard holds',
    (yargs) => ofTarget(yargs).positional('gtid', GTID),
    async () => (await import('./operate.ts')).approve,
  ),
  verb(
    'reload',
    'Read the configuration again: rules, guards, delays, retention and the log’s level change',
    (yargs) => yargs.option('json', { type: 'boolean', default: false, describe: 'The answer as JSON' }),
    async () => (await import('./operate.ts')).reload,
  ),
];
