/**
 * What one check found: a noun, a level, a sentence, and, where something is to be mended, the exact text to paste.
 *
 *   ok       it is as it should be; `skipped`: it could not be looked at, and the message says why
 *   warning  it works, and may not be what is wanted; or: it will not work once a certain thing happens
 *   error    replication cannot run like this
 *
 * An error carries the code that the reader or the applier would stop or retry with, so that it means the same in
 * `check`, in `start` and in docs/errors.md. Only an error whose code says `stop` keeps a channel from starting:
 * trouble that passes by itself is the business of whoever retries.
 */
import { ERROR_CODES, type ErrorCode, type MillraceError, type PlainError } from '../base/errors.ts';

export type Level = 'ok' | 'warning' | 'error';

/** Where a remedy is pasted. */
export type Place = 'source' | 'target' | 'config' | 'host';

/** `option_file`: lines of a server's my.cnf, which it reads when it is started again. */
export type RemedyForm = 'sql' | 'option_file' | 'yaml' | 'shell';

export interface Remedy {
  readonly on: Place;
  readonly form: RemedyForm;
  /** `127.0.0.1:3306`, `channels[orders].source` */
  readonly where: string;
  /** Pasted as it is; statements end with a semicolon. */
  readonly text: string;
}

export interface Finding {
  /** The noun: `binlog_format`. Stable. */
  readonly id: string;
  /** `source`, `target NAME` or `host`. */
  readonly subject: string;
  readonly level: Level;
  readonly message: string;
  /** Of an error; null otherwise. */
  readonly code: ErrorCode | null;
  /** What no text to paste can do. */
  readonly advice: string | null;
  readonly remedy: Remedy | null;
  readonly skipped: boolean;
}

export interface Mending {
  readonly remedy?: Remedy | null;
  readonly advice?: string | null;
}

/** The findings about one subject, as they are made. */
export class Findings {
  readonly all: Finding[] = [];
  readonly #subject: string;

  constructor(subject: string) {
    this.#subject = subject;
  }

  ok(id: string, message: string): void {
    this.#add('ok', id, message, null, {}, false);
  }

  /** Not looked at. The remedy makes it possible to look. */
  skipped(id: string, message: string, mending: Mending = {}): void {
    this.#add('ok', id, message, null, mending, true);
  }

  warning(id: string, message: string, mending: Mending = {}): void {
    this.#add('warning', id, message, null, mending, false);
  }

  error(id: string, code: ErrorCode, message: string, mending: Mending = {}): void {
    this.#add('error', id, message, code, mending, false);
  }

  /** An error as the reader or the applier would throw it. Its hint is the advice where nothing better is given. */
  thrown(id: string, error: MillraceError, mending: Mending = {}): void {
    this.error(id, error.code, error.message, { advice: error.hint ?? null, ...mending });
  }

  #add(
    level: Level,
    id: string,
    message: string,
    code: ErrorCode | null,
    { remedy = null, advice = null }: Mending,
    skipped: boolean,
  ): void {
    this.all.push({ id, subject: this.#subject, level, message, code, advice, remedy, skipped });
  }
}

/** Keeps the reader or the applier that it is about from starting. */
export function forbidsStart(finding: Finding): boolean {
  return finding.code !== null && ERROR_CODES[finding.code] === 'stop';
}

/** The finding as what stops a channel. */
export function asPlainError(finding: Finding): PlainError {
  const { code, message, remedy, advice, id } = finding;
  const paste = remedy === null ? null : `${placeText(remedy)}: ${remedy.text.replace(/\s*\n\s*/g, ' ')}`;
  const hint = [paste, advice].filter((part) => part !== null).join(' — ');
  return {
    code: code ?? 'INTERNAL',
    action: 'stop',
    message,
    hint: hint === '' ? null : hint,
    facts: { check: id },
  };
}

/** `on the source 127.0.0.1:3306`, `in the configuration, channels[orders].source` */
export function placeText({ on, form, where }: Remedy): string {
  if (on === 'config') return `in the configuration, ${where}`;
  if (on === 'host') return `on this machine${where === '' ? '' : ` (${where})`}`;
  if (form === 'option_file') return `in the option file of the ${on} ${where}, then restart it`;
  return form === 'shell' ? `on the machine of the ${on} ${where}` : `on the ${on} ${where}`;
}
