/**
 * The life of a channel: one reader thread, one applier thread per target, as a pure function from state and input to
 * state and effects. Time is an input.
 *
 *   idle → reaching → asking → running → stopping → stopped
 *             ↑                   │
 *             └──── draining ←────┘  (resync)
 *
 *   idle      Servers and relay log are looked at (start-check.ts); whom that refuses is not started.
 *   reaching  The reader finds out how the source names its transactions: from the relay log, or from the source.
 *   asking    The appliers connect and tell what their targets have. The reader waits: what all targets have is where
 *             it begins. A target that cannot be reached holds it up only while the relay log is empty; a target that
 *             has stopped does not hold it up at all (the others must not suffer; for its sake the relay log is fetched
 *             again when it comes back).
 *   draining  The relay log no longer matches the targets, or is damaged. All threads end, the log is thrown away, and
 *             the channel begins anew from what the targets have. No thread may look at files that are about to go.
 *
 * Invariants
 *  - The reader begins with a lower bound of what every known target has.
 *  - Relay files are released only up to the smallest number that every target, stopped or not, has reported.
 *  - A thread that dies, or that ends with a fault of ours, is started again with back-off, a few times; one that ends
 *    with the action `stop` stays down until the operator acts.
 */
import { assertNever, MillraceError, type PlainError } from '../base/errors.ts';
import { backoffMs } from '../base/runtime.ts';
import type { PositionKind } from '../binlog/position-set.ts';
import type {
  ChannelEffect,
  ChannelInput,
  ChannelMachine,
  Refusals,
  TargetSlot,
  ThreadId,
  ThreadSlot,
} from './channel-state.ts';
import { intersectPositions } from './common-position.ts';

/** With data in the relay log, the reader waits this long for the targets, then fetches on after what is there. */
export const ASK_MS = 2_000;
/** After a resync, a target that was known before and does not answer counts with what it had then. */
export const ASK_AGAIN_MS = 10_000;
const RECENT_MS = 600_000;
const FAILURES_MAX = 5;
const RESYNCS_MAX = 5;

/** Throws INTERNAL or MALFORMED_POSITION when a target reports a set that cannot be understood. */
export function stepChannel(
  machine: ChannelMachine,
  input: ChannelInput,
  nowMs: number,
): readonly [ChannelMachine, readonly ChannelEffect[]] {
  const step = new Step(machine, nowMs);
  step.take(input);
  return [step.next, step.effects];
}

/** One transition: collects the new state and the effects; nothing here outlives the call. */
class Step {
  next: ChannelMachine;
  readonly effects: ChannelEffect[] = [];
  readonly #nowMs: number;

  constructor(machine: ChannelMachine, nowMs: number) {
    this.next = machine;
    this.#nowMs = nowMs;
  }

  take(input: ChannelInput): void {
    switch (input.type) {
      case 'start':
        this.#start(input.refused);
        break;
      case 'source':
        this.#source(input.kind, input.relayLogIsEmpty);
        break;
      case 'executed':
        this.#executed(input.target, input.executed);
        break;
      case 'needed-file':
        this.#setTarget(input.target, { neededFile: input.fileNumber });
        this.#releaseFiles();
        break;
      case 'reader-streaming':
        if (this.next.resyncCause !== null) this.#log('info', 'relay log is fetched again', 'reader', null);
        this.next = { ...this.next, resyncCause: null, resyncTarget: null };
        break;
      case 'ended':
        this.#ended(input.thread, input.cause, input.died);
        break;
      case 'resume':
        this.#resume(input.thread);
        break;
      case 'tick':
        this.#restartDue();
        this.#advance();
        break;
      case 'fault':
        this.#setSlot('reader', { stopCause: input.cause });
        this.#stop();
        break;
      case 'stop':
        this.#stop();
        break;
      default:
        assertNever(input);
    }
  }

