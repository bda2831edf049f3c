/**
 * Where operators' requests are decided and carried out: pause, resume, delay, skip, approve, until.
 *
 *   check → audit log → control document → applier → answer
 *
 * One request after the other. What a request changes is durable before any thread hears of it, and before it is answered; an
 * applier that is not there obeys when it comes. A request that was carried out already is answered as done, so it may be sent again
 * by whoever did not hear the answer. What an applier says came too late (the transaction is executed or in flight) is taken back
 * out of the document and refused: nothing is done.
 */
import type { Taken } from '../applier/applier-messages.ts';
import { MillraceError, toPlain } from '../base/errors.ts';
import type { Logger } from '../base/runtime.ts';
import { parsePositionSet } from '../binlog/position-set.ts';
import { parseTransactionIdText } from '../binlog/transaction-id.ts';
import { findTransaction } from '../relay/relay-log-search.ts';
import type { AuditEntry, AuditLog } from './audit-log.ts';
import type { Channel } from './channel.ts';
import {
  channelWishes,
  PENDING_MAX,
  pending,
  type TargetWishes,
  targetWishes,
  withChannel,
  withExecuted,
  withTarget,
} from './control-document.ts';
import type { ControlRequest, RequestOf } from './control-requests.ts';
import type { ControlStore } from './control-store.ts';
import { durationText, stateText, untilText } from './control-words.ts';

export type DeskRequest = Exclude<ControlRequest, { readonly do: 'ping' | 'status' | 'stop' | 'reload' }>;

/** What a verb prints, and with --json the whole of it. */
export interface DeskAnswer {
  readonly done: DeskRequest['do'];
  readonly channel: string;
  /** Null: the reader. */
  readonly target: string | null;
  /** False: it was so already. */
  readonly changed: boolean;
  /** The thread has heard of it; false: it obeys when it lives. */
  readonly confirmed: boolean;
  readonly message: string;
}

export interface ControlDeskOptions {
  readonly channels: readonly Channel[];
  readonly store: ControlStore;
  readonly audit: AuditLog;
  readonly log: Logger;
}

type Placed = { readonly channel: Channel; readonly index: number; readonly target: string };

