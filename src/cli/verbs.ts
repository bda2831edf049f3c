/**
 * The verbs: their names, options and where they live.
 */
import { OPERATOR_VERBS } from './operator-verbs.ts';
import { START_TIMEOUT_SECONDS } from './plain-start.ts';
import { type Verb, verb } from './verb.ts';

export const VERBS: readonly Verb[] = [
  verb(
    'start',
    'Run the channels, in the foreground or with --daemon',
    (yargs) =>
      yargs
        .option('daemon', {
          alias: 'd',
          type: 'boolean',
          default: false,
          describe: 'Detach, and return when the channels run or have failed',
        })
        .option('timeout', {
          type: 'number',
          default: START_TIMEOUT_SECONDS,
          requiresArg: true,
          describe: 'With --daemon: wait so many seconds at most',
        }),
    async () => (await import('./start.ts')).start,
  ),
  verb(
    'stop',
    'Stop the running Millrace and wait until it is gone',
    (yargs) =>
      yargs.option('timeout', {
        type: 'number',
        default: 60,
        requiresArg: true,
        describe: 'Give up waiting after so many seconds; the stop goes on',
      }),
    async () => (await import('./stop.ts')).stop,
  ),
  verb(
    'status',
    'Show what the channels do; exit code 3 when one is degraded or stopped',
    (yargs) =>
      yargs
        .option('json', { type: 'boolean', default: false, describe: 'The status as JSON' })
        .option('watch', { alias: 'w', type: 'boolean', default: false, describe: 'Show it again and again' })
        .option('interval', {
          type: 'number',
          default: 1,
          requiresArg: true,
          describe: 'With --watch: seconds between two looks',
        }),
    async () => (await import('./status.ts')).status,
  ),
  verb(
    'events',
    'Show what the relay log holds',
    (yargs) =>
      yargs
        .option('channel', { type: 'string', requiresArg: true, describe: 'Needed when there are several' })
        .option('file', { type: 'string', requiresArg: true, describe: 'Only this relay log file' })
        .option('from', {
          type: 'string',
          requiresArg: true,
          describe: 'Begin with a transaction: GTID, FILE:POS of the source, or POS in the relay file',
        })
        .option('limit', { type: 'number', requiresArg: true, describe: 'So many rows at most' })
        .option('json', { type: 'boolean', default: false, describe: 'The rows as a JSON array' }),
    async () => (await import('./events.ts')).events,
  ),
  ...OPERATOR_VERBS,
  verb(
    'find',
    'Find in the relay log where something happened',
    (yargs) =>
      yargs
        .option('channel', { type: 'string', requiresArg: true, describe: 'Needed when there are several' })
        .option('from', {
          type: 'string',
          requiresArg: true,
          describe: 'Committed on the source then or later: 2026-02-03T04:05:06Z, or 10m ago',
        })
        .option('to', { type: 'string', requiresArg: true, describe: 'Committed before' })
        .option('table', {
          type: 'string',
          requiresArg: true,
          describe: 'Changes of a table: shop.orders, or a pattern like "shop.%"',
        })
        .option('kind', {
          type: 'string',
          requiresArg: true,
          describe: 'Changes of a kind: drop_table,truncate,delete,…',
        })
        .option('gtid', {
          type: 'string',
          requiresArg: true,
          describe: 'These transactions: uuid:7 or uuid:7-9',
        })
        .option('text', { type: 'string', requiresArg: true, describe: 'Statements that hold this text' })
        .option('limit', { type: 'number', requiresArg: true, describe: 'So many transactions at most' })
        .option('json', { type: 'boolean', default: false, describe: 'The transactions as a JSON array' }),
    async () => (await import('./find.ts')).find,
  ),
  verb(
    'check',
    'Look at configuration, servers and this machine; say what is wrong, and what to paste',
    (yargs) =>
      yargs
        .option('json', { type: 'boolean', default: false, describe: 'The findings as JSON' })
        .option('offline', {
          type: 'boolean',
          default: false,
          describe: 'Only the configuration file; no server is contacted',
        }),
    async () => (await import('./check.ts')).check,
  ),
  verb(
    'version',
    'Print the version',
    (yargs) => yargs,
    async () => (await import('./version.ts')).version,
  ),
];

/** Verbs that a later version brings: known, and refused in plain words. */
export const LATER_VERBS: readonly string[] = ['snapshot', 'verify', 'promote'];
