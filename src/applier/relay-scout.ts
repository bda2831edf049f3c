/**
 * Runs ahead of the applier through the relay log and holds every transaction against the guards (guard-scout.ts).
 *
 *   relay log ──▶ assembler ──▶ admission ──▶ …          at the delay's distance
 *       └──────▶ scout ── passed, matches ──▶ admission   at the published end
 *
 * It has a cursor of its own and begins where the applier begins, at every start anew. What is executed already is passed over
 * unlooked at. A transaction is looked at event by event, as far as the guards ask for: statements are read, deleted rows
 * counted by the lengths of their values, everything else is only stepped over (and its checksum verified). So a
 * transaction of any size, compressed or not, takes a block of memory.
 *
 * It shares the applier's thread and must not hold it up: it works in slices of a few milliseconds, and while the applier
 * works and does not wait for it, it rests in between for longer than it worked.
 *
 * Invariants
 *  - `hasPassed` is true only of transactions that were looked at whole, so a match is known before it is asked for.
 *  - Matches are kept until the applier is past them. When there are too many, the scout waits; it never forgets one.
 *  - Where the log cannot be read on, the scout ends. Who then asks for what lies behind is told the reason, so that the
 *    applier still applies everything up to there.
 */
import { MillraceError } from '../base/errors.ts';
import { type Clock, sleep } from '../base/runtime.ts';
import { type TransactionId, transactionIdText } from '../binlog/position-set.ts';
import { commitMicros } from '../binlog/transaction-boundary.ts';
import type { PublishedEnd, RelayPosition } from '../relay/published-end.ts';
import { type RelayEvent, RelayLogCursor } from '../relay/relay-log-cursor.ts';
import { relayFiles } from '../relay/relay-log-location.ts';
import { ChangeReader, isUnreadable, type LoggedEvent } from '../rules/change-reader.ts';
import type { GuardWatch } from '../rules/guard-watch.ts';
import type { GuardMatch, GuardScout } from './guard-scout.ts';
import { isPayload, loggedEvent, unpackedEvents } from './logged-events.ts';

/** How long it works before others have their turn, and how long it rests when others work. */
const SLICE_MS = 2;
const REST_MS = 4;
/** So many events, or bytes of them, are looked at between two looks at the clock. */
const EVENTS_PER_LOOK = 16;
const BYTES_PER_LOOK = 64 * 1024;
/** Unanswered matches that are kept: about 3 MB. */
const MATCHES_MAX = 10_000;
const ROOM_MS = 100;

export interface RelayScoutOptions {
  readonly relayDir: string;
  readonly published: PublishedEnd;
  /** Where the applier reads next: the begin of a transaction, or a place in a file's header. */
  readonly from: RelayPosition;
  readonly watch: GuardWatch;
  /** Of the server that runs the statements: it decides which version comments are executed. */
  readonly versionNumber: number;
  readonly clock: Clock;
  /** The target has it: no guard is asked. */
  isExecuted(id: TransactionId): boolean;
  /** The applier has work in hand. */
  isBusy(): boolean;
  onMatch(match: GuardMatch): void;
}

export class RelayScout implements GuardScout {
  readonly #options: RelayScoutOptions;
  readonly #watch: GuardWatch;
  readonly #changes: ChangeReader;
  /** In the relay log's order. */
  readonly #matches = new Map<string, GuardMatch>();
  readonly #listeners: (() => void)[] = [];
  /** The last transaction that was looked at whole. */
  #passed: RelayPosition;
  /** The transaction at hand. */
  #location: RelayPosition;
  #skip = false;
  /** The rest of a compressed transaction, and whether it ends the transaction at hand. */
  #inner: { readonly events: Iterator<LoggedEvent>; readonly payload: RelayEvent } | null = null;
  /** Bytes since the last look at the clock. */
  #unlooked = 0;
  /** Somebody waits for this transaction to be passed. */
  #wanted: RelayPosition | null = null;
  #failure: MillraceError | null = null;
  transactionsPassed = 0;

  constructor(options: RelayScoutOptions) {
    this.#options = options;
    this.#watch = options.watch;
    this.#changes = new ChangeReader(options.watch, options.versionNumber);
    this.#location = options.from;
    this.#passed = { fileNumber: options.from.fileNumber, offset: -1 };
  }

