/**
 * The log of the process: pino in the main thread, one JSON object or one readable line per entry.
 *
 * Messages are constant, facts are keys, `channel`, `thread` and `target` say whose. Worker threads send their entries
 * here as messages. Lines are written synchronously: there are few, and the last ones before a crash matter most.
 * Whatever is named like a secret is masked, wherever in the facts it stands.
 */
import { styleText } from 'node:util';
import { pino } from 'pino';
import type { LogFacts, Logger } from '../base/runtime.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty';
  /** Takes whole lines. */
  readonly write: (line: string) => void;
  readonly colour?: boolean;
  /** Gets every entry at info and above as well, masked, whatever `level` leaves out of the log. */
  readonly onEntry?: (entry: LogEntry) => void;
}

export interface LogEntry {
  /** ISO 8601. */
  readonly at: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

const SECRET_KEY = /pass(word|wd|phrase)?$|secret|^key$|token|^sql$/i;
const FACT_DEPTH_MAX = 4;

/** A log whose level may change while it is written. */
export interface ProcessLog extends Logger {
  setLevel(level: LogLevel): void;
}

export function createLogger(options: LogOptions): ProcessLog {
  const pretty = options.format === 'pretty';
  const sink = {
    write(line: string): void {
      options.write(pretty ? prettyLine(line, options.colour ?? false) : line);
    },
  };
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  );
  const say = (level: LogLevel, message: string, facts: LogFacts | undefined): void => {
    const plain = plainFacts(facts);
    logger[level](plain, message);
    if (level !== 'debug') options.onEntry?.({ at: new Date().toISOString(), level, message, facts: plain });
  };
  return {
    setLevel: (level) => {
      logger.level = level;
    },
    debug: (message, facts) => say('debug', message, facts),
    info: (message, facts) => say('info', message, facts),
    warn: (message, facts) => say('warn', message, facts),
    error: (message, facts) => say('error', message, facts),
  };
}

/** The same log with facts that every entry carries. */
export function withFacts(logger: Logger, always: LogFacts): Logger {
  return {
    debug: (message, facts) => logger.debug(message, { ...always, ...facts }),
    info: (message, facts) => logger.info(message, { ...always, ...facts }),
    warn: (message, facts) => logger.warn(message, { ...always, ...facts }),
    error: (message, facts) => logger.error(message, { ...always, ...facts }),
  };
}

function plainFacts(facts: LogFacts | undefined): Record<string, unknown> {
  return (facts === undefined ? {} : plainValue(facts, 0)) as Record<string, unknown>;
}

/** What JSON can hold, secrets masked. */
function plainValue(value: unknown, depth: number): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (value instanceof Error) return value.message;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= FACT_DEPTH_MAX || ArrayBuffer.isView(value)) return '…';
  if (Array.isArray(value)) return value.slice(0, 100).map((part) => plainValue(part, depth + 1));
  if ('toJSON' in value && typeof value.toJSON === 'function') return value.toJSON();
  const plain: Record<string, unknown> = {};
  for (const [key, part] of Object.entries(value)) {
    plain[key] = SECRET_KEY.test(key) ? '***' : plainValue(part, depth + 1);
  }
  return plain;
}

const LEVEL_STYLE: Readonly<Record<string, 'gray' | 'green' | 'yellow' | 'red'>> = {
  debug: 'gray',
  info: 'green',
  warn: 'yellow',
  error: 'red',
};

/** `12:30:01.123 info  reader connected  channel=orders source=db1:3306` */
function prettyLine(json: string, colour: boolean): string {
  const { level, time, msg, ...facts } = JSON.parse(json) as Record<string, unknown>;
  const style = colour ? LEVEL_STYLE[String(level)] : undefined;
  const label =
    style === undefined ? String(level) : styleText(style, String(level), { validateStream: false });
  const words = Object.entries(facts)
    .filter(([, value]) => value !== null)
    .map(([key, value]) => `${key}=${factText(value)}`);
  const padding = ' '.repeat(Math.max(0, 5 - String(level).length));
  const tail = words.length === 0 ? '' : `  ${words.join(' ')}`;
  return `${String(time).slice(11, 23)} ${label}${padding} ${String(msg)}${tail}\n`;
}

function factText(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  // Control characters of a message from a server must not reach the terminal.
  return /^[^\s"=\p{Cc}]+$/u.test(value) ? value : JSON.stringify(value);
}
