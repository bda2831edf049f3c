/**
 * One session of the target, used by two workers: while the server works on what one of them has sent, the next whole transaction
 * stands in the socket behind it, and the server goes on without waiting for us.
 *
 *   whole    a transaction in one packet, COMMIT at its end: may be sent while another one is not answered yet
 *   held     everything else (a transaction in several packets, a statement's context, a rollback): its lane has the session
 *            for itself from the first of it until `leave`
 *
 * What one packet leaves half-done must not be committed by the next. The server runs a packet up to its first error, and then the
 * packet behind it: so whatever is sent behind another, or after one that failed, begins with ROLLBACK, and who is given the session
 * for itself after a failure rolls back first.
 *
 * Invariants
 *  - Nothing is sent between the packets of a lane that holds the session.
 *  - Who asks first is served first. Who waits holds nothing on the target.
 * Thread: applier.
 */
import type { ErrorFacts } from '../base/errors.ts';
import { Fifo } from '../base/fifo.ts';
import type { OkReply, Reply, Statement } from '../wire/command-pipe.ts';
import { applyError } from './apply-error.ts';
import type { ApplySession } from './apply-session.ts';
import type { SessionContext } from './session-context.ts';

interface Waiter {
  readonly lane: SessionLane;
  readonly alone: boolean;
  readonly serve: () => void;
}

/** Who uses the session now, and who is next. */
class SessionUse {
  /** Who has sent a whole transaction that is not answered, in the order of sending. */
  readonly sent: SessionLane[] = [];
  holder: SessionLane | null = null;
  /** Something has failed, and was not rolled back yet. */
  unclean = false;
  readonly #waiting = new Fifo<Waiter>();

  /** Null: at once. */
  enter(lane: SessionLane, alone: boolean): Promise<void> | null {
    if (this.#waiting.length === 0 && this.#isFree(alone)) {
      this.#take(lane, alone);
      return null;
    }
    return new Promise((serve) => this.#waiting.push({ lane, alone, serve }));
  }

  leave(lane: SessionLane): void {
    if (this.holder === lane) this.holder = null;
    else this.sent.splice(this.sent.indexOf(lane), 1);
    for (let next = this.#waiting.at(0); next !== undefined && this.#isFree(next.alone); ) {
      this.#waiting.drop(1);
      this.#take(next.lane, next.alone);
      next.serve();
      next = this.#waiting.at(0);
    }
  }

  #isFree(alone: boolean): boolean {
    return this.holder === null && (!alone || this.sent.length === 0);
  }

  #take(lane: SessionLane, alone: boolean): void {
    if (alone) this.holder = lane;
    else this.sent.push(lane);
  }
}

export class SessionLane {
  readonly #session: ApplySession;
  readonly #use: SessionUse;
  /** What the session must be primed with for this lane's next transaction. */
  #description: Buffer | null = null;

  private constructor(session: ApplySession, use: SessionUse) {
    this.#session = session;
    this.#use = use;
  }

  static of(session: ApplySession, count: number): SessionLane[] {
    const use = new SessionUse();
    return Array.from({ length: count }, () => new SessionLane(session, use));
  }

  get threadId(): number {
    return this.#session.threadId;
  }

  get lost(): ApplySession['lost'] {
    return this.#session.lost;
  }

  /** Only for who holds the session, or is alone on the target. */
  get context(): SessionContext {
    return this.#session.context;
  }

  async #hold(): Promise<void> {
    if (this.#holds) return;
    await this.#take();
    if (this.#use.unclean) await this.#clean(null);
  }

  async #take(): Promise<void> {
    if (this.#holds) return;
    const turn = this.#use.enter(this, true);
    if (turn !== null) await turn;
  }

  get #holds(): boolean {
    return this.#use.holder === this;
  }

  /** Nothing is sent, and nobody holds the session: it may be pinged. */
  get isIdle(): boolean {
    return this.#use.holder === null && this.#use.sent.length === 0;
  }

  /** What the session does now is of this lane. */
  get isCurrent(): boolean {
    return (this.#use.holder ?? this.#use.sent[0]) === this;
  }

  async #clean(branch: string | null): Promise<void> {
    await this.#session.rollback(branch);
    this.#use.unclean = false;
  }

  /** What was begun is at its end; to be called after every transaction, however it ended. */
  leave(): void {
    if (this.#holds) this.#use.leave(this);
  }

  /** As ApplySession.prime. */
  async prime(event: Buffer): Promise<void> {
    this.#description = event;
    if (this.#session.isPrimed(event)) return;
    await this.#hold();
    await this.#session.prime(event);
  }

  async run(statements: readonly (string | Statement)[]): Promise<Reply[]> {
    await this.#hold();
    return this.#session.run(statements);
  }

  /** A part of a transaction in one packet. */
  async runTogether(statements: readonly (string | Statement)[]): Promise<Reply[]> {
    await this.#hold();
    return this.#session.runTogether(statements);
  }

  /**
   * The rest of a transaction with its COMMIT, in one packet: a reply for each statement that was run; the last is an error when
   * one failed. Where nothing of it was sent before it may be sent behind another transaction.
   */
  async runWhole(statements: readonly (string | Statement)[], facts: ErrorFacts): Promise<Reply[]> {
    if (this.#holds) return this.#session.runTogether(statements);
    const use = this.#use;
    const turn = use.enter(this, false);
    if (turn !== null) await turn;
    if (this.#description !== null && !this.#session.isPrimed(this.#description)) {
      // The other lane has held the session meanwhile, with events of another source file.
      use.leave(this);
      await this.#hold();
      await this.#session.prime(this.#description);
      return this.#session.runTogether(statements);
    }
    const behind = use.sent.length > 1 || use.unclean;
    try {
      const replies = await this.#session.runTogether(behind ? ['ROLLBACK', ...statements] : statements);
      const last = replies.at(-1);
      if (last === undefined || !last.ok) use.unclean = true;
      if (!behind) return replies;
      const [rolledBack] = replies.splice(0, 1);
      if (rolledBack?.ok === false) throw applyError(rolledBack, 'ROLLBACK', facts);
      return replies;
    } finally {
      use.leave(this);
    }
  }

  async runStreaming(length: number, pieces: Iterable<Buffer>): Promise<Reply> {
    await this.#hold();
    return this.#session.runStreaming(length, pieces);
  }

  async execute(
    statements: readonly (string | Statement)[],
    doing: string,
    facts: ErrorFacts = {},
  ): Promise<OkReply[]> {
    await this.#hold();
    return this.#session.execute(statements, doing, facts);
  }

  /** As ApplySession.rollback; leaves. */
  async rollback(branch: string | null): Promise<void> {
    await this.#take();
    try {
      await this.#clean(branch);
    } finally {
      this.leave();
    }
  }
}