export class ControlDesk {
  readonly #options: ControlDeskOptions;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: ControlDeskOptions) {
    this.#options = options;
  }

  /** Throws what keeps the request from being carried out; then nothing of it is. */
  handle(request: DeskRequest): Promise<DeskAnswer> {
    return this.inTurn(() => this.#carryOut(request));
  }

  /** Waits for the requests before it, and keeps those after it waiting. */
  inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  /** An applier says that these are executed. */
  executed(channel: string, target: string, ids: readonly string[]): void {
    const { store, audit, log } = this.#options;
    const next = withExecuted(store.document, channel, target, new Set(ids));
    if (next === store.document) return;
    try {
      const { skipped } = targetWishes(store.document, channel, target);
      for (const { id, reason } of pending(skipped)) {
        if (ids.includes(id)) audit.append({ outcome: 'skipped', channel, target, id, reason });
      }
      store.write(next);
    } catch (error) {
      // It is told again at the next connect; until then it only counts as pending.
      const { message, code } = toPlain(error);
      log.error('what operators have said could not be written down', {
        channel,
        target,
        code,
        cause: message,
      });
    }
  }

  #carryOut(request: DeskRequest): Promise<DeskAnswer> {
    const channel = this.#channel(request.channel);
    switch (request.do) {
      case 'pause':
      case 'resume': {
        if (request.part === 'reader') return this.#reader(request, channel);
        const placed = this.#target(channel, request.part);
        return request.do === 'pause' ? this.#pause(request, placed) : this.#resume(request, placed);
      }
      case 'delay':
        return this.#delay(request, this.#target(channel, request.target));
      case 'skip':
        return this.#skip(request, this.#target(channel, request.target));
      case 'approve':
        return this.#approve(request, this.#target(channel, request.target));
      case 'until':
        return this.#until(request, this.#target(channel, request.target));
    }
  }

  // ---- whose

  #channel(name: string | null): Channel {
    const { channels } = this.#options;
    const known = channels.map((channel) => channel.name).join(', ');
    if (name === null) {
      if (channels.length === 1) return channels[0]!;
      throw new MillraceError('CONFIG', `there are several channels; give --channel, known are ${known}`);
    }
    const found = channels.find((channel) => channel.name === name);
    if (found !== undefined) return found;
    throw new MillraceError('CONFIG', `there is no channel ${name}; known are ${known}`);
  }

  #target(channel: Channel, name: string | null): Placed {
    const names = channel.config.targets.map((target) => target.name);
    const known = names.join(', ');
    if (name === null && names.length > 1) {
      throw new MillraceError(
        'CONFIG',
        `${channel.name} has several targets; give --target, known are ${known}`,
      );
    }
    const target = name ?? names[0]!;
    const index = names.indexOf(target);
    if (index === -1) {
      throw new MillraceError(
        'CONFIG',
        `channel ${channel.name} has no target ${target}; known are ${known}`,
      );
    }
    return { channel, index, target };
  }

  #wishes({ channel, target }: Placed): TargetWishes {
    return targetWishes(this.#options.store.document, channel.name, target);
  }

  // ---- pause, resume, delay

  async #reader(request: RequestOf<'pause' | 'resume'>, channel: Channel): Promise<DeskAnswer> {
    const { store } = this.#options;
    const pause = request.do === 'pause';
    const changed = channelWishes(store.document, channel.name).readerPaused !== pause;
    if (changed) {
      this.#audit(request, channel.name, { part: 'reader' });
      store.write(withChannel(store.document, channel.name, { readerPaused: pause }));
      channel.governReader();
    }
    const restarted = !pause && channel.readerStopped;
    if (restarted) channel.resume('reader');
    const message = pause
      ? `the reader of ${channel.name} is paused: it takes no connection to the source until millrace resume reader`
      : `the reader of ${channel.name} ${restarted ? 'is started again' : 'reads on'}`;
    return {
      done: request.do,
      channel: channel.name,
      target: null,
      changed: changed || restarted,
      confirmed: true,
      message,
    };
  }

  async #pause(request: RequestOf<'pause'>, placed: Placed): Promise<DeskAnswer> {
    const { changed, taken } = await this.#change(request, placed, { paused: true });
    const inFlight = (await placed.channel.applierStatus(placed.index))?.inFlight ?? 0;
    const after = inFlight === 0 ? '' : `; ${inFlight} transactions in flight are finished first`;
    return this.#answer(
      request,
      placed,
      changed,
      taken,
      `${placed.target} is paused${after}; millrace resume ${placed.target} goes on`,
    );
  }

  async #resume(request: RequestOf<'resume'>, placed: Placed): Promise<DeskAnswer> {
    const { channel, index, target } = placed;
    const before = await channel.applierStatus(index);
    const { until } = this.#wishes(placed);
    // Paused as well, it is not told apart from one that was not reached: then it holds on.
    const reached = until !== null && before?.gate.is === 'until';
    const { changed, taken } = await this.#change(request, placed, {
      paused: false,
      ...(reached ? { until: null } : {}),
    });
    const restarted = channel.targetStopped(index);
    if (restarted) channel.resume(index);
    const rest = until === null || reached ? '' : `, until ${untilText(until)}`;
    const message = restarted
      ? `${target} is started again${rest}`
      : `${target} goes on${rest}${stateText(await channel.applierStatus(index))}`;
    return this.#answer(request, placed, changed || restarted, taken, message);
  }

  async #delay(request: RequestOf<'delay'>, placed: Placed): Promise<DeskAnswer> {
    const { channel, index, target } = placed;
    const { changed, taken } = await this.#change(
      request,
      placed,
      { delayMs: request.ms },
      { delay_ms: request.ms },
    );
    const configured = channel.config.targets[index]!.delayMs;
    const message =
      request.ms === null
        ? `${target} is delayed by ${durationText(configured)}, as configured`
        : `${target} is delayed by ${durationText(request.ms)} (configured: ${durationText(configured)}); millrace delay ${target} configured goes back to that`;
    return this.#answer(request, placed, changed, taken, message);
  }

  // ---- skip, approve, until

  async #skip(request: RequestOf<'skip'>, placed: Placed): Promise<DeskAnswer> {
    const { target } = placed;
    const { id, reason } = request;
    const { approved, skipped } = this.#wishes(placed);
    const before = skipped.find((each) => each.id === id);
    if (before !== undefined) {
      const what = before.executed ? 'was skipped' : 'is to be skipped';
      return this.#answer(
        request,
        placed,
        false,
        null,
        `${id} ${what} on ${target} already, reason: ${before.reason}`,
      );
    }
    await this.#mustWait(placed, id);
    if (pending(skipped).length >= PENDING_MAX) throw tooMany(target, 'skipped');
    const { taken } = await this.#change(
      request,
      placed,
      {
        skipped: [...skipped, { id, reason, executed: false }],
        approved: approved.filter((each) => each.id !== id),
      },
      { id, reason },
      [id],
    );
    const next = this.#whatNext(placed);
    return this.#answer(
      request,
      placed,
      true,
      taken,
      `${id} is skipped on ${target}: committed as an empty transaction in its turn${next}`,
    );
  }

  async #approve(request: RequestOf<'approve'>, placed: Placed): Promise<DeskAnswer> {
    const { target } = placed;
    const { id } = request;
    const { approved, skipped } = this.#wishes(placed);
    const before = approved.find((each) => each.id === id);
    if (before !== undefined) {
      const what = before.executed ? 'and executed' : 'already';
      return this.#answer(request, placed, false, null, `${id} is approved for ${target} ${what}`);
    }
    await this.#mustWait(placed, id);
    if (pending(approved).length >= PENDING_MAX) throw tooMany(target, 'approved');
    const wasSkipped = skipped.some((each) => each.id === id);
    const { taken } = await this.#change(
      request,
      placed,
      {
        approved: [...approved, { id, executed: false }],
        skipped: skipped.filter((each) => each.id !== id),
      },
      { id },
      [id],
    );
    const instead = wasSkipped ? ', and is no longer skipped' : '';
    const next = this.#whatNext(placed);
    return this.#answer(
      request,
      placed,
      true,
      taken,
      `${id} is approved for ${target}: no guard holds it${instead}${next}`,
    );
  }

  async #until(request: RequestOf<'until'>, placed: Placed): Promise<DeskAnswer> {
    const { channel, index, target } = placed;
    const { until } = request;
    if (until !== null && until.is !== 'time') {
      this.#checkKind(channel, until.id);
      if (await this.#isExecuted(placed, until.id)) throw untilPassed(target, untilText(until));
    }
    const { changed, taken } = await this.#change(request, placed, { until }, { until });
    if (until === null)
      return this.#answer(request, placed, changed, taken, `${target} goes on without an until`);
    const paused = this.#wishes(placed).paused
      ? `; it is paused: millrace resume ${target} lets it go there`
      : '';
    const stopped = channel.targetStopped(index) ? this.#whatNext(placed) : '';
    return this.#answer(
      request,
      placed,
      changed,
      taken,
      `${target} stops ${untilText(until)}${paused}${stopped}`,
    );
  }

  /** Throws when the transaction is executed on the target, or not in the relay log. */
  async #mustWait(placed: Placed, id: string): Promise<void> {
    const { channel, target } = placed;
    this.#checkKind(channel, id);
    if (await this.#isExecuted(placed, id)) throw tooLate(id, target);
    const found = await findTransaction(channel.relayDir, channel.published, parseTransactionIdText(id));
    if (found !== null) return;
    throw new MillraceError('NOT_POSSIBLE', `${id} is not in the relay log of ${channel.name}`, {
      hint: 'Look it up with `millrace events`.',
    });
  }

  #checkKind({ name, kind }: Channel, id: string): void {
    const parsed = parseTransactionIdText(id);
    if (kind === null || parsed.kind === kind) return;
    const ways = { gtid: 'GTIDs like uuid:7', mariadb: 'GTIDs like 0-1-7', position: 'FILE:POS' };
    throw new MillraceError(
      'MALFORMED_POSITION',
      `the source of ${name} names its transactions by ${ways[kind]}, not as ${id}`,
    );
  }

  async #isExecuted({ channel, index }: Placed, id: string): Promise<boolean> {
    const status = await channel.applierStatus(index);
    const executed = status?.executed ?? channel.executedText(index);
    const parsed = parseTransactionIdText(id);
    return (
      executed !== null && parsed.kind === channel.kind && parsePositionSet(parsed.kind, executed).has(parsed)
    );
  }

  // ---- carrying out

  /**
   * Audit log, document, applier, in this order. Throws when the applier says that it comes too late, and then it is undone.
   * `taken` null: no applier has heard of it yet.
   */
  async #change(
    request: DeskRequest,
    placed: Placed,
    change: Partial<Omit<TargetWishes, 'name'>>,
    facts: AuditEntry = {},
    about: readonly string[] = [],
  ): Promise<{ readonly changed: boolean; readonly taken: Taken | null }> {
    const { store } = this.#options;
    const { channel, index, target } = placed;
    const before = this.#wishes(placed);
    const keys = Object.keys(change) as (keyof typeof change)[];
    const same = keys.every((key) => JSON.stringify(before[key]) === JSON.stringify(change[key]));
    if (same) return { changed: false, taken: null };
    this.#audit(request, channel.name, { target, ...facts });
    store.write(withTarget(store.document, channel.name, target, change));
    const taken = await channel.govern(index, about);
    const refusal = taken === null ? null : lateness(taken, request, target);
    if (refusal === null) return { changed: true, taken };
    const undo = Object.fromEntries(keys.map((key) => [key, before[key]]));
    store.write(withTarget(store.document, channel.name, target, undo));
    await channel.govern(index);
    this.#audit(request, channel.name, { target, ...facts, outcome: 'refused', cause: refusal.message });
    throw refusal;
  }

  #audit({ do: verb, by }: DeskRequest, channel: string, facts: AuditEntry): void {
    const { audit, log } = this.#options;
    audit.append({ verb, channel, ...facts, by });
    log.info('an operator has spoken', { verb, channel, ...facts });
  }

  #whatNext({ channel, index, target }: Placed): string {
    return channel.targetStopped(index)
      ? `; ${target} has stopped: millrace resume ${target} starts it again`
      : '';
  }

  #answer(
    request: DeskRequest,
    { channel, index, target }: Placed,
    changed: boolean,
    taken: Taken | null,
    message: string,
  ): DeskAnswer {
    const confirmed = taken !== null || (!changed && channel.targetLives(index));
    const later =
      confirmed || channel.targetStopped(index)
        ? ''
        : '; remembered: its applier obeys as soon as it answers';
    return {
      done: request.do,
      channel: channel.name,
      target,
      changed,
      confirmed,
      message: `${message}${later}`,
    };
  }
}

function lateness(taken: Taken, request: DeskRequest, target: string): MillraceError | null {
  if (request.do === 'until' && request.until !== null && taken.untilPassed) {
    return untilPassed(target, untilText(request.until));
  }
  if ((request.do === 'skip' || request.do === 'approve') && taken.passed.includes(request.id)) {
    return tooLate(request.id, target);
  }
  return null;
}

function tooLate(id: string, target: string): MillraceError {
  return new MillraceError(
    'NOT_POSSIBLE',
    `${id} is executed or in flight on ${target} already; nothing was changed`,
  );
}

function untilPassed(target: string, what: string): MillraceError {
  return new MillraceError(
    'NOT_POSSIBLE',
    `${target} cannot stop ${what}: that has passed; nothing was changed`,
    {
      hint: `millrace pause ${target} stops it where it is.`,
    },
  );
}

function tooMany(target: string, what: string): MillraceError {
  return new MillraceError(
    'NOT_POSSIBLE',
    `${PENDING_MAX} transactions are to be ${what} on ${target} already`,
    {
      hint: 'Filter what should not be applied.',
    },
  );
}
