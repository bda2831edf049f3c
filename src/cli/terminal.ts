/**
 * Where a verb writes: lines for people on stdout and stderr, exit codes that scripts hold on to.
 */
import type { Environment } from '../config/yaml-source.ts';

/** done · failed · usage or configuration · running, but a channel is degraded or stopped */
export const EXIT = { done: 0, failed: 1, usage: 2, degraded: 3 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export interface Window {
  readonly columns: number;
  readonly rows: number;
}

export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether colours may be used on stdout. */
  readonly colour: boolean;
  readonly interactive: boolean;
  /** The window's size now; null: it is none. */
  readonly window: () => Window | null;
  readonly env: Environment;
  /** Whoever read stdout is gone. */
  readonly closed: () => boolean;
}

export function processTerminal(): Terminal {
  for (const stream of [process.stdout, process.stderr]) {
    // Whoever read our output is gone: that is no reason to die.
    stream.on('error', () => {});
  }
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    colour: process.stdout.isTTY && process.env.NO_COLOR === undefined,
    interactive: process.stdout.isTTY,
    window: () => {
      const { isTTY, columns, rows } = process.stdout;
      return isTTY ? { columns, rows } : null;
    },
    env: process.env,
    closed: () => process.stdout.destroyed || process.stdout.errored !== null,
  };
}
