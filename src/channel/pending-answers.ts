/**
 * Questions to a thread that wait for its answer, by revision: each is answered once, with null when the thread is gone or
 * silent for too long.
 */

interface Pending<Answer> {
  readonly resolve: (answer: Answer | null) => void;
  readonly timer: NodeJS.Timeout;
}

export class PendingAnswers<Answer extends { readonly revision: number }> {
  readonly #pending = new Map<number, Pending<Answer>>();
  #revision = 0;

  /** `ask` is called with the revision that the answer has to carry. */
  ask(ask: (revision: number) => void, timeoutMs: number): Promise<Answer | null> {
    const revision = ++this.#revision;
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#settle(revision, null), timeoutMs);
      this.#pending.set(revision, { resolve, timer });
      ask(revision);
    });
  }

  answered(answer: Answer): void {
    this.#settle(answer.revision, answer);
  }

  /** The thread is gone. */
  giveUp(): void {
    for (const revision of [...this.#pending.keys()]) this.#settle(revision, null);
  }

  #settle(revision: number, answer: Answer | null): void {
    const pending = this.#pending.get(revision);
    if (pending === undefined) return;
    this.#pending.delete(revision);
    clearTimeout(pending.timer);
    pending.resolve(answer);
  }
}
