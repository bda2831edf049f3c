/**
 * Where operators' requests are decided and carried out: pause, resume, delay, skip, approve, until.
 *
 *   check → freeze the applier → audit log → control document → applier → answer
 *
 * One request after the other. What a request changes is durable before any thread hears of it, and before it is answered. Where it
 * is about transactions, the applier first says whether they are executed or in flight (then it is refused, and nothing is done) and
 * starts nothing new until the rest is done: so a skip that stands in the document was heard in time, and whatever the process that
 * hears it next finds executed was executed empty.
 *
 * An applier that is not connected cannot say that; it obeys when it is, and tells then what had come too late (`confirmed` is false
 * until then). A request that was carried out already is answered as done, so it may be sent again by whoever did not hear the
 * answer.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ExecutedIds } from '../applier/applier-messages.ts';
import { MillraceError, toPlain } from '../base/errors.ts';
import type { Logger } from '../base/runtime.ts';
import type { AuditEntry, AuditLog } from './audit-log.ts';
import type { Channel } from './channel.ts';
import {
  type ControlDocument,
  cameTooLate,
  channelWishes,
  PENDING_MAX,
  pending,
  type SkippedId,
  type TargetWishes,
  targetWishes,
  withChannel,
  withExecuted,
  withTarget,
} from './control-document.ts';
import {
  isExecuted,
  isTimePassed,
  notConnected,
  type Placed,
  questionOf,
  refusalOf,
  requireKind,
  requireWaiting,
  tooLate,
  tooMany,
  untilPassed,
} from './control-refusals.ts';
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

type Change = Partial<Omit<TargetWishes, 'name'>>;
type Outcome = Pick<DeskAnswer, 'changed' | 'confirmed'>;

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
  executed(channel: string, target: string, ids: ExecutedIds): void {
    const { store, audit, log } = this.#options;
    const { committed, found } = ids;
    const next = withExecuted(store.document, channel, target, ids);
    if (next === store.document) return;
    try {
      const { skipped } = targetWishes(store.document, channel, target);
      for (const { id, reason, certain } of pending(skipped)) {
        if (!committed.includes(id) && !found.includes(id)) continue;
        const outcome = certain || committed.includes(id) ? 'skipped' : 'came too late';
        audit.append({ verb: 'skip', channel, target, id, reason, outcome });
        log[outcome === 'skipped' ? 'info' : 'warn']('a transaction was to be skipped', {
          channel,
          target,
          transaction: id,
          outcome,
        });
      }
      store.write(next);
    } catch (error) {
      // It is told again at the next connect; until then it only counts as pending.
      const { message, code } = toPlain(error);
      log.error('what became of the operators’ wishes could not be written down', {
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
      const document = withChannel(store.document, channel.name, { readerPaused: pause });
      this.#writeDown(request, channel.name, { part: 'reader' }, document);
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
    const { channel, index, target } = placed;
    const outcome = await this.#change(request, placed, { paused: true });
    const inFlight = (await channel.applierStatus(index))?.inFlight ?? 0;
    const after = inFlight === 0 ? '' : `; ${inFlight} transactions in flight are finished first`;
    const message = `${target} is paused${after}; millrace resume ${target} goes on`;
    return this.#answer(request, placed, outcome, message);
  }

  async #resume(request: RequestOf<'resume'>, placed: Placed): Promise<DeskAnswer> {
    const { channel, index, target } = placed;
    const before = await channel.applierStatus(index);
    const { until } = this.#wishes(placed);
    const reached = until !== null && before?.untilReached === true;
    const change = { paused: false, ...(reached ? { until: null } : {}) };
    const { changed, confirmed } = await this.#change(request, placed, change);
    const restarted = channel.targetStopped(index);
    if (restarted) channel.resume(index);
    const rest = until === null || reached ? '' : `, until ${untilText(until)}`;
    const message = restarted
      ? `${target} is started again${rest}`
      : `${target} goes on${rest}${stateText(await channel.applierStatus(index))}`;
    return this.#answer(request, placed, { changed: changed || restarted, confirmed }, message);
  }

  async #delay(request: RequestOf<'delay'>, placed: Placed): Promise<DeskAnswer> {
    const { channel, index, target } = placed;
    const { ms } = request;
    const tooLong = channel.tooLong(ms ?? channel.config.targets[index]!.delayMs);
    if (tooLong !== null) {
      throw new MillraceError('DISK_FULL', tooLong, {
        hint: 'Nothing was changed. Put data_dir on a larger disk, or take a shorter delay.',
      });
    }
    const outcome = await this.#change(request, placed, { delayMs: ms }, { delay_ms: ms });
    const configured = durationText(channel.config.targets[index]!.delayMs);
    const message =
      ms === null
        ? `${target} is delayed by ${configured}, as configured`
        : `${target} is delayed by ${durationText(ms)} (configured: ${configured}); millrace delay ${target} configured goes back to that`;
    return this.#answer(request, placed, outcome, message);
  }

  // ---- skip, approve, until

  async #skip(request: RequestOf<'skip'>, placed: Placed): Promise<DeskAnswer> {
    const { target } = placed;
    const { id, reason } = request;
    const { skipped } = this.#wishes(placed);
    const before = skipped.find((each) => each.id === id);
    if (before !== undefined) {
      if (cameTooLate(before)) throw tooLate(id, target);
      const confirmed = before.certain || (await this.#makeCertain(placed, before));
      const what = before.executed ? 'was skipped' : 'is to be skipped';
      const message = `${id} ${what} on ${target} already, reason: ${before.reason}`;
      return this.#answer(request, placed, { changed: false, confirmed }, message);
    }
    await requireWaiting(placed, id);
    if (pending(skipped).length >= PENDING_MAX) throw tooMany(target, 'skipped');
    const change = (now: TargetWishes, certain: boolean): Change => ({
      skipped: [...now.skipped, { id, reason, executed: false, certain }],
      approved: now.approved.filter((each) => each.id !== id),
    });
    const outcome = await this.#change(request, placed, change, { id, reason });
    const message = `${id} is skipped on ${target}: committed as an empty transaction in its turn`;
    return this.#answer(request, placed, outcome, `${message}${this.#whatNext(placed)}`);
  }

  async #approve(request: RequestOf<'approve'>, placed: Placed): Promise<DeskAnswer> {
    const { target } = placed;
    const { id } = request;
    const { approved, skipped } = this.#wishes(placed);
    const before = approved.find((each) => each.id === id);
    if (before !== undefined) {
      const message = `${id} is approved for ${target} ${before.executed ? 'and executed' : 'already'}`;
      return this.#answer(request, placed, { changed: false, confirmed: true }, message);
    }
    await requireWaiting(placed, id);
    if (pending(approved).length >= PENDING_MAX) throw tooMany(target, 'approved');
    const wasSkipped = skipped.some((each) => each.id === id);
    const change = (now: TargetWishes, certain: boolean): Change => {
      if (wasSkipped && !certain) throw notConnected(target, id);
      return {
        approved: [...now.approved, { id, executed: false }],
        skipped: now.skipped.filter((each) => each.id !== id),
      };
    };
    const instead = wasSkipped ? ', and is no longer skipped' : '';
    const outcome = await this.#change(request, placed, change, { id });
    const message = `${id} is approved for ${target}: no guard holds it${instead}`;
    return this.#answer(request, placed, outcome, `${message}${this.#whatNext(placed)}`);
  }

  async #until(request: RequestOf<'until'>, placed: Placed): Promise<DeskAnswer> {
    const { channel, target } = placed;
    const { until } = request;
    if (until !== null && until.is !== 'time') {
      requireKind(channel, until.id);
      // The same one may be asked for again: `after` is executed then, as it was wanted.
      const isMeant = until.is === 'after' && isDeepStrictEqual(until, this.#wishes(placed).until);
      if (!isMeant && (await isExecuted(placed, until.id))) throw untilPassed(target, untilText(until));
    }
    if (until?.is === 'time' && (await isTimePassed(placed, until.ms))) {
      throw untilPassed(target, untilText(until));
    }
    const outcome = await this.#change(request, placed, { until }, { until });
    if (until === null) return this.#answer(request, placed, outcome, `${target} goes on without an until`);
    const paused = this.#wishes(placed).paused
      ? `; it is paused: millrace resume ${target} lets it go there`
      : '';
    const message = `${target} stops ${untilText(until)}${paused}${this.#whatNext(placed)}`;
    return this.#answer(request, placed, outcome, message);
  }

  // ---- carrying out

  /**
   * Asks the applier whether it comes too late, and keeps it waiting; then audit log, document, applier. Throws when it does come
   * too late, and when it cannot be written down: nothing is changed then.
   */
  async #change(
    request: DeskRequest,
    placed: Placed,
    change: Change | ((now: TargetWishes, certain: boolean) => Change),
    facts: AuditEntry = {},
  ): Promise<Outcome> {
    const { store } = this.#options;
    const { channel, index, target } = placed;
    if (typeof change !== 'function' && isWish(this.#wishes(placed), change)) {
      return { changed: false, confirmed: await this.#isConnected(placed) };
    }
    let certain = true;
    try {
      const question = questionOf(request);
      if (question !== null) {
        const lateness = await channel.freeze(index, question);
        certain = lateness !== null;
        const refusal = lateness === null ? null : refusalOf(lateness, request, target);
        if (refusal !== null) throw refusal;
      }
      // The wishes as they are now: an applier may have told what became of some meanwhile.
      const wanted = typeof change === 'function' ? change(this.#wishes(placed), certain) : change;
      const document = withTarget(store.document, channel.name, target, wanted);
      this.#writeDown(request, channel.name, { target, ...facts }, document);
    } catch (error) {
      await channel.govern(index);
      throw error;
    }
    const heard = await channel.govern(index);
    return { changed: true, confirmed: heard && certain };
  }

  async #isConnected({ channel, index }: Placed): Promise<boolean> {
    return (await channel.applierStatus(index))?.state.at === 'running';
  }

  /** A skip was written down while nobody could tell whether it was in time: perhaps somebody can now. */
  async #makeCertain({ channel, index, target }: Placed, { id, executed }: SkippedId): Promise<boolean> {
    if (executed) return true;
    const { store } = this.#options;
    try {
      const lateness = await channel.freeze(index, { about: [id], until: null });
      if (lateness === null || lateness.passed.includes(id)) return false;
      const told = { committed: [], found: [], missing: [id] };
      store.write(withExecuted(store.document, channel.name, target, told));
      return true;
    } finally {
      await channel.govern(index);
    }
  }

  /** Audit log, then document. Throws when either cannot be written: nothing is changed then, and the audit log says so if it can. */
  #writeDown(
    { do: verb, by }: DeskRequest,
    channel: string,
    facts: AuditEntry,
    document: ControlDocument,
  ): void {
    const { store, audit, log } = this.#options;
    audit.append({ verb, channel, ...facts, by });
    try {
      store.write(document);
    } catch (error) {
      const { code, message } = toPlain(error);
      try {
        audit.append({ verb, channel, ...facts, by, outcome: 'not done', code });
      } catch {
        // The disk that refused the document may refuse this line too: the log still says it.
      }
      log.error('what an operator said could not be written down: it is not done', {
        verb,
        channel,
        ...facts,
        code,
        cause: message,
      });
      throw error;
    }
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
    { changed, confirmed }: Outcome,
    message: string,
  ): DeskAnswer {
    const silent = !confirmed && !channel.targetStopped(index) && request.do !== 'resume';
    const later = silent ? '; remembered: its applier is not connected, and obeys when it is' : '';
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

/** It is as is wanted already. */
function isWish(wishes: TargetWishes, change: Change): boolean {
  return Object.entries(change).every(([key, value]) =>
    isDeepStrictEqual(wishes[key as keyof Change], value),
  );
}
