import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ApplySession } from '../../../src/target/apply-session.ts';
import { SessionLane } from '../../../src/target/session-lane.ts';
import type { Reply } from '../../../src/wire/command-pipe.ts';

const OK: Reply = { ok: true, affectedRows: 0, status: 0, warnings: 0, info: '', rows: [] };
const ERROR: Reply = { ok: false, errno: 1062, sqlState: '23000', message: 'Duplicate entry' };

/** Everything that can go on without the server has. */
async function settled(): Promise<void> {
  for (let i = 0; i < 8; i++) await Promise.resolve();
}

/** What was sent, and an answer when the test says so, in the order of sending: as a server does. */
class Server {
  readonly sent: string[][] = [];
  readonly #answers: ((replies: Reply[]) => void)[] = [];
  readonly session: ApplySession;

  constructor() {
    const send = (statements: readonly string[]): Promise<Reply[]> => {
      this.sent.push([...statements]);
      return new Promise((answer) => this.#answers.push(answer));
    };
    this.session = {
      isPrimed: () => true,
      run: send,
      runTogether: send,
      execute: send,
      rollback: () => send(['ROLLBACK']),
    } as unknown as ApplySession;
  }

  /** The oldest packet without an answer; `failsAt`: its statement that fails. */
  async answer(failsAt: number | null = null): Promise<void> {
    await settled();
    const statements = this.sent[this.sent.length - this.#answers.length]!;
    const replies = statements.slice(0, failsAt === null ? undefined : failsAt + 1).map(() => OK);
    if (failsAt !== null) replies[failsAt] = ERROR;
    this.#answers.shift()!(replies);
    await settled();
  }

  get open(): number {
    return this.#answers.length;
  }
}

function setUp() {
  const server = new Server();
  const [one, two] = SessionLane.of(server.session, 2) as [SessionLane, SessionLane];
  return { server, one, two };
}

describe('two lanes of a session', () => {
  test('a whole transaction is sent behind another one, and begins with ROLLBACK', async () => {
    const { server, one, two } = setUp();
    const first = one.runWhole(['a', 'COMMIT'], {});
    const second = two.runWhole(['b', 'COMMIT'], {});
    expect(server.sent).toEqual([
      ['a', 'COMMIT'],
      ['ROLLBACK', 'b', 'COMMIT'],
    ]);
    await server.answer();
    await server.answer();
    expect([(await first).length, (await second).length]).toEqual([2, 2]);
  });

  test('with nothing before it a transaction needs no ROLLBACK', async () => {
    const { server, one, two } = setUp();
    for (const lane of [one, two, one]) {
      const done = lane.runWhole(['a', 'COMMIT'], {});
      await server.answer();
      await done;
    }
    expect(server.sent.flat()).not.toContain('ROLLBACK');
  });

  test('a transaction that was behind one that failed tells its own replies, and the next still begins with ROLLBACK', async () => {
    const { server, one, two } = setUp();
    const first = one.runWhole(['a', 'COMMIT'], {});
    const second = two.runWhole(['b', 'COMMIT'], {});
    await server.answer(0);
    expect((await first).map(({ ok }) => ok)).toEqual([false]);
    await server.answer(1);
    expect((await second).map(({ ok }) => ok)).toEqual([false]);
    // The one that failed is slow to roll back: whoever sends now must do it.
    const third = two.runWhole(['c', 'COMMIT'], {});
    expect(server.sent.at(-1)).toEqual(['ROLLBACK', 'c', 'COMMIT']);
    await server.answer();
    await third;
  });

  test('who rolls back waits for what is sent, and has the session for itself', async () => {
    const { server, one, two } = setUp();
    const first = one.runWhole(['a', 'COMMIT'], {});
    const second = two.runWhole(['b', 'COMMIT'], {});
    await server.answer(0);
    await first;
    const back = one.rollback(null);
    expect(server.sent).toHaveLength(2);
    await server.answer();
    await second;
    expect(server.sent.at(-1)).toEqual(['ROLLBACK']);
    const third = two.runWhole(['c', 'COMMIT'], {});
    await Promise.resolve();
    expect(server.sent).toHaveLength(3);
    await server.answer();
    await back;
    expect(server.sent.at(-1)).toEqual(['c', 'COMMIT']);
    await server.answer();
    await third;
  });

  test('a transaction in several packets is not parted: the other lane waits until it has left', async () => {
    const { server, one, two } = setUp();
    const part = one.execute(['a'], 'rows');
    await server.answer();
    await part;
    const other = two.runWhole(['b', 'COMMIT'], {});
    const rest = one.runWhole(['COMMIT'], {});
    expect(server.sent).toEqual([['a'], ['COMMIT']]);
    await server.answer();
    await rest;
    expect(server.sent).toHaveLength(2);
    one.leave();
    await Promise.resolve();
    expect(server.sent.at(-1)).toEqual(['b', 'COMMIT']);
    await server.answer();
    await other;
  });

  test('while a lane only waits for something else, the session is idle and may be pinged', async () => {
    const { server, one, two } = setUp();
    expect([one.isIdle, one.isCurrent, two.isCurrent]).toEqual([true, false, false]);
    const first = one.runWhole(['a', 'COMMIT'], {});
    const second = two.runWhole(['b', 'COMMIT'], {});
    expect([two.isIdle, one.isCurrent, two.isCurrent]).toEqual([false, true, false]);
    await server.answer(0);
    await first;
    expect([two.isIdle, one.isCurrent, two.isCurrent]).toEqual([false, false, true]);
    await server.answer();
    await second;
    const back = one.rollback(null);
    await settled();
    expect([two.isIdle, one.isCurrent]).toEqual([false, true]);
    await server.answer();
    await back;
    expect(two.isIdle).toBe(true);
  });

  test('a session that the other lane has primed with another format is primed again before rows are sent', async () => {
    const { server, one, two } = setUp();
    const [old, other] = [Buffer.from('old'), Buffer.from('other')];
    let primed: Buffer = old;
    Object.assign(server.session, {
      isPrimed: (event: Buffer) => primed.equals(event),
      prime: async (event: Buffer) => {
        await server.session.execute([`prime ${event}`], 'prime');
        primed = event;
      },
    });
    const priming = one.prime(other);
    await two.prime(old);
    const rows = two.runWhole(['rows of old', 'COMMIT'], {});
    await server.answer();
    await priming;
    one.leave();
    await server.answer();
    await server.answer();
    await rows;
    expect(server.sent).toEqual([['prime other'], ['prime old'], ['rows of old', 'COMMIT']]);
  });

  test('a ROLLBACK that fails is an error, not a transaction of no statements', async () => {
    const { server, one, two } = setUp();
    const first = one.runWhole(['a', 'COMMIT'], {});
    const second = two.runWhole(['b', 'COMMIT'], {});
    await server.answer();
    await first;
    await server.answer(0);
    await expect(second).rejects.toThrow(/ROLLBACK/);
  });

  /** A server that keeps a transaction open after a failure, as MySQL does with autocommit off. */
  test('whatever fails in whatever order, nothing half-done is committed and everything ends', async () => {
    const plan = fc.array(fc.record({ whole: fc.boolean(), fails: fc.boolean(), lane: fc.nat(1) }), {
      minLength: 1,
      maxLength: 30,
    });
    await fc.assert(
      fc.asyncProperty(plan, async (transactions) => {
        const { server, one, two } = setUp();
        const committed: string[][] = [];
        let open: string[] = [];
        let seen = 0;
        const lanes = [one, two];
        const work = [0, 1].map(async (at) => {
          const lane = lanes[at]!;
          for (const [number, { whole, fails }] of transactions.entries()) {
            if (transactions[number]!.lane !== at) continue;
            const body = fails ? [`x${number}`, 'FAIL'] : [`x${number}`];
            if (!whole) await lane.execute([`x${number}`], 'rows');
            const replies = await lane.runWhole([...(whole ? body : fails ? ['FAIL'] : []), 'COMMIT'], {});
            if (replies.at(-1)!.ok) lane.leave();
            else await lane.rollback(null);
          }
        });
        let over = false;
        void Promise.all(work).then(() => {
          over = true;
        });
        for (let turn = 0; turn < 1000 && !over; turn++) {
          await settled();
          if (server.open === 0) continue;
          const statements = server.sent[seen++]!;
          let failsAt: number | null = null;
          for (const [place, statement] of statements.entries()) {
            if (statement === 'FAIL') {
              failsAt = place;
              break;
            }
            if (statement === 'ROLLBACK') open = [];
            else if (statement === 'COMMIT') {
              committed.push(open);
              open = [];
            } else open.push(statement);
          }
          await server.answer(failsAt);
        }
        expect(over).toBe(true);
        const wanted = transactions.flatMap(({ fails }, number) => (fails ? [] : [[`x${number}`]]));
        expect(committed.map(String).sort()).toEqual(wanted.map(String).sort());
      }),
    );
  });
});
