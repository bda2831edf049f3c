/**
 * Cuts the connection of an apply session at a chosen point: the n-th time that any session sends statements, counted from
 * `arm` (a look at the schemas changes nothing and is not counted); in a packet of several statements each of them is a
 * point, and what stands behind it is not sent, as if the server had died there. What a crash of Millrace, of the server or
 * of the network would do, without chance.
 */
import type { MillraceError } from '../../src/base/errors.ts';
import { ApplySession } from '../../src/target/apply-session.ts';
import type { Reply } from '../../src/wire/command-pipe.ts';

export type Fault =
  /** Sent, and cut before an answer came: the server may or may not have done it. */
  | 'unanswered'
  /** Done by the server, and cut before the next statement. */
  | 'answered'
  /** Killed by the server itself before it is sent. */
  | 'killed';

type Statements = Parameters<ApplySession['run']>[0];

export class SessionFaults {
  /** Whether the armed fault has happened. */
  fired = false;
  /** What was sent at the point where it happened. */
  sent = '';
  #count = 0;
  #at = 0;
  #fault: Fault = 'answered';
  readonly #kill: (threadId: number) => Promise<unknown>;
  readonly #run = ApplySession.prototype.run;
  readonly #runTogether = ApplySession.prototype.runTogether;
  readonly #runCommitting = ApplySession.prototype.runCommitting;
  readonly #runBehind = ApplySession.prototype.runBehind;
  /** What a server that has died in a packet would not have read any more. */
  readonly #dead = new WeakSet<ApplySession>();

  /** `kill`: ends a session of the target from outside. */
  constructor(kill: (threadId: number) => Promise<unknown> = () => Promise.resolve()) {
    this.#kill = kill;
    const faults = this;
    ApplySession.prototype.run = function (this: ApplySession, statements: Statements): Promise<Reply[]> {
      const send = (): Promise<Reply[]> => faults.#run.call(this, statements);
      if (statements.length > 0) faults.#count += 1;
      return faults.#isDue() ? faults.#cut(this, statements, send) : send();
    };
    ApplySession.prototype.runTogether = function (this: ApplySession, statements: Statements) {
      return faults.#packet(this, statements, (some) => faults.#runTogether.call(this, some));
    };
    ApplySession.prototype.runCommitting = function (this: ApplySession, statements: Statements) {
      return faults.#packet(this, statements, (some) => faults.#runCommitting.call(this, some));
    };
    ApplySession.prototype.runBehind = function (this: ApplySession, after: number, statements: Statements) {
      if (this.sent !== after || faults.#dead.has(this)) return null;
      return faults.#packet(
        this,
        statements,
        (some) => faults.#runBehind.call(this, after, some) ?? Promise.reject(this.lost),
      );
    };
  }

  /** Each statement of it is a point. */
  #packet(
    session: ApplySession,
    statements: Statements,
    send: (some: Statements) => Promise<Reply[]>,
  ): Promise<Reply[]> {
    for (let sent = 1; sent <= statements.length; sent++) {
      this.#count += 1;
      if (!this.#isDue()) continue;
      const part = statements.slice(0, sent);
      return this.#cut(session, part, () => send(part));
    }
    return send(statements);
  }

  /** The `at`-th sending from now on, counted from 1. */
  arm(at: number, fault: Fault): void {
    this.#count = 0;
    this.#at = at;
    this.#fault = fault;
    this.fired = false;
    this.sent = '';
  }

  disarm(): void {
    this.#at = 0;
  }

  restore(): void {
    ApplySession.prototype.run = this.#run;
    ApplySession.prototype.runTogether = this.#runTogether;
    ApplySession.prototype.runCommitting = this.#runCommitting;
    ApplySession.prototype.runBehind = this.#runBehind;
  }

  #isDue(): boolean {
    return this.#at !== 0 && !this.fired && this.#count === this.#at;
  }

  async #cut(session: ApplySession, statements: Statements, send: () => Promise<Reply[]>): Promise<Reply[]> {
    this.fired = true;
    this.#dead.add(session);
    this.sent = statements.map((each) => (Array.isArray(each) ? each.join('') : String(each))).join('; ');
    switch (this.#fault) {
      case 'killed':
        await this.#kill(session.threadId);
        return send();
      case 'answered':
        await send();
        session.destroy();
        throw session.lost as MillraceError;
      case 'unanswered': {
        const answer = send();
        setImmediate(() => session.destroy());
        return answer;
      }
    }
  }
}
