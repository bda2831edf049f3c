/**
 * The scout of one life of an applier: begun when guards are on, replaced by another when they change, ended with the life.
 * And what status tells of its matches.
 */
import { isDeepStrictEqual } from 'node:util';
import { type Logger, systemClock } from '../base/runtime.ts';
import { type TransactionId, transactionIdText } from '../binlog/position-set.ts';
import type { PublishedEnd, RelayPosition } from '../relay/published-end.ts';
import type { Guard } from '../rules/guard-rules.ts';
import { guardScope } from '../rules/guard-scope.ts';
import { GuardWatch } from '../rules/guard-watch.ts';
import type { TargetFilter } from '../rules/target-filter.ts';
import type { TargetRules } from '../rules/target-rules.ts';
import type { Executed } from '../target/progress.ts';
import type { Gate } from './admission.ts';
import type { GuardsStatus, GuardView } from './applier-messages.ts';
import type { Dated } from './due-clock.ts';
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
  readonly log: Logger;
  /** The rules of the settings, compiled; null: no rule is active. */
  filter(): TargetFilter | null;
  /** How long ago it was committed on the source; null: not known. */
  ageMs(dated: Dated): number | null;
  isBusy(): boolean;
  onMatch(match: GuardMatch, dueInMs: number | null): void;
  onMoved(): void;
}

interface Running {
  readonly guards: readonly Guard[];
  readonly rules: TargetRules;
  readonly scout: RelayScout;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
}

export class LookAhead {
  readonly #options: LookAheadOptions;
  #running: Running | null = null;
  /** What the target is held before, as it was logged. */
  #held: string | null = null;

  constructor(options: LookAheadOptions) {
    this.#options = options;
  }

  /** Null: no guard is on. */
  get scout(): GuardScout | null {
    return this.#running?.scout ?? null;
  }

  /**
   * The guards and rules of the settings as they are now hold, for everything from `from` on: where the applier reads next.
   * The same as before: nothing happens.
   */
  use(from: RelayPosition): void {
    const { guards: wanted, rules } = this.#options.settings.current;
    const { guards } = wanted;
    const running = this.#running;
    const same = running === null ? guards.length === 0 : isDeepStrictEqual(running.guards, guards);
    if (same && (running === null || isDeepStrictEqual(running.rules, rules))) return;
    this.#running?.stop.abort();
    this.#running = null;
    if (guards.length === 0) return;
    const stop = new AbortController();
    const { relayDir, published, versionNumber, filter, isBusy, onMatch, onMoved } = this.#options;
    const scout = new RelayScout({
      relayDir,
      published,
      from,
      versionNumber,
      clock: systemClock,
      watch: new GuardWatch(guards, guardScope(filter())),
      isExecuted: (id) => this.#isExecuted(id),
      isBusy,
      onMatch: (match) => onMatch(match, this.#dueInMs(match)),
    });
    scout.onMoved(onMoved);
    this.#running = { guards, rules, scout, stop, ended: scout.run(stop.signal) };
  }

  /** Everything that begins before `location` is executed. */
  forgetBefore(location: RelayPosition): void {
    this.#running?.scout.forgetBefore(location);
  }

  /** What the next transaction waits for now: that the target is held, and that it goes on, is a line in the log. */
  notice(gate: Gate): void {
    const match = gate.is === 'held' ? gate.match : null;
    if (match === null ? this.#held === null : this.#held === match.id) return;
    const { log } = this.#options;
    if (match === null) log.info('no longer held by a guard', { gtid: this.#held });
    else {
      const { id, guard, what } = match;
      const hint = `millrace approve ${id}, or millrace skip ${id} --reason "…"`;
      log.warn('held by a guard', { gtid: id, guard, what, hint });
    }
    this.#held = match?.id ?? null;
  }

  async end(): Promise<void> {
    this.#running?.stop.abort();
    await this.#running?.ended;
  }

  #isExecuted(id: TransactionId): boolean {
    const { set, above } = this.#options.executed;
    return set.has(id) || (above.size > 0 && above.has(transactionIdText(id)));
  }

  /** For people: the admission asks the clock itself, in the order of the log. Null: not known. */
  #dueInMs({ location, commitMicros }: GuardMatch): number | null {
    const { control, delayMs } = this.#options.settings.current;
    const delay = control.delayMs ?? delayMs;
    if (delay === 0) return 0;
    const commitIsExact = commitMicros !== null && commitMicros % 1_000_000n !== 0n;
    const age = this.#options.ageMs({ location, commitMicros, commitIsExact });
    return age === null ? null : Math.max(0, delay - age);
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
      // What is held is due, whether or not the source's clock is known yet.
      const dueInMs = state === 'holding' ? 0 : this.#dueInMs(match);
      first.push({ id, guard, what, state, commitMicros: micros, dueInMs });
    }
    return { open: open.size, first };
  }
}
