/**
 * SIGTERM and SIGINT: the first asks for an orderly stop, the second ends the process at once with exit code 1. SIGHUP has the
 * configuration read again, as `millrace reload` does.
 *
 * As PID 1 of a container the kernel delivers only signals that have a handler, so these are installed before anything
 * begins that would have to be ended in order.
 */
import type { Logger } from '../base/runtime.ts';

/** Removes the handlers again when called. */
export function onSignals(log: Logger, stop: () => void, reload: () => void): () => void {
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
  const again = (signal: NodeJS.Signals): void => {
    log.info('signal received, reading the configuration again', { signal });
    reload();
  };
  process.on('SIGTERM', orderly);
  process.on('SIGINT', orderly);
  process.on('SIGHUP', again);
  return () => {
    process.off('SIGTERM', orderly);
    process.off('SIGINT', orderly);
    process.off('SIGHUP', again);
  };
}
