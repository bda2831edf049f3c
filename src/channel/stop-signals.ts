/**
 * SIGTERM and SIGINT: the first asks for an orderly stop, the second ends the process at once with exit code 1.
 *
 * As PID 1 of a container the kernel delivers only signals that have a handler, so these are installed before anything
 * else starts. SIGHUP is answered in the log and otherwise ignored: the configuration is read at the start only.
 */
import type { Logger } from '../base/runtime.ts';

/** Removes the handlers again when called. */
export function onStopSignals(log: Logger, stop: () => void): () => void {
  let asked = false;
  const orderly = (signal: NodeJS.Signals): void => {
    if (asked) {
      log.warn('second signal, ending at once', { signal });
      process.exit(1);
    }
    asked = true;
    log.info('signal received, stopping', { signal });
    stop();
  };
  const ignored = (): void => log.info('SIGHUP ignored: the configuration is read at the start only');
  process.on('SIGTERM', orderly);
  process.on('SIGINT', orderly);
  process.on('SIGHUP', ignored);
  return () => {
    process.off('SIGTERM', orderly);
    process.off('SIGINT', orderly);
    process.off('SIGHUP', ignored);
  };
}
