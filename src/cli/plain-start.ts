/**
 * `millrace start` as service managers and containers say it, read without the parser of command lines: that takes longer to load than
 * what it would read. Everything else, mistakes too, is the parser's (command-line.ts), and means the same there.
 *
 *   start | start -c FILE | start --config FILE | start --config=FILE
 */
import type { StartArguments } from './run-channels.ts';

/** Of --timeout, which counts with --daemon. */
export const START_TIMEOUT_SECONDS = 60;

/** Null: it is something else, or said in another way. */
export function plainStart(argv: readonly string[]): StartArguments | null {
  const [verb, ...rest] = argv;
  if (verb !== 'start') return null;
  const said = { daemon: false, timeout: START_TIMEOUT_SECONDS };
  if (rest.length === 0) return said;
  const config = configOf(rest);
  return config === null ? null : { ...said, config };
}

function configOf(options: readonly string[]): string | null {
  const [option = '', value] = options;
  const long = /^--config=(.+)$/s.exec(option)?.[1];
  if (options.length === 1 && long !== undefined) return long;
  const named = options.length === 2 && (option === '-c' || option === '--config');
  return named && value !== undefined && /^[^-]/.test(value) ? value : null;
}
