/**
 * A logger that hands its lines to the main thread. Thread: reader.
 */
import type { LogFacts, Logger } from '../base/runtime.ts';
import type { ReaderReport } from './reader-messages.ts';

export function portLogger(post: (report: ReaderReport) => void): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (message: string, facts: LogFacts = {}): void =>
      post({ type: 'log', level, message, facts });
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}