  /** What is refused is not started; a channel that then has nothing to do stops. */
  #start(refused: Refusals | null): void {
    // Told to stop while the servers were being looked at.
    if (this.next.state.at !== 'idle') return;
    if (refused === null) {
      this.#reach();
      return;
    }
    for (const [index, stopCause] of refused.targets.entries()) {
      if (stopCause === null) continue;
      this.#setTarget(index, { stopCause });
      this.#log('error', 'target is not started', index, stopCause);
    }
    const nobodyLeft = this.next.targets.every(({ stopCause }) => stopCause !== null);
    if (refused.source !== null) {
      this.#setSlot('reader', { stopCause: refused.source });
      this.#log('error', 'channel is not started', 'reader', refused.source);
      this.#stop();
    } else if (nobodyLeft && refused.relayLogIsEmpty) {
      this.#stop();
    } else {
      this.#reach();
    }
  }

  #reach(): void {
    this.next = { ...this.next, kind: null, state: { at: 'reaching' } };
    this.#setSlot('reader', { stopCause: null });
    this.#spawn('reader');
    for (const [index, target] of this.next.targets.entries()) {
      if (target.stopCause === null) this.#spawn(index);
    }
  }

  #source(kind: PositionKind, relayLogIsEmpty: boolean): void {
    if (this.next.state.at !== 'reaching') {
      // A reader that was started again finds out once more.
      if (kind === this.next.kind || this.next.state.at !== 'running') return;
      throw new MillraceError(
        'SOURCE_CONFIG',
        `the source names its transactions in another way than before (${this.next.kind}, now ${kind})`,
        { hint: 'Is this still the same server? Then restart Millrace; else give the channel a new name.' },
      );
    }
    const state = { at: 'asking', sinceMs: this.#nowMs } as const;
    this.next = { ...this.next, kind, relayHasData: !relayLogIsEmpty, state };
    for (const [index, target] of this.next.targets.entries()) {
      if (target.life === 'live') this.effects.push({ do: 'start-applier', target: index, kind });
    }
    this.#advance();
  }

  #executed(target: number, executed: string): void {
    this.#setTarget(target, { executed, fresh: true });
    this.#advance();
  }

  #ended(thread: ThreadId, cause: PlainError | null, died: boolean): void {
    const asked = this.#slot(thread).life === 'ending';
    this.#setSlot(thread, { life: 'none' });
    if (thread === 'reader' && cause?.code === 'SOURCE_PURGED' && this.#leftBehind(cause)) return;
    const fault = died || cause === null || cause.code === 'INTERNAL' || cause.action === 'retry';
    if (cause?.action === 'stop' && !fault) {
      this.#setSlot(thread, { stopCause: cause });
      if (thread === 'reader') this.next = { ...this.next, resyncCause: null };
      this.#log('error', 'thread stopped until an operator acts', thread, cause);
    } else if (!asked && !this.#ending()) {
      if (fault) this.#restartLater(thread, cause);
      else if (!this.#resyncBegun(thread, cause)) this.#setSlot(thread, { stopCause: cause });
    }
    this.#advance();
  }

  /**
   * The source no longer has what the target lacks for whose sake everything is fetched again: that one stops, the others
   * go on. False: there is no such target, or no other.
   */
  #leftBehind(cause: PlainError): boolean {
    const { state, resyncTarget, targets } = this.next;
    if (state.at !== 'running' || resyncTarget === null) return false;
    const others = targets.some(({ stopCause, executed }, index) => {
      return index !== resyncTarget && stopCause === null && executed !== null;
    });
    if (!others) return false;
    this.#log('error', 'the source no longer has what this target lacks', resyncTarget, cause);
    this.#end(resyncTarget);
    this.#setTarget(resyncTarget, { stopCause: cause, executed: null });
    this.next = { ...this.next, resyncTarget: null };
    this.#spawn('reader');
    this.#startReader();
    return true;
  }

  #restartLater(thread: ThreadId, cause: PlainError | null): void {
    const failures = [...recent(this.#slot(thread).failures, this.#nowMs), this.#nowMs];
    if (failures.length > FAILURES_MAX) {
      const stopCause: PlainError = cause ?? {
        code: 'INTERNAL',
        action: 'stop',
        message: 'the thread ended by itself again and again',
        hint: 'This is a fault in Millrace: please report it with the log.',
        facts: {},
      };
      this.#setSlot(thread, { failures, stopCause: { ...stopCause, action: 'stop' } });
      this.#log('error', 'thread failed again and again, left stopped', thread, cause);
      return;
    }
    const restartAtMs = this.#nowMs + backoffMs(failures.length, 1, 1_000, 30_000);
    this.#setSlot(thread, { failures, restartAtMs });
    this.#log('error', 'thread failed, will be started again', thread, cause);
  }

  #restartDue(): void {
    const threads: ThreadId[] = ['reader', ...this.next.targets.keys()];
    for (const thread of threads) {
      const { restartAtMs } = this.#slot(thread);
      if (restartAtMs === null || restartAtMs > this.#nowMs) continue;
      this.#spawn(thread);
      if (thread === 'reader') {
        if (this.next.state.at === 'running') this.#startReader();
      } else if (this.next.kind !== null) {
        this.effects.push({ do: 'start-applier', target: thread, kind: this.next.kind });
      }
    }
  }

  /** A thread that is down until the operator acts is started again; everything else goes on as it does. */
  #resume(thread: ThreadId): void {
    const { stopCause, life } = this.#slot(thread);
    if (stopCause === null || life !== 'none') return;
    this.#setSlot(thread, { stopCause: null, failures: [] });
    this.#log('info', 'thread is started again by the operator', thread, null);
    if (this.next.state.at === 'stopped') {
      // All of it had stopped for the sake of one of its threads.
      if (this.next.reader.stopCause === null) this.#reach();
    } else if (!this.#ending()) {
      this.#setSlot(thread, { restartAtMs: this.#nowMs });
      this.#restartDue();
    }
  }

  /** Looks whether what the present state waits for has come. */
  #advance(): void {
    const { state, reader } = this.next;
    if (state.at === 'reaching') {
      // Nothing is known without the reader.
      if (reader.stopCause !== null) this.#stop();
    } else if (state.at === 'asking') {
      this.#startWhenKnown(state.sinceMs);
    } else if (state.at === 'draining') {
      if (this.#allGone() && this.#nowMs >= state.untilMs) {
        this.effects.push({ do: 'discard-relay-log' });
        this.#reach();
      }
    } else if (state.at === 'stopping') {
      if (this.#allGone())
        this.next = { ...this.next, state: { at: 'stopped', cause: this.#firstStopCause() } };
    }
  }

  #startWhenKnown(sinceMs: number): void {
    const { reader, targets, relayHasData } = this.next;
    if (reader.stopCause !== null) {
      this.next = { ...this.next, state: { at: 'running' } };
      return;
    }
    if (reader.life !== 'live') return;
    const open = targets.filter((target) => target.stopCause === null);
    const known = targets.some((target) => target.executed !== null);
    const waitedMs = this.#nowMs - sinceMs;
    const allAnswered = open.every((target) => target.fresh) && (known || relayHasData);
    const allKnownFromBefore = known && open.every((target) => target.executed !== null);
    if (
      allAnswered ||
      (relayHasData && waitedMs >= ASK_MS) ||
      (allKnownFromBefore && waitedMs >= ASK_AGAIN_MS)
    ) {
      this.next = { ...this.next, state: { at: 'running' } };
      this.#startReader();
    } else if (open.length === 0) {
      this.#stop();
    }
  }

  #startReader(): void {
    const known: string[] = [];
    let unknown = false;
    for (const { executed, stopCause } of this.next.targets) {
      if (executed !== null) known.push(executed);
      else if (stopCause === null) unknown = true;
    }
    // Where somebody's part is unknown, reading goes on after what the relay log holds.
    const executed =
      unknown || known.length === 0 || this.next.kind === null
        ? null
        : intersectPositions(this.next.kind, known);
    this.effects.push({ do: 'start-reader', executed });
    this.next = { ...this.next, releasedFile: 0 };
    this.#releaseFiles();
  }

  /** False when there were too many of them lately: then the thread that asks stays stopped. */
  #resyncBegun(thread: ThreadId, cause: PlainError): boolean {
    const before = recent(this.next.resyncs, this.#nowMs);
    if (before.length >= RESYNCS_MAX) {
      this.#log('error', 'relay log was fetched again too often, thread left stopped', thread, cause);
      return false;
    }
    this.#log('warn', 'relay log does not serve the targets, will be fetched again', thread, cause);
    const waitMs = before.length === 0 ? 0 : backoffMs(before.length, 1, 2_000, 60_000);
    this.next = {
      ...this.next,
      resyncCause: cause,
      resyncTarget: typeof thread === 'number' ? thread : null,
      resyncs: [...before, this.#nowMs],
      state: { at: 'draining', untilMs: this.#nowMs + waitMs },
    };
    this.#endAll();
    for (const index of this.next.targets.keys()) {
      this.#setTarget(index, { fresh: false, neededFile: null });
    }
    return true;
  }

  #releaseFiles(): void {
    const { state, targets, releasedFile } = this.next;
    if (state.at !== 'running') return;
    let below = Number.POSITIVE_INFINITY;
    for (const { neededFile } of targets) {
      if (neededFile === null) return;
      below = Math.min(below, neededFile);
    }
    if (below === releasedFile) return;
    this.next = { ...this.next, releasedFile: below };
    this.effects.push({ do: 'release-files', below });
  }

  #stop(): void {
    if (this.next.state.at === 'stopped' || this.next.state.at === 'stopping') return;
    this.next = { ...this.next, state: { at: 'stopping' } };
    this.#endAll();
    this.#advance();
  }

  #endAll(): void {
    this.#end('reader');
    for (const index of this.next.targets.keys()) this.#end(index);
  }

  #end(thread: ThreadId): void {
    const { life } = this.#slot(thread);
    this.#setSlot(thread, { restartAtMs: null });
    if (life !== 'live') return;
    this.#setSlot(thread, { life: 'ending' });
    this.effects.push({ do: 'stop', thread });
  }

  #spawn(thread: ThreadId): void {
    this.#setSlot(thread, { life: 'live', restartAtMs: null });
    this.effects.push({ do: 'spawn', thread });
  }

  #ending(): boolean {
    const { at } = this.next.state;
    return at === 'draining' || at === 'stopping' || at === 'stopped';
  }

  #slot(thread: ThreadId): ThreadSlot {
    return thread === 'reader' ? this.next.reader : this.next.targets[thread]!;
  }

  #setSlot(thread: ThreadId, change: Partial<ThreadSlot>): void {
    if (thread === 'reader') this.next = { ...this.next, reader: { ...this.next.reader, ...change } };
    else this.#setTarget(thread, change);
  }

  #setTarget(index: number, change: Partial<TargetSlot>): void {
    const targets = this.next.targets.map((target, at) => (at === index ? { ...target, ...change } : target));
    this.next = { ...this.next, targets };
  }

  #allGone(): boolean {
    return [this.next.reader, ...this.next.targets].every((slot) => slot.life === 'none');
  }

  #firstStopCause(): PlainError | null {
    const stopped = [this.next.reader, ...this.next.targets].find((slot) => slot.stopCause !== null);
    return stopped?.stopCause ?? null;
  }

  #log(
    level: 'info' | 'warn' | 'error',
    message: string,
    thread: ThreadId | null,
    cause: PlainError | null,
  ): void {
    this.effects.push({ do: 'log', level, message, thread, cause });
  }
}

function recent(times: readonly number[], nowMs: number): number[] {
  return times.filter((time) => nowMs - time < RECENT_MS);
}
