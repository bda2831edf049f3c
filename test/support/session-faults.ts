/**
 * Cuts the connection of an apply session at a chosen point: the n-th time that any session sends something, counted from
 * `arm`. What a crash of Millrace or of the network would do there, without chance.
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

type Send = (this: ApplySession, statements: never) => Promise<unknown>;

export class SessionFaults {
  /** Whether the armed fault has happened. */
  fired = false;
  /** What was sent at the point where it happened. */
  sent = '';
  #count = 0;
  #at = 0;
  #fault: Fault = 'answered';
  readonly #kill: (threadId: number) => Promise<unknown>;
  readonly #originals: readonly (readonly ['run' | 'query', Send])[];

  /** `kill`: ends a session of the target from outside. */
  constructor(kill: (threadId: number) => Promise<unknown> = () => Promise.resolve()) {
    this.#kill = kill;
    const prototype = ApplySession.prototype as unknown as Record<'run' | 'query', Send>;
    this.#originals = (['run', 'query'] as const).map((name) => [name, prototype[name]] as const);
    const faults = this;
    for (const [name, original] of this.#originals) {
      prototype[name] = function (this: ApplySession, ...args: [never]): Promise<unknown> {
        return faults.#pass(this, String(args[0]), () => original.apply(this, args));
      };
    }
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
    const prototype = ApplySession.prototype as unknown as Record<'run' | 'query', Send>;
    for (const [name, original] of this.#originals) prototype[name] = original;
  }

  async #pass(session: ApplySession, text: string, send: () => Promise<unknown>): Promise<unknown> {
    this.#count += 1;
    if (this.#at === 0 || this.fired || this.#count !== this.#at) return send();
    this.fired = true;
    this.sent = text;
    switch (this.#fault) {
      case 'killed':
        await this.#kill(session.threadId);
        return send();
      case 'answered':
        await (send() as Promise<Reply[]>);
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
