import { describe, expect, test } from 'vitest';
import { Screen } from '../../../src/cli/screen.ts';

/** A terminal as far as the screen uses it: rows of text, a cursor, colours without width. */
class Emulated {
  rows: string[] = [];
  cursorShown = true;
  scrolled = 0;
  readonly #height: number;
  #row = 0;
  #column = 0;

  constructor(height: number) {
    this.#height = height;
  }

  write(text: string): void {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's sequences begin with one
    for (const part of text.match(/\u001b\[[?0-9;]*[A-Za-z]|[\s\S]/g) ?? []) this.#take(part);
  }

  #take(part: string): void {
    const row = this.rows[this.#row] ?? '';
    if (part === '\n') {
      this.#row += 1;
      this.#column = 0;
      if (this.#row >= this.#height) this.scrolled += 1;
    } else if (part === '\u001b[H') this.#row = this.#column = 0;
    else if (part === '\u001b[2J') this.rows = [];
    else if (part === '\u001b[K') this.rows[this.#row] = row.slice(0, this.#column);
    else if (part === '\u001b[J') this.rows.length = Math.min(this.rows.length, this.#row);
    else if (part === '\u001b[?25l' || part === '\u001b[?25h') this.cursorShown = part.endsWith('h');
    else if (!part.startsWith('\u001b')) {
      this.rows[this.#row] =
        row.slice(0, this.#column).padEnd(this.#column) + part + row.slice(this.#column + 1);
      this.#column += 1;
    }
  }
}

describe('a screen that is drawn again and again', () => {
  test('shows the last text alone, also when it is shorter', () => {
    const terminal = new Emulated(10);
    const screen = new Screen((text) => terminal.write(text));
    screen.open();
    screen.draw('a long first line\nsecond\nthird', { columns: 40, rows: 10 });
    screen.draw('short\nsecond', { columns: 40, rows: 10 });
    expect(terminal.rows).toEqual(['short', 'second']);
    expect(terminal.cursorShown).toBe(false);
    screen.close();
    expect(terminal.cursorShown).toBe(true);
  });

  test('never scrolls and never lets a line become two', () => {
    const terminal = new Emulated(5);
    const screen = new Screen((text) => terminal.write(text));
    screen.open();
    const text = Array.from({ length: 20 }, (_, n) => `line ${n} ${'x'.repeat(50)}`).join('\n');
    screen.draw(text, { columns: 12, rows: 5 });
    expect(terminal.scrolled).toBe(0);
    expect(terminal.rows).toEqual(['line 0 xxxx…', 'line 1 xxxx…', 'line 2 xxxx…', 'line 3 xxxx…']);
    screen.close();
  });

  test('a colour takes no room, and does not leak out of a line that is cut', () => {
    const written: string[] = [];
    const screen = new Screen((text) => written.push(text));
    screen.draw('\u001b[32mrunning\u001b[39m', { columns: 7, rows: 5 });
    expect(written[0]).toContain('\u001b[32mrunning\u001b[39m\u001b[K');
    screen.draw('\u001b[32mrunning\u001b[39m', { columns: 5, rows: 5 });
    expect(written[1]).toContain('\u001b[32mrunn…\u001b[0m\u001b[K');
  });
});