  hasPassed(location: RelayPosition): boolean {
    if (!isBefore(this.#passed, location)) return true;
    if (this.#failure !== null) throw this.#failure;
    this.#wanted = location;
    return false;
  }

  match(id: string): GuardMatch | null {
    return this.#matches.get(id) ?? null;
  }

  onMoved(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** What was found and is not executed, oldest first. */
  get matches(): ReadonlyMap<string, GuardMatch> {
    return this.#matches;
  }

  /** Everything that begins before `location` is executed. */
  forgetBefore(place: RelayPosition): void {
    for (const [id, { location }] of this.#matches) {
      if (!isBefore(location, place)) return;
      this.#matches.delete(id);
    }
  }

  /** Looks ahead until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    let cursor: RelayLogCursor | null = null;
    try {
      cursor = this.#open();
      while (!signal.aborted) {
        const seen = this.#options.published.read();
        const atEnd = this.#slice(cursor);
        this.#tell();
        if (atEnd) await this.#options.published.wait(seen, { signal });
        else await this.#rest(signal);
        while (this.#matches.size >= MATCHES_MAX && !signal.aborted) await sleep(ROOM_MS, signal);
      }
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      this.#failure = error;
      this.#tell();
    } finally {
      cursor?.close();
    }
  }

  /** A file that was empty may have been replaced since the applier entered it. */
  #open(): RelayLogCursor {
    const { relayDir, published, from } = this.#options;
    const files = relayFiles(relayDir);
    const next = files.find((number) => number >= from.fileNumber);
    const there = next === undefined || next === from.fileNumber;
    return RelayLogCursor.open({
      dir: relayDir,
      published,
      from: there ? from : { fileNumber: next, offset: 0 },
    });
  }

  /** True: the published end is reached. */
  #slice(cursor: RelayLogCursor): boolean {
    const { clock } = this.#options;
    const until = clock.monotonicMs() + SLICE_MS;
    for (let events = 1; ; events++) {
      if (this.#inner !== null) this.#takeInner(this.#inner);
      else {
        const event = cursor.next();
        if (event === null) return true;
        this.#unlooked += event.rawLength;
        this.#take(cursor, event);
      }
      if (this.#matches.size >= MATCHES_MAX) return false;
      if (events % EVENTS_PER_LOOK !== 0 && this.#unlooked < BYTES_PER_LOOK) continue;
      this.#unlooked = 0;
      if (clock.monotonicMs() >= until) return false;
    }
  }

  #rest(signal: AbortSignal): Promise<void> {
    const isWanted = this.#wanted !== null && isBefore(this.#passed, this.#wanted);
    if (!isWanted && this.#options.isBusy()) return sleep(REST_MS, signal);
    return new Promise((resolve) => setImmediate(resolve));
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #take(cursor: RelayLogCursor, event: RelayEvent): void {
    const { place } = event;
    if (place === 'between') return;
    if (place === 'begin' || place === 'single') {
      this.#location = { fileNumber: event.fileNumber, offset: event.offset };
      this.#skip = event.id !== null && this.#options.isExecuted(event.id);
      this.#watch.begin();
    }
    if (!this.#skip) {
      if (isPayload(event)) {
        this.#inner = { events: unpackedEvents(cursor, event), payload: event };
        return;
      }
      this.#changes.take(loggedEvent(cursor, event));
    }
    if (place === 'end' || place === 'single') this.#close(event);
  }

  #takeInner({ events, payload }: { events: Iterator<LoggedEvent>; payload: RelayEvent }): void {
    if (this.#takeNext(events)) return;
    this.#inner = null;
    if (payload.place === 'end') this.#close(payload);
  }

  /** A payload whose bytes are not what they should be is a finding; what the disk does not give is a failure. */
  #takeNext(events: Iterator<LoggedEvent>): boolean {
    try {
      const next = events.next();
      if (next.done === true) return false;
      this.#unlooked += next.value.end;
      this.#changes.take(next.value);
      return true;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      this.#watch.unreadable(error.message);
      return false;
    }
  }

  #close({ id, head }: RelayEvent): void {
    this.#passed = this.#location;
    this.transactionsPassed += 1;
    if (this.#skip || id === null || head === null) return;
    const finding = this.#watch.end();
    // By positions a transaction's name is known with its last event only.
    if (finding === null || this.#options.isExecuted(id)) return;
    const match: GuardMatch = {
      id: transactionIdText(id),
      location: this.#location,
      ...finding,
      commitMicros: commitMicros(head),
    };
    this.#matches.set(match.id, match);
    this.#options.onMatch(match);
  }
}

function isBefore(a: RelayPosition, b: RelayPosition): boolean {
  return a.fileNumber < b.fileNumber || (a.fileNumber === b.fileNumber && a.offset < b.offset);
}
