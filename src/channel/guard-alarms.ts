/**
 * Raises the alarm when a guard has found something: a line in the log, a count, and a webhook where one is configured. Once for
 * each transaction of a target, also across restarts (alarm-memory.ts); an applier that starts again finds the same anew.
 *
 * What is posted, and nothing else:
 *   {"event":"guard","text":"…for people, on one line…","channel":"orders","target":"standby","gtid":"uuid:7",
 *    "guard":"drop_table","what":"DROP TABLE shop.orders","on_guard":"hold","committed_at":"2026-…Z","due_at":"2026-…Z",
 *    "log_name":"relay-bin.000001","pos":1234,"approve":"millrace approve …","skip":"millrace skip …"}
 * Names and numbers, never a value or the text of a statement.
 * Thread: main.
 */
import type { GuardMatch } from '../applier/guard-scout.ts';
import type { Clock, Logger } from '../base/runtime.ts';
import { relayFileName } from '../relay/relay-log-index.ts';
import type { AlarmMemory } from './alarm-memory.ts';
import { Webhook } from './webhook.ts';

export interface FoundByGuard {
  readonly channel: string;
  readonly target: string;
  readonly match: GuardMatch;
  /** 0: its time has come; null: not known. */
  readonly dueInMs: number | null;
  readonly onGuard: 'hold' | 'warn';
  /** Null: none. */
  readonly webhook: string | null;
}

export interface GuardAlarmsOptions {
  readonly memory: AlarmMemory;
  readonly log: Logger;
  readonly clock: Clock;
}

export class GuardAlarms {
  readonly #options: GuardAlarmsOptions;
  /** Raised in this process, delivered or under way; the newest of each target. */
  readonly #seen = new Map<string, Set<string>>();
  readonly #counts = new Map<string, number>();
  readonly #webhooks = new Map<string, Webhook>();

  constructor(options: GuardAlarmsOptions) {
    this.#options = options;
  }

  /** Alarms of a target since this process began. */
  count(channel: string, target: string): number {
    return this.#counts.get(keyOf(channel, target)) ?? 0;
  }

  raise(found: FoundByGuard): void {
    const { channel, target, match } = found;
    const { memory, log } = this.#options;
    if (!this.#isNew(channel, target, match.id)) return;
    const facts = { channel, target, gtid: match.id, guard: match.guard, what: match.what };
    if (memory.has(channel, target, match.id)) {
      log.info('what a guard has found is not answered yet', facts);
      return;
    }
    const key = keyOf(channel, target);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    const body = this.#body(found);
    const { committed_at, due_at, approve, skip } = body;
    log.warn('a guard has found something', {
      ...facts,
      on_guard: found.onGuard,
      committed_at,
      due_at,
      hint: `${approve}, or ${skip}`,
    });
    if (found.webhook === null) memory.add(channel, target, match.id);
    else
      void this.#webhookOf(found.webhook)
        .post(body)
        .then((outcome) => {
          if (outcome !== 'closed') memory.add(channel, target, match.id);
        });
  }

  /** Nothing is posted any more; what was not delivered is raised again by the next process. */
  close(): void {
    for (const webhook of this.#webhooks.values()) webhook.close();
    this.#options.memory.close();
  }

  #isNew(channel: string, target: string, id: string): boolean {
    const key = keyOf(channel, target);
    const seen = this.#seen.get(key) ?? new Set();
    this.#seen.set(key, seen);
    if (seen.has(id)) return false;
    seen.add(id);
    for (const oldest of seen) {
      if (seen.size <= SEEN_MAX) break;
      seen.delete(oldest);
    }
    return true;
  }

  #webhookOf(url: string): Webhook {
    let webhook = this.#webhooks.get(url);
    if (webhook === undefined) {
      webhook = new Webhook({ url, log: this.#options.log });
      this.#webhooks.set(url, webhook);
    }
    return webhook;
  }

  #body({ channel, target, match, dueInMs, onGuard }: FoundByGuard) {
    const { id, guard, what, commitMicros, location } = match;
    const dueAt = dueInMs === null ? null : isoText(this.#options.clock.wallMs() + dueInMs);
    const then = onGuard === 'hold' ? 'the target will be held before it' : 'it will be applied';
    return {
      event: 'guard',
      text: `Millrace: ${what} on the source of ${channel} (guard ${guard}). Target ${target}: ${then}, due ${dueAt ?? 'at a time not known yet'}. ${id}`,
      channel,
      target,
      gtid: id,
      guard,
      what,
      on_guard: onGuard,
      committed_at: commitMicros === null ? null : isoText(Number(commitMicros / 1000n)),
      due_at: dueAt,
      log_name: relayFileName(location.fileNumber),
      pos: location.offset,
      approve: `millrace approve ${id}`,
      skip: `millrace skip ${id} --reason "…"`,
    };
  }
}

/** As many as a scout keeps: what it finds again after a reconnect is known. */
const SEEN_MAX = 10_000;

function keyOf(channel: string, target: string): string {
  return JSON.stringify([channel, target]);
}

function isoText(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? 'never' : date.toISOString();
}
