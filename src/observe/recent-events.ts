/**
 * What happened lately: the last entries of the log at info and above, which are state changes, rotations, recoveries and
 * alarms. Bounded in number and in length; what the log masks is masked here.
 */
import type { LogEntry } from '../channel/log.ts';

const EVENTS_MAX = 100;
const TEXT_MAX = 400;
const FACTS_MAX = 12;

export interface RecentEvent {
  /** Wall time, ISO 8601. */
  readonly at: string;
  readonly level: 'info' | 'warn' | 'error';
  /** A constant phrase. */
  readonly message: string;
  readonly channel: string | null;
  readonly target: string | null;
  readonly code: string | null;
  /** The other keys of the entry. */
  readonly facts: Readonly<Record<string, string | number | boolean>>;
}

export class RecentEvents {
  readonly #events: RecentEvent[] = [];

  add(entry: LogEntry): void {
    if (entry.level === 'debug') return;
    const { channel, target, code, ...rest } = entry.facts;
    this.#events.push({
      at: entry.at,
      level: entry.level,
      message: entry.message,
      channel: textOrNull(channel),
      target: textOrNull(target),
      code: textOrNull(code),
      facts: shortFacts(rest),
    });
    if (this.#events.length > EVENTS_MAX) this.#events.shift();
  }

  /** Newest first. */
  get newestFirst(): readonly RecentEvent[] {
    return this.#events.toReversed();
  }
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value.slice(0, TEXT_MAX) : null;
}

function shortFacts(facts: Readonly<Record<string, unknown>>): RecentEvent['facts'] {
  const short: Record<string, string | number | boolean> = {};
  for (const [key, value] of Object.entries(facts).slice(0, FACTS_MAX)) {
    if (typeof value === 'number' || typeof value === 'boolean') short[key] = value;
    else if (typeof value === 'string') short[key] = cut(value);
    else if (typeof value === 'object' && value !== null) short[key] = cut(JSON.stringify(value));
  }
  return short;
}

function cut(text: string): string {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX - 1)}…`;
}
