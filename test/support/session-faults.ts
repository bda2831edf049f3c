/**
 * Cuts the connection of an apply session at a chosen point: the n-th time that any session sends statements, counted from
 * `arm` (a look at the schemas changes nothing and is not counted). What a crash of Millrace or of the network would do
 * there, without chance.
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

  /** `kill`: ends a session of the target from outside. */
  constructor(kill: (threadId: number) => Promise<unknown> = () => Promise.resolve()) {
    this.#kill = kill;
    const faults = this;
    ApplySession.prototype.run = function (this: ApplySession, statements: Statements): Promise<Reply[]> {
      return faults.#pass(this, statements);
    };
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
  }

  async #pass(session: ApplySession, statements: Statements): Promise<Reply[]> {
    const send = (): Promise<Reply[]> => this.#run.call(session, statements);
    if (statements.length > 0) this.#count += 1;
    if (this.#at === 0 || this.fired || this.#count !== this.#at) return send();
    this.fired = true;
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
