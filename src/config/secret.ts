/**
 * A text that must not be seen: every way in which objects end up in logs, dumps or messages prints `***`.
 * Only `reveal()` gives it out, at the one place where a connection is opened.
 */
import { inspect } from 'node:util';

export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '***';
  }

  toJSON(): string {
    return '***';
  }

  [inspect.custom](): string {
    return '***';
  }
}
