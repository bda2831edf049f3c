/**
 * Rows as one JSON array, one row a line, written as they are read: nothing is kept.
 */
import type { Terminal } from './terminal.ts';

export class JsonRows {
  readonly #terminal: Terminal;
  #first = true;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  row(row: object): void {
    this.#terminal.out(`${this.#first ? '[\n' : ',\n'}${JSON.stringify(row)}`);
    this.#first = false;
  }

  end(): void {
    this.#terminal.out(this.#first ? '[]\n' : '\n]\n');
  }
}
