/**
 * The scout of one life of an applier: begun when guards are on, replaced by another when they change, ended with the life.
 * And what status tells of its matches.
 */
import { isDeepStrictEqual } from 'node:util';
import { systemClock } from '../base/runtime.ts';
import { type TransactionId, transactionIdText } from '../binlog/position-set.ts';
import type { PublishedEnd, RelayPosition } from '../relay/published-end.ts';
import type { Guard } from '../rules/guard-rules.ts';
import { GuardWatch } from '../rules/guard-watch.ts';
import type { Executed } from '../target/progress.ts';
import type { Gate } from './admission.ts';
import type { GuardsStatus, GuardView } from './applier-messages.ts';
import type { DueClock } from './due-clock.ts';
import type { GuardMatch, GuardScout } from './guard-scout.ts';
import type { LiveSettings } from './live-settings.ts';
import { RelayScout } from './relay-scout.ts';

/** So many matches are told one by one, the oldest first. */
const VIEWS_MAX = 20;

export const NO_MATCHES: GuardsStatus = { open: 0, first: [] };

export interface LookAheadOptions {
  readonly relayDir: string;
  readonly published: PublishedEnd;
  /** Of the target. */
  readonly versionNumber: number;
  /** What the target had when it was taken over. */
  readonly executed: Executed;
  readonly settings: LiveSettings;
  readonly due: DueClock;
  isBusy(): boolean;
  onMatch(match: GuardMatch, dueInMs: number): void;
  onMoved(): void;
}

interface Running {
  readonly guards: readonly Guard[];
  readonly scout: RelayScout;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export class LookAhead {
  readonly #options: LookAheadOptions;
  #running: Running | null = null;

  constructor(options: LookAheadOptions) {
    this.#options = options;
  }

  /** Null: no guard is on. */
  get scout(): GuardScout | null {
    return this.#running?.scout ?? null;
  }

  /** These guards are on, for everything from `from` on: where the applier reads next. The same as before: nothing happens. */
  use(guards: readonly Guard[], from: RelayPosition): void {
    if (isDeepStrictEqual(this.#running?.guards ?? [], guards)) return;
    this.#running?.stop.abort();
    this.#running = null;
    if (guards.length === 0) return;
    const stop = new AbortController();
    const { relayDir, published, versionNumber, isBusy, onMatch, onMoved } = this.#options;
    const scout = new RelayScout({
      relayDir,
      published,
      from,
      versionNumber,
      clock: systemClock,
      watch: new GuardWatch(guards),
      isExecuted: (id) => this.#isExecuted(id),
      isBusy,
      onMatch: (match) => onMatch(match, this.#dueInMs(match)),
    });
    scout.onMoved(onMoved);
    this.#running = { guards, scout, stop, ended: scout.run(stop.signal) };
  }

  /** Everything that begins before `location` is executed. */
  forgetBefore(location: RelayPosition): void {
    this.#running?.scout.forgetBefore(location);
  }

  async end(): Promise<void> {
    this.#running?.stop.abort();
    await this.#running?.ended;
  }

  #isExecuted(id: TransactionId): boolean {
    const { set, above } = this.#options.executed;
    return set.has(id) || (above.size > 0 && above.has(transactionIdText(id)));
  }

  #dueInMs({ commitMicros }: GuardMatch): number {
    const { control, delayMs } = this.#options.settings.current;
    return this.#options.due.dueInMs(commitMicros, control.delayMs ?? delayMs);
  }

  status(gate: Gate): GuardsStatus {
    const { control } = this.#options.settings.current;
    const open = this.#running?.scout.matches ?? new Map<string, GuardMatch>();
    const skipped = new Set(control.skipped.map(({ id }) => id));
    const approved = new Set(control.approved);
    const first: GuardView[] = [];
    for (const match of open.values()) {
      const { id, guard, what, commitMicros } = match;
      if (first.length === VIEWS_MAX) break;
      let state: GuardView['state'] = 'waiting';
      if (skipped.has(id)) state = 'skipped';
      else if (approved.has(id)) state = 'approved';
      else if (gate.is === 'held' && gate.match.id === id) state = 'holding';
      const micros = commitMicros?.toString() ?? null;
      first.push({ id, guard, what, state, commitMicros: micros, dueInMs: this.#dueInMs(match) });
    }
    return { open: open.size, first };
  }
}
