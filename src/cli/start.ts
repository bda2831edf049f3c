/**
 * `millrace start`: the channels' threads begin to load before the rest of the program does; what it then does is in
 * run-channels.ts.
 */
import { readyThreads } from '../channel/thread-entries.ts';
import type { StartArguments } from './run-channels.ts';
import type { ExitCode, Terminal } from './terminal.ts';

export async function start(args: StartArguments, terminal: Terminal): Promise<ExitCode> {
  if (args.daemon) return (await import('./run-channels.ts')).detachChannels(args, terminal);
  const threads = readyThreads();
  try {
    const { runChannels } = await import('./run-channels.ts');
    return await runChannels(args, threads, terminal);
  } finally {
    await threads.spares.discard();
  }
}
