/**
 * A terminal's screen that is drawn again and again in place: each line over the old one, the rest cleared, the cursor
 * hidden meanwhile. What does not fit is cut, so that a line never becomes two. However it ends, the cursor comes back.
 */
import { stripVTControlCharacters } from 'node:util';
import type { Window } from './terminal.ts';

const HOME = '\u001b[H';
const CLEAR_ALL = '\u001b[2J';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';
const HIDE = '\u001b[?25l';
const SHOW = '\u001b[?25h';
const RESET = '\u001b[0m';

export class Screen {
  readonly #out: (text: string) => void;
  readonly #onSignal = (signal: NodeJS.Signals): void => {
    this.close();
    // With the cursor back, it ends as it would have ended.
    process.kill(process.pid, signal);
  };

  constructor(out: (text: string) => void) {
    this.#out = out;
  }

  open(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, this.#onSignal);
    this.#out(`${HIDE}${HOME}${CLEAR_ALL}`);
  }

  /** `window` null: nothing is cut. */
  draw(text: string, window: Window | null): void {
    const all = text.split('\n');
    // The last row stays free: a line feed there would scroll.
    const lines = window === null ? all : all.slice(0, Math.max(1, window.rows - 1));
    const shown = lines.map((line) => `${window === null ? line : cut(line, window.columns)}${CLEAR_LINE}`);
    this.#out(`${HOME}${shown.join('\n')}\n${CLEAR_BELOW}`);
  }

  close(): void {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.removeListener(signal, this.#onSignal);
    this.#out(SHOW);
  }
}

/** Colours take no room; a line that is cut loses them at its end. */
function cut(line: string, columns: number): string {
  if (stripVTControlCharacters(line).length <= columns) return line;
  let shown = 0;
  let at = 0;
  while (at < line.length && shown < columns - 1) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a colour is made of
    const sequence = /^\u001b\[[0-9;]*m/.exec(line.slice(at));
    if (sequence !== null) at += sequence[0].length;
    else {
      at += 1;
      shown += 1;
    }
  }
  return `${line.slice(0, at)}…${RESET}`;
}
